package session

import "sync"

// maxQueuedNotices is how many notices wait in a call's inbox; more are
// dropped. The goroutine that takes them never blocks.
const maxQueuedNotices = 256

// inbox is the queue of a call's events. Putting never blocks and what is
// queued is bounded: notices by number, results by the commands under way,
// media and hang-ups by being one thing however often they are told.
type inbox struct {
	bell chan struct{} // holds a token when there is something to take

	// Guarded by mu.
	mu      sync.Mutex
	queue   []event
	notices int          // in queue
	up      int          // connections that carry the leg
	media   *mediaTurned // to be taken
	hangUp  *hangUpAsked // to be taken
	closed  bool
}

// put queues an event, or drops a notice if too many wait. False if it was
// not queued.
func (b *inbox) put(ev event) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	switch ev := ev.(type) {
	case noticed:
		if b.notices >= maxQueuedNotices {
			return false
		}
		b.notices++
		b.queue = append(b.queue, ev)
	case hangUpAsked:
		if b.hangUp != nil {
			ev.forEveryone = ev.forEveryone || b.hangUp.forEveryone
			if b.hangUp.cause != nil {
				ev.cause = b.hangUp.cause
			}
		}
		b.hangUp = &ev
	default:
		b.queue = append(b.queue, ev)
	}
	b.ring()
	return true
}

// turn notes that a connection began (+1) or ceased (-1) to carry the leg. A
// new connection may begin before the one it replaces has ended.
func (b *inbox) turn(by int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.up += by
	b.media = &mediaTurned{up: b.up > 0, err: err}
	b.ring()
}

// ring is called with mu held.
func (b *inbox) ring() {
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

// take empties the inbox.
func (b *inbox) take() []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.queue
	if b.media != nil {
		events = append(events, *b.media)
	}
	if b.hangUp != nil {
		events = append(events, *b.hangUp)
	}
	b.queue, b.notices, b.media, b.hangUp = nil, 0, nil, nil
	return events
}

// close refuses what comes from now on and returns how many notices were
// left.
func (b *inbox) close() (notices int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	notices = b.notices
	b.closed, b.queue, b.notices, b.media, b.hangUp = true, nil, 0, nil, nil
	return notices
}
