// Package ring is the lock-free single-producer, single-consumer ring of
// audio frames that joins two goroutines of the media path: who holds the
// [Writer] is the producer, who holds the [Reader] is the consumer.
//
// Both sides are wait-free: neither ever waits for the other or retries. A
// full ring drops the newest frame, at the writer; a reader that fell behind
// skips the oldest ones. Both are counted: every frame offered is committed
// or in [Writer.Dropped], every frame committed is released or in
// [Reader.Skipped] or still in the ring.
//
// It never allocates after New, never starts a goroutine, never reads a clock
// and never zeroes a frame. The ring of [NewLazy] borrows its memory instead, as
// its writer goes.
//
// # Ownership
//
// Two indices count the frames ever committed and ever released; neither
// wraps. With write and read standing for them, a frame numbered i lives in
// slot i modulo the capacity, and
//
//   - slots [read, write) are the reader's,
//   - slots [write, read+capacity) are the writer's; of a lazy ring, with read
//     rounded down to its segment.
//
// A side stores its own index to give slots away, and loads the other's to
// find what it was given. Those atomics are all that orders the accesses to
// the frames, which are plain memory.
package ring

import (
	"fmt"
	"sync/atomic"

	"github.com/mixminus/mixminus/engine/pcm"
)

// MaxFrames is the largest capacity: 5.8 hours of audio, 672 MiB. A larger
// request is a mistake of the caller, not a need.
const MaxFrames = 1 << 20

// pad keeps what one side writes off the cache lines that the other side
// uses. Two lines of 64 bytes: x86 prefetches lines in pairs, and the larger
// arm64 cores have lines of 128.
type pad [128]byte

// ring is what the two sides share. Everything is allocated in one piece, so
// the pads hold whatever the allocator does.
type ring struct {
	_ pad

	// segments of a lazy ring, nil where there is no memory. The writer makes and
	// takes them; from write to read they are the reader's to look up.
	segments []*Segment

	// Owned by the producer and the consumer.
	writer Writer
	_      pad
	reader Reader
	_      pad

	// write is the number of frames ever committed. Only the writer stores
	// it. A store passes the slots below it to the reader, and publishes
	// the samples written to them.
	write atomic.Uint64
	_     pad

	// read is the number of frames ever released or skipped. Only the
	// reader stores it. A store passes the slots below it back to the
	// writer, which may overwrite them from then on.
	read atomic.Uint64
	_    pad

	// armed is set by a reader about to sleep, and cleared by the writer
	// that takes it upon itself to ring. It passes no frames. The writer
	// loads it on every commit, so it lies apart from read, which changes
	// on every release.
	armed atomic.Bool

	// closed is set once, by the writer, after its last commit: a reader
	// that loads true and then loads write has seen the last frame.
	closed atomic.Bool
	_      pad
}

// Writer is the producer's end. Its methods must only be called from one
// goroutine at a time, except for Dropped.
type Writer struct {
	// Static after construction.
	ring *ring
	size uint64
	bell chan<- struct{}

	// Owned by the producer. next is its copy of ring.write; limit is the
	// first index it may not write: ring.read as last loaded, plus the
	// capacity, but not beyond the segment of a lazy ring. Only when next meets limit does the producer touch the
	// reader's cache line. After Close limit equals next for good.
	next, limit uint64
	frames      []pcm.Frame // all of the ring, or the segment that next lies in
	lazy        lazyWriter

	// Atomic: stored by the producer only.
	dropped atomic.Uint64
}

// Reader is the consumer's end. Its methods must only be called from one
// goroutine at a time, except for Skipped.
type Reader struct {
	// Static after construction.
	ring *ring
	bell <-chan struct{}
	lazy bool

	// Owned by the consumer. next is its copy of ring.read; limit is
	// ring.write as last loaded, but not beyond the segment of a lazy ring. Only when next meets limit does the
	// consumer touch the writer's cache line.
	next, limit uint64
	frames      []pcm.Frame // all of the ring, or the segment that next lies in

	// Atomic: stored by the consumer only.
	skipped atomic.Uint64
}

// New returns the two ends of a ring of at least n frames: n is rounded up to
// a power of two, and to 2. A frame takes 672 bytes. New panics if n is less
// than 1 or greater than [MaxFrames].
func New(n int) (*Writer, *Reader) {
	if n < 1 || n > MaxFrames {
		panic(fmt.Sprintf("ring: New: n = %d frames, want 1 to %d", n, MaxFrames))
	}
	size := 2
	for size < n {
		size <<= 1
	}
	w, r := newRing(uint64(size))
	w.frames = make([]pcm.Frame, size)
	r.frames = w.frames
	return w, r
}

func newRing(size uint64) (*Writer, *Reader) {
	bell := make(chan struct{}, 1)
	r := new(ring)
	w, rd := &r.writer, &r.reader
	w.ring, w.size, w.limit, w.bell = r, size, size, bell
	rd.ring, rd.bell = r, bell
	return w, rd
}
