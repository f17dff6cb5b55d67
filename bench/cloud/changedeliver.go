package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	// maxChangeQueue and maxLifecycleQueue bound the deliveries of a
	// subscription that wait for their turn or for another attempt, or are on
	// their way. A duplicate by fault comes on top.
	maxChangeQueue    = 256
	maxLifecycleQueue = 16
	// changeTimeout is how long an app has to accept a notification, in real
	// time.
	changeTimeout = 3 * time.Second
	// changeRetry is how long a notification is tried ("resend multiple times,
	// for up to 4 hours"). The pauses between are not documented: here they
	// double.
	changeRetry    = 4 * time.Hour
	changeBackoff  = 5 * time.Second
	maxChangePause = 10 * time.Minute
)

// changeDelivery is a request with notifications on its way. Its fields are
// guarded by changes.mu, or owned by deliverLoop while it is out of the queue.
type changeDelivery struct {
	entry *ChangeDelivery // guarded by changes.mu, always
	items []json.RawMessage
	token *ChangeFault // what is wrong with its token
	rich  bool         // it has one
	batch bool         // it is held to go with the next one
	due   time.Time
	until time.Time // after which it is given up
	pause time.Duration
}

// newDelivery must be called with mu held.
func (c *changes) newDelivery(s *changeSubscription, item json.RawMessage, faults []ChangeFault) *changeDelivery {
	now := time.Now()
	d := &changeDelivery{
		entry: &ChangeDelivery{SubscriptionID: s.id, Queued: now}, items: []json.RawMessage{item},
		due: now, until: now.Add(c.scaled(changeRetry)), pause: c.scaled(changeBackoff),
	}
	for _, f := range faults {
		d.entry.Faults = append(d.entry.Faults, f.Kind)
		if f.Kind == BadChangeToken {
			d.token = &f
		}
	}
	return d
}

// state is the subscription's clientState, or a wrong one.
func (s *changeSubscription) state(faults []ChangeFault) *string {
	if !befallen(faults, BadClientState) {
		return s.clientState
	}
	wrong := uuid.NewString()
	return &wrong
}

// event tells every subscription to a meeting's call what happened in it, and
// returns for how many of them a notification was queued. The meeting is named
// by its joinWebUrl as the meeting itself has it, or decoded.
func (c *changes) event(joinWebURL string, e MeetingCallEvent) (delivered int) {
	if e.Time.IsZero() {
		e.Time = c.now()
	}
	meeting := meetingOf(joinWebURL)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, s := range c.subscriptions {
		if s.events.meeting == meeting && now.Before(s.ends) && c.change(s, e, now) {
			delivered++
		}
	}
	return delivered
}

// change queues a notification, and reports whether it did. It must be called
// with mu held.
func (c *changes) change(s *changeSubscription, e MeetingCallEvent, now time.Time) bool {
	faults := c.takeFaults(s.id, false)
	if befallen(faults, DropChange) {
		c.journal.count(dropFault, 1)
		return false
	}
	state := c.endpoint(s.notificationURL, now).state()
	if state == endpointTooSlow {
		c.journal.count(dropThrottled, 1)
		c.lost(s)
		return false
	}
	id := uuid.NewString()
	n := changeNotification{
		SubscriptionID: s.id, ClientState: s.state(faults), ChangeType: "updated",
		TenantID: s.app.TenantID, OrganizationID: s.app.TenantID, Resource: s.events.path,
		SubscriptionExpirationDateTime: graphDate(s.expires),
		ResourceData:                   changeResource{ODataID: s.events.path, ODataType: callEventType, ID: id},
	}
	if s.certificate != nil {
		var err error
		if n.EncryptedContent, err = s.certificate.encrypt(e.content(id, s.events.path, c.pascal), faults); err != nil {
			c.log.Error("cloud: notification not encrypted", "subscription", s.id, "error", err)
			c.journal.count(dropEncrypt, 1)
			return false
		}
	}
	d := c.newDelivery(s, marshal(n), faults)
	d.entry.IDs, d.entry.Events, d.rich = []string{id}, []MeetingCallEventType{e.Type}, s.certificate != nil
	if state == endpointSlow {
		d.due = d.due.Add(c.scaled(throttleDelay))
	}
	return c.enqueue(s, d, faults)
}

// enqueue queues a delivery, or holds it if a fault wants that, and reports
// whether there was room. It must be called with mu held.
func (c *changes) enqueue(s *changeSubscription, d *changeDelivery, faults []ChangeFault) bool {
	changes, lifecycle := s.waiting()
	if d.entry.Lifecycle == "" && changes >= maxChangeQueue {
		c.journal.count(dropQueue, len(d.items))
		c.lost(s)
		return false
	}
	if d.entry.Lifecycle != "" && lifecycle >= maxLifecycleQueue {
		c.journal.count(dropQueue, len(d.items))
		return false
	}
	d.batch = befallen(faults, BatchChange)
	held := s.held
	if held == nil && (d.batch || befallen(faults, ReorderChange)) {
		c.journal.add(d.entry)
		s.held = d
		return true
	}
	if d.entry.Lifecycle != "" {
		held = nil
	} else {
		s.held = nil
	}
	if held != nil && held.batch {
		held.absorb(d)
		d, held = held, nil
	} else {
		c.journal.add(d.entry)
	}
	s.queue = append(s.queue, d)
	if befallen(faults, DuplicateChange) {
		again, entry := *d, *d.entry
		again.entry = &entry
		c.journal.add(again.entry)
		s.queue = append(s.queue, &again)
	}
	if held != nil {
		held.due = d.due
		s.queue = append(s.queue, held)
	}
	s.ring()
	return true
}

// waiting counts what is not done yet. It must be called with changes.mu held.
func (s *changeSubscription) waiting() (changes, lifecycle int) {
	for _, d := range append(slices.Clip(s.queue), s.held, s.sending) {
		switch {
		case d == nil:
		case d.entry.Lifecycle == "":
			changes++
		default:
			lifecycle++
		}
	}
	return changes, lifecycle
}

// absorb takes the notifications of another delivery into this one.
func (d *changeDelivery) absorb(other *changeDelivery) {
	d.items = append(d.items, other.items...)
	d.entry.IDs = append(d.entry.IDs, other.entry.IDs...)
	d.entry.Events = append(d.entry.Events, other.entry.Events...)
	d.entry.Faults = append(d.entry.Faults, other.entry.Faults...)
	d.rich = d.rich || other.rich
	if d.token == nil {
		d.token = other.token
	}
}

// deliverLoop is the life of a subscription: it delivers what is due, one
// request at a time, asks for reauthorization, and removes the subscription
// when it expires.
func (c *changes) deliverLoop(s *changeSubscription) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		d, wake, ok := c.next(s)
		if !ok {
			return
		}
		if d != nil {
			c.attempt(s, d)
			continue
		}
		t.Reset(time.Until(wake))
		select {
		case <-s.bell:
		case <-t.C:
		case <-c.ctx.Done():
			return
		}
	}
}

// next takes the delivery that is due out of the queue, or says when to look
// again. It is not ok once nothing can come any more.
func (c *changes) next(s *changeSubscription) (d *changeDelivery, wake time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.ctx.Err() != nil {
		return nil, now, false
	}
	if !s.gone {
		if !now.Before(s.ends) {
			c.log.Info("cloud: subscription expired", "id", s.id)
			c.end(s, dropExpired)
			return nil, now, false
		}
		c.ask(s, now)
		wake = s.ends
		if s.lifecycleURL != "" && s.asks.Before(wake) {
			wake = s.asks
		}
	}
	c.giveUp(s, now)
	paused, first := s.paused(now), -1
	for i, q := range s.queue {
		if paused && q.entry.Lifecycle == "" {
			wake = earlier(wake, q.until)
			continue
		}
		if first < 0 || q.due.Before(s.queue[first].due) {
			first = i
		}
		wake = earlier(wake, earlier(q.due, q.until))
	}
	if s.gone && len(s.queue) == 0 {
		return nil, now, false
	}
	if first < 0 || now.Before(s.queue[first].due) {
		return nil, wake, true
	}
	d = s.queue[first]
	s.queue, s.sending = slices.Delete(s.queue, first, first+1), d
	return d, now, true
}

// earlier takes the zero time for never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// giveUp drops what was tried for long enough. It must be called with mu held.
func (c *changes) giveUp(s *changeSubscription, now time.Time) {
	lost, kept := false, s.queue[:0]
	for _, d := range s.queue {
		if now.Before(d.until) {
			kept = append(kept, d)
			continue
		}
		why := dropGaveUp
		if s.paused(now) && d.entry.Lifecycle == "" {
			why = dropPaused
		}
		c.journal.drop(d, why)
		lost = lost || d.entry.Lifecycle == ""
	}
	clear(s.queue[len(kept):])
	s.queue = kept
	if lost {
		c.lost(s)
	}
}

// attempt posts a delivery once, and queues it again if it was not accepted.
// It must only be called by deliverLoop.
func (c *changes) attempt(s *changeSubscription, d *changeDelivery) {
	c.mu.Lock()
	target := s.notificationURL
	if d.entry.Lifecycle != "" {
		target = s.lifecycleURL
	}
	c.mu.Unlock()
	batch := notificationBatch{Value: d.items}
	if d.rich {
		if token := c.validationToken(s.app, d.token, time.Now()); token != "" {
			batch.ValidationTokens = []string{token}
		}
	}
	status, took, err := c.post(target, marshal(batch))
	if err != nil {
		c.log.Info("cloud: notification refused", "subscription", s.id, "url", target, "error", err)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	s.sending = nil
	stats := c.endpoint(target, now)
	stats.sent++
	d.entry.URL, d.entry.Status, d.entry.Error = target, status, ""
	d.entry.Attempts++
	if took > slowAnswer {
		stats.slow++
		d.entry.Slow++
	}
	if err == nil {
		d.entry.Done = true
		return
	}
	d.entry.Error = err.Error()
	if s.gone && d.entry.Lifecycle == "" {
		c.journal.drop(d, dropRemoved)
		return
	}
	d.due = now.Add(d.pause)
	d.pause = min(2*d.pause, c.scaled(maxChangePause))
	if stats.state() != endpointGood {
		d.due = now.Add(c.scaled(throttleDelay))
	}
	s.queue = append(s.queue, d)
}

// post returns how long the answer took; any status of 2xx will do.
func (c *changes) post(target string, body []byte) (status int, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, changeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	start := time.Now()
	resp, err := c.client.Do(req)
	took = time.Since(start)
	if err != nil {
		return 0, took, err
	}
	defer resp.Body.Close()
	// What an app writes means nothing; reading it keeps the connection.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode, took, fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return resp.StatusCode, took, nil
}
