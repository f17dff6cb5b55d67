package dsp_test

import (
	"math"
	"testing"

	"github.com/mixminus/mixminus/engine/dsp"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// talk is 20 ms of a tone that comes and goes as syllables do.
func talk(frame int, amplitude float64) *[pcm.FrameSamples]int16 {
	var f [pcm.FrameSamples]int16
	if amplitude > 0 && frame%10 < 8 {
		for i := range f {
			f[i] = int16(amplitude * math.Sin(2*math.Pi*440*float64(frame*pcm.FrameSamples+i)/pcm.SampleRate))
		}
	}
	return &f
}

// scene lets two speak with amplitudes for a number of frames, and returns who
// dominated at its end.
type scene struct {
	d     dsp.Dominance
	frame int
	got   int
}

func (s *scene) play(frames int, a, b float64) int {
	for range frames {
		end := int64(s.frame+1) * pcm.FrameSamples
		s.got = s.d.Hear(0, talk(s.frame, a), end)
		s.got = s.d.Hear(1, talk(s.frame, b), end)
		s.frame++
	}
	return s.got
}

func TestDominance(t *testing.T) {
	var s scene
	require.Equal(t, dsp.Nobody, s.play(50, 0, 0))
	require.Equal(t, 0, s.play(50, 4000, 0), "who begins dominates")
	require.Equal(t, 0, s.play(20, 4000, 16000), "an interjection changes nothing")
	require.Equal(t, 0, s.play(50, 4000, 4000), "nor does somebody as loud")
	require.Equal(t, 1, s.play(80, 2000, 16000), "who is louder for long takes over")
	require.Equal(t, 0, s.play(60, 4000, 0), "and loses it by pausing")
	require.Equal(t, 0, s.play(50, 0, 0), "a pause is not the end")
	require.Equal(t, dsp.Nobody, s.play(100, 0, 0), "two seconds are")
}

// TestDominanceOfStreamsThatEnd: whose silence is not sent is not heard to stop.
func TestDominanceOfStreamsThatEnd(t *testing.T) {
	var d dsp.Dominance
	for i := range 50 {
		require.Contains(t, []int{dsp.Nobody, 0}, d.Hear(0, talk(i, 4000), int64(i+1)*pcm.FrameSamples))
	}
	got := dsp.Nobody
	for i := 50; i < 100; i++ {
		got = d.Hear(1, talk(i, 1000), int64(i+1)*pcm.FrameSamples)
	}
	require.Equal(t, 1, got)
}

func TestDominanceAllocatesNothing(t *testing.T) {
	var d dsp.Dominance
	f := talk(0, 4000)
	d.Hear(3, f, pcm.FrameSamples)
	end := int64(pcm.FrameSamples)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		end += pcm.FrameSamples
		d.Hear(2, f, end)
	}))
}
