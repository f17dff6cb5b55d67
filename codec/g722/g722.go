// Package g722 codes 16 kHz PCM at 64 kbit/s (ITU-T G.722, mode 1): one byte
// for every two samples.
//
// The decoder is our own, sample for sample that of ffmpeg whatever the bytes
// are: that of gotranspile/g722 lets samples that are too loud wrap around,
// which is heard as a crack, and takes longer. The encoder is gotranspile's, in
// bounds, so that no length of input or output can make it panic.
//
// It never allocates after construction and knows no RTP. The RTP clock of
// G.722 is 8000 Hz for historical reasons (RFC 3551, section 4.5.2): one tick
// a byte, not one a sample. The table in package codec says so.
package g722

import lib "github.com/gotranspile/g722"

// SamplesPerByte is the fixed ratio of samples to code bytes.
const SamplesPerByte = 2

// Encoder holds the adaptive state of one stream. It is not safe for
// concurrent use.
type Encoder struct{ e *lib.Encoder }

// NewEncoder returns an encoder in the initial state of G.722.
func NewEncoder() *Encoder {
	return &Encoder{lib.NewEncoder(lib.Rate64000, 0)}
}

// Encode encodes as many pairs of samples as dst has room for, one byte each,
// and returns the number of bytes written. An odd last sample is not taken:
// the caller brings it again with the next one.
func (e *Encoder) Encode(dst []byte, src []int16) int {
	n := min(len(dst), len(src)/SamplesPerByte)
	return e.e.Encode(dst, src[:n*SamplesPerByte])
}
