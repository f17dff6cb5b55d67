package engine

import "github.com/mixminus/mixminus/engine/pcm"

const (
	slotNanos   = int64(pcm.FrameDuration)
	sampleNanos = slotNanos / pcm.FrameSamples // 62,500 ns, exact

	// rewindNanos: a wire clock that goes back further than this was
	// restarted, so the speaker gets a new epoch.
	rewindNanos = int64(1e9)
	// leadSamples bounds how far a wire timestamp may run ahead of the
	// arrival clock before it is not believed: untrusted input must not be
	// able to place audio years away.
	leadSamples = 60 * pcm.SampleRate
	leadSlots   = leadSamples / pcm.FrameSamples
	// maxOutages remembered per leg; further ones extend the last.
	maxOutages = 256
)

// legClock is what the placers of one leg share. It and the placers are
// owned by the producing goroutine; neither reads a clock.
type legClock struct {
	wireKnown bool
	wireEpoch int64 // wire time of sample 0, ns
	arrival   int64 // arrival time of sample 0, ns
	end       int64 // end of the furthest placed chunk, in samples
	outages   []outage
	reopened  int // connections after the first
}

// outage is the span between two connections, in samples: from the end of
// what the old one delivered to the first chunk that the new one did. open
// until that came.
type outage struct {
	from, to int64
	open     bool
}

// reconnected notes that a new connection takes over.
func (c *legClock) reconnected() {
	c.reopened++
	n := len(c.outages)
	switch {
	case n > 0 && c.outages[n-1].open:
	case n == maxOutages:
		c.outages[n-1].open = true
	default:
		c.outages = append(c.outages, outage{from: c.end, open: true})
	}
}

// closeOutage ends an open outage at pos.
func (c *legClock) closeOutage(pos int64) {
	if n := len(c.outages); n > 0 && c.outages[n-1].open {
		c.outages[n-1].to = max(pos, c.outages[n-1].from)
		c.outages[n-1].open = false
	}
}

// lost returns how many samples of the jump [from, to) fell between two
// connections.
func (c *legClock) lost(from, to int64) int64 {
	var n int64
	for i := len(c.outages) - 1; i >= 0; i-- {
		o := c.outages[i]
		if o.to <= from {
			break
		}
		n += max(0, min(to, o.to)-max(from, o.from))
	}
	return n
}

// placer gives one speaker's chunks their positions on the leg's clock
// (docs/ARCHITECTURE.md, "Placement"). ACS has no sequence numbers, only a
// millisecond timestamp: a timestamp within slack of the expected one is the
// next chunk, one further ahead jumps whole slots, and one that is missing,
// repeated or back counts on.
type placer struct {
	slack    int64 // ns
	started  bool
	reopened int   // legClock.reopened at the last chunk
	epoch    int64 // wire time of sample 0 for this speaker, ns
	bias     int64 // what rounding the last jump to whole slots left over, ns
	pos      int64 // next sample
}

// placed says where a chunk goes.
type placed struct {
	jump      int64 // samples between the last chunk and this one
	lost      int64 // of these, between two connections
	deviation int64 // wire timestamp less expected one, ns
	free      bool  // counted on: the timestamp was not usable
}

// place returns where a chunk begins that arrived at arrival (ns) with wire
// timestamp ts (ns, if hasTS), and moves the placer there; the caller then
// advances it by the chunk's length.
func (p *placer) place(c *legClock, ts int64, hasTS bool, arrival int64) placed {
	hasTS = hasTS && usable(ts)
	if !c.wireKnown && hasTS {
		c.wireKnown = true
		c.wireEpoch = ts - roundSlots(arrival-c.arrival)*slotNanos
	}
	var r placed
	to := p.pos
	resumed := p.reopened < c.reopened
	switch {
	case !p.started:
		to = p.first(c, ts, hasTS, arrival)
	case hasTS:
		to, r.deviation, r.free = p.follow(ts)
	default:
		r.free = true
		if resumed {
			to = max(p.pos, roundSlots(arrival-c.arrival)*pcm.FrameSamples)
		}
	}
	if limit := (arrival-c.arrival)/sampleNanos + leadSamples; to > max(limit, p.pos) {
		to, r.free, p.bias = p.pos, true, 0
		p.epoch = ts - to*sampleNanos
	}
	c.closeOutage(to)
	if p.started && to > p.pos {
		r.jump = to - p.pos
		if resumed {
			r.lost = c.lost(p.pos, to)
		}
	}
	p.reopened, p.started, p.pos = c.reopened, true, to
	return r
}

// usable says whether a wire timestamp lies between 1970 and 2116, so that the
// difference of two cannot overflow.
func usable(ts int64) bool { return ts >= 0 && ts < 1<<62 }

// first places a speaker's first chunk.
func (p *placer) first(c *legClock, ts int64, hasTS bool, arrival int64) int64 {
	p.epoch = c.wireEpoch
	if !hasTS || !c.wireKnown {
		return max(0, roundSlots(arrival-c.arrival)*pcm.FrameSamples)
	}
	here := max(0, roundSlots(arrival-c.arrival))
	slot := roundSlots(ts - p.epoch)
	if slot < here-leadSlots || slot > here+leadSlots {
		slot = here // not the leg's clock: placed by arrival
	}
	slot = max(0, slot)
	p.bias = ts - p.epoch - slot*slotNanos
	if p.bias > slotNanos || p.bias < -slotNanos { // a clock of its own, or clamped
		p.epoch, p.bias = ts-slot*slotNanos, 0
	}
	return slot * pcm.FrameSamples
}

// follow places a chunk of a running speaker by its timestamp.
func (p *placer) follow(ts int64) (to, deviation int64, free bool) {
	deviation = ts - (p.epoch + p.bias + p.pos*sampleNanos)
	switch {
	case deviation >= -p.slack && deviation <= p.slack:
		return p.pos, deviation, false
	case deviation < 0:
		if deviation < -rewindNanos {
			p.epoch, p.bias = ts-p.pos*sampleNanos, 0
		}
		return p.pos, deviation, true
	}
	// The absolute time decides, so that roundings do not add up; what is
	// left over moves the window, so that the next timestamps fit it.
	next := (p.pos + pcm.FrameSamples - 1) / pcm.FrameSamples
	slot := max(roundSlots(ts-p.epoch), next)
	p.bias = ts - p.epoch - slot*slotNanos
	return slot * pcm.FrameSamples, deviation, false
}

// roundSlots returns ns in whole slots, rounded half up.
func roundSlots(ns int64) int64 {
	n := ns + slotNanos/2
	if n < 0 && n%slotNanos != 0 {
		return n/slotNanos - 1
	}
	return n / slotNanos
}
