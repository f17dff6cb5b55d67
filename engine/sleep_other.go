//go:build !linux

package engine

import "time"

// sleepUntil blocks the goroutine until Now reaches t.
func sleepUntil(t int64) { time.Sleep(time.Duration(t - Now())) }
