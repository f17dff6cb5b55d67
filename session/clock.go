package session

import "time"

// Clock is the time of protocol timers (ring, hang-up, probe), so that tests
// can scale it; never of media, tokens or TLS. The zero value is the system's.
type Clock struct {
	Now func() time.Time
	// NewTimer returns a channel that gets one value after d, and a
	// function that releases the timer before that.
	NewTimer func(d time.Duration) (c <-chan time.Time, stop func() bool)
}

func (c Clock) orSystem() Clock {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewTimer == nil {
		c.NewTimer = func(d time.Duration) (<-chan time.Time, func() bool) {
			t := time.NewTimer(d)
			return t.C, t.Stop
		}
	}
	return c
}
