// Package codec is the table of the codecs that RTP can carry here, by the
// names and numbers that SDP calls them. The codecs themselves are the
// packages below; resample and wav are their neighbours.
//
// It does arithmetic on slices and nothing else: no clock, no I/O, no state
// but that of the decoders and encoders it makes.
package codec

import (
	"strconv"
	"strings"

	"github.com/mixminus/mixminus/codec/g711"
	"github.com/mixminus/mixminus/codec/g722"
	"github.com/mixminus/mixminus/codec/l16"
	"github.com/mixminus/mixminus/codec/opus"
)

// Dynamic is the PayloadType of a codec that has no number of its own: the two
// sides agree on one from 96 to 127 (RFC 3551, section 3).
const Dynamic = -1

// A Decoder turns payload bytes into samples. It decodes as much of src as dst
// has room for and returns the number of samples written: 0 for what is no
// payload of its codec. Opus decodes a payload whole or not at all, so dst
// should have room for the Samples of the Codec.
type Decoder interface {
	Decode(dst []int16, src []byte) int
}

// A Concealer is a Decoder that can fill in for payloads that did not come; it
// is then given every payload of its stream in order, or asked to conceal it.
// Other Decoders know nothing of loss, and leave it to their caller to invent
// something that fits.
type Concealer interface {
	// Conceal writes to dst what may have been said, and returns the number of
	// samples written: len(dst), rounded down to a whole number of 2.5 ms.
	Conceal(dst []int16) int
}

// A FECDecoder is a Decoder whose payloads may carry a coarse copy of the one
// before (forward error correction), for the case that it is lost.
type FECDecoder interface {
	// DecodeFEC writes to dst what next, the payload after a lost one, carries
	// of the lost one, and returns the number of samples written: the end of
	// what was lost. If next carries no such copy, or it does not fit dst, that
	// is 0 and nothing has happened. Decode of next itself comes after it.
	DecodeFEC(dst []int16, next []byte) int
}

// An Encoder turns samples into payload bytes. It encodes as much of src as
// dst has room for and returns the number of bytes written. Opus makes one
// payload of src, which must be 10, 20, 40 or 60 ms, and may find that there is
// nothing to be sent: 0.
type Encoder interface {
	Encode(dst []byte, src []int16) int
}

// Codec is one row of the table. All PCM is mono.
type Codec struct {
	// Name is the encoding name in SDP, which is case-insensitive.
	Name string
	// PayloadType is the static RTP payload type, or Dynamic.
	PayloadType int
	// ClockRate is the rate of RTP timestamps and of rtpmap in SDP, in Hz.
	// It need not be the SampleRate.
	ClockRate int
	// Channels stands in rtpmap where it is not 1. It says nothing of the PCM.
	Channels int
	// SampleRate of the PCM, in Hz.
	SampleRate int
	// Samples returns how many samples a payload decodes to, without decoding
	// it; 0 if it cannot be one.
	Samples func(payload []byte) int
	// NewDecoder and NewEncoder make the two ends of one stream. They keep
	// its state, and are not safe for concurrent use. The Decoder may be a
	// Concealer and a FECDecoder as well.
	NewDecoder func() Decoder
	NewEncoder func() Encoder
}

// All returns the table.
func All() []Codec {
	return []Codec{
		{
			Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1, SampleRate: 8000,
			Samples:    func(payload []byte) int { return len(payload) },
			NewDecoder: func() Decoder { return ulaw{} },
			NewEncoder: func() Encoder { return ulaw{} },
		},
		{
			Name: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1, SampleRate: 8000,
			Samples:    func(payload []byte) int { return len(payload) },
			NewDecoder: func() Decoder { return alaw{} },
			NewEncoder: func() Encoder { return alaw{} },
		},
		{
			// The clock of G.722 is 8000 Hz by a mistake of the first RTP
			// profile that could not be undone (RFC 3551, section 4.5.2).
			Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1, SampleRate: 16000,
			Samples:    func(payload []byte) int { return g722.SamplesPerByte * len(payload) },
			NewDecoder: func() Decoder { return g722.NewDecoder() },
			NewEncoder: func() Encoder { return g722.NewEncoder() },
		},
		{
			Name: "L16", PayloadType: Dynamic, ClockRate: 16000, Channels: 1, SampleRate: 16000,
			Samples:    func(payload []byte) int { return len(payload) / l16.BytesPerSample },
			NewDecoder: func() Decoder { return linear{} },
			NewEncoder: func() Encoder { return linear{} },
		},
		{
			// Whatever is sent: the clock is that of the highest rate there is,
			// and the channels are two (RFC 7587, section 7).
			Name: "opus", PayloadType: Dynamic, ClockRate: 48000, Channels: 2, SampleRate: opus.SampleRate,
			Samples:    opus.Samples,
			NewDecoder: func() Decoder { return opus.NewDecoder() },
			NewEncoder: newOpus,
		},
	}
}

// RTPMap returns what SDP's rtpmap says after the payload type: "PCMU/8000",
// "opus/48000/2".
func (c Codec) RTPMap() string {
	s := c.Name + "/" + strconv.Itoa(c.ClockRate)
	if c.Channels > 1 {
		s += "/" + strconv.Itoa(c.Channels)
	}
	return s
}

// ByName finds a codec by what stands in an rtpmap line: "G722" and 8000.
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

// expectedLoss in percent, for which opus makes its copies good enough.
const expectedLoss = 10

// Agreed returns the codec with what its receiver said that it takes of opus:
// copies of the packet before (FEC), and nothing in place of silence (DTX).
// Other codecs have neither.
func (c Codec) Agreed(fec, dtx bool) Codec {
	if c.Name != "opus" || !fec && !dtx {
		return c
	}
	c.NewEncoder = func() Encoder {
		e, err := opus.NewEncoder(opus.EncoderConfig{FEC: fec, DTX: dtx, Loss: expectedLoss})
		if err != nil {
			panic(err) // these are valid
		}
		return e
	}
	return c
}

// newOpus makes an encoder of the defaults: FEC and DTX are for those who have
// agreed on them, by opus.NewEncoder.
func newOpus() Encoder {
	e, err := opus.NewEncoder(opus.EncoderConfig{})
	if err != nil {
		panic(err) // the zero value is valid
	}
	return e
}

// ulaw and alaw are G.711, and linear is L16, PCM in network byte order. They
// have no state.
type (
	ulaw   struct{}
	alaw   struct{}
	linear struct{}
)

func (ulaw) Decode(dst []int16, src []byte) int { return g711.DecodeUlaw(dst, src) }
func (ulaw) Encode(dst []byte, src []int16) int { return g711.EncodeUlaw(dst, src) }

func (alaw) Decode(dst []int16, src []byte) int { return g711.DecodeAlaw(dst, src) }
func (alaw) Encode(dst []byte, src []int16) int { return g711.EncodeAlaw(dst, src) }

func (linear) Decode(dst []int16, src []byte) int { return l16.DecodeBE(dst, src) }
func (linear) Encode(dst []byte, src []int16) int { return l16.EncodeBE(dst, src) }
