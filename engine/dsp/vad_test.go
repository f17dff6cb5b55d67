package dsp

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine/pcm"
)

const second = pcm.SampleRate

// amplitude converts dBFS.
func amplitude(db float64) float64 { return 32768 * math.Pow(10, db/20) }

// noise adds white noise of an RMS level in dBFS to s.
func noise(s []int16, db float64) []int16 {
	r := rand.New(rand.NewPCG(1, uint64(len(s))))
	for i := range s {
		s[i] = clamp(float64(s[i]) + amplitude(db)*r.NormFloat64())
	}
	return s
}

// hum adds mains hum of 50 Hz and its third harmonic.
func hum(s []int16, db float64) []int16 {
	for i := range s {
		w := 2 * math.Pi * 50 * float64(i) / second
		s[i] = clamp(float64(s[i]) + amplitude(db)*(math.Sin(w)+0.5*math.Sin(3*w)))
	}
	return s
}

// speak adds something like speech: harmonics of a voice that glides, in
// syllables of 250 ms that rise, fall and end in a stop.
func speak(s []int16, db float64) []int16 {
	phase := 0.0
	for i := range s {
		at := float64(i) / second
		phase += 2 * math.Pi * (120 + 25*math.Sin(2*math.Pi*0.7*at)) / second
		syllable := math.Mod(at, 0.25) / 0.2
		if syllable > 1 {
			continue
		}
		v := 0.0
		for h := 1; h <= 12; h++ {
			v += math.Sin(float64(h)*phase) / float64(h)
		}
		s[i] = clamp(float64(s[i]) + amplitude(db)*v*math.Sin(math.Pi*syllable))
	}
	return s
}

func clamp(v float64) int16 { return int16(math.Round(min(max(v, -32768), 32767))) }

// voiced feeds s to v and returns its answer for each frame.
func voiced(v *VAD, s []int16) (got []bool) {
	for len(s) >= pcm.FrameSamples {
		got = append(got, v.Voice((*[pcm.FrameSamples]int16)(s)))
		s = s[pcm.FrameSamples:]
	}
	return got
}

func count(got []bool) (n int) {
	for _, g := range got {
		if g {
			n++
		}
	}
	return n
}

func TestVADIgnoresBackground(t *testing.T) {
	for _, tt := range []struct {
		name   string
		in     []int16
		settle int // frames that may count as speech
	}{
		{"zeros", make([]int16, 5*second), 0},
		{"faint noise", noise(make([]int16, 5*second), -65), 0},
		{"noise", noise(make([]int16, 5*second), -50), 65},
		{"loud noise", noise(make([]int16, 5*second), -25), 65},
		{"hum", hum(make([]int16, 5*second), -35), 65},
		{"a steady tone", sine(5*second, 8000, 440), 65},
		{"noise begins", append(make([]int16, second), noise(make([]int16, 4*second), -30)...), 50 + 90},
		{"noise grows", append(noise(make([]int16, second), -65), noise(make([]int16, 4*second), -30)...), 50 + 90},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v VAD
			require.Zero(t, count(voiced(&v, tt.in)[tt.settle:]))
		})
	}
}

func TestVADHearsSpeech(t *testing.T) {
	for _, tt := range []struct {
		name          string
		speech, noise float64 // dBFS
		settle        int     // seconds of noise before
	}{
		{"no noise", -20, -96, 0},
		{"soft, no noise", -40, -96, 0},
		{"noise", -20, -50, 2},
		{"speech begins at once", -20, -65, 0},
		{"loud noise", -12, -32, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			speech := speak(make([]int16, 6*second), tt.speech)
			all := append(make([]int16, tt.settle*second), speech...)
			all = noise(append(all, make([]int16, 2*second)...), tt.noise)

			var v VAD
			got := voiced(&v, all)
			start, end := tt.settle*50, (tt.settle+6)*50
			require.GreaterOrEqual(t, count(got[start:end]), 6*50-6, "speech, pauses between syllables included")
			require.True(t, got[start+5], "from its first syllable on")
			require.Zero(t, count(got[end+20:]), "silence after it")
			if tt.settle > 0 {
				require.Zero(t, count(got[start-20:start]), "noise before it")
				require.InDelta(t, tt.noise, v.Noise(), 3)
			}
		})
	}
}

func TestVADAttackAndHangover(t *testing.T) {
	loud := (*[pcm.FrameSamples]int16)(sine(320, 8000, 400))
	quiet := new([pcm.FrameSamples]int16)

	var v VAD
	for range 10 {
		require.False(t, v.Voice(quiet))
	}
	require.False(t, v.Voice(loud), "a click")
	require.False(t, v.Voice(quiet))
	require.False(t, v.Voice(loud))
	require.True(t, v.Voice(loud), "40 ms are no click")
	for i := range vadHangover {
		require.True(t, v.Voice(quiet), "hangover, frame %d", i)
	}
	require.False(t, v.Voice(quiet))

	require.False(t, v.Voice(loud))
	require.True(t, v.Voice(loud))
	require.True(t, v.Voice(quiet))
	require.True(t, v.Voice(loud), "within the hangover one loud frame goes on")
	for range vadHangover {
		require.True(t, v.Voice(quiet))
	}
	require.False(t, v.Voice(quiet))

	v.Voice(loud)
	v.Voice(loud)
	v.Reset()
	require.Equal(t, VAD{}, v)
	require.False(t, v.Voice(quiet))
}
