package rtpmedia

import "encoding/binary"

// A telephone event is sent as packets of its own payload type, each with all
// that is known of the press so far (RFC 4733, section 2.3):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     event     |E|R| volume    |          duration             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// They share the RTP timestamp of the beginning; the duration grows; the last
// one has E and is sent three times. A press that is longer than the duration
// can say goes on with the duration from 0 and a timestamp that is 0xffff
// later (section 2.5.1.3).
const (
	eventSize   = 4
	eventEnd    = 0x80
	eventVolume = 10 // -10 dBm0
	eventMost   = 0xffff
	endRepeats  = 3

	keys = "0123456789*#ABCD" // by event code (section 3.2)
)

// recalled presses, whose packets may still come late.
const recalled = 8

// Tones finds the presses in a stream of telephone events: each once, however
// many of its packets are lost, repeated or late, as long as one comes.
type Tones struct {
	presses [recalled]press // the newest first
	n       int
	stats   TonesStats
}

// press is one segment of a key's being held.
type press struct {
	timestamp uint32
	duration  uint16
	event     uint8
	ended     bool
}

// TonesStats count telephone events.
type TonesStats struct {
	// Packets of presses, and of these such that said nothing new.
	Packets, Repeated int64
	// Presses of keys.
	Presses int64
	// Malformed packets, and events that are no keys.
	Malformed, Unknown int64
}

// Take reads an event packet and returns the key ('0' to '9', '*', '#', 'A' to
// 'D') if it is the first of its press that came.
func (d *Tones) Take(p *Packet) (key byte, pressed bool) {
	if len(p.Payload) < eventSize {
		d.stats.Malformed++
		return 0, false
	}
	e := press{
		timestamp: p.Timestamp, event: p.Payload[0],
		ended: p.Payload[1]&eventEnd != 0, duration: binary.BigEndian.Uint16(p.Payload[2:]),
	}
	if int(e.event) >= len(keys) {
		d.stats.Unknown++
		return 0, false
	}
	d.stats.Packets++
	for i := range d.n {
		if k := &d.presses[i]; k.timestamp == e.timestamp {
			if e.duration <= k.duration && (k.ended || !e.ended) {
				d.stats.Repeated++
			}
			k.duration, k.ended = max(k.duration, e.duration), k.ended || e.ended
			return 0, false
		}
	}
	segment := d.continues(e, p.Marker)
	d.remember(e)
	if segment {
		return 0, false
	}
	d.stats.Presses++
	return keys[e.event], true
}

// continues reports whether e is a segment of a press that is known: the next
// one, or one before it that is late.
func (d *Tones) continues(e press, marker bool) bool {
	for _, k := range d.presses[:d.n] {
		if k.event != e.event {
			continue
		}
		ahead := e.timestamp - k.timestamp
		if !marker && !k.ended && (ahead == eventMost || ahead == uint32(k.duration) && ahead > 0) || -ahead == eventMost && !e.ended {
			return true
		}
	}
	return false
}

// remember puts e first, or in its place if it is late.
func (d *Tones) remember(e press) {
	d.n = min(d.n+1, recalled)
	i := 0
	for i < d.n-1 && int32(e.timestamp-d.presses[i].timestamp) < 0 {
		i++
	}
	copy(d.presses[i+1:d.n], d.presses[i:d.n-1])
	d.presses[i] = e
}

// Reset forgets the presses, for the stream of another source.
func (d *Tones) Reset() { d.n = 0 }

// Last returns the key of the newest press, how long it is or was held, in
// ticks of the stream's clock, and whether its end is known.
func (d *Tones) Last() (key byte, ticks uint32, ended bool) {
	if d.n == 0 {
		return 0, 0, false
	}
	k := d.presses[0]
	ticks = uint32(k.duration)
	for _, older := range d.presses[1:d.n] {
		if older.event == k.event && !older.ended && k.timestamp-older.timestamp == eventMost {
			ticks += eventMost
			k = older
		}
	}
	return keys[d.presses[0].event], ticks, d.presses[0].ended
}

// Stats returns the counters.
func (d *Tones) Stats() TonesStats { return d.stats }

// keyer sends presses, one packet in place of each 20 ms of audio.
type keyer struct {
	queue [MaxPresses]held
	n     int    // of queue
	step  uint32 // ticks of 20 ms

	active  bool
	start   uint32 // timestamp of the segment
	segment uint32 // ticks of the press before the segment
	spent   uint32 // ticks since the press began
	elapsed uint32 // of these, what the last packet told
	ends    int    // end packets that are still to be sent
	pause   uint32 // ticks of silence until the next press
}

// held is a press that is asked for.
type held struct {
	event byte
	ticks uint32
}

// pauseSteps of 20 ms keep two presses apart (ITU-T Q.24 asks for 40 ms or
// more between signals; the repeated ends come on top).
const pauseSteps = 3

func (k *keyer) press(event byte, ticks uint32) bool {
	if k.n == len(k.queue) {
		return false
	}
	k.queue[k.n] = held{event, ticks}
	k.n++
	return true
}

// next fills payload with the event's packet for the 20 ms that begin at ts.
// The packet bears the timestamp at. ok is false if audio is due.
func (k *keyer) next(ts uint32, payload *[eventSize]byte) (at uint32, marker, ok bool) {
	if k.pause > 0 {
		k.pause -= min(k.pause, k.step)
		return 0, false, false
	}
	if k.n == 0 {
		return 0, false, false
	}
	if !k.active {
		k.active, k.start, k.segment, k.spent, k.elapsed = true, ts, 0, 0, 0
		marker = true
	}
	h := k.queue[0]
	if k.ends == 0 {
		if k.elapsed-k.segment == eventMost { // the last packet said so
			k.start += eventMost
			k.segment = k.elapsed
		}
		k.spent += k.step
		k.elapsed = min(k.spent, h.ticks, k.segment+eventMost)
		if k.elapsed == h.ticks {
			k.ends = endRepeats
		}
	}
	payload[0], payload[1] = h.event, eventVolume
	if k.ends > 0 {
		payload[1] |= eventEnd
	}
	binary.BigEndian.PutUint16(payload[2:], uint16(k.elapsed-k.segment))
	at = k.start
	if k.ends == 1 {
		k.active, k.pause = false, pauseSteps*k.step
		k.n = copy(k.queue[:], k.queue[1:k.n])
	}
	k.ends = max(0, k.ends-1)
	return at, marker, true
}
