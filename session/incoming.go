package session

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// IncomingCall is a call that rings. The first decision counts; the methods
// are safe for concurrent use and return ErrDecided after it, ErrAnswerDeadline
// after the deadline.
type IncomingCall struct {
	// Incoming is what the cloud told. Its ID is unique among the calls
	// that ring.
	Incoming

	call     *Call
	answerBy time.Time
}

// ErrRepeated: the ringing was told before.
var ErrRepeated = errors.New("session: ringing told before")

// Ring hands in a call that a cloud brought. It never blocks: a ringing that
// cannot be taken is dropped and counted. A second delivery of the same
// ringing is dropped too.
func (m *Manager) Ring(in Incoming) {
	if _, err := m.TryRing(in); err != nil && !errors.Is(err, ErrRepeated) {
		m.log.Warn("ringing refused", "cloud", in.Cloud, "ring", excerpt([]byte(in.ID)), "error", err)
	}
}

// TryRing is Ring for a cloud that can turn the caller away itself: it returns
// the call that rings, or why it does not. ErrTooManyCalls, ErrClosed and
// ErrRepeated are among the errors, which it does not log.
func (m *Manager) TryRing(in Incoming) (*IncomingCall, error) {
	m.counters.rings.Add(1)
	ic, err := m.tryRing(in)
	switch {
	case errors.Is(err, ErrRepeated):
		m.counters.ringsRepeated.Add(1)
	case err != nil:
		m.counters.ringsRefused.Add(1)
	}
	return ic, err
}

func (m *Manager) tryRing(in Incoming) (*IncomingCall, error) {
	cl := m.clouds[in.Cloud]
	if cl == nil {
		return nil, &FieldError{"cloud", excerpt([]byte(in.Cloud)), "want one of: " + strings.Join(m.Clouds(), ", ")}
	}
	if len(in.ID) > maxIDBytes {
		return nil, &FieldError{"id", excerpt([]byte(in.ID)), fmt.Sprintf("want at most %d bytes", maxIDBytes)}
	}
	c := m.newCall(cl, DirectionIncoming)
	m.mu.Lock()
	ic, err := m.ring(c, in)
	m.mu.Unlock()
	if err != nil {
		c.cancel()
		return nil, err
	}
	c.learn(in.From)
	c.learn(in.To)
	c.log.Info("call rings", "ring", ic.ID)
	if m.onIncoming == nil {
		if m.decide(c, ErrDecided) == nil {
			c.inbox.put(decided{cmd: cmdReject})
		}
		return ic, nil
	}
	m.wg.Go(func() { c.guard("OnIncoming", func() { m.onIncoming(ic) }) })
	return ic, nil
}

// ring enters c among the calls that ring. Called with mu held.
func (m *Manager) ring(c *Call, in Incoming) (*IncomingCall, error) {
	print := sha256.Sum256([]byte(in.Cloud + "\x00" + in.ID + "\x00" + in.Context))
	if _, known := m.rang.get(print); known {
		return nil, ErrRepeated
	}
	if in.ID == "" {
		in.ID = uuid.NewString()
	}
	// Two parties of one call may be ours: they ring under one id.
	for id, n := in.ID, 2; m.rings[in.ID] != nil; n++ {
		in.ID = fmt.Sprintf("%s~%d", id, n)
	}
	key := cmp.Or(in.Key, in.CallID)
	if len(key) > maxIDBytes {
		return nil, fmt.Errorf("session: call id of %d bytes: want at most %d", len(key), maxIDBytes)
	}
	if other := m.byCallID[key]; key != "" && other != nil {
		return nil, fmt.Errorf("session: call %s has that id and lives", other.id)
	}
	c.incoming = in
	if in.AnswerWithin > 0 {
		c.machine.answerWithin = min(c.machine.answerWithin, in.AnswerWithin)
	}
	ic := &IncomingCall{Incoming: in, call: c, answerBy: c.created.Add(c.machine.answerWithin)}
	c.inbox.put(rang{})
	if err := m.start(c); err != nil {
		return nil, err
	}
	if key != "" {
		m.byCallID[key] = c
		c.registered = key
		for _, n := range m.early.take(key) {
			c.inbox.put(noticed{n})
		}
	}
	m.rang.add(print, struct{}{}, recentRings)
	m.rings[in.ID] = ic
	return ic, nil
}

// decide takes a ringing call off the list, or returns how that was done
// before: ErrDecided or ErrAnswerDeadline. how is what the next one gets.
func (m *Manager) decide(c *Call, how error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := c.incoming.ID
	if ic := m.rings[id]; ic == nil || ic.call != c {
		if before, ok := m.decided.get(id); ok {
			return before
		}
		return ErrDecided
	}
	delete(m.rings, id)
	m.decided.put(id, how, recentRings)
	return nil
}

// Incoming returns the calls that ring undecided, oldest first.
func (m *Manager) Incoming() []*IncomingCall {
	m.mu.Lock()
	rings := make([]*IncomingCall, 0, len(m.rings))
	for _, ic := range m.rings {
		rings = append(rings, ic)
	}
	m.mu.Unlock()
	slices.SortFunc(rings, func(a, b *IncomingCall) int { return cmp.Compare(a.call.seq, b.call.seq) })
	return rings
}

// IncomingCall returns the call that rings under id: ErrUnknownCall if none
// does, ErrDecided or ErrAnswerDeadline if it did until lately.
func (m *Manager) IncomingCall(id string) (*IncomingCall, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ic := m.rings[id]; ic != nil {
		return ic, nil
	}
	err, ok := m.decided.get(id)
	if !ok {
		err = ErrUnknownCall
	}
	return nil, fmt.Errorf("%w: incoming %q", err, id)
}

// AnswerBy is when the call stops ringing.
func (ic *IncomingCall) AnswerBy() time.Time { return ic.answerBy }

// Done is closed when the call is over, however it was decided.
func (ic *IncomingCall) Done() <-chan struct{} { return ic.call.done }

// Err is why the call ended, as Call.Err says it: nil while it rings or lives,
// and after it was declined.
func (ic *IncomingCall) Err() error { return ic.call.Err() }

// Answer takes the call: leg and address first, then Config.OnCall, then the
// cloud is told. It returns when the cloud has said yes. Errors are as for
// Manager.Create.
func (ic *IncomingCall) Answer(ctx context.Context, o Options) (*Call, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	c, m := ic.call, ic.call.manager
	if err := ic.decide(); err != nil {
		return nil, err
	}
	c.options = o
	m.mu.Lock()
	if _, lives := m.live[c]; lives {
		m.calls[c.id] = c
	}
	m.mu.Unlock()
	c.inbox.put(decided{cmd: cmdAnswer})
	return c.await(ctx)
}

// Reject declines the call; reason is the cloud's own word, empty for the
// cloud's default. It returns when the cloud has answered.
func (ic *IncomingCall) Reject(ctx context.Context, reason string) error {
	return ic.decline(ctx, decided{cmd: cmdReject, reason: reason})
}

// Redirect sends the call to someone else. It returns when the cloud has
// answered.
func (ic *IncomingCall) Redirect(ctx context.Context, target Identity) error {
	if target.RawID == "" {
		return &FieldError{"target.raw_id", "", "want an identifier"}
	}
	return ic.decline(ctx, decided{cmd: cmdRedirect, target: target})
}

func (ic *IncomingCall) decide() error {
	if err := ic.call.manager.decide(ic.call, ErrDecided); err != nil {
		return fmt.Errorf("%w: incoming %q", err, ic.ID)
	}
	return nil
}

func (ic *IncomingCall) decline(ctx context.Context, d decided) error {
	if err := ic.decide(); err != nil {
		return err
	}
	ic.call.inbox.put(d)
	select {
	case <-ic.call.done:
		return ic.call.Err()
	case <-ctx.Done():
		return fmt.Errorf("session: %s %q: %w", d.cmd, ic.ID, context.Cause(ctx))
	}
}
