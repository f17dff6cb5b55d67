package ring

import (
	"fmt"

	"github.com/mixminus/mixminus/engine/pcm"
)

// segmentFrames is how many frames of a lazy ring share a piece of memory, a
// power of two.
const segmentFrames = 4

// Segment is memory of a lazy ring.
type Segment [segmentFrames]pcm.Frame

// Segments is a stock of memory that lazy rings share. Put gives a segment to
// whoever gets one next. Both are called by writers, from any number of
// goroutines, and must not wait.
type Segments interface {
	Get() *Segment
	Put(s *Segment)
}

// NewLazy is New for a ring that is nearly empty most of the time, of which
// there are many: it has memory for what waits in it, which the writer gets from
// stock four frames at a time, uses again when they were read, and puts back
// when it holds more than it needs. All this happens as the writer goes on: one
// that falls silent keeps what it had. n is rounded up to whole segments, and one
// more.
//
// Slots and PeekN return four frames at most.
func NewLazy(n int, stock Segments) (*Writer, *Reader) {
	if n < 1 || n > MaxFrames/2 {
		panic(fmt.Sprintf("ring: NewLazy: n = %d frames, want 1 to %d", n, MaxFrames/2))
	}
	// A segment is the reader's until it has left it.
	segments := (n + 2*segmentFrames - 2) / segmentFrames
	w, r := newRing(uint64(segments * segmentFrames))
	w.ring.segments = make([]*Segment, segments)
	w.limit = 0 // it has to enter first
	w.lazy.stock, r.lazy = stock, true
	return w, r
}

// lazyWriter is what the writer of a lazy ring has besides, owned by the
// producer.
type lazyWriter struct {
	stock   Segments
	entered uint64 // behind the segment that was entered last
	left    uint64 // all segments below were taken back
}

// at returns where the segment of a slot is kept.
func (r *ring) at(i uint64) **Segment {
	return &r.segments[i/segmentFrames%uint64(len(r.segments))]
}

// enter has frames be the segment that next lies in, and limit not beyond it,
// unless the ring is full. It takes the segments back that the reader has left:
// the one in which it stands is the reader's to the end.
func (w *Writer) enter() {
	read := (w.limit - w.size) &^ (segmentFrames - 1)
	w.limit = min(read+w.size, w.next&^(segmentFrames-1)+segmentFrames)
	l := &w.lazy
	if w.limit == w.next || l.entered > w.next {
		return
	}
	var s *Segment
	for ; l.left != read; l.left += segmentFrames {
		if s != nil {
			l.stock.Put(s)
		}
		at := w.ring.at(l.left)
		s, *at = *at, nil
	}
	if s == nil {
		s = l.stock.Get()
	}
	*w.ring.at(w.next), w.frames = s, s[:]
	l.entered = w.limit
}

// enter has frames be the segment that next lies in, and limit not beyond it,
// unless the ring is empty.
func (r *Reader) enter() {
	if r.limit != r.next {
		r.limit = min(r.limit, r.next&^(segmentFrames-1)+segmentFrames)
		r.frames = (*r.ring.at(r.next))[:]
	}
}
