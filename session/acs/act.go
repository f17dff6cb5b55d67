package acs

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

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

// actor does one action.
type actor func(ctx context.Context, c *Client, callID string, body json.RawMessage) (ActionResult, error)

// reading is an actor whose body is a B.
func reading[B any](do func(ctx context.Context, c *Client, callID string, b B) (ActionResult, error)) actor {
	return func(ctx context.Context, c *Client, callID string, body json.RawMessage) (ActionResult, error) {
		var b B
		if err := rest.Strict(body, &b); err != nil {
			return ActionResult{}, err
		}
		return do(ctx, c, callID, b)
	}
}

// Actions implements session.Actor.
func (c *Client) Actions() []string { return slices.Sorted(maps.Keys(actors)) }

// Act implements session.Actor. The result is an ActionResult.
func (c *Client) Act(ctx context.Context, callID, action string, body json.RawMessage) (json.RawMessage, error) {
	do := actors[action]
	if do == nil {
		return nil, fmt.Errorf("%w %q: want one of %s", session.ErrUnknownAction, rest.Clip(action), strings.Join(c.Actions(), ", "))
	}
	result, err := do(ctx, c, callID, body)
	if err != nil {
		return nil, err
	}
	return rest.Marshal(result)
}

var actors = map[string]actor{
	session.ActionPlay:     reading(actPlay),
	session.ActionCancel:   reading(actCancel),
	session.ActionDTMF:     reading(actDTMF),
	session.ActionAdd:      reading(actAdd),
	session.ActionRemove:   reading(actRemove),
	session.ActionMute:     reading(actMute),
	session.ActionTransfer: reading(actTransfer),
	ActionStreamStart:      reading(actStream((*Client).StartMediaStreaming)),
	ActionStreamStop:       reading(actStream((*Client).StopMediaStreaming)),
	ActionTranscribeStart:  reading(actTranscribe((*Client).StartTranscription)),
	ActionTranscribe:       reading(actTranscribe((*Client).UpdateTranscription)),
	ActionTranscribeStop:   reading(actStream((*Client).StopTranscription)),
	ActionHold:             reading(actHold),
	ActionUnhold:           reading(actParty((*Client).Unhold)),
	ActionListenStart:      reading(actParty((*Client).StartContinuousDTMF)),
	ActionListenStop:       reading(actListenStop),
	ActionRecognize:        reading(actRecognize),
	ActionMove:             reading(actMove),
	ActionCancelAdd:        reading(actCancelAdd),
}
