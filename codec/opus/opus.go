// Package opus codes 16 kHz mono PCM as Opus packets (RFC 6716). One packet is
// one RTP payload (RFC 7587); this package knows no RTP, whose clock for Opus
// is 48000 Hz whatever the audio. The table in package codec says so.
//
// A decoder takes the packets of any sender, stereo and full band too, and
// makes 16 kHz mono of them by itself: nothing has to be resampled. It fills
// in for lost packets, and finds the coarse copy of the one before that a
// packet may carry (forward error correction, FEC). An encoder sends what
// 16 kHz can hold, wideband, tuned for speech.
//
// The arithmetic is github.com/thesyncim/gopus, a translation of libopus to Go
// without cgo. library.go is all that knows it, so that another can take its
// place. Coding and decoding do not allocate; what loss brings with it does,
// inside of that module: Conceal and DecodeFEC up to 4 times, Encode with FEC
// up to 6. A decoder takes some 160 KiB, and an encoder as much. Neither can be
// reset: a new stream is a new one.
package opus

const (
	// SampleRate of the PCM, in Hz.
	SampleRate = 16000

	// MaxSamples is the length of the longest packet there is: 120 ms.
	MaxSamples = SampleRate * 120 / 1000

	// MaxPacket is the size of the longest packet that is made here, and taken:
	// 60 ms at the highest bitrate fit it.
	MaxPacket = 4000

	// quantum is the shortest frame there is, 2.5 ms; all others are multiples.
	quantum = SampleRate / 400
)

// Samples returns how many samples packet decodes to, by its first bytes alone
// (RFC 6716, section 3.1): from 40, 2.5 ms, to MaxSamples; 0 if they are not
// those of an Opus packet.
func Samples(packet []byte) int {
	if len(packet) == 0 {
		return 0
	}
	frames := 1
	switch packet[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(packet) < 2 {
			return 0
		}
		frames = int(packet[1] & 0x3f)
	}
	if n := frames * frameSamples(packet[0]); n <= MaxSamples {
		return n
	}
	return 0
}

// frameSamples returns the length of each frame of a packet that begins with
// toc (RFC 6716, table 2).
func frameSamples(toc byte) int {
	const ms = SampleRate / 1000
	config := toc >> 3
	switch {
	case config < 12: // SILK
		return [...]int{10 * ms, 20 * ms, 40 * ms, 60 * ms}[config&3]
	case config < 16: // both
		return [...]int{10 * ms, 20 * ms}[config&1]
	}
	return quantum << (config & 3) // CELT
}
