package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/mixminus/mixminus/engine/mix"
	"github.com/mixminus/mixminus/engine/pcm"
)

// Listener lets a leg hear another one, in which nobody hears it: who listens
// in. Everything waits 40 ms, so that jitter is not heard. It runs on a pacer's
// turns, once in 20 ms:
//
//	tap of what is heard, tap of what the bot says there -> sum -> source
//
// Methods are safe for concurrent use.
type Listener struct {
	// Static after construction.
	leg, heard *Leg
	voice      *Tap // of the heard leg's source; nil: one speaker is heard
	beat       *Beat
	done       chan struct{}

	// Owned by the pacer's turns.
	feed
	cushion
	said  said
	sum   mix.Sum
	out   mix.Samples
	extra mix.Samples // what the bot says in this turn

	// Atomic.
	stopped atomic.Bool

	over sync.Once
}

// ListenerStats counts a listener's frames of 20 ms.
type ListenerStats struct {
	// Frames of the heard leg that were passed on; those of its source are
	// not counted.
	Frames int64 `json:"frames"`
	// Underruns: they stopped for a turn or more.
	Underruns int64 `json:"underruns"`
	// Skipped frames of a backlog.
	Skipped int64 `json:"skipped"`
	// Refused frames that the listening leg's source had no room for.
	Refused int64 `json:"refused"`
	// TapDropped frames found a ring full.
	TapDropped uint64 `json:"tap_dropped"`
}

// Listen lets leg hear heard: all who are in it, and what its own source says,
// where the peer would play it; or, if who is not nil, that one speaker of it
// alone. It ends with either leg, or by Close. The listener writes leg's source
// from then on, and whoever else does gets ErrJoined, as in a room; a leg that
// is in one, or listens already, gets it here.
func (e *Engine) Listen(leg, heard *Leg, who *Render) (*Listener, error) {
	switch {
	case leg == heard:
		return nil, errors.New("engine: Listen: a leg cannot hear itself")
	case who != nil && who.leg != heard:
		return nil, errors.New("engine: Listen: the speaker is another leg's")
	case isDone(leg) || isDone(heard):
		return nil, ErrClosed
	case !leg.source.joined.CompareAndSwap(false, true):
		return nil, fmt.Errorf("%w: %s", ErrJoined, leg.ID())
	}
	l := &Listener{leg: leg, heard: heard, done: make(chan struct{})}
	l.open(heard, who)
	if who == nil {
		l.voice = heard.source.Tap(saidFrames)
		l.voice.lat = nil
	}
	l.beat = leg.source.pacer.newBeat(l.turn, l.end)
	if err := l.beat.Start(); err != nil {
		l.end()
		return nil, err
	}
	return l, nil
}

// Done is closed when nothing is passed on any more.
func (l *Listener) Done() <-chan struct{} { return l.done }

// Close ends the listening at the next turn, for which it does not wait. The
// legs stay. Idempotent.
func (l *Listener) Close() { l.stopped.Store(true) }

// Stats returns the counters.
func (l *Listener) Stats() ListenerStats {
	s := ListenerStats{
		Frames: l.frames.Load(), Underruns: l.underruns.Load(), Skipped: l.skipped.Load(),
		Refused: l.refused.Load(), TapDropped: l.tap.Dropped(),
	}
	if l.voice != nil {
		s.TapDropped += l.voice.Dropped()
	}
	return s
}

// end detaches the listener: at a turn of the pacer, or after its end.
func (l *Listener) end() {
	l.over.Do(func() {
		l.beat.Stop()
		l.tap.Close()
		if l.voice != nil {
			l.voice.Close()
		}
		l.leg.source.joined.Store(false)
		close(l.done)
	})
}

// turn passes on what is due at at.
func (l *Listener) turn(at int64) {
	if l.stopped.Load() || isDone(l.leg) || isDone(l.heard) {
		l.end()
		return
	}
	l.sum.Reset()
	if l.pull(unity) {
		l.sum.Add(&l.in)
	}
	if l.hearSource(at) {
		l.sum.Add(&l.extra)
	}
	if l.leg.source.out.Load() == nil {
		l.primed = false // nobody is there: what is said now is not to be heard late
		return
	}
	l.sum.Mix(&l.out)
	l.push(l.leg.source, &l.out)
}

// hearSource takes into extra what the heard leg's source says in the frame that
// is due at at.
func (l *Listener) hearSource(at int64) bool {
	start := l.heard.start.Load()
	if l.voice == nil || start == nil {
		return false
	}
	for f := l.voice.Peek(); f != nil; f = l.voice.Peek() {
		l.said.put(f)
		l.voice.Release()
	}
	return l.said.take(&l.extra, (at-start.at)/sampleNanos-memberTarget*pcm.FrameSamples)
}

const (
	// saidSamples is how far a source may run ahead of the listener: RunAhead,
	// a peer's own lag and the listener's, with room to spare.
	saidSamples = 16384
	// saidFrames is the ring on the way there: as much, in frames.
	saidFrames = 64
)

// said holds what a source said at its place, until that is due. The zero value
// is empty.
type said struct {
	from    int64 // the oldest sample's place
	until   int64 // nothing lies there or later
	samples [saidSamples]int16
}

// put stores a frame of a source's tap. What lies in the past or far ahead is
// left out.
func (s *said) put(f *pcm.Frame) {
	at := f.Position()
	if f.Flags.Has(pcm.Cut) {
		for i := max(at, s.from); i < s.until; i++ {
			s.samples[i%saidSamples] = 0
		}
		s.until = min(s.until, max(at, s.from))
		return
	}
	for i, x := range f.Samples {
		if p := at + int64(i); p >= s.from && p < s.from+saidSamples {
			s.samples[p%saidSamples] = x
			s.until = max(s.until, p+1)
		}
	}
}

// take moves the frame that begins at a place into out, forgets what lies before,
// and reports whether anything was said in it.
func (s *said) take(out *mix.Samples, at int64) bool {
	s.forget(at)
	if s.until <= s.from {
		return false
	}
	clear(out[:])
	for p := s.from; p < at+pcm.FrameSamples; p++ {
		out[p-at] = s.samples[p%saidSamples]
	}
	s.forget(at + pcm.FrameSamples)
	return true
}

// forget clears all before a place.
func (s *said) forget(before int64) {
	for i := s.from; i < min(before, s.until); i++ {
		s.samples[i%saidSamples] = 0
	}
	s.from = max(s.from, before)
	s.until = max(s.until, s.from)
}
