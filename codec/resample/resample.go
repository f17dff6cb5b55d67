// Package resample changes the sample rate of a stream of 16 bit mono PCM by a
// rational factor: a polyphase FIR filter under a Kaiser window.
//
// A Resampler makes no sound of its own: however the stream is cut into
// pieces, the result is the same to the bit, 20 ms in give 20 ms out from the
// first frame on, and its delay is a whole number of samples, so that the
// result can be laid exactly over what went in. It never allocates once made,
// and never waits for more input than it is given.
package resample

import "fmt"

const (
	// Taps per phase when the rate rises, in input samples; and when it falls,
	// in output samples: 72 input samples for 24 to 16 kHz.
	tapsUp   = 32
	tapsDown = 48

	// unrolled is how many taps dot takes at a time. Their number is rounded
	// up to a multiple of it.
	unrolled = 8

	maxRate = 768000
	// maxCoefficients bounds the table of the filter: rates that have hardly a
	// common divisor need one phase for nearly every sample.
	maxCoefficients = 1 << 16

	// block is how many input samples are worked on at a time.
	block = 480
)

// A Resampler converts one stream. It is not safe for concurrent use.
type Resampler struct {
	// Static after construction.
	up, down int         // output samples for every so many input samples
	phases   [][]float32 // up filters, each reversed: the oldest sample first
	taps     int
	delay    int
	work     []float32 // taps-1 samples of history, then a block

	// Owned by Process, Flush and Reset.
	next int  // where the next output sample lies behind the next input sample, in 1/up input samples
	fed  bool // something was taken since Reset
}

// New returns a Resampler between two rates in Hz. Equal rates pass the
// samples on as they are.
func New(from, to int) (*Resampler, error) {
	for _, hz := range []int{from, to} {
		if hz < 1 || hz > maxRate {
			return nil, fmt.Errorf("resample: %d to %d Hz: want rates from 1 to %d Hz", from, to, maxRate)
		}
	}
	g := gcd(from, to)
	r := &Resampler{up: to / g, down: from / g}
	switch {
	case r.up == r.down:
		r.taps = 1
	case r.up > r.down:
		r.taps = tapsUp
	default:
		r.taps = (tapsDown*r.down + r.up - 1) / r.up
		r.taps += -r.taps & (unrolled - 1)
	}
	if n := r.up * r.taps; n > maxCoefficients {
		return nil, fmt.Errorf("resample: %d to %d Hz: ratio %d/%d needs %d coefficients: want at most %d",
			from, to, r.up, r.down, n, maxCoefficients)
	}
	r.phases, r.delay = design(r.up, r.down, r.taps)
	// Flush puts the delay through in one block.
	r.work = make([]float32, r.taps-1+max(block, r.taps+1))
	return r, nil
}

// Delay returns by how many output samples the result lags behind the input:
// output sample Delay() lies where input sample 0 did. It is exact.
func (r *Resampler) Delay() int { return r.delay }

// Size returns how many samples the next Process makes of n. Over a stream
// that is n*to/from, rounded up.
func (r *Resampler) Size(n int) int {
	if left := n*r.up - r.next; left > 0 {
		return (left + r.down - 1) / r.down
	}
	return 0
}

// Process takes all of src, which may be of any length, and writes what comes
// of it to dst. It returns the number of samples written, Size(len(src)); dst
// must have room for them, else Process panics, as copying past the end of a
// slice does. dst and src must not overlap.
func (r *Resampler) Process(dst, src []int16) int {
	_ = dst[:r.Size(len(src))]
	n := 0
	for len(src) > 0 {
		fresh := r.work[r.taps-1:]
		m := copyFloat(fresh, src)
		n += r.filter(dst[n:], m)
		src = src[m:]
		r.fed = true
	}
	return n
}

// Flush writes the end of the stream to dst, what Delay held back: Delay()
// samples, or none if nothing went in. dst must have room for them, as in
// Process. After that the Resampler is as new.
func (r *Resampler) Flush(dst []int16) int {
	n := 0
	if r.fed {
		dst = dst[:r.delay]
		fresh := r.work[r.taps-1:]
		clear(fresh)
		n = r.filter(dst, len(fresh))
	}
	r.Reset()
	return n
}

// Reset forgets all that went in, as after a gap.
func (r *Resampler) Reset() {
	clear(r.work)
	r.next, r.fed = 0, false
}

// filter makes as much output of the n fresh samples in work as dst has room
// for, and moves them into the history.
func (r *Resampler) filter(dst []int16, n int) int {
	made := 0
	end := n * r.up
	i, p := r.next/r.up, r.next%r.up
	stepI, stepP := r.down/r.up, r.down%r.up
	for i < n && made < len(dst) {
		h := r.phases[p]
		dst[made] = round(dot(h, r.work[i:i+len(h)]))
		made++
		i += stepI
		if p += stepP; p >= r.up {
			p -= r.up
			i++
		}
	}
	r.next = i*r.up + p - end
	copy(r.work, r.work[n:n+r.taps-1])
	return made
}

func copyFloat(dst []float32, src []int16) int {
	n := min(len(dst), len(src))
	for i, s := range src[:n] {
		dst[i] = float32(s)
	}
	return n
}

// dot has eight sums that do not wait for one another. Their order is fixed,
// so the result does not depend on how the stream is cut.
func dot(h, x []float32) float32 {
	var a, b, c, d, e, f, g, k float32
	for len(h) >= unrolled && len(x) >= unrolled {
		a += h[0] * x[0]
		b += h[1] * x[1]
		c += h[2] * x[2]
		d += h[3] * x[3]
		e += h[4] * x[4]
		f += h[5] * x[5]
		g += h[6] * x[6]
		k += h[7] * x[7]
		h, x = h[unrolled:], x[unrolled:]
	}
	for i := range h { // equal rates have a single tap
		a += h[i] * x[i]
	}
	return ((a + b) + (c + d)) + ((e + f) + (g + k))
}

func round(x float32) int16 {
	switch {
	case x >= 32766.5:
		return 32767
	case x <= -32767.5:
		return -32768
	case x < 0:
		return int16(x - 0.5)
	}
	return int16(x + 0.5)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
