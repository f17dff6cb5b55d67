package cloud

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 1 << 20

// request is one that was authenticated and routed.
type request struct {
	version string
	body    []byte
	ids     []string   // of the path
	query   url.Values // of the path
	base    string     // of the address that the client uses
	call    *acsCall   // for operations of a call
}

func knownOperation(name string) bool {
	return slices.Contains(slices.Concat(operationNames, graphOperationNames, changeOperationNames), name)
}

// serveREST is the handler of everything below /calling that must be signed.
func (s *Server) serveREST(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var resp *response
	after := func() {}
	delay := time.Duration(0)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		resp = (&refusal{status: http.StatusRequestEntityTooLarge, code: "413", message: fmt.Sprintf("body is longer than %d bytes", maxBody)}).response()
	case err != nil:
		resp = badArgument("body", "%v", err).response()
	default:
		resp, after, delay = s.process(r, body)
	}
	// What follows a response must happen even if nobody waits for it.
	defer after()
	s.linger(r, delay)
	w.Header().Set("x-ms-request-id", uuid.NewString())
	s.flush(w, resp)
}

// linger delays a response, as long as somebody waits for it.
func (s *Server) linger(r *http.Request, delay time.Duration) {
	if delay <= 0 {
		return
	}
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
	case <-s.closing:
	}
}

// flush sends a response whole, before what is to follow it.
func (s *Server) flush(w http.ResponseWriter, resp *response) {
	resp.write(w)
	if err := http.NewResponseController(w).Flush(); err != nil {
		s.log.Debug("cloud: response not flushed", "error", err)
	}
}

// process authenticates, routes, and executes or repeats a request.
func (s *Server) process(r *http.Request, body []byte) (resp *response, after func(), delay time.Duration) {
	after = func() {}
	if refused := s.authorize(r, body, time.Now()); refused != nil {
		return refused.response(), after, 0
	}
	version := r.URL.Query().Get("api-version")
	if !knownVersion(version) {
		refused := &refusal{
			status: http.StatusBadRequest, code: "UnsupportedApiVersion", target: "api-version",
			message: fmt.Sprintf("%q: want one of %s", version, strings.Join(versions, ", ")),
		}
		return refused.response(), after, 0
	}
	op, req, refused := s.route(r, version)
	if refused != nil {
		return refused.response(), after, 0
	}
	// A call may have ended by the very request that is repeated.
	if refused := op.missing(req); refused != nil && !(op.repeatable && s.repeats.knows(r.Header)) {
		return refused.response(), after, 0
	}
	req.body = body
	fault := s.takeFault(op.name)
	delay = fault.Delay
	broken := &refusal{status: fault.Status, code: fmt.Sprint(fault.Status), message: "fault by script", retryAfter: fault.RetryAfter}
	if fault.Status != 0 && !fault.Executed {
		return broken.response(), after, delay
	}
	resp, after = s.execute(op, req, r)
	if fault.Status != 0 {
		resp = broken.response()
	}
	return resp, after, delay
}

// missing refuses what is asked of a call that is not there.
func (op *operation) missing(req *request) *refusal {
	if op.at.ofCall() && req.call == nil {
		return notFound(fmt.Sprintf("Call %q", req.ids[0]))
	}
	return nil
}

// perform runs an operation.
func (op *operation) perform(s *Server, req *request) (*response, func()) {
	if bad := op.missing(req); bad != nil {
		return refuse(bad)
	}
	if op.standing {
		if bad := req.call.standing(); bad != nil {
			return refuse(bad)
		}
	}
	return op.handle(s, req)
}

// execute runs an operation, at most once for each Repeatability-Request-ID.
func (s *Server) execute(op *operation, req *request, r *http.Request) (*response, func()) {
	nothing := func() {}
	if !op.repeatable {
		return op.perform(s, req)
	}
	t, replay, refused := s.repeats.begin(r.Header, printOf(r.Method, r.RequestURI, req.body), time.Now())
	switch {
	case refused != nil:
		return refused.response().with(headerResult, "rejected"), nothing
	case replay != nil:
		return replay, nothing
	case t == nil:
		return op.perform(s, req)
	}
	resp, after := op.perform(s, req)
	resp = resp.with(headerResult, "accepted")
	s.repeats.finish(t, resp)
	return resp, after
}

func refuse(r *refusal) (*response, func()) { return r.response(), func() {} }

func (s *Server) create(req *request) (*response, func()) {
	o, bad := parseCreate(req.version, req.body, s.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	c, bad := s.newOutgoing(o)
	if bad != nil {
		return refuse(bad)
	}
	return c.accepted(http.StatusCreated, req.version)
}

func (s *Server) answer(req *request) (*response, func()) {
	o, bad := parseAnswer(req.version, req.body, s.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	if c := s.redirectedCall(o.incomingContext); c != nil {
		return newResponse(http.StatusOK, c.redirectedProperties(o).shape(req.version)), func() {}
	}
	c := s.ringing(o.incomingContext)
	if c == nil {
		return refuse(notFound("Incoming call"))
	}
	if bad := c.answer(&o, Result{}); bad != nil {
		return refuse(bad)
	}
	return c.accepted(http.StatusOK, req.version)
}

// connect joins a call that is there, or a group call or room that begins by
// that.
func (s *Server) connect(req *request) (*response, func()) {
	o, bad := parseConnect(req.version, req.body, s.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	c, bad := s.newConnected(o)
	if bad != nil {
		return refuse(bad)
	}
	return c.accepted(http.StatusOK, req.version)
}

// accepted is the response to create, answer and connect. With the fault MediaFirst it
// waits for the media.
func (c *acsCall) accepted(status int, version string) (*response, func()) {
	if c.hasFault(MediaFirst) {
		select {
		case <-c.mediaTried:
		case <-c.ended:
		}
	}
	return newResponse(status, c.properties().shape(version)), c.responseSent
}

func (s *Server) reject(req *request) (*response, func()) {
	r, bad := parseReject(req.body)
	if bad != nil {
		return refuse(bad)
	}
	if s.redirectedCall(r.IncomingCallContext) != nil {
		return newResponse(http.StatusNoContent, nil), func() {}
	}
	reason := r.CallRejectReason
	if reason == "" {
		reason = "none"
	}
	return s.decline(r.IncomingCallContext, Result{Code: 603, Message: "The call was rejected: " + strings.ToLower(reason) + "."})
}

func (s *Server) redirect(req *request) (*response, func()) {
	r, bad := parseRedirect(req.body)
	if bad != nil {
		return refuse(bad)
	}
	c := s.ringing(r.IncomingCallContext)
	resp, after := s.decline(r.IncomingCallContext, Result{Code: 302, Message: "The call was redirected to " + r.Target.rawID() + "."})
	if c != nil && resp.status == http.StatusNoContent {
		s.keepRedirected(r.IncomingCallContext, c)
	}
	return resp, after
}

// maxRedirected bounds the calls that are known to have been redirected.
const maxRedirected = 1000

func (s *Server) keepRedirected(context string, c *acsCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.redirected == nil || len(s.redirected) >= maxRedirected {
		s.redirected = map[string]*acsCall{}
	}
	s.redirected[context] = c
}

// redirectedCall returns the call of that context if it was redirected.
// Answering and rejecting it succeeds, though nothing comes of it: a quirk that
// the service's documents own up to (call-automation.md).
func (s *Server) redirectedCall(context string) *acsCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.redirected[context]
}

// redirectedProperties are what answering such a call returns. In which state
// it is then is not documented.
func (c *acsCall) redirectedProperties(o order) properties {
	return properties{
		callConnectionID: c.id, serverCallID: c.serverCallID, correlationID: c.correlationID,
		source: &c.caller, targets: []identifier{c.bot}, displayName: c.callerName,
		state: stateNames[stateConnecting], callbackURI: o.callbackURI,
	}
}

func (s *Server) decline(context string, why Result) (*response, func()) {
	c := s.ringing(context)
	if c == nil {
		return refuse(notFound("Incoming call"))
	}
	if bad := c.answer(nil, why); bad != nil {
		return refuse(bad)
	}
	return newResponse(http.StatusNoContent, nil), func() {}
}

func (s *Server) get(req *request) (*response, func()) {
	return newResponse(http.StatusOK, req.call.properties().shape(req.version)), func() {}
}

// hangUp serves DELETE and :terminate. The bot's leg is the only one that is
// seen from outside, so that leaving ends the call as much as ending it does.
func (s *Server) hangUp(req *request) (*response, func()) {
	req.call.end(resultByBot)
	return newResponse(http.StatusNoContent, nil), func() {}
}

func (s *Server) startStreaming(req *request) (*response, func()) { return s.stream(req, true) }
func (s *Server) stopStreaming(req *request) (*response, func())  { return s.stream(req, false) }

func (s *Server) stream(req *request, on bool) (*response, func()) {
	r, bad := parseStream(req.body, s.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	if bad := req.call.standing(); bad != nil {
		return refuse(bad)
	}
	if bad := req.call.wantStream(on, r); bad != nil {
		return refuse(bad)
	}
	return newResponse(http.StatusAccepted, nil), func() {}
}
