package cloud

import (
	"cmp"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// The part of the admin API that is about people, who take part by WebRTC:
// docs/EMULATOR.md, "People", has it in full.
//
//	POST   /v1/people                 SDP offer: calls the bot -> 201 SDP answer
//	POST   /v1/calls/{id}/people      SDP offer: comes in -> 201 SDP answer
//	GET    /v1/ringing                -> [ringing]
//	POST   /v1/ringing/{rid}          SDP offer: answers -> 201 SDP answer
//	DELETE /v1/ringing/{rid}          declines -> 204
//	GET    /v1/calls/{id}/people/{pid}        -> personView
//	DELETE /v1/calls/{id}/people/{pid}        leaves -> 204
//	POST   /v1/calls/{id}/people/{pid}/keys   {"keys":"12#"} -> 204
//	POST   /v1/calls/{id}/people/{pid}/mute   {"on":true} -> 204
//	POST   /v1/calls/{id}/people/{pid}/admit  from the lobby -> 204
//	POST   /v1/calls/{id}/people/{pid}/says   {"text":"yes please"} -> 204
//	GET    /v1/calls/{id}/live        -> liveCall
//	POST   /v1/calls/{id}/transcripts liveTranscript -> 204
var peopleAdmin = map[string]adminFunc{
	"POST /v1/people":                        adminCallBot,
	"POST /v1/calls/{id}/people":             ofCall(adminComeIn),
	"GET /v1/ringing":                        adminRinging,
	"POST /v1/ringing/{rid}":                 adminPickUp,
	"DELETE /v1/ringing/{rid}":               adminDecline,
	"GET /v1/calls/{id}/people/{pid}":        ofPerson(adminPerson),
	"DELETE /v1/calls/{id}/people/{pid}":     ofPerson(adminGo),
	"POST /v1/calls/{id}/people/{pid}/keys":  ofPerson(adminKeys),
	"POST /v1/calls/{id}/people/{pid}/mute":  ofPerson(adminMutePerson),
	"POST /v1/calls/{id}/people/{pid}/admit": ofPerson(adminAdmitPerson),
	"POST /v1/calls/{id}/people/{pid}/says":  ofPerson(adminSays),
	"GET /v1/calls/{id}/live":                ofCall(adminLive),
	"POST /v1/calls/{id}/transcripts":        ofCall(adminTranscript),
}

// description is an answer in SDP, of a person who has a place.
type description struct {
	sdp    string
	person *person
}

func (d description) write(w http.ResponseWriter) {
	c, _, _ := d.person.place()
	w.Header().Set("Content-Type", "application/sdp")
	w.Header().Set("Location", "/v1/calls/"+c.id+"/people/"+d.person.id)
	w.Header().Set("X-Mixminus-Call", c.id)
	w.Header().Set("X-Mixminus-Person", d.person.id)
	w.WriteHeader(http.StatusCreated)
	// A peer that has gone away does not get its answer.
	_, _ = w.Write([]byte(d.sdp))
}

// noSuchPerson is a 404.
func noSuchPerson(id string) (int, any, error) {
	return http.StatusNotFound, nil, fmt.Errorf("cloud: pid: %q: no such person", id)
}

// welcome reads an offer, and gives who made it a place by seat.
func (s *Server) welcome(r *http.Request, body []byte, seat func(p *person) (int, error)) (int, any, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/sdp" {
		return http.StatusUnsupportedMediaType, nil, fmt.Errorf("cloud: Content-Type: %q: want application/sdp", r.Header.Get("Content-Type"))
	}
	name := r.URL.Query().Get("name")
	if len(name) > maxName {
		return 0, nil, fmt.Errorf("cloud: name: %d bytes, at most %d", len(name), maxName)
	}
	if len(body) > maxSDP {
		return http.StatusUnprocessableEntity, nil, fmt.Errorf("cloud: offer: %d bytes, at most %d", len(body), maxSDP)
	}
	p, answer, err := s.newPerson(r.Context(), name, string(body))
	switch {
	case errors.Is(err, errOffer):
		return http.StatusUnprocessableEntity, nil, err
	case errors.Is(err, errCrowd), errors.Is(err, errClosing):
		return http.StatusServiceUnavailable, nil, err
	case err != nil:
		return http.StatusInternalServerError, nil, err
	}
	if status, err := seat(p); err != nil {
		p.end(err.Error())
		return status, nil, err
	}
	return http.StatusCreated, description{answer, p}, nil
}

// maxName bounds what somebody is called.
const maxName = 256

// speaker is who a person is in a call of a cloud.
func (p *person) speaker(cloud, id string) Speaker {
	if id == "" && cloud == "graph" {
		id = p.server.newGraphUser()
	}
	return Speaker{ID: cmp.Or(id, p.server.newUser()), Name: p.name, mic: p.mic}
}

// switchOf reads a parameter that is true or false.
func switchOf(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("cloud: %s: %q: want true or false", name, text)
	}
	return on, nil
}

func rawIDOf(r *http.Request) (string, error) {
	id := r.URL.Query().Get("id")
	if len(id) > maxID {
		return "", fmt.Errorf("cloud: id: %d bytes, at most %d", len(id), maxID)
	}
	return id, nil
}

func adminComeIn(c *Call, r *http.Request, body []byte) (int, any, error) {
	lobby, err := switchOf(r, "lobby")
	if err != nil {
		return 0, nil, err
	}
	id, err := rawIDOf(r)
	if err != nil {
		return 0, nil, err
	}
	cloud := "acs"
	if graphOf(c) != nil {
		cloud = "graph"
	}
	return c.server.welcome(r, body, func(p *person) (int, error) {
		return http.StatusConflict, c.side.seat(p.speaker(cloud, id), p, lobby)
	})
}

// adminCallBot rings the bot, of which the person is the caller.
func adminCallBot(s *Server, r *http.Request, body []byte) (int, any, error) {
	q := r.URL.Query()
	cloud := q.Get("cloud")
	if cloud != "acs" && cloud != "graph" {
		return 0, nil, fmt.Errorf("cloud: cloud: %q: want acs or graph", cloud)
	}
	id, err := rawIDOf(r)
	if err != nil {
		return 0, nil, err
	}
	meeting, err := switchOf(r, "meeting")
	if err != nil {
		return 0, nil, err
	}
	instance, err := switchOf(r, "instance")
	if err != nil {
		return 0, nil, err
	}
	return s.welcome(r, body, func(p *person) (int, error) {
		script := Script{HangUp: Never, Speakers: []Speaker{p.speaker(cloud, id)}}
		var c *Call
		if cloud == "acs" {
			c, err = s.Ring(r.Context(), Ring{Script: script, To: q.Get("to"), DisplayName: p.name})
		} else {
			c, err = s.RingGraph(r.Context(), GraphRing{App: q.Get("app"), Script: script, Meeting: meeting, Instance: instance})
		}
		if err != nil {
			return http.StatusBadGateway, err
		}
		c.mu.Lock()
		sits := c.sit(p, 0)
		c.mu.Unlock()
		if !sits {
			c.HangUp()
			return http.StatusBadGateway, errors.New("cloud: the call was over at once: " + c.Log().Result.Message)
		}
		return 0, nil
	})
}

func adminRinging(s *Server, _ *http.Request, _ []byte) (int, any, error) {
	return http.StatusOK, s.people.rung(), nil
}

func adminPickUp(s *Server, r *http.Request, body []byte) (int, any, error) {
	return s.welcome(r, body, func(p *person) (int, error) {
		ring := s.people.strike(r.PathValue("rid"))
		if ring == nil {
			return http.StatusGone, errNoRing
		}
		p.mu.Lock()
		p.call = ring.call // for Location; the place is given by who lets it ring
		p.mu.Unlock()
		ring.answer <- p
		return 0, nil
	})
}

func adminDecline(s *Server, r *http.Request, _ []byte) (int, any, error) {
	ring := s.people.strike(r.PathValue("rid"))
	if ring == nil {
		return http.StatusGone, nil, errNoRing
	}
	ring.answer <- nil
	return http.StatusNoContent, nil, nil
}

// ofPerson finds the person that the path names.
func ofPerson(h func(p *person, body []byte) (int, any, error)) adminFunc {
	return func(s *Server, r *http.Request, body []byte) (int, any, error) {
		p := s.people.byID(r.PathValue("pid"))
		if p == nil {
			return noSuchPerson(r.PathValue("pid"))
		}
		c, _, there := p.place()
		if c == nil || c.id != r.PathValue("id") || !there && r.Method != http.MethodGet {
			return noSuchPerson(r.PathValue("pid"))
		}
		return h(p, body)
	}
}

func adminPerson(p *person, _ []byte) (int, any, error) { return http.StatusOK, p.view(), nil }

func adminGo(p *person, _ []byte) (int, any, error) {
	p.end("left")
	return http.StatusNoContent, nil, nil
}

// conflict is the outcome of what the state may not allow.
func conflict(err error) (int, any, error) {
	if errors.Is(err, errNotIn) {
		return http.StatusConflict, nil, err
	}
	return http.StatusNoContent, nil, err
}

func adminKeys(p *person, body []byte) (int, any, error) {
	var req struct {
		Keys string `json:"keys"`
	}
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	if req.Keys == "" || len(req.Keys) > maxSentTones {
		return 0, nil, fmt.Errorf("cloud: keys: %d, want 1 to %d", len(req.Keys), maxSentTones)
	}
	for _, key := range strings.Split(req.Keys, "") {
		if err := checkTone(key); err != nil {
			return 0, nil, fmt.Errorf("cloud: keys: %w", err)
		}
	}
	for _, key := range strings.Split(req.Keys, "") {
		if err := p.press(key); err != nil {
			return conflict(err)
		}
	}
	return http.StatusNoContent, nil, nil
}

func adminMutePerson(p *person, body []byte) (int, any, error) {
	var req switchRequest
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	return conflict(p.mute(req.On))
}

func adminAdmitPerson(p *person, _ []byte) (int, any, error) {
	c, actor, there := p.place()
	if !there || !c.side.admit(actor) {
		return http.StatusConflict, nil, errors.New("cloud: the person does not wait in a lobby")
	}
	return http.StatusNoContent, nil, nil
}

func adminSays(p *person, body []byte) (int, any, error) {
	var req struct {
		Text string `json:"text"`
	}
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	return conflict(p.says(req.Text))
}

func adminLive(c *Call, _ *http.Request, _ []byte) (int, any, error) {
	return http.StatusOK, c.watch(), nil
}

func adminTranscript(c *Call, _ *http.Request, body []byte) (int, any, error) {
	var t liveTranscript
	if err := decodeAdmin(body, &t); err != nil {
		return 0, nil, err
	}
	if t.Text == "" || len(t.Text) > maxSDP {
		return 0, nil, fmt.Errorf("cloud: text: %d bytes, want 1 to %d", len(t.Text), maxSDP)
	}
	c.transcribed(t)
	return http.StatusNoContent, nil, nil
}
