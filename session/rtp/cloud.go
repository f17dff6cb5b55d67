// Package rtp makes calls of RTP: of plain streams that somebody sends to a
// port, of offers that come by HTTP, plain or of WebRTC, and of addresses that
// are dialled. They are calls of session.Manager as those of any cloud, so that
// listing, hanging up, rooms, recording and bounds hold for them. No cloud stands
// behind them: this package is the one who answers, and Media carries the streams.
package rtp

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/guard"
	"github.com/mixminus/mixminus/session/offer"
	"github.com/mixminus/mixminus/transport"
)

// Names of the clouds, of plain RTP and of WebRTC. Offers come at the path of
// that name, "/rtp".
const (
	Name   = "rtp"
	WebRTC = "webrtc"
)

const (
	// maxEarly bounds the senders that wait for Connect; more are not heard.
	maxEarly = 256
	// warnEvery is how often a sender that is turned away is a warning, for
	// anybody can send.
	warnEvery = time.Minute
)

// Media carries the calls. What it can beside this decides how calls come:
// Streams has senders, offers and addresses of plain RTP, offer.Media those of
// WebRTC. Its methods do not block for longer than a lookup, are safe for
// concurrent use, and may be called from within its hooks (Cloud.Ring,
// Cloud.Ended).
type Media interface {
	// Open mints an endpoint, whose URL is opaque here.
	transport.Transport
	// Press queues a key (RFC 4733) that is held for d.
	Press(url string, key byte, d time.Duration) error
}

// Streams is the Media of plain RTP: transport/rtpio.Server.
type Streams interface {
	Media
	// Take lets the sender that rang as stream (transport.Sender.ID) flow into
	// the endpoint at url; packets that came since are kept.
	Take(url, stream string) error
	// Refuse ignores the sender until it has been silent for a while. It may
	// be flowing into an endpoint, whose call is being hung up: what it sends
	// on after that is not to ring again.
	Refuse(stream string)
	// Answer agrees on an SDP offer for the endpoint at url and returns the
	// answer. Its error may say by NotAcceptable() bool whether the offer is
	// well-formed and nothing in it can be carried (true), or malformed.
	Answer(url string, offer []byte) (answer []byte, err error)
	// Dial sends to, and hears, a fixed address. Its error may say by
	// NotAcceptable() bool that the codec cannot be carried.
	Dial(url string, to transport.Target) error
}

// Sink takes what this cloud brings: session.Manager.
type Sink interface {
	Deliver(session.Notice)
	TryRing(session.Incoming) (*session.IncomingCall, error)
}

// Config of a Cloud. The zero value works.
type Config struct {
	// Name of the cloud; empty means Name.
	Name string
	// Path of the handler; empty means a slash and the name.
	Path string
	// Token that a request to it must bear. Without one only programs of this
	// machine are served, by the rule of the control API.
	Token string
	// Origins whose pages may ask too: see guard.New.
	Origins []string
	// AnswerWithin is how long a call may ring, if that is shorter than the
	// manager lets it; 0 leaves it to the manager.
	AnswerWithin time.Duration
	// Logger gets senders that are turned away; nil is silent.
	Logger *slog.Logger
}

// Cloud is the session.Cloud, session.Carrier and session.Actor of RTP, and the
// http.Handler of its offers. Connect makes it ready. It starts no goroutine
// and is safe for concurrent use.
type Cloud struct {
	// Static after construction.
	name   string
	path   string
	guard  guard.Guard
	within time.Duration
	log    *slog.Logger

	// Guarded by mu.
	mu      sync.Mutex
	media   Media       // nil until Connect, as sink
	streams Streams     // the media, if it is of plain RTP
	web     offer.Media // the media, if it is of WebRTC
	sink    Sink
	early   []transport.Sender // until Connect
	calls   map[string]*call   // by our id
	urls    map[string]*call   // by the address of their media
	senders map[string]*call   // by the sender's ID
	warned  time.Time
}

// call is one that rings or lives.
type call struct {
	// Static after construction.
	id     string
	stream string // of a sender that nobody announced
	offer  []byte // of one that came by HTTP
	web    bool   // the media answers the offer, when it has an address
	peer   session.Identity
	done   chan struct{} // closed when the call is forgotten
	agreed chan agreed   // what came of the offer, once
	served chan error    // what the media made of it, once

	// Guarded by Cloud.mu.
	state    session.CallState
	url      string // of its media
	declined bool
	reason   string // for which it was
}

// agreed is what came of an offer that the bot answered.
type agreed struct {
	answer []byte
	url    string // where the media answers it instead
	err    error
}

// New builds a Cloud.
func New(cfg Config) (*Cloud, error) {
	name := cmp.Or(cfg.Name, Name)
	c := &Cloud{
		name: name, path: cmp.Or(cfg.Path, "/"+name), within: cfg.AnswerWithin, log: cfg.Logger,
		calls: map[string]*call{}, urls: map[string]*call{}, senders: map[string]*call{},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if len(c.path) < 2 || c.path[0] != '/' || strings.HasSuffix(c.path, "/") {
		return nil, fmt.Errorf("rtp: Config.Path = %q: want one such as %q", cfg.Path, "/"+name)
	}
	if cfg.AnswerWithin < 0 {
		return nil, fmt.Errorf("rtp: Config.AnswerWithin = %v: want 0 or more", cfg.AnswerWithin)
	}
	var err error
	if c.guard, err = guard.New(cfg.Token, cfg.Origins...); err != nil {
		return nil, fmt.Errorf("rtp: Config: %w", err)
	}
	return c, nil
}

// Connect gives the cloud what carries its calls and what takes them, once:
// Media wants its hooks before it is built, and session.Manager its clouds. It
// is a Streams or an offer.Media. Senders that came before ring now.
func (c *Cloud) Connect(m Media, s Sink) {
	c.mu.Lock()
	early := c.early
	c.media, c.sink, c.early = m, s, nil
	c.streams, _ = m.(Streams)
	c.web, _ = m.(offer.Media)
	c.mu.Unlock()
	for _, sender := range early {
		c.Ring(sender)
	}
}

// Name implements session.Cloud.
func (c *Cloud) Name() string { return c.name }

// Media implements session.Carrier.
func (c *Cloud) Media() transport.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.media == nil {
		return nil
	}
	return c.media
}

// Ring is Media's hook for a sender that nobody announced: it rings as a call.
// One that nobody has room for is refused. It does not block.
func (c *Cloud) Ring(s transport.Sender) {
	c.mu.Lock()
	if c.sink == nil {
		if len(c.early) < maxEarly {
			c.early = append(c.early, s)
		}
		c.mu.Unlock()
		return
	}
	if c.senders[s.ID] != nil { // it rings or lives
		c.mu.Unlock()
		return
	}
	streams, sink := c.streams, c.sink
	k := c.add(call{stream: s.ID, peer: c.peer(s.Addr)})
	c.mu.Unlock()
	if _, err := sink.TryRing(c.incoming(k, s.ID, rawSender(s))); err != nil {
		c.forget(k.id)
		streams.Refuse(s.ID)
		c.warn("sender refused", "sender", s.Addr.String(), "error", err)
	}
}

// Ended is Media's hook for the end of the stream at url: BYE, or silence for
// too long (nil), or a failure. The call is over. It does not block.
func (c *Cloud) Ended(url string, err error) {
	c.mu.Lock()
	k := c.urls[url]
	c.mu.Unlock()
	if k == nil || c.forget(k.id) == nil {
		return
	}
	n := session.Notice{Type: "StreamEnded", Code: 200, Message: "the stream ended"}
	if err != nil {
		n.Code, n.Reason, n.Message = 500, "stream_failed", err.Error()
	}
	c.end(k, n)
}

// add makes a call known. Called with mu held.
func (c *Cloud) add(k call) *call {
	k.id, k.done = uuid.NewString(), make(chan struct{})
	k.agreed, k.served = make(chan agreed, 1), make(chan error, 1)
	c.calls[k.id] = &k
	if k.stream != "" {
		c.senders[k.stream] = &k
	}
	return &k
}

// forget takes a call that is over out of the maps and returns it, nil if it
// was not in them.
func (c *Cloud) forget(id string) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.calls[id]
	if k == nil {
		return nil
	}
	delete(c.calls, id)
	if c.urls[k.url] == k {
		delete(c.urls, k.url)
	}
	if c.senders[k.stream] == k {
		delete(c.senders, k.stream)
	}
	k.state = session.StateDisconnected
	close(k.done)
	return k
}

// end tells that a call which is forgotten is over.
func (c *Cloud) end(k *call, n session.Notice) {
	n.Kind, n.CallID, n.Time = session.EventDisconnected, k.id, time.Now()
	c.mu.Lock()
	sink := c.sink
	c.mu.Unlock()
	sink.Deliver(n)
}

// warn logs the first in a minute as a warning and the rest for who debugs.
func (c *Cloud) warn(text string, args ...any) {
	now, log := time.Now(), c.log.Debug
	c.mu.Lock()
	if now.Sub(c.warned) >= warnEvery {
		c.warned, log = now, c.log.Warn
	}
	c.mu.Unlock()
	log(c.name+": "+text, args...)
}
