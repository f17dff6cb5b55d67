package graph

import (
	"reflect"
	"strings"
)

// CallEvent is what happened in a meeting's call (callEvent, as the service
// sends it: its published type names the members otherwise). Keys and
// enumerations may come in any case. Source: "Get change notifications for
// Microsoft Teams meeting call updates".
type CallEvent struct {
	ODataType string `json:"@odata.type,omitzero"`
	ODataID   string `json:"@odata.id,omitzero"`
	ID        string `json:"id,omitzero"`
	// EventType as it came: "callStarted", or since 2021
	// "Microsoft.Communication.CallStarted". Kind tells them alike.
	EventType     string   `json:"eventType,omitzero"`
	EventDateTime DateTime `json:"eventDateTime,omitzero"`
	// Participants of a roster update: those who came or changed, and those
	// with a RemovedState, who left.
	Participants []Participant `json:"participants@delta,omitzero"`

	// The forms of 2021. Roster puts them into the present one.
	State       Enum          `json:"state,omitzero"`
	Joined      []EventMember `json:"activeParticipants@joined,omitzero"`
	Exited      []EventMember `json:"activeParticipants@exited,omitzero"`
	JoinedDelta []EventMember `json:"activeParticipants@delta,omitzero"`
	ExitedDelta []EventMember `json:"activeParticipants@remove,omitzero"`

	// Names of the published type.
	CallEventType string        `json:"callEventType,omitzero"`
	Everyone      []Participant `json:"participants,omitzero"`
	Extra         Extra         `json:"-"`
}

// EventMember is a participant in the form of 2021.
type EventMember struct {
	ID                             string       `json:"id,omitzero"`
	Identity                       *IdentitySet `json:"identity,omitzero"`
	AzureCommunicationServicesUser *Identity    `json:"azureCommunicationServicesUser,omitzero"`
	Extra                          Extra        `json:"-"`
}

type plainCallEvent CallEvent

// UnmarshalJSON implements json.Unmarshaler.
func (e *CallEvent) UnmarshalJSON(data []byte) error { return readOpen(data, (*plainCallEvent)(e)) }

// MarshalJSON implements json.Marshaler.
func (e CallEvent) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainCallEvent(e)))
}

// CallEventKind is what a CallEvent tells.
type CallEventKind int

// The kinds. CallEnded does not come reliably when everyone just leaves. An
// event that has no kind here arrives as CallOther with its EventType.
const (
	CallOther CallEventKind = iota
	CallStarted
	CallEnded
	RosterUpdated
)

var callEventNames = [...]string{"other", "callStarted", "callEnded", "rosterUpdated"}

func (k CallEventKind) String() string {
	if k < 0 || int(k) >= len(callEventNames) {
		return "unknown"
	}
	return callEventNames[k]
}

// Kind translates EventType.
func (e *CallEvent) Kind() CallEventKind {
	name := e.EventType
	if name == "" {
		name = e.CallEventType
	}
	name = strings.ToLower(name)
	switch strings.TrimPrefix(name, "microsoft.communication.") {
	case "callstarted":
		return CallStarted
	case "callended":
		return CallEnded
	case "rosterupdated", "callrosterupdate", "callrosterupdated":
		return RosterUpdated
	}
	return CallOther
}

// Roster is who came, changed or, with a RemovedState, left, in whichever form
// the event tells it.
func (e *CallEvent) Roster() []Participant {
	all := append(append([]Participant(nil), e.Participants...), e.Everyone...)
	for _, came := range [][]EventMember{e.Joined, e.JoinedDelta} {
		for i := range came {
			all = append(all, came[i].participant())
		}
	}
	for _, left := range [][]EventMember{e.Exited, e.ExitedDelta} {
		for i := range left {
			p := left[i].participant()
			p.RemovedState = &RemovedState{Reason: reasonExited}
			all = append(all, p)
		}
	}
	return all
}

func (m *EventMember) participant() Participant {
	set := m.Identity
	if set == nil && m.AzureCommunicationServicesUser != nil {
		set = &IdentitySet{AzureCommunicationServicesUser: m.AzureCommunicationServicesUser}
	}
	p := Participant{ID: m.ID, Extra: m.Extra}
	if set != nil {
		p.Info = &ParticipantInfo{Identity: set}
	}
	return p
}

// Removal is why somebody is no longer in a roster.
type Removal int

// Removals, told by the words of RemovedState.Reason. One with other words is
// RemovalOther; who is in the roster, the lobby included, has RemovalNone.
const (
	RemovalNone Removal = iota
	RemovalOther
	RemovalLeft
	RemovalInactive
)

// reasonExited is the reason of those who left in the form of 2021, which has
// no words for it.
const reasonExited = "exited"

var removalNames = [...]string{"none", "other", "left", "inactive"}

func (r Removal) String() string {
	if r < 0 || int(r) >= len(removalNames) {
		return "unknown"
	}
	return removalNames[r]
}

// Removal translates RemovedState. A participant whose network went away is
// inactive after a while; nothing tells before that.
func (p *Participant) Removal() Removal {
	if p.RemovedState == nil {
		return RemovalNone
	}
	reason := strings.ToLower(p.RemovedState.Reason)
	switch {
	case strings.Contains(reason, "inactive"):
		return RemovalInactive
	case strings.Contains(reason, "left") || reason == reasonExited:
		return RemovalLeft
	}
	return RemovalOther
}
