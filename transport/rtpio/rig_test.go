package rtpio

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// wait bounds what the tests wait for; nothing is measured by it.
const wait = 10 * time.Second

// rig is a server that lets in whoever rings, and echoes.
type rig struct {
	t      *testing.T
	engine *engine.Engine
	server *Server

	mu      sync.Mutex
	senders []transport.Sender
	ended   map[string]error
	ends    chan string
	downs   chan error
	eps     map[string]transport.Endpoint // by sender
	legs    map[string]*engine.Leg
	legCfg  engine.LegConfig
	letIn   bool
}

func newRig(t *testing.T, cfg Config) *rig {
	r := &rig{
		t: t, ended: map[string]error{}, ends: make(chan string, 1000), downs: make(chan error, 1000),
		eps: map[string]transport.Endpoint{}, legs: map[string]*engine.Leg{}, letIn: true,
	}
	r.engine = engine.New(engine.Config{})
	cfg.Engine, cfg.OnSender = r.engine, r.onSender
	cfg.OnEnd = func(url string, err error) {
		r.mu.Lock()
		r.ended[url] = err
		r.mu.Unlock()
		r.ends <- url
	}
	if !cfg.Listen.IsValid() {
		cfg.Listen = netip.MustParseAddrPort("127.0.0.1:0")
	}
	var err error
	r.server, err = New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, r.server.Close())
		require.NoError(t, r.engine.Close())
	})
	return r
}

func (r *rig) onSender(s transport.Sender) {
	r.mu.Lock()
	r.senders = append(r.senders, s)
	letIn := r.letIn
	r.mu.Unlock()
	if letIn {
		go r.accept(s)
	}
}

// open makes a leg that echoes, and its address.
func (r *rig) open() (*engine.Leg, transport.Endpoint) {
	leg, err := r.engine.NewLeg(r.legCfg)
	require.NoError(r.t, err)
	leg.OnRender(func(rd *engine.Render) {
		rd.Handle(func(f *pcm.Frame) { leg.Source().TryWrite(f.Samples[:]) })
	})
	ep, err := r.server.Open(leg, transport.Stream{Bidirectional: true, OnDown: func(err error) { r.downs <- err }})
	require.NoError(r.t, err)
	return leg, ep
}

func (r *rig) accept(s transport.Sender) {
	leg, ep := r.open()
	if err := r.server.Take(ep.URL(), s.ID); err != nil {
		leg.Close()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.eps[s.ID], r.legs[s.ID] = ep, leg
}

func (r *rig) rang() []transport.Sender {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]transport.Sender(nil), r.senders...)
}

// endpoint waits for the only one that was let in.
func (r *rig) endpoint() (ep transport.Endpoint, leg *engine.Leg) {
	require.Eventually(r.t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for id := range r.eps {
			ep, leg = r.eps[id], r.legs[id]
		}
		return ep != nil
	}, wait, time.Millisecond)
	return ep, leg
}

// phone is a peer at a socket of its own, that is moved by hand.
type phone struct {
	t    *testing.T
	conn *net.UDPConn
	to   netip.AddrPort
	c    codec.Codec
	pt   uint8
	ssrc uint32
	seq  uint16
	ts   uint32
	enc  codec.Encoder
}

func newPhone(t *testing.T, to netip.AddrPort, name string, clock int, pt uint8) *phone {
	c, ok := codec.ByName(name, clock)
	require.True(t, ok)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &phone{t: t, conn: conn, to: to, c: c, pt: pt, ssrc: 0xcafe, seq: 100, ts: 5000, enc: c.NewEncoder()}
}

func (p *phone) addr() netip.AddrPort { return p.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p *phone) packet(x []int16) []byte {
	payload := make([]byte, 2000)
	pkt := rtpmedia.Packet{
		PayloadType: p.pt, SSRC: p.ssrc, Seq: p.seq, Timestamp: p.ts, Payload: payload[:p.enc.Encode(payload, x)],
	}
	p.seq++
	p.ts += uint32(len(x) * p.c.ClockRate / p.c.SampleRate)
	return pkt.Append(nil)
}

func (p *phone) say(x []int16) { p.write(p.packet(x)) }

func (p *phone) write(b []byte) {
	_, err := p.conn.WriteToUDPAddrPort(b, p.to)
	require.NoError(p.t, err)
}

// hear returns the next packet of media; false after d of none.
func (p *phone) hear(d time.Duration) (pkt rtpmedia.Packet, ok bool) {
	buf := make([]byte, 2048)
	require.NoError(p.t, p.conn.SetReadDeadline(time.Now().Add(d)))
	for {
		n, _, err := p.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return pkt, false
		}
		if rtpmedia.IsRTCP(buf[:n]) {
			continue
		}
		require.NoError(p.t, pkt.Parse(buf[:n]))
		return pkt, true
	}
}
