package rtpio

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// hand gives the shared port a datagram as if it had just come.
func (p *port) hand(from netip.AddrPort, b []byte) {
	d := &datagram{data: b, from: from, arrival: engine.Now()}
	if rtpmedia.IsRTCP(b) {
		p.takeReport(d, time.Now().UnixNano(), true)
		return
	}
	p.take(d)
}

// address is one of many.
func address(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i >> 14)}), uint16(1024+i&0x3fff))
}

func packetOf(pt uint8, ssrc uint32, seq uint16, payload ...byte) []byte {
	return (&rtpmedia.Packet{PayloadType: pt, SSRC: ssrc, Seq: seq, Timestamp: uint32(seq) * 160, Payload: payload}).Append(nil)
}

// TestTwoPacketsRing: one does not, nor two that do not belong together.
func TestTwoPacketsRing(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.mute()
	p := newPhone(t, r.server.Addr(), "PCMU", 8000, 0)
	x := noise(1, 1)
	p.say(x[:320])
	p.seq += 100
	p.say(x[:320])
	p.seq--
	p.say(x[:320]) // the same again
	soon(t, func() bool { _, callers := r.counts(); return callers == 1 })
	time.Sleep(50 * time.Millisecond)
	require.Empty(t, r.rang())
	p.say(x[:320])
	soon(t, func() bool { return len(r.rang()) == 1 })
	require.Equal(t, transport.Sender{
		ID: senderID(p.addr(), 0xcafe), Addr: p.addr(), SSRC: 0xcafe, PayloadType: 0, Codec: "PCMU/8000",
	}, r.rang()[0])
	p.say(x[:320])
	soon(t, func() bool { return r.server.shared.rtp.stats().Received == 5 })
	r.counts()
	require.Len(t, r.rang(), 1, "once")
}

// TestTakeAfterAWhile: what came while it rang is heard, the last of it.
func TestTakeAfterAWhile(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Jitter: steady})
	r.mute()
	p := newL16(t, r.server.Addr()).record()
	said := noise(1, 1)
	p.talk(said)
	soon(t, func() bool { return len(r.rang()) == 1 })
	id := r.rang()[0].ID
	_, ep := r.open()
	require.ErrorIs(t, r.server.Take(ep.URL(), "127.0.0.1:1/00000000"), ErrUnknown)
	require.ErrorIs(t, r.server.Take("rtp:nowhere", id), ErrUnknown)
	require.NoError(t, r.server.Take(ep.URL(), id))
	require.ErrorIs(t, r.server.Take(ep.URL(), id), ErrUnknown, "it rings no more")
	late := said[len(said)-kept*320:]
	soon(t, func() bool { return len(p.all()) > len(late) })
	r.echoed(late, p.all())
	_, err := r.server.Offer(ep.URL())
	require.ErrorIs(t, err, ErrTaken)
	r.counts()
}

// TestRefuse: who was refused does not ring, and cannot be taken, until it has
// been silent for five seconds.
func TestRefuse(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.mute()
	p := newL16(t, r.server.Addr())
	stop := p.keep(noise(1, 1))
	soon(t, func() bool { return len(r.rang()) == 1 })
	id := r.rang()[0].ID
	r.server.Refuse("nobody")
	r.server.Refuse(id)
	_, ep := r.open()
	require.ErrorIs(t, r.server.Take(ep.URL(), id), ErrUnknown)
	time.Sleep(300 * time.Millisecond)
	stop()
	for _, silent := range []int64{hangsUp - 2e9, hangsUp + 1} {
		r.sleeps()
		require.Len(t, r.rang(), 1)
		r.age(silent)
		p.talk(noise(0.2, 1))
	}
	soon(t, func() bool { return len(r.rang()) == 2 })
	require.Equal(t, id, r.rang()[1].ID)
}

// TestGoneBeforeTaken: a sender that stopped is forgotten.
func TestGoneBeforeTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.mute()
	p := newL16(t, r.server.Addr())
	p.talk(noise(0.1, 1))
	soon(t, func() bool { return len(r.rang()) == 1 })
	r.sleeps()
	r.age(hangsUp + 1)
	_, ep := r.open()
	r.on(func(p *port) { p.callers.expire(engine.Now()) })
	require.ErrorIs(t, r.server.Take(ep.URL(), r.rang()[0].ID), ErrUnknown)
	require.Zero(t, r.server.shared.rtp.stats().Sent, "who is not let in is sent nothing")
}

// TestNothingRings of all this.
func TestNothingRings(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Codecs: only(t, "PCMU", "L16")})
	valid := packetOf(0, 1, 1, make([]byte, 160)...)
	padded := func(n byte) []byte {
		b := packetOf(0, 1, 1, 1, 2, 3, n)
		b[0] |= 0x20
		return b
	}
	for name, b := range map[string][]byte{
		"another codec": packetOf(8, 1, 1, 1), "unknown type": packetOf(77, 1, 1, 1), "event first": packetOf(101, 1, 1, 1, 2, 3, 4),
		"comfort noise first": packetOf(13, 1, 1, 60), "static, of 44.1 kHz": packetOf(11, 1, 1, 1), "empty payload": packetOf(0, 1, 1),
		"truncated": valid[:11], "empty": {}, "STUN": append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...),
		"DTLS": append([]byte{22, 254, 253}, make([]byte, 60)...), "ZRTP": append([]byte{0x10, 0}, make([]byte, 20)...),
		"CSRC lie": append([]byte{0x8f}, valid[1:40]...), "extension lie": append([]byte{0x90}, valid[1:14]...),
		"long extension lie": append(append([]byte{0x90}, valid[1:12]...), 0xbe, 0xde, 0xff, 0xff, 1, 2, 3, 4),
		"padding of zero":    padded(0), "padding beyond": padded(200), "padding of all": padded(4),
		"receiver report": (&rtpmedia.Report{SSRC: 1}).Append(nil),
		"bye":             (&rtpmedia.Report{SSRC: 1, Bye: []uint32{1}}).Append(nil), "half a report": {0x80, 200, 0, 1},
		"noise": []byte(strings.Repeat("\xa5\x5a", 400)), "too long": append(valid, make([]byte, 4000)...),
	} {
		t.Run(name, func(t *testing.T) {
			stats := func() (n int64) {
				p := r.server.shared
				return p.strangers.Load() + p.malformed.Load() + p.strayReports.Load() + p.rtp.stats().Truncated
			}
			before := stats()
			p := newPhone(t, r.server.Addr(), "PCMU", 8000, 0)
			for i := range 3 {
				if len(b) >= 4 {
					binary.BigEndian.PutUint16(b[2:], binary.BigEndian.Uint16(b[2:])+uint16(min(i, 1)))
				}
				p.write(b)
			}
			soon(t, func() bool { return stats() == before+3 })
			legs, callers := r.counts()
			require.Zero(t, legs)
			require.Zero(t, callers)
		})
	}
	require.Empty(t, r.rang())
	require.Zero(t, r.server.shared.rtp.stats().Sent, "nobody was answered anything")
	got := r.server.Stats()
	require.NotZero(t, got.Strangers*got.Malformed*got.StrayReports*got.Truncated)
	require.Zero(t, got.Legs+got.Senders+got.Unsent)
}

// TestHeadersAreStepped over: sources and extensions are no part of the audio.
func TestHeadersAreStepped(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Jitter: steady})
	p := newL16(t, r.server.Addr()).record()
	said := noise(0.4, 1)
	for i := range 20 {
		var pkt rtpmedia.Packet
		require.NoError(t, pkt.Parse(p.packet(said[320*i:320*(i+1)])))
		pkt.Contributing, pkt.HasExtension, pkt.Profile = make([]byte, 4*(i%16)), i%2 == 0, 0xbede
		pkt.Extension = make([]byte, 4*(i%4))
		b := pkt.Append(nil)
		if i%3 == 0 {
			b[0] |= 0x20
			b = append(b, 0, 0, 3)
		}
		p.write(b)
		time.Sleep(20 * time.Millisecond)
	}
	soon(t, func() bool { return len(p.all()) > len(said) })
	r.echoed(said, p.all())
}

// TestBounds of senders and legs hold, and who is beyond is counted.
func TestBounds(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{MaxSenders: 5, MaxLegs: 3})
	r.mute()
	r.on(func(p *port) {
		for seq := range uint16(3) {
			for i := range 20 {
				p.hand(address(i), packetOf(0, uint32(i), seq, 1, 2, 3))
			}
		}
	})
	// Each of the twenty pushes out the one before, until two of one meet.
	r.on(func(p *port) {
		for i := range 5 {
			for seq := range uint16(2) {
				p.hand(address(i), packetOf(0, uint32(i), 100+seq, 1, 2, 3))
			}
		}
	})
	soon(t, func() bool { return len(r.rang()) == 5 })
	_, callers := r.counts()
	require.Equal(t, 5, callers)
	before := r.server.shared.strangers.Load()
	r.on(func(p *port) { p.hand(address(100), packetOf(0, 100, 1, 1)) })
	require.Equal(t, before+1, r.server.shared.strangers.Load(), "all five ring")
	errs := 0
	for _, s := range r.rang() {
		_, ep := r.open()
		if err := r.server.Take(ep.URL(), s.ID); err != nil {
			require.ErrorIs(t, err, engine.ErrTooManyLegs)
			errs++
		}
	}
	require.Equal(t, 2, errs)
	legs, _ := r.counts()
	require.Equal(t, 3, legs)
	before = r.server.shared.strangers.Load()
	r.on(func(p *port) {
		p.hand(address(200), packetOf(0, 200, 1, 1))
		p.hand(address(200), packetOf(0, 200, 2, 1))
	})
	require.Equal(t, before+2, r.server.shared.strangers.Load(), "there is no room for another leg")
	_, callers = r.counts()
	require.Equal(t, 2, callers)

	r.on(func(p *port) { // one source cannot have all the room
		p.callers.port.loop.server.cfg.MaxLegs = 100
		p.callers.port.loop.server.cfg.MaxSenders = 100
		for i := range 50 {
			p.hand(address(300), packetOf(0, uint32(1000+i), 1, 1))
		}
	})
	_, callers = r.counts()
	require.Equal(t, 2+perSource, callers)
}

// TestOwnAddress: what claims to come from ourselves would have us talk to
// ourselves; and to port 0 nobody can talk.
func TestOwnAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.on(func(p *port) {
		for seq := range uint16(3) {
			p.hand(p.rtp.local(), packetOf(0, 1, seq, 1))
			p.hand(netip.AddrPortFrom(address(1).Addr(), 0), packetOf(0, 1, seq, 1))
			p.takeReport(&datagram{data: (&rtpmedia.Report{SSRC: 1}).Append(nil), from: netip.AddrPortFrom(address(1).Addr(), 0)}, 0, false)
		}
	})
	legs, callers := r.counts()
	require.Zero(t, legs+callers)
	require.Empty(t, r.rang())
}

// TestSlowHook: an app that does not return from its hook costs no memory.
func TestSlowHook(t *testing.T) {
	t.Parallel()
	e := engine.New(engine.Config{})
	defer e.Close()
	release, calls := make(chan struct{}), make(chan transport.Sender, 1000)
	s, err := New(Config{Engine: e, Listen: netip.MustParseAddrPort("127.0.0.1:0"), MaxSenders: 10, OnSender: func(s transport.Sender) {
		calls <- s
		<-release
	}})
	require.NoError(t, err)
	r := &rig{t: t, engine: e, server: s}
	for round := range 20 {
		r.on(func(p *port) {
			for i := range 10 {
				for seq := range uint16(2) {
					p.hand(address(100*round+i), packetOf(0, 1, seq, 1))
				}
			}
			p.callers.swept = 0
			p.callers.expire(engine.Now() + hangsUp + 1)
		})
	}
	s.told.mu.Lock()
	require.LessOrEqual(t, len(s.told.queue), 10)
	s.told.mu.Unlock()
	close(release)
	require.NoError(t, s.Close())
	require.LessOrEqual(t, len(calls), 20)
}

// TestWhoIsNotAsked: without a hook nobody rings, and everybody is counted.
func TestWhoIsNotAsked(t *testing.T) {
	t.Parallel()
	e := engine.New(engine.Config{})
	defer e.Close()
	s, err := New(Config{Engine: e, Listen: netip.MustParseAddrPort("[::]:0"), Codecs: codec.All()})
	require.NoError(t, err)
	defer s.Close()
	p := newL16(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Addr().Port()))
	p.talk(noise(0.1, 1))
	soon(t, func() bool { return s.shared.strangers.Load() == 5 })
}

// TestDualStack: a phone of each family at a port of both, and their reports.
func TestDualStack(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Listen: netip.MustParseAddrPort("[::]:0"), Jitter: steady})
	if !r.server.Addr().Addr().Is6() {
		t.Skip("no IPv6 here")
	}
	port := r.server.Addr().Port()
	var phones []*phone
	for _, ip := range []string{"127.0.0.1", "::1"} {
		at := netip.MustParseAddr(ip)
		p := newPhoneAt(t, netip.AddrPortFrom(at, 0).String(), netip.AddrPortFrom(at, port), "L16", 16000, 97).record()
		phones = append(phones, p)
	}
	x, y := noise(0.4, 1), noise(0.4, 2)
	talk(phones, x, y)
	soon(t, func() bool { return len(phones[0].all()) > len(x) && len(phones[1].all()) > len(y) })
	r.echoed(x, phones[0].all())
	r.echoed(y, phones[1].all())
	for i, p := range phones {
		p.bye()
		_, err := r.end()
		require.NoError(t, err)
		require.Contains(t, r.rang()[i].ID, p.addr().String()+"/")
	}
	r.legsUp(0)
}
