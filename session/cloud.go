// Package session is the call control plane: it creates and answers calls at
// a cloud, follows their state, and binds each to the leg that carries its
// media. It never touches a sample and knows no vendor's JSON: the clouds are
// bodies of Cloud, in the packages below this one.
package session

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
)

// Cloud is what the session layer asks of a call service. Its methods block
// until the service has answered, retry by the service's own rules, and
// return a *Error for whatever the service refused. They are safe for
// concurrent use.
type Cloud interface {
	// Name is the cloud's name in the control API and in recordings: "acs".
	Name() string
	// Create places a call. Everything in req.Body goes to the service as
	// it is, but for the media configuration and callback address, which
	// are added where the body has none.
	Create(ctx context.Context, req CreateRequest) (Connection, error)
	// Answer takes an incoming call.
	Answer(ctx context.Context, in Incoming, m MediaRequest) (Connection, error)
	// Reject declines an incoming call; reason is the cloud's own word
	// (ACS: none, busy, forbidden), empty for the cloud's default.
	Reject(ctx context.Context, in Incoming, reason string) error
	// Redirect sends an incoming call to someone else.
	Redirect(ctx context.Context, in Incoming, target Identity) error
	// Get fetches the call's properties.
	Get(ctx context.Context, callID string) (Connection, error)
	// HangUp leaves the call; forEveryone ends it for all.
	HangUp(ctx context.Context, callID string, forEveryone bool) error
}

// KeepAliver is a Cloud that ends a call of which it does not hear.
type KeepAliver interface {
	// KeepAlive says that the call is still wanted. A *Error of Status 404
	// says that it is over.
	KeepAlive(ctx context.Context, callID string) error
	// KeepAliveEvery is how often that must be said.
	KeepAliveEvery() time.Duration
}

// RosterKeeper is a Cloud that can be asked who is in a call.
type RosterKeeper interface {
	Participants(ctx context.Context, callID string) (Roster, error)
}

// Announcer is a Cloud in whose calls nothing may be recorded before it was told
// of it.
type Announcer interface {
	// AnnounceRecording tells a call that it is recorded, or is not any more.
	// What comes before it has returned may not be stored.
	AnnounceRecording(ctx context.Context, callID string, on bool) error
}

// Carrier is a Cloud that brings its calls' media itself, past Config.Media: one
// that dials no address, or none that the transport of the others mints.
type Carrier interface {
	// Media gives the legs of its calls addresses; nil while it is not ready,
	// when its calls fail.
	Media() transport.Transport
}

// Roster is who is in a call.
type Roster struct {
	Participants []Participant
	// Sequence is the greatest update that the roster contains, 0 if the
	// cloud numbers none: later ones go on from it.
	Sequence int64
}

// MediaRequest says what media a call asks the cloud for.
type MediaRequest struct {
	// URL is where the cloud brings the media. It holds a secret. Empty if
	// ServiceHosted.
	URL string
	// ServiceHosted leaves the media with the cloud: the bot asks it to
	// play and record, and hears nothing (Graph: serviceHostedMediaConfig).
	ServiceHosted bool
	// Contexts are the ids by which a cloud that announces its media by a
	// media session configuration names it (Graph: the blob).
	Contexts transport.Contexts
	// CallbackURL is where the cloud posts the call's events.
	CallbackURL string
	// Ref is our own name of a call that is created. A cloud that can has it
	// come back with the call's notices (Notice.Ref).
	Ref string
	// Channels is one mixed stream or one per speaker.
	Channels engine.Channels
	// SampleRate on the wire in Hz: 16000 or 24000; 0 means 16000.
	SampleRate int
	// Bidirectional lets the bot speak.
	Bidirectional bool
	// DTMF asks for key presses on the media stream.
	DTMF bool
	// OperationContext comes back in the call's events.
	OperationContext string
	// Answer holds further members of the cloud's own answer request, a JSON
	// object (Graph: participantCapacity, callOptions); empty holds none.
	Answer json.RawMessage
}

// CreateRequest places a call.
type CreateRequest struct {
	// Body is the cloud's own create request, a JSON object.
	Body  json.RawMessage
	Media MediaRequest
}

// Identity is a party of a call.
type Identity struct {
	// RawID is the cloud's full identifier: "8:acs:…", "4:+1425…".
	RawID string `json:"raw_id"`
	// Name is what to show, when the cloud tells one.
	Name string `json:"name,omitempty"`
}

// Incoming is a call that rings.
type Incoming struct {
	// Cloud that brought it.
	Cloud string `json:"cloud"`
	// ID names the ringing in logs and in the control API (ACS: the
	// correlationId, else the serverCallId).
	ID string `json:"id"`
	// Context is the opaque token that answering hands back
	// (ACS: incomingCallContext). It is a secret.
	Context string `json:"-"`
	// CallID is the cloud's id of the call, if it tells one before the call
	// is answered (Graph does, ACS does not), and Key is as in Connection.
	CallID  string    `json:"call_id,omitempty"`
	Key     string    `json:"-"`
	From    Identity  `json:"from"`
	To      Identity  `json:"to"`
	Arrived time.Time `json:"arrived"`
	// Policy: a policy, and not a person, invites a recorder to the call.
	Policy bool `json:"policy,omitempty"`
	// AnswerWithin is how long the cloud lets this call ring; 0 means as
	// long as the manager says.
	AnswerWithin time.Duration `json:"-"`
	// Raw is what the cloud told of the call, a JSON object.
	Raw json.RawMessage `json:"-"`
}

// Connection is what a cloud tells of a call.
type Connection struct {
	// CallID is the cloud's id of our connection (ACS: callConnectionId).
	CallID string `json:"call_id"`
	// Key is the id as Notice.CallID spells it, where that differs: Graph
	// writes the same id in upper and lower case, with dashes and without.
	// Empty means CallID.
	Key string `json:"-"`
	// SelfID is our own Participant.ID, where the roster has such.
	SelfID string `json:"self_id,omitempty"`
	// Phase of a connected call.
	Phase CallPhase `json:"phase,omitempty"`
	// GroupID is the id all parties' connections share (ACS: serverCallId).
	GroupID       string     `json:"group_id,omitempty"`
	CorrelationID string     `json:"correlation_id,omitempty"`
	State         CallState  `json:"state"`
	Source        Identity   `json:"source"`
	Targets       []Identity `json:"targets,omitempty"`
}

// key is the id as notices spell it.
func (c *Connection) key() string { return cmp.Or(c.Key, c.CallID) }

// CallState ranks the states of a call; a call never goes back.
type CallState int

// The ranks, lowest first.
const (
	StateNew CallState = iota
	StateConnecting
	StateConnected
	StateDisconnecting
	StateDisconnected
)

var stateNames = [...]string{"new", "connecting", "connected", "disconnecting", "disconnected"}

func (s CallState) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("CallState(%d)", int(s))
	}
	return stateNames[s]
}

// MarshalText makes the state readable in JSON.
func (s CallState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *CallState) UnmarshalText(b []byte) error {
	for i, name := range stateNames {
		if name == string(b) {
			*s = CallState(i)
			return nil
		}
	}
	return fmt.Errorf("session: call state %q: want one of %q", b, stateNames)
}

// CallPhase is what a connected call is doing. Phases have no order: a call
// comes back from hold, and from a transfer that failed.
type CallPhase int

// The phases.
const (
	PhaseActive CallPhase = iota
	PhaseHold
	PhaseTransferring
	PhaseTransferAccepted
	PhaseRedirecting
)

var phaseNames = [...]string{"active", "hold", "transferring", "transfer_accepted", "redirecting"}

func (p CallPhase) String() string {
	if p < 0 || int(p) >= len(phaseNames) {
		return fmt.Sprintf("CallPhase(%d)", int(p))
	}
	return phaseNames[p]
}

// MarshalText makes the phase readable in JSON.
func (p CallPhase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *CallPhase) UnmarshalText(b []byte) error {
	for i, name := range phaseNames {
		if name == string(b) {
			*p = CallPhase(i)
			return nil
		}
	}
	return fmt.Errorf("session: call phase %q: want one of %q", b, phaseNames)
}

// EventKind says what a Notice tells.
type EventKind int

// Kinds of notices. A cloud's event that has no kind here arrives as
// EventOther with its Type and Raw.
const (
	EventOther EventKind = iota
	EventConnected
	EventDisconnected
	EventParticipants
	EventMediaStarted
	EventMediaStopped
	EventMediaFailed
	EventCreateFailed
	EventAnswerFailed
	// EventConnecting and EventDisconnecting: the states before Connected
	// and Disconnected.
	EventConnecting
	EventDisconnecting
	// EventPhase: Phase of the call, which is connected. EventConnected
	// has a Phase too.
	EventPhase
	// EventTone: a key was pressed.
	EventTone
	// EventOperation: an operation that was begun by a request is over.
	EventOperation
	// EventContentSharing: Type tells whether it began, changed or ended.
	EventContentSharing
	// EventParticipantLeft: a participant that is recorded by policy left.
	EventParticipantLeft
)

// Notice is one event that a cloud posted about a call. Notices come
// duplicated, late and out of order.
type Notice struct {
	Kind EventKind
	// Type is the cloud's own name of the event.
	Type string
	// ID is the message id; duplicates are dropped by it. May be empty.
	ID     string
	CallID string
	// CallName is CallID as the cloud spells it, empty if like that, and Ref is
	// MediaRequest.Ref of the request that made the call, if the cloud tells.
	CallName, Ref string
	Time          time.Time
	// Code, SubCode and Message are the cloud's result information.
	Code, SubCode int
	Message       string
	// Reason is the cloud's own word for why a stream is as it is (ACS:
	// mediaStreamingStatusDetails, as streamConnectionInterrupted).
	Reason string
	// OperationContext is what the request that this answers carried.
	OperationContext string
	// Sequence orders the rosters of a call: one that is lower than the
	// greatest seen is stale and dropped. 0 where the cloud tells none. Of
	// an EventTone it numbers the tone.
	Sequence int64
	// Participants of an EventParticipants: the whole roster, or with Delta
	// those rows that changed since the update Sequence-1.
	Participants []Participant
	Delta        bool
	// Phase of an EventPhase or EventConnected.
	Phase CallPhase
	// Tone of an EventTone: 0 to 9, *, #, A to D, or F for flash.
	Tone byte
	// Raw is the event as it came.
	Raw json.RawMessage
}

// Participant is one row of a call's roster.
type Participant struct {
	Identity
	// ID names the row, in clouds that let one identity take part twice
	// (Graph). Empty means RawID.
	ID string `json:"id,omitempty"`
	// SpeakerID is the raw id of its audio where that is not RawID: the
	// media source id (MSI) in decimal of a Graph participant.
	SpeakerID string `json:"speaker_id,omitempty"`
	Muted     bool   `json:"muted,omitempty"`
	OnHold    bool   `json:"on_hold,omitempty"`
	// InLobby: not admitted yet.
	InLobby bool `json:"in_lobby,omitempty"`
	// Recording is the recording status that it announced, as the cloud
	// spells it.
	Recording string `json:"recording,omitempty"`
	// Sequence is the roster update in which the row changed last, 0 where
	// the cloud tells none.
	Sequence int64 `json:"-"`
	// Removed is why the row is no longer one. Only in a Notice with Delta.
	Removed string `json:"-"`
}

// Error is a cloud's refusal.
type Error struct {
	Cloud string
	// Op is the operation that failed: "create", "answer", …
	Op string
	// Status is the HTTP status, 0 when none came.
	Status int
	// Code and SubCode are the cloud's own.
	Code    string
	SubCode int
	Message string
	// RequestID is what the vendor's support asks for.
	RequestID string
	// Retryable: the same request may succeed later.
	Retryable bool
	// Err is the cause when no response came.
	Err error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Cloud, e.Op, e.Err)
	}
	return fmt.Sprintf("%s: %s: HTTP %d, code %q, subcode %d: %s", e.Cloud, e.Op, e.Status, e.Code, e.SubCode, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors on which a caller can act.
var (
	// ErrUnknownCall: no call of that id is live here.
	ErrUnknownCall = errors.New("session: unknown call")
	// ErrAnswerDeadline: the call rang longer than the cloud allows.
	ErrAnswerDeadline = errors.New("session: answer deadline passed")
	// ErrDecided: the ringing call was answered, rejected or redirected already.
	ErrDecided = errors.New("session: incoming call already decided")
	// ErrClosed: the manager is closed.
	ErrClosed = errors.New("session: closed")
)
