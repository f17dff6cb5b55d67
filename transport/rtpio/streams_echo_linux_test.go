package rtpio

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
)

// echoLegs is a Server whose legs echo, for the process of an echo: it fails
// loudly, and ends with the process.
type echoLegs struct {
	engine *engine.Engine
	server *Server

	mu        sync.Mutex
	endpoints []transport.Endpoint
}

func newEchoLegs(cfg Config, name string, clock int) *echoLegs {
	c, ok := codec.ByName(name, clock)
	if !ok {
		panic(name)
	}
	e := &echoLegs{engine: engine.New(engine.Config{})}
	cfg.Engine, cfg.Codecs, cfg.Idle = e.engine, []codec.Codec{c}, time.Hour
	cfg.MaxSenders = 2 * echoClients
	cfg.OnSender = func(s transport.Sender) {
		go func() { // who waits for the loop is not to hold up the others
			if err := e.server.Take(e.open().URL(), s.ID); err != nil {
				panic(err)
			}
		}()
	}
	var err error
	if e.server, err = New(cfg); err != nil {
		panic(err)
	}
	echoAnswers["streams"] = e.streams
	return e
}

// open makes a leg whose handler says what it hears.
func (e *echoLegs) open() transport.Endpoint {
	leg, err := e.engine.NewLeg(engine.LegConfig{})
	if err != nil {
		panic(err)
	}
	leg.OnRender(func(r *engine.Render) {
		r.Handle(func(f *pcm.Frame) { leg.Source().TryWrite(f.Samples[:]) })
	})
	ep, err := e.server.Open(leg, transport.Stream{Bidirectional: true})
	if err != nil {
		panic(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.endpoints = append(e.endpoints, ep)
	return ep
}

func (e *echoLegs) streams(string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var lost, concealed int64
	for _, ep := range e.endpoints {
		if s := ep.Stats().RTP; s != nil {
			lost, concealed = lost+s.Lost+s.Late, concealed+s.Concealed
		}
	}
	return fmt.Sprint(len(e.endpoints), lost, concealed)
}

// echoServer takes whoever sends to one port.
func echoServer(codec string, clock int) []netip.AddrPort {
	return []netip.AddrPort{newEchoLegs(Config{Listen: udpLoopback}, codec, clock).server.Addr()}
}

// echoOwnLegs answers an offer for each client, so that each has a port of its
// own. Where the clients are is learnt from their packets.
func echoOwnLegs(codec string, clock int) (addrs []netip.AddrPort) {
	e := newEchoLegs(Config{}, codec, clock)
	offer := fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"+
		"m=audio 9 RTP/AVP 0\r\na=rtpmap:0 %s/%d\r\n", codec, clock)
	for range echoedClients() {
		answer, err := e.server.Answer(e.open().URL(), offer)
		if err != nil {
			panic(err)
		}
		line := answer[bytes.Index(answer, []byte("m=audio ")):]
		var port uint16
		if _, err := fmt.Sscanf(string(line), "m=audio %d", &port); err != nil {
			panic(err)
		}
		addrs = append(addrs, netip.AddrPortFrom(udpLoopback.Addr(), port))
	}
	return slices.Clip(addrs)
}
