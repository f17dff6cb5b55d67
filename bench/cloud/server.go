package cloud

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

const (
	discoveryPath = "/calling/.well-known/acsopenidconfiguration"
	keysPath      = "/calling/keys"
	// Where Graph's callbacks say that their keys are, and where Entra ID has
	// its tokens.
	graphDiscoveryPath  = "/v1/.well-known/OpenIdConfiguration"
	tokenPath           = "/oauth2/v2.0/token"
	tenantDiscoveryPath = "/v2.0/.well-known/openid-configuration"

	// connectDelay is how long an answered call takes to connect, and
	// calleeDelay how long a callee lets it ring.
	connectDelay = 50 * time.Millisecond
	calleeDelay  = 200 * time.Millisecond
	// closeGrace is how long Close lets calls say goodbye.
	closeGrace = 3 * time.Second
)

// Server is an emulated Communication Services resource. Its zero value is
// ready to Start; fields must not be changed after that. Methods are safe for
// concurrent use.
type Server struct {
	// Addr to listen on; empty means a free port of 127.0.0.1.
	Addr string
	// AdminAddr of the admin API, which is served to this machine only; empty
	// means a free port of 127.0.0.1.
	AdminAddr string
	// Key is the access key, in base64; empty means a new one.
	Key string
	// ResourceID is the resource's immutable id: the audience of all tokens.
	// Empty means a new GUID.
	ResourceID string
	// Issuer of the tokens; empty means URL().
	Issuer string
	// EventsURL is the bot's webhook for Event Grid. Without it, calls can
	// only be created by the bot.
	EventsURL string
	// Insecure accepts http and ws where the cloud wants https and wss.
	Insecure bool
	// TLS is used to post to https and to dial wss; nil means the system's
	// roots.
	TLS *tls.Config
	// Apps are those registered at Graph; none means a new one that may do
	// everything, and which GraphEventsURL calls.
	Apps []GraphApp
	// GraphEventsURL is the CallbackURL of apps that have none of their own.
	GraphEventsURL string
	// Profile of what Graph sends; empty means ProfileDocs.
	Profile Profile
	// TLSAddr to listen on with a certificate of the server's own authority;
	// empty means a free port of 127.0.0.1.
	TLSAddr string
	// OnCreate says how the other side takes a call that the bot creates. It
	// must not block. nil means that OneCallee answers, for 15 s, or what the
	// admin API said.
	OnCreate func(Dialled) Callee
	// OnAdd says how somebody takes it whom the bot adds to a call of
	// Communication Services, or transfers one to: Script's first speaker says
	// what they say; an empty Refuse means that they decline; a Ring longer
	// than the invitation lasts, that they do not answer. It must not block.
	// nil means what the admin API said, or that they answer and are silent.
	OnAdd func(Added) Callee
	// RingTimeout is how long an incoming call rings; 0 means 60 s.
	RingTimeout time.Duration
	// JitterBuffer is how long the bot's audio waits before it is heard, if
	// nothing is queued before it; 0 means 40 ms, negative means not at all.
	JitterBuffer time.Duration
	// Dominant is how many speakers an unmixed stream of Communication Services
	// carries at most, by their loudness; 0 means 4, as the cloud, and negative
	// all. Script.Dominant overrides it.
	Dominant int
	// MediaCodec is what is spoken with bots over WebRTC: opus, G722, PCMU or
	// PCMA; empty means G722. Script.MediaCodec overrides it.
	MediaCodec string
	// PageLength is how many participants a page of their list has; 0 means
	// 100.
	PageLength int
	// RecordingDir is the folder that the cloud's recordings are written to;
	// it must be there. Empty keeps them in memory.
	RecordingDir string
	// Speed makes protocol timers (ringing, connecting, retries) run that many
	// times faster; 0 means 1. Audio and tokens keep real time.
	Speed float64
	// MaxCalls bounds the live calls; 0 means 10000. More get 429.
	MaxCalls int
	// Logger gets what happens to calls, never frames; nil means silent.
	Logger *slog.Logger

	// UDPAddr is the one UDP port of all people who take part by WebRTC; empty
	// means a free port of 127.0.0.1.
	UDPAddr string
	// MaxPeople bounds them; 0 means 32.
	MaxPeople int
	// Page is shown at the admin address: it gets every GET outside of /v1/.
	Page http.Handler

	signer *rsa.PrivateKey // tests share one
	// Shorter in tests; 0 means rtcLost and halfOpenLimit.
	personLost, halfOpen time.Duration

	// Static after Start.
	log      *slog.Logger
	key      []byte
	url      string
	tlsURL   string
	adminURL string
	apps     []*GraphApp
	ca       *authority
	audience string
	issuer   *issuer
	client   *http.Client
	ctx      context.Context // done when nobody is to be waited for any more
	cancel   context.CancelFunc
	closing  chan struct{}
	servers  []*http.Server

	wg      sync.WaitGroup
	repeats repeats
	changes changes
	people  people
	streams atomic.Int64 // of server-sent events

	mu            sync.Mutex
	state         serverState
	calls         map[string]*Call      // by id; live ones, and the latest ended
	tokens        map[string]*acsCall   // by incomingCallContext
	graphCalls    map[string]*graphCall // live ones, by graphKey
	recordings    latest[recording]
	liveCalls     int
	ended         []string // ids, oldest first
	subscriptions map[string]*subscription
	faults        []RequestFault
	callee        *Callee             // set by the admin API
	invitees      map[string]Callee   // by raw id; set by the admin API
	promptCache   map[string][]int16  // by playSourceCacheId
	redirected    map[string]*acsCall // by incomingCallContext
	takes         latest[*recordingTake]
}

type serverState int

const (
	serverNew serverState = iota
	serverStarted
	serverClosed
)

// maxEndedCalls is how many ended calls keep their logs.
const maxEndedCalls = 64

// Start listens and serves until Close, or until ctx is done. A Server can be
// started once.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != serverNew {
		return errors.New("cloud: server was started before")
	}
	if err := s.configure(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", orLoopback(s.Addr))
	if err != nil {
		return fmt.Errorf("cloud: Addr: %w", err)
	}
	admin, err := listenLoopback(s.AdminAddr)
	if err != nil {
		listener.Close()
		return err
	}
	secure, err := net.Listen("tcp", orLoopback(s.TLSAddr))
	if err != nil {
		listener.Close()
		admin.Close()
		return fmt.Errorf("cloud: TLSAddr: %w", err)
	}
	if err := s.certify(listener, admin, secure); err != nil {
		listener.Close()
		admin.Close()
		secure.Close()
		return err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.closing = make(chan struct{})
	s.calls, s.tokens = map[string]*Call{}, map[string]*acsCall{}
	s.subscriptions = map[string]*subscription{}
	s.graphCalls = map[string]*graphCall{}
	s.changes.init(changesConfig{
		ctx: s.ctx, wg: &s.wg, client: s.client, issuer: s.issuer, scaled: s.scaled, log: s.log,
		insecure: s.Insecure, pascal: s.Profile == ProfileReal, fault: s.takeFault,
	})
	s.serve(tls.NewListener(secure, &tls.Config{Certificates: []tls.Certificate{s.ca.server}, MinVersion: tls.VersionTLS12}), http.HandlerFunc(s.serveHTTP))
	s.serve(listener, http.HandlerFunc(s.serveHTTP))
	s.serve(admin, s.adminHandler())
	s.state = serverStarted
	s.wg.Go(func() {
		select {
		case <-ctx.Done():
			s.shutDown()
		case <-s.closing:
		}
	})
	return nil
}

// certify makes the keys of a server that listens there: of its tokens, and of
// its TLS.
func (s *Server) certify(listener, admin, secure net.Listener) (err error) {
	s.url, s.adminURL, s.tlsURL = urlOf(listener), urlOf(admin), strings.Replace(urlOf(secure), "http://", "https://", 1)
	if s.ca, err = newAuthority(secure.Addr().(*net.TCPAddr).IP.String(), time.Now()); err != nil {
		return err
	}
	s.issuer, err = newIssuer(s.signer, cmp.Or(s.Issuer, s.url), s.audience)
	return err
}

// register takes the apps in.
func (s *Server) register() error {
	apps := s.Apps
	if len(apps) == 0 {
		apps = []GraphApp{{}}
	}
	for i, a := range apps {
		app, err := a.withDefaults()
		if err != nil {
			return err
		}
		app.CallbackURL = cmp.Or(app.CallbackURL, s.GraphEventsURL)
		if i > 0 && s.appOf(app.ID) != nil {
			return fmt.Errorf("cloud: Apps[%d].ID: %q is another's", i, app.ID)
		}
		s.apps = append(s.apps, &app)
	}
	if s.Profile != "" && s.Profile != ProfileDocs && s.Profile != ProfileReal {
		return fmt.Errorf("cloud: Profile %q: want %s or %s", s.Profile, ProfileDocs, ProfileReal)
	}
	return nil
}

func (s *Server) configure() error {
	if err := s.register(); err != nil {
		return err
	}
	s.log = s.Logger
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	key := s.Key
	if key == "" {
		a, b := uuid.New(), uuid.New()
		key = base64.StdEncoding.EncodeToString(append(a[:], b[:]...))
	}
	var err error
	if s.key, err = base64.StdEncoding.DecodeString(key); err != nil || len(s.key) == 0 {
		return fmt.Errorf("cloud: Key of %d characters is not base64", len(key))
	}
	if s.Speed < 0 || s.MaxCalls < 0 || s.RingTimeout < 0 || s.PageLength < 0 || s.MaxPeople < 0 {
		return fmt.Errorf("cloud: negative setting: Speed %v, MaxCalls %d, RingTimeout %v", s.Speed, s.MaxCalls, s.RingTimeout)
	}
	if err := checkMediaCodec(s.MediaCodec); err != nil {
		return fmt.Errorf("cloud: %w", err)
	}
	s.audience = s.ResourceID
	if s.audience == "" {
		s.audience = uuid.NewString()
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// The transport writes its protocols into its configuration, which the
	// media must not offer.
	transport.TLSClientConfig = s.TLS.Clone()
	transport.Proxy = nil
	s.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

func orLoopback(addr string) string {
	if addr == "" {
		return "127.0.0.1:0"
	}
	return addr
}

func listenLoopback(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", orLoopback(addr))
	if err != nil {
		return nil, fmt.Errorf("cloud: AdminAddr: %w", err)
	}
	if ip := l.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		l.Close()
		return nil, fmt.Errorf("cloud: AdminAddr: %q is not an address of this machine only", addr)
	}
	return l, nil
}

// urlOf names a listener as a client on this machine reaches it.
func urlOf(l net.Listener) string {
	addr := l.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		return fmt.Sprintf("http://127.0.0.1:%d", addr.Port)
	}
	return "http://" + addr.String()
}

func (s *Server) serve(l net.Listener, h http.Handler) {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelInfo),
	}
	s.servers = append(s.servers, srv)
	s.wg.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("cloud: listener failed", "addr", l.Addr(), "error", err)
		}
	})
}

// serveHTTP splits what is signed from what is public. It is no ServeMux, for
// that redirects paths that it would rather see written otherwise.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, connectionsPath), strings.HasPrefix(path, acsRecordingsPath):
		s.serveREST(w, r)
	case strings.HasPrefix(path, objectsPath):
		s.serveObject(w, r)
	case strings.HasPrefix(path, "/v1.0/"), strings.HasPrefix(path, "/beta/"):
		s.serveGraph(w, r)
	case r.Method == http.MethodPost && strings.HasSuffix(path, tokenPath):
		tenant := strings.TrimPrefix(strings.TrimSuffix(path, tokenPath), "/")
		if !s.serveACSToken(w, r, tenant) {
			s.serveToken(w, r, tenant)
		}
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		notFound("Resource " + path).response().write(w)
	case path == discoveryPath:
		newResponse(http.StatusOK, s.issuer.discovery(s.issuer.issuer, s.url)).write(w)
	case path == changeDiscoveryPath:
		newResponse(http.StatusOK, s.changes.discovery(baseOf(r))).write(w)
	case path == keysPath, path == changeKeysPath:
		newResponse(http.StatusOK, s.issuer.jwks).write(w)
	case path == graphDiscoveryPath:
		newResponse(http.StatusOK, s.issuer.discovery(callbackIssuer, baseOf(r))).write(w)
	case strings.HasSuffix(path, tenantDiscoveryPath):
		newResponse(http.StatusOK, s.tenantDiscovery(strings.Trim(strings.TrimSuffix(path, tenantDiscoveryPath), "/"), baseOf(r))).write(w)
	case strings.HasPrefix(path, recordingsPath):
		s.serveRecording(w, r)
	case path == validatePath:
		s.serveValidate(w, r)
	default:
		notFound("Resource " + path).response().write(w)
	}
}

func (s *Server) scaled(d time.Duration) time.Duration {
	if s.Speed == 0 {
		return d
	}
	return time.Duration(float64(d) / s.Speed)
}

func (s *Server) ringTimeout() time.Duration {
	if s.RingTimeout == 0 {
		return time.Minute
	}
	return s.RingTimeout
}

func (s *Server) jitterBuffer() time.Duration {
	if s.JitterBuffer == 0 {
		return 40 * time.Millisecond
	}
	return max(0, s.JitterBuffer)
}
