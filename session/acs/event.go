package acs

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/mixminus/mixminus/session"
)

// EventName is the type of a callback without its prefix, in the newest
// spelling: AddParticipantsSucceeded of Version2022 is AddParticipantSucceeded.
// A name that is not declared here stands as it came.
type EventName string

// The events of Call Automation. Source: azure-rest-api-specs, Call Automation
// 2022-04-07-preview and 2026-03-12.
const (
	CallConnected        EventName = "CallConnected"
	CallDisconnected     EventName = "CallDisconnected"
	CreateCallFailed     EventName = "CreateCallFailed"
	AnswerFailed         EventName = "AnswerFailed"
	ConnectFailed        EventName = "ConnectFailed"
	CallTransferAccepted EventName = "CallTransferAccepted"
	CallTransferFailed   EventName = "CallTransferFailed"
	HoldFailed           EventName = "HoldFailed"

	ParticipantsUpdated           EventName = "ParticipantsUpdated"
	AddParticipantSucceeded       EventName = "AddParticipantSucceeded"
	AddParticipantFailed          EventName = "AddParticipantFailed"
	RemoveParticipantSucceeded    EventName = "RemoveParticipantSucceeded"
	RemoveParticipantFailed       EventName = "RemoveParticipantFailed"
	CancelAddParticipantSucceeded EventName = "CancelAddParticipantSucceeded"
	CancelAddParticipantFailed    EventName = "CancelAddParticipantFailed"
	MoveParticipantSucceeded      EventName = "MoveParticipantSucceeded"
	MoveParticipantFailed         EventName = "MoveParticipantFailed"

	PlayStarted        EventName = "PlayStarted"
	PlayCompleted      EventName = "PlayCompleted"
	PlayFailed         EventName = "PlayFailed"
	PlayCanceled       EventName = "PlayCanceled"
	RecognizeCompleted EventName = "RecognizeCompleted"
	RecognizeFailed    EventName = "RecognizeFailed"
	RecognizeCanceled  EventName = "RecognizeCanceled"

	ContinuousDTMFToneReceived EventName = "ContinuousDtmfRecognitionToneReceived"
	ContinuousDTMFToneFailed   EventName = "ContinuousDtmfRecognitionToneFailed"
	ContinuousDTMFStopped      EventName = "ContinuousDtmfRecognitionStopped"
	SendDTMFTonesCompleted     EventName = "SendDtmfTonesCompleted"
	SendDTMFTonesFailed        EventName = "SendDtmfTonesFailed"

	RecordingStateChanged EventName = "RecordingStateChanged"
	StartRecordingFailed  EventName = "StartRecordingFailed"

	MediaStreamingStarted EventName = "MediaStreamingStarted"
	MediaStreamingStopped EventName = "MediaStreamingStopped"
	MediaStreamingFailed  EventName = "MediaStreamingFailed"

	TranscriptionStarted EventName = "TranscriptionStarted"
	TranscriptionStopped EventName = "TranscriptionStopped"
	TranscriptionUpdated EventName = "TranscriptionUpdated"
	TranscriptionFailed  EventName = "TranscriptionFailed"
)

// eventRow is what an event means.
type eventRow struct {
	name EventName
	kind session.EventKind
	// ends are the kinds of operation that it may end.
	ends []kind
}

// eventTable has every event. That a leg could not connect (ConnectFailed) is
// the failure of a call that was created here.
var eventTable = []eventRow{
	{CallConnected, session.EventConnected, nil},
	{CallDisconnected, session.EventDisconnected, nil},
	{CreateCallFailed, session.EventCreateFailed, nil},
	{AnswerFailed, session.EventAnswerFailed, nil},
	{ConnectFailed, session.EventCreateFailed, nil},
	{CallTransferAccepted, session.EventOperation, []kind{kindTransfer}},
	{CallTransferFailed, session.EventOperation, []kind{kindTransfer}},
	{HoldFailed, session.EventOperation, nil},

	{ParticipantsUpdated, session.EventParticipants, nil},
	{AddParticipantSucceeded, session.EventOperation, []kind{kindAdd}},
	{AddParticipantFailed, session.EventOperation, []kind{kindAdd}},
	{RemoveParticipantSucceeded, session.EventOperation, []kind{kindRemove}},
	{RemoveParticipantFailed, session.EventOperation, []kind{kindRemove}},
	{CancelAddParticipantSucceeded, session.EventOperation, []kind{kindCancelAdd}},
	{CancelAddParticipantFailed, session.EventOperation, []kind{kindCancelAdd}},
	{MoveParticipantSucceeded, session.EventOperation, []kind{kindMove}},
	{MoveParticipantFailed, session.EventOperation, []kind{kindMove}},

	{PlayStarted, session.EventOther, nil},
	{PlayCompleted, session.EventOperation, []kind{kindPlay}},
	{PlayFailed, session.EventOperation, []kind{kindPlay}},
	{PlayCanceled, session.EventOperation, []kind{kindPlay}},
	{RecognizeCompleted, session.EventOperation, []kind{kindRecognize}},
	{RecognizeFailed, session.EventOperation, []kind{kindRecognize}},
	{RecognizeCanceled, session.EventOperation, []kind{kindRecognize}},

	{ContinuousDTMFToneReceived, session.EventTone, nil},
	{ContinuousDTMFToneFailed, session.EventOther, nil},
	{ContinuousDTMFStopped, session.EventOperation, []kind{kindStopDTMF}},
	{SendDTMFTonesCompleted, session.EventOperation, []kind{kindSendDTMF}},
	{SendDTMFTonesFailed, session.EventOperation, []kind{kindSendDTMF}},

	{RecordingStateChanged, session.EventOther, nil},
	{StartRecordingFailed, session.EventOther, nil},

	{MediaStreamingStarted, session.EventMediaStarted, []kind{kindStartMedia}},
	{MediaStreamingStopped, session.EventMediaStopped, []kind{kindStopMedia}},
	{MediaStreamingFailed, session.EventMediaFailed, []kind{kindStartMedia, kindStopMedia}},

	{TranscriptionStarted, session.EventOther, []kind{kindStartScript}},
	{TranscriptionStopped, session.EventOther, []kind{kindStopScript}},
	{TranscriptionUpdated, session.EventOther, []kind{kindUpdateScript}},
	{TranscriptionFailed, session.EventOther, []kind{kindStartScript, kindStopScript, kindUpdateScript}},
}

// eventOf translates a type, with or without its prefix, in any case, and with
// the plural of Version2022.
func eventOf(eventType string) eventRow {
	name := eventType
	if len(name) > len(typePrefix) && strings.EqualFold(name[:len(typePrefix)], typePrefix) {
		name = name[len(typePrefix):]
	}
	for _, row := range eventTable {
		if strings.EqualFold(name, string(row.name)) || oldSpelling(name, string(row.name)) {
			return row
		}
	}
	return eventRow{name: EventName(name)}
}

// oldSpelling tells whether old is name with "Participants" for "Participant".
func oldSpelling(old, name string) bool {
	for _, verb := range []string{"Add", "Remove"} {
		if rest, ok := strings.CutPrefix(name, verb+"Participant"); ok {
			return strings.EqualFold(old, verb+"Participants"+rest)
		}
	}
	return false
}

func (n EventName) ends() []kind {
	for i := range eventTable {
		if eventTable[i].name == n {
			return eventTable[i].ends
		}
	}
	return nil
}

// failure tells whether an operation that ends so did not do what it was for.
func (n EventName) failure() bool {
	return strings.HasSuffix(string(n), "Failed") || strings.HasSuffix(string(n), "Canceled")
}

// Event is one callback. What its name has no word for is zero; enumerated
// values stand as they came, known or not.
type Event struct {
	Name EventName
	// Type as it came: "Microsoft.Communication.PlayCompleted".
	Type string
	// ID of the message.
	ID string
	// CallID is the callConnectionId.
	CallID           string
	ServerCallID     string
	CorrelationID    string
	OperationContext string
	Time             time.Time
	Result           Result

	// Participants is the roster of a ParticipantsUpdated, and whom other
	// events are about: of Add, Remove and Move.
	Participants []session.Participant
	// Sequence orders rosters and, of a tone, numbers it; 0 if none is told.
	Sequence int64
	// InvitationID of CancelAddParticipant.
	InvitationID string
	// FromCall is the callConnectionId that a participant was moved from.
	FromCall string
	// Target and Transferee of a CallTransferAccepted.
	Target, Transferee session.Identity
	// Recognition is the result of a RecognizeCompleted.
	Recognition Recognition
	// FailedSource is the index of the play source that failed, of PlayFailed
	// and RecognizeFailed; -1 if none is told.
	FailedSource int
	// Tone that was received: "five". Keys translates it.
	Tone string
	// Recording of a RecordingStateChanged or StartRecordingFailed.
	Recording Recording
	// Media and Transcription tell what became of a stream.
	Media         StreamUpdate
	Transcription StreamUpdate
	// Raw is the event as it came.
	Raw json.RawMessage
}

// Result is resultInformation. Source: "Troubleshooting response codes", Azure
// Communication Services.
type Result struct {
	Code, SubCode int
	Message       string
	// SIP and Q850 are the telephone network's own words (2026-03-12).
	SIP, Q850 Diagnostic
}

// Diagnostic is a code of the telephone network, 0 if none is told.
type Diagnostic struct {
	Code    int
	Message string
}

// Recognition is what was recognised.
type Recognition struct {
	// Type is dtmf, speech or choices.
	Type string `json:"type,omitempty"`
	// Tones as they came: "five", "pound". Keys translates them.
	Tones []string `json:"tones,omitempty"`
	// Label and Phrase of the choice that was made.
	Label  string `json:"label,omitempty"`
	Phrase string `json:"phrase,omitempty"`
	// Speech that was heard.
	Speech string `json:"speech,omitempty"`
	// Confidence in choice or speech, 0 to 1; 0 if none is told.
	Confidence float64 `json:"confidence,omitempty"`
}

// StreamUpdate is mediaStreamingUpdate or transcriptionUpdate.
type StreamUpdate struct {
	// ContentType is "Audio"; empty of a transcription.
	ContentType string
	// Status and Details, such as streamConnectionInterrupted, in the
	// service's words.
	Status, Details string
}

// ParseEvents reads what the service posts to a callback address: an array of
// CloudEvents or one alone. It is all or nothing; an error names the event and
// the field.
func ParseEvents(body []byte) ([]Event, error) {
	raws, err := elements(body)
	if err != nil {
		return nil, err
	}
	events := make([]Event, 0, len(raws))
	for i, raw := range raws {
		e, err := parseEvent(raw)
		if err != nil {
			return nil, eventError(i, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// EventOf is the event behind a notice that a Webhook delivered.
func EventOf(n session.Notice) (Event, error) { return parseEvent(n.Raw) }
