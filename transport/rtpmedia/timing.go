package rtpmedia

import "math/bits"

// timing learns how late packets come, and says how far behind the sender
// playing should be.
//
// The transit of a packet is its arrival on the local clock less its timestamp
// on the sender's: a number that means nothing by itself, but the smallest one
// is that of the fastest packet, the others exceed it by their jitter, and all
// move together as the two clocks drift apart. Playing at an offset, time less
// timestamp, a packet is in time if its transit is not above the offset. So
// the offset to play at is the transit that all but a few packets keep to:
// jitter and drift are one measurement.
type timing struct {
	rate             ticker
	lower, upper     int64 // bounds of the delay, in ticks
	start            int64 // the delay before much is known
	margin           int64 // for whoever plays not being on time
	late             float64
	n                int // transits in window, at most windowSize
	at               int // where the next one goes
	base             int64
	due              int               // packets until the next measurement
	fastest, slowest int64             // the smallest transit of the window, and the one to keep to
	window           [windowSize]int32 // transits, less base
}

const (
	windowSize = 512 // packets; ten seconds
	untilSure  = 50  // packets
	coarseBits = 6   // 32 to 64 steps in which the window is measured
)

func (t *timing) reset() { t.n, t.at, t.due = 0, 0, 0 }

// add notes the transit of a packet.
func (t *timing) add(transit int64) {
	if t.n == 0 {
		t.base, t.fastest, t.slowest = transit, transit, transit
	}
	const most = 1<<31 - 1
	t.window[t.at] = int32(max(-most, min(most, transit-t.base)))
	t.at = (t.at + 1) % windowSize
	t.n = min(t.n+1, windowSize)
	t.fastest = min(t.fastest, transit)
	if transit > t.slowest+t.margin {
		t.hurry()
	}
	if t.due--; t.due < 0 {
		t.measure()
	}
}

// hurry has the window measured within the next few packets.
func (t *timing) hurry() { t.due = min(t.due, 4) }

// measure finds the extremes of the window and the transit that all but the
// allowed few keep to, rounded up to one of some steps between them.
func (t *timing) measure() {
	t.due = min(t.n, windowSize/4)
	window := t.window[:t.n]
	low, high := window[0], window[0]
	for _, v := range window {
		low, high = min(low, v), max(high, v)
	}
	t.fastest = t.base + int64(low)
	span := uint32(high) - uint32(low)
	shift := max(0, bits.Len32(span)-coarseBits) & 31
	var count [1 << coarseBits]int
	for _, v := range window {
		count[(uint32(v)-uint32(low))>>shift&(1<<coarseBits-1)]++
	}
	allowed := int(t.late * float64(t.n))
	top := len(count) - 1
	for top > 0 && count[top] <= allowed {
		allowed -= count[top]
		top--
	}
	t.slowest = t.fastest + min(int64(top+1)<<shift-1, int64(span))
}

// target returns the offset to play at.
func (t *timing) target() int64 {
	target := max(t.slowest+t.margin, t.fastest+t.lower)
	if t.n < untilSure {
		target = max(target, t.fastest+t.start)
	}
	return min(target, t.fastest+t.upper)
}
