package engine

import (
	"sync/atomic"

	"github.com/mixminus/mixminus/engine/pcm"
)

// chunkSamples is a frame's. A source whose frames leave as they come, an echo,
// then writes into the same 640 bytes again and again, which are in the cache
// when those of a thousand others are not.
const chunkSamples = pcm.FrameSamples

type chunk struct {
	samples [chunkSamples]int16
	at      atomic.Int64 // Now, when the last of them was written
	next    *chunk       // the one below, among those that are spare
}

// maxSpare chunks are kept: who writes 200 ms at a time allocates nothing.
const maxSpare = 10

// queue is an unbounded count of samples in a bounded number of chunks that
// are allocated as they are needed. One goroutine appends (the holder of the
// source's claim), one takes (the holder of the pump).
type queue struct {
	limit int64 // samples

	// slots[i] holds the samples of positions whose chunk number is i
	// modulo len(slots). The appender stores a chunk, the taker removes it
	// when its last sample is taken.
	slots []atomic.Pointer[chunk]

	// spare is a stack of chunks that are empty, the last one on top. The taker
	// puts them there, the appender alone takes them away, so that what lies
	// below the top is what it was when the top was loaded.
	spare  atomic.Pointer[chunk]
	spares atomic.Int32

	// tail is stored by the appender and passes the samples below it to the
	// taker; head is stored by the taker and passes the room below it back.
	tail, head atomic.Int64
}

func (q *queue) init(limit int64) {
	q.limit = limit
	q.slots = make([]atomic.Pointer[chunk], limit/chunkSamples+2)
}

func (q *queue) slot(pos int64) *atomic.Pointer[chunk] {
	return &q.slots[pos/chunkSamples%int64(len(q.slots))]
}

// append takes as many samples as there is room for. They are written at now.
func (q *queue) append(samples []int16, now int64) int {
	tail := q.tail.Load()
	room := q.limit - (tail - q.head.Load())
	n := 0
	for len(samples) > 0 && room > 0 {
		s := q.slot(tail)
		c := s.Load()
		if c == nil {
			c = q.empty()
			s.Store(c)
		}
		k := copy(c.samples[tail%chunkSamples:], samples[:min(int64(len(samples)), room)])
		c.at.Store(now)
		samples, n = samples[k:], n+k
		tail, room = tail+int64(k), room-int64(k)
	}
	q.tail.Store(tail)
	return n
}

// copyOut copies the samples from pos on into dst; they stay queued.
func (q *queue) copyOut(dst []int16, pos int64) {
	for len(dst) > 0 {
		k := copy(dst, q.slot(pos).Load().samples[pos%chunkSamples:])
		dst, pos = dst[k:], pos+int64(k)
	}
}

// written returns when the sample at pos was, or one behind it in its chunk.
func (q *queue) written(pos int64) int64 { return q.slot(pos).Load().at.Load() }

// take removes the samples below pos.
func (q *queue) take(pos int64) {
	head := q.head.Load()
	for head < pos {
		end := (head/chunkSamples + 1) * chunkSamples
		if end > pos {
			break
		}
		q.keep(q.slot(head).Swap(nil))
		head = end
	}
	q.head.Store(pos)
}

// empty returns a chunk for the appender.
func (q *queue) empty() *chunk {
	for c := q.spare.Load(); c != nil; c = q.spare.Load() {
		if q.spare.CompareAndSwap(c, c.next) {
			q.spares.Add(-1)
			return c
		}
	}
	return new(chunk)
}

// keep keeps a chunk that the taker has emptied, if there are not enough.
func (q *queue) keep(c *chunk) {
	if q.spares.Load() >= maxSpare {
		return
	}
	q.spares.Add(1)
	for {
		c.next = q.spare.Load()
		if q.spare.CompareAndSwap(c.next, c) {
			return
		}
	}
}

func (q *queue) len() int64 { return q.tail.Load() - q.head.Load() }
