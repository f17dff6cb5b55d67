package rtpio

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpmedia"
)

// Errors on which a caller can act.
var (
	// ErrUnknown: no address of ours, or no sender that rings.
	ErrUnknown = errors.New("rtpio: unknown")
	// ErrTaken: the address carries a leg already.
	ErrTaken = errors.New("rtpio: address is in use")
	// ErrIdle: nothing came for Config.Idle.
	ErrIdle = errors.New("rtpio: nothing comes any more")
	// ErrNoPort: all ports that may be used are.
	ErrNoPort = errors.New("rtpio: no free port")
)

var (
	errLegClosed    = errors.New("rtpio: leg closed")
	errServerClosed = errors.New("rtpio: server closed")
)

// Config of a Server. Engine is needed.
type Config struct {
	// Engine whose pacers move the packets; the server does not close it.
	Engine *engine.Engine
	// Listen is the shared port: who sends there is a sender, told apart from
	// others by source and SSRC. Reports come to the same port, or to the next.
	// The zero value opens none.
	Listen netip.AddrPort
	// Codecs that are understood, the best first; nil is all of them. A dynamic
	// payload type of a sender that nobody described is taken for the first of
	// them that has no static one.
	Codecs []codec.Codec
	// MinPort and MaxPort bound the ports of legs that have one of their own;
	// 0 is any.
	MinPort, MaxPort uint16
	// Public is the address that SDP tells; zero is Listen's. If that is any, an
	// answer tells the one from which the peer is reached, and an offer
	// 127.0.0.1.
	Public netip.Addr
	// Jitter bounds the delay of the legs' jitter buffers.
	Jitter rtpmedia.JitterConfig
	// Idle ends a leg that was sent nothing for so long, neither audio nor
	// reports; 0 is 30 s.
	Idle time.Duration
	// MaxSenders that nobody announced may be known at once, beside those that
	// are legs; 0 is 256. MaxLegs of the shared port; 0 is 4,096. Who sends
	// beyond is not heard, and counted.
	MaxSenders, MaxLegs int
	// OnSender tells of a sender that nobody announced, once two packets of it
	// came: Take lets it in, Refuse does not. Without it such are only counted.
	OnSender func(transport.Sender)
	// OnEnd tells that the leg at an address ended by the other side's doing:
	// err is nil after its BYE, ErrIdle, or engine.ErrPanic. Both are called
	// one at a time, on a goroutine of the server's, and may call its methods but
	// Close.
	OnEnd  func(url string, err error)
	Logger *slog.Logger

	listen   listenFunc // of all sockets; tests choose
	anywhere bool       // it listens on all addresses, and none is told
}

type listenFunc = func(addr netip.AddrPort, recvBuffer, sendBuffer int) (*socket, error)

const (
	defaultIdle       = 30 * time.Second
	defaultMaxSenders = 256
	defaultMaxLegs    = 4096
	drainTime         = 500 * time.Millisecond
	scheme            = "rtp:"
)

// Server carries legs over UDP: a transport.Transport.
type Server struct {
	// Static after construction.
	cfg    Config
	log    *slog.Logger
	loops  []*loop
	shared *port // nil: none
	told   notices
	name   string // CNAME

	// Atomic.
	nextLoop atomic.Uint32
	sessions atomic.Uint64 // of SDP

	totals transport.Totals

	// Guarded by mu.
	mu        sync.Mutex
	endpoints map[string]*endpoint
	closed    bool
}

var _ transport.Transport = (*Server)(nil)

// New builds a Server and opens its shared port, if it is to have one.
func New(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: cfg.Logger, endpoints: make(map[string]*endpoint), name: rand.Text()[:16]}
	for _, anchor := range cfg.Engine.Anchors() {
		s.loops = append(s.loops, newLoop(s, anchor))
	}
	s.sessions.Store(uint64(time.Now().Unix()) << 16)
	s.told.start()
	if cfg.Listen.IsValid() {
		p, err := openPort(s.loops[0], cfg.Listen)
		if err != nil {
			s.told.close()
			return nil, err
		}
		s.shared = p
	}
	return s, nil
}

// complete checks the configuration and fills in what it leaves out.
func (c *Config) complete() error {
	switch {
	case c.Engine == nil:
		return errors.New("rtpio: Config.Engine is nil")
	case c.MinPort > c.MaxPort:
		return fmt.Errorf("rtpio: Config: MinPort = %d, MaxPort = %d, want no more than that", c.MinPort, c.MaxPort)
	case c.MaxPort > 0 && c.MaxPort-c.MinPort < 1:
		return fmt.Errorf("rtpio: Config: ports %d to %d: a leg needs two", c.MinPort, c.MaxPort)
	case c.Idle < 0 || c.MaxSenders < 0 || c.MaxLegs < 0:
		return fmt.Errorf("rtpio: Config: Idle = %v, MaxSenders = %d, MaxLegs = %d, want 0 or more", c.Idle, c.MaxSenders, c.MaxLegs)
	case c.Public.IsValid() && (c.Public.IsUnspecified() || c.Public.Zone() != ""):
		return fmt.Errorf("rtpio: Config.Public = %v: nobody can send there", c.Public)
	}
	for _, x := range c.Codecs {
		if x.NewDecoder == nil || x.NewEncoder == nil {
			return fmt.Errorf("rtpio: Config.Codecs: %q cannot be decoded and encoded", x.Name)
		}
	}
	if len(c.Codecs) == 0 {
		c.Codecs = codec.All()
	}
	if c.Idle == 0 {
		c.Idle = defaultIdle
	}
	if c.MaxSenders == 0 {
		c.MaxSenders = defaultMaxSenders
	}
	if c.MaxLegs == 0 {
		c.MaxLegs = defaultMaxLegs
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.listen == nil {
		c.listen = listenUDP
	}
	c.Public = c.Public.Unmap()
	c.anywhere = !c.Public.IsValid() && c.Listen.IsValid() && c.Listen.Addr().IsUnspecified()
	if !c.Public.IsValid() {
		c.Public = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if a := c.Listen.Addr(); a.IsValid() && !a.IsUnspecified() {
			c.Public = a.Unmap()
		}
	}
	return nil
}

// Addr is the shared port's address, zero if there is none.
func (s *Server) Addr() netip.AddrPort {
	if s.shared == nil {
		return netip.AddrPort{}
	}
	return s.shared.rtp.local()
}

// PortStats count what came to the shared port. Sent and received packets of legs
// are theirs (transport.Stats).
type PortStats struct {
	// Legs at the port, and Senders that are none, at the last turn.
	Legs    int64 `json:"legs"`
	Senders int64 `json:"senders"`
	// Strangers are packets of those that are no leg, were not known before or
	// were refused; Malformed ones are not RTP, and StrayReports nobody's.
	Strangers    int64 `json:"strangers"`
	Malformed    int64 `json:"malformed"`
	StrayReports int64 `json:"stray_reports"`
	// Datagrams that the kernel had no room for, that were longer than any
	// packet of audio, and that could not be sent.
	KernelDropped int64 `json:"kernel_dropped"`
	Truncated     int64 `json:"truncated"`
	Unsent        int64 `json:"unsent"`
}

// Stats returns the counters of the shared port, all 0 if there is none.
func (s *Server) Stats() PortStats {
	p := s.shared
	if p == nil {
		return PortStats{}
	}
	io := p.rtp.stats()
	return PortStats{
		Legs: p.nLegs.Load(), Senders: p.nCallers.Load(),
		Strangers: p.strangers.Load(), Malformed: p.malformed.Load(), StrayReports: p.strayReports.Load(),
		KernelDropped: io.KernelDropped, Truncated: io.Truncated, Unsent: io.SendBlocked + io.SendFailed,
	}
}

// Open mints an address for leg (transport.Transport). Nothing is sent or heard
// there until Take, Answer or Dial says who is at the other end.
func (s *Server) Open(leg *engine.Leg, st transport.Stream) (transport.Endpoint, error) {
	if st.SampleRate != 0 && st.SampleRate != 16000 {
		return nil, fmt.Errorf("rtpio: Stream.SampleRate = %d Hz, want 16000: the codec's own is agreed with the peer", st.SampleRate)
	}
	var key [16]byte
	rand.Read(key[:]) // never fails
	e := &endpoint{server: s, leg: leg, stream: st, url: scheme + base64.RawURLEncoding.EncodeToString(key[:])}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.endpoints[e.url] = e
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

// Take lets the sender that rang as stream (transport.Sender.ID) into the leg at
// url. What it sent since, its last 32 packets of it, is kept. It fails with
// ErrUnknown if the sender has gone.
func (s *Server) Take(url, stream string) error {
	e, err := s.endpoint(url)
	if err != nil {
		return err
	}
	if s.shared == nil {
		return fmt.Errorf("%w: sender %s: there is no shared port", ErrUnknown, stream)
	}
	return s.shared.loop.ask(func() error { return s.shared.letIn(e, stream, engine.Now()) })
}

// Refuse ignores a sender that rings until it has been silent for 5 s. One that
// is a leg is ignored from the leg's end on.
func (s *Server) Refuse(stream string) {
	if s.shared != nil {
		_ = s.shared.loop.ask(func() error { s.shared.refuse(stream); return nil })
	}
}

// Press sends a key ('0' to '9', '*', '#', 'A' to 'D') on the leg at url, held
// for d, as a telephone event (RFC 4733).
func (s *Server) Press(url string, key byte, d time.Duration) error {
	e, err := s.endpoint(url)
	if err != nil {
		return err
	}
	m := e.media.Load()
	if m == nil {
		return fmt.Errorf("%w: no peer at the other end yet", ErrUnknown)
	}
	return m.Press(key, d)
}

func (s *Server) endpoint(url string) (*endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.endpoints[url]
	switch {
	case s.closed:
		return nil, engine.ErrClosed
	case e == nil:
		return nil, fmt.Errorf("%w: no such address", ErrUnknown)
	}
	return e, nil
}

func (s *Server) forget(e *endpoint) {
	s.mu.Lock()
	delete(s.endpoints, e.url)
	s.mu.Unlock()
}

// aLoop is the loop of the next leg that has sockets of its own.
func (s *Server) aLoop() *loop { return s.loops[s.nextLoop.Add(1)%uint32(len(s.loops))] }

// Close says good-bye to every peer, closes the sockets and returns when nothing
// runs any more. It must not be called from a handler or a hook. The ends of
// legs that are its doing are told by Stream.OnDown only.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	open := s.endpoints
	s.endpoints = nil
	s.mu.Unlock()
	for _, e := range open {
		if o := e.giveUp(); o != nil {
			o.pair.close()
		}
	}
	for _, l := range s.loops {
		l.close()
	}
	if s.shared != nil {
		<-s.shared.unwatched
	}
	s.told.close()
	return nil
}
