package rtpleg

import (
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// Keys are sent once, in order, with three ends each, and in their time no
// audio is.
func TestPress(t *testing.T) {
	r := newRig(t, Config{})
	const keys = "0123456789*#ABCD"
	for _, k := range []byte(keys) {
		require.NoError(t, r.m.Press(k, 100*time.Millisecond))
	}
	var got []byte
	ends := map[uint32]int{}
	seen := 0
	for range 16 * 15 {
		require.True(t, (*outlet)(r.m).SendFrame(new(samples)))
		require.Equal(t, 1, r.step(nil))
		p := r.sent[len(r.sent)-1]
		if p.PayloadType != types.Event {
			continue
		}
		if p.Payload[1]&0x80 != 0 {
			ends[p.Timestamp]++
		}
		seen++
	}
	heard := r.in.Stats().Tones
	require.EqualValues(t, 16, heard.Presses)
	require.EqualValues(t, seen, heard.Packets)
	require.Len(t, ends, 16)
	for _, n := range ends {
		require.Equal(t, 3, n)
	}
	var last uint32
	for _, p := range r.sent {
		if p.PayloadType == types.Event && (len(got) == 0 || p.Timestamp != last) {
			got, last = append(got, keys[p.Payload[0]]), p.Timestamp
			require.True(t, p.Marker)
		}
	}
	require.Equal(t, keys, string(got))
}

// The peer's keys come to the app once each, with who pressed them.
func TestHearPresses(t *testing.T) {
	for _, tt := range []struct {
		channels engine.Channels
		raw      string
	}{{engine.Mixed, ""}, {engine.Unmixed, "sip:a"}} {
		var got []byte
		l := newLeg(t, engine.LegConfig{Channels: tt.channels, OnDTMF: func(key byte, speaker string) {
			require.Equal(t, tt.raw, speaker)
			got = append(got, key)
		}})
		r := newRig(t, Config{Leg: l, Speaker: "sip:a"})
		r.lose = func(n int) bool { return n%3 == 0 }
		for _, k := range []byte("12#33") {
			require.NoError(t, r.out.Press(k, 100*ms))
		}
		r.steps(numbered(150))
		require.Equal(t, "12#33", string(got))
		require.EqualValues(t, 5, l.Stats().DTMF)
		require.Equal(t, tt.raw, r.stats().RawID)
		require.Equal(t, tt.channels == engine.Unmixed, r.stats().Speaker == 1)
	}
}

// An unmixed leg hears the speaker that was configured, a mixed one the mix.
func TestSpeaker(t *testing.T) {
	for _, channels := range []engine.Channels{engine.Mixed, engine.Unmixed} {
		var announced []string
		l := newLeg(t, engine.LegConfig{Channels: channels, OnRender: func(r *engine.Render) { announced = append(announced, r.RawID()) }})
		r := newRig(t, Config{Leg: l, Speaker: "8:acs:x"})
		tap := l.Tap(64)
		r.steps(numbered(20))
		want, id := "", uint32(0)
		if channels == engine.Unmixed {
			want, id = "8:acs:x", 1
		}
		require.Equal(t, []string{want}, announced)
		var f pcm.Frame
		require.True(t, tap.TryRead(&f))
		require.Equal(t, id, f.Speaker)
	}
}

func TestPressIsRefused(t *testing.T) {
	r := newRig(t, Config{})
	require.ErrorContains(t, r.m.Press('E', time.Second), "is no key")
	require.ErrorContains(t, r.m.Press(0, time.Second), "is no key")
	require.ErrorContains(t, r.m.Press('1', 2*time.Hour), "at most an hour")
	for range 32 {
		require.NoError(t, r.m.Press('1', 0))
	}
	require.ErrorContains(t, r.m.Press('2', 0), "32 are waiting")
	r.idle(1)
	require.ErrorContains(t, r.m.Press('2', 0), "32 are waiting", "the first is not at its end")
	r.idle(10)
	require.NoError(t, r.m.Press('2', 0))
	r.idle(33 * 8)
	require.EqualValues(t, 33, r.in.Stats().Tones.Presses)
	require.False(t, r.m.pressed.Load(), "turns take no lock any more")
	r.m.Close()
	require.ErrorIs(t, r.m.Press('1', time.Second), ErrClosed)

	r = newRig(t, Config{Receive: types, Send: Types{Audio: 96}})
	require.ErrorContains(t, r.m.Press('1', time.Second), "takes no telephone events")
}

// Many press at once, and look at the counters, while the turns go on; a handler
// on the beat's goroutine may too.
func TestPressFromManyGoroutines(t *testing.T) {
	r := newRig(t, Config{})
	sum := 0
	r.leg.OnRender(func(x *engine.Render) {
		x.Handle(func(f *pcm.Frame) {
			if f.Seq%50 == 0 && r.m.Press('9', 0) == nil {
				sum++
			}
		})
	})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	accepted := make([]int, 4)
	for i := range accepted {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if r.m.Press(byte('0'+i), 0) == nil {
					accepted[i]++
				}
				_ = r.m.Stats()
				_ = r.leg.Stats()
			}
		})
	}
	x := numbered(1000)
	r.steps(x)
	close(stop)
	wg.Wait()
	r.idle(33 * 9)
	for _, n := range accepted {
		sum += n
	}
	require.EqualValues(t, sum, r.in.Stats().Tones.Presses)
	require.Positive(t, sum)
	r.m.Close()
	require.EqualValues(t, 4*sum, r.m.Stats().Out.Events, "two of the key, the second of which is its end, and two ends more")
}
