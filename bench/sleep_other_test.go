//go:build unix && !linux

package bench_test

import (
	"time"

	"github.com/mixminus/mixminus/engine"
)

// sleepUntil blocks the goroutine until engine.Now reaches t, by the call by
// which the engine's pacers do.
func sleepUntil(t int64) { time.Sleep(time.Duration(t - engine.Now())) }
