package signal

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCorrelate(t *testing.T) {
	s := Speech(Allison)
	require.InDelta(t, 1, Correlate(s, s), 1e-9)
	require.InDelta(t, 1, Correlate(s, Gain(s, -12)), 1e-3)
	inverse := make([]int16, len(s))
	for i := range s {
		inverse[i] = -s[i]
	}
	require.InDelta(t, -1, Correlate(s, inverse), 1e-9)
	require.InDelta(t, 0, Correlate(s, Speech(June)), 0.1)
	require.Zero(t, Correlate(s, Silence(320)))
	require.Zero(t, Correlate(nil, nil))
}

func TestAlignToTheSample(t *testing.T) {
	ref := Speech(June)[16000:48000]
	for _, c := range []struct {
		name string
		got  []int16
		want int
		min  float64
	}{
		{"in place", ref, 0, 1 - 1e-6},
		{"one late", slices.Concat(Silence(1), ref), 1, 1 - 1e-6},
		{"late", slices.Concat(Silence(12345), ref, Silence(5000)), 12345, 1 - 1e-6},
		{"begins in its middle", ref[4321:], -4321, 0.9},
		{"begins in its middle, then more", slices.Concat(ref[4321:], Speech(Carlo)[:9000]), -4321, 0.8},
		{"a piece of it", ref[20000:21600], -20000, 1 - 1e-6},
		{"among louder speech of others", slices.Concat(Gain(Speech(Carlo)[:32000], 6), Gain(ref, -20), Gain(Speech(Allison)[:32000], 6)), 32000, 0.99},
		{"twice", slices.Concat(Silence(77), ref, ref), 77, 1 - 1e-6},
		{"a frame lost in its second half", slices.Concat(Silence(640), ref[:20000], ref[20320:]), 640, 0.5},
		{"under noise", add(slices.Concat(Silence(999), ref), Noise(32999, 3, -30)), 999, 0.9},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, score := Align(ref, c.got)
			require.Equal(t, c.want, at, "score %v", score)
			require.Greater(t, score, c.min)
			require.LessOrEqual(t, score, 1.0)
		})
	}
}

// Equals differ by rounding only, and that must not decide.
func TestAlignFindsFirstRound(t *testing.T) {
	ref := Speech(Carlo)[:4000]
	for before := 1; before < 3000; before += 333 {
		at, _ := Align(ref, slices.Concat(Silence(before), ref, ref, ref, ref))
		require.Equal(t, before, at)
	}
}

func TestAlignOfOthersScoresLow(t *testing.T) {
	for _, a := range Voices() {
		for _, b := range Voices() {
			if a != b {
				_, score := Align(Speech(a)[:32000], Speech(b)[:64000])
				require.Less(t, score, 0.4, "%v in %v", a, b)
			}
		}
	}
}

func TestAlignNothing(t *testing.T) {
	s := Speech(June)[:3200]
	for _, c := range [][2][]int16{{nil, nil}, {s, nil}, {nil, s}, {s, Silence(4000)}, {Silence(4000), s}} {
		at, score := Align(c[0], c[1])
		require.Zero(t, at)
		require.Zero(t, score)
	}
}

func TestAlignNoiseAndChirp(t *testing.T) {
	for name, s := range map[string][]int16{"noise": Noise(3200, 1, -20), "chirp": Chirp(3200, 300, 3000)} {
		at, score := Align(s, slices.Concat(Silence(313), s, Silence(100)))
		require.Equal(t, 313, at, name)
		require.InDelta(t, 1, score, 1e-6, name)
	}
}

func add(a, b []int16) []int16 {
	sum := make([]int16, min(len(a), len(b)))
	for i := range sum {
		sum[i] = a[i] + b[i]
	}
	return sum
}

func BenchmarkAlign10s(b *testing.B) {
	ref, got := Speech(June), slices.Concat(Silence(777), Speech(June))
	b.ReportAllocs()
	for b.Loop() {
		Align(ref, got)
	}
}
