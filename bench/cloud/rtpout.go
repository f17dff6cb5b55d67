package cloud

import (
	"math/rand/v2"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/pion/rtp"
)

const (
	// keySlots is how long a key is held, and keyPause what must lie between
	// two: a receiver may want 40 ms of each.
	keySlots = 5
	keyPause = 3
	// maxPayload is that of 20 ms of any codec.
	maxPayload = 1275
)

// rtpOut makes packets of slots of 20 ms: audio, or the event of a key in its
// place (RFC 4733). It is sans-IO.
type rtpOut struct {
	codec      codec.Codec
	pt         uint8
	eventPT    uint8 // of the codec's clock
	events     bool  // there is such a one
	encoder    codec.Encoder
	down       *resample.Resampler // from 16 kHz, nil at 16 kHz
	sequence   uint16
	base       uint32 // timestamp of slot 0
	keys       []string
	keySlot    int    // of the key that is held, or of the pause behind it
	keyStarted uint32 // its timestamp
}

func newRTPOut(c codec.Codec, pt uint8) *rtpOut {
	o := &rtpOut{codec: c, pt: pt, encoder: c.NewEncoder(), sequence: uint16(rand.Uint32()), base: rand.Uint32()}
	if c.SampleRate != pcm.SampleRate {
		o.down = mustResample(pcm.SampleRate, c.SampleRate)
	}
	return o
}

// press queues a key. False: the peer takes no events, or too many wait.
func (o *rtpOut) press(key string) bool {
	if !o.events || len(o.keys) >= maxKeys {
		return false
	}
	o.keys = append(o.keys, key)
	return true
}

// slot makes what is to be sent in a slot. The encoder gets all samples,
// whether they are sent or not.
func (o *rtpOut) slot(slot int, samples []int16) []*rtp.Packet {
	if o.down != nil {
		out := make([]int16, o.down.Size(len(samples)))
		samples = out[:o.down.Process(out, samples)]
	}
	payload := make([]byte, maxPayload)
	payload = payload[:o.encoder.Encode(payload, samples)]
	now := o.base + uint32(slot)*uint32(o.codec.ClockRate/50)
	if len(o.keys) > 0 {
		if held := o.hold(now); held != nil {
			return held
		}
	}
	if len(payload) == 0 {
		return nil
	}
	return []*rtp.Packet{o.packet(o.pt, now, false, payload)}
}

// hold is a slot of a key: nothing but the event goes out. In the pause behind
// it that is nil.
func (o *rtpOut) hold(now uint32) (packets []*rtp.Packet) {
	if o.keySlot >= keySlots {
		if o.keySlot++; o.keySlot == keySlots+keyPause {
			o.keys, o.keySlot = o.keys[1:], 0
		}
		return nil
	}
	if o.keySlot == 0 {
		o.keyStarted = now
	}
	o.keySlot++
	const volume, end = 10, 0x80
	lasted := uint16(o.keySlot * o.codec.ClockRate / 50)
	payload := []byte{eventOf(o.keys[0]), volume, byte(lasted >> 8), byte(lasted)}
	copies := 1
	if o.keySlot == keySlots { // the end must come through
		payload[1] |= end
		copies = 3
	}
	for range copies {
		packets = append(packets, o.packet(o.eventPT, o.keyStarted, o.keySlot == 1, payload))
	}
	return packets
}

func (o *rtpOut) packet(pt uint8, timestamp uint32, marker bool, payload []byte) *rtp.Packet {
	o.sequence++
	return &rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: marker, PayloadType: pt, SequenceNumber: o.sequence, Timestamp: timestamp},
		Payload: payload,
	}
}
