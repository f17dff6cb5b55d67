package engine

import (
	"slices"
	"sync/atomic"
)

// Beat is work that is done every 20 ms on the turns of a pacer: of rooms, and
// of transports whose peers do not pace themselves.
type Beat struct {
	// Static after construction.
	pacer  *pacer
	turn   func(at int64)
	closed func()

	// Guarded by pacer.mu.
	phase int

	// Atomic.
	stopped atomic.Bool
}

// NewBeat makes a beat that, once started, calls turn every 20 ms: on an
// absolute schedule, one turn of a pacer after the other, so that it must not
// block. at is when the turn was due (Now). One that is late is made up for, with
// its own time, but after 200 ms: then those in between are left out. Beats that
// are near to one another are of the same pacer and never run at once; near may
// be nil. If the engine is closed before Stop, closed is called instead, once,
// when no turn is under way any more.
func (e *Engine) NewBeat(near *Beat, turn func(at int64), closed func()) *Beat {
	if near != nil {
		return near.pacer.newBeat(turn, closed)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	least, fewest := e.pacers[0], int64(0)
	for i, p := range e.pacers {
		n := p.beatsNow()
		if n < enough {
			return p.newBeat(turn, closed)
		}
		if i == 0 || n < fewest {
			least, fewest = p, n
		}
	}
	return least.newBeat(turn, closed)
}

// Anchors returns a beat for each pacer that there is, for others to be near
// to: for who spreads work by itself. They are not to be started.
func (e *Engine) Anchors() []*Beat {
	all := make([]*Beat, len(e.pacers))
	for i, p := range e.pacers {
		all[i] = p.newBeat(nil, nil)
	}
	return all
}

// enough beats for one pacer, before another begins: each of them is a thread,
// whose waking up costs more than the turns of a few.
const enough = 32

func (p *pacer) beatsNow() (n int64) {
	for i := range p.beating {
		n += p.beating[i].Load()
	}
	return n
}

func (p *pacer) newBeat(turn func(at int64), closed func()) *Beat {
	return &Beat{pacer: p, turn: turn, closed: closed}
}

// together are the beats that share a phase before the next one is begun: waking
// up costs about as much as a turn, and a turn takes some 20 µs.
const together = 4

// Start puts the beat on the schedule, once. It fails with ErrClosed.
func (b *Beat) Start() error {
	p := b.pacer
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || b.stopped.Load() {
		return ErrClosed
	}
	b.phase = p.begun / together % phases
	p.begun++
	p.beats[b.phase] = append(p.beats[b.phase], b)
	p.beating[b.phase].Add(1)
	p.start()
	select {
	case p.bell <- struct{}{}:
	default:
	}
	return nil
}

// Stop ends the beat. A turn that is under way goes on, no other begins. It may
// be called from a turn, more than once.
func (b *Beat) Stop() {
	if b.stopped.Swap(true) {
		return
	}
	p := b.pacer
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.beats[b.phase], b); i >= 0 { // else it was never started
		p.beats[b.phase] = slices.Delete(p.beats[b.phase], i, i+1)
		p.beating[b.phase].Add(-1)
	}
}

// collectBeats returns the beats of a phase. They are run without the lock,
// since turns stop beats and begin them.
func (p *pacer) collectBeats(phase int, due []*Beat) []*Beat {
	if p.beating[phase].Load() == 0 {
		return due
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(due, p.beats[phase]...)
}
