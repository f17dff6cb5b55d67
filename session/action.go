package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrUnknownAction: the call's cloud has no such action. It is worded with
// those that it has.
var ErrUnknownAction = errors.New("session: unknown action")

// UnsupportedError says that what was asked for exists in another version of the
// cloud's API than the one in use, or not at all.
type UnsupportedError struct {
	// What was asked for: "mute".
	What string
	// Version in use, and In, which has it; empty if none has.
	Version, In string
}

func (e *UnsupportedError) Error() string {
	if e.In == "" {
		return fmt.Sprintf("%s has no %s", e.Version, e.What)
	}
	return fmt.Sprintf("%s has no %s; %s has", e.Version, e.What, e.In)
}

// Actor is a Cloud that can do more with a standing call than hang it up.
type Actor interface {
	// Actions lists the words that Act knows, sorted. Those of this file mean
	// the same in every cloud that has them; others are the cloud's own.
	Actions() []string
	// Act does what action says and returns what came of it, a JSON object.
	// body is a JSON object too, of the shape that belongs to the action, and
	// is read strictly: a *FieldError names what is wrong with it. The error
	// is otherwise as from Cloud's methods, or ErrUnknownAction.
	Act(ctx context.Context, callID, action string, body json.RawMessage) (json.RawMessage, error)
}

// Actions that clouds share, each with the type of its body.
const (
	ActionPlay     = "play"     // PlayAction
	ActionCancel   = "cancel"   // EmptyAction: ends what plays and what waits
	ActionDTMF     = "dtmf"     // DTMFAction
	ActionAdd      = "add"      // AddAction
	ActionRemove   = "remove"   // PartyAction
	ActionMute     = "mute"     // PartyAction
	ActionTransfer = "transfer" // TransferAction
)

// Await is what actions that go on after the cloud has taken them have in
// common.
type Await struct {
	// Wait for the end, and not only until the cloud has taken the request.
	// An end that is a failure is the action's error.
	Wait bool `json:"wait,omitempty"`
	// OperationContext comes back in the events that tell of it; empty has
	// one minted where the cloud wants one.
	OperationContext string `json:"operation_context,omitempty"`
}

// PlayAction plays prompts one after the other.
type PlayAction struct {
	// Files are addresses that the cloud fetches.
	Files []string `json:"files,omitempty"`
	// Text and SSML are spoken, by Voice, in Language ("en-US"), where the
	// cloud can speak.
	Text     string `json:"text,omitempty"`
	SSML     string `json:"ssml,omitempty"`
	Voice    string `json:"voice,omitempty"`
	Language string `json:"language,omitempty"`
	// To names who hears it, by raw id; empty means all.
	To []string `json:"to,omitempty"`
	// Loop until it is cancelled.
	Loop bool `json:"loop,omitempty"`
	// Interrupt what plays.
	Interrupt bool `json:"interrupt,omitempty"`
	Await
}

// DTMFAction presses keys.
type DTMFAction struct {
	// Tones are keys: 0 to 9, *, #, A to D.
	Tones string `json:"tones"`
	// To names who gets them, by raw id, where the cloud wants to know.
	To string `json:"to,omitempty"`
	Await
}

// AddAction asks somebody into the call.
type AddAction struct {
	// Party by raw id.
	Party string `json:"party"`
	// CallerID is the phone number to show a party that has one.
	CallerID string `json:"caller_id,omitempty"`
	// Timeout of the ringing in seconds; 0 means the cloud's.
	Timeout int `json:"timeout,omitempty"`
	Await
}

// PartyAction is done to one who is in the call.
type PartyAction struct {
	// Party by raw id, or by Participant.ID where rows have one.
	Party string `json:"party"`
	Await
}

// TransferAction hands the call, or one who is in it, over.
type TransferAction struct {
	// To takes over, by raw id.
	To string `json:"to"`
	// Party is who is handed over, as in PartyAction; empty means the only
	// other one.
	Party string `json:"party,omitempty"`
	// CallerID is the phone number to show To, if it has one.
	CallerID string `json:"caller_id,omitempty"`
	Await
}

// EmptyAction has nothing to say.
type EmptyAction struct {
	OperationContext string `json:"operation_context,omitempty"`
}

// ActionResult is what came of an action; clouds may add to it.
type ActionResult struct {
	// OperationContext is what the events of the action carry.
	OperationContext string `json:"operation_context,omitempty"`
	// End is the cloud's event that told the end, if it was waited for.
	End json.RawMessage `json:"end,omitempty"`
}

// Actions lists what Act knows for this call; nil if its cloud can do nothing.
func (c *Call) Actions() []string {
	if actor, ok := c.cloud.(Actor); ok {
		return actor.Actions()
	}
	return nil
}

// Act asks the call's cloud for an action: see Actor. The cloud must have told
// the call's id.
func (c *Call) Act(ctx context.Context, action string, body json.RawMessage) (json.RawMessage, error) {
	actor, ok := c.cloud.(Actor)
	if !ok {
		return nil, fmt.Errorf("%w %q: %s has none", ErrUnknownAction, action, c.cloud.Name())
	}
	id := c.CallID()
	if id == "" {
		return nil, fmt.Errorf("session: %s of call %s: the cloud has not told its id yet", action, c.id)
	}
	return actor.Act(ctx, id, action, body)
}
