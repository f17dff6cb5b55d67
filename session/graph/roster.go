package graph

import "time"

// Participant is a row of a call's roster (resource participant).
type Participant struct {
	ODataType            string           `json:"@odata.type,omitzero"`
	ID                   string           `json:"id,omitzero"`
	Info                 *ParticipantInfo `json:"info,omitzero"`
	MediaStreams         []MediaStream    `json:"mediaStreams,omitzero"`
	IsMuted              bool             `json:"isMuted,omitzero"`
	IsInLobby            bool             `json:"isInLobby,omitzero"`
	Metadata             string           `json:"metadata,omitzero"`
	RecordingInfo        *RecordingInfo   `json:"recordingInfo,omitzero"`
	RemovedState         *RemovedState    `json:"removedState,omitzero"`
	RosterSequenceNumber int64            `json:"rosterSequenceNumber,omitzero"`
	Extra                Extra            `json:"-"`
}

// MediaStream is one of a participant's streams. SourceID is a number in a
// string: the media source id (MSI).
type MediaStream struct {
	ODataType   string `json:"@odata.type,omitzero"`
	MediaType   Enum   `json:"mediaType,omitzero"`
	Label       string `json:"label,omitzero"`
	SourceID    string `json:"sourceId,omitzero"`
	Direction   Enum   `json:"direction,omitzero"`
	ServerMuted bool   `json:"serverMuted,omitzero"`
	Extra       Extra  `json:"-"`
}

// RecordingInfo tells who records the call, if somebody does.
type RecordingInfo struct {
	ODataType       string           `json:"@odata.type,omitzero"`
	Initiator       *ParticipantInfo `json:"initiator,omitzero"`
	RecordingStatus Enum             `json:"recordingStatus,omitzero"`
	Extra           Extra            `json:"-"`
}

// RemovedState of a participant in a delta: it is no longer one.
type RemovedState struct {
	ODataType string `json:"@odata.type,omitzero"`
	Reason    string `json:"reason,omitzero"`
	Extra     Extra  `json:"-"`
}

// DeltaParticipants are the rows of a roster that changed.
type DeltaParticipants struct {
	ODataType      string        `json:"@odata.type,omitzero"`
	ID             string        `json:"id,omitzero"`
	SequenceNumber int64         `json:"sequenceNumber,omitzero"`
	Participants   []Participant `json:"participants,omitzero"`
	Extra          Extra         `json:"-"`
}

// ParticipantJoining is participantJoiningNotification: may Call's source be
// taken into the call that is asked?
type ParticipantJoining struct {
	ODataType string `json:"@odata.type,omitzero"`
	ID        string `json:"id,omitzero"`
	Call      *Call  `json:"call,omitzero"`
	Extra     Extra  `json:"-"`
}

// ParticipantLeft is participantLeftNotification.
type ParticipantLeft struct {
	ODataType     string `json:"@odata.type,omitzero"`
	ID            string `json:"id,omitzero"`
	ParticipantID string `json:"participantId,omitzero"`
	Call          *Call  `json:"call,omitzero"`
	Extra         Extra  `json:"-"`
}

// ContentSharingSession is one period of sharing in a call.
type ContentSharingSession struct {
	ODataType              string `json:"@odata.type,omitzero"`
	ID                     string `json:"id,omitzero"`
	PresenterParticipantID string `json:"presenterParticipantId,omitzero"` // beta
	Extra                  Extra  `json:"-"`
}

// AudioRoutingGroup lets some participants hear some others alone. IDs are
// those of participants.
type AudioRoutingGroup struct {
	ODataType   string   `json:"@odata.type,omitzero"`
	ID          string   `json:"id,omitzero"`
	RoutingMode Enum     `json:"routingMode,omitzero"`
	Sources     []string `json:"sources,omitzero"`
	Receivers   []string `json:"receivers,omitzero"`
	Extra       Extra    `json:"-"`
}

// CommsOperation is a request that goes on after its response, of any kind;
// ODataType tells which.
type CommsOperation struct {
	ODataType     string      `json:"@odata.type,omitzero"`
	ID            string      `json:"id,omitzero"`
	ClientContext string      `json:"clientContext,omitzero"`
	Status        Enum        `json:"status,omitzero"` // notStarted, running, completed, failed
	ResultInfo    *ResultInfo `json:"resultInfo,omitzero"`
	// CompletionReason of playPromptOperation, recordOperation and
	// sendDtmfTonesOperation.
	CompletionReason Enum `json:"completionReason,omitzero"`
	// RecordingLocation and RecordingAccessToken, which is a secret, are a
	// recordOperation's.
	RecordingLocation    string                      `json:"recordingLocation,omitzero"`
	RecordingAccessToken string                      `json:"recordingAccessToken,omitzero"`
	Participants         []InvitationParticipantInfo `json:"participants,omitzero"`
	CreatedDateTime      time.Time                   `json:"createdDateTime,omitzero"`
	Extra                Extra                       `json:"-"`
}

// over tells whether the operation has ended: no notification follows.
func (o *CommsOperation) over() bool { return o.Status.is("completed") || o.Status.is("failed") }
