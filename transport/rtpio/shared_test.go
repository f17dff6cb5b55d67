package rtpio

import (
	"slices"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// noise is a signal that no other seed has.
func noise(seconds float64, seed uint64) []int16 {
	return signal.Noise(int(seconds*50)*320, seed, -20)
}

// TestManyStreams: of many streams, from one socket and from others, each hears
// itself, to the sample and from the first one on, and nobody else.
func TestManyStreams(t *testing.T) {
	t.Parallel()
	overPaths(t, func(t *testing.T, cfg Config) {
		t.Parallel()
		r := newRig(t, cfg)
		const own, shared = 6, 6
		var phones []*phone
		var said [][]int16
		for i := range own {
			p := newL16(t, r.server.Addr()).record()
			p.ssrc += uint32(i / 2) // pairs have the same
			phones = append(phones, p)
		}
		many := newL16(t, r.server.Addr()).record()
		for i := range shared {
			phones = append(phones, many.sibling(uint32(1000+i)))
		}
		for i := range phones {
			said = append(said, noise(1, uint64(i+1)))
		}
		talk(phones, said...)
		long := func(x []int16) bool { return len(x) > len(said[0])+320 }
		soon(t, func() bool {
			streams := many.heard()
			for _, x := range streams {
				if !long(x) {
					return false
				}
			}
			for _, p := range phones[:own] {
				if !long(p.all()) {
					return false
				}
			}
			return len(streams) == shared
		})
		for i, p := range phones[:own] {
			r.echoed(said[i], p.all())
		}
		left := said[own:]
		for _, x := range many.heard() {
			i := slices.IndexFunc(left, func(said []int16) bool { return find(x, said[:64]) >= 0 })
			require.GreaterOrEqual(t, i, 0, "an echo of nobody")
			r.echoed(left[i], x)
			left = slices.Delete(slices.Clone(left), i, i+1)
		}
		require.Empty(t, left)
		legs, callers := r.counts()
		require.Equal(t, own+shared, legs)
		require.Zero(t, callers)
		require.Len(t, r.rang(), own+shared)
	})
}

// TestReports: the reports of both sides are understood, on a port of their own
// and on that of the media.
func TestReports(t *testing.T) {
	t.Parallel()
	for _, mux := range []bool{false, true} {
		t.Run(map[bool]string{false: "next port", true: "muxed"}[mux], func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			if r.server.shared.reports == nil {
				t.Skip("the next port is taken")
			}
			p := newL16(t, r.server.Addr())
			if !mux {
				p.withReports()
			}
			p.record()
			stop := p.keep(noise(1, 1))
			defer stop()
			ep, _ := r.endpoint()
			soon(t, func() bool { return len(p.packets(97)) > 10 })
			ours := p.packets(97)[0].SSRC
			p.report(rtpmedia.Report{
				CNAME: []byte("phone"), HasSender: true, Sender: rtpmedia.SenderInfo{NTP: rtpmedia.NTP(time.Now().UnixNano())},
				Blocks: []rtpmedia.ReportBlock{{SSRC: ours, Lost: 7, Jitter: 160}},
			})
			soon(t, func() bool { return ep.Stats().RTP.PeerLost == 7 })
			require.InDelta(t, 10, ep.Stats().RTP.PeerJitter, 0.1)
			soon(t, func() bool { return len(p.told()) > 0 }) // within 4 s
			got := p.told()[0]
			require.Equal(t, ours, got.SSRC)
			require.True(t, got.HasSender)
			require.NotZero(t, got.Sender.Packets)
			require.Equal(t, r.server.name, string(got.CNAME))
			require.Len(t, got.Blocks, 1)
			require.Equal(t, p.ssrc, got.Blocks[0].SSRC)
			require.NotZero(t, got.Blocks[0].LastSR)
			require.Zero(t, got.Blocks[0].Lost)
			p.mu.Lock()
			require.Equal(t, mux, p.onMedia > 0)
			p.mu.Unlock()
			// The answer to it gives the round trip.
			p.report(rtpmedia.Report{Blocks: []rtpmedia.ReportBlock{{SSRC: ours, LastSR: uint32(got.Sender.NTP >> 16)}}})
			soon(t, func() bool { return ep.Stats().RTP.RoundTrip > 0 })
		})
	}
}

// TestByeEndsTheLeg, at once, in good order, and what was late of its stream
// does not ring.
func TestByeEndsTheLeg(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	p := newL16(t, r.server.Addr()).withReports().record()
	p.talk(noise(0.3, 1))
	ep, _ := r.endpoint()
	soon(t, func() bool { return len(p.packets(97)) > 5 })
	p.bye()
	url, err := r.end()
	require.Equal(t, ep.URL(), url)
	require.NoError(t, err)
	require.NoError(t, r.down())
	p.talk(noise(0.1, 1))
	time.Sleep(50 * time.Millisecond)
	require.Len(t, r.rang(), 1)
	require.Zero(t, r.addresses())
	require.False(t, ep.Stats().Connected)
	for _, got := range p.told() {
		require.Empty(t, got.Bye, "who left is not told good-bye")
	}
}

// TestByeOfAnother: two phones behind one address have the same SSRC, and one of
// them leaves.
func TestByeOfAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	a, b := newL16(t, r.server.Addr()), newL16(t, r.server.Addr())
	stopA := a.keep(noise(1, 1))
	defer stopA()
	r.legsUp(1)
	first, _ := r.endpoint()
	stopB := b.keep(noise(1, 2))
	defer stopB()
	r.legsUp(2)
	stopA()
	a.bye()
	url, err := r.end()
	require.NoError(t, err)
	require.Equal(t, first.URL(), url)
	r.legsUp(1)
}

func TestIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Idle: time.Second})
	p := newL16(t, r.server.Addr()).withReports().record()
	p.talk(noise(0.2, 1))
	ep, _ := r.endpoint()
	// Reports keep it alive.
	for range 14 {
		time.Sleep(100 * time.Millisecond)
		p.report(rtpmedia.Report{CNAME: []byte("phone")})
	}
	require.True(t, ep.Stats().Connected)
	url, err := r.end()
	require.Equal(t, ep.URL(), url)
	require.ErrorIs(t, err, ErrIdle)
	require.ErrorIs(t, r.down(), ErrIdle)
	p.gotBye()
	r.legsUp(0)
}

// TestRestart: a sender that was restarted goes on with its leg.
func TestRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Jitter: steady})
	p := newL16(t, r.server.Addr()).record()
	x, y := noise(1.2, 1), noise(1, 2) // what waits to be played goes with the old stream
	p.talk(x)
	r.legsUp(1)
	again := p.sibling(0xbeef)
	again.talk(y)
	soon(t, func() bool { return len(p.all()) > len(x)+len(y)+5*320 }) // its time has passed
	r.echoed(y[2*320:], p.all())                                       // it is blended into what was made up before
	require.Len(t, r.rang(), 1)
	legs, callers := r.counts()
	require.Equal(t, 1, legs)
	require.Zero(t, callers)
	ep, _ := r.endpoint()
	soon(t, func() bool { return ep.Stats().RTP.Restarts == 1 })
}

// TestRebinding: a stream that goes on from another port of its address, once it
// has been silent at the old one, stays the same leg and loses nothing. While
// the old one sends, it is another's.
func TestRebinding(t *testing.T) {
	t.Parallel()
	overPaths(t, func(t *testing.T, cfg Config) {
		t.Parallel()
		r := newRig(t, cfg)
		p := newL16(t, r.server.Addr()).record()
		x, y := noise(0.4, 1), noise(1.6, 2)
		p.talk(x)
		r.legsUp(1)
		q := p.moved("127.0.0.1:0").record()
		q.talk(y)
		soon(t, func() bool { return len(q.all()) > len(y)/2 })
		require.Len(t, r.rang(), 1)
		ep, _ := r.endpoint()
		all := int64(len(x)/320 + len(y)/320) // what came meanwhile was kept
		soon(t, func() bool { return ep.Stats().RTP.Received == all })
		r.counts()

		thief := q.moved("127.0.0.1:0").record()
		stop := q.keep(x)
		defer stop()
		thief.talk(noise(0.3, 3))
		r.legsUp(2)
		soon(t, func() bool { return len(r.rang()) == 2 })
		require.EqualValues(t, 1, ep.Stats().Connections)
	})
}

// TestNoHijack: another address never gets a stream, however silent it is.
func TestNoHijack(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Jitter: rtpmedia.JitterConfig{Min: 60 * time.Millisecond}})
	p := newL16(t, r.server.Addr()).record()
	p.talk(noise(0.3, 1))
	r.legsUp(1)
	ep, leg := r.endpoint()
	time.Sleep(600 * time.Millisecond)
	thief := p.moved("127.0.0.2:0").record()
	r.mute()
	thief.talk(noise(0.3, 2))
	thief.bye() // with its SSRC
	soon(t, func() bool { return len(r.rang()) == 2 })
	secret := noise(0.1, 4)
	_, err := leg.Source().TryWrite(secret)
	require.NoError(t, err)
	soon(t, func() bool { return find(p.all(), secret[:64]) >= 0 })
	require.Empty(t, thief.heard())
	require.True(t, ep.Stats().Connected)
	soon(t, func() bool { return ep.Stats().RTP.Received == 15 })
}
