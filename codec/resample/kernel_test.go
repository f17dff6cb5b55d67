package resample

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// portable makes r run in plain Go.
func portable(r *Resampler) *Resampler {
	r.kernel = kernel{}
	return r
}

func needVectors(t *testing.T) kernel {
	t.Helper()
	k := best()
	if k == (kernel{}) {
		t.Skip("there is nothing but Go for this processor, or the build is purego")
	}
	return k
}

// loud is noise, of which every other sample is as loud as can be.
func loud(rnd *rand.Rand, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = []int16{32767, -32768, int16(rnd.Uint32()), int16(rnd.Uint32())}[rnd.IntN(4)]
	}
	return pcm
}

// Each output is what the filter says, computed without haste: to half a step,
// and what float32 takes away.
func TestDefinition(t *testing.T) {
	each(t, func(t *testing.T, from, to int) {
		r := create(t, from, to)
		in := loud(rand.New(rand.NewPCG(1, 1)), from/10)
		got := make([]int16, r.Size(len(in)))
		r.Process(got, in)
		phases := coefficients(r)
		for n, s := range got {
			i, p := n*r.down/r.up, n*r.down%r.up
			var want float64
			for t, h := range phases[p] {
				if at := i - (r.taps - 1) + t; at >= 0 {
					want += h * float64(in[at])
				}
			}
			require.InDelta(t, max(-32768, min(32767, want)), s, 0.52, "output %d", n)
		}
	})
}

// coefficients of r, the oldest sample first: as they were designed, or as
// integers have them.
func coefficients(r *Resampler) [][]float64 {
	phases, _ := design(r.up, r.down, r.taps)
	out := make([][]float64, len(phases))
	for p := range phases {
		out[p] = make([]float64, r.taps)
		for t, h := range phases[p].h {
			out[p][t] = float64(h)
		}
	}
	if f := r.fixed; f != nil {
		clear(out[0])
		each := f.terms
		for _, s := range f.places() {
			for _, t := range each[:s.terms] {
				out[0][t.at] += math.Ldexp(float64(t.h[0]), -int(s.shift))
				out[0][t.at+1] += math.Ldexp(float64(t.h[1]), -int(s.shift))
			}
			each = each[s.terms:]
		}
	}
	return out
}

// places are the stages of f with the binary places of their coefficients in
// place of shifts.
func (f *fixed) places() (stages []stage) {
	left := int32(0)
	for _, s := range f.stages {
		left += s.shift
	}
	for _, s := range f.stages {
		stages = append(stages, stage{s.terms, left})
		left -= s.shift
	}
	return stages
}

func TestFoldedPhases(t *testing.T) {
	for _, c := range []struct{ from, to, folded int }{
		{8000, 16000, 0}, {16000, 8000, 0}, {48000, 16000, 1}, {24000, 16000, 2},
		{16000, 24000, 1}, {16000, 48000, 1}, {44100, 16000, 0},
	} {
		n := 0
		for _, p := range create(t, c.from, c.to).phases {
			if p.folded {
				n++
			}
		}
		require.Equal(t, c.folded, n, "%d to %d", c.from, c.to)
	}
}

// Streams cut at random come out of both kernels as the same bits.
func TestKernelsAgreeOnStreams(t *testing.T) {
	needVectors(t)
	each(t, func(t *testing.T, from, to int) {
		for seed := range uint64(8) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			fast, slow := create(t, from, to), portable(create(t, from, to))
			for range 30 {
				in := loud(rnd, rnd.IntN([]int{3, 20, 400, 3000}[seed%4]))
				want, got := make([]int16, slow.Size(len(in))), make([]int16, fast.Size(len(in)))
				require.Equal(t, slow.Process(want, in), fast.Process(got, in))
				require.Equal(t, want, got)
			}
			want, got := make([]int16, slow.Delay()), make([]int16, fast.Delay())
			require.Equal(t, slow.Flush(want), fast.Flush(got))
			require.Equal(t, want, got)
		}
	})
}

// Sums of any taps, at any offsets, of any number of vectors; and nothing is
// written behind them.
func TestKernelsAgreeOnSums(t *testing.T) {
	k, rnd := needVectors(t), rand.New(rand.NewPCG(3, 3))
	for range 3000 {
		n, taps := lanes*(1+rnd.IntN(30)), 1+rnd.IntN(120)
		x, h, off := make([]float32, n+1+rnd.IntN(300)), make([]float32, taps), make([]int32, taps+rnd.IntN(9))
		for i, s := range loud(rnd, len(x)) {
			x[i] = float32(s)
		}
		for i := range h {
			h[i] = []float32{0, 1, -0.5, float32(rnd.NormFloat64()), 1e-6 * rnd.Float32()}[rnd.IntN(5)]
		}
		for i := range off {
			off[i] = int32(rnd.IntN(len(x) - n + 1))
		}
		want, got := make([]int16, n+lanes), make([]int16, n+lanes)

		convolve(want[:n], x, h, off[:taps])
		k.convolve(got[:n], x, h, off[:taps])
		require.Equal(t, want, got, "convolve: %d outputs, %d taps", n, taps)

		fold(want[:n], x, h, off)
		k.fold(got[:n], x, h, off)
		require.Equal(t, want, got, "fold: %d outputs, %d taps", n, taps)

		whole := min(len(h), len(x)) &^ (lanes - 1)
		a, b := dot(h[:whole], x[:whole]), k.dot(h[:whole], x[:whole])
		if whole > 0 {
			require.Equal(t, math.Float32bits(a), math.Float32bits(b), "dot: %d taps", whole)
		}
	}
}

// What is dealt out and taken in, at any length.
func TestKernelsAgreeOnOrder(t *testing.T) {
	k, rnd := needVectors(t), rand.New(rand.NewPCG(4, 4))
	for n := 0; n < 4*columns; n += 1 + n/50 {
		for ways := 1; ways <= maxSplit; ways++ {
			src := loud(rnd, n)
			want, got := make([]float32, ways*(n+3)), make([]float32, ways*(n+3))
			split(want, n+3, src, ways)
			k.split(got, n+3, src, ways)
			require.Equal(t, want, got, "split of %d in %d", n, ways)

			if n <= ways*columns {
				slots, one, two := loud(rnd, ways*columns), make([]int16, n), make([]int16, n)
				weave(one, slots, ways)
				k.weave(two, slots, ways)
				require.Equal(t, one, two, "weave of %d from %d", n, ways)
			}
		}
	}
}

// Halves are rounded away from zero, and what is too loud stays at the rim.
func TestKernelsAgreeOnRounding(t *testing.T) {
	x := []float32{
		0, float32(math.Copysign(0, -1)), 0.5, -0.5, 0.49999997, -0.49999997, 1.5, -1.5, 2.5, -2.5,
		32766.498, 32766.5, 32767, 32767.5, 32768, 40000, 1e6, -32767.498, -32767.5, -32768, -32768.5, -1e6,
		12345.499, -12345.499, 8388607, -8388609, 1e-30, -1e-30, 16383.5, -16383.5, 3, -3,
	}
	want := make([]int16, len(x))
	for i, v := range x {
		want[i] = int16(max(-32768, min(32767, math.Round(float64(v)))))
	}
	want[4], want[5] = 1, -1 // float32 cannot hold the sum with a half
	for _, k := range []kernel{{}, best()} {
		got := make([]int16, len(x))
		k.convolve(got, x, []float32{1}, []int32{0})
		require.Equal(t, want, got, "%+v", k)
		for i := 0; i < len(x); i += lanes {
			k.fold(got[i:i+lanes], x[i:], []float32{0.5}, []int32{0})
		}
		require.Equal(t, want, got, "%+v", k)
	}
}
