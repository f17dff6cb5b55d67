package cloud

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// The part of the admin API that is about Communication Services, where a
// participant's pid is their raw id, percent-encoded:
//
//	PUT    /v1/invitee               how people whom the bot adds take it: inviteeRequest -> 204
//	GET    /v1/recordings            -> [Recording]
//	GET    /v1/recordings/{rid}      the WAV file of one that has ended
//	POST   /v1/calls/{id}/speak      Speaker: says it now, and joins if need be -> 204
//	GET    /v1/calls/{id}/participants  -> [acsParticipant]
//	DELETE /v1/calls/{id}/participants/{pid}  leaves -> 204
//	POST   /v1/calls/{id}/participants/{pid}/mute  {"on":true} -> 204
//	POST   /v1/calls/{id}/participants/{pid}/dtmf  {"tone":"5"} -> 204
var acsAdmin = map[string]adminFunc{
	"PUT /v1/invitee":                             adminInvitee,
	"GET /v1/recordings":                          adminRecordings,
	"GET /v1/recordings/{rid}":                    adminRecording,
	"POST /v1/calls/{id}/speak":                   ofCall(adminSpeak),
	"GET /v1/calls/{id}/participants":             eitherCloud(adminACSParticipants, "GET /v1/calls/{id}/participants"),
	"DELETE /v1/calls/{id}/participants/{pid}":    eitherCloud(adminDepart, "DELETE /v1/calls/{id}/participants/{pid}"),
	"POST /v1/calls/{id}/participants/{pid}/mute": eitherCloud(adminSetMuted, "POST /v1/calls/{id}/participants/{pid}/mute"),
	"POST /v1/calls/{id}/participants/{pid}/dtmf": ofCall(adminPress),
}

// eitherCloud is a handler for calls of Communication Services that leaves
// those of Graph to graphAdmin's.
func eitherCloud(acs func(*acsCall, *http.Request, []byte) (int, any, error), pattern string) adminFunc {
	return func(s *Server, r *http.Request, body []byte) (int, any, error) {
		if c := s.Call(r.PathValue("id")); c != nil {
			if side, ok := c.side.(*acsCall); ok {
				return acs(side, r, body)
			}
		}
		return graphAdmin[pattern](s, r, body)
	}
}

// inviteeRequest says how somebody takes it: one person, or with an empty ID
// all of whom nothing else is said. Answer is "answer", which is the default,
// "decline" or "timeout".
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
	case "decline":
		if callee.Refuse == nil {
			callee.Refuse = &Result{}
		}
	case "timeout":
		callee.Ring = 24 * time.Hour
	default:
		return 0, nil, fmt.Errorf("cloud: answer: %q: want answer, decline or timeout", req.Answer)
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

func adminACSParticipants(c *acsCall, _ *http.Request, _ []byte) (int, any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []acsParticipant{}
	for _, p := range c.people {
		all = append(all, acsParticipant{p.id.rawID(), p.muted, p.held})
	}
	return http.StatusOK, all, nil
}

// errUnknownParticipant makes a 404.
var errUnknownParticipant = errors.New("cloud: pid: no such participant")

func adminDepart(c *acsCall, r *http.Request, _ []byte) (int, any, error) {
	if !c.Depart(r.PathValue("pid")) {
		return http.StatusNotFound, nil, errUnknownParticipant
	}
	return http.StatusNoContent, nil, nil
}

func adminSetMuted(c *acsCall, r *http.Request, body []byte) (int, any, error) {
	var req struct {
		On bool `json:"on"`
	}
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	if !c.SetMuted(r.PathValue("pid"), req.On) {
		return http.StatusNotFound, nil, errUnknownParticipant
	}
	return http.StatusNoContent, nil, nil
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
