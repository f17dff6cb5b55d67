package cloud

import (
	"fmt"
	"slices"
	"time"
)

// When an app is asked to authorize a subscription anew. In the cloud that
// hangs on the lifetime of the token which created it: at every quarter of what
// is left of it, and every 15 min in its last hour. The emulator takes an hour
// for granted, from the last create, update or reauthorize on: it asks after
// 45 min and every 15 min from then on, and pauses delivery after 60 min. What
// is paused for four hours is dropped; what is younger is delivered once the
// app has answered. Subscriptions without a lifecycleNotificationUrl, which
// live for an hour at most, are not asked and do not pause.
const (
	authorizeFirst = 45 * time.Minute
	authorizeAgain = 15 * time.Minute
	authorizeLife  = time.Hour
)

// schedule sets when a subscription expires, and authorizes it. It must be
// called with mu held.
func (c *changes) schedule(s *changeSubscription, expires time.Time) {
	s.expires = expires
	s.ends = time.Now().Add(c.scaled(expires.Sub(c.now())))
	c.authorize(s)
}

// authorize must be called with mu held.
func (c *changes) authorize(s *changeSubscription) {
	now := time.Now()
	s.asks, s.pauses = now.Add(c.scaled(authorizeFirst)), now.Add(c.scaled(authorizeLife))
	s.ring()
}

func (s *changeSubscription) paused(now time.Time) bool {
	return s.lifecycleURL != "" && !now.Before(s.pauses)
}

// ask queues the demand for reauthorization if it is due. It must be called
// with mu held.
func (c *changes) ask(s *changeSubscription, now time.Time) {
	if s.lifecycleURL == "" || now.Before(s.asks) {
		return
	}
	s.asks = now.Add(c.scaled(authorizeAgain))
	c.tell(s, ReauthorizationRequired)
}

// lifecycle tells a subscription's app of its lifecycle. SubscriptionRemoved
// removes the subscription too. It is an error if there is no such
// subscription, no lifecycleNotificationUrl to tell, or no room in its queue.
func (c *changes) lifecycle(id string, event LifecycleEvent) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.subscriptions[id]
	switch {
	case s == nil:
		return fmt.Errorf("cloud: subscription: id: %q is not one", id)
	case s.lifecycleURL == "":
		return fmt.Errorf("cloud: subscription %s has no lifecycleNotificationUrl", id)
	}
	switch event {
	case SubscriptionRemoved:
		c.end(s, dropRemoved)
	case ReauthorizationRequired, Missed:
	default:
		return fmt.Errorf("cloud: subscription: event: %q is not one", event)
	}
	if !c.tell(s, event) {
		return fmt.Errorf("cloud: subscription %s: %d lifecycle notifications wait already", id, maxLifecycleQueue)
	}
	return nil
}

// tell queues a lifecycle notification, and reports whether there was room. It
// must be called with mu held.
func (c *changes) tell(s *changeSubscription, event LifecycleEvent) bool {
	faults := c.takeFaults(s.id, true)
	if befallen(faults, DropChange) {
		c.journal.count(dropFault, 1)
		return true // as far as who asked can know
	}
	n := lifecycleNotification{
		SubscriptionID: s.id, SubscriptionExpirationDateTime: graphDate(s.expires), TenantID: s.app.TenantID,
		ClientState: s.state(faults), LifecycleEvent: event,
	}
	d := c.newDelivery(s, marshal(n), faults)
	d.entry.Lifecycle = event
	return c.enqueue(s, d, faults)
}

// lost tells an app that notifications were not delivered, unless that is
// already on its way: "missed". It must be called with mu held.
func (c *changes) lost(s *changeSubscription) {
	if s.gone || s.lifecycleURL == "" {
		return
	}
	for _, d := range append(slices.Clip(s.queue), s.sending) {
		if d != nil && d.entry.Lifecycle == Missed {
			return
		}
	}
	c.tell(s, Missed)
}
