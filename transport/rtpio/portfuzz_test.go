package rtpio

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpleg"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// noSocket is a packetIO to which nothing comes; it counts what is sent.
type noSocket struct {
	closed      chan struct{}
	sent, bytes int
}

func (s *noSocket) recv(b *inBatch, _, _ int64) int {
	b.packets = b.packets[:0]
	return 0
}

func (s *noSocket) flush(o *outBatch) {
	for i, b := range o.data {
		s.send(b, o.to[i])
	}
	o.reset()
}

func (s *noSocket) send(b []byte, _ netip.AddrPort) bool {
	s.sent, s.bytes = s.sent+1, s.bytes+len(b)
	return true
}
func (s *noSocket) wait() error  { <-s.closed; return net.ErrClosed }
func (s *noSocket) close() error { return nil }

// desk is a shared port, and a leg with sockets of its own, that are moved by
// hand: no loop runs.
type desk struct {
	t    testing.TB
	s    *Server
	port *port
	own  *conn
	eps  []*endpoint
	rang []transport.Sender
	io   *noSocket
	now  int64
	came int // bytes
}

func newDesk(t testing.TB) *desk {
	d := &desk{t: t, io: &noSocket{closed: make(chan struct{})}, now: engine.Now()}
	cfg := Config{
		Engine: engine.New(engine.Config{}), Listen: netip.MustParseAddrPort("192.0.2.100:5004"), MaxSenders: 6, MaxLegs: 4,
		Codecs: only(t, "PCMU", "L16"), OnSender: func(s transport.Sender) { d.rang = append(d.rang, s) },
		listen: func(at netip.AddrPort, _, _ int) (*socket, error) {
			return &socket{addr: at, packet: d.io, counts: &socketCounts{}}, nil
		},
	}
	require.NoError(t, cfg.complete())
	d.s = &Server{cfg: cfg, log: cfg.Logger, endpoints: map[string]*endpoint{}}
	l := newLoop(d.s, d.s.cfg.Engine.Anchors()[0])
	d.s.loops = []*loop{l}
	d.port = &port{
		loop: l, sources: map[netip.AddrPort]*source{}, streams: map[uint32]*conn{}, watching: make(chan struct{}, 1),
	}
	d.port.rtp, _ = cfg.listen(cfg.Listen, 0, 0)
	d.port.callers.port, l.port, d.s.shared = d.port, d.port, d.port
	e := d.open()
	at := netip.MustParseAddrPort("192.0.2.1:4000")
	types := rtpleg.Types{Audio: 0, Event: 101}
	d.own = &conn{
		loop: l, ep: e, own: &pair{d.port.rtp, d.port.rtp}, done: make(chan struct{}),
		terms:  terms{codec: cfg.Codecs[0], receive: types, send: types},
		remote: at, described: at.Addr(), reports: reportsOf(at, false),
	}
	require.NoError(t, d.own.begin(d.now))
	return d
}

func (d *desk) open() *endpoint {
	leg, err := d.s.cfg.Engine.NewLeg(engine.LegConfig{})
	require.NoError(d.t, err)
	ep, err := d.s.Open(leg, transport.Stream{Bidirectional: true})
	require.NoError(d.t, err)
	d.eps = append(d.eps, ep.(*endpoint))
	return ep.(*endpoint)
}

// letIn is port.letIn, but for the turns.
func (d *desk) letIn(id string) {
	k := d.port.callers.find(id)
	if k == nil || d.port.legs >= d.s.cfg.MaxLegs {
		return
	}
	e := d.open()
	require.NoError(d.t, e.claim())
	c := newGuest(d.port, e, k)
	require.NoError(d.t, c.begin(d.now))
	d.port.admit(k, c)
}

// turn has everybody's turn.
func (d *desk) turn() {
	d.now += 20e6
	unix := time.Now().UnixNano()
	d.port.read(d.now, unix)
	for _, s := range d.port.sources {
		for _, c := range append([]*conn(nil), s.conns...) {
			c.turn(d.now, d.now, unix)
		}
	}
	d.port.rtp.flush(d.port.loop.tx)
	if !d.own.over {
		d.own.turn(d.now, d.now, unix)
	}
}

// rings tells the app of whoever rings now.
func (d *desk) rings() {
	n := &d.s.told
	n.mu.Lock()
	queue := n.queue
	n.queue = nil
	n.mu.Unlock()
	for _, fn := range queue {
		fn()
	}
}

// do does what a byte says with a datagram of somebody.
func (d *desk) do(op byte, b []byte) {
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1 + op>>3&1}), 4000+uint16(op>>4&3))
	dg := &datagram{data: b, from: from, arrival: d.now}
	unix := time.Now().UnixNano()
	d.came += len(b)
	switch op & 7 {
	case 0, 1:
		if rtpmedia.IsRTCP(b) {
			d.port.takeReport(dg, unix, true)
		} else {
			d.port.take(dg)
		}
	case 2:
		d.port.takeReport(dg, unix, false)
	case 3:
		if !d.own.over {
			_ = d.own.arrived(dg, unix)
		}
	case 4:
		if !d.own.over {
			d.own.reported(dg, unix, false)
		}
	case 5:
		for range 1 + op>>3 {
			d.turn()
		}
	case 6:
		d.rings()
		if len(d.rang) > 0 {
			d.letIn(d.rang[len(d.rang)-1].ID)
		}
	case 7:
		d.rings()
		if len(d.rang) > 0 {
			d.port.refuse(d.rang[0].ID)
			d.rang = d.rang[1:]
		}
		d.now += int64(op>>3) * 100e6
	}
}

// TestDesk: it does what a server does.
func TestDesk(t *testing.T) {
	d := newDesk(t)
	defer d.s.cfg.Engine.Close()
	for i := range uint16(3) {
		d.do(0, packetOf(0, 1, i, 1, 2, 3))
		d.do(3, packetOf(0, 9, i, 1, 2, 3))
	}
	d.do(6, nil)
	require.Equal(t, 1, d.port.legs)
	d.do(0, packetOf(0, 1, 4, 1, 2, 3))
	d.do(253, nil) // 32 turns
	require.EqualValues(t, 4, d.eps[1].Stats().MessagesIn)
	require.EqualValues(t, 3, d.eps[0].Stats().MessagesIn)
	d.do(0, (&rtpmedia.Report{SSRC: 1, Bye: []uint32{1}}).Append(nil))
	d.do(253, nil)
	require.Zero(t, d.port.legs)
	require.Len(t, d.port.callers.were, 1)
	require.Empty(t, d.port.check())
}

// says has somebody say a few packets in their time, and tells who rang by then.
func (d *desk) says(op byte, ssrc uint32, n int) (rang int) {
	for i := range n {
		d.do(op, packetOf(0, ssrc, uint16(100+i), 1, 2, 3))
		d.turn()
	}
	before := len(d.rang)
	d.rings()
	return len(d.rang) - before
}

// TestHeirs: who goes on as what, on a clock that no machine holds up.
func TestHeirs(t *testing.T) {
	d := newDesk(t)
	defer d.s.cfg.Engine.Close()
	const here, there, elsewhere = 0, 1 << 4, 1 << 3 // another port; another address
	require.Equal(t, 1, d.says(here, 1, 3))
	d.do(6, nil)
	require.Equal(t, 1, d.port.legs)
	c := d.port.streams[1]
	require.Zero(t, d.says(here, 2, 4), "60 ms are not enough to tell")
	require.EqualValues(t, 1, c.ssrc)
	require.Zero(t, d.says(here, 2, 3))
	require.EqualValues(t, 2, c.ssrc, "restarted")
	require.EqualValues(t, 3+7, d.eps[1].Stats().MessagesIn, "and nothing lost")

	require.Zero(t, d.says(there, 2, 20), "400 ms are not enough for another port")
	require.Equal(t, 1, d.says(elsewhere, 2, 40), "another address is another sender")
	require.Zero(t, d.says(there, 2, 7))
	require.EqualValues(t, 4001, c.remote.Port())
	require.Same(t, c, d.port.streams[2])

	// A stream beside one that goes on, and missed a packet just then.
	require.Zero(t, d.says(there, 2, 3))
	d.do(there, packetOf(0, 5, 1, 1))
	d.turn()
	d.do(there, packetOf(0, 5, 2, 1))
	d.turn()
	d.do(there, packetOf(0, 2, 104, 1))
	d.do(there, packetOf(0, 5, 3, 1))
	d.rings()
	require.EqualValues(t, 5, d.rang[len(d.rang)-1].SSRC)
	require.EqualValues(t, 2, c.ssrc)

	require.Equal(t, 1, d.says(here, 3, 3))
	d.do(6, nil)
	require.Equal(t, 2, d.port.legs)
	o := d.port.streams[3]
	d.port.move(o, c.remote) // two of one source
	require.Equal(t, 1, d.says(there, 4, 10), "nobody knows which of the two it would be")
	require.Equal(t, []uint32{2, 3}, []uint32{c.ssrc, o.ssrc})
	require.Empty(t, d.port.check())
}

// FuzzPort: whatever comes in whatever order, nothing panics, the tables agree,
// and nobody is sent much more than came.
func FuzzPort(f *testing.F) {
	seq := func(ops ...any) (b []byte) {
		for _, op := range ops {
			switch op := op.(type) {
			case int:
				b = append(b, byte(op), 0)
			case []byte:
				b = append(append(b, 0, byte(len(op))), op...)
			}
		}
		return b
	}
	talk := func(ssrc uint32, at uint16) (b []byte) {
		for i := range uint16(3) {
			b = append(b, seq(packetOf(0, ssrc, at+i, 1, 2, 3, 4, 5), 5)...)
		}
		return b
	}
	bye := (&rtpmedia.Report{SSRC: 1, Bye: []uint32{1}}).Append(nil)
	f.Add(append(talk(1, 1), seq(6, 5, 13, bye, 5, 7)...))
	f.Add(append(append(talk(1, 1), seq(6, 255)...), talk(2, 900)...))
	f.Add(append(append(talk(1, 1), talk(2, 1)...), seq(7, 6, 5, packetOf(101, 2, 9, 5, 0x80, 1, 1), 255, 253, 255)...))
	f.Add(append(binary.BigEndian.AppendUint16(nil, 0x0310), packetOf(0, 5, 1, 1, 2, 3, 4)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDesk(t)
		defer d.s.cfg.Engine.Close()
		for len(b) >= 2 && len(d.eps) < 20 {
			n := min(int(b[1]), len(b)-2)
			d.do(b[0], b[2:2+n])
			b = b[2+n:]
		}
		d.turn()
		require.Empty(t, d.port.check())
		d.port.loop.wire = d.port.loop.wire[:0]
		for _, e := range d.eps {
			e.leg.Close()
		}
		d.turn()
		require.Empty(t, d.port.check())
		require.Zero(t, d.port.legs)
		require.True(t, d.own.over)
		// Nobody here speaks: reports, one good-bye each, and no more.
		require.Less(t, d.io.sent, 100)
	})
}
