package engine

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// phases spread the sources of a pacer over the 20 ms.
const phases = 20

// pacer moves all armed sources of its legs on an absolute schedule, one after
// the other: source of phase p at every p + k·20 ms. It sleeps while none is
// armed. It makes only non-blocking writes.
type pacer struct {
	stop  chan struct{}
	ended chan struct{}
	bell  chan struct{}
	sleep func(until int64)

	// armed counts the armed sources of each phase, at least, and beating the
	// beats, which always are.
	armed   [phases]atomic.Int64
	beating [phases]atomic.Int64
	late    lateness // of turns

	// Guarded by turning.
	turning    sync.Mutex
	turn       int64 // the first that is not taken yet
	idle       bool  // nothing is on the schedule
	resting    bool  // the goroutine waits for the bell
	due        []*Source
	dueBeats   []*Beat
	understudy understudy

	// Guarded by mu, which may be locked while turning is.
	mu      sync.Mutex
	started bool
	closed  bool
	next    int // phase of the next source
	begun   int // beats begun so far
	sources [phases][]*Source
	beats   [phases][]*Beat
}

func newPacer() *pacer {
	p := &pacer{stop: make(chan struct{}), ended: make(chan struct{}), bell: make(chan struct{}, 1), sleep: sleepUntil, idle: true}
	p.understudy = understudy{pacer: p, wanted: kernelSleeps, needed: kernelSleeps}
	return p
}

// arm asks for the source to be moved at its next turn.
func (p *pacer) arm(s *Source) {
	if !s.armed.CompareAndSwap(false, true) {
		return
	}
	phase := s.phase.Load()
	if phase < 0 {
		if phase = p.add(s); phase < 0 {
			return
		}
	}
	// After s.armed: collect clears the count before it looks at the flags.
	p.armed[phase].Add(1)
	select {
	case p.bell <- struct{}{}:
	default:
	}
}

// add puts the source on the schedule for good.
func (p *pacer) add(s *Source) int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || s.closed.Load() {
		return -1
	}
	p.start()
	phase := p.next
	p.next = (p.next + 1) % phases
	p.sources[phase] = append(p.sources[phase], s)
	s.phase.Store(int32(phase))
	return int32(phase)
}

// start runs the pacer, if it does not yet. Guarded by mu.
func (p *pacer) start() {
	if !p.started {
		p.started = true
		go p.run()
	}
}

// drop forgets a source.
func (p *pacer) drop(s *Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	phase := s.phase.Load()
	if phase < 0 {
		return
	}
	if i := slices.Index(p.sources[phase], s); i >= 0 {
		p.sources[phase] = slices.Delete(p.sources[phase], i, i+1)
	}
}

func (p *pacer) close() {
	p.mu.Lock()
	started := p.started
	closed := p.closed
	p.closed = true
	p.mu.Unlock()
	if closed {
		return
	}
	close(p.stop)
	if started {
		<-p.ended
	}
	p.understudy.dismiss()
	p.mu.Lock()
	left := slices.Concat(p.beats[:]...)
	p.mu.Unlock()
	for _, b := range left {
		b.Stop()
		b.closed()
	}
}

// run is the pacer's goroutine. The thread is its own, so that a sleep on the
// kernel's absolute clock wakes nobody else late.
func (p *pacer) run() {
	defer close(p.ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	late := time.Duration(-1)
	for {
		at, ok := p.advance(late)
		if !ok {
			select {
			case <-p.bell:
				late = -1 // which says nothing of the kernel
				continue
			case <-p.stop:
				return
			}
		}
		// Not in one go: a source may be armed whose turn is earlier.
		at = min(at, Now()+nap)
		p.sleep(at)
		late = time.Duration(Now() - at)
	}
}

// advance is takeDue, for the pacer's goroutine, which the kernel woke so late; it
// did not if late is negative.
func (p *pacer) advance(late time.Duration) (at int64, ok bool) {
	p.turning.Lock()
	defer p.turning.Unlock()
	p.understudy.judge(late)
	at, ok = p.takeDue()
	p.resting = !ok
	if ok {
		p.understudy.watch(at)
	}
	return at, ok
}

// takeDue takes all turns that are due and returns when the next is, or false
// if nothing is on the schedule or the pacer is closed. Guarded by turning.
func (p *pacer) takeDue() (at int64, ok bool) {
	if p.idle {
		p.turn = max(p.turn, Now()/phaseNanos+1)
	}
	for {
		if p.stopped() {
			return 0, false
		}
		turn, ok := p.nextTurn(p.turn)
		if !ok {
			p.idle = true
			return 0, false
		}
		p.idle = false
		now := Now()
		at := turn * phaseNanos
		switch {
		case now < at:
			p.turn = min(turn, max(p.turn, now/phaseNanos+1))
			return at, true
		case now-at > suspended:
			p.late.since(at)
			p.turn = now / phaseNanos // nobody wants those turns any more
		default:
			p.late.since(at)
			p.turn = turn + 1
			p.take(turn)
		}
	}
}

func (p *pacer) stopped() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// take runs the sources and the beats whose turn it is.
func (p *pacer) take(turn int64) {
	p.due = p.collect(int(turn%phases), p.due[:0])
	for i, s := range p.due {
		p.due[i] = nil // a closed source is not to be kept
		s.tick.Store(true)
		s.run(Now())
		s.fireMarks(Now())
	}
	p.dueBeats = p.collectBeats(int(turn%phases), p.dueBeats[:0])
	for i, b := range p.dueBeats {
		p.dueBeats[i] = nil
		if !b.stopped.Load() {
			b.turn(turn * phaseNanos)
		}
	}
}

const (
	phaseNanos = slotNanos / phases
	nap        = slotNanos / 4
	// suspended is how late a turn may be and still be made up for.
	suspended = 10 * slotNanos
)

// nextTurn returns the first turn from turn on that has a source or a beat.
func (p *pacer) nextTurn(turn int64) (int64, bool) {
	for i := range int64(phases) {
		if at := (turn + i) % phases; p.armed[at].Load() > 0 || p.beating[at].Load() > 0 {
			return turn + i, true
		}
	}
	return 0, false
}

// collect disarms the armed sources of a phase and returns them: the run of
// each arms it again if something is left. They are run without the lock,
// since callbacks may close their leg.
func (p *pacer) collect(phase int, due []*Source) []*Source {
	p.armed[phase].Store(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sources[phase] {
		if s.armed.Swap(false) {
			due = append(due, s)
		}
	}
	return due
}
