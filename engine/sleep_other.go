//go:build !linux

package engine

import "time"

// kernelSleeps: the runtime's timers wake who sleeps.
const kernelSleeps = false

// sleepUntil blocks the goroutine until Now reaches t.
func sleepUntil(t int64) { time.Sleep(time.Duration(t - Now())) }
