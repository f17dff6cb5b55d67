package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// Actions of this cloud beside those that session names.
const (
	// ActionMuteSelf and ActionUnmuteSelf drop the bot's own audio, or no
	// longer. Their body is session.Await.
	ActionMuteSelf   = "mute-self"
	ActionUnmuteSelf = "unmute-self"
)

var actions = rest.Acts[*Client]{
	session.ActionPlay:     rest.ActOf(actPlay),
	session.ActionCancel:   rest.ActOf(actCancel),
	session.ActionDTMF:     rest.ActOf(actDTMF),
	session.ActionAdd:      rest.ActOf(actAdd),
	session.ActionRemove:   rest.ActOf(actRemove),
	session.ActionMute:     rest.ActOf(actMute),
	session.ActionTransfer: rest.ActOf(actTransfer),
	ActionMuteSelf:         rest.ActOf(actSelf((*Client).Mute)),
	ActionUnmuteSelf:       rest.ActOf(actSelf((*Client).Unmute)),
}

// Actions implements session.Actor.
func (c *Client) Actions() []string { return actions.Names() }

// Act implements session.Actor. The result is a session.ActionResult, whose End
// is a commsOperation.
func (c *Client) Act(ctx context.Context, callID, action string, body json.RawMessage) (json.RawMessage, error) {
	return actions.Do(ctx, c, callID, action, body)
}

// await is the end of an action that goes on: it waits if it is asked to.
func await(ctx context.Context, a session.Await, o *Operation, err error) (r session.ActionResult, _ error) {
	if err != nil {
		return r, err
	}
	r.OperationContext = a.OperationContext
	if !a.Wait {
		return r, nil
	}
	end, err := o.Wait(ctx)
	if err != nil {
		return r, err
	}
	r.End, err = rest.Marshal(end)
	return r, err
}

// lacks refuses the first of those members that are set: Graph has no words
// for them.
func lacks(members ...any) error {
	for i := 0; i+1 < len(members); i += 2 {
		if set, _ := members[i+1].(bool); set {
			return &session.UnsupportedError{What: fmt.Sprint(members[i]), Version: "Microsoft Graph"}
		}
	}
	return nil
}

func actPlay(ctx context.Context, c *Client, callID string, a session.PlayAction) (r session.ActionResult, err error) {
	if err := lacks("play of text", a.Text != "" || a.Voice != "" || a.Language != "", "play of ssml", a.SSML != "",
		"play to single participants", len(a.To) > 0, "play in a loop", a.Loop, "play that interrupts", a.Interrupt); err != nil {
		return r, err
	}
	if len(a.Files) == 0 {
		return r, &session.FieldError{Field: "files", Want: "want one at least"}
	}
	var prompts []Prompt
	for _, file := range a.Files {
		prompts = append(prompts, Prompt{URI: file})
	}
	o, err := c.PlayPrompt(ctx, callID, prompts, a.OperationContext)
	return await(ctx, a.Await, o, err)
}

func actCancel(ctx context.Context, c *Client, callID string, a session.EmptyAction) (session.ActionResult, error) {
	o, err := c.CancelMediaProcessing(ctx, callID, a.OperationContext)
	return await(ctx, session.Await{OperationContext: a.OperationContext}, o, err)
}

func actDTMF(ctx context.Context, c *Client, callID string, a session.DTMFAction) (r session.ActionResult, err error) {
	if err := lacks("dtmf to a single participant", a.To != ""); err != nil {
		return r, err
	}
	if _, err := toneNames(a.Tones); err != nil {
		return r, &session.FieldError{Field: "tones", Value: rest.Clip(a.Tones), Want: "want keys: 0 to 9, *, #, A to D or F"}
	}
	o, err := c.SendDTMFTones(ctx, callID, a.Tones, 0, a.OperationContext)
	return await(ctx, a.Await, o, err)
}

// party is the invitation of a raw id.
func party(field, rawID string) (InvitationParticipantInfo, error) {
	set := identitySetOf(session.Identity{RawID: rawID})
	if set.RawID() == "" {
		return InvitationParticipantInfo{}, &session.FieldError{Field: field, Value: rest.Clip(rawID), Want: "want a raw id such as 8:orgid:GUID or 4:+14255550100"}
	}
	return InvitationParticipantInfo{ODataType: typeName("invitationParticipantInfo"), Identity: &set}, nil
}

func actAdd(ctx context.Context, c *Client, callID string, a session.AddAction) (r session.ActionResult, err error) {
	if err := lacks("caller_id of an invitation", a.CallerID != "", "timeout of an invitation", a.Timeout != 0); err != nil {
		return r, err
	}
	who, err := party("party", a.Party)
	if err != nil {
		return r, err
	}
	o, err := c.InviteParticipants(ctx, callID, []InvitationParticipantInfo{who}, a.OperationContext)
	return await(ctx, a.Await, o, err)
}

// participantID finds the row of a party, by its id or raw id.
func (c *Client) participantID(ctx context.Context, callID, who string) (string, error) {
	if who == "" {
		return "", &session.FieldError{Field: "party", Want: "want a raw id, or a participant's id"}
	}
	if !strings.Contains(who, ":") {
		return who, nil
	}
	rows, err := c.ListParticipants(ctx, callID)
	if err != nil {
		return "", err
	}
	for i := range rows {
		if row := rows[i].Row(); row.RawID == who && row.Removed == "" {
			return row.ID, nil
		}
	}
	return "", &session.FieldError{Field: "party", Value: rest.Clip(who), Want: "is not in the call"}
}

// actRemove is over with its response.
func actRemove(ctx context.Context, c *Client, callID string, a session.PartyAction) (r session.ActionResult, err error) {
	id, err := c.participantID(ctx, callID, a.Party)
	if err != nil {
		return r, err
	}
	return r, c.DeleteParticipant(ctx, callID, id)
}

func actMute(ctx context.Context, c *Client, callID string, a session.PartyAction) (r session.ActionResult, err error) {
	id, err := c.participantID(ctx, callID, a.Party)
	if err != nil {
		return r, err
	}
	o, err := c.MuteParticipant(ctx, callID, id, a.OperationContext)
	return await(ctx, a.Await, o, err)
}

func actSelf(do func(*Client, context.Context, string, string) (*Operation, error)) func(context.Context, *Client, string, session.Await) (session.ActionResult, error) {
	return func(ctx context.Context, c *Client, callID string, a session.Await) (session.ActionResult, error) {
		o, err := do(c, ctx, callID, a.OperationContext)
		return await(ctx, a, o, err)
	}
}

// actTransfer is taken with its response: how it ends is told by the call's
// phases.
func actTransfer(ctx context.Context, c *Client, callID string, a session.TransferAction) (r session.ActionResult, err error) {
	if err := lacks("caller_id of a transfer", a.CallerID != "", "operation whose end is that of a transfer", a.Wait); err != nil {
		return r, err
	}
	t := Transfer{ClientContext: a.OperationContext}
	if t.Target, err = party("to", a.To); err != nil {
		return r, err
	}
	if a.Party != "" {
		id, err := c.participantID(ctx, callID, a.Party)
		if err != nil {
			return r, err
		}
		t.Transferee = &ParticipantInfo{ParticipantID: id}
	}
	r.OperationContext = a.OperationContext
	return r, c.TransferCall(ctx, callID, t)
}
