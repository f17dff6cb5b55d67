package cloud

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// cloudEvent is the envelope of a callback (CloudEvents 1.0).
type cloudEvent struct {
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Data            eventData `json:"data"`
	Time            string    `json:"time"`
	SpecVersion     string    `json:"specversion"`
	DataContentType string    `json:"datacontenttype"`
	Subject         string    `json:"subject"`
}

// eventData is the data of all events; each fills its own part.
type eventData struct {
	EventSource           string               `json:"eventSource,omitempty"`
	OperationContext      string               `json:"operationContext,omitempty"`
	ResultInformation     *Result              `json:"resultInformation,omitempty"`
	MediaStreamingUpdate  *mediaUpdate         `json:"mediaStreamingUpdate,omitempty"`
	TranscriptionUpdate   *transcriptionUpdate `json:"transcriptionUpdate,omitempty"`
	Participants          any                  `json:"participants,omitempty"`
	Participant           *identifier          `json:"participant,omitempty"`
	SequenceNumber        int                  `json:"sequenceNumber,omitempty"`
	InvitationID          string               `json:"invitationId,omitempty"`
	FromCall              string               `json:"fromCall,omitempty"`
	TransferTarget        *identifier          `json:"transferTarget,omitempty"`
	Transferee            *identifier          `json:"transferee,omitempty"`
	RecognitionType       string               `json:"recognitionType,omitempty"`
	DtmfResult            *tonesModel          `json:"dtmfResult,omitempty"`
	CollectTonesResult    *tonesModel          `json:"collectTonesResult,omitempty"` // 2022
	ChoiceResult          *choiceResult        `json:"choiceResult,omitempty"`
	SpeechResult          *speechResult        `json:"speechResult,omitempty"`
	FailedPlaySourceIndex *int                 `json:"failedPlaySourceIndex,omitempty"`
	SequenceID            int                  `json:"sequenceId,omitempty"`
	Tone                  string               `json:"tone,omitempty"`
	RecordingID           string               `json:"recordingId,omitempty"`
	State                 string               `json:"state,omitempty"`
	StartDateTime         string               `json:"startDateTime,omitempty"`
	RecordingKind         string               `json:"recordingKind,omitempty"`
	Type                  string               `json:"type,omitempty"` // 2022 only
	CallConnectionID      string               `json:"callConnectionId"`
	ServerCallID          string               `json:"serverCallId"`
	CorrelationID         string               `json:"correlationId"`
}

// mediaUpdate tells how the media stream is.
type mediaUpdate struct {
	ContentType                 string `json:"contentType"`
	MediaStreamingStatus        string `json:"mediaStreamingStatus"`
	MediaStreamingStatusDetails string `json:"mediaStreamingStatusDetails"`
}

// transcriptionUpdate tells how the transcription is.
type transcriptionUpdate struct {
	TranscriptionStatus        string `json:"transcriptionStatus"`
	TranscriptionStatusDetails string `json:"transcriptionStatusDetails"`
}

type tonesModel struct {
	Tones []string `json:"tones"`
}

type choiceResult struct {
	Label            string  `json:"label"`
	RecognizedPhrase string  `json:"recognizedPhrase,omitempty"`
	Confidence       float64 `json:"confidence,omitempty"`
}

type speechResult struct {
	Speech     string  `json:"speech"`
	Confidence float64 `json:"confidence,omitempty"`
}

// participantModel is a CallParticipant; isOnHold came with 2025-06-15.
type participantModel struct {
	Identifier identifier `json:"identifier"`
	IsMuted    bool       `json:"isMuted"`
	IsOnHold   *bool      `json:"isOnHold,omitempty"`
}

// shape takes from data what a version does not know of an event, and spells
// the rest as that does. It returns the event's name in it.
func (d *eventData) shape(name, version string) string {
	if resultVersions[name] > version {
		d.ResultInformation = nil
	}
	for _, id := range []*identifier{d.Participant, d.TransferTarget, d.Transferee} {
		if id != nil {
			*id = id.as(version)
		}
	}
	if version < version2025 {
		d.FailedPlaySourceIndex = nil
		if d.ChoiceResult != nil {
			d.ChoiceResult.Confidence = 0
		}
		if d.SpeechResult != nil {
			d.SpeechResult.Confidence = 0
		}
	}
	if version < version2024 {
		d.TransferTarget, d.Transferee, d.RecordingKind = nil, nil, ""
	}
	if version != version2022 {
		return name
	}
	if strings.HasPrefix(name, "AddParticipant") {
		name = strings.Replace(name, "Participant", "Participants", 1)
		d.Participants, d.Participant = []identifier{*d.Participant}, nil
	}
	d.CollectTonesResult, d.DtmfResult = d.DtmfResult, nil
	return name
}

// event shapes an event for the version that its call was made with.
func (c *acsCall) event(name string, data eventData, now time.Time) cloudEvent {
	path := "calling/callConnections/" + c.id
	if data.RecordingID != "" {
		path = "calling/recordings/" + c.serverCallID + "/recordingId/" + data.RecordingID
	}
	data.CallConnectionID, data.ServerCallID, data.CorrelationID = c.id, c.serverCallID, c.correlationID
	spelled := data.shape(name, c.order.version)
	if c.order.version == version2022 {
		// The service of 2022 put the event's name behind the path, and in
		// the data.
		path += "/" + spelled
		data.Type = lowerFirst(spelled)
	} else {
		data.EventSource = path
	}
	return cloudEvent{
		ID: uuid.NewString(), Source: path, Subject: path, Type: eventPrefix + spelled, Data: data,
		Time:        now.UTC().Format(eventTime),
		SpecVersion: "1.0", DataContentType: "application/json",
	}
}

const eventTime = "2006-01-02T15:04:05.0000000-07:00"

// emit queues an event for delivery to uri, or to the call's own callback if
// that is empty. It may be called from any goroutine, but not with Call.mu
// held. Events of goroutines that know nothing of each other have no order.
func (c *acsCall) emit(name string, data eventData, uri string) {
	if !eventKnown(name, c.order.version) {
		return
	}
	if uri == "" {
		uri = c.order.callbackURI
	}
	e := c.event(name, data, time.Now())
	c.events.add(posting{
		log: EventLog{Type: e.Type, ID: e.ID, Time: e.Time, Data: marshal(e.Data)},
		uri: uri, body: marshal([]cloudEvent{e}), bearer: c.server.issuer.authorization,
	}, c.faultsOf(strings.TrimPrefix(e.Type, eventPrefix)))
}

// tell is emit for the outcome of an operation.
func (c *acsCall) tell(name string, op opModel, result Result, data eventData) {
	data.OperationContext, data.ResultInformation = op.OperationContext, &result
	c.emit(name, data, op.OperationCallbackURI)
}

// lowerFirst is an event's name as members of events spell it.
func lowerFirst(event string) string { return strings.ToLower(event[:1]) + event[1:] }
