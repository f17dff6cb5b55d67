package signal

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLikenWhatIsEqual(t *testing.T) {
	ref := slices.Concat(Speech(June)[:48000], Silence(8000), Speech(June)[48000:80000])
	l := Liken(ref, slices.Concat(Silence(777), Gain(ref, -6), Silence(5)))
	t.Log(l)
	require.Equal(t, 777, l.At)
	require.InDelta(t, 1, l.Score, 1e-3)
	require.Greater(t, l.Blocks, 20)
	require.Equal(t, 1.0, l.Share())
	require.Zero(t, l.Wander)
	require.Zero(t, l.Silence)
}

// Each of these costs some blocks and no more, where Correlate of the whole
// would find nothing behind the first change of the delay.
func TestLikenFollowsTheDelay(t *testing.T) {
	ref := Speech(Allison)[:96000]
	for _, c := range []struct {
		name            string
		got             []int16
		at, wander      int
		alike           float64
		silence, within int
	}{
		{"a pitch period less", slices.Concat(Silence(99), ref[:40000], ref[40120:]), 99, 120, 0.95, 0, 0},
		{"40 ms more, as in an underrun", slices.Concat(ref[:30000], Silence(640), ref[30000:]), 0, 640, 0.95, 640, 160},
		{"300 ms left out", slices.Concat(ref[:60000], ref[64800:]), 0, 4800, 0.88, 0, 0},
		{"a lost packet", slices.Concat(ref[:50000], Silence(320), ref[50320:]), 0, 0, 0.95, 320, 160},
		{"noise", add(ref, Noise(len(ref), 1, -40)), 0, 0, 0.9, 0, 0},
		{"the end cut off", ref[:80000], 0, 0, 0.8, 16000, 7000},
		{"the beginning cut off", ref[16000:], -16000, 0, 0.8, 16000, 7000},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := Liken(ref, c.got)
			t.Log(l)
			require.GreaterOrEqual(t, l.Share(), c.alike)
			require.InDelta(t, c.wander, l.Wander, 2)
			require.InDelta(t, c.silence, l.Silence, float64(c.within))
			if c.at < 0 {
				require.Equal(t, c.at, l.At)
			}
		})
	}
}

func TestLikenWhatIsForeign(t *testing.T) {
	ref := Speech(Allison)[:64000]
	for name, got := range map[string][]int16{
		"another": Speech(Carlo)[:64000], "silence": Silence(64000), "nothing": nil,
	} {
		l := Liken(ref, got)
		t.Log(name, l)
		require.Zero(t, l.Alike, name)
		require.Less(t, l.Score, 0.3, name)
	}
	l := Liken(ref, Silence(64000))
	require.Greater(t, l.Silence, 40000)
	require.Equal(t, Likeness{}, Liken(nil, ref))
	require.Zero(t, Liken(nil, ref).Share())
}
