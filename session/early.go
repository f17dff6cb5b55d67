package session

import "time"

// Bounds of what is kept for calls that are not known yet.
const (
	earlyFor     = 30 * time.Second
	earlyTotal   = 1024
	earlyPerCall = 32
	earlyBytes   = 4 << 20
)

// early keeps the notices that overtook the response with their call's id. It
// forgets them after earlyFor, the oldest first when there are too many. The
// zero value is empty. Not safe for concurrent use.
type early struct {
	queue []earlyNotice // oldest first
	bytes int
}

type earlyNotice struct {
	Notice
	at time.Time
}

// add keeps n and returns how many notices were given up for it or before it.
func (e *early) add(n Notice, now time.Time) (lost int) {
	lost = e.sweep(now)
	same := 0
	for i := range e.queue {
		if e.queue[i].CallID == n.CallID {
			same++
		}
	}
	size := sizeOf(n)
	if same >= earlyPerCall || size > earlyBytes {
		return lost + 1
	}
	for len(e.queue) >= earlyTotal || e.bytes+size > earlyBytes {
		e.drop()
		lost++
	}
	e.queue = append(e.queue, earlyNotice{n, now})
	e.bytes += size
	return lost
}

// take returns the notices of a call, in their order, and forgets them.
func (e *early) take(callID string) []Notice {
	var taken []Notice
	kept := e.queue[:0]
	for _, n := range e.queue {
		if n.CallID != callID {
			kept = append(kept, n)
			continue
		}
		taken = append(taken, n.Notice)
		e.bytes -= sizeOf(n.Notice)
	}
	clear(e.queue[len(kept):])
	e.queue = kept
	return taken
}

// sweep gives up the notices whose time is over and returns their number.
func (e *early) sweep(now time.Time) (lost int) {
	for len(e.queue) > 0 && now.Sub(e.queue[0].at) >= earlyFor {
		e.drop()
		lost++
	}
	return lost
}

func (e *early) drop() {
	e.bytes -= sizeOf(e.queue[0].Notice)
	e.queue[0] = earlyNotice{}
	e.queue = e.queue[1:]
}

// sizeOf is about what a notice holds in memory.
func sizeOf(n Notice) int {
	return 256 + len(n.Raw) + len(n.Message) + len(n.OperationContext) + 128*len(n.Participants)
}
