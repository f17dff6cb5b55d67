// Package codec is the table of the codecs that RTP can carry here, by the
// names and numbers that SDP calls them. The codecs themselves are the
// packages below; resample and wav are their neighbours.
//
// It does arithmetic on slices and nothing else: no clock, no I/O, no state
// but that of the decoders and encoders it makes.
package codec

import (
	"strings"

	"github.com/mixminus/mixminus/codec/g722"
	"github.com/mixminus/mixminus/codec/l16"
)

// Dynamic is the PayloadType of a codec that has no number of its own: the two
// sides agree on one from 96 to 127 (RFC 3551, section 3).
const Dynamic = -1

// A Decoder turns payload bytes into samples. It decodes as much of src as dst
// has room for and returns the number of samples written.
type Decoder interface {
	Decode(dst []int16, src []byte) int
}

// An Encoder turns samples into payload bytes. It encodes as much of src as
// dst has room for and returns the number of bytes written.
type Encoder interface {
	Encode(dst []byte, src []int16) int
}

// Codec is one row of the table. All are mono.
type Codec struct {
	// Name is the encoding name in SDP, which is case-insensitive.
	Name string
	// PayloadType is the static RTP payload type, or Dynamic.
	PayloadType int
	// ClockRate is the rate of RTP timestamps and of rtpmap in SDP, in Hz.
	// It need not be the SampleRate.
	ClockRate int
	// SampleRate of the PCM, in Hz.
	SampleRate int
	// NewDecoder and NewEncoder make the two ends of one stream. They keep
	// its state, and are not safe for concurrent use.
	NewDecoder func() Decoder
	NewEncoder func() Encoder
}

// All returns the table.
func All() []Codec {
	return []Codec{
		{
			Name: "L16", PayloadType: Dynamic, ClockRate: 16000, SampleRate: 16000,
			NewDecoder: func() Decoder { return linear{} },
			NewEncoder: func() Encoder { return linear{} },
		},
		{
			// The clock of G.722 is 8000 Hz by a mistake of the first RTP
			// profile that could not be undone (RFC 3551, section 4.5.2).
			Name: "G722", PayloadType: 9, ClockRate: 8000, SampleRate: 16000,
			NewDecoder: func() Decoder { return g722.NewDecoder() },
			NewEncoder: func() Encoder { return g722.NewEncoder() },
		},
	}
}

// ByName finds a codec by what stands in an rtpmap line: "G722/8000".
func ByName(name string, clockRate int) (Codec, bool) {
	for _, c := range All() {
		if c.ClockRate == clockRate && strings.EqualFold(c.Name, name) {
			return c, true
		}
	}
	return Codec{}, false
}

// ByPayloadType finds a codec by its static RTP payload type.
func ByPayloadType(pt int) (Codec, bool) {
	for _, c := range All() {
		if c.PayloadType == pt && pt != Dynamic {
			return c, true
		}
	}
	return Codec{}, false
}

// linear is L16, which has no state: PCM in network byte order.
type linear struct{}

func (linear) Decode(dst []int16, src []byte) int { return l16.DecodeBE(dst, src) }
func (linear) Encode(dst []byte, src []int16) int { return l16.EncodeBE(dst, src) }
