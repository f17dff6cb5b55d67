// Package pcm holds the unit of audio that moves through the engine: the
// 20 ms frame of 16 kHz, 16 bit, mono PCM ("PCM16K"), and the arithmetic
// between samples, slots and 100 ns ticks.
//
// It never reads a clock and never allocates.
package pcm

import "time"

// The one audio format inside the engine (Microsoft Teams "Pcm16K", ACS
// "Pcm16KMono"): signed 16 bit samples, mono, 50 frames a second.
const (
	SampleRate    = 16000
	FrameSamples  = 320
	FrameBytes    = 2 * FrameSamples
	FrameDuration = 20 * time.Millisecond

	// TicksPerSample converts sample positions to 100 ns ticks, the time
	// unit of the Teams media stack; at 16 kHz the division is exact.
	TicksPerSample = 625
	TicksPerFrame  = TicksPerSample * FrameSamples
)

// Flags describe a frame beside its samples.
type Flags uint8

const (
	// Silence: the sender declared the frame silent. Its samples are kept.
	Silence Flags = 1 << iota
	// AfterGap: the frame follows audio that was lost (Frame.Lost slots):
	// dropped by us, or due while no connection stood.
	AfterGap
	// AfterDTX: the frame follows slots that the sender chose not to send
	// because they were silent; they are zeros, not losses.
	AfterDTX
	// Cut carries no audio: in a source context's tap it says that what was
	// queued to be heard at Timestamp or later was flushed and will not be.
	Cut
	// Concealed: a part of the frame was made up for packets that were lost,
	// or late.
	Concealed
)

// Has reports whether all bits of x are set.
func (f Flags) Has(x Flags) bool { return f&x == x }

// Frame is 20 ms of audio. It is a value: whoever holds one owns its samples,
// nobody frees it.
type Frame struct {
	Samples [FrameSamples]int16

	// Timestamp is the position of the first sample on the leg's clock, in
	// 100 ns ticks; the leg's first frame is at 0.
	Timestamp int64

	// Arrival is when the socket read that carried the end of this frame
	// returned, in nanoseconds on the process's monotonic clock
	// (engine.Now). 0 for frames that the app produced.
	Arrival int64

	// Seq counts the frames of one speaker, from 0. A reader that sees Seq
	// skip has lost frames to its own full ring, not to the network.
	Seq uint32

	// Speaker is the leg's numeric id of who speaks (the media source id of
	// a Teams roster; for ACS an index of participantRawID). 0 is the mix.
	Speaker uint32

	// Lost is the number of slots lost directly before this frame.
	// Non-zero only with AfterGap.
	Lost uint32

	Flags Flags
}

// Position returns the frame's first sample on the leg's clock, in samples.
func (f *Frame) Position() int64 { return f.Timestamp / TicksPerSample }

// Ticks converts a sample position to 100 ns ticks.
func Ticks(samples int64) int64 { return samples * TicksPerSample }

// Samples returns the number of whole samples in d at 16 kHz.
func Samples(d time.Duration) int64 {
	return int64(d) / int64(time.Second/SampleRate)
}

// Duration returns how long n samples last at 16 kHz.
func Duration(n int64) time.Duration {
	return time.Duration(n) * (time.Second / SampleRate)
}
