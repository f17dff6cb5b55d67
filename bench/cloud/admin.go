package cloud

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// maxAdminBody bounds a request to the admin API: a script with clips.
	maxAdminBody = 64 << 20
	// defaultDuration is that of named scripts.
	defaultDuration = 15 * time.Second
)

// The admin API places calls and breaks things, in JSON:
//
//	POST   /v1/incoming            ring the bot: incomingRequest -> 201 {"id"}
//	PUT    /v1/callee              how calls of the bot are taken: calleeRequest -> 204
//	POST   /v1/faults              disturb the next REST requests: faultRequest -> 204
//	GET    /v1/calls               -> [callSummary]
//	GET    /v1/calls/{id}          -> callSummary
//	GET    /v1/calls/{id}/log      -> Log; ?pcm=false leaves the samples out
//	DELETE /v1/calls/{id}          the other side hangs up -> 204
//	POST   /v1/calls/{id}/dtmf     {"tone":"5"} -> 204
//	POST   /v1/calls/{id}/faults   Fault -> 204
//	GET    /v1/resource            -> resourceSummary
//
// and what adminroster.go, acsadmin.go, graphadmin.go and peopleadmin.go list.
//
// Errors are {"error": "..."} and say which field is wrong. It is served to
// this machine only, and not to web pages that a browser on it shows.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	handlers := map[string]adminFunc{
		"POST /v1/incoming":          adminIncoming,
		"PUT /v1/callee":             adminCallee,
		"POST /v1/faults":            adminFaults,
		"GET /v1/calls":              adminCalls,
		"GET /v1/calls/{id}":         ofCall(adminCall),
		"GET /v1/calls/{id}/log":     ofCall(adminLog),
		"DELETE /v1/calls/{id}":      ofCall(adminHangUp),
		"POST /v1/calls/{id}/dtmf":   ofCall(adminDTMF),
		"POST /v1/calls/{id}/faults": ofCall(adminCallFault),
		"GET /v1/resource":           adminResource,
	}
	maps.Copy(handlers, rosterAdmin)
	maps.Copy(handlers, graphAdmin)
	maps.Copy(handlers, acsAdmin)
	maps.Copy(handlers, peopleAdmin)
	for pattern, h := range handlers {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.answerAdmin(w, r, h) })
	}
	mux.HandleFunc("GET /v1/live/events", s.serveEvents)
	mux.HandleFunc("GET /v1/calls/{id}/live/events", s.serveCallEvents)
	if s.Page != nil {
		mux.Handle("GET /", s.Page)
		mux.HandleFunc("GET /v1/", func(w http.ResponseWriter, r *http.Request) {
			adminError(w, http.StatusNotFound, fmt.Errorf("cloud: path: %q: there is nothing", r.URL.Path))
		})
	}
	return http.NewCrossOriginProtection().Handler(fromHere(mux))
}

// fromHere refuses what a page asks for whose name resolves to this machine.
func fromHere(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if ip := net.ParseIP(strings.Trim(host, "[]")); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			adminError(w, http.StatusForbidden, fmt.Errorf("cloud: Host: %q is not this machine", r.Host))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// adminFunc returns the status of success, and what to answer with.
type adminFunc func(*Server, *http.Request, []byte) (int, any, error)

// errUnknownCall makes a 404.
var errUnknownCall = errors.New("cloud: id: no such call")

func (s *Server) answerAdmin(w http.ResponseWriter, r *http.Request, h adminFunc) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAdminBody))
	if err != nil {
		adminError(w, http.StatusRequestEntityTooLarge, fmt.Errorf("cloud: body: %w", err))
		return
	}
	status, v, err := h(s, r, body)
	switch {
	case err == nil:
		if file, ok := v.(wave); ok {
			w.Header().Set("Content-Type", "audio/wav")
			// A peer that has gone away does not get its file.
			_, _ = w.Write(file)
			return
		}
		if d, ok := v.(description); ok {
			d.write(w)
			return
		}
		newResponse(status, v).write(w)
	case errors.Is(err, errUnknownCall):
		adminError(w, http.StatusNotFound, err)
	case status >= 400:
		adminError(w, status, err)
	default:
		adminError(w, http.StatusBadRequest, err)
	}
}

func adminError(w http.ResponseWriter, status int, err error) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	newResponse(status, map[string]string{"error": err.Error()}).write(w)
}

// decodeAdmin reads a request; the error names the field.
func decodeAdmin(body []byte, v any) error {
	if len(body) == 0 {
		return errors.New("cloud: body: is empty")
	}
	if err := decodeStrict(body, v); err != nil {
		return fmt.Errorf("cloud: body: %w", err)
	}
	return nil
}

// scriptRequest names a script, or holds one.
type scriptRequest struct {
	Script json.RawMessage `json:"script"`
	// Duration of a named script, "15s".
	Duration string `json:"duration,omitempty"`
}

func (r scriptRequest) script() (Script, error) {
	if len(r.Script) == 0 {
		return Script{}, errors.New("cloud: script: is missing: want a name or a script")
	}
	if r.Script[0] != '"' {
		if r.Duration != "" {
			return Script{}, errors.New("cloud: duration: is for named scripts; a script has its own hang_up")
		}
		return ParseScript(r.Script)
	}
	var name string
	if err := json.Unmarshal(r.Script, &name); err != nil {
		return Script{}, fmt.Errorf("cloud: script: %w", err)
	}
	d, err := duration("duration", r.Duration, defaultDuration)
	if err != nil {
		return Script{}, err
	}
	return Named(name, d)
}

func duration(field, text string, otherwise time.Duration) (time.Duration, error) {
	if text == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("cloud: %s: %q: want a duration like 15s", field, text)
	}
	return d, nil
}

type incomingRequest struct {
	scriptRequest
	From        string `json:"from,omitempty"`
	To          string `json:"to,omitempty"`
	DisplayName string `json:"display_name,omitempty"`
	EventsURL   string `json:"events_url,omitempty"`
}

func adminIncoming(s *Server, r *http.Request, body []byte) (int, any, error) {
	var req incomingRequest
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	script, err := req.script()
	if err != nil {
		return 0, nil, err
	}
	c, err := s.Ring(r.Context(), Ring{
		Script: script, From: req.From, To: req.To, DisplayName: req.DisplayName, EventsURL: req.EventsURL,
	})
	if err != nil {
		return http.StatusBadGateway, nil, err
	}
	return http.StatusCreated, map[string]string{"id": c.id}, nil
}

type calleeRequest struct {
	scriptRequest
	Ring   string  `json:"ring,omitempty"`
	Lobby  bool    `json:"lobby,omitempty"`
	Person bool    `json:"person,omitempty"`
	Refuse *Result `json:"refuse,omitempty"`
}

func adminCallee(s *Server, _ *http.Request, body []byte) (int, any, error) {
	var req calleeRequest
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	callee := Callee{Refuse: req.Refuse, Lobby: req.Lobby, Person: req.Person}
	var err error
	if callee.Ring, err = duration("ring", req.Ring, 0); err != nil {
		return 0, nil, err
	}
	if callee.Script, err = req.script(); err != nil && req.Refuse == nil && !(req.Person && len(req.Script) == 0) {
		return 0, nil, err
	}
	s.mu.Lock()
	s.callee = &callee
	s.mu.Unlock()
	return http.StatusNoContent, nil, nil
}

type faultRequest struct {
	RequestFault
	Delay string `json:"delay,omitempty"`
}

func adminFaults(s *Server, _ *http.Request, body []byte) (int, any, error) {
	var req faultRequest
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	var err error
	if req.RequestFault.Delay, err = duration("delay", req.Delay, 0); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, s.Break(req.RequestFault)
}

// callSummary is a row of the table of calls.
type callSummary struct {
	ID        string    `json:"id"`
	Cloud     string    `json:"cloud"`
	Kind      string    `json:"kind,omitempty"` // at Graph
	Direction Direction `json:"direction"`
	State     string    `json:"state"`
	Ended     bool      `json:"ended"`
	Result    Result    `json:"result"`
	Script    string    `json:"script,omitempty"`
	Media     string    `json:"media,omitempty"`
	Slots     int       `json:"slots"`
	Speakers  []string  `json:"speakers"`
}

func (c *Call) summary() callSummary {
	l := c.log(time.Now(), false)
	sum := callSummary{
		ID: l.ID, Cloud: l.Cloud, Kind: l.Kind, Direction: l.Direction, State: l.State, Ended: l.Ended, Result: l.Result,
		Script: l.Script, Media: l.Media, Slots: l.Slots, Speakers: []string{},
	}
	for i := range l.Speakers {
		sum.Speakers = append(sum.Speakers, l.Speakers[i].RawID)
	}
	return sum
}

func adminCalls(s *Server, _ *http.Request, _ []byte) (int, any, error) {
	all := []callSummary{}
	for _, c := range s.Calls() {
		all = append(all, c.summary())
	}
	slices.SortFunc(all, func(a, b callSummary) int { return cmp.Compare(a.ID, b.ID) })
	return http.StatusOK, all, nil
}

// ofCall finds the call that the path names.
func ofCall(h func(c *Call, r *http.Request, body []byte) (int, any, error)) adminFunc {
	return func(s *Server, r *http.Request, body []byte) (int, any, error) {
		c := s.Call(r.PathValue("id"))
		if c == nil {
			return 0, nil, fmt.Errorf("%w: %q", errUnknownCall, r.PathValue("id"))
		}
		return h(c, r, body)
	}
}

func adminCall(c *Call, _ *http.Request, _ []byte) (int, any, error) {
	return http.StatusOK, c.summary(), nil
}

func adminLog(c *Call, r *http.Request, _ []byte) (int, any, error) {
	switch pcm := r.URL.Query().Get("pcm"); pcm {
	case "", "true":
		return http.StatusOK, c.Log(), nil
	case "false":
		return http.StatusOK, c.log(time.Now(), false), nil
	default:
		return 0, nil, fmt.Errorf("cloud: pcm: %q: want true or false", pcm)
	}
}

func adminHangUp(c *Call, _ *http.Request, _ []byte) (int, any, error) {
	c.HangUp()
	return http.StatusNoContent, nil, nil
}

func adminDTMF(c *Call, _ *http.Request, body []byte) (int, any, error) {
	var req struct {
		Tone string `json:"tone"`
	}
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, c.DTMF(req.Tone)
}

func adminCallFault(c *Call, _ *http.Request, body []byte) (int, any, error) {
	var f Fault
	if err := decodeAdmin(body, &f); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, c.Inject(f)
}

// resourceSummary is what a bot must know of the resource, but for its key.
type resourceSummary struct {
	ACS      string `json:"acs"`
	OIDC     string `json:"oidc"`
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`
	Events   string `json:"events,omitempty"`
}

func adminResource(s *Server, _ *http.Request, _ []byte) (int, any, error) {
	return http.StatusOK, resourceSummary{
		ACS: s.url, OIDC: s.OIDCURL(), Issuer: s.TokenIssuer(), Audience: s.audience, Events: s.EventsURL,
	}, nil
}
