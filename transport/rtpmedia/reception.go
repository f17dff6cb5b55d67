package rtpmedia

import "github.com/mixminus/mixminus/engine/pcm"

// What RFC 3550 calls a jump of the sequence number, and a packet that is too
// old to be of this stream (appendix A.1).
const (
	maxDropout  = 3000
	maxMisorder = 100
)

// Reception counts what a receiver reports of one stream (RFC 3550, section
// 6.4 and appendices A.1, A.3, A.8). It counts on the wire: a packet that came
// too late to be heard was received.
type Reception struct {
	rate ticker

	started  bool
	ssrc     uint32
	base     uint32 // first sequence number, extended
	highest  uint32 // extended by its wraps
	jumpTo   uint32 // the number that would make the last jump a restart
	received uint32
	jitter   uint32 // in 1/16 tick
	transit  uint32 // arrival less timestamp of the last packet, in ticks
	last     uint32 // its timestamp

	expectedPrior, receivedPrior uint32 // at the last report

	lastSR   uint32
	lastSRAt int64
}

// NewReception counts a stream whose timestamps tick at clockRate Hz.
func NewReception(clockRate int) *Reception { return &Reception{rate: ticker{rate: int64(clockRate)}} }

// Take counts a packet of the stream, a duplicate too. Another SSRC than the
// last begins anew: the caller decides who may.
func (r *Reception) Take(now int64, p *Packet) {
	seq := uint32(p.Seq)
	if !r.started || p.SSRC != r.ssrc {
		*r = Reception{rate: r.rate, started: true, ssrc: p.SSRC, base: seq, highest: seq, jumpTo: none}
	} else if !r.follow(seq) {
		return
	}
	r.received++
	transit := uint32(r.rate.ticks(now)) - p.Timestamp
	if r.received > 1 && p.Timestamp != r.last { // one of an event's packets is enough
		d := int32(transit - r.transit)
		r.jitter += uint32(max(d, -d)) - (r.jitter+8)>>4
	}
	r.transit, r.last = transit, p.Timestamp
}

// none is no sequence number.
const none = 1 << 16

// follow extends a sequence number and reports whether the packet counts.
func (r *Reception) follow(seq uint32) bool {
	ahead := (seq - r.highest) & 0xffff
	switch {
	case ahead < maxDropout:
		r.highest += ahead
	case ahead <= none-maxMisorder:
		if seq != r.jumpTo {
			r.jumpTo = (seq + 1) & 0xffff
			return false
		}
		// Two in a row: the sender was restarted.
		r.base, r.highest, r.received = seq, seq, 0
		r.expectedPrior, r.receivedPrior = 0, 0
	}
	r.jumpTo = none
	return true
}

// TakeSR notes a sender report of the stream.
func (r *Reception) TakeSR(now int64, s SenderInfo) { r.lastSR, r.lastSRAt = middle(s.NTP), now }

// SSRC returns the stream's source, and whether there was one yet.
func (r *Reception) SSRC() (ssrc uint32, ok bool) { return r.ssrc, r.started }

// Lost returns how many packets were not received, as reports count them:
// negative if duplicates outweigh losses.
func (r *Reception) Lost() int64 { return int64(r.expected()) - int64(r.received) }

// Jitter returns the mean deviation of the packets' spacing (RFC 3550, section
// 6.4.1), in nanoseconds.
func (r *Reception) Jitter() int64 { return r.rate.nanos(int64(r.jitter)) >> 4 }

func (r *Reception) expected() uint32 {
	if !r.started {
		return 0
	}
	return r.highest - r.base + 1
}

// Report makes a block of what happened since the last one.
func (r *Reception) Report(now int64) ReportBlock {
	k := ReportBlock{SSRC: r.ssrc, Lost: int32(max(-1<<23, min(1<<23-1, r.Lost()))), Highest: r.highest, Jitter: r.jitter >> 4}
	expected, received := int64(r.expected()-r.expectedPrior), int64(r.received-r.receivedPrior)
	r.expectedPrior, r.receivedPrior = r.expected(), r.received
	if lost := expected - received; expected > 0 && lost > 0 {
		k.Fraction = uint8(min(255, lost<<8/expected))
	}
	if r.lastSRAt != 0 {
		k.LastSR = r.lastSR
		const most = 1<<32 - 1
		k.Delay = uint32(min(most, (now-r.lastSRAt)/1000*65536/1e6))
	}
	return k
}

const frameNanos = int64(pcm.FrameDuration)

// ticker converts between nanoseconds and ticks of a clock.
type ticker struct{ rate int64 }

// ticks of a time on the local clock: exact, so that nothing adds up.
func (t ticker) ticks(nanos int64) int64 {
	return nanos/1e9*t.rate + nanos%1e9*t.rate/1e9
}

func (t ticker) nanos(ticks int64) int64 {
	return ticks/t.rate*1e9 + ticks%t.rate*1e9/t.rate
}
