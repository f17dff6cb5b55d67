package session

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
)

// ErrTooManyCalls: Config.MaxCalls calls live, or the engine has all the legs
// that it may.
var ErrTooManyCalls = errors.New("session: too many calls")

// Bounds of a manager's memory.
const (
	defaultMaxCalls = 10_000
	maxIDBytes      = 1024 // of message, call and ringing ids
	recentRings     = 1024
	recentEnds      = 1024
)

// FieldError is an argument that cannot be used.
type FieldError struct {
	// Field as the control API spells it: "media.sample_rate".
	Field, Value, Want string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("session: %s = %q: %s", e.Field, e.Value, e.Want)
}

// Config of a Manager. Engine and Clouds are needed, and Media unless each of
// the clouds is a Carrier or has media in CloudMedia.
type Config struct {
	// Engine makes the calls' legs; the manager does not close it.
	Engine *engine.Engine
	// Media gives the legs addresses, but those of a Carrier's calls, and
	// CloudMedia, by cloud, those of clouds that dial other addresses.
	Media      transport.Transport
	CloudMedia map[string]transport.Transport
	// Clouds by their names.
	Clouds []Cloud
	// CallbackURL is where clouds post events, and CallbackURLs, by cloud,
	// where those do that have an address of their own.
	CallbackURL  string
	CallbackURLs map[string]string
	// OnIncoming decides on a ringing call, on a goroutine of its own: it
	// answers, rejects or redirects. A call that it leaves undecided waits
	// in Incoming for another to decide, and is rejected when AnswerWithin
	// has passed. nil: calls are rejected at once.
	OnIncoming func(*IncomingCall)
	// OnCall arms a call: its leg stands, nothing has been asked of the
	// cloud. Taps, handlers and recorders attached here miss nothing. The
	// cloud is asked when it returns. It may hang the call up.
	OnCall func(*Call)
	// OnRoom arms a room that was opened, before anybody is in it: recorders
	// attach to its leg here. It must not block nor call the Manager.
	OnRoom func(*engine.Room)
	// Logger for calls, never for frames; nil is silent.
	Logger *slog.Logger
	// Clock of the protocol's timers.
	Clock Clock
	// AnswerWithin is how long a call may ring; 0 means 15 s, after which
	// the cloud gives up.
	AnswerWithin time.Duration
	// MediaWithin is how long a connected call may be without media that the
	// cloud should have brought, before it is hung up with ErrNoMedia; 0
	// means 30 s, negative means forever. Time in a lobby and on hold does
	// not count.
	MediaWithin time.Duration
	// RequestTimeout bounds a request to a cloud with all its retries; 0
	// means 30 s. Not on Clock.
	RequestTimeout time.Duration
	// MaxCalls that live or ring at once; 0 means 10,000. Further rings are
	// dropped and counted.
	MaxCalls int
}

// Manager is the set of live calls. Its methods are safe for concurrent use.
type Manager struct {
	// Static after construction.
	engine         *engine.Engine
	media          transport.Transport
	cloudMedia     map[string]transport.Transport
	clouds         map[string]Cloud
	callbackURL    string
	callbackURLs   map[string]string
	mediaWithin    time.Duration // 0 means forever
	onIncoming     func(*IncomingCall)
	onCall         func(*Call)
	onRoom         func(*engine.Room)
	log            *slog.Logger
	clock          Clock
	answerWithin   time.Duration
	requestTimeout time.Duration
	maxCalls       int
	ctx            context.Context // of all requests; ends when Close gives up
	cancel         context.CancelFunc
	wg             sync.WaitGroup // every goroutine of every call

	counters counters

	// Guarded by mu.
	mu       sync.Mutex
	live     map[*Call]struct{}
	started  uint64
	calls    map[string]*Call // by our id; no rings
	byCallID map[string]*Call
	rings    map[string]*IncomingCall // undecided
	rang     recent[[sha256.Size]byte, struct{}]
	decided  recent[string, error]    // how rings were decided
	ended    recent[string, struct{}] // call ids
	settled  recent[string, Cloud]    // by our id: creates that came to an end (stray.go)
	early    early
	rooms    map[string]*engine.Room
	closed   bool
}

// New builds a Manager. It starts nothing.
func New(cfg Config) (*Manager, error) {
	switch {
	case cfg.Engine == nil:
		return nil, errors.New("session: Config.Engine is nil")
	case cfg.Media == nil && !cfg.carryThemselves():
		return nil, errors.New("session: Config.Media is nil")
	case cfg.MaxCalls < 0:
		return nil, fmt.Errorf("session: Config.MaxCalls = %d, want 0 or more", cfg.MaxCalls)
	}
	m := &Manager{
		engine: cfg.Engine, media: cfg.Media, cloudMedia: maps.Clone(cfg.CloudMedia), callbackURL: cfg.CallbackURL, callbackURLs: maps.Clone(cfg.CallbackURLs),
		onIncoming: cfg.OnIncoming, onCall: cfg.OnCall, onRoom: cfg.OnRoom,
		log: cfg.Logger, clock: cfg.Clock.orSystem(), maxCalls: cfg.MaxCalls,
		answerWithin:   orDefault(cfg.AnswerWithin, answerLimit),
		requestTimeout: orDefault(cfg.RequestTimeout, 30*time.Second),
		clouds:         make(map[string]Cloud),
		live:           make(map[*Call]struct{}),
		calls:          make(map[string]*Call),
		byCallID:       make(map[string]*Call),
		rings:          make(map[string]*IncomingCall),
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if cfg.MediaWithin >= 0 {
		m.mediaWithin = orDefault(cfg.MediaWithin, mediaLimit)
	}
	if m.maxCalls == 0 {
		m.maxCalls = defaultMaxCalls
	}
	for i, c := range cfg.Clouds {
		if c == nil {
			return nil, fmt.Errorf("session: Config.Clouds[%d] is nil", i)
		}
		if m.clouds[c.Name()] != nil {
			return nil, fmt.Errorf("session: Config.Clouds[%d]: second cloud named %q", i, c.Name())
		}
		m.clouds[c.Name()] = c
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

// carryThemselves reports whether no call of the clouds needs Media.
func (cfg *Config) carryThemselves() bool {
	return len(cfg.Clouds) > 0 && !slices.ContainsFunc(cfg.Clouds, func(c Cloud) bool {
		_, ok := c.(Carrier)
		return !ok && (c == nil || cfg.CloudMedia[c.Name()] == nil)
	})
}

// Create places a call: leg and address first, then OnCall, then the cloud is
// asked with body, its own create request. It returns when the cloud has said
// yes, which is before anybody has picked up: see Call.Wait. The error is a
// *FieldError for an argument, the cloud's *Error for a refusal, or what kept
// the media from being opened. If ctx ends first, the call is hung up.
func (m *Manager) Create(ctx context.Context, cloud string, body json.RawMessage, o Options) (*Call, error) {
	cl := m.clouds[cloud]
	if cl == nil {
		return nil, &FieldError{"cloud", cloud, "want one of: " + strings.Join(m.Clouds(), ", ")}
	}
	if !json.Valid(body) || !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return nil, &FieldError{"request", excerpt(body), "want a JSON object"}
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	c := m.newCall(cl, DirectionOutgoing)
	c.body, c.options = bytes.Clone(body), o
	c.inbox.put(dialled{})
	m.mu.Lock()
	err := m.start(c)
	if err == nil {
		m.calls[c.id] = c
	}
	m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return c.await(ctx)
}

// excerpt is the beginning of b, for errors.
func excerpt(b []byte) string {
	if len(b) > 64 {
		return string(b[:64]) + "…"
	}
	return string(b)
}

// Clouds returns the names of the clouds.
func (m *Manager) Clouds() []string {
	var names []string
	for name := range m.clouds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (m *Manager) newCall(cl Cloud, d Direction) *Call {
	id := uuid.NewString()
	c := &Call{
		manager: m, cloud: cl, id: id, direction: d,
		created: m.clock.Now().UTC(),
		log:     m.log.With("call", id, "cloud", cl.Name()),
		inbox:   inbox{bell: make(chan struct{}, 1)},
		ready:   make(chan struct{}), hung: make(chan struct{}), done: make(chan struct{}),
		machine: machine{direction: d, cloud: cl.Name(), answerWithin: m.answerWithin},
		changed: make(chan struct{}), names: make(map[string]string),
	}
	if keeper, ok := cl.(KeepAliver); ok {
		c.machine.keepAlive = keeper.KeepAliveEvery()
	}
	_, c.machine.keepsRoster = cl.(RosterKeeper)
	c.ctx, c.cancel = context.WithCancel(m.ctx)
	return c
}

// start lets c live, whose first event is in its inbox. Called with mu held.
func (m *Manager) start(c *Call) error {
	switch {
	case m.closed:
		c.cancel()
		return ErrClosed
	case len(m.live) >= m.maxCalls:
		c.cancel()
		return fmt.Errorf("%w: %d", ErrTooManyCalls, len(m.live))
	}
	m.started++
	c.seq = m.started
	m.live[c] = struct{}{}
	m.wg.Go(c.run)
	return nil
}

// register makes c known under its cloud's id and gives it the notices that
// came before. It must only be called from c.run.
func (m *Manager) register(callID string, c *Call) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.registered == callID {
		return nil // an incoming call whose ringing told it
	}
	if other := m.byCallID[callID]; other != nil {
		return fmt.Errorf("session: %s gave call id %q to call %s, which lives", c.cloud.Name(), callID, other.id)
	}
	m.byCallID[callID] = c
	c.registered = callID
	for _, n := range m.early.take(callID) {
		c.inbox.put(noticed{n})
	}
	return nil
}

// forget takes a call that is over out of the set.
func (m *Manager) forget(c *Call) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.live, c)
	delete(m.calls, c.id)
	if c.registered != "" {
		delete(m.byCallID, c.registered)
		m.ended.put(c.registered, struct{}{}, recentEnds)
	}
}

// Deliver hands in what a cloud told of a call. It never blocks: what cannot
// be queued is dropped and counted. Notices of a call that is not known yet
// are kept for 30 s, for they may have overtaken the response that makes it
// known. A call that a create of ours made whose response was lost is hung up.
func (m *Manager) Deliver(n Notice) {
	m.counters.notices.Add(1)
	if n.CallID == "" || len(n.CallID) > maxIDBytes || len(n.ID) > maxIDBytes {
		m.counters.malformed.Add(1)
		return
	}
	m.mu.Lock()
	c := m.byCallID[n.CallID]
	if c == nil {
		if _, over := m.ended.get(n.CallID); over {
			m.counters.late.Add(1)
		} else if cl, made := m.settled.get(n.Ref); made {
			m.stray(cl, n)
		} else {
			m.counters.unknown.Add(int64(m.early.add(n, m.clock.Now())))
		}
	}
	m.mu.Unlock()
	if c != nil && !c.inbox.put(noticed{n}) {
		m.counters.dropped.Add(1)
	}
}

// Calls returns the live calls, oldest first. Calls that ring are in Incoming.
func (m *Manager) Calls() []*Call {
	m.mu.Lock()
	calls := make([]*Call, 0, len(m.calls))
	for _, c := range m.calls {
		calls = append(calls, c)
	}
	m.mu.Unlock()
	slices.SortFunc(calls, func(a, b *Call) int { return cmp.Compare(a.seq, b.seq) })
	return calls
}

// Call returns the live call of that id, ours or the cloud's; ErrUnknownCall
// if there is none.
func (m *Manager) Call(id string) (*Call, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.calls[id]; c != nil {
		return c, nil
	}
	if c := m.byCallID[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownCall, id)
}

// Close rejects what rings, hangs up what lives, takes no more calls, and
// waits for every goroutine it started, callbacks included. If ctx ends
// first, requests under way are given up and the rest ends by itself.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	for c := range m.live {
		c.inbox.put(hangUpAsked{})
	}
	m.mu.Unlock()
	done := make(chan struct{})
	go func() {
		m.wg.Wait()
		close(done)
	}()
	defer m.cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		m.mu.Lock()
		defer m.mu.Unlock()
		return fmt.Errorf("session: close with %d calls live: %w", len(m.live), context.Cause(ctx))
	}
}
