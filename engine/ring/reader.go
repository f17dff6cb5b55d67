package ring

import "github.com/mixminus/mixminus/engine/pcm"

// Peek returns the oldest frame, which the consumer owns until Release and
// may even change; nil if there is none. Peek without a Release gives the
// same frame again.
func (r *Reader) Peek() *pcm.Frame {
	if r.next == r.limit { // apart, or the rest would not be inlined
		return r.peekAhead()
	}
	return &r.frames[r.next&uint64(len(r.frames)-1)]
}

func (r *Reader) peekAhead() *pcm.Frame {
	if !r.reload() {
		return nil
	}
	return &r.frames[r.next&uint64(len(r.frames)-1)]
}

// Release gives the slot of the frame that Peek returned back to the writer.
// It panics if no frame was there to peek at.
func (r *Reader) Release() {
	if r.next == r.limit {
		panic("ring: release of a frame that was not read")
	}
	r.next++
	// This passes ownership of the slot back to the writer. Our accesses to
	// the frame come before it.
	r.ring.read.Store(r.next)
}

// Pop copies the oldest frame into f and releases it. It reports false, and
// leaves f alone, if there is none.
func (r *Reader) Pop(f *pcm.Frame) bool {
	if r.next == r.limit && !r.reload() {
		return false
	}
	*f = r.frames[r.next&uint64(len(r.frames)-1)]
	r.next++
	// Passes ownership of the slot back to the writer, as in Release.
	r.ring.read.Store(r.next)
	return true
}

// PeekN returns up to max of the oldest frames, in order, which the consumer
// owns until ReleaseN; nil if there are none. Only frames that lie side by
// side are returned: there may be more behind the end of the buffer, so a
// consumer drains the ring by calling PeekN and ReleaseN until it gets nil.
func (r *Reader) PeekN(max int) []pcm.Frame {
	if max < 1 {
		return nil
	}
	want := uint64(max)
	if r.limit-r.next < want && !r.reload() {
		return nil
	}
	return span(r.frames, r.next, min(r.limit-r.next, want))
}

// ReleaseN gives the slots of the first n frames that PeekN returned back to
// the writer; the others are returned again by the next PeekN. It panics if n
// is negative or more than the frames that were there.
func (r *Reader) ReleaseN(n int) {
	if n == 0 {
		return
	}
	if n < 0 || uint64(n) > r.limit-r.next {
		panic("ring: release of a frame that was not read")
	}
	r.next += uint64(n)
	// Passes ownership of n slots back to the writer, as in Release.
	r.ring.read.Store(r.next)
}

// Len returns the number of frames in the ring. There may be more by the time
// it returns, never fewer.
func (r *Reader) Len() int {
	return int(r.ring.write.Load() - r.next)
}

// SkipTo brings a reader that fell behind back to its target: it releases the
// oldest frames until at most depth are left, counts them as skipped, and
// returns how many they were. What Peek returned before must not be used any
// more. A negative depth is 0.
func (r *Reader) SkipTo(depth int) int {
	depth = max(depth, 0)
	n := r.Len() - depth
	if n <= 0 {
		return 0
	}
	// Counted before they are given up, so that at no moment a frame is
	// neither in the ring nor in a count. A load and a store do, for nobody
	// else stores.
	r.skipped.Store(r.skipped.Load() + uint64(n))
	r.next += uint64(n)
	r.limit = r.next // the frames behind may lie in another segment
	// Passes ownership of n slots back to the writer, as in Release.
	r.ring.read.Store(r.next)
	return n
}

// Skipped returns the number of frames that SkipTo released unread. It may be
// called from any goroutine.
func (r *Reader) Skipped() uint64 { return r.skipped.Load() }

// Bell arms the bell and returns its channel, always the same one. A Peek
// after Bell that still finds nothing may wait for the channel: the next
// commit sends on it, Close closes it. Calling Peek only before Bell could
// sleep through a commit between the two.
//
//	for {
//		f := r.Peek()
//		if f == nil {
//			bell := r.Bell()
//			if f = r.Peek(); f == nil {
//				if r.Closed() {
//					return
//				}
//				<-bell
//				continue
//			}
//		}
//		use(f)
//		r.Release()
//	}
//
// The bell rings at most once for each call of Bell, and now and then for
// nothing: whoever wakes looks again. An awake reader, one that has not
// called Bell, costs the writer nothing.
func (r *Reader) Bell() <-chan struct{} {
	// A ring left from an earlier call tells only of frames that the Peek to
	// come will find; it would only wake the reader for nothing.
	select {
	case <-r.bell:
	default:
	}
	// Passes no frames. It comes before the load of write in the Peek that
	// follows; see Writer.publish.
	r.ring.armed.Store(true)
	return r.bell
}

// Closed reports whether the writer has closed the ring and the reader has
// drained it: no frame will ever come again.
func (r *Reader) Closed() bool {
	// In this order: closed is stored after the last commit, so once it is
	// true, the load of write in reload is final.
	return r.ring.closed.Load() && !r.reload()
}

// reload learns what the writer has committed, and reports whether the ring
// holds a frame.
func (r *Reader) reload() bool {
	// This takes over the slots below write: the writer's stores to their
	// frames come before its store that we load.
	r.limit = r.ring.write.Load()
	if r.lazy {
		r.enter()
	}
	return r.limit != r.next
}
