package rtpleg

import (
	"sync/atomic"

	"github.com/mixminus/mixminus/engine/pcm"
)

// queued frames: what a source runs ahead at most (400 ms), and more.
const queued = 32

// queue holds the frames between the source and the packets: one goroutine at a
// time puts them in, one takes them out, neither waits. engine/ring would do,
// but of a thousand legs what costs is memory that is not in the cache. Here the
// frame that was given back last is the next to be filled, so that as many are
// made, and touched, as ever wait at once: one or two of those 32.
type queue struct {
	ready, spare handover

	// Owned by the writer.
	free    [queued]*frame // a stack
	n       int            // of free
	made    int
	filling *frame

	// Atomic: stored by the writer only.
	refused atomic.Int64
}

// frame is one that waits. seq counts them.
type frame struct {
	samples [pcm.FrameSamples]int16
	seq     uint32
}

// handover passes frames from one goroutine to another, never more at once than
// there are. Storing tail passes those below it on, storing head gives their
// places back.
type handover struct {
	frames     [queued]*frame
	head, tail atomic.Uint32
}

func (h *handover) put(f *frame) {
	t := h.tail.Load()
	h.frames[t%queued] = f
	h.tail.Store(t + 1)
}

func (h *handover) peek() *frame {
	if t := h.head.Load(); t != h.tail.Load() {
		return h.frames[t%queued]
	}
	return nil
}

func (h *handover) drop() { h.head.Store(h.head.Load() + 1) }

func (h *handover) len() int { return int(h.tail.Load() - h.head.Load()) }

// slot returns a frame to be filled and committed; nil if too many wait, which
// is counted.
func (q *queue) slot() *frame {
	if q.filling != nil {
		return q.filling
	}
	for f := q.spare.peek(); f != nil; f = q.spare.peek() {
		q.free[q.n] = f
		q.n++
		q.spare.drop()
	}
	switch {
	case q.n > 0:
		q.n--
		q.filling = q.free[q.n]
	case q.made < queued:
		q.made++
		q.filling = new(frame)
	default:
		q.refused.Store(q.refused.Load() + 1)
	}
	return q.filling
}

func (q *queue) commit() {
	q.ready.put(q.filling)
	q.filling = nil
}

// peek returns the oldest frame, nil if none waits. It is the reader's until
// release.
func (q *queue) peek() *frame { return q.ready.peek() }

func (q *queue) release() {
	f := q.ready.peek()
	q.ready.drop()
	q.spare.put(f)
}

// len may be called by the reader.
func (q *queue) len() int { return q.ready.len() }
