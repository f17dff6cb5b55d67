package engine

import (
	"context"
	"io"
	"sync"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/ring"
)

// Tap is one consumer's ring of frames. One goroutine at a time reads it; a
// tap that is not read fast enough loses the newest frames, counted, and
// hurts nobody else.
type Tap struct {
	w *ring.Writer // owned by the producer
	r *ring.Reader // owned by the reading goroutine

	lat    *latency
	detach func(*Tap)
	done   chan struct{} // closed when nothing will come any more
	once   sync.Once
}

func newTap(frames int, lat *latency, detach func(*Tap)) *Tap {
	t := &Tap{lat: lat, detach: detach, done: make(chan struct{})}
	t.w, t.r = ring.New(min(max(frames, 1), ring.MaxFrames))
	return t
}

// maxLazy frames of a lazy tap.
const maxLazy = ring.MaxFrames / 2

// stock is the memory of all lazy taps. What none of them needs for a while, the
// collector takes.
type stock struct{ pool sync.Pool }

var segments = &stock{pool: sync.Pool{New: func() any { return new(ring.Segment) }}}

func (s *stock) Get() *ring.Segment    { return s.pool.Get().(*ring.Segment) }
func (s *stock) Put(seg *ring.Segment) { s.pool.Put(seg) }

func newLazyTap(frames int, lat *latency, detach func(*Tap)) *Tap {
	t := &Tap{lat: lat, detach: detach, done: make(chan struct{})}
	t.w, t.r = ring.NewLazy(min(max(frames, 1), maxLazy), segments)
	return t
}

// Read copies the next frame into f, waiting for it. It returns io.EOF once
// the leg is closed and the tap drained, or ctx's error.
func (t *Tap) Read(ctx context.Context, f *pcm.Frame) error {
	for !t.TryRead(f) {
		if err := t.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wait returns nil when a frame may have come.
func (t *Tap) wait(ctx context.Context) error {
	bell := t.r.Bell()
	if t.r.Peek() != nil {
		return nil
	}
	select {
	case <-bell:
		return nil
	case <-t.done:
		if t.r.Peek() != nil {
			return nil
		}
		return io.EOF
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TryRead copies the next frame into f if there is one.
func (t *Tap) TryRead(f *pcm.Frame) bool {
	if !t.r.Pop(f) {
		return false
	}
	t.lat.since(f.Arrival)
	return true
}

// Peek returns the oldest frame without copying it, nil when there is none.
// The frame is the caller's until Release.
func (t *Tap) Peek() *pcm.Frame { return t.r.Peek() }

// Release gives the frame of the last Peek back to the ring.
func (t *Tap) Release() { t.r.Release() }

// PeekN returns up to max of the oldest frames without copying them; fewer
// when they are not contiguous in the ring.
func (t *Tap) PeekN(max int) []pcm.Frame { return t.r.PeekN(max) }

// ReleaseN gives the first n frames of the last PeekN back to the ring.
func (t *Tap) ReleaseN(n int) { t.r.ReleaseN(n) }

// SkipTo drops the oldest frames until depth are left and returns how many:
// for a reader that fell behind and wants what is live.
func (t *Tap) SkipTo(depth int) int { return t.r.SkipTo(depth) }

// Len returns how many frames wait.
func (t *Tap) Len() int { return t.r.Len() }

// Dropped counts frames that found the ring full.
func (t *Tap) Dropped() uint64 { return t.w.Dropped() }

// Skipped counts frames that SkipTo dropped.
func (t *Tap) Skipped() uint64 { return t.r.Skipped() }

// Closed reports that nothing will come any more and all was read.
func (t *Tap) Closed() bool {
	select {
	case <-t.done:
		return t.r.Peek() == nil
	default:
		return false
	}
}

// Close detaches the tap; frames in it can still be read. Idempotent, from
// any goroutine.
func (t *Tap) Close() {
	t.detach(t)
	t.end()
}

func (t *Tap) end() { t.once.Do(func() { close(t.done) }) }

// dropped sums what taps dropped, those that are closed included.
func dropped(closed uint64, taps []*Tap) uint64 {
	for _, t := range taps {
		closed += t.Dropped()
	}
	return closed
}

// without returns a copy of taps without t.
func without(taps []*Tap, t *Tap) []*Tap {
	left := make([]*Tap, 0, len(taps))
	for _, x := range taps {
		if x != t {
			left = append(left, x)
		}
	}
	return left
}
