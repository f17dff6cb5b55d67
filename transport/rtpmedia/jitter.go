package rtpmedia

import "time"

// JitterConfig bounds a jitter buffer. The zero value suits a call.
type JitterConfig struct {
	// Min and Max bound the delay that the buffer adds to the fastest packet;
	// 0 means 20 and 300 ms. If they are equal the delay is fixed.
	Min, Max time.Duration
	// Start is the delay of the first second, when jitter is not known yet; 0
	// means 60 ms.
	Start time.Duration
	// Late is the fraction of packets that may come too late: the less, the
	// longer the delay. 0 means 0.005.
	Late float64
}

// Content says what a packet holds.
type Content uint8

const (
	// Audio is what the decoder takes.
	Audio Content = iota
	// Noise is a level of comfort noise (RFC 3389): silence begins.
	Noise
	// NoAudio takes a sequence number and no time, as telephone events do.
	NoAudio
)

const (
	// slots bounds how far apart the oldest and the newest packet may be.
	slots = 128
	// maxPayload in bytes; what is longer did not come over any network.
	maxPayload = 1500
	// incredible is a difference between two transits that no network makes,
	// in seconds: the sender's timestamps were restarted.
	incredible = 3
	// hopeless is how long, in ms, a sender's timestamps may stand still before
	// what comes next is a new beginning.
	hopeless = 500
)

// Jitter is a jitter buffer for one stream of any codec. Push puts packets in
// as they come; Pop, called when a decoder needs more audio, gives them out in
// order, each once, or says what to put in the place of what is not there.
// docs/JITTER.md explains when.
//
// Sequence numbers and timestamps are extended to 64 bits, so that nothing
// wraps. Times are in ticks of the stream's clock.
type Jitter struct {
	started bool
	playing bool
	ssrc    uint32
	head    int64 // sequence number of the next packet to be played
	newest  int64 // the highest that came
	dropped int64 // numbers before head that the ring had no room to wait for
	next    int64 // timestamp of the next tick to be played
	owed    int64 // ticks that were made up since the buffer ran dry, not settled yet
	dry     int64 // the same, and what packets that came too late settled
	last    int64 // ticks of the last packet that was played
	offset  int64 // at which it was

	// The newest packet of audio, from which timestamps are extended.
	refSeq int64
	refRaw uint32
	refTS  int64

	free  [][]byte // payload buffers that no slot holds
	stray slot     // a packet that may be the first of a restarted sender
	n     counters

	// What is large comes last, so that the rest is together.
	t    timing
	ring [slots]slot // by sequence number
}

type slot struct {
	seq     int64
	ts      int64
	arrival int64
	payload []byte
	raw     uint32 // timestamp on the wire
	ssrc    uint32
	state   state
	content Content
	marker  bool
}

type state uint8

const (
	empty   state = iota
	present       // holds a packet
	passed        // played, or late and counted
	missed        // its time came before it did
)

// NewJitter returns a buffer for a stream whose timestamps tick at clockRate
// Hz.
func NewJitter(clockRate int, cfg JitterConfig) *Jitter {
	b := &Jitter{}
	b.init(clockRate, cfg)
	return b
}

func (b *Jitter) init(clockRate int, cfg JitterConfig) {
	t := &b.t
	t.rate = ticker{rate: int64(clockRate)}
	ticks := func(d, zero time.Duration) int64 {
		if d <= 0 {
			d = zero
		}
		return t.rate.ticks(int64(d))
	}
	t.lower = ticks(cfg.Min, 20*time.Millisecond)
	t.upper = max(t.lower, ticks(cfg.Max, 300*time.Millisecond))
	t.start = max(t.lower, min(t.upper, ticks(cfg.Start, 60*time.Millisecond)))
	t.margin = ticks(5*time.Millisecond, 0)
	if t.late = cfg.Late; t.late <= 0 {
		t.late = 0.005
	}
	b.last = ticks(20*time.Millisecond, 0)
}

// Push takes a packet that came at now. It keeps nothing of p.
func (b *Jitter) Push(now int64, p *Packet, c Content) {
	b.n.received++
	if len(p.Payload) > maxPayload {
		b.n.oversize++
		return
	}
	arrival := b.t.rate.ticks(now)
	switch {
	case !b.started:
		b.begin(p)
	case p.SSRC != b.ssrc || b.strays(p):
		b.suspect(arrival, p, c)
		return
	case b.stray.state == present:
		b.release(&b.stray)
		b.n.stray++
	}
	b.put(arrival, p, c)
}

// begin makes p the first packet of a stream.
func (b *Jitter) begin(p *Packet) {
	b.started, b.playing, b.ssrc = true, false, p.SSRC
	b.head, b.newest, b.dropped, b.owed, b.dry = int64(p.Seq), int64(p.Seq), 0, 0, 0
	b.refSeq, b.refRaw, b.refTS = b.newest, p.Timestamp, int64(p.Timestamp)
	b.t.reset()
}

// extend returns the sequence number that p's is the end of.
func (b *Jitter) extend(p *Packet) int64 { return b.newest + int64(int16(p.Seq-uint16(b.newest))) }

// strays reports whether p's sequence number lies where no packet of the
// stream can.
func (b *Jitter) strays(p *Packet) bool {
	ahead := b.extend(p) - b.newest
	return ahead > maxDropout || ahead < -maxMisorder
}

// suspect holds a packet that does not belong. Two of them in a row, with none
// of the stream between, are a sender that was restarted (RFC 3550, appendix
// A.1).
func (b *Jitter) suspect(arrival int64, p *Packet, c Content) {
	s := &b.stray
	if s.state == present && s.ssrc == p.SSRC {
		switch d := int16(p.Seq - uint16(s.seq)); {
		case d == 0:
			b.n.duplicate++
			return
		case d > -8 && d < 8:
			b.restart(arrival, p, c)
			return
		}
	}
	if s.state == present {
		b.release(s)
		b.n.stray++
	}
	b.fill(s, arrival, p, c)
	s.seq = int64(p.Seq)
}

// restart forgets the stream for that of the stray and p.
func (b *Jitter) restart(arrival int64, p *Packet, c Content) {
	s := &b.stray
	first := Packet{Marker: s.marker, Seq: uint16(s.seq), Timestamp: s.raw, SSRC: s.ssrc, Payload: s.payload}
	b.n.missing += b.dropped + b.newest + 1 - b.head - b.n.buffered
	for i := range b.ring {
		if b.ring[i].state == present {
			b.take(&b.ring[i])
			b.n.restarted++
		}
		b.ring[i].state = empty
	}
	b.n.restarts++
	b.n.stretched += b.owed
	b.begin(&first)
	b.put(s.arrival, &first, s.content)
	b.release(s)
	b.put(arrival, p, c)
}

// put stores a packet of the stream.
func (b *Jitter) put(arrival int64, p *Packet, c Content) {
	seq := b.extend(p)
	if seq < b.head && !b.playing && b.n.played == 0 && b.newest-seq < slots {
		b.head = seq // the first packet to come was not the first to be sent
	}
	s := &b.ring[seq&(slots-1)]
	if seq < b.head {
		b.behind(s, seq, arrival, p, c)
		return
	}
	if seq-b.head >= slots {
		b.advance(seq - slots + 1)
	}
	if s.state == present {
		b.n.duplicate++
		return
	}
	b.fill(s, arrival, p, c)
	s.seq = seq
	s.ts = b.timestamp(seq, arrival, p, c)
	b.newest = max(b.newest, seq)
	b.n.buffered++
}

// behind counts a packet whose turn has passed.
func (b *Jitter) behind(s *slot, seq, arrival int64, p *Packet, c Content) {
	if s.seq == seq && s.state == passed {
		b.n.duplicate++
		return
	}
	if s.seq == seq && s.state == missed {
		s.state = passed
		b.n.found++
	}
	b.n.late++
	b.timestamp(seq, arrival, p, c)
	b.t.hurry()
}

// advance gives up on what is older than to, since the ring is too short to
// wait for it.
func (b *Jitter) advance(to int64) {
	for ; b.head < to; b.head++ {
		s := &b.ring[b.head&(slots-1)]
		if s.state != present || s.seq != b.head {
			s.seq, s.state = b.head, missed
			b.dropped++
			continue
		}
		b.next = s.ts + b.last
		b.take(s)
		b.n.overflow++
		b.n.missing += b.dropped
		b.dropped = 0
	}
}

func (b *Jitter) fill(s *slot, arrival int64, p *Packet, c Content) {
	if s.payload == nil {
		if n := len(b.free); n > 0 {
			s.payload, b.free = b.free[n-1], b.free[:n-1]
		}
	}
	s.payload = append(s.payload[:0], p.Payload...)
	s.arrival, s.raw, s.ssrc, s.marker = arrival, p.Timestamp, p.SSRC, p.Marker
	s.content, s.state = c, present
}

// release gives back a slot's payload buffer, whose content stays until the
// next packet is stored.
func (b *Jitter) release(s *slot) {
	b.free = append(b.free, s.payload)
	s.payload, s.state = nil, passed
}

// take is release for a packet of the ring.
func (b *Jitter) take(s *slot) {
	b.release(s)
	b.n.buffered--
}

// timestamp extends the timestamp of a packet and learns from when it came.
// Timestamps that contradict sequence numbers and arrival are those of a
// sender that restarted its clock, or never had one: they count on.
func (b *Jitter) timestamp(seq, arrival int64, p *Packet, c Content) int64 {
	ahead := int64(int32(p.Timestamp - b.refRaw))
	ts, packets := b.refTS+ahead, seq-b.refSeq
	if c == NoAudio {
		return ts
	}
	if !b.credible(packets, ahead, arrival-ts) {
		ts = b.refTS + packets*b.last
		b.n.jumps++
	}
	if packets > 0 {
		b.refSeq, b.refRaw, b.refTS = seq, p.Timestamp, ts
	}
	b.t.add(arrival - ts)
	return ts
}

func (b *Jitter) credible(packets, ahead, transit int64) bool {
	switch {
	case packets == 0 || ahead == packets*b.last:
		return true
	case (packets > 0) != (ahead > 0) || ahead == 0:
		return false
	case b.t.n == 0:
		return true
	}
	d := transit - b.t.fastest
	most := incredible * b.t.rate.rate
	return d < most && d > -most
}
