// Package listen lets people listen in on calls over HTTP and WebRTC (WHEP): who
// posts an offer at the address of a call hears it, all who are in it and the bot,
// or one speaker. Nobody in the call hears them; a listener is no call.
//
// Each has a leg of its own, which hears the call's (engine.Listen), and an
// address of the media (offer.Media), where the offer is answered.
package listen

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/guard"
	"github.com/mixminus/mixminus/session/offer"
	"github.com/mixminus/mixminus/transport"
)

const (
	// DefaultPath below which calls are listened in on.
	DefaultPath = "/whep"

	defaultListeners = 256
	defaultPerCall   = 16
)

// Config of a Server. Manager, Engine and Media are needed.
type Config struct {
	// Manager has the calls, and Engine their legs and the listeners'.
	Manager *session.Manager
	Engine  *engine.Engine
	// Media answers the offers. It tells the Server of sessions that ended
	// (Server.Ended).
	Media offer.Media
	// Path of the handler; empty means DefaultPath.
	Path string
	// Token and Origins are as the control API's guard has them: who may drive
	// this host may listen in.
	Token   string
	Origins []string
	// MaxListeners at once; 0 means 256. MaxPerCall of them in one call; 0
	// means 16.
	MaxListeners, MaxPerCall int
	// Logger tells who comes and goes; nil is silent.
	Logger *slog.Logger
}

// Server is the http.Handler of listeners. Its methods are safe for concurrent
// use.
type Server struct {
	// Static after construction.
	cfg   Config
	guard guard.Guard
	log   *slog.Logger
	wg    sync.WaitGroup // a goroutine for each listener

	// Guarded by mu.
	mu        sync.Mutex
	listeners map[string]*listener // by the URL of their media
	places    map[*session.Call]int
	taken     int // places of all calls
	closed    bool
}

// listener is one who listens in.
type listener struct {
	// Static after construction.
	call     *session.Call
	speaker  string // that is heard; "" for all
	since    time.Time
	leg      *engine.Leg
	endpoint transport.Endpoint
	feed     *engine.Listener
	over     chan struct{} // closed by leave
	once     sync.Once
}

// leave ends the listening. It does not wait.
func (l *listener) leave() { l.once.Do(func() { close(l.over) }) }

// Snapshot is a listener at one moment.
type Snapshot struct {
	// Call is our id of it, and Speaker who is heard; empty is everybody.
	Call    string    `json:"call"`
	Speaker string    `json:"speaker,omitempty"`
	Since   time.Time `json:"since"`
	engine.ListenerStats
	Transport transport.Stats `json:"transport"`
}

// New builds a Server. It starts nothing.
func New(cfg Config) (*Server, error) {
	cfg.Path = cmp.Or(cfg.Path, DefaultPath)
	cfg.MaxListeners = cmp.Or(cfg.MaxListeners, defaultListeners)
	cfg.MaxPerCall = cmp.Or(cfg.MaxPerCall, defaultPerCall)
	switch {
	case cfg.Manager == nil || cfg.Engine == nil || cfg.Media == nil:
		return nil, errors.New("listen: Config: Manager, Engine and Media are needed")
	case len(cfg.Path) < 2 || cfg.Path[0] != '/' || strings.HasSuffix(cfg.Path, "/"):
		return nil, fmt.Errorf("listen: Config.Path = %q: want one such as %q", cfg.Path, DefaultPath)
	case cfg.MaxListeners < 0 || cfg.MaxPerCall < 0:
		return nil, fmt.Errorf("listen: Config: MaxListeners = %d, MaxPerCall = %d: want 0 or more", cfg.MaxListeners, cfg.MaxPerCall)
	}
	s := &Server{cfg: cfg, log: cfg.Logger, listeners: map[string]*listener{}, places: map[*session.Call]int{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.guard, err = guard.New(cfg.Token, cfg.Origins...); err != nil {
		return nil, fmt.Errorf("listen: Config: %w", err)
	}
	return s, nil
}

// Listeners returns who listens now, in no order.
func (s *Server) Listeners() []Snapshot {
	s.mu.Lock()
	all := make([]*listener, 0, len(s.listeners))
	for _, l := range s.listeners {
		all = append(all, l)
	}
	s.mu.Unlock()
	list := make([]Snapshot, 0, len(all))
	for _, l := range all {
		list = append(list, Snapshot{
			Call: l.call.ID(), Speaker: l.speaker, Since: l.since,
			ListenerStats: l.feed.Stats(), Transport: l.endpoint.Stats(),
		})
	}
	slices.SortFunc(list, func(a, b Snapshot) int { return a.Since.Compare(b.Since) })
	return list
}

// Ended is the media's hook for the end of the session at url: the listener has
// left. It does not block.
func (s *Server) Ended(url string, _ error) {
	s.mu.Lock()
	l := s.listeners[url]
	s.mu.Unlock()
	if l != nil {
		l.leave()
	}
}

// reserve takes a place at the call, which release gives back.
func (s *Server) reserve(c *session.Call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return unavailable("closed", "the host is closing")
	case s.taken >= s.cfg.MaxListeners:
		return unavailable("too_many_listeners", fmt.Sprintf("%d listen", s.taken))
	case s.places[c] >= s.cfg.MaxPerCall:
		return unavailable("too_many_listeners", fmt.Sprintf("%d listen to this call", s.places[c]))
	}
	s.taken++
	s.places[c]++
	return nil
}

func (s *Server) release(c *session.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.places[c]--; s.places[c] == 0 {
		delete(s.places, c)
	}
}

// admit lets somebody listen to a call, for whom there is a place: what is said
// is heard as soon as a session stands at the address of the listener's media.
func (s *Server) admit(c *session.Call, heard *engine.Leg, who *engine.Render) (*listener, error) {
	l := &listener{call: c, since: time.Now().UTC(), over: make(chan struct{})}
	if who != nil {
		l.speaker = who.RawID()
	}
	var err error
	if l.leg, err = s.cfg.Engine.NewLeg(engine.LegConfig{ID: "listener-" + rand.Text()[:8], MaxSpeakers: 1}); err != nil {
		return nil, err
	}
	if l.endpoint, err = s.cfg.Media.Open(l.leg, transport.Stream{Bidirectional: true}); err != nil {
		l.leg.Close()
		return nil, err
	}
	if l.feed, err = s.cfg.Engine.Listen(l.leg, heard, who); err == nil {
		err = s.enter(l)
	}
	if err != nil {
		l.endpoint.Drain()
		l.leg.Close()
		return nil, err
	}
	s.log.Info("somebody listens in", "call", c.ID(), "speaker", l.speaker)
	return l, nil
}

func (s *Server) enter(l *listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return unavailable("closed", "the host is closing")
	}
	s.listeners[l.endpoint.URL()] = l
	s.wg.Go(func() { s.keep(l) })
	return nil
}

// keep waits for the listener's end, or the call's, and clears up.
func (s *Server) keep(l *listener) {
	select {
	case <-l.over:
	case <-l.feed.Done():
	}
	l.feed.Close()
	l.endpoint.Drain()
	l.leg.Close()
	s.mu.Lock()
	delete(s.listeners, l.endpoint.URL())
	s.mu.Unlock()
	s.release(l.call)
	s.log.Info("somebody listens no more", "call", l.call.ID(), "speaker", l.speaker)
}

// Close ends all listening and waits for it. More are refused.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.listeners {
		l.leave()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}
