package load

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// A sleeper sleeps until times of the run's clock.
type sleeper struct{ offset int64 } // of CLOCK_MONOTONIC from the run's clock

// newSleeper takes the calling goroutine's thread for good: a timer of 1 ns
// slack is a property of the thread. (By default the kernel lets sleeps
// overrun by 50 µs.)
func newSleeper(c *clock) *sleeper {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without it, we are late and say so
	var ts unix.Timespec
	before := c.now()
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return &sleeper{}
	}
	return &sleeper{ts.Nano() - (before+c.now())/2}
}

func (s *sleeper) until(t int64) {
	at := unix.NsecToTimespec(t + s.offset)
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR {
	}
}
