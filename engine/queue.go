package engine

import "sync/atomic"

const (
	chunkSamples = 3200 // 200 ms
)

type chunk [chunkSamples]int16

// queue is an unbounded count of samples in a bounded number of chunks that
// are allocated as they are needed. One goroutine appends (the holder of the
// source's claim), one takes (the holder of the pump).
type queue struct {
	limit int64 // samples

	// slots[i] holds the samples of positions whose chunk number is i
	// modulo len(slots). The appender stores a chunk, the taker removes it
	// when its last sample is taken.
	slots []atomic.Pointer[chunk]
	spare atomic.Pointer[chunk]

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

// append takes as many samples as there is room for.
func (q *queue) append(samples []int16) int {
	tail := q.tail.Load()
	room := q.limit - (tail - q.head.Load())
	n := 0
	for len(samples) > 0 && room > 0 {
		s := q.slot(tail)
		c := s.Load()
		if c == nil {
			if c = q.spare.Swap(nil); c == nil {
				c = new(chunk)
			}
			s.Store(c)
		}
		k := copy(c[tail%chunkSamples:], samples[:min(int64(len(samples)), room)])
		samples, n = samples[k:], n+k
		tail, room = tail+int64(k), room-int64(k)
	}
	q.tail.Store(tail)
	return n
}

// copyOut copies the samples from pos on into dst; they stay queued.
func (q *queue) copyOut(dst []int16, pos int64) {
	for len(dst) > 0 {
		k := copy(dst, q.slot(pos).Load()[pos%chunkSamples:])
		dst, pos = dst[k:], pos+int64(k)
	}
}

// take removes the samples below pos.
func (q *queue) take(pos int64) {
	head := q.head.Load()
	for head < pos {
		end := (head/chunkSamples + 1) * chunkSamples
		if end > pos {
			break
		}
		q.spare.Store(q.slot(head).Swap(nil))
		head = end
	}
	q.head.Store(pos)
}

func (q *queue) len() int64 { return q.tail.Load() - q.head.Load() }
