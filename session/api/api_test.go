package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noMedia mints addresses that nobody dials.
type noMedia struct{}

func (noMedia) Open(*engine.Leg, transport.Stream) (transport.Endpoint, error) { return noMedia{}, nil }
func (noMedia) URL() string                                                    { return "wss://secret" }
func (noMedia) Bind(string)                                                    {}
func (noMedia) Drain()                                                         {}
func (noMedia) Stats() transport.Stats                                         { return transport.Stats{} }

// cloud takes everything, or refuses everything.
type cloud struct {
	mu      sync.Mutex
	tell    func(session.Notice)
	refusal error
	calls   int
	log     []string
}

func (c *cloud) Name() string { return "acs" }

func (c *cloud) note(format string, args ...any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, fmt.Sprintf(format, args...))
	return c.refusal
}

func (c *cloud) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.log...)
}

func (c *cloud) refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusal = err
}

func (c *cloud) place(err error) (session.Connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	return session.Connection{CallID: fmt.Sprintf("c%d", c.calls), State: session.StateConnecting}, err
}

func (c *cloud) Create(_ context.Context, r session.CreateRequest) (session.Connection, error) {
	m := r.Media
	return c.place(c.note("create %s %v %d %v %v %q", r.Body, m.Channels, m.SampleRate, m.Bidirectional, m.DTMF, m.OperationContext))
}

func (c *cloud) Answer(_ context.Context, in session.Incoming, m session.MediaRequest) (session.Connection, error) {
	return c.place(c.note("answer %s %v %d", in.Context, m.Channels, m.SampleRate))
}

func (c *cloud) Reject(_ context.Context, in session.Incoming, reason string) error {
	return c.note("reject %s %s", in.Context, reason)
}

func (c *cloud) Redirect(_ context.Context, in session.Incoming, to session.Identity) error {
	return c.note("redirect %s %s", in.Context, to.RawID)
}

func (c *cloud) Get(context.Context, string) (session.Connection, error) {
	return session.Connection{}, c.note("get")
}

func (c *cloud) HangUp(_ context.Context, id string, everyone bool) error {
	err := c.note("hang up %s %v", id, everyone)
	if err == nil {
		c.tell(session.Notice{Kind: session.EventDisconnected, CallID: id})
	}
	return err
}

// world is a server on loopback and a client of it.
type world struct {
	*testing.T
	*Client
	cloud   *cloud
	manager *session.Manager
	server  *httptest.Server
}

func newWorld(t *testing.T, cfg Config, mc session.Config) *world {
	w := &world{T: t, cloud: &cloud{}}
	e := engine.New(engine.Config{})
	mc.Engine, mc.Media, mc.Clouds = e, noMedia{}, []session.Cloud{w.cloud}
	mc.OnIncoming = func(*session.IncomingCall) {}
	var err error
	w.manager, err = session.New(mc)
	require.NoError(t, err)
	w.cloud.tell = w.manager.Deliver
	cfg.Manager = w.manager
	api, err := New(cfg)
	require.NoError(t, err)
	w.server = httptest.NewServer(api)
	w.Client = &Client{URL: w.server.URL + "/", Token: cfg.Token, HTTP: w.server.Client()}
	t.Cleanup(func() {
		w.cloud.refuse(nil)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, w.manager.Close(ctx))
		w.server.Close()
		require.NoError(t, e.Close())
	})
	return w
}

func (w *world) ring(id string) {
	w.manager.Ring(session.Incoming{Cloud: "acs", ID: id, Context: "secret-" + id,
		From: session.Identity{RawID: "8:ann", Name: "Ann"}, Arrived: time.Now().UTC()})
}

// code is the API's word for an error.
func code(t *testing.T, err error, status int) *Error {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, status, e.Status, "%v", err)
	return e
}

func TestCalls(t *testing.T) {
	w := newWorld(t, Config{}, session.Config{})
	ctx := t.Context()
	list, err := w.Calls(ctx)
	require.NoError(t, err)
	require.NotNil(t, list)

	s, err := w.Create(ctx, CallRequest{Cloud: "acs", Request: json.RawMessage(`{"x":1}`), OperationContext: "op",
		Media: Media{Channels: "unmixed", SampleRate: 24000, Bidirectional: true, DTMF: true}})
	require.NoError(t, err)
	require.Equal(t, "c1", s.CallID)
	require.Equal(t, session.StateConnecting, s.State)
	require.Equal(t, engine.Unmixed, s.Media.Channels)
	require.Equal(t, []string{`create {"x":1} unmixed 24000 true true "op"`}, w.cloud.lines())

	w.manager.Deliver(session.Notice{Kind: session.EventConnected, CallID: "c1"})
	c, err := w.manager.Call("c1")
	require.NoError(t, err)
	require.NoError(t, c.Wait(ctx, session.StateConnected))
	list, err = w.Calls(ctx)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, session.StateConnected, list[0].State)
	byCloud, err := w.Call(ctx, "c1")
	require.NoError(t, err)
	require.Equal(t, s.ID, byCloud.ID)

	require.NoError(t, w.HangUp(ctx, s.ID, true))
	require.Contains(t, w.cloud.lines(), "hang up c1 true")
	<-c.Done()
	_, err = w.Call(ctx, s.ID)
	require.Equal(t, "unknown_call", code(t, err, 404).Code)
	require.Equal(t, "unknown_call", code(t, w.HangUp(ctx, s.ID, false), 404).Code)

	stats, err := w.Stats(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, stats.Created)
	require.EqualValues(t, 1, stats.Media.Opened)
	require.Zero(t, stats.Media.Legs)
}

func TestMetrics(t *testing.T) {
	told := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "frames 1") })
	w := newWorld(t, Config{Token: "s3cret", Metrics: told}, session.Config{})
	get := func(token string) (int, string) {
		req, err := http.NewRequest("GET", w.server.URL+"/metrics", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := w.server.Client().Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	status, body := get("s3cret")
	require.Equal(t, 200, status)
	require.Equal(t, "frames 1", body)
	status, _ = get("guess")
	require.Equal(t, 401, status)
	req, err := http.NewRequest("POST", w.server.URL+"/metrics", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer s3cret")
	resp, err := w.server.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 405, resp.StatusCode)
	require.Equal(t, "GET", resp.Header.Get("Allow"))
}

func TestIncoming(t *testing.T) {
	w := newWorld(t, Config{}, session.Config{})
	ctx := t.Context()
	for _, id := range []string{"a/b ?", "r2", "r3"} {
		w.ring(id)
	}
	rings, err := w.Incoming(ctx)
	require.NoError(t, err)
	require.Len(t, rings, 3)
	require.Equal(t, "a/b ?", rings[0].ID)
	require.Equal(t, "Ann", rings[0].From.Name)
	require.Empty(t, rings[0].Context, "a secret")
	require.WithinDuration(t, time.Now().Add(15*time.Second), rings[0].AnswerBy, 10*time.Second)

	s, err := w.Answer(ctx, "a/b ?", AnswerRequest{Media: Media{Channels: "unmixed"}})
	require.NoError(t, err)
	require.Equal(t, session.DirectionIncoming, s.Direction)
	require.NoError(t, w.Reject(ctx, "r2", "busy"))
	require.NoError(t, w.Redirect(ctx, "r3", session.Identity{RawID: "4:+1"}))
	require.Equal(t, []string{"answer secret-a/b ? unmixed 0", "reject secret-r2 busy", "redirect secret-r3 4:+1"}, w.cloud.lines())

	_, err = w.Answer(ctx, "r2", AnswerRequest{})
	require.Equal(t, "decided", code(t, err, 409).Code)
	require.Equal(t, "unknown_call", code(t, w.Reject(ctx, "r9", ""), 404).Code)
	w.ring("r4")
	require.Equal(t, "target.raw_id", code(t, w.Redirect(ctx, "r4", session.Identity{}), 400).Field)
	resp, err := w.server.Client().Post(w.server.URL+"/v1/incoming/r4/answer", "", nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode, "the body may be left out")
}

func TestAnswerDeadline(t *testing.T) {
	fire, armed := make(chan time.Time), make(chan time.Duration, 8)
	var passed atomic.Int64
	clock := session.Clock{
		Now: func() time.Time { return time.Unix(passed.Load(), 0) },
		NewTimer: func(d time.Duration) (<-chan time.Time, func() bool) {
			armed <- d
			return fire, func() bool { return true }
		},
	}
	w := newWorld(t, Config{}, session.Config{Clock: clock})
	w.ring("r1")
	ic, err := w.manager.IncomingCall("r1")
	require.NoError(t, err)
	require.Equal(t, 15*time.Second, <-armed)
	passed.Store(15)
	fire <- time.Time{}
	<-ic.Done()
	_, err = w.Answer(t.Context(), "r1", AnswerRequest{})
	require.Equal(t, "answer_deadline", code(t, err, 409).Code)
}

func TestCloudRefusal(t *testing.T) {
	w := newWorld(t, Config{}, session.Config{})
	w.cloud.refuse(&session.Error{Cloud: "acs", Op: "create", Status: 403, Code: "Forbidden", SubCode: 7504,
		Message: "insufficient permissions", RequestID: "req-1"})
	_, err := w.Create(t.Context(), CallRequest{Cloud: "acs", Request: json.RawMessage(`{}`)})
	e := code(t, err, 502)
	require.Equal(t, "cloud_refused", e.Code)
	require.Equal(t, &CloudError{Name: "acs", Op: "create", Status: 403, Code: "Forbidden", SubCode: 7504,
		Message: "insufficient permissions", RequestID: "req-1"}, e.Cloud)

	w.cloud.refuse(&session.Error{Cloud: "acs", Op: "reject", Err: errors.New("connection refused")})
	w.ring("r1")
	e = code(t, w.Reject(t.Context(), "r1", ""), 502)
	require.Equal(t, "cloud_unreachable", e.Code)
	require.Contains(t, e.Error(), "connection refused")
}

func TestErrorsHaveTheirStatus(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("x: %w", session.ErrEnded), 409, "call_ended"},
		{fmt.Errorf("x: %w", session.ErrTooManyCalls), 503, "too_many_calls"},
		{session.ErrClosed, 503, "closed"},
		{context.DeadlineExceeded, 504, "timeout"},
		{context.Canceled, 503, "canceled"},
		{&session.Error{Err: context.DeadlineExceeded}, 504, "cloud_unreachable"},
		{session.ErrPanic, 500, "internal"},
	} {
		e := asError(tt.err)
		require.Equal(t, tt.code, e.Code)
		require.Equal(t, tt.status, e.Status)
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t, Config{MaxBody: 200}, session.Config{})
	w.ring("r1")
	for _, tt := range []struct {
		method, path, body string
		status             int
		code, field, says  string
	}{
		{"POST", "/v1/calls", `{"cloud":"acs","request":{},"media":{"chanels":"mixed"}}`, 400, "bad_field", "chanels", ""},
		{"POST", "/v1/calls", `{"cloud":"acs","request":{},"media":{"channels":"both"}}`, 400, "bad_field", "media.channels", `"both"`},
		{"POST", "/v1/calls", `{"cloud":"acs","request":{},"media":{"sample_rate":8000}}`, 400, "bad_field", "media.sample_rate", `"8000"`},
		{"POST", "/v1/calls", `{"cloud":"acs","request":{},"media":{"sample_rate":"16000"}}`, 400, "bad_field", "media.sample_rate", "want int, got string"},
		{"POST", "/v1/calls", `{"cloud":7}`, 400, "bad_field", "cloud", "want string, got number"},
		{"POST", "/v1/calls", `{"request":{}}`, 400, "bad_field", "cloud", "want one of: acs"},
		{"POST", "/v1/calls", `{"cloud":"acs"}`, 400, "bad_field", "request", "JSON object"},
		{"POST", "/v1/calls", `{"cloud":"acs","request":[1]}`, 400, "bad_field", "request", "JSON object"},
		{"POST", "/v1/calls", `{"cloud":"acs"`, 400, "bad_json", "", "unexpected EOF"},
		{"POST", "/v1/calls", `{} {}`, 400, "bad_json", "", "more follows"},
		{"POST", "/v1/calls", ``, 400, "bad_json", "", "want a JSON object"},
		{"POST", "/v1/calls", `null`, 400, "bad_json", "", "want a JSON object"},
		{"POST", "/v1/calls", `{"cloud":"` + strings.Repeat("a", 300) + `"}`, 413, "too_large", "", "200 bytes"},
		{"POST", "/v1/incoming/r1/answer", `{"cloud":"acs"}`, 400, "bad_field", "cloud", ""},
		{"POST", "/v1/incoming/r1/answer", `{"media":{"channels":"x"}}`, 400, "bad_field", "media.channels", ""},
		{"POST", "/v1/incoming/r1/reject", `{"why":"x"}`, 400, "bad_field", "why", ""},
		{"POST", "/v1/incoming/r1/redirect", ``, 400, "bad_json", "", ""},
		{"POST", "/v1/incoming/r1/redirect", `{"target":{"rawId":"x"}}`, 400, "bad_field", "rawId", ""},
		{"POST", "/v1/incoming/r2/redirect", `{"target":{"raw_id":"x"}}`, 404, "unknown_call", "", ""},
		{"DELETE", "/v1/calls/x?everyone=maybe", ``, 400, "bad_field", "everyone", `"maybe"`},
		{"DELETE", "/v1/calls/x?all=true", ``, 400, "bad_field", "all", ""},
		{"PUT", "/v1/calls", ``, 405, "method_not_allowed", "", "PUT"},
		{"GET", "/v1/incoming/r1/answer", ``, 405, "method_not_allowed", "", ""},
		{"GET", "/v2/calls", ``, 404, "not_found", "", ""},
	} {
		t.Run(tt.method+" "+tt.path+" "+tt.body[:min(len(tt.body), 60)], func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, w.server.URL+tt.path, strings.NewReader(tt.body))
			require.NoError(t, err)
			resp, err := w.server.Client().Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, tt.status, resp.StatusCode)
			require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
			var got errorBody
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&got))
			require.Equal(t, tt.code, got.Error.Code)
			require.Equal(t, tt.field, got.Error.Field)
			require.Contains(t, got.Error.Message, tt.says)
			if tt.status == 405 {
				require.NotEmpty(t, resp.Header.Get("Allow"))
			}
		})
	}
	require.Empty(t, w.cloud.lines(), "nothing was half done")
	require.Len(t, w.manager.Incoming(), 1)
}

// Whoever gives up waiting for a create leaves no call behind.
func TestClientGivesUp(t *testing.T) {
	armed := make(chan *session.Call, 1)
	w := newWorld(t, Config{}, session.Config{OnCall: func(c *session.Call) {
		armed <- c
		<-c.Done()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	var c *session.Call
	go func() {
		defer cancel()
		c = <-armed
	}()
	_, err := w.Create(ctx, CallRequest{Cloud: "acs", Request: json.RawMessage(`{}`)})
	require.ErrorIs(t, err, context.Canceled)
	<-c.Done()
	require.Empty(t, w.manager.Calls())
	require.Empty(t, w.cloud.lines())
}

func TestClientMeetsAnotherServer(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	c := Client{URL: other.URL, HTTP: other.Client()}
	_, err := c.Calls(t.Context())
	e := code(t, err, 404)
	require.Equal(t, "not_the_api", e.Code)
	require.Equal(t, "404 page not found", e.Message)
	c.URL = "http://127.0.0.1:1"
	_, err = c.Stats(t.Context())
	require.ErrorContains(t, err, "control API: Get")
	c.URL = "\x00"
	_, err = c.Stats(t.Context())
	require.ErrorContains(t, err, "control API")
}

func TestNewBadConfig(t *testing.T) {
	_, err := New(Config{})
	require.ErrorContains(t, err, "Config.Manager")
	_, err = New(Config{Manager: new(session.Manager), Token: "a b"})
	require.ErrorContains(t, err, "Config.Token")
}

func FuzzDecodeStrict(f *testing.F) {
	for _, seed := range []string{`{"cloud":"acs","request":{"a":[1]},"media":{"channels":"mixed"}}`, `{"x":1}`,
		`{"cloud":1}`, `{"media":{"x":{}}}`, `{}{}`, `null`, ``, `[`, `{"\"":1}`, "{\"\xff\":0}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var req CallRequest
		err := decodeStrict(body, &req)
		if err == nil {
			require.True(t, json.Valid(body))
			return
		}
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, 400, e.Status)
		require.Contains(t, []string{"bad_json", "bad_field"}, e.Code)
		require.NotEmpty(t, e.Message)
	})
}
