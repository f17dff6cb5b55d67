package engine

import "time"

const (
	// tolerance is how late a pacer's goroutine may be woken and need no
	// understudy.
	tolerance = 2 * time.Millisecond
	// restored is how often in a row it must be in time to do without.
	restored = 100
)

// understudy takes the turns of a pacer whose own goroutine does not get to
// them. The kernel wakes that one in time, but then it needs a processor of the
// runtime's, and where others keep all of them busy, it waits in the queue of the
// whole process: up to 61 rounds of the scheduler, of up to 10 ms each, before
// anybody looks there. A timer of the runtime's is late by up to a millisecond,
// but what it starts runs next. It is set only while it is needed: a processor
// that is idle spins for a while after each.
type understudy struct {
	// Static after construction.
	pacer  *pacer
	wanted bool

	// Guarded by pacer.turning.
	timer  *time.Timer
	needed bool // from the start, until the pacer's goroutine has proved itself
	set    bool // the timer will come
	inTime int  // how often in a row the pacer's goroutine was
}

// judge takes note of how late the pacer's goroutine was. Guarded by
// pacer.turning.
func (u *understudy) judge(late time.Duration) {
	switch {
	case late > tolerance:
		u.needed, u.inTime = u.wanted, 0
	case u.needed && late >= 0:
		if u.inTime++; u.inTime == restored {
			u.needed = false
		}
	}
}

// watch sets the timer for the next turn, at at, if the understudy is needed.
// Guarded by pacer.turning.
func (u *understudy) watch(at int64) {
	if !u.needed || u.set || u.pacer.stopped() {
		return
	}
	u.set = true
	// A source may be armed whose turn is earlier.
	if d := time.Duration(min(at-Now(), nap)); u.timer == nil {
		u.timer = time.AfterFunc(d, u.step)
	} else {
		u.timer.Reset(d)
	}
}

// step is what the timer does.
func (u *understudy) step() {
	p := u.pacer
	p.turning.Lock()
	defer p.turning.Unlock()
	u.set = false
	at, ok := p.takeDue()
	switch {
	case ok:
		u.watch(at)
	case !p.resting: // and would not hear the bell
		u.watch(Now() + nap)
	}
}

// dismiss ends it, once the pacer is stopped; no turn of its is under way when it
// returns.
func (u *understudy) dismiss() {
	u.pacer.turning.Lock()
	defer u.pacer.turning.Unlock()
	if u.timer != nil {
		u.timer.Stop()
	}
}
