package rtpmedia

// Kind says what to do for an Item.
type Kind uint8

const (
	// Wait: nothing is played yet, or again; make silence.
	Wait Kind = iota
	// Play: decode Payload, and call Advance with its length.
	Play
	// Lost: a packet did not come in time; make audio in its place.
	Lost
	// Unsent: the sender sent nothing for this time; make silence, or noise.
	Unsent
	// Dry: nothing is there, and why is not known yet: treat it as Lost.
	Dry
	// Comfort: Payload tells the level of the noise for what is Unsent from
	// now on. It takes no time.
	Comfort
)

// Item is what comes next.
type Item struct {
	Kind Kind
	// Jump: what was to come before was thrown away; the join needs
	// smoothing.
	Jump bool
	// Ticks to be made, of the stream's clock; 0 for Play and Comfort.
	Ticks int
	// Payload of the packet to play. For Lost that of the packet behind the
	// lost one, if it is there, which may hold a poorer copy of it. It is
	// valid until the next Push.
	Payload []byte
	// Offset is by how many ticks a packet to play is behind its timestamp, on
	// no clock in particular: it is to be compared with Target.
	Offset int64
}

// Pop returns what is to be heard next, at time now. want is how many ticks
// the caller needs: no more is made up than that, but for a lost packet, which
// is made up whole.
func (b *Jitter) Pop(now int64, want int) Item {
	at := b.t.rate.ticks(now)
	want = max(want, 1)
	if !b.playing && !b.ready(at) {
		b.n.waited += int64(want)
		return Item{Kind: Wait, Ticks: want}
	}
	jump := false
	for {
		s := b.first()
		if s == nil {
			if b.owed == 0 {
				b.n.dried++
			}
			b.owed += int64(want)
			b.dry += int64(want)
			return Item{Kind: Dry, Ticks: want, Jump: jump}
		}
		missing, gap := s.seq-b.head+b.dropped, s.ts-b.next
		switch {
		case missing > 0:
			if n := b.lose(b.share(gap, missing)); n > 0 {
				return Item{Kind: Lost, Ticks: int(n), Payload: b.behindLost(s, missing, n), Jump: jump}
			}
		case gap > 0:
			if n := b.unsent(gap, int64(want), at-s.ts); n > 0 {
				return Item{Kind: Unsent, Ticks: int(n), Jump: jump}
			}
		case s.content == Noise:
			b.pass(s)
			b.n.control++
			return Item{Kind: Comfort, Payload: s.held(b), Jump: jump}
		case b.owed > 0 && b.dry > hopeless*b.t.rate.rate/1000:
			b.again()
			b.n.waited += int64(want)
			return Item{Kind: Wait, Ticks: want}
		case b.owed > 0 && at-s.ts-b.t.fastest > b.t.upper:
			// It cannot be played without exceeding the bound.
			b.n.late++
			b.n.found++
			b.take(s)
			s.state = missed
			dry := b.dry
			n := b.lose(b.last)
			b.dry = dry
			if n > 0 {
				return Item{Kind: Lost, Ticks: int(n), Jump: jump}
			}
		case b.owed == 0 && at-s.ts-b.t.fastest > b.t.upper+b.last:
			b.pass(s)
			b.n.backlog++
			jump = true
		default:
			return b.play(s, at, jump)
		}
	}
}

// rest lets time pass in which nobody asked what was to be heard.
func (b *Jitter) rest(ticks int64) {
	if !b.playing {
		b.n.waited += ticks
		return
	}
	b.owed += ticks
	b.dry += ticks
}

// ready reports whether playing may begin, and where.
func (b *Jitter) ready(at int64) bool {
	if b.t.n == 0 {
		return false
	}
	s := b.first()
	if s == nil || at-s.ts < b.t.target() {
		return false
	}
	b.n.missing += b.dropped
	for ; b.head < s.seq; b.head++ {
		m := &b.ring[b.head&(slots-1)]
		m.seq, m.state = b.head, missed
		b.n.missing++
	}
	b.playing, b.dropped = true, 0
	b.next, b.owed, b.dry = s.ts, 0, 0
	return true
}

// again begins anew with what is in the ring: the sender's timestamps did not
// follow the time that has passed.
func (b *Jitter) again() {
	b.n.stretched += b.owed
	b.owed, b.dry, b.playing = 0, 0, false
	b.n.resyncs++
	b.t.reset()
	for seq := b.head; seq <= b.newest; seq++ {
		if s := &b.ring[seq&(slots-1)]; s.state == present && s.seq == seq && s.content == Audio {
			b.t.add(s.arrival - s.ts)
		}
	}
}

// first returns the oldest packet of audio or noise. Packets without either
// go by when their turn comes.
func (b *Jitter) first() *slot {
	for seq := b.head; seq <= b.newest; seq++ {
		s := &b.ring[seq&(slots-1)]
		if s.state != present || s.seq != seq {
			continue
		}
		if s.content == NoAudio && seq == b.head && b.dropped == 0 {
			b.pass(s)
			b.n.control++
			continue
		}
		return s
	}
	return nil
}

// pass takes the packet at head.
func (b *Jitter) pass(s *slot) {
	b.take(s)
	b.head = s.seq + 1
	if s.content == Audio {
		b.next = s.ts + b.last
	}
}

// share is the time of one of the packets that are missing before a gap.
func (b *Jitter) share(gap, missing int64) int64 {
	return min(b.last, max(0, gap)/missing)
}

// lose gives up the packet at head, of so many ticks, and returns how many of
// them are still to be made.
func (b *Jitter) lose(ticks int64) int64 {
	if b.dropped > 0 {
		b.dropped--
	} else {
		s := &b.ring[b.head&(slots-1)]
		if s.seq != b.head || s.state != missed {
			s.seq, s.state = b.head, missed
		} else {
			s.state = passed // it came, too late
		}
		b.head++
	}
	b.n.missing++
	b.n.concealed += ticks
	b.next += ticks
	return ticks - b.settle(ticks)
}

// settle takes from what was made up while the buffer was dry.
func (b *Jitter) settle(ticks int64) int64 {
	n := min(ticks, b.owed)
	b.owed -= n
	b.dry -= n
	return n
}

// behindLost returns the payload of s if it directly follows a packet all of
// whose n ticks are to be made.
func (b *Jitter) behindLost(s *slot, missing, n int64) []byte {
	if missing != 1 || n != b.last || s.content != Audio {
		return nil
	}
	return s.payload
}

// unsent passes a gap that no sequence number is missing for, before a packet
// that would be played at offset now. Silence that would make it much too late
// is left out: nobody asked for long what was to be heard.
func (b *Jitter) unsent(gap, want, offset int64) int64 {
	n := b.settle(gap)
	if excess := offset + gap - n - b.t.target(); excess > 2*b.last {
		excess = min(excess, gap-n)
		gap -= excess
		b.next += excess
	}
	made := min(gap-n, want)
	b.next += n + made
	b.n.unsent += n + made
	return made
}

func (b *Jitter) play(s *slot, at int64, jump bool) Item {
	b.n.stretched += b.owed
	b.owed, b.dry = 0, 0
	b.offset = at - s.ts
	b.pass(s)
	b.n.played++
	return Item{Kind: Play, Payload: s.held(b), Jump: jump, Offset: b.offset}
}

// held returns the payload that s has just given back.
func (s *slot) held(b *Jitter) []byte { return b.free[len(b.free)-1] }

// Advance says how many ticks the packet lasts that Pop has just returned to
// be played.
func (b *Jitter) Advance(ticks int) {
	if ticks > 0 {
		b.next += int64(ticks) - b.last
		b.last = int64(ticks)
	}
}

// Target returns the Offset that packets should be played at.
func (b *Jitter) Target() int64 { return b.t.target() }
