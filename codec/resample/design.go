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
)

// design returns the low-pass filter between two rates in its polyphase form,
// and its delay in output samples.
//
// The filter runs at up times the input rate, which is down times the output
// rate. Its middle is put on a multiple of down: so its delay is a whole
// number of output samples.
func design(up, down, taps int) (phases [][]float32, delay int) {
	half := (up*taps - 1) / 2
	half -= half % down
	lower := cutoffUp / float64(up) // in the rate of the filter
	if down > up {
		lower = cutoffDown / float64(down)
	}

	table := make([]float32, up*taps)
	phases = make([][]float32, up)
	for p := range phases {
		h := table[p*taps : (p+1)*taps]
		phases[p] = h
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
