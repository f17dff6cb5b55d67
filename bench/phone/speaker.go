package phone

import (
	"encoding/binary"
	"slices"

	"github.com/pion/rtp"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine/pcm"
)

const (
	// endCopies is how often the end of an event is said again, a slot apart
	// (RFC 4733, section 2.5.1.4).
	endCopies = 2
	// eventVolume in -dBm0, that of a key pressed (RFC 4733, section 2.3.4).
	eventVolume = 10
	endBit      = 0x80
	maxPayload  = 1500
)

// speaker turns the slots of a script into packets. It knows no clock; slots
// are asked for in order. It is never more than a few of them ahead: a call that
// may last an hour is mostly hung up before.
type speaker struct {
	// Static after construction.
	cfg   Config
	codec codec.Codec
	tick  uint32 // timestamp units of a slot

	encoder codec.Encoder
	next    uint16 // sequence number
	paused  bool   // no audio was sent in the slot before

	// For codecs of another rate than 16 kHz.
	rate  *resample.Resampler
	fed   int     // slots
	delay int     // samples of the result that are still to be left out
	ahead []int16 // at the codec's rate
}

func newSpeaker(cfg Config, row codec.Codec) (*speaker, error) {
	s := &speaker{
		cfg: cfg, codec: row, tick: uint32(row.ClockRate / 50),
		encoder: row.NewEncoder(), next: cfg.Sequence, paused: true,
	}
	if row.SampleRate != pcm.SampleRate {
		var err error
		if s.rate, err = resample.New(pcm.SampleRate, row.SampleRate); err != nil {
			return nil, err
		}
		s.delay = s.rate.Delay()
	}
	return s, nil
}

// spoken writes to dst what is said in a slot.
func (c Config) spoken(dst []int16, slot int) {
	dst = dst[:pcm.FrameSamples]
	clear(dst)
	for _, k := range c.Keys {
		if slot >= k.Slot && slot < k.end() {
			return
		}
	}
	clip := (len(c.Voice) + pcm.FrameSamples - 1) / pcm.FrameSamples
	at := slot - c.Start
	if clip == 0 || at < 0 || slot >= Slots(c.Duration) {
		return
	}
	round, within := at/(clip+c.Pause), at%(clip+c.Pause)
	if within < clip && (c.Loops == Forever || round <= c.Loops) {
		copy(dst, c.Voice[within*pcm.FrameSamples:])
	}
}

// coding returns what is coded in a slot, if heard is said in it. It is never
// asked twice for one.
func (s *speaker) coding(heard []int16) []int16 {
	if s.rate == nil {
		return heard
	}
	size := s.codec.SampleRate / 50
	var in, out [pcm.FrameSamples]int16
	for len(s.ahead) < size {
		s.cfg.spoken(in[:], s.fed)
		s.fed++
		n := s.rate.Process(out[:], in[:])
		skip := min(n, s.delay)
		s.delay -= skip
		s.ahead = append(s.ahead, out[skip:n]...)
	}
	now := slices.Clone(s.ahead[:size])
	s.ahead = append(s.ahead[:0], s.ahead[size:]...)
	return now
}

// convert resamples a whole signal; sample 0 stays where it was.
func convert(from, to int, samples []int16) ([]int16, error) {
	r, err := resample.New(from, to)
	if err != nil {
		return nil, err
	}
	out := make([]int16, r.Size(len(samples))+r.Delay())
	n := r.Process(out, samples)
	n += r.Flush(out[n:])
	return out[min(r.Delay(), n):n], nil
}

// packets returns what is sent in a slot: the audio or the key of the slot, and
// the end of a key that was released before.
func (s *speaker) packets(slot int) (out []rtp.Packet) {
	heard := make([]int16, pcm.FrameSamples)
	s.cfg.spoken(heard, slot)
	coding := s.coding(heard)
	for _, k := range s.cfg.Keys {
		switch {
		case slot >= k.Slot && slot < k.end():
			s.paused = true
			return append(out, s.key(k, slot-k.Slot+1))
		case slot >= k.end() && slot < k.end()+endCopies:
			out = append(out, s.key(k, k.end()-k.Slot))
		}
	}
	if s.cfg.OmitSilence && !slices.ContainsFunc(heard, func(x int16) bool { return x != 0 }) {
		s.paused = true
		return out
	}
	payload := make([]byte, maxPayload)
	n := s.encoder.Encode(payload, coding)
	if n == 0 {
		s.paused = true
		return out
	}
	p := s.packet(s.cfg.PayloadType, slot, payload[:n])
	p.Marker = s.paused
	s.paused = false
	return append(out, p)
}

// key is one packet of an event that has lasted some slots. All of them have
// the timestamp of its beginning, and the first is marked (RFC 4733, section
// 2.5.1.2).
func (s *speaker) key(k Key, lasted int) rtp.Packet {
	payload := []byte{k.event(), eventVolume, 0, 0}
	if k.Slot+lasted == k.end() {
		payload[1] |= endBit
	}
	binary.BigEndian.PutUint16(payload[2:], uint16(uint32(lasted)*s.tick))
	p := s.packet(s.cfg.EventType, k.Slot, payload)
	p.Marker = lasted == 1
	return p
}

func (s *speaker) packet(payloadType uint8, slot int, payload []byte) rtp.Packet {
	p := rtp.Packet{
		Header: rtp.Header{
			Version: 2, PayloadType: payloadType, SequenceNumber: s.next,
			Timestamp: s.timestamp(slot), SSRC: s.cfg.SSRC,
		},
		Payload: payload,
	}
	s.next++
	return p
}

func (s *speaker) timestamp(slot int) uint32 { return s.cfg.Timestamp + uint32(slot)*s.tick }

// said is what a perfect receiver of the codec's band would have heard in the
// first slots.
func (s *speaker) said(slots int) ([]int16, error) {
	out := make([]int16, slots*pcm.FrameSamples)
	for slot := range slots {
		s.cfg.spoken(out[slot*pcm.FrameSamples:], slot)
	}
	if s.rate == nil {
		return out, nil
	}
	narrow, err := convert(pcm.SampleRate, s.codec.SampleRate, out)
	if err != nil {
		return nil, err
	}
	return convert(s.codec.SampleRate, pcm.SampleRate, narrow)
}
