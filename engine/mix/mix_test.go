package mix

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine/pcm"
)

// naive is the sum of all inputs but the one numbered without (-1: of all),
// clamped.
func naive(ins []Samples, without int) (out Samples) {
	for i := range out {
		var sum int64
		for j := range ins {
			if j != without {
				sum += int64(ins[j][i])
			}
		}
		out[i] = int16(min(max(sum, math.MinInt16), math.MaxInt16))
	}
	return out
}

func TestClamp(t *testing.T) {
	for _, tt := range []struct {
		in   int32
		want int16
	}{
		{0, 0}, {1, 1}, {-1, -1},
		{32767, 32767}, {32768, 32767}, {math.MaxInt32, 32767},
		{-32768, -32768}, {-32769, -32768}, {math.MinInt32, -32768},
	} {
		require.Equal(t, tt.want, Clamp(tt.in), "Clamp(%d)", tt.in)
	}
}

// sources fill a frame in ways that find faults: carries, borrows, the edges
// of clamping on either side, and every lane different.
var sources = map[string]func(*rand.Rand) int16{
	"noise":   func(r *rand.Rand) int16 { return int16(r.Uint32()) },
	"quiet":   func(r *rand.Rand) int16 { return int16(r.IntN(2001) - 1000) },
	"max":     func(*rand.Rand) int16 { return math.MaxInt16 },
	"min":     func(*rand.Rand) int16 { return math.MinInt16 },
	"extreme": func(r *rand.Rand) int16 { return int16(math.MinInt16 + r.IntN(2)*math.MaxUint16) },
	"edges": func(r *rand.Rand) int16 {
		return [...]int16{math.MinInt16, math.MinInt16 + 1, -1, 0, 1, math.MaxInt16 - 1, math.MaxInt16}[r.IntN(7)]
	},
}

func inputs(r *rand.Rand, n int, source func(*rand.Rand) int16) []Samples {
	ins := make([]Samples, n)
	for i := range ins {
		for j := range ins[i] {
			ins[i][j] = source(r)
		}
	}
	return ins
}

func TestAgainstNaive(t *testing.T) {
	for name, source := range sources {
		for _, n := range []int{0, 1, 2, 3, 16, 64, 1000} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				seed := rand.Uint64()
				ins := inputs(rand.New(rand.NewPCG(seed, 0)), n, source)
				var s Sum
				for i := range ins {
					s.Add(&ins[i])
				}
				require.Equal(t, n, s.Inputs())
				var got Samples
				s.Mix(&got)
				require.Equal(t, naive(ins, -1), got, "seed %d", seed)
				for i := range ins[:min(n, 16)] {
					s.MixMinus(&got, &ins[i])
					require.Equal(t, naive(ins, i), got, "seed %d, without %d", seed, i)
				}
			})
		}
	}
}

// TestEverySum goes through all values that the sum of three inputs can take
// near and far, at every place of the word.
func TestEverySum(t *testing.T) {
	var a, b, c, got Samples
	for v := -98304; v <= 98301; v += pcm.FrameSamples - 1 { // the places move along
		for i := range a {
			want := min(max(v+i, -98304), 98301)
			a[i] = int16(min(max(want, -32768), 32767))
			rest := want - int(a[i])
			b[i] = int16(min(max(rest, -32768), 32767))
			c[i] = int16(rest - int(b[i]))
		}
		var s Sum
		s.Add(&a)
		s.Add(&b)
		s.Add(&c)
		s.Mix(&got)
		for i := range got {
			require.Equal(t, Clamp(int32(a[i])+int32(b[i])+int32(c[i])), got[i])
		}
	}
}

func TestMaxInputs(t *testing.T) {
	for _, v := range []int16{math.MinInt16, math.MaxInt16} {
		var in, got Samples
		for i := range in {
			in[i] = v
			if i%2 == 1 { // the odd lanes pull the other way
				in[i] = ^v
			}
		}
		var s Sum
		for range MaxInputs {
			s.Add(&in)
		}
		s.Mix(&got)
		require.Equal(t, in, got)
		s.MixMinus(&got, &in)
		require.Equal(t, in, got)
	}
}

// TestClampLanes: around every bit, each lane beside every kind of other.
func TestClampLanes(t *testing.T) {
	values := []int64{0, 65535, 65536, math.MaxInt32, -1, math.MinInt32}
	for bit := range 31 {
		values = append(values, 1<<bit-1, 1<<bit, 1<<bit+1, -1<<bit)
	}
	lane := func(v int64) uint64 { return uint64(v + 1<<31) }
	want := func(v int64) uint64 { return uint64(min(max(v, 0), 65535)) }
	for _, hi := range values {
		for _, lo := range values {
			got := clampLanes(lane(hi)<<32 | lane(lo))
			require.Equal(t, want(hi)<<32|want(lo), got, "%d, %d", hi, lo)
			fits := hi == int64(want(hi)) && lo == int64(want(lo))
			require.Equal(t, !fits, clips(lane(hi)<<32|lane(lo), top))
			require.Equal(t, !fits, clips(top, lane(hi)<<32|lane(lo)))
		}
	}
}

// TestMixMinusIsMixWithout: where everybody together clips, what is left
// without one is exact all the same.
func TestMixMinusIsMixWithout(t *testing.T) {
	ins := inputs(rand.New(rand.NewPCG(1, 2)), 5, sources["noise"])
	var all Sum
	for i := range ins {
		all.Add(&ins[i])
	}
	for i := range ins {
		var without Sum
		for j := range ins {
			if j != i {
				without.Add(&ins[j])
			}
		}
		var want, got Samples
		without.Mix(&want)
		all.MixMinus(&got, &ins[i])
		require.Equal(t, want, got)
	}
}

func TestMixMinusInPlace(t *testing.T) {
	ins := inputs(rand.New(rand.NewPCG(3, 4)), 3, sources["noise"])
	want := naive(ins, 1)
	var s Sum
	for i := range ins {
		s.Add(&ins[i])
	}
	s.MixMinus(&ins[1], &ins[1])
	require.Equal(t, want, ins[1])
}

func TestReset(t *testing.T) {
	in := inputs(rand.New(rand.NewPCG(5, 6)), 1, sources["noise"])
	var s Sum
	s.Add(&in[0])
	s.Reset()
	require.Zero(t, s.Inputs())
	var got Samples
	got[7] = 1
	s.Mix(&got)
	require.Zero(t, got)
	s.Add(&in[0])
	s.Mix(&got)
	require.Equal(t, in[0], got)
}

func TestSumNoAllocs(t *testing.T) {
	var s Sum
	var in, out Samples
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s.Reset()
		s.Add(&in)
		s.Mix(&out)
		s.MixMinus(&out, &in)
	}))
}

// BenchmarkMixMinus16 mixes 16 inputs into 16 mix-minuses. ns/input is what
// one input frame costs. The inputs are noise: level 2048 never clips, 8192
// clips in a quarter of all words, which is far worse than speech.
func BenchmarkMixMinus16(b *testing.B) {
	const n = 16
	for _, level := range []int{2048, 8192} {
		b.Run(fmt.Sprintf("level-%d", level), func(b *testing.B) { benchMixMinus(b, n, level) })
	}
	b.Run("plain-loop-2048", func(b *testing.B) { benchPlain(b, n) })
}

// BenchmarkMixMinus tells how the cost grows with the room: ns/input stays what
// it is, for each input is added once and taken off once, whatever N. The peer
// is the loop that one writes first.
func BenchmarkMixMinus(b *testing.B) {
	for _, n := range []int{2, 4, 16, 64, 256} {
		b.Run(fmt.Sprintf("ours/n=%d", n), func(b *testing.B) { benchMixMinus(b, n, 2048) })
		b.Run(fmt.Sprintf("plain-loop/n=%d", n), func(b *testing.B) { benchPlain(b, n) })
	}
}

func noise(n, level int) []Samples {
	return inputs(rand.New(rand.NewPCG(1, 1)), n, func(r *rand.Rand) int16 { return int16(r.IntN(2*level) - level) })
}

func benchMixMinus(b *testing.B, n, level int) {
	b.ReportAllocs()
	ins, outs := noise(n, level), make([]Samples, n)
	var s Sum
	for b.Loop() {
		s.Reset()
		for i := range ins {
			s.Add(&ins[i])
		}
		for i := range ins {
			s.MixMinus(&outs[i], &ins[i])
		}
	}
	perInput(b, n)
}

// benchPlain is the loop that one writes first, over 32-bit sums.
func benchPlain(b *testing.B, n int) {
	b.ReportAllocs()
	ins, outs := noise(n, 2048), make([]Samples, n)
	for b.Loop() {
		var sum [pcm.FrameSamples]int32
		for i := range ins {
			for j, v := range ins[i] {
				sum[j] += int32(v)
			}
		}
		for i := range ins {
			for j := range sum {
				outs[i][j] = Clamp(sum[j] - int32(ins[i][j]))
			}
		}
	}
	perInput(b, n)
}

func perInput(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/input")
}
