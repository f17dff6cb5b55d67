package cloud

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// The part of the admin API that is about Communication Services. A
// participant's pid is their raw id:
//
//	PUT    /v1/invitee               how people whom the bot adds take it: inviteeRequest -> 204
//	GET    /v1/recordings            -> [Recording]
//	GET    /v1/recordings/{rid}      the WAV file of one that has ended
//	POST   /v1/calls/{id}/speak      Speaker: says it now, and joins if need be -> 204
//	POST   /v1/calls/{id}/participants/{pid}/dtmf  {"tone":"5"} -> 204
var acsAdmin = map[string]adminFunc{
	"PUT /v1/invitee":                             adminInvitee,
	"GET /v1/recordings":                          adminRecordings,
	"GET /v1/recordings/{rid}":                    adminRecording,
	"POST /v1/calls/{id}/speak":                   ofCall(adminSpeak),
	"POST /v1/calls/{id}/participants/{pid}/dtmf": ofCall(adminPress),
}

// inviteeRequest says how somebody takes it: one person, or with an empty ID
// all of whom nothing else is said. Answer is "answer", which is the default,
// "decline", "timeout", or "person": it rings for one, who answers by WebRTC.
type inviteeRequest struct {
	ID     string   `json:"id,omitempty"`
	Answer string   `json:"answer,omitempty"`
	Ring   string   `json:"ring,omitempty"`
	Refuse *Result  `json:"refuse,omitempty"`
	Voice  *Speaker `json:"voice,omitempty"`
}

func adminInvitee(s *Server, _ *http.Request, body []byte) (int, any, error) {
	var req inviteeRequest
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	callee := Callee{Refuse: req.Refuse}
	var err error
	if callee.Ring, err = duration("ring", req.Ring, 0); err != nil {
		return 0, nil, err
	}
	switch req.Answer {
	case "", "answer":
	case "person":
		callee.Person = true
	case "decline":
		if callee.Refuse == nil {
			callee.Refuse = &Result{}
		}
	case "timeout":
		callee.Ring = 24 * time.Hour
	default:
		return 0, nil, fmt.Errorf("cloud: answer: %q: want answer, decline, timeout or person", req.Answer)
	}
	if req.Voice != nil {
		callee.Script.Speakers = []Speaker{*req.Voice}
		if err := callee.Script.Validate(); err != nil {
			return 0, nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.invitees == nil {
		s.invitees = map[string]Callee{}
	}
	s.invitees[req.ID] = callee
	return http.StatusNoContent, nil, nil
}

func adminRecordings(s *Server, _ *http.Request, _ []byte) (int, any, error) {
	return http.StatusOK, s.Recordings(), nil
}

// wave is an answer of the admin API that is no JSON.
type wave []byte

func adminRecording(s *Server, r *http.Request, _ []byte) (int, any, error) {
	for _, rec := range s.Recordings() {
		if rec.ID != r.PathValue("rid") {
			continue
		}
		file, err := rec.Wave()
		if err != nil {
			return http.StatusConflict, nil, err
		}
		return http.StatusOK, wave(file), nil
	}
	return http.StatusNotFound, nil, errors.New("cloud: id: no such recording")
}

func adminSpeak(c *Call, _ *http.Request, body []byte) (int, any, error) {
	var sp Speaker
	if err := decodeAdmin(body, &sp); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, c.Speak(sp)
}

type acsParticipant struct {
	ID     string `json:"id"`
	Muted  bool   `json:"muted,omitempty"`
	OnHold bool   `json:"on_hold,omitempty"`
}

func (c *acsCall) adminRows() []acsParticipant {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []acsParticipant{}
	for _, p := range c.people {
		all = append(all, acsParticipant{p.id.rawID(), p.muted, p.held})
	}
	return all
}

func adminPress(c *Call, r *http.Request, body []byte) (int, any, error) {
	var req struct {
		Tone string `json:"tone"`
	}
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, c.Press(r.PathValue("pid"), req.Tone)
}
