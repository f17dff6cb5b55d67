// Package engine moves 20 ms frames of 16 kHz PCM between the transports that
// carry calls and the code that listens and speaks in them. It knows no
// network, no call and no cloud.
//
// A Leg is one call's media. Audio from the call appears in its render
// contexts (Render), one for a mixed leg and one per speaker for an unmixed
// leg; audio for the call goes into its source context (Source). A transport
// attaches to a leg with Attach and produces into it on its reader goroutine;
// an app takes frames by a handler on that goroutine (Render.Handle) or reads
// them from a ring of its own (Tap).
//
// The way of a frame in, all on the transport's reader goroutine:
//
//	Port.Render -> Render.Slot | Render.Append -> placer -> handler, taps
//
// The way of a frame out, on the writing goroutine or a pacer's:
//
//	Source.Write -> queue -> pump -> Outlet, playout model, taps
package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

// Errors on which a caller can act.
var (
	// ErrClosed: the leg or the engine is closed.
	ErrClosed = errors.New("engine: closed")
	// ErrAttached: another connection produces into the leg.
	ErrAttached = errors.New("engine: leg has a connection")
	// ErrTooManyLegs: Config.MaxLegs legs are open.
	ErrTooManyLegs = errors.New("engine: too many legs")
	// ErrTooManySpeakers: the leg has LegConfig.MaxSpeakers speakers.
	ErrTooManySpeakers = errors.New("engine: too many speakers")
	// ErrPanic: an app's callback panicked; its leg was closed.
	ErrPanic = errors.New("engine: callback panicked")
	// ErrFlushed: a Flush overtook samples of this write; they are not heard.
	ErrFlushed = errors.New("engine: source flushed")
	// ErrConcurrentWrite: another goroutine is writing the source.
	ErrConcurrentWrite = errors.New("engine: concurrent write to source")
	// ErrTooManyMarks: MaxMarks marks wait to be played.
	ErrTooManyMarks = errors.New("engine: too many marks")
)

// processStart is the zero of Now.
var processStart = time.Now()

// Now reads the process's monotonic clock, in nanoseconds since start-up. It
// is the clock of Frame.Arrival and of the playout model.
func Now() int64 { return int64(time.Since(processStart)) }

// Config of an Engine. The zero value works.
type Config struct {
	// Logger for what happens to legs, never to frames; nil is silent.
	Logger *slog.Logger
	// MaxLegs open at once; 0 means 100,000.
	MaxLegs int
}

// Engine is the set of live legs and the pacers that serve them.
type Engine struct {
	// Static after construction.
	log     *slog.Logger
	maxLegs int
	pacers  []*pacer

	// Guarded by mu.
	mu     sync.Mutex
	legs   map[*Leg]struct{}
	ending map[*Leg]struct{} // closed, and a connection holds them still
	past   Totals            // of legs that are over
	// Sums that are being made, without the lock, and what was spent meanwhile:
	// it is in them.
	sums   int
	ended  []*Leg
	next   int // pacer of the next leg
	closed bool
}

// New builds an Engine. It starts nothing: pacers start with the first source
// that has something to pace.
func New(cfg Config) *Engine {
	e := &Engine{
		log:     cfg.Logger,
		maxLegs: cfg.MaxLegs,
		legs:    make(map[*Leg]struct{}),
		ending:  make(map[*Leg]struct{}),
		pacers:  make([]*pacer, runtime.GOMAXPROCS(0)),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.maxLegs <= 0 {
		e.maxLegs = 100_000
	}
	for i := range e.pacers {
		e.pacers[i] = newPacer()
	}
	return e
}

// NewLeg opens a leg. It does no I/O and starts no goroutine.
func (e *Engine) NewLeg(cfg LegConfig) (*Leg, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	if len(e.legs) >= e.maxLegs {
		return nil, fmt.Errorf("%w: %d", ErrTooManyLegs, len(e.legs))
	}
	l, err := newLeg(e, cfg, e.pacers[e.next%len(e.pacers)])
	if err != nil {
		return nil, err
	}
	e.next++
	e.past.Opened++
	e.legs[l] = struct{}{}
	return l, nil
}

// Legs returns the open legs in no order.
func (e *Engine) Legs() []*Leg {
	e.mu.Lock()
	defer e.mu.Unlock()
	legs := make([]*Leg, 0, len(e.legs))
	for l := range e.legs {
		legs = append(legs, l)
	}
	return legs
}

// Close closes every leg and waits for the pacers to end.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	for _, l := range e.Legs() {
		l.Close()
	}
	for _, p := range e.pacers {
		p.close()
	}
	return nil
}
