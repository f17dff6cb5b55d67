// Package api is the control API: HTTP and JSON over a session.Manager, and a
// client for it. It shows snapshots and passes requests on; it decides
// nothing, keeps no state, touches no media and never hands out a secret.
//
//	POST   /v1/calls                   CallRequest      201 session.Snapshot
//	GET    /v1/calls                                    200 {"calls":[session.Snapshot]}
//	GET    /v1/calls/{id}                               200 session.Snapshot
//	DELETE /v1/calls/{id}[?everyone=true]               204
//	POST   /v1/calls/{id}/{action}     Action's body    200 session.ActionResult
//	GET    /v1/incoming                                 200 {"incoming":[Ring]}
//	POST   /v1/incoming/{id}/answer    AnswerRequest    200 session.Snapshot
//	POST   /v1/incoming/{id}/reject    RejectRequest    204
//	POST   /v1/incoming/{id}/redirect  RedirectRequest  204
//	GET    /v1/rooms                                    200 {"rooms":[session.RoomSnapshot]}
//	POST   /v1/rooms/{room}/members    JoinRequest      204
//	PATCH  /v1/rooms/{room}/members/{id} session.MemberChange 204
//	DELETE /v1/rooms/{room}/members/{id}                204
//	GET    /v1/stats                                    200 Stats
//	GET    /metrics                                     200 Config.Metrics
//
// {id} is our id of a call or the cloud's; of an incoming call the Ring's.
// A request returns when the cloud has answered it. Whoever gives up waiting
// for a POST to create or answer hangs the call up.
//
// {action} is one of session's words (play, cancel, dtmf, add, remove, mute,
// transfer) or of the call's cloud, whose bodies those packages declare: the
// API passes both on; an action that is not known is refused with those that
// are. With "wait":true it returns when the action is over.
//
// Errors are {"error":Error}: 400 for what cannot be understood, with the
// field's name; 401 and 403 from the guard; 404 for what does not live here;
// 409 for a call that is decided or over; 413; 501 for what the cloud lacks;
// 502 for a cloud's refusal, with its own code and subcode; 503 when there is
// no room; 504.
package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/guard"
)

// Config of a Server. Manager is needed.
type Config struct {
	Manager *session.Manager
	// Token that every request must bear. Without one, only programs of this
	// machine are served: the peer and the Host header are loopback, no
	// proxy has forwarded the request, and no page of another origin sent it.
	Token string
	// MaxBody of a request in bytes; 0 means 1 MiB.
	MaxBody int64
	// Metrics answers GET /metrics; nil: nothing is there.
	Metrics http.Handler
	// Logger for requests that change something; nil is silent.
	Logger *slog.Logger
}

// Server is the API's http.Handler.
type Server struct {
	manager *session.Manager
	guard   guard.Guard
	maxBody int64
	log     *slog.Logger
	mux     *http.ServeMux
}

// Media is what media a call is to have.
type Media struct {
	// Channels: "mixed", which is the default, or "unmixed".
	Channels string `json:"channels,omitempty"`
	// SampleRate on the wire in Hz: 16000, which is the default, or 24000.
	SampleRate int `json:"sample_rate,omitempty"`
	// Bidirectional lets the bot speak.
	Bidirectional bool `json:"bidirectional,omitempty"`
	// DTMF asks for key presses on the media stream.
	DTMF bool `json:"dtmf,omitempty"`
}

// CallRequest creates a call.
type CallRequest struct {
	// Cloud by its name: "acs".
	Cloud string `json:"cloud"`
	// Request is the cloud's own create request, a JSON object, passed on
	// unread.
	Request          json.RawMessage `json:"request"`
	Media            Media           `json:"media"`
	OperationContext string          `json:"operation_context,omitempty"`
}

// AnswerRequest answers an incoming call. It may be left out.
type AnswerRequest struct {
	Media            Media  `json:"media"`
	OperationContext string `json:"operation_context,omitempty"`
}

// RejectRequest declines an incoming call. It may be left out.
type RejectRequest struct {
	// Reason in the cloud's own word: ACS: none, busy, forbidden.
	Reason string `json:"reason,omitempty"`
}

// RedirectRequest sends an incoming call to someone else.
type RedirectRequest struct {
	Target session.Identity `json:"target"`
}

// Ring is an incoming call that nobody has decided on.
type Ring struct {
	session.Incoming
	AnswerBy time.Time `json:"answer_by"`
}

// Stats is what the host counts.
type Stats struct {
	session.Stats
	Media *session.HostMedia  `json:"media"`
	GC    session.Collections `json:"gc"`
}

type callList struct {
	Calls []session.Snapshot `json:"calls"`
}

type ringList struct {
	Incoming []Ring `json:"incoming"`
}

// route is one line of the package comment's table.
type route struct {
	method, path string
	status       int
	serve        func(*request) (any, error)
}

// New builds a Server. It is ready at once.
func New(cfg Config) (*Server, error) {
	if cfg.Manager == nil {
		return nil, errors.New("api: Config.Manager is nil")
	}
	who, err := guard.New(cfg.Token)
	if err != nil {
		return nil, fmt.Errorf("api: Config.Token: %w", err)
	}
	s := &Server{manager: cfg.Manager, guard: who, maxBody: cfg.MaxBody, log: cfg.Logger, mux: http.NewServeMux()}
	if s.maxBody <= 0 {
		s.maxBody = 1 << 20
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	routes := []route{
		{"POST", "/v1/calls", http.StatusCreated, s.create},
		{"GET", "/v1/calls", http.StatusOK, s.calls},
		{"GET", "/v1/calls/{id}", http.StatusOK, s.call},
		{"DELETE", "/v1/calls/{id}", http.StatusNoContent, s.hangUp},
		{"POST", "/v1/calls/{id}/{action}", http.StatusOK, s.act},
		{"GET", "/v1/incoming", http.StatusOK, s.incoming},
		{"POST", "/v1/incoming/{id}/answer", http.StatusOK, s.answer},
		{"POST", "/v1/incoming/{id}/reject", http.StatusNoContent, s.reject},
		{"POST", "/v1/incoming/{id}/redirect", http.StatusNoContent, s.redirect},
		{"GET", "/v1/rooms", http.StatusOK, s.rooms},
		{"POST", "/v1/rooms/{room}/members", http.StatusNoContent, s.join},
		{"PATCH", "/v1/rooms/{room}/members/{id}", http.StatusNoContent, s.setMember},
		{"DELETE", "/v1/rooms/{room}/members/{id}", http.StatusNoContent, s.leave},
		{"GET", "/v1/stats", http.StatusOK, s.stats},
	}
	allowed := make(map[string][]string)
	for _, r := range routes {
		s.mux.Handle(r.method+" "+r.path, s.handler(r))
		allowed[r.path] = append(allowed[r.path], r.method)
	}
	if cfg.Metrics != nil {
		s.mux.Handle("GET /metrics", cfg.Metrics)
		allowed["/metrics"] = []string{http.MethodGet}
	}
	for path, methods := range allowed {
		s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			slices.Sort(methods)
			w.Header().Set("Allow", strings.Join(methods, ", "))
			writeError(w, &Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: r.Method + " is not served here"})
		})
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &Error{Status: http.StatusNotFound, Code: "not_found", Message: "nothing is served at this path"})
	})
	return s, nil
}

// ServeHTTP serves the API to whom the guard lets in.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if no := s.guard.Check(r); no != nil {
		writeError(w, &Error{Status: no.Status, Code: no.Code, Message: no.Message})
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) handler(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, s.maxBody)
		v, err := rt.serve(&request{r})
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.log.Info("request", "method", r.Method, "path", r.URL.Path, "error", err)
		}
		if err != nil {
			writeError(w, asError(err))
			return
		}
		writeJSON(w, rt.status, v)
	})
}

func (s *Server) create(r *request) (any, error) {
	var req CallRequest
	if err := r.decode(&req); err != nil {
		return nil, err
	}
	o, err := req.Media.options(req.OperationContext)
	if err != nil {
		return nil, err
	}
	c, err := s.manager.Create(r.Context(), req.Cloud, req.Request, o)
	if err != nil {
		return nil, err
	}
	return c.Snapshot(), nil
}

func (s *Server) calls(*request) (any, error) {
	list := callList{Calls: []session.Snapshot{}}
	for _, c := range s.manager.Calls() {
		list.Calls = append(list.Calls, c.Snapshot())
	}
	return list, nil
}

func (s *Server) call(r *request) (any, error) {
	c, err := s.manager.Call(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return c.Snapshot(), nil
}

func (s *Server) hangUp(r *request) (any, error) {
	everyone, err := r.flag("everyone")
	if err != nil {
		return nil, err
	}
	c, err := s.manager.Call(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return nil, c.HangUp(r.Context(), everyone)
}

func (s *Server) incoming(*request) (any, error) {
	list := ringList{Incoming: []Ring{}}
	for _, ic := range s.manager.Incoming() {
		list.Incoming = append(list.Incoming, Ring{ic.Incoming, ic.AnswerBy()})
	}
	return list, nil
}

func (s *Server) answer(r *request) (any, error) {
	var req AnswerRequest
	if err := r.decodeOptional(&req); err != nil {
		return nil, err
	}
	o, err := req.Media.options(req.OperationContext)
	if err != nil {
		return nil, err
	}
	ic, err := s.manager.IncomingCall(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	c, err := ic.Answer(r.Context(), o)
	if err != nil {
		return nil, err
	}
	return c.Snapshot(), nil
}

func (s *Server) reject(r *request) (any, error) {
	var req RejectRequest
	if err := r.decodeOptional(&req); err != nil {
		return nil, err
	}
	ic, err := s.manager.IncomingCall(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return nil, ic.Reject(r.Context(), req.Reason)
}

func (s *Server) redirect(r *request) (any, error) {
	var req RedirectRequest
	if err := r.decode(&req); err != nil {
		return nil, err
	}
	ic, err := s.manager.IncomingCall(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return nil, ic.Redirect(r.Context(), req.Target)
}

func (s *Server) stats(*request) (any, error) {
	return Stats{s.manager.Stats(), s.manager.Media(), session.GC()}, nil
}

func (m Media) options(operationContext string) (session.Options, error) {
	o := session.Options{
		SampleRate: m.SampleRate, Bidirectional: m.Bidirectional, DTMF: m.DTMF,
		OperationContext: operationContext,
	}
	if m.Channels != "" {
		if err := o.Channels.UnmarshalText([]byte(m.Channels)); err != nil {
			return o, badField("media.channels", err.Error())
		}
	}
	return o, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		writeError(w, asError(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
