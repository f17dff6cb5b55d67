package ring

import "github.com/mixminus/mixminus/engine/pcm"

// Slot returns the next free slot, which the producer owns until Commit. It
// holds an old frame, in a lazy ring another's, not zeros: the producer sets every field. Slot without
// a Commit gives the same slot again.
//
// When the ring is full, or closed, Slot returns nil: the frame that was to
// be written is dropped, and counted.
func (w *Writer) Slot() *pcm.Frame {
	if w.next == w.limit && !w.reload(1) {
		w.drop(1)
		return nil
	}
	return &w.frames[w.next&uint64(len(w.frames)-1)]
}

// Commit gives the slot that Slot returned to the reader, and rings the bell
// if the reader armed it. After Close it does nothing. It panics if no slot
// is free, which means that it was called without Slot.
func (w *Writer) Commit() {
	if w.next == w.limit {
		w.overCommit(1)
		return
	}
	w.next++
	w.publish()
}

// Push copies f into the ring and reports whether there was room; if not, the
// frame is dropped and counted.
func (w *Writer) Push(f *pcm.Frame) bool {
	s := w.Slot()
	if s == nil {
		return false
	}
	*s = *f
	w.next++
	w.publish()
	return true
}

// Slots is Slot for a producer that has max frames to place: it returns up to
// max free slots that lie side by side, in order. There may be more behind
// the end of the buffer, so a producer with frames left asks again after
// CommitN:
//
//	for len(frames) > 0 {
//		n := copy(w.Slots(len(frames)), frames)
//		if n == 0 {
//			break // full: the rest was dropped
//		}
//		w.CommitN(n)
//		frames = frames[n:]
//	}
//
// When the ring is full, or closed, Slots returns nil, and max frames are
// counted as dropped. If max is less than 1 it returns nil and counts none.
func (w *Writer) Slots(max int) []pcm.Frame {
	if max < 1 {
		return nil
	}
	want := uint64(max)
	if w.limit-w.next < want && !w.reload(want) && w.limit == w.next {
		w.drop(want)
		return nil
	}
	return span(w.frames, w.next, min(w.limit-w.next, want))
}

// CommitN gives the first n of the slots that Slots returned to the reader,
// and rings the bell if the reader armed it. The others stay the producer's;
// the next Slots returns them again. After Close it does nothing. It panics
// if n is negative or more than the free slots.
func (w *Writer) CommitN(n int) {
	if n == 0 {
		return
	}
	if n < 0 || uint64(n) > w.limit-w.next {
		w.overCommit(n)
		return
	}
	w.next += uint64(n)
	w.publish()
}

// Close ends the stream: the reader still drains what was committed, and then
// sees [Reader.Closed]. A sleeping reader is woken. A slot not yet committed
// is given up. Closing again does nothing.
func (w *Writer) Close() {
	if w.ring.closed.Load() {
		return
	}
	w.limit = w.next
	// After the last store to write: a reader that loads true here and then
	// loads write cannot miss a frame.
	w.ring.closed.Store(true)
	// No commit can ring any more (limit forbids it), so nobody sends on the
	// closed channel.
	close(w.bell)
}

// Dropped returns the number of frames that found the ring full or closed. It
// may be called from any goroutine.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// publish passes the slots below next to the reader and wakes it if it sleeps.
func (w *Writer) publish() {
	// This passes ownership of the slots below next to the reader, and acts
	// as a store barrier for the frames written to them.
	w.ring.write.Store(w.next)
	// The store above comes before this load, and in Reader.Bell the store
	// of armed before the load of write: Go's atomics are sequentially
	// consistent, so at least one side sees the other, and no wake-up is
	// lost.
	if w.ring.armed.Load() {
		w.ringBell()
	}
}

// ringBell wakes the reader. This is the only place where the producer takes
// a lock, the channel's: once per sleep of the reader, not per frame.
func (w *Writer) ringBell() {
	w.ring.armed.Store(false)
	select {
	case w.bell <- struct{}{}:
	default: // a ring that the reader has not heard yet serves as well
	}
}

// reload learns what the reader has released, and reports whether n slots
// are free.
func (w *Writer) reload(n uint64) bool {
	if w.ring.closed.Load() {
		return false
	}
	// This takes back the slots below read: the reader's last accesses to
	// them come before its store that we load.
	w.limit = w.ring.read.Load() + w.size
	if w.lazy.stock != nil {
		w.enter()
	}
	return w.limit-w.next >= n
}

// drop counts n frames that found no slot. A load and a store do, for nobody
// else stores.
func (w *Writer) drop(n uint64) { w.dropped.Store(w.dropped.Load() + n) }

// overCommit handles a commit of slots that are not the producer's.
func (w *Writer) overCommit(n int) {
	if n < 0 || !w.ring.closed.Load() {
		panic("ring: commit of a slot that is not free")
	}
}

// span returns the n frames from index i on, or as many of them as lie side
// by side. The slice has no room to append into its neighbours.
func span(frames []pcm.Frame, i, n uint64) []pcm.Frame {
	size := uint64(len(frames))
	i &= size - 1
	end := min(i+n, size)
	return frames[i:end:end]
}
