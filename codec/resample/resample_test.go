package resample

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var pairs = []struct{ from, to int }{
	{16000, 24000}, {24000, 16000}, // what calls need
	{8000, 16000}, {16000, 8000}, {16000, 48000}, {48000, 16000}, {44100, 16000}, {16000, 44100},
	{48000, 8000}, {8000, 48000}, {32000, 48000}, {32000, 24000}, {8000, 64000},
}

func each(t *testing.T, f func(t *testing.T, from, to int)) {
	for _, p := range pairs {
		t.Run(fmt.Sprintf("%d to %d", p.from, p.to), func(t *testing.T) { f(t, p.from, p.to) })
	}
}

func create(t testing.TB, from, to int) *Resampler {
	t.Helper()
	r, err := New(from, to)
	require.NoError(t, err)
	return r
}

const amplitude = 16000

func sine(n, rate int, hz float64) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.RoundToEven(amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return pcm
}

// run converts pcm at once, flushed, and cuts off the delay.
func run(t testing.TB, from, to int, pcm []int16) []int16 {
	t.Helper()
	r := create(t, from, to)
	dst := make([]int16, r.Size(len(pcm))+r.Delay())
	delay := r.Delay()
	n := r.Process(dst, pcm)
	n += r.Flush(dst[n:])
	require.Len(t, dst, n)
	return dst[delay:]
}

func db(power float64) float64 { return 10 * math.Log10(power) }

func power(pcm []int16) (sum float64) {
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	return sum / float64(len(pcm))
}

// snr compares with the ideal sine at the same place, leaving out the edges,
// where the tone is switched on and off.
func snr(got []int16, rate int, hz float64) float64 {
	edge := rate / 100
	var signal, noise float64
	for i := edge; i < len(got)-edge; i++ {
		want := amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))
		d := float64(got[i]) - want
		signal, noise = signal+want*want, noise+d*d
	}
	return db(signal / noise)
}

// A delay that is wrong by a hundredth of a sample fails this.
func TestSineIsIdealAndInItsPlace(t *testing.T) {
	each(t, func(t *testing.T, from, to int) {
		for _, part := range []float64{0.01, 0.05, 0.125, 0.25, 0.3} { // of the lower rate
			hz := part * float64(min(from, to))
			got := run(t, from, to, sine(from, from, hz))
			require.Len(t, got, to)
			require.Greater(t, snr(got, to, hz), 70.0, "%v Hz", hz)
		}
	})
}

func TestPassband(t *testing.T) {
	each(t, func(t *testing.T, from, to int) {
		lower := float64(min(from, to))
		for hz := 0.01 * lower; hz <= 0.37*lower; hz += lower / 50 {
			got := run(t, from, to, sine(from/2, from, hz))
			gain := db(power(got[to/100:len(got)-to/100]) / (amplitude * amplitude / 2))
			require.InDelta(t, 0, gain, 0.1, "%v Hz", hz)
		}
	})
}

// alias returns how loud a tone comes back that the lower rate cannot hold.
func alias(t testing.TB, from, to int, hz float64) float64 {
	got := run(t, from, to, sine(from/2, from, hz))
	return db(power(got[to/100:len(got)-to/100]) / (amplitude * amplitude / 2))
}

// Tones that the lower rate cannot hold do not come back as others.
func TestAliases(t *testing.T) {
	each(t, func(t *testing.T, from, to int) {
		if from < to {
			t.Skip("nothing can alias when the rate rises")
		}
		for hz := 0.53 * float64(to); hz < float64(from)/2; hz += float64(to) / 27 {
			require.Less(t, alias(t, from, to, hz), -80.0, "%v Hz", hz)
		}
	})
}

// What the filter leaves of images when the rate rises: the tone is all there
// is, so whatever differs from it is too much.
func TestImages(t *testing.T) {
	for _, c := range []struct {
		from, to int
		hz, want float64
	}{
		{16000, 24000, 5000, -80}, {16000, 24000, 6000, -80}, {16000, 48000, 5000, -80}, {16000, 48000, 6000, -80},
		{8000, 16000, 300, -80}, {8000, 16000, 2000, -80}, {8000, 16000, 3400, -80}, {8000, 16000, 3500, -79},
		{8000, 16000, 3600, -50}, {8000, 16000, 3800, -18}, // docs/CODECS.md
	} {
		got := run(t, c.from, c.to, sine(c.from, c.from, c.hz))
		got = got[c.to/100 : len(got)-c.to/100]
		image := float64(c.from) - c.hz
		if image > float64(c.to)/2 {
			image = float64(c.to) - image
		}
		is := db(goertzel(got, c.to, image) / goertzel(got, c.to, c.hz))
		require.Less(t, is, c.want, "%+v", c)
		t.Logf("%v Hz from %d to %d: %.1f dB at %v Hz", c.hz, c.from, c.to, is, image)
	}
}

// goertzel returns the power of one frequency, under a Hann window.
func goertzel(pcm []int16, rate int, hz float64) float64 {
	var re, im float64
	for i, s := range pcm {
		w := 1 - math.Cos(2*math.Pi*float64(i)/float64(len(pcm)))
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		re, im = re+w*cos*float64(s), im+w*sin*float64(s)
	}
	return re*re + im*im
}

func TestOddChunksMakeNoDifference(t *testing.T) {
	each(t, func(t *testing.T, from, to int) {
		in := sine(from, from, 997)
		want := run(t, from, to, in)
		for seed := range uint64(5) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			r := create(t, from, to)
			delay := r.Delay()
			var got []int16
			for rest := in; len(rest) > 0; {
				n := min(len(rest), rnd.IntN([]int{2, 8, 320, 1000, 5000}[seed]+1))
				buf := make([]int16, r.Size(n))
				require.Equal(t, len(buf), r.Process(buf, rest[:n]))
				got, rest = append(got, buf...), rest[n:]
			}
			buf := make([]int16, delay)
			got = append(got, buf[:r.Flush(buf)]...)
			require.Equal(t, want, got[delay:], "seed %d", seed)
			require.Greater(t, snr(got[delay:], to, 997), 70.0)
		}
	})
}

func TestFramesFromTheFirst(t *testing.T) {
	each(t, func(t *testing.T, from, to int) {
		r := create(t, from, to)
		src, dst := make([]int16, from/50), make([]int16, to/50)
		for range 100 {
			require.Equal(t, to/50, r.Size(from/50))
			require.Equal(t, to/50, r.Process(dst, src))
		}
	})
}

// Never ahead of the input, never behind by a whole sample.
func TestCountOverTime(t *testing.T) {
	each(t, func(t *testing.T, from, to int) {
		r := create(t, from, to)
		one, dst, out := []int16{0}, make([]int16, 8), 0
		for in := 1; in <= 2000; in++ {
			out += r.Process(dst, one)
			require.Equal(t, (in*to+from-1)/from, out)
		}
	})
}

func TestImpulseLiesAtDelay(t *testing.T) {
	each(t, func(t *testing.T, from, to int) {
		r := create(t, from, to)
		src := make([]int16, from/50)
		src[0] = 30000
		dst := make([]int16, to/50)
		r.Process(dst, src)
		at := r.Delay()
		require.Positive(t, at)
		require.Less(t, at, 3*to/1000, "3 ms")
		for i, s := range dst {
			if i != at {
				require.Less(t, s, dst[at], "sample %d", i)
			}
			if i <= 2*at {
				require.InDelta(t, dst[2*at-i], s, 1, "symmetric about %d: sample %d", at, i)
			}
		}
	})
}

func TestDirectCurrentAndClipping(t *testing.T) {
	each(t, func(t *testing.T, from, to int) {
		in := make([]int16, from/10)
		for _, level := range []int16{32767, -32768, 1, 1000} {
			for i := range in {
				in[i] = level
			}
			got := run(t, from, to, in)
			for i := to / 100; i < len(got)-to/100; i++ {
				require.Equal(t, level, got[i])
			}
		}
		for i := range in { // a square wave overshoots
			in[i] = 32767
			if i/20%2 == 1 {
				in[i] = -32768
			}
		}
		got := run(t, from, to, in)
		for i := to / 50; i+1 < len(got)-to/50; i++ {
			require.Less(t, math.Abs(float64(got[i])-float64(got[i+1])), 65535.0)
			if d := int(got[i]) - int(got[i+1]); d > 60000 || d < -60000 {
				t.Fatalf("wrapped around at %d: %d, %d", i, got[i], got[i+1])
			}
		}
	})
}

func TestResetAndFlushMakeItNew(t *testing.T) {
	each(t, func(t *testing.T, from, to int) {
		r, in := create(t, from, to), sine(1001, from, 440)
		once := make([]int16, r.Size(len(in)))
		r.Process(once, in)
		again := make([]int16, len(once))

		r.Reset()
		require.Equal(t, len(again), r.Process(again, in))
		require.Equal(t, once, again)

		tail := make([]int16, r.Delay())
		require.Equal(t, len(tail), r.Flush(tail))
		require.Zero(t, r.Flush(nil), "nothing is left")
		require.Equal(t, len(again), r.Process(again, in))
		require.Equal(t, once, again)
	})
}

func TestEqualRates(t *testing.T) {
	in := sine(1000, 16000, 440)
	in[0], in[1] = 32767, -32768
	require.Equal(t, in, run(t, 16000, 16000, in))
	require.Zero(t, create(t, 16000, 16000).Delay())
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		from, to int
		want     string
	}{
		{0, 16000, "resample: 0 to 16000 Hz: want rates from 1 to 768000 Hz"},
		{16000, -1, "resample: 16000 to -1 Hz"},
		{16000, 1 << 40, "resample: 16000 to 1099511627776 Hz"},
		{16000, 15999, "resample: 16000 to 15999 Hz: ratio 15999/16000 needs"},
		{768000, 1, "ratio 1/768000 needs 36864000 coefficients: want at most 65536"},
	} {
		_, err := New(c.from, c.to)
		require.ErrorContains(t, err, c.want)
	}
}

func TestShortDestination(t *testing.T) {
	r := create(t, 16000, 24000)
	require.Panics(t, func() { r.Process(make([]int16, 479), make([]int16, 320)) })
	require.Equal(t, 480, r.Process(make([]int16, 480), make([]int16, 320)), "nothing was taken before")
	require.Zero(t, r.Process(nil, nil))
}

func TestNoAllocation(t *testing.T) {
	each(t, func(t *testing.T, from, to int) {
		r := create(t, from, to)
		src, dst := make([]int16, from/50), make([]int16, to/50)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			r.Process(dst, src)
			r.Flush(dst)
		}))
	})
}

// However the stream is cut: as many samples as Size says, and the same ones,
// by vectors or in plain Go.
func FuzzChunks(f *testing.F) {
	f.Add(uint8(0), []byte{1, 0, 2, 255, 0}, uint64(1))
	f.Add(uint8(5), []byte{159, 1}, uint64(2))
	f.Add(uint8(6), []byte{7, 7, 7, 7, 200, 3}, uint64(3))
	f.Fuzz(func(t *testing.T, pair uint8, cuts []byte, seed uint64) {
		p := pairs[int(pair)%len(pairs)]
		rnd := rand.New(rand.NewPCG(seed, 0))
		one, all := create(t, p.from, p.to), portable(create(t, p.from, p.to))
		var in, got []int16
		for _, c := range cuts[:min(len(cuts), 64)] {
			chunk := make([]int16, 5*int(c))
			for i := range chunk {
				chunk[i] = int16(rnd.Uint32())
			}
			dst := make([]int16, one.Size(len(chunk)))
			require.Equal(t, len(dst), one.Process(dst, chunk))
			in, got = append(in, chunk...), append(got, dst...)
		}
		want := make([]int16, all.Size(len(in)))
		all.Process(want, in)
		require.True(t, slices.Equal(want, got))
	})
}
