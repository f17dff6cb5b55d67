package resample

import "math"

const (
	// beta of the Kaiser window: about 80 dB between pass and stop band.
	beta = 8
	// The cutoff is the middle of the slope, as a part of the lower rate. From
	// 48 to 16 kHz, as in every fall, the filter is flat (-0.1 dB) to 0.429 of
	// it and shut (-80 dB) from 0.524: what lies above 8.4 kHz never comes back
	// as something else. From 16 to 48 kHz, with fewer taps, it is flat to 0.42
	// and shut from 0.56.
	cutoffUp   = 0.48
	cutoffDown = 0.47
	// The filter that doubles a rate is half-band: with the cutoff in the middle
	// every other of its coefficients is 0, and one of its phases passes the
	// samples on as they are. With more taps it is flat to 0.456 of the lower
	// rate, and shut from 0.56 as the others.
	cutoffTwo = 0.5
)

// A phase is one of the filters that take turns.
type phase struct {
	h          []float32 // the oldest sample first; if folded, the older half
	first, end int       // the samples of the window that it takes
	folded     bool
}

// design returns the low-pass filter between two rates in its polyphase form,
// and its delay in output samples.
//
// The filter runs at up times the input rate, which is down times the output
// rate. Its middle is put on a multiple of down: so its delay is a whole
// number of output samples.
func design(up, down, taps int) (phases []phase, delay int) {
	half := (up*taps - 1) / 2
	half -= half % down
	lower := cutoffUp / float64(up) // in the rate of the filter
	switch {
	case up == 2*down:
		lower = cutoffTwo / float64(up)
	case down > up:
		lower = cutoffDown / float64(down)
	}

	table := make([]float32, up*taps)
	phases = make([]phase, up)
	for p := range phases {
		h := table[p*taps : (p+1)*taps]
		phases[p] = phase{h: h, end: taps}
		var sum float64
		for j := range taps {
			sum += tap(p+up*j-half, half, lower)
		}
		// Each phase by itself passes direct current as it is: else the
		// difference between phases would be heard as a tone.
		for j := range taps {
			h[taps-1-j] = float32(tap(p+up*j-half, half, lower) / sum)
		}
	}
	return phases, half / down
}

// fold makes of a phase that reads the same from both ends what kernel.fold
// takes, in place. Those of whole ratios do, and both phases of 24 to 16 kHz.
func (p *phase) fold() {
	h, first, last := p.h, 0, len(p.h)-1
	for first < last && h[first] == 0 {
		first++
	}
	for first < last && h[last] == 0 {
		last--
	}
	for a, b := first, last; a < b; a, b = a+1, b-1 {
		if h[a] != h[b] {
			return
		}
	}
	half := (last - first + 2) / 2
	if (last-first)%2 == 0 {
		h[first+half-1] /= 2 // the middle is added to itself
	}
	*p = phase{h: h[first : first+half], first: first, end: last + 1, folded: true}
}

// tap is the windowed impulse response of an ideal low-pass filter, k samples
// from its middle.
func tap(k, half int, cutoff float64) float64 {
	if k == 0 {
		return 2 * cutoff
	}
	if k < -half || k > half {
		return 0
	}
	x := float64(k)
	w := x / float64(half+1)
	return math.Sin(2*math.Pi*cutoff*x) / (math.Pi * x) * bessel(beta*math.Sqrt(1-w*w))
}

// bessel is the modified Bessel function I0, by its power series, over its
// value at beta.
func bessel(x float64) float64 { return i0(x) / i0(beta) }

func i0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}
