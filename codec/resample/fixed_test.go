package resample

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var twofold = []struct{ from, to int }{{8000, 16000}, {16000, 8000}, {24000, 48000}, {48000, 24000}}

// Integers take nothing from the filter that can be heard: of white noise they
// make noise 90 dB below it, and of direct current none.
func TestIntegersAreTheDesign(t *testing.T) {
	for _, p := range twofold {
		r := create(t, p.from, p.to)
		phases, _ := design(r.up, r.down, r.taps)
		var sum, right, wrong float64
		for i, h := range coefficients(r)[0] {
			sum += h
			want := float64(phases[0].h[i])
			right, wrong = right+want*want, wrong+(h-want)*(h-want)
		}
		require.Equal(t, 1.0, sum, "%d to %d", p.from, p.to)
		require.Less(t, db(wrong/right), -90.0, "%d to %d", p.from, p.to)
		t.Logf("%d to %d: %.1f dB", p.from, p.to, db(wrong/right))
	}
}

// No samples make a sum overflow, at any stage.
func TestIntegersNeverOverflow(t *testing.T) {
	for _, p := range twofold {
		f := create(t, p.from, p.to).fixed
		terms, worst, places := f.terms, float64(f.half), f.places()
		for i, s := range places {
			require.Positive(t, s.terms, "kernels count on it")
			for _, u := range terms[:s.terms] {
				worst += 32768 * (math.Abs(float64(u.h[0])) + math.Abs(float64(u.h[1])))
				require.Less(t, worst, float64(math.MaxInt32), "%d to %d at %d places", p.from, p.to, s.shift)
			}
			terms = terms[s.terms:]
			worst = worst/math.Ldexp(1, int(f.stages[i].shift)) + 1
		}
		require.Empty(t, terms)
	}
}

// Every other output of a rate that doubles is what went in.
func TestDoublingPassesSamplesOn(t *testing.T) {
	in := loud(rand.New(rand.NewPCG(5, 5)), 1000)
	got := run(t, 8000, 16000, in)
	for i, s := range in {
		require.Equal(t, s, got[2*i], "sample %d", i)
	}
}

// Any terms in any stages, of any number of groups; and nothing is written
// behind them.
func TestKernelsAgreeOnIntegers(t *testing.T) {
	k, rnd := needVectors(t), rand.New(rand.NewPCG(6, 6))
	for range 2000 {
		groups, taps := 1+rnd.IntN(20), 2+rnd.IntN(widest-2)
		f := &fixed{half: int32(rnd.Uint32() >> 12), middle: rnd.IntN(taps), window: taps}
		budget := 1<<16 - 64 // so that no sum overflows
		for range 1 + rnd.IntN(5) {
			s := stage{int32(1 + rnd.IntN(20)), int32(rnd.IntN(9))}
			for range s.terms {
				t := term{at: int32(rnd.IntN(taps - 1))}
				for i := range t.h {
					most := min(budget, 1<<(1+rnd.IntN(15))-1)
					h := rnd.IntN(2*most+1) - most
					budget -= max(h, -h)
					t.h[i] = int16(h)
				}
				f.terms = append(f.terms, t)
			}
			f.stages = append(f.stages, s)
		}
		for _, f.step = range []int{1, 2} {
			n := groups * 2 * group / f.step
			x := loud(rnd, groups*group*f.step+taps-f.step) // the last window ends with it
			want, got := make([]int16, n+group), make([]int16, n+group)
			f.groups(kernel{}, want[:n], x[:len(x):len(x)])
			f.groups(k, got[:n], x)
			require.Equal(t, want, got, "step %d, %d groups, %d taps", f.step, groups, taps)
		}
	}
}

// The coefficients are the same on every processor, so that the samples are.
func TestIntegersAreTheSameEverywhere(t *testing.T) {
	for _, c := range []struct {
		from, to int
		want     uint32
	}{{8000, 16000, 0x93eb4781}, {16000, 8000, 0x2ed905f3}} {
		sum := crc32.NewIEEE()
		f := create(t, c.from, c.to).fixed
		require.NoError(t, binary.Write(sum, binary.LittleEndian, f.terms))
		require.NoError(t, binary.Write(sum, binary.LittleEndian, f.stages))
		require.Equal(t, c.want, sum.Sum32(), "%d to %d", c.from, c.to)
	}
}
