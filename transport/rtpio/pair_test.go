package rtpio

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

var mediaLines = regexp.MustCompile(`(?m)^m=audio (\d+) `)

// portOf is the port of the audio in a description of ours.
func portOf(t *testing.T, sdp []byte) int {
	t.Helper()
	m := mediaLines.FindSubmatch(sdp)
	require.NotNil(t, m, "%s", sdp)
	port, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	return port
}

// answered has a leg answer a phone, whose packets go there from then on. The
// offer tells port, and lines.
func (r *rig) answered(p *phone, ip string, port int, lines ...string) (*engine.Leg, *endpoint, string) {
	r.t.Helper()
	leg, ep := r.open()
	answer, err := r.server.Answer(ep.URL(), []byte(offerTo(ip, port, lines...)))
	require.NoError(r.t, err)
	p.sendTo(portOf(r.t, answer))
	return leg, ep.(*endpoint), string(answer)
}

// onConn runs fn while the loop of a leg that has sockets of its own waits.
func (e *endpoint) onConn(t *testing.T, fn func(c *conn)) {
	t.Helper()
	e.mu.Lock()
	c := e.conn
	e.mu.Unlock()
	require.NotNil(t, c)
	c.loop.hold(t, func() { fn(c) })
}

// anywhere is nobody's address.
func anywhere() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:9") }

// TestAnswer: who offered is heard and hears, wherever it sends from, and nobody
// else is.
func TestAnswer(t *testing.T) {
	t.Parallel()
	overPaths(t, func(t *testing.T, cfg Config) {
		t.Parallel()
		r := newRig(t, cfg)
		p := newL16(t, anywhere()).record()
		_, ep, answer := r.answered(p, "192.0.2.1", 4000) // an address behind a NAT
		require.Contains(t, answer, "a=sendrecv")
		_, err := r.server.Answer(ep.URL(), []byte(offerTo("127.0.0.1", 9)))
		require.ErrorIs(t, err, ErrTaken)
		said := noise(0.5, 1)
		p.talk(said)
		thief := p.moved("127.0.0.2:0").record()
		thief.talk(noise(0.1, 2))
		thief.bye()
		soon(t, func() bool { return len(p.all()) > len(said) })
		r.echoed(said, p.all())
		require.Empty(t, thief.heard())
		require.EqualValues(t, 6, ep.Stats().Refused)
		require.EqualValues(t, 25, ep.Stats().MessagesIn)

		// After a silence the same stream may come from another port; another may not.
		time.Sleep(600 * time.Millisecond)
		other := p.sibling(1)
		other.conn = listenTest(t, "127.0.0.1:0")
		other.say(said[:320])
		moved := p.moved("127.0.0.1:0").record()
		more := noise(0.3, 3)
		moved.talk(more)
		soon(t, func() bool { return len(moved.all()) > 320*10 })
		require.EqualValues(t, 7, ep.Stats().Refused)
		ep.Drain()
		require.NoError(t, r.down())
		require.Zero(t, r.addresses())
	})
}

// TestDescribedAddressWins over whoever tried all ports and was faster.
func TestDescribedAddressWins(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	p := newL16(t, anywhere()).record()
	_, ep, _ := r.answered(p, "127.0.0.1", int(p.addr().Port()))
	thief := p.moved("127.0.0.2:0").record()
	thief.ssrc = 666
	thief.talk(noise(0.1, 1))
	ep.onConn(t, func(c *conn) { require.Equal(t, thief.addr(), c.remote) })
	stop := p.keep(noise(1, 2))
	defer stop()
	soon(t, func() bool { return len(p.all()) > 320*10 })
	before := ep.Stats().Refused
	thief.talk(noise(0.1, 1))
	soon(t, func() bool { return ep.Stats().Refused == before+5 })
	ep.onConn(t, func(c *conn) { require.Equal(t, p.addr(), c.remote) })
}

// TestWrongTypesDoNotLatch: what was not agreed on is nobody's.
func TestWrongTypesDoNotLatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	p := newL16(t, anywhere())
	_, ep, _ := r.answered(p, "192.0.2.1", 4000)
	for _, pt := range []uint8{0, 8, 96, 101} {
		p.write(packetOf(pt, 1, 1, 1, 2, 3, 4))
	}
	p.write([]byte{1, 2, 3})
	soon(t, func() bool { return ep.Stats().Refused == 4 && ep.malformed.Load() == 1 })
	ep.onConn(t, func(c *conn) { require.False(t, c.latched) })
	p.write(packetOf(102, 1, 1, 1, 2, 3, 4)) // a key is
	soon(t, func() bool { return ep.Stats().MessagesIn == 1 })
	for range 3 {
		p.write(append([]byte{0x80, 201, 0, 0}, make([]byte, 2)...)) // no report
	}
	soon(t, func() bool { return ep.malformed.Load() == 4 })
}

// reported waits for a report, which it has be due.
func (p *phone) reported(ep *endpoint) rtpmedia.Report {
	soon(p.t, func() bool { return len(p.told()) > 0 })
	return p.told()[0]
}

// TestPairReports come where the description says: muxed, at the next port, or at
// that of a=rtcp.
func TestPairReports(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		mux  bool
		line func(p *phone) string
	}{
		{"muxed", true, func(*phone) string { return "a=rtcp-mux" }},
		{"next port", false, func(*phone) string { return "a=x" }},
		{"a=rtcp", false, func(p *phone) string {
			p.rtcp = listenTest(p.t, "127.0.0.1:0")
			return fmt.Sprint("a=rtcp:", p.rtcp.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port())
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			p := newL16(t, anywhere()).withReports()
			line := tt.line(p)
			_, ep, answer := r.answered(p, "127.0.0.1", int(p.addr().Port()), line)
			require.Equal(t, tt.mux, strings.Contains(answer, "a=rtcp-mux"))
			if tt.mux {
				p.rtcp = nil
			}
			p.record()
			stop := p.keep(noise(1, 1))
			defer stop()
			got := p.reported(ep)
			require.Equal(t, p.ssrc, got.Blocks[0].SSRC)
			p.mu.Lock()
			require.Equal(t, tt.mux, p.onMedia > 0)
			p.mu.Unlock()
			p.report(rtpmedia.Report{Blocks: []rtpmedia.ReportBlock{{SSRC: got.SSRC, Lost: 3}}, Bye: []uint32{p.ssrc}})
			soon(t, func() bool { return ep.Stats().RTP.PeerLost == 3 })
			require.True(t, ep.Stats().Connected, "who described the session ends it")
			ep.Drain()
			p.gotBye()
		})
	}
}

// TestReportsOfElsewhere: a=rtcp may name another address, whose reports count.
func TestReportsOfElsewhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	p := newL16(t, anywhere())
	p.rtcp = listenTest(t, "127.0.0.2:0")
	at := p.rtcp.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort()
	_, ep, _ := r.answered(p, "127.0.0.1", int(p.addr().Port()), fmt.Sprintf("a=rtcp:%d IN IP4 127.0.0.2", at.Port()))
	p.talk(noise(0.2, 1))
	var ours uint32
	ep.onConn(t, func(c *conn) {
		require.Equal(t, at, c.reports)
		ours = rtpmediaSSRC(t, c)
	})
	p.report(rtpmedia.Report{Blocks: []rtpmedia.ReportBlock{{SSRC: ours, Lost: 3}}})
	soon(t, func() bool { return ep.Stats().RTP.PeerLost == 3 })
}

// rtpmediaSSRC is what our reports are signed with.
func rtpmediaSSRC(t *testing.T, c *conn) uint32 {
	ssrc, ok := rtpmedia.ReporterOf(c.media.Bye(1, 1, nil))
	require.True(t, ok)
	return ssrc
}

// TestPairHold: nothing is sent, or heard, that was not agreed on.
func TestPairHold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, ip, line, answer string
		hears, sends           bool // we
	}{
		{"0.0.0.0", "0.0.0.0", "a=sendrecv", "a=recvonly", true, false},
		{"inactive", "127.0.0.1", "a=inactive", "a=inactive", false, false},
		{"sendonly", "127.0.0.1", "a=sendonly", "a=recvonly", true, false},
		{"recvonly", "127.0.0.1", "a=recvonly", "a=sendonly", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{Idle: 400 * time.Millisecond})
			p := newL16(t, anywhere()).record()
			leg, ep, answer := r.answered(p, tt.ip, int(p.addr().Port()), tt.line)
			require.Contains(t, answer, tt.answer)
			_, err := leg.Source().TryWrite(noise(0.2, 1))
			require.NoError(t, err)
			p.talk(noise(0.3, 2))
			if tt.hears {
				soon(t, func() bool { return len(leg.Renders()) == 1 && leg.Renders()[0].Stats().Frames > 10 })
				_, err := r.end()
				require.ErrorIs(t, err, ErrIdle, "it is expected to send")
			} else {
				time.Sleep(500 * time.Millisecond)
				require.Empty(t, leg.Renders())
				require.True(t, ep.Stats().Connected, "it is not")
			}
			if tt.sends {
				soon(t, func() bool { return len(p.all()) >= 3200 })
			} else {
				require.Empty(t, p.heard())
				require.Error(t, r.server.Press(ep.URL(), '1', time.Second))
			}
		})
	}
}

// TestDeafLegDoesNotMove: the stream of a peer that is not heard is not silent.
func TestDeafLegDoesNotMove(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	p := newL16(t, anywhere()).record()
	_, ep, _ := r.answered(p, "127.0.0.1", int(p.addr().Port()), "a=recvonly")
	thief := p.moved("127.0.0.2:0").record()
	stop := p.keep(noise(1, 1))
	defer stop()
	time.Sleep(600 * time.Millisecond)
	thief.talk(noise(0.2, 2)) // it knows the SSRC
	soon(t, func() bool { return ep.Stats().Refused == 10 })
	ep.onConn(t, func(c *conn) { require.Equal(t, p.addr(), c.remote) })
}

// TestOfferAccept: two servers of ours talk; wrong answers change nothing.
func TestOfferAccept(t *testing.T) {
	t.Parallel()
	overPaths(t, func(t *testing.T, cfg Config) {
		t.Parallel()
		r := newRig(t, cfg)
		p := newL16(t, anywhere()).record()
		_, ep := r.open()
		require.ErrorIs(t, r.server.Accept(ep.URL(), []byte(offerTo("127.0.0.1", 9))), ErrUnknown)
		offer, err := r.server.Offer(ep.URL())
		require.NoError(t, err)
		_, err = r.server.Offer(ep.URL())
		require.ErrorIs(t, err, ErrTaken)
		require.ErrorIs(t, r.server.Dial(ep.URL(), transport.Target{Addr: p.addr(), Codec: "L16"}), ErrTaken)
		var sdpErr *SDPError
		for _, wrong := range []string{
			"", "v=0\n", strings.Replace(offerTo("127.0.0.1", 9), "L16/16000", "G729/8000", 1),
			offerTo("127.0.0.1", 9, "m=audio 5 RTP/AVP 0"), strings.Replace(offerTo("127.0.0.1", 9), "audio 9", "audio 0", 1),
		} {
			require.ErrorAs(t, r.server.Accept(ep.URL(), []byte(wrong)), &sdpErr, "%s", wrong)
			require.False(t, ep.Stats().Connected)
		}
		require.ErrorIs(t, r.server.Press(ep.URL(), '1', 0), ErrUnknown)
		require.NoError(t, r.server.Accept(ep.URL(), []byte(offerTo("127.0.0.1", int(p.addr().Port())))))
		require.ErrorIs(t, r.server.Accept(ep.URL(), []byte(offerTo("127.0.0.1", 9))), ErrUnknown)
		p.sendTo(portOf(t, offer))
		said := noise(0.4, 1)
		p.talk(said)
		soon(t, func() bool { return len(p.all()) > len(said) })
		r.echoed(said, p.all())
	})
}

// TestDial: what a dialled target sends back is heard, from its address alone,
// and nothing of it moves what we send to elsewhere. Its BYE ends the leg.
func TestDial(t *testing.T) {
	t.Parallel()
	overPaths(t, func(t *testing.T, cfg Config) {
		t.Parallel()
		cfg.Idle = 100 * time.Millisecond
		r := newRig(t, cfg)
		p := newL16(t, anywhere()).withReports().record()
		leg, ep := r.open()
		require.NoError(t, r.server.Dial(ep.URL(), transport.Target{Addr: p.addr(), Codec: "l16/16000", PayloadType: 97}))
		hello := noise(0.3, 1)
		_, err := leg.Source().TryWrite(hello)
		require.NoError(t, err)
		soon(t, func() bool { return len(p.all()) >= len(hello) })
		r.echoed(hello, p.all())
		time.Sleep(300 * time.Millisecond)
		require.True(t, ep.Stats().Connected, "it need not send")
		p.mu.Lock()
		for from := range p.froms {
			if from.Port()%2 == 0 {
				p.to = from
			}
		}
		p.mu.Unlock()
		stranger := p.moved("127.0.0.2:0").record()
		stranger.talk(noise(0.1, 2))
		soon(t, func() bool { return ep.Stats().Refused == 5 })
		back := p.moved("127.0.0.1:0").record() // it receives at one port, and sends from another
		said := noise(0.4, 3)
		back.talk(said)
		soon(t, func() bool { return len(p.all()) > len(hello)+len(said) })
		r.echoed(said, p.all()[len(hello):])
		require.Empty(t, back.heard())
		require.Empty(t, stranger.heard())
		p.bye()
		_, err = r.end()
		require.NoError(t, err)
	})
}
