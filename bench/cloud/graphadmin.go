package cloud

import (
	"fmt"
	"net/http"
	"time"
)

// The part of the admin API that is about Graph:
//
//	POST   /v1/graph/incoming        ring a bot: graphIncomingRequest -> 201 {"id"}
//	POST   /v1/graph/meeting-events  meetingEventRequest -> 200 {"notified"}
//	POST   /v1/calls/{id}/admit      from the lobby -> 204
//	POST   /v1/calls/{id}/hold       {"on":true} -> 204
//	POST   /v1/calls/{id}/share      {"on":true}: content -> 204
//	POST   /v1/calls/{id}/join       Speaker -> 200 JoinDecision; 409: the call takes no more
var graphAdmin = map[string]adminFunc{
	"POST /v1/graph/incoming":       adminGraphIncoming,
	"POST /v1/graph/meeting-events": adminMeetingEvent,
	"POST /v1/calls/{id}/admit":     ofCall(adminAdmit),
	"POST /v1/calls/{id}/hold":      ofCall(adminSwitch((*Call).Hold)),
	"POST /v1/calls/{id}/share":     ofCall(adminSwitch((*Call).ShareContent)),
	"POST /v1/calls/{id}/join":      ofCall(adminJoin),
}

type graphIncomingRequest struct {
	scriptRequest
	App      string `json:"app,omitempty"`
	From     string `json:"from,omitempty"`
	Instance bool   `json:"instance,omitempty"`
	Meeting  bool   `json:"meeting,omitempty"`
	Policy   string `json:"policy,omitempty"`
}

func adminGraphIncoming(s *Server, r *http.Request, body []byte) (int, any, error) {
	var req graphIncomingRequest
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	script, err := req.script()
	if err != nil {
		return 0, nil, err
	}
	c, err := s.RingGraph(r.Context(), GraphRing{
		App: req.App, Script: script, From: req.From, Instance: req.Instance, Meeting: req.Meeting, Policy: req.Policy,
	})
	if err != nil {
		return http.StatusBadGateway, nil, err
	}
	return http.StatusCreated, map[string]string{"id": c.id}, nil
}

type meetingEventRequest struct {
	JoinWebURL   string                   `json:"join_web_url"`
	Type         MeetingCallEventType     `json:"type"`
	Time         time.Time                `json:"time,omitzero"`
	Participants []MeetingCallParticipant `json:"participants,omitempty"`
}

func adminMeetingEvent(s *Server, _ *http.Request, body []byte) (int, any, error) {
	var req meetingEventRequest
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	switch req.Type {
	case CallStarted, CallEnded, RosterUpdated:
	default:
		return 0, nil, fmt.Errorf("cloud: type: %q: want %s, %s or %s", req.Type, CallStarted, CallEnded, RosterUpdated)
	}
	n := s.MeetingEvent(req.JoinWebURL, MeetingCallEvent{Type: req.Type, Time: req.Time, Participants: req.Participants})
	return http.StatusOK, map[string]int{"notified": n}, nil
}

func adminAdmit(c *Call, _ *http.Request, _ []byte) (int, any, error) {
	c.Admit()
	return http.StatusNoContent, nil, nil
}

type switchRequest struct {
	On bool `json:"on"`
}

func adminSwitch(set func(*Call, bool)) func(*Call, *http.Request, []byte) (int, any, error) {
	return func(c *Call, _ *http.Request, body []byte) (int, any, error) {
		var req switchRequest
		if err := decodeAdmin(body, &req); err != nil {
			return 0, nil, err
		}
		set(c, req.On)
		return http.StatusNoContent, nil, nil
	}
}

func adminJoin(c *Call, r *http.Request, body []byte) (int, any, error) {
	var who Speaker
	if err := decodeAdmin(body, &who); err != nil {
		return 0, nil, err
	}
	if err := who.validate(); err != nil {
		return 0, nil, fmt.Errorf("cloud: %w", err)
	}
	d, err := c.Join(r.Context(), who)
	if err != nil {
		return http.StatusConflict, nil, err
	}
	return http.StatusOK, d, nil
}
