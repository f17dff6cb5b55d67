package engine

import (
	"golang.org/x/sys/unix"
)

// kernelSleeps: who sleeps gives its processor back meanwhile.
const kernelSleeps = true

// sleepUntil blocks the thread until Now reaches t. clock_nanosleep on an
// absolute time wakes within a fraction of what a runtime timer needs on a
// busy machine.
func sleepUntil(t int64) {
	d := t - Now()
	if d <= 0 {
		return
	}
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return
	}
	at := unix.NsecToTimespec(ts.Nano() + d)
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR {
	}
}
