package rtpmedia

import (
	"fmt"
	"strings"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine/pcm"
)

// OutboundConfig says what a stream carries. Sequence number and timestamp
// should begin at random (RFC 3550, section 5.1): randomness is the caller's.
type OutboundConfig struct {
	Codec       codec.Codec
	PayloadType uint8
	// EventType of telephone events, on the codec's clock; 0: none are sent.
	EventType uint8
	SSRC      uint32
	Seq       uint16
	Timestamp uint32
	// Slack is by how many ns a packet may leave before its time, for callers
	// whose turns of 20 ms do not come exactly: with half of that, one turn
	// sends one packet, however late the first was.
	Slack int64
	// Scratch may be shared with other streams; nil is one of its own.
	Scratch *Scratch
}

// catchUp is how late a tick may be and still be sent on its own time.
const catchUp = 3 * frameNanos

// Outbound is one sent stream: 20 ms frames in, packets out, one for each 20
// ms of an absolute schedule. Frames wait at the caller's, who has the queue:
// however many there are, they leave one at a time. Its encoder is made with the
// first of them: one of opus is larger than all the rest.
type Outbound struct {
	cfg       OutboundConfig
	rate      ticker
	encoder   codec.Encoder       // nil until something is said
	resampler *resample.Resampler // nil at 16 kHz
	keys      keyer
	scratch   *Scratch
	packet    Packet
	event     [eventSize]byte

	begun  bool
	due    int64  // when the next packet is to leave
	ts     uint32 // timestamp of the 20 ms that begin at due
	silent bool   // nothing was sent for the 20 ms before
	n      OutboundStats
}

// OutboundStats count what was sent.
type OutboundStats struct {
	// Packets, and Octets of payload, as sender reports tell.
	Packets int64 `json:"packets"`
	Octets  int64 `json:"octets"`
	// Events: packets of telephone events among them.
	Events int64 `json:"events"`
	// Silent ticks had nothing to send.
	Silent int64 `json:"silent"`
	// Skipped ticks passed before anybody asked for their packet.
	Skipped int64 `json:"skipped"`
}

// NewOutbound returns a stream. It fails if the codec's rates cannot be
// converted from 16 kHz.
func NewOutbound(cfg OutboundConfig) (*Outbound, error) {
	c := cfg.Codec
	if c.NewEncoder == nil || c.ClockRate < 50 || cfg.PayloadType > 127 {
		return nil, fmt.Errorf("rtpmedia: codec %q with a clock of %d Hz as payload type %d cannot be sent", c.Name, c.ClockRate, cfg.PayloadType)
	}
	o := &Outbound{
		cfg: cfg, rate: ticker{rate: int64(c.ClockRate)},
		scratch: cfg.Scratch, ts: cfg.Timestamp, silent: true,
	}
	if o.scratch == nil {
		o.scratch = &Scratch{}
	}
	o.packet = Packet{SSRC: cfg.SSRC, Seq: cfg.Seq}
	o.keys.step = o.step()
	if c.SampleRate != pcm.SampleRate {
		r, err := resample.New(pcm.SampleRate, c.SampleRate)
		if err != nil {
			return nil, fmt.Errorf("rtpmedia: codec %s: %w", c.Name, err)
		}
		o.resampler = r
	}
	return o, nil
}

// step is 20 ms in ticks.
func (o *Outbound) step() uint32 { return uint32(o.cfg.Codec.ClockRate / 50) }

// MaxPresses that wait to be sent.
const MaxPresses = 32

// Press queues a key ('0' to '9', '*', '#', 'A' to 'D') to be held for d ns, at
// least 40 ms. It is sent in place of audio. It fails if the key is none, no
// type of event was agreed on, or MaxPresses are waiting.
func (o *Outbound) Press(key byte, d int64) error {
	if err := o.CheckPress(key, d); err != nil {
		return err
	}
	ticks := uint32(o.rate.ticks(max(d, 2*frameNanos)))
	if !o.keys.press(byte(strings.IndexByte(keys, key)), ticks) {
		return fmt.Errorf("rtpmedia: key %c: %d are waiting", key, MaxPresses)
	}
	return nil
}

// CheckPress tells why Press would refuse a key even if none waited, nil if it
// would not. It may be called from any goroutine.
func (o *Outbound) CheckPress(key byte, d int64) error {
	switch {
	case strings.IndexByte(keys, key) < 0:
		return fmt.Errorf("rtpmedia: %q is no key: want one of %s", key, keys)
	case o.cfg.EventType == 0:
		return fmt.Errorf("rtpmedia: key %c: the peer takes no telephone events", key)
	case d > 3600e9:
		return fmt.Errorf("rtpmedia: key %c: held for %d ns: want at most an hour", key, d)
	}
	return nil
}

// Pressing returns how many keys are not sent to their end yet.
func (o *Outbound) Pressing() int { return o.keys.n }

// Due returns when Next has something to do, 0 before the first time.
func (o *Outbound) Due() int64 {
	if !o.begun {
		return 0
	}
	return o.due - o.cfg.Slack
}

// Next appends the packet of the 20 ms that are due at now, with the audio of
// frame, which is used up; nil if there is none. ok is false if there is no
// packet: nothing is due yet, which leaves frame alone, or there was nothing to
// send, so that the timestamp passes over the silence. It is to be called until
// Due is later than now: after a delay of its caller of up to 60 ms each tick is still sent
// with its own timestamp, in a row; after a longer one what passed is skipped.
//
// The first packet, and the first after silence, has the marker bit (RFC 3551,
// section 4.1).
func (o *Outbound) Next(now int64, dst []byte, frame *[pcm.FrameSamples]int16) (b []byte, ok bool) {
	if !o.begun {
		o.begun, o.due = true, now
	}
	if now < o.due-o.cfg.Slack {
		return dst, false
	}
	if late := (now - o.due) / frameNanos; late*frameNanos > catchUp {
		o.n.Skipped += late
		o.due += late * frameNanos
		o.ts += uint32(late) * o.step()
		o.silent = true
	}
	at := o.ts
	o.due += frameNanos
	o.ts += o.step()
	if ts, marker, ok := o.keys.next(at, &o.event); ok {
		o.silent = true // for the audio that follows
		o.n.Events++
		return o.send(dst, ts, o.cfg.EventType, marker, o.event[:]), true
	}
	if frame == nil {
		o.n.Silent++
		o.silent = true
		return dst, false
	}
	payload := o.encode(frame)
	if len(payload) == 0 { // the encoder chose to send nothing (DTX)
		o.n.Silent++
		o.silent = true
		return dst, false
	}
	marker := o.silent
	o.silent = false
	return o.send(dst, at, o.cfg.PayloadType, marker, payload), true
}

func (o *Outbound) encode(frame *[pcm.FrameSamples]int16) []byte {
	x := frame[:]
	if o.encoder == nil {
		o.encoder = o.cfg.Codec.NewEncoder()
	}
	if o.resampler != nil {
		raw := o.scratch.samples(o.cfg.Codec.SampleRate/50 + 1)
		x = raw[:o.resampler.Process(raw, x)]
	}
	payload := o.scratch.payload[:]
	return payload[:o.encoder.Encode(payload, x)]
}

func (o *Outbound) send(dst []byte, ts uint32, payloadType uint8, marker bool, payload []byte) []byte {
	p := &o.packet
	p.Marker, p.PayloadType, p.Timestamp, p.Payload = marker, payloadType, ts, payload
	dst = p.Append(dst)
	p.Seq++
	o.n.Packets++
	o.n.Octets += int64(len(payload))
	return dst
}

// Sender returns what a sender report says at now, unix in ns since 1970: the
// timestamp is the one that a sample of now would bear.
func (o *Outbound) Sender(now, unix int64) SenderInfo {
	s := SenderInfo{NTP: NTP(unix), RTP: o.ts, Packets: uint32(o.n.Packets), Octets: uint32(o.n.Octets)}
	if o.begun {
		s.RTP += uint32(o.rate.ticks(now - o.due))
	}
	return s
}

// SSRC of the stream.
func (o *Outbound) SSRC() uint32 { return o.cfg.SSRC }

// Stats returns the counters.
func (o *Outbound) Stats() OutboundStats { return o.n }

// String tells what the stream is made of.
func (o *Outbound) String() string {
	c := o.cfg.Codec
	s := "PCM16K -> "
	if o.resampler != nil {
		s += fmt.Sprintf("Resample(%d) -> ", c.SampleRate)
	}
	return s + fmt.Sprintf("%s/%d -> RTP(%d)", c.Name, c.ClockRate, o.cfg.PayloadType)
}
