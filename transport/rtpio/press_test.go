package rtpio

import (
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// TestKeysOut: a key that is pressed here is one event at the phone, in place of
// audio, that grows and ends three times; those behind it wait.
func TestKeysOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	p := newL16(t, r.server.Addr()).record()
	stop := p.keep(noise(1, 1))
	defer stop()
	ep, _ := r.endpoint()
	for _, key := range []byte("5#") {
		require.NoError(t, r.server.Press(ep.URL(), key, 100*time.Millisecond))
	}
	require.Error(t, r.server.Press(ep.URL(), 'x', time.Second))
	require.ErrorIs(t, r.server.Press("rtp:nowhere", '1', 0), ErrUnknown)
	var tones rtpmedia.Tones
	soon(t, func() bool { return len(p.packets(usualEvent)) == 2*(5+2) })
	var keys []byte
	ends := map[uint32]int{}
	for _, pkt := range p.packets(usualEvent) {
		if key, pressed := tones.Take(&pkt); pressed {
			keys = append(keys, key)
			require.True(t, pkt.Marker)
		}
		if pkt.Payload[1]&0x80 != 0 {
			ends[pkt.Timestamp]++
			require.Equal(t, []byte{0x06, 0x40}, pkt.Payload[2:], "1600 ticks of 16 kHz")
		}
	}
	require.Equal(t, "5#", string(keys))
	require.Len(t, ends, 2)
	for _, n := range ends {
		require.Equal(t, 3, n)
	}
	// Audio and keys are one stream.
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, pkt := range p.media {
		require.Equal(t, p.media[0].Seq+uint16(i), pkt.Seq)
		require.Equal(t, p.media[0].SSRC, pkt.SSRC)
	}
}

// TestKeysIn: a phone's key is told once, though its packets are repeated, some
// are lost, and one is late.
func TestKeysIn(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	keys := make(chan byte, 100)
	r.with(engine.LegConfig{OnDTMF: func(key byte, _ string) { keys <- key }})
	p := newL16(t, r.server.Addr())
	p.talk(noise(0.3, 1))
	ep, leg := r.endpoint()
	press := func(event byte, lost ...int) {
		begin := p.ts
		var late []byte
		for i := range 8 {
			end, ticks := byte(0), 320*min(i+1, 6)
			if i >= 5 {
				end = 0x80
			}
			pkt := rtpmedia.Packet{
				PayloadType: usualEvent, SSRC: p.ssrc, Seq: p.seq, Timestamp: begin, Marker: i == 0,
				Payload: []byte{event, end | 10, byte(ticks >> 8), byte(ticks)},
			}
			p.seq++
			p.ts += 320
			b := pkt.Append(nil)
			if i == 2 {
				late = b
				continue
			}
			gone := false
			for _, k := range lost {
				gone = gone || k == i
			}
			if !gone {
				p.write(b)
				p.write(b) // twice
			}
			time.Sleep(5 * time.Millisecond)
		}
		p.write(late)
		p.talk(noise(0.1, 2))
	}
	press(7)
	press(11, 0, 1, 5, 6) // '#', of which the beginning is lost
	press(7, 0, 1, 3, 4, 5, 6)
	soon(t, func() bool { return leg.Stats().DTMF == 3 })
	require.Equal(t, "7#7", string([]byte{<-keys, <-keys, <-keys}))
	time.Sleep(50 * time.Millisecond)
	require.Empty(t, keys)
	soon(t, func() bool { return ep.Stats().RTP.Keys == 3 })
}

// TestKeysAcross: from one server of ours to another, by SDP.
func TestKeysAcross(t *testing.T) {
	t.Parallel()
	overPaths(t, func(t *testing.T, cfg Config) {
		t.Parallel()
		r := newRig(t, cfg)
		keys := make(chan byte, 100)
		r.with(engine.LegConfig{OnDTMF: func(key byte, _ string) { keys <- key }})
		a, b := newSilent(t, r), newSilent(t, r)
		offer, err := r.server.Offer(a)
		require.NoError(t, err)
		answer, err := r.server.Answer(b, offer)
		require.NoError(t, err)
		require.NoError(t, r.server.Accept(a, answer))
		for _, key := range []byte("0123456789*#ABCD") {
			require.NoError(t, r.server.Press(a, key, 40*time.Millisecond))
		}
		for _, key := range []byte("0123456789*#ABCD") {
			select {
			case got := <-keys:
				require.Equal(t, string(key), string(got))
			case <-time.After(wait):
				require.Fail(t, "no key")
			}
		}
		require.Empty(t, keys)
	})
}

// newSilent returns the address of a leg.
func newSilent(t *testing.T, r *rig) string {
	t.Helper()
	_, ep := r.open()
	return ep.URL()
}
