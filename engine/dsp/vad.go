package dsp

import "github.com/mixminus/mixminus/engine/pcm"

const (
	// vadMargin is how far speech must rise above the noise, in dB.
	vadMargin = 9
	// vadQuietest is the level below which nothing counts as speech, in dBFS.
	vadQuietest = -55
	// vadAssumed is the noise assumed before it was measured, in dBFS.
	vadAssumed = -60
	// vadAttack is how many loud frames in a row begin speech: 40 ms, so
	// that a click does not.
	vadAttack = 2
	// vadHangover is how many frames speech lasts after the last loud one:
	// 300 ms bridge the stops within words and the pauses between them.
	vadHangover = 15
	// vadPart and vadParts span the time in which the noise is sought: 1.5 s,
	// in which speech dips to the noise and noise stays what it is.
	vadPart  = 25
	vadParts = 3
)

// VAD detects voice activity by energy: a frame is loud if its level is well
// above the noise, which is the lowest level of the last 1.5 s (minimum
// statistics, after R. Martin, IEEE Trans. Speech Audio Processing 9(5),
// 2001, without its spectrum). The zero VAD is ready.
//
// It errs towards speech: noise that begins or grows counts as speech for up
// to 1.8 s, until it is seen to stay. It cannot tell speech from music, or
// from a tone that comes and goes. Speech begins one frame late.
type VAD struct {
	// minima are the lowest levels of the last parts of 25 frames, relative
	// to vadAssumed; the one at part is still being measured.
	minima [vadParts]float64
	part   int
	frames int // measured of that part
	attack int // loud frames in a row
	hang   int // frames of speech left
}

// Voice takes the next 20 ms and reports whether somebody speaks.
func (v *VAD) Voice(samples *[pcm.FrameSamples]int16) bool {
	level := Measure(samples[:]).RMS
	v.measure(level - vadAssumed)
	if level < max(v.Noise()+vadMargin, vadQuietest) {
		v.attack = 0
		v.hang = max(v.hang-1, 0)
		return v.hang > 0
	}
	v.attack++
	if v.attack >= vadAttack || v.hang > 0 {
		v.hang = vadHangover + 1
	}
	return v.hang > 0
}

// Noise returns the level of the background noise, in dBFS; before it was
// measured, for the first second, no more than -60.
func (v *VAD) Noise() float64 {
	lowest := v.minima[0]
	for _, m := range v.minima[1:] {
		lowest = min(lowest, m)
	}
	return lowest + vadAssumed
}

// Reset forgets all that was heard.
func (v *VAD) Reset() { *v = VAD{} }

// measure notes a level, relative to vadAssumed.
func (v *VAD) measure(level float64) {
	if v.frames == vadPart {
		v.frames = 0
		v.part = (v.part + 1) % vadParts
	}
	if v.frames == 0 {
		v.minima[v.part] = level
	}
	v.minima[v.part] = min(v.minima[v.part], level)
	v.frames++
}
