package rtc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mixminus/mixminus/engine"
)

// headers sets what all responses have: what pages of other origins may see of
// it (CORS, as the Fetch standard has it).
func (s *Server) headers(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if len(s.cfg.Origins) == 0 {
		return
	}
	all := slices.Contains(s.cfg.Origins, "*")
	if !all {
		h.Add("Vary", "Origin")
	}
	switch origin := r.Header.Get("Origin"); {
	case origin == "":
		return
	case all:
		h.Set("Access-Control-Allow-Origin", "*")
	case slices.ContainsFunc(s.cfg.Origins, func(o string) bool { return strings.EqualFold(o, origin) }):
		h.Set("Access-Control-Allow-Origin", origin)
	default:
		return
	}
	h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Patch, Retry-After, "+channelsHeader)
}

// serveOptions answers preflights, and whoever asks what is spoken here (RFC
// 9725, section 4.2). It needs no token, and tells of nobody's TURN servers.
func (s *Server) serveOptions(w http.ResponseWriter, r *http.Request, session bool) {
	h := w.Header()
	allow := "GET, HEAD, OPTIONS, POST"
	if session {
		allow = "DELETE, GET, HEAD, OPTIONS, PATCH"
		h.Set("Accept-Patch", fragmentType) // RFC 5789, section 3.1
	} else {
		h.Set("Accept-Post", sdpType)
	}
	h.Set("Allow", allow)
	if h.Get("Access-Control-Allow-Origin") != "" && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", allow)
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, x-ms-call-connection-id, x-mixminus-render, x-mixminus-source")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusOK)
}

// check of an ICE server that goes into a header.
func (i *ICEServer) check() error {
	scheme, rest, _ := strings.Cut(i.URL, ":")
	known := slices.Contains([]string{"stun", "stuns", "turn", "turns"}, scheme)
	if !known || rest == "" || strings.ContainsFunc(i.URL, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`<>",`, r) }) {
		return fmt.Errorf("rtc: Config.ICEServers: URL = %q, want stun:host or turn:host (RFC 7064, RFC 7065)", i.URL)
	}
	if strings.ContainsFunc(i.Username+i.Credential, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("rtc: Config.ICEServers: %s: want printable ASCII for Username and Credential", i.URL)
	}
	return nil
}

// links are the ICE servers as headers (RFC 9725, section 4.6).
func (c *Config) links() (list []string) {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for _, x := range c.ICEServers {
		link := "<" + x.URL + `>; rel="ice-server"`
		if x.Username != "" || x.Credential != "" {
			link += fmt.Sprintf(`; username="%s"; credential="%s"; credential-type="password"`, quote.Replace(x.Username), quote.Replace(x.Credential))
		}
		list = append(list, link)
	}
	return list
}

// httpError is a response that is not a success.
type httpError struct {
	status        int
	code, message string
}

func (e *httpError) Error() string { return e.message }

var errNotFound = &httpError{http.StatusNotFound, "not_found", "nothing is expected at this address: it is unknown or has expired"}

func writeError(w http.ResponseWriter, e *httpError) {
	switch e.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	}
	type words struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	_ = json.NewEncoder(w).Encode(struct {
		Error words `json:"error"`
	}{words{e.code, e.message}}) // a peer that is gone hears nothing
}

func notAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	writeError(w, &httpError{http.StatusMethodNotAllowed, "method_not_allowed", shorten(r.Method) + " is not served here"})
}

// ends are the errors that have a status of their own.
var ends = []struct {
	err    error
	status int
	code   string
}{
	{ErrUnknown, http.StatusNotFound, "not_found"},
	{ErrTooManyPeers, http.StatusServiceUnavailable, "too_many_peers"},
	{errCrowded, http.StatusServiceUnavailable, "too_many_peers"},
	{errSuperseded, http.StatusGone, "ended"},
	{ErrLost, http.StatusGone, "ended"},
	{ErrNotConnected, http.StatusGone, "ended"},
	{engine.ErrPanic, http.StatusGone, "ended"},
	{errOtherCall, http.StatusForbidden, "other_call"},
	{errTag, http.StatusPreconditionFailed, "wrong_tag"},
	{errServerClosed, http.StatusServiceUnavailable, "closed"},
	{engine.ErrClosed, http.StatusGone, "ended"},
	{context.Canceled, http.StatusServiceUnavailable, "canceled"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "timeout"},
}

// httpErrorOf gives any error its status.
func httpErrorOf(err error) *httpError {
	if bad := (*OfferError)(nil); errors.As(err, &bad) {
		if bad.NotAcceptable() {
			return &httpError{http.StatusNotAcceptable, "not_acceptable", err.Error()}
		}
		return &httpError{http.StatusBadRequest, "bad_offer", err.Error()}
	}
	for _, end := range ends {
		if errors.Is(err, end.err) {
			return &httpError{end.status, end.code, err.Error()}
		}
	}
	return &httpError{http.StatusInternalServerError, "internal", err.Error()}
}
