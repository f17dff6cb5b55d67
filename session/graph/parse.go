package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

func unmarshal(b []byte, v any) error { return rest.Unmarshal(b, v) }

func clip(s string) string { return rest.Clip(s) }

// checkAddress takes an address that the service is to go to: https, or http
// on this machine.
func checkAddress(what, address string) error {
	_, err := parseURL(what, address, false)
	return err
}

// parser reads the notifications of one envelope.
type parser struct {
	cloud string
	now   time.Time
}

// notice begins one about the call at p.
func (p parser) notice(n *notification, at place, raw json.RawMessage) session.Notice {
	return session.Notice{
		Type: strings.ToLower(n.ChangeType) + ":" + cmpKind(at), CallID: Key(at.callID), CallName: at.callID, Time: p.now, Raw: raw,
	}
}

func cmpKind(at place) string {
	if at.kind == "" {
		return "call"
	}
	return at.kind
}

// parse reads a notification by the type of its data, and where it has none by
// the path it is about.
func (p parser) parse(raw json.RawMessage) (it item, legacy bool, err error) {
	var n notification
	if err := unmarshal(raw, &n); err != nil {
		return it, false, err
	}
	path := n.ResourceURL
	if path == "" {
		path = n.Resource
	}
	at := parsePlace(path)
	if at.callID == "" {
		return it, false, fmt.Errorf("resourceUrl %q: names no call", clip(path))
	}
	legacy = n.ResourceURL == "" && n.SubscriptionID != ""
	data := bytes.TrimSpace(n.ResourceData)
	switch {
	case len(data) == 0 || string(data) == "null":
		return p.bare(&n, at, raw), legacy, nil
	case data[0] == '[':
		it, err = p.list(&n, at, data, raw)
	case data[0] == '{':
		it, err = p.object(&n, at, data, raw)
	default:
		err = errors.New("resourceData: want an object or an array")
	}
	return it, legacy, err
}

// bare reads a notification without data: what changed is in its path.
func (p parser) bare(n *notification, at place, raw json.RawMessage) item {
	notice := p.notice(n, at, raw)
	switch {
	case at.kind == "contentsharingsessions":
		notice.Kind = session.EventContentSharing
	case at.kind == "" && strings.EqualFold(n.ChangeType, "deleted"):
		notice.Kind = session.EventDisconnected
	}
	return item{Notices: []session.Notice{notice}}
}

// list reads an array: a whole roster, or content sharing sessions.
func (p parser) list(n *notification, at place, data []byte, raw json.RawMessage) (item, error) {
	notice := p.notice(n, at, raw)
	switch at.kind {
	case "participants":
		var rows []Participant
		if err := unmarshal(data, &rows); err != nil {
			return item{}, fmt.Errorf("resourceData: %w", err)
		}
		notice.Kind, notice.Participants = session.EventParticipants, Rows(rows)
	case "contentsharingsessions":
		notice.Kind = session.EventContentSharing
	}
	return item{Notices: []session.Notice{notice}}, nil
}

// object reads one resource.
func (p parser) object(n *notification, at place, data []byte, raw json.RawMessage) (item, error) {
	var head struct {
		Type string `json:"@odata.type"`
	}
	if err := unmarshal(data, &head); err != nil {
		return item{}, fmt.Errorf("resourceData: %w", err)
	}
	it, err := p.resource(strings.ToLower(kindOf(head.Type)), n, at, data, raw)
	if err != nil {
		return item{}, fmt.Errorf("resourceData: %w", err)
	}
	return it, nil
}

func (p parser) resource(kind string, n *notification, at place, data []byte, raw json.RawMessage) (item, error) {
	switch {
	case kind == "participantjoiningnotification":
		return p.joining(at, data, raw)
	case kind == "participantleftnotification":
		notice := p.notice(n, at, raw)
		notice.Kind = session.EventParticipantLeft
		return item{Notices: []session.Notice{notice}}, nil
	case kind == "deltaparticipants":
		return p.delta(n, at, data, raw)
	case strings.HasSuffix(kind, "operation") || at.kind == "operations":
		return p.operation(n, at, data, raw)
	case kind == "contentsharingsession" || at.kind == "contentsharingsessions":
		notice := p.notice(n, at, raw)
		notice.Kind = session.EventContentSharing
		return item{Notices: []session.Notice{notice}}, nil
	case kind == "participant" || at.kind == "participants":
		return p.participant(n, at, data, raw)
	case kind == "call" || kind == "" && at.kind == "":
		return p.call(n, at, data, raw)
	}
	return item{Notices: []session.Notice{p.notice(n, at, raw)}}, nil
}

func (p parser) joining(at place, data []byte, raw json.RawMessage) (item, error) {
	var told ParticipantJoining
	if err := unmarshal(data, &told); err != nil {
		return item{}, err
	}
	j := &Joining{CallID: at.callID, Key: Key(at.callID), Arrived: p.now, Raw: raw}
	if told.Call != nil {
		j.Call = *told.Call
		if told.Call.Source != nil {
			j.From = told.Call.Source.Identity.Party()
		}
	}
	return item{Joining: j}, nil
}

func (p parser) delta(n *notification, at place, data []byte, raw json.RawMessage) (item, error) {
	var told DeltaParticipants
	if err := unmarshal(data, &told); err != nil {
		return item{}, err
	}
	notice := p.notice(n, at, raw)
	notice.Kind, notice.Delta, notice.Sequence = session.EventParticipants, true, told.SequenceNumber
	notice.Participants = Rows(told.Participants)
	return item{Notices: []session.Notice{notice}}, nil
}

// participant reads a row by itself: a change without a number, which cannot
// be put in order with others, so that it is told and not applied.
func (p parser) participant(n *notification, at place, data []byte, raw json.RawMessage) (item, error) {
	var told Participant
	if err := unmarshal(data, &told); err != nil {
		return item{}, err
	}
	return item{Notices: []session.Notice{p.notice(n, at, raw)}}, nil
}

func (p parser) operation(n *notification, at place, data []byte, raw json.RawMessage) (item, error) {
	var op CommsOperation
	if err := unmarshal(data, &op); err != nil {
		return item{}, err
	}
	if op.ID == "" {
		op.ID = at.id
	}
	notice := p.notice(n, at, raw)
	notice.Kind, notice.OperationContext = session.EventOperation, op.ClientContext
	notice.Type += ":" + kindOf(op.ODataType) + ":" + string(op.Status)
	result(&notice, op.ResultInfo)
	return item{Notices: []session.Notice{notice}, Operation: &op, CallKey: Key(at.callID)}, nil
}

func result(n *session.Notice, r *ResultInfo) {
	if r != nil {
		n.Code, n.SubCode, n.Message = int(r.Code), int(r.Subcode), r.Message
	}
}

// call reads a call: one that rings, a key that was pressed, or its state.
func (p parser) call(n *notification, at place, data []byte, raw json.RawMessage) (item, error) {
	var told Call
	if err := unmarshal(data, &told); err != nil {
		return item{}, err
	}
	if told.State.is("incoming") && !strings.EqualFold(n.ChangeType, "deleted") {
		return item{Incoming: p.incoming(&told, at, data)}, nil
	}
	notice := p.notice(n, at, raw)
	result(&notice, told.ResultInfo)
	notices := []session.Notice{notice}
	if told.ToneInfo != nil {
		tone := notice
		key, ok := toneKey(told.ToneInfo.Tone)
		if !ok {
			return item{}, fmt.Errorf("toneInfo.tone %q: is no key", clip(string(told.ToneInfo.Tone)))
		}
		tone.Kind, tone.Tone, tone.Sequence = session.EventTone, key, told.ToneInfo.SequenceID
		notices = append(notices, tone)
	}
	notices[0].Kind, notices[0].Phase = kindOfState(n.ChangeType, &told)
	if notices[0].Kind == session.EventOther && len(notices) > 1 {
		notices = notices[1:]
	}
	return item{Notices: notices}, nil
}

// kindOfState translates a call's state. A deleted call is over, whatever it
// says of its state.
func kindOfState(changeType string, c *Call) (session.EventKind, session.CallPhase) {
	if strings.EqualFold(changeType, "deleted") {
		return session.EventDisconnected, session.PhaseActive
	}
	state, phase := stateOf(c.State)
	switch state {
	case session.StateConnecting:
		return session.EventConnecting, session.PhaseActive
	case session.StateConnected:
		if phase != session.PhaseActive {
			return session.EventPhase, phase
		}
		return session.EventConnected, phase
	case session.StateDisconnecting:
		return session.EventDisconnecting, session.PhaseActive
	case session.StateDisconnected:
		return session.EventDisconnected, session.PhaseActive
	}
	return session.EventOther, session.PhaseActive
}

// incoming reads a call that rings. What a policy brings rings for 5 s only.
func (p parser) incoming(c *Call, at place, data []byte) *session.Incoming {
	in := &session.Incoming{
		Cloud: p.cloud, ID: Key(at.callID), CallID: at.callID, Key: Key(at.callID), Arrived: p.now,
		AnswerWithin: answerWithin, Raw: bytes.Clone(data),
	}
	if c.Source != nil {
		in.From = c.Source.Identity.Party()
	}
	if len(c.Targets) > 0 {
		in.To = c.Targets[0].Identity.Party()
	}
	bot := c.ApplicationMetadata != nil && c.ApplicationMetadata.BotData != nil
	if bot || c.MeetingInfo != nil && strings.HasSuffix(strings.ToLower(c.MeetingInfo.ODataType), "tokenmeetinginfo") {
		in.Policy, in.AnswerWithin = true, answerPolicyWithin
	}
	return in
}
