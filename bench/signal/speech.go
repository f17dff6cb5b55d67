// Package signal is the bench's test material and its ear: recorded speech and
// synthetic signals to send, and detectors that find what happened to them on
// the way: lost, repeated or shifted samples, gaps and clicks.
//
// All of it is 16 kHz, 16 bit, mono. Levels are in dBFS after AES17: a sine of
// full scale is 0 dBFS. It never reads a clock, and every signal is the same
// on every run.
package signal

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/mixminus/mixminus/codec/g722"
)

// SampleRate of everything in this package, in Hz.
const SampleRate = 16000

// Voice names a recorded speaker. Who they are, and the licences of the
// recordings, stand in speech/README.md.
type Voice int

// The recorded voices.
const (
	Allison Voice = iota // Allison Smith, English
	June                 // June Wallack, French
	Carlo                // Carlo Flora, Italian
)

var voiceNames = [...]string{"allison", "june", "carlo"}

func (v Voice) String() string {
	if v < 0 || int(v) >= len(voiceNames) {
		return fmt.Sprintf("Voice(%d)", int(v))
	}
	return voiceNames[v]
}

// Voices returns all recorded voices, in order.
func Voices() []Voice { return []Voice{Allison, June, Carlo} }

//go:embed speech/allison.g722
var allisonG722 []byte

//go:embed speech/june.g722
var juneG722 []byte

//go:embed speech/carlo.g722
var carloG722 []byte

// Decoding takes some 10 ms a voice, and a load test asks a thousand times.
var speech = [...]func() []int16{
	sync.OnceValue(func() []int16 { return decode(allisonG722) }),
	sync.OnceValue(func() []int16 { return decode(juneG722) }),
	sync.OnceValue(func() []int16 { return decode(carloG722) }),
}

// Speech returns about ten seconds of v talking without a pause longer than
// 200 ms: a whole number of 20 ms frames that begins and ends near zero, so it
// loops without a click. All callers share the slice: it must not be written
// to. An unknown voice has no speech: nil.
//
// Speech is safe for concurrent use.
func Speech(v Voice) []int16 {
	if v < 0 || int(v) >= len(speech) {
		return nil
	}
	return speech[v]()
}

func decode(code []byte) []int16 {
	pcm := make([]int16, len(code)*g722.SamplesPerByte)
	return pcm[:g722.NewDecoder().Decode(pcm, code)]
}
