package acs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// typePrefix begins the type of every callback.
const typePrefix = "Microsoft.Communication."

// callback is a CloudEvent (CNCF CloudEvents 1.0, JSON format) about a call:
// what must be right for session to work with it.
type callback struct {
	ID      string `json:"id"`
	Source  string `json:"source"`
	Subject string `json:"subject"`
	Type    string `json:"type"`
	Time    stamp  `json:"time"`
	Data    struct {
		CallConnectionID string            `json:"callConnectionId"`
		OperationContext string            `json:"operationContext"`
		Result           resultInformation `json:"resultInformation"`
		SequenceNumber   number            `json:"sequenceNumber"`
		// Participants is a pointer so that a roster that is missing is not
		// taken for one that is empty.
		Participants *[]participant `json:"participants"`
	} `json:"data"`
}

type resultInformation struct {
	Code    number `json:"code"`
	SubCode number `json:"subCode"`
	Message string `json:"message"`
}

// participant is CallParticipant. In 2022-04-07-preview the roster's rows are
// the identifiers themselves: the embedded part.
type participant struct {
	identifier
	Identifier *identifier `json:"identifier"`
	Muted      bool        `json:"isMuted"`
	OnHold     bool        `json:"isOnHold"`
}

// row is the participant in the words of session; its RawID is empty if the
// identifier is missing.
func (p *participant) row() session.Participant {
	id := &p.identifier
	if p.Identifier != nil {
		id = p.Identifier
	}
	return session.Participant{Identity: session.Identity{RawID: id.raw()}, Muted: p.Muted, OnHold: p.OnHold}
}

// details is what events of single types have. One that is of a wrong type is
// left out: an event must not be lost for its ornament.
type details struct {
	Data struct {
		ServerCallID  string `json:"serverCallId"`
		CorrelationID string `json:"correlationId"`
		Result        struct {
			SIP  diagnostic `json:"sipDetails"`
			Q850 diagnostic `json:"q850Details"`
		} `json:"resultInformation"`
		// Participant of Add, Remove and Move; a list in Version2022.
		Participant  *identifier   `json:"participant"`
		Participants []participant `json:"participants"`
		InvitationID string        `json:"invitationId"`
		FromCall     string        `json:"fromCall"`
		Target       identifier    `json:"transferTarget"`
		Transferee   identifier    `json:"transferee"`

		RecognitionType string `json:"recognitionType"`
		DTMF            tones  `json:"dtmfResult"`
		// Collected is the dtmfResult of Version2022.
		Collected tones `json:"collectTonesResult"`
		Choice    struct {
			Label      string  `json:"label"`
			Phrase     string  `json:"recognizedPhrase"`
			Confidence float64 `json:"confidence"`
		} `json:"choiceResult"`
		Speech struct {
			Speech     string  `json:"speech"`
			Confidence float64 `json:"confidence"`
		} `json:"speechResult"`
		FailedSource *number `json:"failedPlaySourceIndex"`

		SequenceID number `json:"sequenceId"`
		Tone       string `json:"tone"`

		recordingModel
		State string `json:"state"`
		Start stamp  `json:"startDateTime"`

		Media struct {
			ContentType string `json:"contentType"`
			Status      string `json:"mediaStreamingStatus"`
			Details     string `json:"mediaStreamingStatusDetails"`
		} `json:"mediaStreamingUpdate"`
		Transcription struct {
			Status  string `json:"transcriptionStatus"`
			Details string `json:"transcriptionStatusDetails"`
		} `json:"transcriptionUpdate"`
	} `json:"data"`
}

type diagnostic struct {
	Code    number `json:"code"`
	Message string `json:"message"`
}

func (d diagnostic) of() Diagnostic { return Diagnostic{int(d.Code), d.Message} }

type tones struct {
	Tones []string `json:"tones"`
}

// eventError names the event of a delivery that is wrong.
func eventError(i int, err error) error { return fmt.Errorf("event %d: %w", i, err) }

// parseEvent reads one CloudEvent. An event of a type that session has no kind
// for is read as far as it can be, whatever its data are.
func parseEvent(raw json.RawMessage) (Event, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := rest.Unmarshal(raw, &head); err != nil {
		return Event{}, err
	}
	if head.Type == "" {
		return Event{}, errors.New("type is missing")
	}
	row := eventOf(head.Type)
	var cb callback
	if err := rest.Unmarshal(raw, &cb); err != nil && row.kind != session.EventOther {
		return Event{}, fmt.Errorf("%s: %w", rest.Clip(head.Type), err)
	}
	d := &cb.Data
	e := Event{
		Name: row.name, Type: head.Type, ID: cb.ID, Time: time.Time(cb.Time), OperationContext: d.OperationContext,
		CallID:       first(d.CallConnectionID, callIDIn(cb.Source), callIDIn(cb.Subject)),
		Result:       Result{Code: int(d.Result.Code), SubCode: int(d.Result.SubCode), Message: d.Result.Message},
		FailedSource: -1, Raw: raw,
	}
	if row.kind != session.EventOther && e.CallID == "" {
		return Event{}, fmt.Errorf("%s: data.callConnectionId is missing", rest.Clip(head.Type))
	}
	if row.kind == session.EventParticipants {
		var err error
		if e.Participants, err = parseRoster(d.Participants); err != nil {
			return Event{}, fmt.Errorf("%s: %w", rest.Clip(head.Type), err)
		}
		e.Sequence = int64(d.SequenceNumber)
	}
	e.addDetails(raw, row.kind)
	return e, nil
}

// addDetails reads what belongs to the event's type.
func (e *Event) addDetails(raw json.RawMessage, kind session.EventKind) {
	var all details
	_ = json.Unmarshal(raw, &all) // goes on past a value of a wrong type
	d := &all.Data
	e.ServerCallID, e.CorrelationID = d.ServerCallID, d.CorrelationID
	e.Result.SIP, e.Result.Q850 = d.Result.SIP.of(), d.Result.Q850.of()
	e.InvitationID, e.FromCall = d.InvitationID, d.FromCall
	e.Target.RawID, e.Transferee.RawID = d.Target.raw(), d.Transferee.raw()
	if kind != session.EventParticipants {
		if d.Participant != nil {
			d.Participants = append(d.Participants, participant{Identifier: d.Participant})
		}
		for i := range d.Participants {
			if p := d.Participants[i].row(); p.RawID != "" {
				e.Participants = append(e.Participants, p)
			}
		}
	}
	e.Recognition = Recognition{
		Type: d.RecognitionType, Tones: append(d.DTMF.Tones, d.Collected.Tones...),
		Label: d.Choice.Label, Phrase: d.Choice.Phrase, Speech: d.Speech.Speech,
		Confidence: max(d.Choice.Confidence, d.Speech.Confidence),
	}
	if d.FailedSource != nil {
		e.FailedSource = int(*d.FailedSource)
	}
	if d.Tone != "" {
		e.Tone, e.Sequence = d.Tone, int64(d.SequenceID)
	}
	e.Recording = d.recording()
	e.Recording.State = first(d.State, e.Recording.State)
	e.Recording.Start = time.Time(d.Start)
	e.Media = StreamUpdate{d.Media.ContentType, d.Media.Status, d.Media.Details}
	e.Transcription = StreamUpdate{Status: d.Transcription.Status, Details: d.Transcription.Details}
}

// Notice is the event in the words of session. A key that session has no
// letter for makes it EventOther.
func (e *Event) Notice() session.Notice {
	n := session.Notice{
		Kind: eventOf(e.Type).kind, Type: e.Type, ID: e.ID, CallID: e.CallID, Time: e.Time,
		Code: e.Result.Code, SubCode: e.Result.SubCode, Message: e.Result.Message,
		Reason: e.Media.Details, OperationContext: e.OperationContext, Raw: e.Raw,
	}
	switch n.Kind {
	case session.EventParticipants:
		n.Participants, n.Sequence = e.Participants, e.Sequence
	case session.EventTone:
		tone, ok := toneKey(e.Tone)
		if !ok {
			n.Kind = session.EventOther
			break
		}
		n.Tone = tone
		if e.ID == "" {
			// Numbers begin anew with every recognition, ids do not.
			n.Sequence = e.Sequence
		}
	}
	return n
}

func parseRoster(rows *[]participant) ([]session.Participant, error) {
	if rows == nil {
		return nil, errors.New("data.participants is missing")
	}
	roster := make([]session.Participant, 0, len(*rows))
	for i := range *rows {
		p := (*rows)[i].row()
		if p.RawID == "" {
			return nil, fmt.Errorf("data.participants[%d]: identifier is missing", i)
		}
		roster = append(roster, p)
	}
	return roster, nil
}

// callIDIn reads the id from "calling/callConnections/{id}[/EventName]", the
// form of source and subject.
func callIDIn(path string) string {
	const prefix = "calling/callconnections/"
	path = strings.TrimPrefix(path, "/")
	if len(path) < len(prefix) || !strings.EqualFold(path[:len(prefix)], prefix) {
		return ""
	}
	id, _, _ := strings.Cut(path[len(prefix):], "/")
	return id
}
