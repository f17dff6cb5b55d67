package cloud

import (
	"strings"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/pion/rtp"
)

const (
	// maxHeld is how many packets are held back for one that is missing: 60 ms
	// of usual ones.
	maxHeld = 3
	// maxFilled is the longest gap that is filled, in samples: a longer one is
	// a pause to whoever listens.
	maxFilled = pcm.SampleRate / 5
	// maxDecoded is the longest packet there is: 120 ms of Opus.
	maxDecoded = pcm.SampleRate * 12 / 100
	// farOff is a step of sequence numbers that no network makes: the sender
	// has begun anew.
	farOff = 3000
)

// RTPLog counts the packets of what came over WebRTC.
type RTPLog struct {
	Received int64 `json:"received"`
	// Lost packets did not come, or too late; Late ones came so, or twice.
	Lost int64 `json:"lost"`
	Late int64 `json:"late"`
	// Filled samples stand where a lost packet's should.
	Filled int64 `json:"filled,omitempty"`
	// Malformed packets are none of a codec that was agreed on.
	Malformed int64 `json:"malformed,omitempty"`
}

// rtpIn puts a stream's packets into their order and decodes them: a jitter
// buffer of the simplest kind, which knows no time. What it returns is heard as
// it comes, by playout or microphone. It is sans-IO.
type rtpIn struct {
	payloads map[uint8]payloadType
	log      RTPLog

	begun    bool
	next     uint16 // sequence number that is due
	expected uint32 // timestamp that is due
	held     map[uint16]*rtp.Packet
	using    uint8 // payload type of the decoder
	decoder  codec.Decoder
	up       *resample.Resampler // to 16 kHz, nil at 16 kHz
	pressed  uint32              // timestamp of the last event
	anyPress bool
	raw      [maxDecoded]int16
}

// payloadType is what a number stands for: a codec, or telephone events.
type payloadType struct {
	codec codec.Codec
	event bool
}

// drain returns what was counted since the last time.
func (r *rtpIn) drain() RTPLog {
	l := r.log
	r.log = RTPLog{}
	return l
}

func (l *RTPLog) add(m RTPLog) {
	l.Received += m.Received
	l.Lost += m.Lost
	l.Late += m.Late
	l.Filled += m.Filled
	l.Malformed += m.Malformed
}

// rtpHeard is what packets brought: samples at 16 kHz, and keys.
type rtpHeard struct {
	samples []int16
	keys    []string
}

func newRTPIn(payloads map[uint8]payloadType) *rtpIn {
	return &rtpIn{payloads: payloads, held: map[uint16]*rtp.Packet{}}
}

// push takes a packet as the network brought it, and keeps it.
func (r *rtpIn) push(p *rtp.Packet) (h rtpHeard) {
	if _, known := r.payloads[p.PayloadType]; !known {
		r.log.Malformed++
		return h
	}
	r.log.Received++
	ahead := int(int16(p.SequenceNumber - r.next))
	if !r.begun || ahead > farOff || ahead < -farOff {
		r.begun, r.next, r.expected = true, p.SequenceNumber, p.Timestamp
		clear(r.held)
		ahead = 0
	}
	if _, twice := r.held[p.SequenceNumber]; ahead < 0 || twice {
		r.log.Late++
		return h
	}
	r.held[p.SequenceNumber] = p
	for len(r.held) > 0 {
		if first := r.held[r.next]; first != nil {
			delete(r.held, r.next)
			r.take(first, &h)
		} else if len(r.held) <= maxHeld {
			break
		} else {
			r.skip(&h)
		}
	}
	return h
}

// skip gives up what is missing before the first packet that is held, and fills
// the gap.
func (r *rtpIn) skip(h *rtpHeard) {
	for r.held[r.next] == nil {
		r.next++
		r.log.Lost++
	}
	p := r.held[r.next]
	t := r.payloads[p.PayloadType]
	if t.event || r.decoder == nil || p.PayloadType != r.using {
		return
	}
	gap := int64(int32(p.Timestamp-r.expected)) * pcm.SampleRate / int64(t.codec.ClockRate)
	if gap <= 0 || gap > maxFilled {
		return
	}
	r.log.Filled += gap
	fill := make([]int16, gap*int64(t.codec.SampleRate)/pcm.SampleRate)
	if c, ok := r.decoder.(codec.Concealer); ok {
		c.Conceal(fill)
	}
	h.samples = append(h.samples, r.to16(fill)...)
}

// take decodes the packet whose turn it is.
func (r *rtpIn) take(p *rtp.Packet, h *rtpHeard) {
	r.next++
	t := r.payloads[p.PayloadType]
	if t.event {
		r.event(p, h)
		return
	}
	if r.decoder == nil || p.PayloadType != r.using {
		r.using, r.decoder, r.up = p.PayloadType, t.codec.NewDecoder(), nil
		if t.codec.SampleRate != pcm.SampleRate {
			r.up = mustResample(t.codec.SampleRate, pcm.SampleRate)
		}
	}
	n := r.decoder.Decode(r.raw[:], p.Payload)
	r.expected = p.Timestamp + uint32(n*t.codec.ClockRate/t.codec.SampleRate)
	h.samples = append(h.samples, r.to16(r.raw[:n])...)
}

func (r *rtpIn) to16(samples []int16) []int16 {
	if r.up == nil {
		return samples
	}
	out := make([]int16, r.up.Size(len(samples)))
	return out[:r.up.Process(out, samples)]
}

// eventKeys are the events of RFC 4733 that are keys, in their order.
const eventKeys = "0123456789*#ABCD"

// event notes a key at the first of its packets that comes; the others bear
// the same timestamp.
func (r *rtpIn) event(p *rtp.Packet, h *rtpHeard) {
	if len(p.Payload) < 4 || int(p.Payload[0]) >= len(eventKeys) {
		r.log.Malformed++
		return
	}
	if r.anyPress && p.Timestamp == r.pressed {
		return
	}
	r.anyPress, r.pressed = true, p.Timestamp
	h.keys = append(h.keys, eventKeys[p.Payload[0]:][:1])
}

// eventOf is a key's number.
func eventOf(key string) uint8 { return uint8(max(0, strings.Index(eventKeys, strings.ToUpper(key)))) }
