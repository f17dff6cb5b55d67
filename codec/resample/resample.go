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
	// Taps per phase when the rate rises, in input samples; when it doubles; and
	// when it falls, in output samples: 72 input samples for 24 to 16 kHz.
	tapsUp   = 32
	tapsTwo  = 44
	tapsDown = 48

	maxRate = 768000
	// maxCoefficients bounds the table of the filter: rates that have hardly a
	// common divisor need one phase for nearly every sample.
	maxCoefficients = 1 << 16
)

// A Resampler converts one stream. It is not safe for concurrent use.
type Resampler struct {
	// Static after construction.
	up, down int     // output samples for every so many input samples
	phases   []phase // up filters
	taps     int
	delay    int
	stepIn   int // from one output to the next: so many input samples,
	stepTurn int // and phases
	layout

	// Owned by Process, Flush and Reset.
	fill int  // samples in work: first of all taps-1 or a few more of history
	next int  // the sample of work that the window of the next output begins at
	turn int  // the phase of that output
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
	r := &Resampler{up: to / g, down: from / g, taps: tapsUp}
	switch {
	case r.up == r.down:
		r.taps = 1
		return r, nil
	case r.up == 2*r.down:
		r.taps = tapsTwo
	case r.up < r.down:
		r.taps = (tapsDown*r.down + r.up - 1) / r.up
		r.taps += -r.taps & (lanes - 1)
	}
	if n := r.up * r.taps; n > maxCoefficients {
		return nil, fmt.Errorf("resample: %d to %d Hz: ratio %d/%d needs %d coefficients: want at most %d",
			from, to, r.up, r.down, n, maxCoefficients)
	}
	r.stepIn, r.stepTurn = r.down/r.up, r.down%r.up
	r.phases, r.delay = design(r.up, r.down, r.taps)
	r.layout = arrange(r.up, r.down, r.taps, r.phases)
	r.Reset()
	return r, nil
}

// Delay returns by how many output samples the result lags behind the input:
// output sample Delay() lies where input sample 0 did. It is exact.
func (r *Resampler) Delay() int { return r.delay }

// Size returns how many samples the next Process makes of n. Over a stream
// that is n*to/from, rounded up.
func (r *Resampler) Size(n int) int {
	windows := r.fill + n - (r.taps - 1)
	if left := (windows-r.next)*r.up - r.turn; left > 0 {
		return (left + r.down - 1) / r.down
	}
	return 0
}

// Process takes all of src, which may be of any length, and writes what comes
// of it to dst. It returns the number of samples written, Size(len(src)); dst
// must have room for them, else Process panics, as copying past the end of a
// slice does. dst and src must not overlap.
func (r *Resampler) Process(dst, src []int16) int {
	dst = dst[:r.Size(len(src))]
	if r.up == r.down {
		return copy(dst, src)
	}
	n := 0
	for len(src) > 0 {
		src = src[r.put(src):]
		n += r.filter(dst[n:])
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
		r.putZeros()
		n = r.filter(dst[:r.delay])
	}
	r.Reset()
	return n
}

// Reset forgets all that went in, as after a gap.
func (r *Resampler) Reset() {
	clear(r.work)
	if r.fixed != nil {
		clear(r.fixed.work)
	}
	r.fed = false
	if r.up == r.down {
		return
	}
	// A frame begins in the first array, so that it can be dealt out by vectors.
	past := r.taps - 1
	r.fill = past + (r.arrays-past%r.arrays)%r.arrays
	r.next, r.turn = r.fill-past, 0
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
