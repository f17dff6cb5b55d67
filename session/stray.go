package session

import (
	"cmp"
	"context"
	"errors"
)

// A create whose response was lost may have made a call all the same, and one
// that was sent again may have made two. Such a call lives at the cloud and
// nobody here knows it: a stray. Its notices bring back the MediaRequest.Ref
// that it was created with, by which it is told from the calls of others, and
// it is hung up.

// recentCreates is how many creates that came to an end are remembered.
const recentCreates = 1024

// settle notes that the create of c has come to its end: whatever other call
// bears its Ref is a stray.
func (m *Manager) settle(c *Call) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled.put(c.id, c.cloud, recentCreates)
	for _, n := range m.early.takeRef(c.id) {
		m.stray(c.cloud, n)
	}
}

// stray hangs up the call of n, once. Called with mu held.
func (m *Manager) stray(cl Cloud, n Notice) {
	if _, known := m.ended.get(n.CallID); known {
		m.counters.late.Add(1)
		return
	}
	m.ended.put(n.CallID, struct{}{}, recentEnds)
	m.counters.strays.Add(1)
	if n.Kind != EventDisconnected {
		m.abandon(cl, cmp.Or(n.CallName, n.CallID))
	}
}

// abandon hangs up what no Call stands for. Called with mu held.
func (m *Manager) abandon(cl Cloud, callID string) {
	if m.closed {
		return // nobody would wait for it
	}
	m.log.Warn("stray call is hung up", "cloud", cl.Name(), "call_id", callID)
	m.wg.Go(func() {
		ctx, cancel := context.WithTimeout(m.ctx, m.requestTimeout)
		defer cancel()
		if err := cl.HangUp(ctx, callID, false); err != nil && !gone(err) {
			m.log.Warn("stray call is not hung up", "cloud", cl.Name(), "call_id", callID, "error", err)
		}
	})
}

// gone reports whether a cloud knows no call of that id.
func gone(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == 404
}

// doubtful tells whether the request that failed so may have taken effect.
func doubtful(err error) bool {
	var e *Error
	switch {
	case !errors.As(err, &e):
		return false
	case e.Status == 0: // no answer, or never sent
		return e.Retryable || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	}
	return e.Status < 300 || e.Status == 408 || e.Status >= 500
}

// takeRef returns the notices that bear ref, the first of each call, and
// forgets all of them.
func (e *early) takeRef(ref string) []Notice {
	var taken []Notice
	kept := e.queue[:0]
	known := map[string]bool{}
	for _, n := range e.queue {
		if n.Ref != ref {
			kept = append(kept, n)
			continue
		}
		if !known[n.CallID] {
			known[n.CallID] = true
			taken = append(taken, n.Notice)
		}
		e.bytes -= sizeOf(n.Notice)
	}
	clear(e.queue[len(kept):])
	e.queue = kept
	return taken
}
