package g722

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func tone(n int, hz float64) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/16000))
	}
	return pcm
}

// delay of the two quadrature mirror filters together, in samples.
const delay = 22

func TestRoundTripKeepsTone(t *testing.T) {
	for _, hz := range []float64{300, 1000, 3000, 6000} {
		in := tone(16000, hz)
		code := make([]byte, len(in)/2)
		require.Equal(t, len(code), NewEncoder().Encode(code, in))
		out := make([]int16, len(in))
		require.Equal(t, len(out), NewDecoder().Decode(out, code))

		var signal, noise float64
		for i := 1600; i < len(out)-delay; i++ { // after the step size has adapted
			s, e := float64(in[i]), float64(out[i+delay])-float64(in[i])
			signal, noise = signal+s*s, noise+e*e
		}
		snr := 10 * math.Log10(signal/noise)
		require.Greater(t, snr, 15.0, "%v Hz", hz)
	}
}

func TestChunksMakeNoDifference(t *testing.T) {
	in := tone(3200, 440)
	whole := make([]byte, 1600)
	NewEncoder().Encode(whole, in)

	e, chunked := NewEncoder(), make([]byte, 0, 1600)
	var buf [160]byte
	for i, size := 0, 2; i < len(in); i, size = i+size, size%318+2 {
		end := min(i+size, len(in))
		chunked = append(chunked, buf[:e.Encode(buf[:], in[i:end])]...)
	}
	require.Equal(t, whole, chunked)

	wholePCM := make([]int16, 3200)
	NewDecoder().Decode(wholePCM, whole)
	d, pcm := NewDecoder(), make([]int16, 3200)
	n := 0
	for i, size := 0, 1; i < len(whole); i, size = i+size, size%159+1 {
		n += d.Decode(pcm[n:], whole[i:min(i+size, len(whole))])
	}
	require.Equal(t, wholePCM, pcm[:n])
}

func TestLengthsThatDoNotFit(t *testing.T) {
	require.Equal(t, 0, NewDecoder().Decode(nil, []byte{1}))
	require.Equal(t, 0, NewDecoder().Decode(make([]int16, 1), []byte{1}))
	require.Equal(t, 2, NewDecoder().Decode(make([]int16, 3), []byte{1, 2, 3}))
	require.Equal(t, 0, NewEncoder().Encode(nil, []int16{1, 2}))
	require.Equal(t, 0, NewEncoder().Encode(make([]byte, 1), []int16{1}))
	require.Equal(t, 1, NewEncoder().Encode(make([]byte, 9), []int16{1, 2, 3}))
}

func TestAnyBytesDecode(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	d, code, pcm := NewDecoder(), make([]byte, 160), make([]int16, 320)
	for range 200 {
		for i := range code {
			code[i] = byte(r.Uint32())
		}
		require.Equal(t, 320, d.Decode(pcm, code))
	}
}

func TestNoAllocation(t *testing.T) {
	d, e := NewDecoder(), NewEncoder()
	code, pcm := make([]byte, 160), make([]int16, 320)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		e.Encode(code, pcm)
		d.Decode(pcm, code)
	}))
}

func BenchmarkDecodeFrame(b *testing.B) {
	d, code, pcm := NewDecoder(), make([]byte, 160), make([]int16, 320)
	b.ReportAllocs()
	for b.Loop() {
		d.Decode(pcm, code)
	}
}

func BenchmarkEncodeFrame(b *testing.B) {
	e, code, pcm := NewEncoder(), make([]byte, 160), tone(320, 440)
	b.ReportAllocs()
	for b.Loop() {
		e.Encode(code, pcm)
	}
}
