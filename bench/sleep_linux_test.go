package bench_test

import (
	"github.com/mixminus/mixminus/engine"
	"golang.org/x/sys/unix"
)

// sleepUntil blocks the thread until engine.Now reaches t, by the call by which
// the engine's pacers do.
func sleepUntil(t int64) {
	var now unix.Timespec
	left := t - engine.Now()
	if left <= 0 || unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return
	}
	at := unix.NsecToTimespec(now.Nano() + left)
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR {
	}
}
