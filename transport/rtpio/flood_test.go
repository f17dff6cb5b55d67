package rtpio

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// TestLittleForLittle: who sent two packets, and perhaps not he, is not sent much
// more than that; who goes on is, and so is who reports how he hears us.
func TestLittleForLittle(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	r.mute()
	p := newPhone(t, r.server.Addr(), "PCMU", 8000, 0).record()
	x := noise(1, 1)
	p.say(x[:160])
	p.say(x[160:320])
	soon(t, func() bool { return len(r.rang()) == 1 })
	leg, ep := r.open()
	require.NoError(t, r.server.Take(ep.URL(), r.rang()[0].ID))
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a bot that talks
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				_, _ = leg.Source().TryWrite(x[:8000])
			}
		}
	}()
	soon(t, func() bool { return ep.Stats().RTP.Withheld > 10 })
	sent := len(p.packets(0))
	require.InDelta(t, 2*generosity, sent, 3)
	p.say(x[320:480])
	soon(t, func() bool { return len(p.packets(0)) > sent+generosity-3 })
	got := p.packets(0)[0]
	unheard := ep.Stats().RTP.Withheld
	soon(t, func() bool { return ep.Stats().RTP.Withheld > unheard+5 })
	var c *conn
	r.on(func(p *port) { c = p.streams[0xcafe] })
	r.on(func(*port) { require.False(t, c.proved) })
	p.report(rtpmedia.Report{Blocks: []rtpmedia.ReportBlock{{
		SSRC: got.SSRC, LastSR: uint32(rtpmedia.NTP(time.Now().UnixNano()) >> 16),
	}}})
	soon(t, func() bool { proved := false; r.on(func(*port) { proved = c.proved }); return proved })
	sent = len(p.packets(0))
	soon(t, func() bool { return len(p.packets(0)) > sent+3*generosity })
}

// TestFlood: a hundred thousand senders that do not exist leave memory and tables
// bounded, and who talks is heard to the sample.
func TestFlood(t *testing.T) {
	r := newRig(t, Config{Jitter: steady})
	r.mute()
	p := newL16(t, r.server.Addr()).record()
	said := noise(1.5, 9)
	done := make(chan struct{})
	go func() { defer close(done); p.talk(said) }()
	soon(t, func() bool { return len(r.rang()) == 1 })
	_, ep := r.open()
	require.NoError(t, r.server.Take(ep.URL(), r.rang()[0].ID))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	random := rand.New(rand.NewPCG(1, 2))
	flood := func(n int, packets func(i int) (netip.AddrPort, []byte)) {
		for i := 0; i < n; i += 1250 {
			r.on(func(p *port) {
				for k := i; k < i+1250; k++ {
					p.hand(packets(k))
				}
			})
		}
	}
	total := 100_000
	if raced {
		total = 10_000
	}
	payload := make([]byte, 1000)
	flood(total/2, func(i int) (netip.AddrPort, []byte) { // each once
		return address(i), packetOf(0, random.Uint32(), uint16(i), payload...)
	})
	flood(total/4, func(i int) (netip.AddrPort, []byte) { // twice, to ring
		return address(i / 2), packetOf(0, uint32(i/2), uint16(i), payload...)
	})
	flood(total/4, func(i int) (netip.AddrPort, []byte) { // from the talker's own socket
		return p.addr(), packetOf(uint8(i%128), random.Uint32(), uint16(i), payload[:i%1000]...)
	})
	legs, callers := r.counts()
	require.Equal(t, 1, legs)
	require.LessOrEqual(t, callers, defaultMaxSenders)
	r.on(func(p *port) { require.LessOrEqual(t, len(p.sources), defaultMaxSenders+1) })
	require.LessOrEqual(t, len(r.rang()), 1+2*defaultMaxSenders)
	<-done
	soon(t, func() bool { return len(p.all()) > len(said) })
	r.echoed(said, p.all())
	require.Zero(t, r.server.shared.rtp.stats().KernelDropped)
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(defaultMaxSenders*kept*2048+4<<20))
}

// TestFloodOfTheSocket: the same, over the network.
func TestFloodOfTheSocket(t *testing.T) {
	r := newRig(t, Config{Jitter: steady})
	p := newL16(t, r.server.Addr()).record()
	said := noise(1.5, 9)
	done := make(chan struct{})
	go func() { defer close(done); p.talk(said) }()
	r.legsUp(1)
	r.mute()
	flooder := newL16(t, r.server.Addr())
	b := packetOf(97, 0, 0, make([]byte, 640)...)
	sent := int64(0)
	for talking := true; talking; {
		for range 100 {
			binary.BigEndian.PutUint32(b[8:], rand.Uint32())
			flooder.write(b)
			sent++
		}
		time.Sleep(2 * time.Millisecond)
		select {
		case <-done:
			talking = false
		default:
		}
	}
	soon(t, func() bool { return len(p.all()) > len(said) })
	if r.server.shared.rtp.stats().KernelDropped == 0 {
		r.echoed(said, p.all())
	}
	legs, callers := r.counts()
	require.Equal(t, 1, legs)
	require.LessOrEqual(t, callers, perSource)
	t.Logf("%d datagrams; %+v", sent, r.server.shared.rtp.stats())
}
