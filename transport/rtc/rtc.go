package rtc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// Errors on which a caller can act.
var (
	// ErrUnknown: no address of ours, or no session there.
	ErrUnknown = errors.New("rtc: unknown")
	// ErrLost: the connection was lost, and did not come back in time.
	ErrLost = errors.New("rtc: connection lost")
	// ErrNotConnected: the peer did not connect within 15 s of its offer, or its
	// handshake failed.
	ErrNotConnected = errors.New("rtc: peer never connected")
	// ErrTooManyPeers: Config.MaxPeers are here.
	ErrTooManyPeers = errors.New("rtc: too many peers")
)

var (
	errLegClosed    = errors.New("rtc: leg closed")
	errServerClosed = fmt.Errorf("rtc: server: %w", engine.ErrClosed)
	errSuperseded   = errors.New("rtc: a newer session took over")
	errCrowded      = errors.New("rtc: too many offers that are not connected yet")
	errOtherCall    = errors.New("rtc: the session names another call")
	errSources      = errors.New("rtc: too many sources")
)

// ICEServer is a STUN or TURN server that clients are told of.
type ICEServer struct {
	// URL is "stun:host:port" or "turn:host:port?transport=udp" (RFC 7064, RFC
	// 7065). Username and Credential are a TURN server's.
	URL                  string
	Username, Credential string
}

// Config of a Server. Engine and BaseURL are needed.
type Config struct {
	// Engine whose pacers move the media; the server does not close it.
	Engine *engine.Engine
	// BaseURL is how peers reach the handler: "https://host/whip". Addresses
	// are BaseURL, a slash and a token.
	BaseURL string
	// UDP is the one port of all peers; the zero value is a free one of
	// 127.0.0.1. TCP is that of ICE-TCP; the zero value is none.
	UDP, TCP netip.AddrPort
	// Lite is ICE-lite (RFC 8445, section 2.5), for hosts on a public address.
	Lite bool
	// Public addresses are told instead of those of this machine.
	Public []netip.Addr
	// ICEServers are told to clients.
	ICEServers []ICEServer
	// Codecs that are understood, the best first; nil is opus, G722, PCMU, PCMA.
	Codecs []codec.Codec
	// Jitter bounds the delay of the jitter buffers.
	Jitter rtpmedia.JitterConfig
	// Grace is how long a lost connection may take to come back; 0 is 20 s.
	Grace time.Duration
	// MaxPeers at once; 0 is 10,000. MaxPending of them may not be connected
	// yet: the oldest go; 0 is 256.
	MaxPeers, MaxPending int
	// Verify checks a request, its bearer token for one; an error refuses it
	// with 401. nil lets all in that know an address.
	Verify func(*http.Request) error
	// Origins of web pages that may come here from elsewhere, as browsers name
	// them: "https://host:port". "*" is all of them.
	Origins []string
	// OnEnd tells that the session at an address ended by the other side's
	// doing, and none is left there: err is nil after its DELETE or close, else
	// ErrLost, ErrNotConnected, engine.ErrPanic, or what the peer did wrong. It
	// must not block.
	OnEnd  func(url string, err error)
	Logger *slog.Logger
}

const (
	defaultGrace      = 20 * time.Second
	defaultMaxPeers   = 10_000
	defaultMaxPending = 256
	// silentFor is how long nothing may come until a connection counts as lost.
	// Peers that say nothing ask for consent every 4 to 6 s (RFC 7675).
	silentFor    = 7 * time.Second
	keepAlive    = 2 * time.Second
	connectsFor  = 15 * time.Second
	drainTime    = 500 * time.Millisecond
	socketBuffer = 4 << 20
)

// Server carries legs over WebRTC: a transport.Transport.
type Server struct {
	// Static after construction.
	cfg                    Config
	base, path             string // of all addresses; the path without the host
	links                  []string
	log                    *slog.Logger
	key                    *ecdsa.PrivateKey
	udp                    ice.UDPMux
	tcp                    ice.TCPMux
	udpAddr                netip.AddrPort
	silentFor, connectsFor time.Duration

	// Atomic.
	crowded, refused atomic.Int64

	totals transport.Totals

	wg    sync.WaitGroup // of peers
	close sync.Once

	// Guarded by mu.
	mu           sync.Mutex
	endpoints    map[string]*endpoint // by the path of their URL
	peers        map[string]*peer     // by id
	pending      []*peer              // not connected yet, the oldest first
	certificates []webrtc.Certificate // the current one
	closed       bool
}

var _ transport.Transport = (*Server)(nil)

// New builds a Server and opens its ports.
func New(cfg Config) (*Server, error) {
	base, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, base: base.String(), path: base.EscapedPath(), links: cfg.links(), log: cfg.Logger,
		silentFor: silentFor, connectsFor: connectsFor,
		endpoints: map[string]*endpoint{}, peers: map[string]*peer{},
	}
	// One key for all peers: making it is the dearest part of a handshake.
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("rtc: %w", err)
	}
	if err := rewrite(&webrtc.SettingEngine{}, cfg.Public); err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	return s, nil
}

// complete checks the configuration, fills in what it leaves out, and returns
// the base of all addresses.
func (c *Config) complete() (base *url.URL, err error) {
	u, err := url.Parse(strings.TrimSuffix(c.BaseURL, "/"))
	switch {
	case c.Engine == nil:
		return nil, errors.New("rtc: Config.Engine is nil")
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("rtc: Config.BaseURL = %q, want http://host/path or https://host/path", c.BaseURL)
	case c.Grace < 0 || c.MaxPeers < 0 || c.MaxPending < 0:
		return nil, fmt.Errorf("rtc: Config: Grace = %v, MaxPeers = %d, MaxPending = %d, want 0 or more", c.Grace, c.MaxPeers, c.MaxPending)
	}
	for _, x := range c.ICEServers {
		if err := x.check(); err != nil {
			return nil, err
		}
	}
	if !c.UDP.IsValid() {
		c.UDP = netip.MustParseAddrPort("127.0.0.1:0")
	}
	if len(c.Codecs) == 0 {
		c.Codecs = defaultCodecs()
	}
	for _, x := range c.Codecs {
		if x.Name == "L16" || x.NewDecoder == nil || x.NewEncoder == nil {
			return nil, fmt.Errorf("rtc: Config.Codecs: %q is no codec of WebRTC (RFC 7874)", x.Name)
		}
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	if c.MaxPeers == 0 {
		c.MaxPeers = defaultMaxPeers
	}
	if c.MaxPending == 0 {
		c.MaxPending = defaultMaxPending
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return u, nil
}

// defaultCodecs are in the order in which they sound best over bad networks.
func defaultCodecs() (list []codec.Codec) {
	for _, name := range []string{"opus", "G722", "PCMU", "PCMA"} {
		i := slices.IndexFunc(codec.All(), func(c codec.Codec) bool { return c.Name == name })
		list = append(list, codec.All()[i])
	}
	return list
}

// Addr is the UDP port's address.
func (s *Server) Addr() netip.AddrPort { return s.udpAddr }

// Open mints an address for leg (transport.Transport): who posts an offer there
// carries it.
func (s *Server) Open(leg *engine.Leg, st transport.Stream) (transport.Endpoint, error) {
	if st.SampleRate != 0 && st.SampleRate != 16000 {
		return nil, fmt.Errorf("rtc: Stream.SampleRate = %d Hz, want 16000: the codec's own is agreed with the peer", st.SampleRate)
	}
	token := newToken()
	e := &endpoint{server: s, leg: leg, stream: st, url: s.base + "/" + token, path: s.path + "/" + token}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.endpoints[e.path] = e
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

// endpoint returns the one with a URL, or an error that says whose fault it is.
func (s *Server) endpoint(url string) (*endpoint, error) {
	path, ok := strings.CutPrefix(url, strings.TrimSuffix(s.base, s.path))
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.endpoints[path]
	switch {
	case s.closed:
		return nil, errServerClosed
	case e == nil || !ok:
		return nil, fmt.Errorf("%w: no such address", ErrUnknown)
	}
	return e, nil
}

func (s *Server) forget(e *endpoint) {
	s.mu.Lock()
	delete(s.endpoints, e.path)
	s.mu.Unlock()
}

// enter registers a peer that is not connected yet. The oldest of too many
// such go.
func (s *Server) enter(p *peer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errServerClosed
	case len(s.peers) >= s.cfg.MaxPeers:
		return fmt.Errorf("%w: %d", ErrTooManyPeers, len(s.peers))
	}
	if len(s.pending) >= s.cfg.MaxPending {
		oldest := s.pending[0]
		s.pending = slices.Delete(s.pending, 0, 1)
		s.crowded.Add(1)
		go oldest.end(errCrowded) // without the lock; s.wg counts it until then
	}
	s.peers[p.id] = p
	s.pending = append(s.pending, p)
	s.wg.Add(1)
	return nil
}

// connected takes a peer off the list of those that are not.
func (s *Server) connected(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.pending, p); i >= 0 {
		s.pending = slices.Delete(s.pending, i, i+1)
	}
}

func (s *Server) leave(p *peer) {
	s.connected(p)
	s.mu.Lock()
	delete(s.peers, p.id)
	s.mu.Unlock()
}

// Crowded counts peers that were given up for newer ones before they connected.
func (s *Server) Crowded() int64 { return s.crowded.Load() }

// Refused counts requests that named no address.
func (s *Server) Refused() int64 { return s.refused.Load() }

// Close ends all sessions, closes the ports and returns when nothing runs any
// more. It must not be called from a handler or a hook.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	clear(s.endpoints)
	peers := slices.Collect(maps.Values(s.peers))
	s.mu.Unlock()
	for _, p := range peers {
		p.end(errServerClosed)
	}
	s.wg.Wait()
	var err error
	s.close.Do(func() {
		err = s.udp.Close()
		if s.tcp != nil {
			err = errors.Join(err, s.tcp.Close())
		}
	})
	return err
}
