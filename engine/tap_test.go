package engine

import (
	"testing"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// TestLazyTapBringsTheSame as a tap with memory of its own: what is decoded in
// place, what is appended, what is placed by the playout model, and the end.
func TestLazyTapBringsTheSame(t *testing.T) {
	l, _ := sourceLeg(t, LegConfig{})
	in, out := [2]*Tap{l.Tap(16), l.LazyTap(16)}, [2]*Tap{l.Source().Tap(16), l.Source().LazyTap(16)}
	small := l.LazyTap(2) // is full now and then, and hurts nobody
	r, err := l.port.Render(nil, 1)
	require.NoError(t, err)
	same := func(taps [2]*Tap, want int) {
		require.Equal(t, want, taps[0].Len())
		for range want {
			var f, g pcm.Frame
			require.True(t, taps[0].TryRead(&f))
			require.True(t, taps[1].TryRead(&g))
			require.Equal(t, f, g)
		}
		require.False(t, taps[1].TryRead(new(pcm.Frame)))
	}
	for i := range int64(40) {
		c := Chunk{Timestamp: i * 20e6, HasTimestamp: true, Arrival: i*20e6 + 1}
		if i%3 == 0 {
			copy(r.Slot().Samples[:], ramp(320, i*320))
			r.Commit(c)
		} else {
			r.Append(ramp(320, i*320), c)
		}
		if i%7 == 6 {
			same(in, 7)
		}
		if i%20 == 19 {
			small.SkipTo(0)
		}
	}
	same(in, 40%7)
	require.NotZero(t, small.Dropped())
	for i := range 10 {
		_, err := l.Source().TryWrite(ramp(320, int64(i)*320))
		require.NoError(t, err)
	}
	same(out, 10)
	l.Source().Flush()
	same(out, 1)
	l.Close()
	l.port.Detach(Now())
	require.True(t, in[1].Closed() && out[1].Closed())
}
