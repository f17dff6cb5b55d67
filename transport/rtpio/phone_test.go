package rtpio

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// phone is a peer at a socket of its own, that is moved by hand.
type phone struct {
	t    *testing.T
	conn *net.UDPConn
	rtcp *net.UDPConn // nil: reports share conn
	to   netip.AddrPort
	c    codec.Codec
	pt   uint8
	ssrc uint32
	seq  uint16
	ts   uint32
	enc  codec.Encoder

	payload []byte // of repeat

	// Of what came, once record was called; guarded by mu.
	mu      sync.Mutex
	media   []rtpmedia.Packet
	decs    map[uint32]codec.Decoder // by SSRC
	samples map[uint32][]int16
	reports []rtpmedia.Report
	onMedia int // reports that came to the port of the media
	froms   map[netip.AddrPort]int
}

func newPhone(t *testing.T, to netip.AddrPort, name string, clock int, pt uint8) *phone {
	return newPhoneAt(t, "127.0.0.1:0", to, name, clock, pt)
}

// newL16 is a phone whose samples come back as they were said.
func newL16(t *testing.T, to netip.AddrPort) *phone { return newPhone(t, to, "L16", 16000, 97) }

func newPhoneAt(t *testing.T, at string, to netip.AddrPort, name string, clock int, pt uint8) *phone {
	t.Helper()
	c, ok := codec.ByName(name, clock)
	require.True(t, ok)
	return &phone{
		t: t, conn: listenTest(t, at), to: to, c: c, pt: pt, ssrc: 0xcafe, seq: 100, ts: 5000,
		enc: c.NewEncoder(), froms: map[netip.AddrPort]int{},
		decs: map[uint32]codec.Decoder{}, samples: map[uint32][]int16{},
	}
}

func listenTest(t *testing.T, at string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
	if err != nil && at != "127.0.0.1:0" {
		t.Skip("no such address here: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// withReports gives the phone the port behind its own for reports.
func (p *phone) withReports() *phone {
	for range 100 {
		next := p.addr()
		at := netip.AddrPortFrom(next.Addr(), next.Port()+1)
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err == nil {
			p.t.Cleanup(func() { conn.Close() })
			p.rtcp = conn
			return p
		}
		p.conn = listenTest(p.t, "127.0.0.1:0")
	}
	p.t.Fatal("no two ports in a row")
	return nil
}

// moved is the same phone at another port: behind a NAT that forgot it.
func (p *phone) moved(at string) *phone {
	return &phone{
		t: p.t, conn: listenTest(p.t, at), to: p.to, c: p.c, pt: p.pt, ssrc: p.ssrc, seq: p.seq, ts: p.ts,
		enc: p.enc, froms: map[netip.AddrPort]int{},
		decs: map[uint32]codec.Decoder{}, samples: map[uint32][]int16{},
	}
}

// sibling is another stream from the same socket.
func (p *phone) sibling(ssrc uint32) *phone {
	return &phone{t: p.t, conn: p.conn, to: p.to, c: p.c, pt: p.pt, ssrc: ssrc, seq: 7, ts: 9, enc: p.c.NewEncoder()}
}

func (p *phone) addr() netip.AddrPort { return plainAddr(p.conn.LocalAddr().(*net.UDPAddr).AddrPort()) }

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

// repeat is say without an allocation.
func (p *phone) repeat(x []int16) {
	payload := p.payload[1024:2048]
	pkt := rtpmedia.Packet{
		PayloadType: p.pt, SSRC: p.ssrc, Seq: p.seq, Timestamp: p.ts, Payload: payload[:p.enc.Encode(payload, x)],
	}
	p.seq++
	p.ts += uint32(len(x))
	p.write(pkt.Append(p.payload[:0]))
}

func (p *phone) write(b []byte) {
	_, err := p.conn.WriteToUDPAddrPort(b, p.to)
	require.NoError(p.t, err)
}

// report sends a compound, to the port behind the media's if the phone has one.
func (p *phone) report(r rtpmedia.Report) {
	r.SSRC = p.ssrc
	if p.rtcp == nil {
		p.write(r.Append(nil))
		return
	}
	_, err := p.rtcp.WriteToUDPAddrPort(r.Append(nil), netip.AddrPortFrom(p.to.Addr(), p.to.Port()+1))
	require.NoError(p.t, err)
}

func (p *phone) bye() { p.report(rtpmedia.Report{CNAME: []byte("phone"), Bye: []uint32{p.ssrc}}) }

// record keeps what comes from now on.
func (p *phone) record() *phone {
	listen := func(conn *net.UDPConn, media bool) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				b := make([]byte, 2048)
				n, from, err := conn.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				p.came(b[:n], plainAddr(from), media)
			}
		}()
		p.t.Cleanup(func() { conn.Close(); <-done })
	}
	listen(p.conn, true)
	if p.rtcp != nil {
		listen(p.rtcp, false)
	}
	return p
}

func (p *phone) came(b []byte, from netip.AddrPort, media bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to := p.to; to != anywhere() && from.Port() != to.Port() && from.Port() != to.Port()+1 {
		return // a report of another test, to the port behind one of its own
	}
	p.froms[from]++
	var r rtpmedia.Report
	var pkt rtpmedia.Packet
	switch {
	case rtpmedia.IsRTCP(b):
		if r.Parse(b) == nil {
			p.reports = append(p.reports, r)
		}
		if media {
			p.onMedia++
		}
	case pkt.Parse(b) == nil:
		pkt.Payload = bytes.Clone(pkt.Payload)
		p.media = append(p.media, pkt)
		if pkt.PayloadType == p.pt {
			p.decode(pkt)
		}
	}
}

// decode keeps the samples of a packet: those who wait for them look every
// millisecond. Guarded by mu.
func (p *phone) decode(pkt rtpmedia.Packet) {
	dec := p.decs[pkt.SSRC]
	if dec == nil {
		dec = p.c.NewDecoder()
		p.decs[pkt.SSRC] = dec
	}
	var x [pcm.FrameSamples]int16
	p.samples[pkt.SSRC] = append(p.samples[pkt.SSRC], x[:dec.Decode(x[:], pkt.Payload)]...)
}

// sendTo is where the phone sends from now on.
func (p *phone) sendTo(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = netip.AddrPortFrom(anywhere().Addr(), uint16(port))
}

// packets returns what was recorded of a payload type.
func (p *phone) packets(payloadType uint8) (out []rtpmedia.Packet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pkt := range p.media {
		if pkt.PayloadType == payloadType {
			out = append(out, pkt)
		}
	}
	return out
}

func (p *phone) told() []rtpmedia.Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.reports)
}

// heard returns the samples that were recorded, by our SSRC. They are not to be
// written.
func (p *phone) heard() map[uint32][]int16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.samples)
}

// all returns the samples of the only stream that was recorded.
func (p *phone) all() []int16 {
	streams := p.heard()
	require.LessOrEqual(p.t, len(streams), 1)
	for _, x := range streams {
		return x
	}
	return nil
}

// gotBye waits until we said good-bye.
func (p *phone) gotBye() {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		for _, r := range p.told() {
			if len(r.Bye) > 0 {
				return true
			}
		}
		return false
	}, wait, time.Millisecond)
}

// talk has phones say a frame each every 20 ms, until all is said.
func talk(phones []*phone, said ...[]int16) {
	at := time.Now()
	for i := 0; ; i++ {
		stalled(phones[0].t, time.Since(at))
		any := false
		for k, p := range phones {
			if x := said[k]; len(x) >= (i+1)*pcm.FrameSamples {
				p.say(x[i*pcm.FrameSamples : (i+1)*pcm.FrameSamples])
				any = true
			}
		}
		if !any {
			return
		}
		at = at.Add(pcm.FrameDuration)
		time.Sleep(time.Until(at))
	}
}

// talk has the phone say all of x in its time.
func (p *phone) talk(x []int16) { talk([]*phone{p}, x) }

// keep has the phone talk until stop is called.
func (p *phone) keep(x []int16) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		at := time.Now()
		for i := 0; ; i = (i + pcm.FrameSamples) % (len(x) - pcm.FrameSamples) {
			select {
			case <-quit:
				return
			default:
			}
			p.say(x[i : i+pcm.FrameSamples])
			at = at.Add(pcm.FrameDuration)
			time.Sleep(time.Until(at))
		}
	}()
	return sync.OnceFunc(func() { close(quit); <-done })
}

// find returns where what begins in x, -1 if it does not.
func find(x, what []int16) int {
	for i := 0; i+len(what) <= len(x); i++ {
		if x[i] == what[0] && slices.Equal(x[i:i+len(what)], what) {
			return i
		}
	}
	return -1
}

// offerTo offers L16 and keys at an address; lines follow the others.
func offerTo(ip string, port int, lines ...string) string {
	return fmt.Sprintf("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 %s\nt=0 0\nm=audio %d RTP/AVP 97 102\n"+
		"a=rtpmap:97 L16/16000\na=rtpmap:102 telephone-event/16000\n%s\n", ip, port, strings.Join(append(lines, "a=ptime:20"), "\n"))
}
