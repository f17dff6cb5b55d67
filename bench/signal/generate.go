package signal

import (
	"math"
	"math/rand/v2"
)

// Silence returns n zero samples.
func Silence(n int) []int16 { return make([]int16, n) }

// Sine returns n samples of a tone that starts at phase 0.
func Sine(n int, hz, dbfs float64) []int16 {
	a, w := amplitude(dbfs), 2*math.Pi*hz/SampleRate
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = round(a * math.Sin(w*float64(i)))
	}
	return pcm
}

// Chirp returns n samples of a tone that glides linearly from one frequency to
// the other, at -6 dBFS. No two stretches of it are alike, so it aligns in
// exactly one place.
func Chirp(n int, fromHz, toHz float64) []int16 {
	a := amplitude(-6)
	pcm := make([]int16, n)
	for i := range pcm {
		t := float64(i) / SampleRate
		glide := (toHz - fromHz) * float64(i) / float64(2*n)
		pcm[i] = round(a * math.Sin(2*math.Pi*(fromHz+glide)*t))
	}
	return pcm
}

// Noise returns n samples of white noise, evenly distributed: the same for the
// same seed. Levels above -1.76 dBFS clip.
func Noise(n int, seed uint64, dbfs float64) []int16 {
	// An even distribution has its rms at peak/√3, a sine at peak/√2.
	a := amplitude(dbfs) * math.Sqrt(1.5)
	r := rand.New(rand.NewPCG(seed, 0))
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = round(a * (2*r.Float64() - 1))
	}
	return pcm
}

// Ramp returns n samples that count up by one from start and wrap around at
// the top: within 65536 samples every sample says its own position.
func Ramp(n int, start int16) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = start + int16(i)
	}
	return pcm
}

// Gain returns a copy of pcm, louder by db decibels (softer if negative) and
// clipped at full scale.
func Gain(pcm []int16, db float64) []int16 {
	k := math.Pow(10, db/20)
	out := make([]int16, len(pcm))
	for i, s := range pcm {
		out[i] = round(k * float64(s))
	}
	return out
}

// Level returns the rms level of pcm in dBFS, -Inf for digital silence and for
// no samples at all.
func Level(pcm []int16) float64 {
	var sum float64
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	if sum == 0 {
		return math.Inf(-1)
	}
	return 10 * math.Log10(2*sum/float64(len(pcm))/(math.MaxInt16*math.MaxInt16))
}

func amplitude(dbfs float64) float64 { return math.MaxInt16 * math.Pow(10, dbfs/20) }

func round(x float64) int16 {
	return int16(math.RoundToEven(max(math.MinInt16, min(math.MaxInt16, x))))
}
