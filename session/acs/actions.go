package acs

import (
	"context"

	"github.com/mixminus/mixminus/session"
)

// tracking is what an action says of how it is told of.
func tracking(a session.Await) Tracking { return Tracking{OperationContext: a.OperationContext} }

// await is the end of an action that goes on: it waits if it is asked to.
func await(ctx context.Context, a session.Await, o *Operation, err error) (r ActionResult, _ error) {
	if err != nil {
		return r, err
	}
	r.OperationContext = o.OperationContext
	if !a.Wait {
		return r, nil
	}
	end, err := o.Wait(ctx)
	r.End = end.Raw
	if end.Name == RecognizeCompleted {
		r.Recognition, r.Keys = &end.Recognition, Keys(end.Recognition.Tones)
	}
	return r, err
}

func actPlay(ctx context.Context, c *Client, callID string, a session.PlayAction) (ActionResult, error) {
	p := Play{To: a.To, Loop: a.Loop, Interrupt: a.Interrupt, Tracking: tracking(a.Await)}
	for _, file := range a.Files {
		p.Sources = append(p.Sources, PlaySource{File: file})
	}
	if a.Text != "" {
		p.Sources = append(p.Sources, PlaySource{Text: a.Text, Voice: a.Voice, Locale: a.Language})
	}
	if a.SSML != "" {
		p.Sources = append(p.Sources, PlaySource{SSML: a.SSML})
	}
	o, err := c.Play(ctx, callID, p)
	return await(ctx, a.Await, o, err)
}

func actCancel(ctx context.Context, c *Client, callID string, _ session.EmptyAction) (r ActionResult, err error) {
	return r, c.CancelAllMediaOperations(ctx, callID)
}

func actDTMF(ctx context.Context, c *Client, callID string, a session.DTMFAction) (ActionResult, error) {
	o, err := c.SendDTMF(ctx, callID, a.To, a.Tones, tracking(a.Await))
	return await(ctx, a.Await, o, err)
}

func actAdd(ctx context.Context, c *Client, callID string, a session.AddAction) (ActionResult, error) {
	in, err := c.AddParticipant(ctx, callID, AddParticipant{
		Party: a.Party, CallerID: a.CallerID, Timeout: a.Timeout, Tracking: tracking(a.Await),
	})
	if err != nil {
		return ActionResult{}, err
	}
	r, err := await(ctx, a.Await, in.Operation, nil)
	r.InvitationID = in.ID
	return r, err
}

func actRemove(ctx context.Context, c *Client, callID string, a session.PartyAction) (ActionResult, error) {
	o, err := c.RemoveParticipant(ctx, callID, a.Party, tracking(a.Await))
	return await(ctx, a.Await, o, err)
}

func actMute(ctx context.Context, c *Client, callID string, a session.PartyAction) (r ActionResult, err error) {
	r.OperationContext = a.OperationContext
	return r, c.MuteParticipant(ctx, callID, a.Party, a.OperationContext)
}

func actTransfer(ctx context.Context, c *Client, callID string, a session.TransferAction) (ActionResult, error) {
	o, err := c.Transfer(ctx, callID, Transfer{
		Target: a.To, Transferee: a.Party, CallerID: a.CallerID, Tracking: tracking(a.Await),
	})
	return await(ctx, a.Await, o, err)
}

func actStream(do func(*Client, context.Context, string, Tracking) (*Operation, error)) func(context.Context, *Client, string, StreamAction) (ActionResult, error) {
	return func(ctx context.Context, c *Client, callID string, a StreamAction) (ActionResult, error) {
		o, err := do(c, ctx, callID, tracking(a.Await))
		return await(ctx, a.Await, o, err)
	}
}

func actTranscribe(do func(*Client, context.Context, string, string, string, Tracking) (*Operation, error)) func(context.Context, *Client, string, TranscribeAction) (ActionResult, error) {
	return func(ctx context.Context, c *Client, callID string, a TranscribeAction) (ActionResult, error) {
		o, err := do(c, ctx, callID, a.Locale, a.Model, tracking(a.Await))
		return await(ctx, a.Await, o, err)
	}
}

// actParty is for what is over with its response.
func actParty(do func(*Client, context.Context, string, string, Tracking) error) func(context.Context, *Client, string, session.PartyAction) (ActionResult, error) {
	return func(ctx context.Context, c *Client, callID string, a session.PartyAction) (r ActionResult, err error) {
		r.OperationContext = a.OperationContext
		return r, do(c, ctx, callID, a.Party, tracking(a.Await))
	}
}

func actListenStop(ctx context.Context, c *Client, callID string, a session.PartyAction) (ActionResult, error) {
	o, err := c.StopContinuousDTMF(ctx, callID, a.Party, tracking(a.Await))
	return await(ctx, a.Await, o, err)
}

func actHold(ctx context.Context, c *Client, callID string, a HoldAction) (r ActionResult, err error) {
	r.OperationContext = a.OperationContext
	return r, c.Hold(ctx, callID, Hold{
		Party: a.Party, Music: PlaySource{File: a.Music}, Tracking: Tracking{OperationContext: a.OperationContext},
	})
}

func actRecognize(ctx context.Context, c *Client, callID string, a RecognizeAction) (ActionResult, error) {
	r := Recognize{
		Input: a.Input, Party: a.Party, InterruptPrompt: a.InterruptPrompt, Interrupt: a.Interrupt,
		InitialSilence: a.InitialSilence, InterTone: a.InterTone, MaxTones: a.MaxTones, StopTones: a.StopTones,
		Language: a.Language, EndSilence: a.EndSilence, Tracking: tracking(a.Await),
	}
	if a.Prompt != "" {
		r.Prompts = append(r.Prompts, PlaySource{File: a.Prompt})
	}
	if a.Text != "" {
		r.Prompts = append(r.Prompts, PlaySource{Text: a.Text, Voice: a.Voice, Locale: a.Language})
	}
	for _, ch := range a.Choices {
		r.Choices = append(r.Choices, Choice(ch))
	}
	o, err := c.Recognize(ctx, callID, r)
	return await(ctx, a.Await, o, err)
}

// actMove waits for all who are moved; the end is the last one's, or the first
// failure.
func actMove(ctx context.Context, c *Client, callID string, a MoveAction) (r ActionResult, err error) {
	all, err := c.MoveParticipants(ctx, callID, a.FromCall, a.Parties, tracking(a.Await))
	if err != nil {
		return r, err
	}
	for _, o := range all {
		if r, err = await(ctx, a.Await, o, nil); err != nil {
			return r, err
		}
	}
	return r, nil
}

func actCancelAdd(ctx context.Context, c *Client, callID string, a CancelAddAction) (ActionResult, error) {
	o, err := c.CancelAddParticipant(ctx, callID, a.InvitationID, tracking(a.Await))
	return await(ctx, a.Await, o, err)
}
