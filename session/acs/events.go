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

// Prefixes and names of event types.
const (
	typePrefix     = "Microsoft.Communication."
	typeIncoming   = "Microsoft.Communication.IncomingCall"
	typeValidation = "Microsoft.EventGrid.SubscriptionValidationEvent"
)

// callback is a CloudEvent (CNCF CloudEvents 1.0, JSON format) about a call.
type callback struct {
	ID      string       `json:"id"`
	Source  string       `json:"source"`
	Subject string       `json:"subject"`
	Type    string       `json:"type"`
	Time    stamp        `json:"time"`
	Data    callbackData `json:"data"`
}

type callbackData struct {
	CallConnectionID string            `json:"callConnectionId"`
	OperationContext string            `json:"operationContext"`
	Result           resultInformation `json:"resultInformation"`
	SequenceNumber   number            `json:"sequenceNumber"`
	// Participants is a pointer so that a roster that is missing is not
	// taken for one that is empty.
	Participants *[]participant `json:"participants"`
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

// eventKind translates the types that session knows, lower case and without
// prefix.
func eventKind(eventType string) session.EventKind {
	switch strings.TrimPrefix(strings.ToLower(eventType), strings.ToLower(typePrefix)) {
	case "callconnected":
		return session.EventConnected
	case "calldisconnected":
		return session.EventDisconnected
	case "participantsupdated":
		return session.EventParticipants
	case "mediastreamingstarted":
		return session.EventMediaStarted
	case "mediastreamingstopped":
		return session.EventMediaStopped
	case "mediastreamingfailed":
		return session.EventMediaFailed
	case "createcallfailed":
		return session.EventCreateFailed
	case "answerfailed":
		return session.EventAnswerFailed
	}
	return session.EventOther
}

// parseCallbacks reads what the service posts to callbackUri: an array of
// CloudEvents or one alone. It is all or nothing; an error names the event and
// the field. An event of a type that session has no kind for comes as
// EventOther, whatever its data are.
func parseCallbacks(body []byte) ([]session.Notice, error) {
	raws, err := elements(body)
	if err != nil {
		return nil, err
	}
	notices := make([]session.Notice, 0, len(raws))
	for i, raw := range raws {
		n, err := parseCallback(raw)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		notices = append(notices, n)
	}
	return notices, nil
}

func parseCallback(raw json.RawMessage) (session.Notice, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := rest.Unmarshal(raw, &head); err != nil {
		return session.Notice{}, err
	}
	if head.Type == "" {
		return session.Notice{}, errors.New("type is missing")
	}
	kind := eventKind(head.Type)
	var e callback
	if err := rest.Unmarshal(raw, &e); err != nil && kind != session.EventOther {
		return session.Notice{}, fmt.Errorf("%s: %w", rest.Clip(head.Type), err)
	}
	n := session.Notice{
		Kind: kind, Type: head.Type, ID: e.ID,
		CallID:           first(e.Data.CallConnectionID, callIDIn(e.Source), callIDIn(e.Subject)),
		Time:             time.Time(e.Time),
		Code:             int(e.Data.Result.Code),
		SubCode:          int(e.Data.Result.SubCode),
		Message:          e.Data.Result.Message,
		OperationContext: e.Data.OperationContext,
		Raw:              raw,
	}
	if kind == session.EventOther {
		return n, nil
	}
	if n.CallID == "" {
		return session.Notice{}, fmt.Errorf("%s: data.callConnectionId is missing", rest.Clip(head.Type))
	}
	if kind != session.EventParticipants {
		return n, nil
	}
	roster, err := parseRoster(e.Data.Participants)
	if err != nil {
		return session.Notice{}, fmt.Errorf("%s: %w", rest.Clip(head.Type), err)
	}
	n.Participants, n.Sequence = roster, int64(e.Data.SequenceNumber)
	return n, nil
}

func parseRoster(rows *[]participant) ([]session.Participant, error) {
	if rows == nil {
		return nil, errors.New("data.participants is missing")
	}
	roster := make([]session.Participant, 0, len(*rows))
	for i := range *rows {
		row := &(*rows)[i]
		id := &row.identifier
		if row.Identifier != nil {
			id = row.Identifier
		}
		raw := id.raw()
		if raw == "" {
			return nil, fmt.Errorf("data.participants[%d]: identifier is missing", i)
		}
		roster = append(roster, session.Participant{
			Identity: session.Identity{RawID: raw}, Muted: row.Muted, OnHold: row.OnHold,
		})
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

// gridEvent is an event of the Event Grid schema, or, by its type and time, of
// the CloudEvents schema that a subscription may choose instead.
type gridEvent struct {
	ID        string `json:"id"`
	EventType string `json:"eventType"`
	Type      string `json:"type"`
	Data      struct {
		ValidationCode string     `json:"validationCode"`
		To             identifier `json:"to"`
		From           identifier `json:"from"`
		CallerName     string     `json:"callerDisplayName"`
		ServerCallID   string     `json:"serverCallId"`
		CorrelationID  string     `json:"correlationId"`
		Context        string     `json:"incomingCallContext"`
	} `json:"data"`
}

// gridDelivery is what one delivery of Event Grid holds.
type gridDelivery struct {
	// Validation is the code to answer a subscription's handshake with.
	Validation string
	// Incoming calls, without the name of the cloud.
	Incoming []session.Incoming
	// Ignored counts events of other types, which are no business of calls.
	Ignored int
}

// parseGrid reads a delivery of Event Grid, all or nothing. It never puts an
// incomingCallContext into an error.
func parseGrid(body []byte, now time.Time) (gridDelivery, error) {
	var d gridDelivery
	raws, err := elements(body)
	if err != nil {
		return d, err
	}
	for i, raw := range raws {
		if err := d.add(raw, now); err != nil {
			return gridDelivery{}, fmt.Errorf("event %d: %w", i, err)
		}
	}
	return d, nil
}

func (d *gridDelivery) add(raw json.RawMessage, now time.Time) error {
	var head struct {
		EventType string `json:"eventType"`
		Type      string `json:"type"`
	}
	if err := rest.Unmarshal(raw, &head); err != nil {
		return err
	}
	eventType := first(head.EventType, head.Type)
	incoming := strings.EqualFold(eventType, typeIncoming)
	switch {
	case eventType == "":
		return errors.New("eventType is missing")
	case !incoming && !strings.EqualFold(eventType, typeValidation):
		d.Ignored++
		return nil
	}
	var e gridEvent
	if err := rest.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("%s: %w", rest.Clip(eventType), err)
	}
	if !incoming {
		if e.Data.ValidationCode == "" {
			return fmt.Errorf("%s: data.validationCode is missing", rest.Clip(eventType))
		}
		d.Validation = e.Data.ValidationCode
		return nil
	}
	if e.Data.Context == "" {
		return fmt.Errorf("%s: data.incomingCallContext is missing", rest.Clip(eventType))
	}
	id := first(e.Data.CorrelationID, e.Data.ServerCallID, e.ID)
	if id == "" {
		return fmt.Errorf("%s: data.correlationId is missing", rest.Clip(eventType))
	}
	d.Incoming = append(d.Incoming, session.Incoming{
		ID: id, Context: e.Data.Context,
		From:    session.Identity{RawID: e.Data.From.raw(), Name: e.Data.CallerName},
		To:      session.Identity{RawID: e.Data.To.raw()},
		Arrived: now,
	})
	return nil
}
