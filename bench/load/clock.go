package load

import "time"

// A clock is the time of one run, in ns since it began.
type clock struct{ zero time.Time }

func newClock() *clock { return &clock{time.Now()} }

func (c *clock) now() int64 { return int64(time.Since(c.zero)) }

// wall is the time of day at t.
func (c *clock) wall(t int64) time.Time { return c.zero.Add(time.Duration(t)) }
