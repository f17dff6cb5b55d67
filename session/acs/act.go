package acs

import (
	"context"
	"encoding/json"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// Actions of this cloud beside those that session names, each with its body.
const (
	ActionStreamStart     = "stream-start"      // StreamAction
	ActionStreamStop      = "stream-stop"       // StreamAction
	ActionTranscribeStart = "transcribe-start"  // TranscribeAction
	ActionTranscribeStop  = "transcribe-stop"   // StreamAction
	ActionTranscribe      = "transcribe-update" // TranscribeAction
	ActionHold            = "hold"              // HoldAction
	ActionUnhold          = "unhold"            // session.PartyAction
	ActionRecognize       = "recognize"         // RecognizeAction
	ActionListenStart     = "listen-start"      // session.PartyAction: continuous DTMF
	ActionListenStop      = "listen-stop"       // session.PartyAction
	ActionMove            = "move"              // MoveAction
	ActionCancelAdd       = "cancel-add"        // CancelAddAction
)

// StreamAction starts or stops a stream.
type StreamAction struct{ session.Await }

// TranscribeAction starts or changes a transcription.
type TranscribeAction struct {
	Locale string `json:"locale,omitempty"`
	Model  string `json:"model,omitempty"`
	session.Await
}

// HoldAction puts one of the call on hold; Music is a file's address.
type HoldAction struct {
	Party            string `json:"party"`
	Music            string `json:"music,omitempty"`
	OperationContext string `json:"operation_context,omitempty"`
}

// MoveAction takes Parties, by raw id, out of another call of ours.
type MoveAction struct {
	FromCall string   `json:"from_call"`
	Parties  []string `json:"parties"`
	session.Await
}

// CancelAddAction takes an invitation back.
type CancelAddAction struct {
	InvitationID string `json:"invitation_id"`
	session.Await
}

// RecognizeAction is Recognize. Times are in seconds, EndSilence in ms.
type RecognizeAction struct {
	Input           string `json:"input"`
	Party           string `json:"party"`
	Prompt          string `json:"prompt,omitempty"` // a file's address
	Text            string `json:"text,omitempty"`   // spoken in its place
	Voice           string `json:"voice,omitempty"`
	InterruptPrompt bool   `json:"interrupt_prompt,omitempty"`
	Interrupt       bool   `json:"interrupt,omitempty"`
	InitialSilence  int    `json:"initial_silence,omitempty"`
	InterTone       int    `json:"inter_tone,omitempty"`
	MaxTones        int    `json:"max_tones,omitempty"`
	StopTones       string `json:"stop_tones,omitempty"`
	Choices         []struct {
		Label   string   `json:"label"`
		Phrases []string `json:"phrases"`
		Tone    string   `json:"tone,omitempty"`
	} `json:"choices,omitempty"`
	Language   string `json:"language,omitempty"`
	EndSilence int    `json:"end_silence,omitempty"`
	session.Await
}

// ActionResult is what came of an action of this cloud.
type ActionResult struct {
	session.ActionResult
	// InvitationID of ActionAdd, for ActionCancelAdd.
	InvitationID string `json:"invitation_id,omitempty"`
	// Recognition of ActionRecognize, if its end was waited for: what was
	// heard. Keys are those of Tones.
	Recognition *Recognition `json:"recognition,omitempty"`
	Keys        string       `json:"keys,omitempty"`
}

// Actions implements session.Actor.
func (c *Client) Actions() []string { return actions.Names() }

// Act implements session.Actor. The result is an ActionResult.
func (c *Client) Act(ctx context.Context, callID, action string, body json.RawMessage) (json.RawMessage, error) {
	return actions.Do(ctx, c, callID, action, body)
}

var actions = rest.Acts[*Client]{
	session.ActionPlay:     rest.ActOf(actPlay),
	session.ActionCancel:   rest.ActOf(actCancel),
	session.ActionDTMF:     rest.ActOf(actDTMF),
	session.ActionAdd:      rest.ActOf(actAdd),
	session.ActionRemove:   rest.ActOf(actRemove),
	session.ActionMute:     rest.ActOf(actMute),
	session.ActionTransfer: rest.ActOf(actTransfer),
	ActionStreamStart:      rest.ActOf(actStream((*Client).StartMediaStreaming)),
	ActionStreamStop:       rest.ActOf(actStream((*Client).StopMediaStreaming)),
	ActionTranscribeStart:  rest.ActOf(actTranscribe((*Client).StartTranscription)),
	ActionTranscribe:       rest.ActOf(actTranscribe((*Client).UpdateTranscription)),
	ActionTranscribeStop:   rest.ActOf(actStream((*Client).StopTranscription)),
	ActionHold:             rest.ActOf(actHold),
	ActionUnhold:           rest.ActOf(actParty((*Client).Unhold)),
	ActionListenStart:      rest.ActOf(actParty((*Client).StartContinuousDTMF)),
	ActionListenStop:       rest.ActOf(actListenStop),
	ActionRecognize:        rest.ActOf(actRecognize),
	ActionMove:             rest.ActOf(actMove),
	ActionCancelAdd:        rest.ActOf(actCancelAdd),
}
