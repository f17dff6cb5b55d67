package dsp

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine/pcm"
)

func constant(n int, v int16) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = v
	}
	return s
}

func sine(n int, amplitude, hz float64) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hz*float64(i)/pcm.SampleRate)))
	}
	return s
}

func TestMeasure(t *testing.T) {
	spike := make([]int16, 320)
	spike[17] = -32768
	square := constant(320, 16384)
	for i := range square[:160] {
		square[2*i] = -16384
	}
	for _, tt := range []struct {
		name      string
		in        []int16
		rms, peak float64
	}{
		{"nothing", nil, Floor, Floor},
		{"zeros", constant(320, 0), Floor, Floor},
		{"one step", constant(320, 1), -90.31, -90.31},
		{"one step in one sample", append(constant(319, 0), -1), Floor, -90.31},
		{"full scale down", constant(320, -32768), 0, 0},
		{"full scale up", constant(320, 32767), -0.0003, -0.0003},
		{"square", square, -6.02, -6.02},
		{"sine", sine(320, 32767, 1000), -3.01, 0},
		{"spike", spike, -25.05, 0},
		{"long", constant(1<<20, -32768), 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Measure(tt.in)
			require.InDelta(t, tt.rms, got.RMS, 0.01)
			require.InDelta(t, tt.peak, got.Peak, 0.01)
		})
	}
}

func TestIsSilent(t *testing.T) {
	require.True(t, IsSilent(nil))
	for _, tt := range []struct {
		v    int16
		want bool
	}{{0, true}, {8, true}, {-8, true}, {9, false}, {-9, false}, {32767, false}, {-32768, false}} {
		for _, at := range []int{0, 160, 319} {
			s := make([]int16, 320)
			s[at] = tt.v
			require.Equal(t, tt.want, IsSilent(s), "%d at %d", tt.v, at)
		}
	}
}

func TestNoAllocs(t *testing.T) {
	s := (*[pcm.FrameSamples]int16)(sine(320, 9000, 440))
	var v VAD
	require.Zero(t, testing.AllocsPerRun(100, func() {
		Measure(s[:])
		IsSilent(s[:])
		v.Voice(s)
		v.Noise()
		v.Reset()
	}))
}

func BenchmarkMeasure(b *testing.B) {
	b.ReportAllocs()
	s := sine(320, 9000, 440)
	for b.Loop() {
		Measure(s)
	}
}

func BenchmarkIsSilent(b *testing.B) { // the worst case: all of it is
	b.ReportAllocs()
	s := make([]int16, 320)
	for b.Loop() {
		IsSilent(s)
	}
}

func BenchmarkVAD(b *testing.B) {
	b.ReportAllocs()
	s := (*[pcm.FrameSamples]int16)(sine(320, 9000, 440))
	var v VAD
	for b.Loop() {
		v.Voice(s)
	}
}
