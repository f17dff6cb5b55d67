//go:build !linux

package load

import "time"

// A sleeper sleeps until times of the run's clock.
type sleeper struct{ c *clock }

func newSleeper(c *clock) *sleeper { return &sleeper{c} }

func (s *sleeper) until(t int64) { time.Sleep(time.Duration(t - s.c.now())) }
