package engine

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

const (
	// DefaultSourceLimit of what a source queues.
	DefaultSourceLimit = 400 * time.Millisecond
	// RunAhead bounds what was sent and is not played yet, by the playout
	// model: what lies beyond it is still here to be flushed.
	RunAhead = 400 * time.Millisecond
)

// Source is a source context: audio that the app puts into the call. Any
// number of samples may be written; they leave in frames of 20 ms, straight
// to the peer when it paces itself and is less than RunAhead behind, else
// from a queue.
//
// One goroutine at a time writes; Flush, Mark, Depth and Stats may be called
// from any.
type Source struct {
	// Static after construction.
	leg   *Leg
	pacer *pacer
	space chan struct{} // wakes a writer that waits for room

	// Owned by the holder of claim.
	claim      atomic.Bool
	writeEpoch atomic.Uint64 // epoch of what is being appended
	epochPos   atomic.Int64  // where in the queue it began

	queue queue

	// Atomic.
	epoch   atomic.Uint64 // raised by Flush
	waiting atomic.Bool   // a writer waits for space
	pumping atomic.Uint32 // pumpIdle, pumpRunning, pumpAgain
	tick    atomic.Bool   // the pacer asks for the next run
	armed   atomic.Bool   // the pacer runs the source at its next turn
	phase   atomic.Int32  // of the pacer's schedule; -1: not on it yet
	out     atomic.Pointer[Outlet]
	paced   atomic.Bool // out is a PacedOutlet
	taps    atomic.Pointer[[]*Tap]
	playEnd atomic.Int64 // Now at which all that was sent is played
	since   atomic.Int64 // Now, when out was attached
	lat     latency      // of frames that left
	closed  atomic.Bool
	joined  atomic.Bool // a room writes, and the app may not
	n       sourceCounters

	// Owned by the holder of the pump.
	pump pumpState

	marks marks

	// Guarded by mu.
	mu      sync.Mutex
	own     []*Tap
	dropped uint64 // by taps that are closed
}

type sourceCounters struct {
	frames, underruns, flushes, flushed, padded, stalls atomic.Int64
}

// SourceStats counts a source context.
type SourceStats struct {
	// Frames sent, of 20 ms.
	Frames int64 `json:"frames"`
	// Underruns: audio that continued after the peer had run dry.
	Underruns int64 `json:"underruns"`
	// Flushes, and samples that were written and then flushed unsent.
	Flushes int64 `json:"flushes"`
	Flushed int64 `json:"flushed"`
	// Padded samples completed a last frame.
	Padded int64 `json:"padded"`
	// Stalls: the peer did not take a frame that was due.
	Stalls int64 `json:"stalls"`
	// Queued and Unplayed audio.
	Queued   time.Duration `json:"queued_ns"`
	Unplayed time.Duration `json:"unplayed_ns"`
	// TapDropped frames found a tap's ring full.
	TapDropped uint64 `json:"tap_dropped"`
}

func newSource(l *Leg, p *pacer) *Source {
	s := &Source{leg: l, pacer: p, space: make(chan struct{}, 1)}
	s.phase.Store(-1)
	s.queue.init(max(pcm.Samples(l.cfg.SourceLimit), pcm.FrameSamples))
	s.taps.Store(&[]*Tap{})
	return s
}

// Write queues all of samples, waiting for room, and returns how many it
// took: fewer only with an error, which is ctx's, ErrClosed, ErrFlushed (a
// Flush overtook this write: of the n taken none is heard that was not played
// yet), ErrConcurrentWrite or ErrJoined (the leg is in a room). It must not be called in a handler: use
// TryWrite there.
func (s *Source) Write(ctx context.Context, samples []int16) (n int, err error) {
	epoch, err := s.beginWrite()
	if err != nil {
		return 0, err
	}
	defer s.claim.Store(false)
	for {
		now := Now()
		k := s.queue.append(samples[n:], now)
		n += k
		if k > 0 {
			s.run(now)
		}
		switch {
		case s.closed.Load():
			return n, ErrClosed
		case s.epoch.Load() != epoch:
			return n, ErrFlushed
		case n == len(samples):
			return n, nil
		}
		if err := s.awaitSpace(ctx, epoch); err != nil {
			return n, err
		}
	}
}

// awaitSpace returns when there may be room, or the write was flushed.
func (s *Source) awaitSpace(ctx context.Context, epoch uint64) error {
	s.waiting.Store(true)
	defer s.waiting.Store(false)
	if s.queue.len() < s.queue.limit || s.epoch.Load() != epoch {
		return nil
	}
	select {
	case <-s.space:
		return nil
	case <-s.leg.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TryWrite queues as many samples as there is room for now and returns how
// many. It never blocks. Errors are those of Write.
func (s *Source) TryWrite(samples []int16) (n int, err error) {
	epoch, err := s.beginWrite()
	if err != nil {
		return 0, err
	}
	return s.tryWrite(samples, epoch)
}

// tryWrite must be called with the claim, which it gives back.
func (s *Source) tryWrite(samples []int16, epoch uint64) (n int, err error) {
	defer s.claim.Store(false)
	for n < len(samples) {
		now := Now()
		k := s.queue.append(samples[n:], now)
		if k == 0 {
			break
		}
		n += k
		s.run(now)
	}
	switch {
	case s.closed.Load():
		return n, ErrClosed
	case s.epoch.Load() != epoch:
		return n, ErrFlushed
	}
	return n, nil
}

// roomWrite is TryWrite for the room that the leg is in.
func (s *Source) roomWrite(samples []int16) (n int) {
	epoch, err := s.takeClaim()
	if err != nil {
		return 0 // a write of the app has not returned yet
	}
	n, _ = s.tryWrite(samples, epoch) // a closed leg leaves the room by itself
	return n
}

// beginWrite takes the claim and opens the current epoch.
func (s *Source) beginWrite() (epoch uint64, err error) {
	if s.closed.Load() {
		return 0, ErrClosed
	}
	if s.joined.Load() {
		return 0, ErrJoined
	}
	return s.takeClaim()
}

// takeClaim is beginWrite, for a room too.
func (s *Source) takeClaim() (epoch uint64, err error) {
	if !s.claim.CompareAndSwap(false, true) {
		return 0, ErrConcurrentWrite
	}
	epoch = s.epoch.Load()
	if s.writeEpoch.Load() != epoch {
		// All below the tail is older than the flush. The pump must see the
		// position before the epoch, and the epoch before new samples.
		s.epochPos.Store(s.queue.tail.Load())
		s.writeEpoch.Store(epoch)
	}
	return epoch, nil
}

// Flush drops what was written and not yet played: what is queued here, and,
// by the peer's own flush, what it was sent (barge-in). A Write that is under
// way returns ErrFlushed. From any goroutine; it does not wait.
func (s *Source) Flush() {
	s.epoch.Add(1)
	s.n.flushes.Add(1)
	s.wake()
	s.run(Now())
	s.fireMarks(Now())
}

func (s *Source) wake() {
	select {
	case s.space <- struct{}{}:
	default:
	}
}

// Depth returns how long what was written will still play: queued and sent.
func (s *Source) Depth() time.Duration {
	return pcm.Duration(s.queue.len()) + s.unplayed()
}

func (s *Source) unplayed() time.Duration {
	return time.Duration(max(0, s.playEnd.Load()-Now()))
}

// Tap attaches a ring that gets the frames as they are placed by the playout
// model: Timestamp is when the peer plays the frame, sample-accurate. A frame
// with the flag Cut says that audio at or after its Timestamp was flushed and
// is not heard.
func (s *Source) Tap(frames int) *Tap { return s.attachTap(newTap(frames, &s.leg.lat, s.drop)) }

// LazyTap is to Tap as that of a Leg is to its own.
func (s *Source) LazyTap(frames int) *Tap { return s.attachTap(newLazyTap(frames, &s.leg.lat, s.drop)) }

func (s *Source) attachTap(t *Tap) *Tap {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		t.end()
		return t
	}
	s.own = append(s.own, t)
	own := append([]*Tap(nil), s.own...)
	s.taps.Store(&own)
	return t
}

func (s *Source) drop(t *Tap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.own, t) {
		s.own, s.dropped = without(s.own, t), s.dropped+t.Dropped()
		own := s.own
		s.taps.Store(&own)
	}
}

// Stats returns a snapshot.
func (s *Source) Stats() SourceStats {
	st := SourceStats{
		Frames: s.n.frames.Load(), Underruns: s.n.underruns.Load(),
		Flushes: s.n.flushes.Load(), Flushed: s.n.flushed.Load(),
		Padded: s.n.padded.Load(), Stalls: s.n.stalls.Load(),
		Queued: pcm.Duration(s.queue.len()), Unplayed: s.unplayed(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.TapDropped = dropped(s.dropped, s.own)
	return st
}

func (s *Source) attach(out Outlet) {
	if out == nil {
		s.out.Store(nil)
		return
	}
	_, paced := out.(PacedOutlet)
	s.paced.Store(paced)
	s.since.Store(Now())
	s.out.Store(&out)
	s.run(Now())
}

// close ends the source: writers return, marks are cancelled, taps end.
func (s *Source) close() {
	s.closed.Store(true)
	s.wake()
	s.run(Now())
	s.pacer.drop(s)
}
