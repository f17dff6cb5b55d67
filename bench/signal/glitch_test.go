package signal

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGaps(t *testing.T) {
	s := Speech(Allison)
	require.Empty(t, Gaps(s, 32), "speech has no gaps of its own")
	require.Empty(t, Gaps(slices.Concat(Silence(9000), s, Silence(9000)), 32), "silence around it")
	require.Empty(t, Gaps(Silence(5000), 0))
	require.Empty(t, Gaps(nil, 0))

	holed := slices.Clone(s)
	clear(holed[32000:32320])
	clear(holed[64000:64640])
	got := Gaps(holed, 100)
	require.Len(t, got, 2)
	for i, want := range []Run{{32000, 320}, {64000, 640}} { // zeros next to them join
		require.InDelta(t, want.At, got[i].At, 4)
		require.InDelta(t, want.Len, got[i].Len, 8)
	}

	require.Equal(t, []Run{{At: 1, Len: 3}}, Gaps([]int16{1, 0, 0, 0, 1, 0, 0, 1}, 2), "longer than, not as long as")
}

func TestNoClicksInSound(t *testing.T) {
	for _, v := range Voices() {
		require.Empty(t, Clicks(Speech(v)), v.String())
		require.Empty(t, Clicks(slices.Concat(Speech(v), Speech(v))), "%v in a loop", v)
	}
	require.Empty(t, Clicks(Noise(16000, 1, -10)))
	require.Empty(t, Clicks(Chirp(16000, 50, 7900)))
	require.Empty(t, Clicks(Sine(16000, 1000, 0)))
	require.Empty(t, Clicks(Silence(16000)))
	require.Empty(t, Clicks([]int16{1, 30000}))
}

func TestClicksInTone(t *testing.T) {
	tone := Sine(16000, 300, -10)
	for name, got := range map[string][]int16{
		"impulse":       cut(tone, 8000, 8001, 20000),
		"missing frame": cut(tone, 8000, 8000+frame-20), // not whole periods
		"dropped to 0":  cut(tone, 8010, 8010+frame, Silence(frame)...),
	} {
		clicks := Clicks(got)
		require.NotEmpty(t, clicks, name)
		require.InDelta(t, 8005, clicks[0].At, 6, name)
		require.Greater(t, clicks[0].Ratio, float64(clickRatio), name)
	}
}

// A loud impulse can hide in a louder sound, but seldom does; in a pause it
// never does.
func TestClicksInSpeech(t *testing.T) {
	for _, v := range Voices() {
		s := Speech(v)
		found, tried := 0, 0
		for p := 1000; p < len(s); p += 1600 {
			spoilt := cut(s, p, p+1, s[p]^0x4000)[p-1000 : min(p+1000, len(s))]
			tried++
			if slices.ContainsFunc(Clicks(spoilt), func(c Click) bool { return c.At == 1000 }) {
				found++
			} else {
				require.Greater(t, Level(s[p-frame:p+frame]), -40.0, "%v: missed in a pause at %d", v, p)
			}
		}
		require.Greater(t, float64(found)/float64(tried), 0.7, "%v", v)
	}
}

func BenchmarkClicks10s(b *testing.B) {
	s := Speech(June)
	b.ReportAllocs()
	for b.Loop() {
		Clicks(s)
	}
}
