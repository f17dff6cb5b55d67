package cloud

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Profile says how the emulated Graph writes what its documents and its wire
// write differently.
type Profile string

const (
	// ProfileDocs: values of enumerations as the documents write them,
	// "established", and resourceUrl alone. The default.
	ProfileDocs Profile = "docs"
	// ProfileReal: as captures of the service show it, "Established", with
	// resource beside resourceUrl.
	ProfileReal Profile = "real"
)

// enum is a value of an enumeration as the profile writes it.
func (p Profile) enum(value string) string {
	if p != ProfileReal || value == "" {
		return value
	}
	return strings.ToUpper(value[:1]) + value[1:]
}

// graphRequest is one that was authenticated and routed.
type graphRequest struct {
	app     *GraphApp
	roles   roleSet
	version string // v1.0 or beta
	body    []byte
	call    *graphCall // of operations of a call
	ids     []string   // what the path names below the call
	base    string     // address by which the client reached the service
	agent   string     // its User-Agent
}

// graphOperation is one of the calls API.
type graphOperation struct {
	name, method string
	// path below /communications/calls; {} is an id, of which the first is
	// the call's.
	path string
	// roles of which the app needs one; nil means none is needed.
	roles  []string
	beta   bool // not in v1.0
	handle func(*Server, *graphRequest) (*response, func())
}

// serveGraph is the handler of /v1.0 and /beta.
func (s *Server) serveGraph(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		graphError(http.StatusServiceUnavailable, "ServiceUnavailable", "The service is shutting down.").withFailure().write(w)
		return
	}
	defer s.wg.Done()
	resp, after, delay := s.processGraph(w, r)
	defer after() // even if nobody waits for the response
	s.linger(r, delay)
	id := uuid.NewString()
	w.Header().Set("request-id", id)
	client := r.Header.Get("client-request-id")
	if client == "" || len(client) > 256 {
		client = id
	}
	w.Header().Set("client-request-id", client)
	w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	if f := resp.failure; f != nil {
		f.RequestID, f.ClientRequestID = id, client
	}
	s.flush(w, resp)
}

// begin lets Close wait for a request, which may start what outlives it. False:
// the server is closing.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != serverStarted {
		return false
	}
	s.wg.Add(1)
	return true
}

func (s *Server) processGraph(w http.ResponseWriter, r *http.Request) (resp *response, after func(), delay time.Duration) {
	after = func() {}
	body, resp := readGraphBody(w, r)
	if resp != nil {
		return resp, after, 0
	}
	app, roles, resp := s.authenticate(r.Header.Get("Authorization"), time.Now())
	if resp != nil {
		return resp, after, 0
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	version, path, _ := strings.Cut(path, "/")
	req := &graphRequest{app: app, roles: roles, version: version, body: body, base: baseOf(r), agent: r.UserAgent()}
	if head, below, _ := strings.Cut(path, "/"); head == "subscriptions" {
		from := changeApp{ID: app.ID, TenantID: app.TenantID, Roles: roles.names}
		return s.changes.serve(from, version, r.Method, below, body), after, 0
	}
	op, resp := s.routeGraph(req, r.Method, path)
	if resp != nil {
		return resp, after, 0
	}
	fault := s.takeFault(op.name)
	if resp := faultResponse(fault); resp != nil && !fault.Executed {
		return resp, after, fault.Delay
	}
	if len(op.roles) > 0 && !roles.any(op.roles...) {
		return errPermission(op.roles...), after, fault.Delay
	}
	if resp := checkContentType(r.Header.Get("Content-Type"), body); resp != nil {
		return resp, after, fault.Delay
	}
	resp, after = op.handle(s, req)
	if lost := faultResponse(fault); lost != nil {
		resp = lost
	}
	return resp, after, fault.Delay
}

func faultResponse(f RequestFault) *response {
	if f.Status == 0 {
		return nil
	}
	resp := graphError(f.Status, "serviceFault", "fault by script")
	if f.RetryAfter > 0 {
		resp = resp.with("Retry-After", fmt.Sprint(f.RetryAfter))
	}
	return resp
}

// baseOf is the address by which a client reached the service.
func baseOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// readGraphBody reads a body that may be packed: the Go SDK packs all of them.
// What it unpacks to is bounded too.
func readGraphBody(w http.ResponseWriter, r *http.Request) ([]byte, *response) {
	reader := io.Reader(http.MaxBytesReader(w, r.Body, maxBody))
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(reader)
		if err != nil {
			return nil, badRequest("body", "is not gzip: %v", err)
		}
		reader = z
	default:
		return nil, graphError(http.StatusUnsupportedMediaType, "UnsupportedMediaType", fmt.Sprintf("Content-Encoding %q: want gzip", encoding))
	}
	body, err := io.ReadAll(io.LimitReader(reader, maxBody+1))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge) || len(body) > maxBody:
		return nil, graphError(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", fmt.Sprintf("body is longer than %d bytes", maxBody))
	case err != nil:
		return nil, badRequest("body", "%v", err)
	}
	return body, nil
}

// checkContentType: "Content-type: application/json. Required."
func checkContentType(value string, body []byte) *response {
	kind, _, err := mime.ParseMediaType(value)
	switch {
	case len(body) == 0, err == nil && kind == "application/json":
		return nil
	case value == "":
		return badRequest("Content-Type", "is missing")
	}
	return graphError(http.StatusUnsupportedMediaType, "UnsupportedMediaType", fmt.Sprintf("Content-Type %q: want application/json", value))
}

// routeGraph finds the operation by method and path: of the calls API, below
// /communications or the deprecated /app, with actions written bare or with
// their namespace, as the C# SDK does.
func (s *Server) routeGraph(req *graphRequest, method, path string) (*graphOperation, *response) {
	segments := strings.Split(path, "/")
	for i := range segments {
		segment, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, badRequest("path", "%q is badly escaped", segments[i])
		}
		segments[i] = segment
	}
	root := strings.ToLower(segments[0])
	unknown := graphError(http.StatusBadRequest, "BadRequest", "Resource not found for the segment '"+segments[0]+"'.")
	if root != "communications" && (root != "app" || req.version != "beta") || len(segments) < 2 || !strings.EqualFold(segments[1], "calls") {
		return nil, unknown
	}
	known := false
	for i := range graphOperations {
		op := &graphOperations[i]
		ids, ok := matchPath(op.path, segments[2:])
		if !ok || op.beta && req.version != "beta" {
			continue
		}
		known = true
		if op.method != method {
			continue
		}
		if len(ids) == 0 {
			return op, nil
		}
		if req.call = s.graphCallOf(ids[0], req.app); req.call == nil {
			return nil, graphError(http.StatusNotFound, "NotFound", "Call not found.")
		}
		req.ids = ids[1:]
		return op, nil
	}
	if known {
		return nil, graphError(http.StatusMethodNotAllowed, "MethodNotAllowed", method+" is not supported here.")
	}
	return nil, unknown
}

// matchPath compares segments with a pattern, and returns the ids.
func matchPath(pattern string, segments []string) (ids []string, ok bool) {
	want := strings.Split(pattern, "/")
	if pattern == "" {
		want = nil
	}
	segments = slices.DeleteFunc(slices.Clone(segments), func(s string) bool { return s == "" })
	if len(want) != len(segments) {
		return nil, false
	}
	for i, w := range want {
		got := segments[i]
		switch {
		case w == "{}":
			ids = append(ids, got)
		case !strings.EqualFold(w, strings.TrimPrefix(got, "microsoft.graph.")):
			return nil, false
		}
	}
	return ids, true
}

// graphCallOf returns the call of that id that an app may act on, or nil. Ids
// are the same with dashes and without, in any case.
func (s *Server) graphCallOf(id string, app *GraphApp) *graphCall {
	s.mu.Lock()
	c := s.graphCalls[graphKey(id)]
	s.mu.Unlock()
	if c == nil || c.app != app {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state >= stateEnded || c.gone {
		return nil
	}
	return c
}

// graphKey is the form of an id by which ids are compared.
func graphKey(id string) string { return strings.ToLower(strings.ReplaceAll(id, "-", "")) }

// graphFailure is Graph's error envelope.
type graphFailure struct {
	Code, Message              string
	RequestID, ClientRequestID string
}

// graphError is a response that is not success, in Graph's envelope.
func graphError(status int, code, message string) *response {
	return &response{status: status, failure: &graphFailure{Code: code, Message: message}}
}

// badRequest names the field that is wrong.
func badRequest(field, format string, args ...any) *response {
	return graphError(http.StatusBadRequest, "BadRequest", field+": "+fmt.Sprintf(format, args...))
}

// withFailure returns r with its error written out.
func (r *response) withFailure() *response {
	out := newResponse(r.status, map[string]any{"error": map[string]any{
		"code": r.failure.Code, "message": r.failure.Message,
		"innerError": map[string]any{
			"date":       time.Now().UTC().Format("2006-01-02T15:04:05"),
			"request-id": r.failure.RequestID, "client-request-id": r.failure.ClientRequestID,
		},
	}})
	out.header = r.header
	return out
}

// refuseGraph is for handlers: nothing follows.
func refuseGraph(r *response) (*response, func()) { return r, func() {} }
