package rtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	sdpType = "application/sdp" // RFC 8866, section 8.1
	// retryAfter, in seconds, goes with 503.
	retryAfter = "5"
	// answersIn is how long an answer may take, once the offer is read.
	answersIn = 5 * time.Second
	// leavesIn is how long a DELETE waits for the media to stop.
	leavesIn = 500 * time.Millisecond
	// channelsHeader of the answer tells a peer of a cloud what it is to send.
	channelsHeader = "X-Mixminus-Channels"
)

// ServeHTTP serves the addresses that Open mints, as WHIP (RFC 9725) and WHEP
// (draft-ietf-wish-whep) have it. They are below the path of Config.BaseURL:
//
//	POST    {base}/{token}             an offer, application/sdp       201 the answer, Location, ETag, Link
//	PATCH   {base}/{token}/{session}   application/trickle-ice-sdpfrag 204, or 200 for an ICE restart
//	DELETE  {base}/{token}/{session}                                   200
//	GET     either                                                     204 (RFC 9725, section 4.1)
//	OPTIONS anything                                                   200 Accept-Post, Accept-Patch, CORS
//
// Errors are {"error":{"code","message"}}: 400 for what cannot be read; 401 if
// Config.Verify refuses; 403 for another call or context than the address was
// minted for; 404 for an address or session that is unknown or has expired, of
// which nothing is told apart; 405; 406 for an offer in which nothing can be
// carried; 410 for a call that ends meanwhile; 412 and 428 for a wrong and a
// missing If-Match; 413 over 64 KiB; 415; 422 for a fragment that asks for
// nothing; 503 with Retry-After for a host that is full or shuts down.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.headers(w, r)
	rest, below := strings.CutPrefix(r.URL.EscapedPath(), s.path+"/")
	token, id, one := strings.Cut(rest, "/")
	switch {
	case r.Method == http.MethodOptions:
		s.serveOptions(w, r, one)
	case !below || token == "" || one && (id == "" || strings.Contains(id, "/")):
		s.refuse(w, errNotFound)
	case one:
		s.serveSession(w, r, s.path+"/"+token, id)
	default:
		s.serveAddress(w, r, s.path+"/"+token)
	}
}

// ServeOffer is the POST of ServeHTTP for an address (transport.Endpoint.URL)
// that the caller chose, after it made sure that the request may have it:
// Config.Verify is asked neither for it nor for the session, whose Location is
// below the address and is served by ServeHTTP.
func (s *Server) ServeOffer(w http.ResponseWriter, r *http.Request, url string) {
	s.headers(w, r)
	e, err := s.endpoint(url)
	switch {
	case err != nil:
		s.refuse(w, httpErrorOf(err))
	case r.Method != http.MethodPost:
		notAllowed(w, r, "POST")
	default:
		e.serveOffer(w, r, true)
	}
}

func (s *Server) serveAddress(w http.ResponseWriter, r *http.Request, path string) {
	s.mu.Lock()
	e, closed := s.endpoints[path], s.closed
	s.mu.Unlock()
	switch {
	case closed:
		s.refuse(w, httpErrorOf(errServerClosed))
		return
	case e == nil:
		s.refuse(w, errNotFound)
		return
	}
	if no := s.verify(r); no != nil {
		e.refuse(w, no)
		return
	}
	switch r.Method {
	case http.MethodPost:
		e.serveOffer(w, r, false)
	case http.MethodGet, http.MethodHead:
		w.WriteHeader(http.StatusNoContent)
	default:
		notAllowed(w, r, "GET, HEAD, OPTIONS, POST")
	}
}

func (s *Server) verify(r *http.Request) *httpError {
	if s.cfg.Verify == nil {
		return nil
	}
	if err := s.cfg.Verify(r); err != nil {
		s.log.Warn("WebRTC request refused", "err", err)
		return &httpError{http.StatusUnauthorized, "unauthorized", "bearer token not accepted"}
	}
	return nil
}

// refuse counts and answers a request that names nothing of ours.
func (s *Server) refuse(w http.ResponseWriter, no *httpError) {
	s.refused.Add(1)
	writeError(w, no)
}

// refuse counts and answers an offer that is not taken.
func (e *endpoint) refuse(w http.ResponseWriter, no *httpError) {
	e.refused.Add(1)
	writeError(w, no)
}

// serveOffer takes an offer and answers with the session that it begins.
func (e *endpoint) serveOffer(w http.ResponseWriter, r *http.Request, open bool) {
	callID := r.Header.Get("x-ms-call-connection-id")
	if id := e.stream.Contexts.CallID; id != "" && strings.EqualFold(callID, id) {
		callID = "" // the blob's name of the call is as good as none
	}
	if no := e.foreign(r.Header, callID); no != nil {
		e.refuse(w, no)
		return
	}
	offer, no := readBody(w, r, sdpType, MaxSDP)
	if no != nil {
		e.refuse(w, no)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answersIn)
	defer cancel()
	p, answer, err := e.session(ctx, request{offer, callID, open})
	if err != nil {
		e.refuse(w, httpErrorOf(err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", sdpType)
	h.Set("Location", e.path+"/"+p.id)
	h.Set("Accept-Patch", fragmentType)
	h.Set(channelsHeader, e.leg.Channels().String())
	h["Etag"] = []string{p.tag()}
	h["Link"] = e.server.links
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // a peer that is gone never connects
}

func (p *peer) tag() string {
	p.ice.Lock()
	defer p.ice.Unlock()
	return p.etag
}

// foreign refuses an offer that names another call than the address is of, or a
// context that was not issued.
func (e *endpoint) foreign(h http.Header, callID string) *httpError {
	e.mu.Lock()
	want := e.callID
	e.mu.Unlock()
	if !belongs(callID, want) {
		return httpErrorOf(errOtherCall)
	}
	issued := e.stream.Contexts
	for _, c := range []struct{ header, id string }{
		{"x-mixminus-render", issued.Render}, {"x-mixminus-source", issued.Source},
	} {
		if named := h.Get(c.header); named != "" && (c.id == "" || !strings.EqualFold(named, c.id)) {
			return &httpError{http.StatusForbidden, "other_context", c.header + " names a context that was not issued"}
		}
	}
	return nil
}

// readBody returns the body if it is of a type, and not too long.
func readBody(w http.ResponseWriter, r *http.Request, want string, most int64) (string, *httpError) {
	said := r.Header.Get("Content-Type")
	if t, _, err := mime.ParseMediaType(said); err != nil || t != want {
		return "", &httpError{http.StatusUnsupportedMediaType, "content_type", fmt.Sprintf("Content-Type = %q: want %s", shorten(said), want)}
	}
	if packed := r.Header.Get("Content-Encoding"); packed != "" && !strings.EqualFold(packed, "identity") {
		return "", &httpError{http.StatusUnsupportedMediaType, "content_encoding", fmt.Sprintf("Content-Encoding = %q: want none", shorten(packed))}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return "", &httpError{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("body is over %d bytes", most)}
	case err != nil:
		return "", &httpError{http.StatusBadRequest, "bad_body", "body: " + err.Error()}
	}
	return string(body), nil
}

// serveSession serves what Location named.
func (s *Server) serveSession(w http.ResponseWriter, r *http.Request, path, id string) {
	s.mu.Lock()
	p := s.peers[id]
	s.mu.Unlock()
	if p == nil || p.ep.path != path {
		s.refuse(w, errNotFound)
		return
	}
	if !p.open {
		if no := s.verify(r); no != nil {
			p.ep.refuse(w, no)
			return
		}
	}
	switch r.Method {
	case http.MethodPatch:
		p.servePatch(w, r)
	case http.MethodDelete:
		p.end(nil)
		t := time.NewTimer(leavesIn)
		defer t.Stop()
		select {
		case <-p.done:
		case <-t.C: // a handler holds it up
		}
		w.WriteHeader(http.StatusOK)
	case http.MethodGet, http.MethodHead:
		w.WriteHeader(http.StatusNoContent)
	default:
		notAllowed(w, r, "DELETE, GET, HEAD, OPTIONS, PATCH")
	}
}
