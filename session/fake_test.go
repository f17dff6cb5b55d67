package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeMedia is a transport in memory: addresses that can be dialled.
type fakeMedia struct {
	mu        sync.Mutex
	endpoints map[string]*fakeEndpoint
	refuse    error
}

func (f *fakeMedia) Open(leg *engine.Leg, s transport.Stream) (transport.Endpoint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	e := &fakeEndpoint{leg: leg, stream: s, url: fmt.Sprintf("ws://fake/%d", len(f.endpoints)), changed: make(chan struct{})}
	f.endpoints[e.url] = e
	return e, nil
}

func (f *fakeMedia) at(url string) *fakeEndpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.endpoints[url]
}

type fakeEndpoint struct {
	leg    *engine.Leg
	stream transport.Stream
	url    string

	mu       sync.Mutex
	callID   string
	conn     *fakeConn
	draining bool
	dials    int64
	changed  chan struct{}
}

// fakeConn is a connection that carries a leg.
type fakeConn struct {
	e    *fakeEndpoint
	port *engine.Port
	seq  int
}

func (e *fakeEndpoint) URL() string { return e.url }

func (e *fakeEndpoint) Bind(callID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.callID = callID
}

func (e *fakeEndpoint) bound() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.callID
}

func (e *fakeEndpoint) Stats() transport.Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return transport.Stats{Connections: e.dials, Connected: e.conn != nil}
}

func (e *fakeEndpoint) Drain() {
	e.mu.Lock()
	e.draining = true
	e.mu.Unlock()
	timeout := time.NewTimer(500 * time.Millisecond)
	defer timeout.Stop()
	for {
		e.mu.Lock()
		conn, changed := e.conn, e.changed
		e.mu.Unlock()
		if conn == nil {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			conn.close(errors.New("drained"))
			return
		}
	}
}

// dial connects as a cloud does.
func (e *fakeEndpoint) dial() (*fakeConn, error) {
	e.mu.Lock()
	refused := e.draining || e.conn != nil
	e.mu.Unlock()
	if refused {
		return nil, errors.New("refused")
	}
	port, err := e.leg.Attach(nil)
	if err != nil {
		return nil, err
	}
	c := &fakeConn{e: e, port: port}
	e.mu.Lock()
	e.conn = c
	e.dials++
	e.mu.Unlock()
	e.stream.OnUp()
	return c, nil
}

// speak pushes one frame of 20 ms whose samples are all v.
func (c *fakeConn) speak(t testing.TB, rawID string, v int16) {
	r, err := c.port.Render([]byte(rawID), engine.Now())
	require.NoError(t, err)
	samples := make([]int16, pcm.FrameSamples)
	for i := range samples {
		samples[i] = v
	}
	r.Append(samples, engine.Chunk{Arrival: engine.Now()})
	c.seq++
}

func (c *fakeConn) close(err error) {
	e := c.e
	e.mu.Lock()
	if e.conn != c {
		e.mu.Unlock()
		return
	}
	e.conn = nil
	close(e.changed)
	e.changed = make(chan struct{})
	e.mu.Unlock()
	c.port.Detach(engine.Now())
	e.stream.OnDown(err)
}

// fakeCloud is a call service in memory. It knows the calls that live, tells
// their events, and dials their media when told to.
type fakeCloud struct {
	name  string
	media *fakeMedia
	tell  func(Notice)

	// Hooks of a test, called without mu; nil is the good order.
	before func(op string) error // before the operation
	placed func(id, url string)  // call exists, response not sent

	mu    sync.Mutex
	calls map[string]CallState
	log   []string
	urls  map[string]string // by call id
	last  MediaRequest
	body  json.RawMessage
	fixed string // call id for every call
	notes int

	nextID int
}

func (f *fakeCloud) Name() string { return f.name }

func (f *fakeCloud) note(op, detail string) error {
	f.mu.Lock()
	f.log = append(f.log, op+detail)
	f.mu.Unlock()
	if f.before != nil {
		return f.before(op)
	}
	return nil
}

func (f *fakeCloud) place(m MediaRequest) (Connection, error) {
	f.mu.Lock()
	id := fmt.Sprintf("call-%d", f.nextID)
	f.nextID++
	if f.fixed != "" {
		id = f.fixed
	}
	f.calls[id], f.urls[id], f.last = StateConnecting, m.URL, m
	f.mu.Unlock()
	if f.placed != nil {
		f.placed(id, m.URL)
	}
	return Connection{CallID: id, GroupID: "group", State: StateConnecting,
		Source: Identity{RawID: "8:bot", Name: "Bot"}, Targets: []Identity{{RawID: "8:callee"}}}, nil
}

func (f *fakeCloud) Create(ctx context.Context, req CreateRequest) (Connection, error) {
	if err := f.note("create", ""); err != nil {
		return Connection{}, err
	}
	f.mu.Lock()
	f.body = req.Body
	f.mu.Unlock()
	return f.place(req.Media)
}

func (f *fakeCloud) Answer(ctx context.Context, in Incoming, m MediaRequest) (Connection, error) {
	if err := f.note("answer ", in.Context); err != nil {
		return Connection{}, err
	}
	return f.place(m)
}

func (f *fakeCloud) Reject(ctx context.Context, in Incoming, reason string) error {
	return f.note("reject ", in.Context+" "+reason)
}

func (f *fakeCloud) Redirect(ctx context.Context, in Incoming, target Identity) error {
	return f.note("redirect ", in.Context+" "+target.RawID)
}

func (f *fakeCloud) Get(ctx context.Context, id string) (Connection, error) {
	if err := f.note("get ", id); err != nil {
		return Connection{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.calls[id]
	if !ok {
		return Connection{}, f.gone("get")
	}
	return Connection{CallID: id, State: s}, nil
}

func (f *fakeCloud) HangUp(ctx context.Context, id string, everyone bool) error {
	if err := f.note("hang up ", fmt.Sprint(id, " ", everyone)); err != nil {
		return err
	}
	if !f.end(id, 200) {
		return f.gone("hang up")
	}
	return nil
}

func (f *fakeCloud) gone(op string) error {
	return &Error{Cloud: f.name, Op: op, Status: http.StatusNotFound, Code: "8522", Message: "call not found"}
}

// say tells an event of a call, with a message id of its own.
func (f *fakeCloud) say(id string, kind EventKind, ps ...Participant) {
	f.mu.Lock()
	f.notes++
	n := Notice{Kind: kind, Type: fmt.Sprint(kind), ID: fmt.Sprintf("%s-%d", f.name, f.notes), CallID: id, Participants: ps}
	f.mu.Unlock()
	f.tell(n)
}

// connect lets the call be picked up.
func (f *fakeCloud) connect(id string) {
	f.mu.Lock()
	f.calls[id] = StateConnected
	f.mu.Unlock()
	f.say(id, EventConnected)
}

// end ends a call as the service does: it tells, and closes the media.
func (f *fakeCloud) end(id string, code int) bool {
	f.mu.Lock()
	_, lives := f.calls[id]
	delete(f.calls, id)
	url := f.urls[id]
	f.mu.Unlock()
	if !lives {
		return false
	}
	f.tell(Notice{Kind: EventDisconnected, ID: "end-" + id, CallID: id, Code: code})
	if e := f.media.at(url); e != nil {
		e.mu.Lock()
		conn := e.conn
		e.mu.Unlock()
		if conn != nil {
			conn.close(nil)
		}
	}
	return true
}

// lines returns what was asked of the cloud, in order.
func (f *fakeCloud) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.log...)
}

// world is a manager with its surroundings.
type world struct {
	*testing.T
	*Manager
	cloud *fakeCloud
	media *fakeMedia
}

// inWorld runs a test in a bubble of its own time and checks at the end that
// nothing is left: no call, no leg, no goroutine.
func inWorld(t *testing.T, cfg Config, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, media: &fakeMedia{endpoints: map[string]*fakeEndpoint{}}}
		w.cloud = &fakeCloud{name: "fake", media: w.media, calls: map[string]CallState{}, urls: map[string]string{}}
		cfg.Engine, cfg.Media, cfg.CallbackURL = engine.New(engine.Config{}), w.media, "https://bot/events"
		if cfg.Clouds == nil {
			cfg.Clouds = []Cloud{w.cloud}
		}
		m, err := New(cfg)
		require.NoError(t, err)
		w.Manager, w.cloud.tell = m, m.Deliver
		defer w.end(cfg.Engine)
		f(w)
	})
}

func (w *world) end(e *engine.Engine) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	assert.NoError(w, w.Close(ctx))
	assert.Empty(w, w.live)
	assert.Empty(w, w.calls)
	assert.Empty(w, w.rings)
	assert.Empty(w, w.byCallID)
	assert.Empty(w, e.Legs(), "every leg is closed")
	assert.NoError(w, e.Close())
}

// create places a call that the cloud takes.
func (w *world) create() *Call {
	w.Helper()
	c, err := w.Create(w.Context(), "fake", json.RawMessage(`{"targets":[]}`), Options{Bidirectional: true})
	require.NoError(w, err)
	return c
}

// endpoint of a call.
func (w *world) endpoint(c *Call) *fakeEndpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endpoint.(*fakeEndpoint)
}

func ring(id string) Incoming {
	return Incoming{Cloud: "fake", ID: id, Context: "ctx-" + id,
		From: Identity{RawID: "8:caller", Name: "Ann"}, To: Identity{RawID: "8:bot"}}
}

// isDone reports whether a channel is closed.
func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
