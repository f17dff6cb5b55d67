package signal

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLevels(t *testing.T) {
	for _, db := range []float64{0, -6, -20, -60} {
		require.InDelta(t, db, Level(Sine(16000, 1000, db)), 0.05, "sine at %v", db)
	}
	require.InDelta(t, -20, Level(Noise(160000, 1, -20)), 0.05)
	require.InDelta(t, -6, Level(Chirp(160000, 100, 7000)), 0.05)
	require.True(t, math.IsInf(Level(Silence(320)), -1))
	require.True(t, math.IsInf(Level(nil), -1))
}

func TestSineFrequency(t *testing.T) {
	pcm := Sine(SampleRate, 440, -3)
	rising := 0
	for i := 1; i < len(pcm); i++ {
		if pcm[i-1] < 0 && pcm[i] >= 0 {
			rising++
		}
	}
	require.InDelta(t, 440, rising, 1)
	require.Zero(t, pcm[0])
}

func TestChirpGlides(t *testing.T) {
	pcm := Chirp(SampleRate, 100, 3000)
	crossings := func(pcm []int16) (n int) {
		for i := 1; i < len(pcm); i++ {
			if (pcm[i-1] < 0) != (pcm[i] < 0) {
				n++
			}
		}
		return n
	}
	require.InDelta(t, 2*100*0.1, crossings(pcm[:1600]), 2*29+2)
	require.InDelta(t, 2*(3000-145)*0.1, crossings(pcm[14400:]), 3, "mean frequency of the last 100 ms")
}

func TestNoiseIsSeeded(t *testing.T) {
	require.Equal(t, Noise(320, 7, -20), Noise(320, 7, -20))
	require.NotEqual(t, Noise(320, 7, -20), Noise(320, 8, -20))
	require.InDelta(t, 0, Correlate(Noise(160000, 7, -20), Noise(160000, 8, -20)), 0.02)
}

func TestRampWraps(t *testing.T) {
	require.Equal(t, []int16{32766, 32767, -32768, -32767}, Ramp(4, 32766))
}

func TestGain(t *testing.T) {
	in := []int16{100, -100, 20000, -20000}
	require.Equal(t, []int16{200, -200, 32767, -32768}, Gain(in, 6.0206))
	require.Equal(t, []int16{10, -10, 2000, -2000}, Gain(in, -20))
	require.Equal(t, []int16{100, -100, 20000, -20000}, in)
}
