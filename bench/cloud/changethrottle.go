package cloud

import (
	"maps"
	"net/url"
	"time"
)

// How Graph judges endpoints ("Receive change notifications through webhooks",
// throttling). The emulator simplifies: the window begins with an endpoint's
// first delivery, the share of slow answers is that of the window so far, and
// at its end the endpoint has a clean slate.
const (
	slowAnswer      = 2900 * time.Millisecond // real time
	throttleWindow  = 10 * time.Minute
	throttleMinimum = 100 // notifications, before which nobody is judged
	throttleDelay   = 10 * time.Minute
	slowPercent     = 10 // from here on, delivery is delayed
	dropPercent     = 15 // from here on, notifications are dropped
)

// endpointStats are those of a host. They are guarded by changes.mu.
type endpointStats struct {
	until      time.Time // end of the window
	sent, slow int
}

type endpointState int

const (
	endpointGood endpointState = iota
	endpointSlow
	endpointTooSlow
)

func (e *endpointStats) state() endpointState {
	switch {
	case e.sent < throttleMinimum || 100*e.slow < slowPercent*e.sent:
		return endpointGood
	case 100*e.slow < dropPercent*e.sent:
		return endpointSlow
	}
	return endpointTooSlow
}

// endpoint returns the statistics of a URL's host. It must be called with mu
// held. There are at most as many as subscriptions could have hosts in one
// window; those that do not fit are not judged.
func (c *changes) endpoint(target string, now time.Time) *endpointStats {
	host := target
	if u, err := url.Parse(target); err == nil {
		host = u.Host
	}
	if e := c.endpoints[host]; e != nil && now.Before(e.until) {
		return e
	}
	e := &endpointStats{until: now.Add(c.scaled(throttleWindow))}
	if len(c.endpoints) >= maxChangeSubscriptions {
		maps.DeleteFunc(c.endpoints, func(_ string, e *endpointStats) bool { return !now.Before(e.until) })
	}
	if c.endpoints[host] != nil || len(c.endpoints) < maxChangeSubscriptions {
		c.endpoints[host] = e
	}
	return e
}
