package listen

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/offer"
	"github.com/mixminus/mixminus/session/rest"
)

// ServeHTTP lets in whom the guard of the control API does:
//
//	POST /whep/{call}            an offer, application/sdp   201, the answer: the call
//	POST /whep/{call}/{speaker}  an offer, application/sdp   201, the answer: one speaker
//	GET  /whep                                               200 {"listeners":[Snapshot]}
//
// {call} is our id of a call or its cloud's; {speaker} the raw id of a speaker or
// of a participant, or a name that only one has. The session, with its ETag and
// Location, is the media's: DELETE there ends the listening.
//
// Errors are {"error":{"code","message"}}: 400 and 413 to 415 for what is no offer;
// 401 and 403 from the guard; 404 for a call or a speaker that is not known; 405;
// 406 for an offer that would not hear anything, or in which nothing can be carried;
// 409 for a call whose media has not come yet, with Retry-After, and for a name that
// several have; 410 for a call that is over; 503 when all places are taken.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if s.guard.CORS(w, r, "GET, HEAD, POST") {
		return
	}
	if no := s.guard.Check(r); no != nil {
		(&offer.Error{Status: no.Status, Code: no.Code, Message: no.Message}).Write(w)
		return
	}
	names, ok := s.path(r)
	switch get := r.Method == http.MethodGet || r.Method == http.MethodHead; {
	case !ok:
		offer.NotFound().Write(w)
	case len(names) == 0 && get:
		offer.WriteJSON(w, http.StatusOK, struct {
			Listeners []Snapshot `json:"listeners"`
		}{s.Listeners()})
	case len(names) == 0:
		offer.Allow(w, r, "GET, HEAD")
	case r.Method != http.MethodPost:
		offer.Allow(w, r, "OPTIONS, POST")
	default:
		if err := s.serve(w, r, names); err != nil {
			errorOf(err).Write(w)
		}
	}
}

// path returns the call's and the speaker's name of the request's path, decoded:
// a raw id may hold a slash.
func (s *Server) path(r *http.Request) (names []string, ok bool) {
	rest, found := strings.CutPrefix(r.URL.EscapedPath(), s.cfg.Path)
	if !found || rest != "" && rest[0] != '/' {
		return nil, false
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(rest, "/"), "/") {
		name, err := url.PathUnescape(name)
		if err != nil || name == "" {
			return nil, rest == ""
		}
		names = append(names, name)
	}
	const most = 2 // call, speaker
	return names, len(names) <= most
}

// serve answers an offer. It returns an error if nothing was answered.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, names []string) error {
	sdp, err := offer.Read(w, r)
	if err != nil {
		return err
	}
	hears, _, err := offer.Check(s.cfg.Media, sdp)
	if err != nil {
		return err
	}
	if !hears {
		return &offer.Error{Status: http.StatusNotAcceptable, Code: "not_acceptable", Message: "the offer only sends: want recvonly"}
	}
	c, err := s.cfg.Manager.Call(names[0])
	if err != nil {
		return err
	}
	leg, err := media(c)
	if err != nil {
		return err
	}
	var who *engine.Render
	if len(names) > 1 {
		if who, err = find(c, leg, names[1]); err != nil {
			return err
		}
	}
	if err := s.reserve(c); err != nil {
		return err
	}
	l, err := s.admit(c, leg, who)
	if err != nil {
		s.release(c)
		return err
	}
	if offer.Serve(s.cfg.Media, w, r, sdp, l.endpoint.URL(), nil) != nil {
		l.leave() // and the peer was told why
	}
	return nil
}

// media returns the leg of a call that has, or had, audio.
func media(c *session.Call) (*engine.Leg, error) {
	leg := c.Leg()
	if up, _ := c.Media(); leg == nil || !up && leg.Start().IsZero() {
		return nil, &offer.Error{Status: http.StatusConflict, Code: "no_media", Message: "the call has no media yet", Later: true}
	}
	return leg, nil
}

// find returns the speaker of a call that goes by a raw id, its own or that of its
// party, or by a name.
func find(c *session.Call, leg *engine.Leg, name string) (*engine.Render, error) {
	if leg.Channels() == engine.Mixed {
		return nil, unknownSpeaker("the call's speakers come mixed: there is no hearing one of them")
	}
	ids := map[string]string{} // of speakers, by those of parties
	for _, p := range c.Participants() {
		for _, id := range []string{p.ID, p.RawID} {
			if id != "" && p.SpeakerID != "" {
				ids[id] = p.SpeakerID
			}
		}
	}
	var named []*engine.Render
	for _, r := range leg.Renders() {
		switch {
		case r.RawID() == name, ids[name] != "" && ids[name] == r.RawID():
			return r, nil
		case strings.EqualFold(c.Name(r.RawID()), name):
			named = append(named, r)
		}
	}
	switch len(named) {
	case 0:
		return nil, unknownSpeaker(fmt.Sprintf("nobody who goes by %q has been heard in the call", rest.Clip(name)))
	case 1:
		return named[0], nil
	}
	return nil, &offer.Error{Status: http.StatusConflict, Code: "ambiguous_speaker",
		Message: fmt.Sprintf("%d speakers go by %q: give a raw id", len(named), rest.Clip(name))}
}

func unknownSpeaker(text string) error {
	return &offer.Error{Status: http.StatusNotFound, Code: "unknown_speaker", Message: text}
}

func unavailable(code, text string) error {
	return &offer.Error{Status: http.StatusServiceUnavailable, Code: code, Message: text}
}

// errorOf gives any error its status.
func errorOf(err error) *offer.Error {
	var e *offer.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, session.ErrUnknownCall):
		return &offer.Error{Status: http.StatusNotFound, Code: "unknown_call", Message: err.Error()}
	case errors.Is(err, engine.ErrClosed):
		return &offer.Error{Status: http.StatusGone, Code: "ended", Message: "the call is over"}
	case errors.Is(err, engine.ErrTooManyLegs):
		return &offer.Error{Status: http.StatusServiceUnavailable, Code: "too_many_listeners", Message: err.Error()}
	}
	return &offer.Error{Status: http.StatusInternalServerError, Code: "internal", Message: err.Error()}
}
