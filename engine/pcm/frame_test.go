package pcm

import (
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The constants are one format seen from several sides; the test ties them
// together.
func TestFormat(t *testing.T) {
	require.EqualValues(t, time.Second, SampleRate*int64(Duration(1)), "a sample is whole nanoseconds")
	require.EqualValues(t, FrameDuration, Duration(FrameSamples))
	require.EqualValues(t, FrameSamples, Samples(FrameDuration))
	require.EqualValues(t, FrameBytes, unsafe.Sizeof(Frame{}.Samples))
	require.EqualValues(t, time.Second/100, SampleRate*TicksPerSample, "a tick is 100 ns")
	require.EqualValues(t, FrameDuration/100, TicksPerFrame)
}

// A frame's size is the unit of every ring and of every copy.
func TestFrameSize(t *testing.T) {
	require.EqualValues(t, 672, unsafe.Sizeof(Frame{}))
}

func TestSamples(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want int64
	}{
		{0, 0},
		{62_499, 0},
		{62_500, 1},
		{124_999, 1},
		{time.Millisecond, 16},
		{20 * time.Millisecond, 320},
		{time.Second, 16000},
		{24 * time.Hour, 24 * 3600 * 16000},
		{-62_499, 0},
		{-62_500, -1},
		{math.MaxInt64, math.MaxInt64 / 62_500},
		{math.MinInt64, math.MinInt64 / 62_500},
	} {
		require.Equal(t, tt.want, Samples(tt.d), "Samples(%d ns)", tt.d)
	}
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct{ samples, want int64 }{
		{0, 0},
		{1, 625},
		{320, 200_000},
		{16000, 10_000_000},
		{-320, -200_000},
		{365 * 24 * 3600 * 16000, 365 * 24 * 3600 * 10_000_000},
	} {
		require.Equal(t, tt.want, Ticks(tt.samples), "Ticks(%d)", tt.samples)
	}
}

// Over a hundred years of samples, no conversion loses one.
func TestConversionsAreExact(t *testing.T) {
	const years = 100 * 365 * 24 * 3600 * SampleRate
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(-years, years).Draw(t, "samples")
		require.Equal(t, n, Samples(Duration(n)))
		require.Equal(t, Duration(n).Nanoseconds(), 100*Ticks(n), "ticks and durations agree")
		f := Frame{Timestamp: Ticks(n)}
		require.Equal(t, n, f.Position())
	})
}

func TestPositionWithinSample(t *testing.T) {
	for _, tt := range []struct{ ticks, want int64 }{
		{0, 0}, {624, 0}, {625, 1}, {199_999, 319}, {200_000, 320},
	} {
		f := Frame{Timestamp: tt.ticks}
		require.Equal(t, tt.want, f.Position(), "%d ticks", tt.ticks)
	}
}

func TestFlags(t *testing.T) {
	all := []Flags{Silence, AfterGap, AfterDTX, Cut}
	var union Flags
	for _, f := range all {
		require.Zero(t, union&f, "flags are bits of their own")
		union |= f
		require.True(t, f.Has(f))
		require.True(t, f.Has(0))
		require.False(t, Flags(0).Has(f))
	}
	require.True(t, (AfterGap | Silence).Has(Silence))
	require.True(t, (AfterGap | Silence).Has(AfterGap|Silence))
	require.False(t, Silence.Has(AfterGap|Silence), "all of them, not any")
}

func TestNoAllocs(t *testing.T) {
	f := Frame{Timestamp: 12345}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		f.Timestamp = Ticks(Samples(Duration(f.Position() + 1)))
	}))
}
