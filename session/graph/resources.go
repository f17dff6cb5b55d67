package graph

import "reflect"

// The resources that come and go by themselves. What lies within them is read
// and written with them.

type plainCall Call

// UnmarshalJSON implements json.Unmarshaler.
func (c *Call) UnmarshalJSON(data []byte) error { return readOpen(data, (*plainCall)(c)) }

// MarshalJSON implements json.Marshaler.
func (c Call) MarshalJSON() ([]byte, error) { return writeOpen(reflect.ValueOf(plainCall(c))) }

type plainParticipant Participant

// UnmarshalJSON implements json.Unmarshaler.
func (p *Participant) UnmarshalJSON(data []byte) error { return readOpen(data, (*plainParticipant)(p)) }

// MarshalJSON implements json.Marshaler.
func (p Participant) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainParticipant(p)))
}

type plainDeltaParticipants DeltaParticipants

// UnmarshalJSON implements json.Unmarshaler.
func (d *DeltaParticipants) UnmarshalJSON(data []byte) error {
	return readOpen(data, (*plainDeltaParticipants)(d))
}

// MarshalJSON implements json.Marshaler.
func (d DeltaParticipants) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainDeltaParticipants(d)))
}

type plainParticipantJoining ParticipantJoining

// UnmarshalJSON implements json.Unmarshaler.
func (p *ParticipantJoining) UnmarshalJSON(data []byte) error {
	return readOpen(data, (*plainParticipantJoining)(p))
}

// MarshalJSON implements json.Marshaler.
func (p ParticipantJoining) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainParticipantJoining(p)))
}

type plainParticipantLeft ParticipantLeft

// UnmarshalJSON implements json.Unmarshaler.
func (p *ParticipantLeft) UnmarshalJSON(data []byte) error {
	return readOpen(data, (*plainParticipantLeft)(p))
}

// MarshalJSON implements json.Marshaler.
func (p ParticipantLeft) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainParticipantLeft(p)))
}

type plainContentSharingSession ContentSharingSession

// UnmarshalJSON implements json.Unmarshaler.
func (c *ContentSharingSession) UnmarshalJSON(data []byte) error {
	return readOpen(data, (*plainContentSharingSession)(c))
}

// MarshalJSON implements json.Marshaler.
func (c ContentSharingSession) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainContentSharingSession(c)))
}

type plainAudioRoutingGroup AudioRoutingGroup

// UnmarshalJSON implements json.Unmarshaler.
func (a *AudioRoutingGroup) UnmarshalJSON(data []byte) error {
	return readOpen(data, (*plainAudioRoutingGroup)(a))
}

// MarshalJSON implements json.Marshaler.
func (a AudioRoutingGroup) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainAudioRoutingGroup(a)))
}

type plainCommsOperation CommsOperation

// UnmarshalJSON implements json.Unmarshaler.
func (o *CommsOperation) UnmarshalJSON(data []byte) error {
	return readOpen(data, (*plainCommsOperation)(o))
}

// MarshalJSON implements json.Marshaler.
func (o CommsOperation) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainCommsOperation(o)))
}

type plainIdentitySet IdentitySet

// UnmarshalJSON implements json.Unmarshaler.
func (s *IdentitySet) UnmarshalJSON(data []byte) error { return readOpen(data, (*plainIdentitySet)(s)) }

// MarshalJSON implements json.Marshaler.
func (s IdentitySet) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainIdentitySet(s)))
}

type plainInvitationParticipantInfo InvitationParticipantInfo

// UnmarshalJSON implements json.Unmarshaler.
func (i *InvitationParticipantInfo) UnmarshalJSON(data []byte) error {
	return readOpen(data, (*plainInvitationParticipantInfo)(i))
}

// MarshalJSON implements json.Marshaler.
func (i InvitationParticipantInfo) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainInvitationParticipantInfo(i)))
}
