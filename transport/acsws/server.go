package acsws

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
)

// Config of a Server.
type Config struct {
	// BaseURL is how the cloud reaches the handler: "wss://host/media".
	// Addresses are BaseURL, a slash and a token.
	BaseURL string
	// Verify checks the bearer token of an upgrade. nil refuses every
	// upgrade, unless Insecure.
	Verify func(*http.Request) error
	// Insecure skips Verify and lets pages of other origins dial: for local
	// work.
	Insecure bool
	// AdHoc makes a leg for whoever dials BaseURL itself; nil refuses.
	AdHoc func() (*engine.Leg, transport.Stream, error)
	// MaxMessage in bytes; 0 means 64 KiB. A longer one ends the connection.
	MaxMessage int64
	// MaxRate of messages per second on one connection; 0 means 8000. A
	// faster peer is cut off.
	MaxRate int
	// Portable leaves each connection to a goroutine of its own, as always
	// over TLS and where the system has no epoll.
	Portable bool
	// KeepProcessor lets the goroutine that polls the sockets wait in the
	// kernel without giving up its processor of Go's (GOMAXPROCS), of which the
	// program has one more for it: a frame then wakes one thread, and not the
	// runtime's too. At 100 calls that halves what a frame costs. It is only
	// looked at where sockets are polled, and if GOMAXPROCS is 2 or more.
	KeepProcessor bool
	// Ping is the interval of pings; 0 means 10 s. A connection on which
	// nothing was read for three intervals is closed.
	Ping   time.Duration
	Logger *slog.Logger
}

const (
	defaultMaxMessage = 64 << 10
	defaultMaxRate    = 8000
	defaultPing       = 10 * time.Second
	drainTime         = 500 * time.Millisecond
	takeoverTime      = 5 * time.Second
)

// Server is the app's side of media streaming: an http.Handler that clouds
// dial, and the transport.Transport that mints what they dial.
type Server struct {
	// Static after construction.
	cfg  Config
	base *url.URL
	log  *slog.Logger

	// Atomic.
	refused atomic.Int64 // upgrades to no endpoint

	totals transport.Totals

	// Guarded by mu.
	mu        sync.Mutex
	endpoints map[string]*endpoint
	conns     map[*conn]struct{}
	closed    bool
	pinging   bool

	stop    chan struct{}
	wg      sync.WaitGroup
	pollers pollers
}

var _ transport.Transport = (*Server)(nil)

// New builds a Server. It starts nothing; the first connection starts the
// goroutine that pings.
func New(cfg Config) (*Server, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("acsws: Config.BaseURL: %w", err)
	}
	if (base.Scheme != "ws" && base.Scheme != "wss") || base.Host == "" || base.RawQuery != "" {
		return nil, fmt.Errorf("acsws: Config.BaseURL = %q, want ws://host/path or wss://host/path", cfg.BaseURL)
	}
	if cfg.MaxMessage < 0 || cfg.MaxRate < 0 || cfg.Ping < 0 {
		return nil, fmt.Errorf("acsws: Config: MaxMessage = %d, MaxRate = %d, Ping = %v, want 0 or more", cfg.MaxMessage, cfg.MaxRate, cfg.Ping)
	}
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = defaultMaxMessage
	}
	if cfg.MaxRate == 0 {
		cfg.MaxRate = defaultMaxRate
	}
	if cfg.Ping == 0 {
		cfg.Ping = defaultPing
	}
	s := &Server{
		cfg: cfg, base: base, log: cfg.Logger,
		endpoints: make(map[string]*endpoint), conns: make(map[*conn]struct{}), stop: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// Open mints an address for leg (transport.Transport).
func (s *Server) Open(leg *engine.Leg, st transport.Stream) (transport.Endpoint, error) {
	return s.open(leg, st)
}

func (s *Server) open(leg *engine.Leg, st transport.Stream) (*endpoint, error) {
	switch st.SampleRate {
	case 0:
		st.SampleRate = 16000
	case 16000, 24000:
	default:
		return nil, fmt.Errorf("acsws: Stream.SampleRate = %d Hz, want 16000 or 24000", st.SampleRate)
	}
	var key [16]byte
	rand.Read(key[:]) // never fails
	e := &endpoint{server: s, leg: leg, stream: st, token: base64.RawURLEncoding.EncodeToString(key[:])}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.endpoints[e.token] = e
	}
	s.mu.Unlock()
	if closed {
		return nil, engine.ErrClosed
	}
	s.totals.Add(e)
	return e, nil
}

// Totals sums what happened at all addresses.
func (s *Server) Totals() *transport.Totals { return &s.totals }

// ServeHTTP serves an upgrade: 401 for a token that is unknown, expired or
// not verified, 403 for an address that belongs to another call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	s.mu.Lock()
	e := s.endpoints[token]
	s.mu.Unlock()
	if e == nil && s.cfg.AdHoc != nil && strings.TrimSuffix(r.URL.Path, "/") == strings.TrimSuffix(s.base.Path, "/") {
		s.serveAdHoc(w, r)
		return
	}
	if e == nil {
		s.refused.Add(1)
		http.Error(w, "no call is expected at this address: its token is unknown or has expired", http.StatusUnauthorized)
		return
	}
	e.serve(w, r, func() {})
}

// serveAdHoc makes a leg of whoever dials.
func (s *Server) serveAdHoc(w http.ResponseWriter, r *http.Request) {
	if status, text := s.check(w, r); status != 0 {
		s.refused.Add(1)
		http.Error(w, text, status)
		return
	}
	leg, st, err := s.cfg.AdHoc()
	if err != nil {
		s.refused.Add(1)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	e, err := s.open(leg, st)
	if err != nil {
		leg.Close()
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	e.serve(w, r, func() {
		s.forget(e)
		leg.Close()
		s.totals.End(e)
	})
}

func (s *Server) forget(e *endpoint) {
	s.mu.Lock()
	delete(s.endpoints, e.token)
	s.mu.Unlock()
}

// Refused counts upgrades that named no endpoint.
func (s *Server) Refused() int64 { return s.refused.Load() }

// Close refuses further upgrades, closes every connection, and returns when
// their goroutines have ended: those of the app's handlers too, so it must not
// be called from one.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	for c := range s.conns {
		c.close(errServerClosed)
	}
	s.mu.Unlock()
	s.wg.Wait()
	s.pollers.close()
	return nil
}

// enter registers a connection; false after Close.
func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	if !s.pinging {
		s.pinging = true
		s.wg.Add(1)
		go s.pingLoop()
	}
	return true
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.wg.Done()
}

// pingLoop pings all connections and closes the idle ones and those whose leg
// has ended. Neither blocks.
func (s *Server) pingLoop() {
	defer s.wg.Done()
	t := time.NewTicker(s.cfg.Ping)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
		}
		s.mu.Lock()
		conns := make([]*conn, 0, len(s.conns))
		for c := range s.conns {
			conns = append(conns, c)
		}
		s.mu.Unlock()
		for _, c := range conns {
			c.keepAlive(engine.Now() - 3*int64(s.cfg.Ping))
		}
	}
}
