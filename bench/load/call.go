package load

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// A wire is how one call's frames look on its socket. frame is called by the
// writer only, heard by the reader only.
type wire interface {
	// frame returns the bytes of a frame, valid until the next.
	frame(m mark) []byte
	// heard takes what was read and tells c of what it holds.
	heard(c *call, b []byte, now int64) error
}

// lateRing is how many frames back a stream remembers how late they left.
const lateRing = 256

// A stream is one speaker of a call: what left, and what came back.
type stream struct {
	late [lateRing]atomic.Int64 // ns after they were due; writer to reader

	window window // owned by the reader, and by the report at the end
}

// A call is one connection and its streams.
type call struct {
	// Static after the call joined its worker.
	run    *runner
	wire   wire
	pipe   pipe
	tally  *tally // the reader's
	wrote  *tally // the writer's
	first  int64  // when frame 0 is due
	echo   bool
	expect []*stream

	// Owned by the writer.
	due     int64  // frames that should have left, of all streams
	sent    int64  // frames that have
	rest    []byte // of the frame that is leaving
	blocked bool   // since sent was last equal to due

	// Guarded by mu.
	mu     sync.Mutex
	urgent [][]byte // control frames to send between two frames
	asked  atomic.Bool

	lost atomic.Pointer[error] // why the connection ended before its time
}

// maxUrgent bounds the control frames that wait: a server that pings faster
// than it reads gets no more answers.
const maxUrgent = 16

// fail notes why the connection ended, unless that was our doing.
func (c *call) fail(err error) {
	if !c.run.over.Load() && c.lost.CompareAndSwap(nil, &err) {
		c.run.failed(c)
	}
}

// answer has a control frame sent by the writer, who alone may write.
func (c *call) answer(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.urgent) < maxUrgent {
		c.urgent = append(c.urgent, frame)
		c.asked.Store(true)
	}
}

// dueAt is when a frame of each stream is due.
func (c *call) dueAt(seq uint32) int64 { return c.first + int64(seq)*int64(frameTime) }

// write sends what is due and was not sent, as far as the socket takes it.
func (c *call) write() {
	if c.lost.Load() != nil {
		return
	}
	for {
		if len(c.rest) > 0 {
			n, err := c.pipe.write(c.rest)
			c.rest = c.rest[n:]
			if err != nil {
				c.fail(fmt.Errorf("write: %w", err))
				return
			}
			if len(c.rest) > 0 {
				c.blocked = true
				return
			}
		}
		if c.asked.Load() {
			c.mu.Lock()
			for _, f := range c.urgent {
				c.rest = append(c.rest, f...)
			}
			c.urgent = c.urgent[:0]
			c.asked.Store(false)
			c.mu.Unlock()
			continue
		}
		if c.sent == c.due {
			c.blocked = false
			return
		}
		c.next()
	}
}

// next begins the next frame.
func (c *call) next() {
	streams := int64(len(c.expect))
	m := mark{uint8(c.sent % streams), uint32(c.sent / streams)}
	c.rest = c.wire.frame(m)
	late := c.run.clock.now() - c.dueAt(m.seq)
	c.expect[m.speaker].late[m.seq%lateRing].Store(late)
	c.wrote.sent++
	if c.blocked {
		c.wrote.blocked++
	} else {
		record(c.wrote.late, late)
		if c.run.measured(c.dueAt(m.seq)) {
			record(c.wrote.own, late)
		}
	}
	c.sent++
}

// back takes a frame that came back.
func (c *call) back(m mark, now int64) {
	due := c.dueAt(m.seq)
	if due > now { // it left, and came, after the clock was read
		now = c.run.clock.now()
	}
	if int(m.speaker) >= len(c.expect) || due > now || !c.echo {
		c.tally.strange++
		return
	}
	c.tally.back++
	record(c.tally.second, now-due)
	s := c.expect[m.speaker]
	begin, end := c.run.span()
	if due < begin || due >= end {
		return
	}
	switch s.window.take(m.seq - c.seqFrom(begin)) {
	case stale:
		c.tally.stale++
		return
	case duplicate:
		c.tally.duplicated++
		return
	case reordered:
		c.tally.reordered++
	}
	record(c.tally.latency, now-due)
	if now-due < lateRing*int64(frameTime) { // else the place is another frame's
		record(c.tally.service, now-due-s.late[m.seq%lateRing].Load())
	} else {
		record(c.tally.service, now-due)
	}
}

// seqFrom is the number of the first frame that is due at t or later.
func (c *call) seqFrom(t int64) uint32 {
	if t <= c.first {
		return 0
	}
	return uint32((t - c.first + int64(frameTime) - 1) / int64(frameTime))
}
