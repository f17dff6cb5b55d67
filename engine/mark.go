package engine

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// MaxMarks that wait to be played, per source.
const MaxMarks = 1024

// Mark tells that playing reached the point at which it was set.
type Mark struct {
	Name string
	// Cancelled: flushed before it was played.
	Cancelled bool
	// Estimated: by the playout model, not by the peer's word.
	Estimated bool
}

// Mark sets a mark behind what was written so far; LegConfig.OnMark tells
// when it was played or flushed. From any goroutine.
func (s *Source) Mark(name string) error {
	if s.closed.Load() {
		return ErrClosed
	}
	epoch := s.epoch.Load() // before the position: a Flush between them flushes the mark
	if err := s.marks.add(name, epoch, s.queue.tail.Load()); err != nil {
		return err
	}
	s.run(Now())
	return nil
}

// mark waits to be sent (due 0), then to be played at due.
type mark struct {
	Mark
	epoch uint64
	pos   int64 // in the queue
	due   int64 // Now
}

// marks are rare, so a lock is fine; a source without any never takes it.
type marks struct {
	n      atomic.Int64
	firing atomic.Bool

	// Guarded by mu.
	mu   sync.Mutex
	list []mark
}

func (m *marks) waiting() bool { return m.n.Load() > 0 }

func (m *marks) add(name string, epoch uint64, pos int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.list) >= MaxMarks {
		return ErrTooManyMarks
	}
	m.list = append(m.list, mark{Mark: Mark{Name: name, Estimated: true}, epoch: epoch, pos: pos})
	m.n.Add(1)
	return nil
}

// sent gives the marks up to pos their time: the frame that ends there is
// played at end.
func (m *marks) sent(pos, end int64) {
	if !m.waiting() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.list {
		if k := &m.list[i]; k.due == 0 && k.pos <= pos {
			k.due = end - (pos-k.pos)*sampleNanos
		}
	}
}

// settle gives marks their time whose samples all left before they were set.
func (m *marks) settle(head, tail, end int64) {
	if head >= tail {
		m.sent(head, max(end, 1))
	}
}

// cancel marks as flushed those that were set before epoch and are not played
// at now.
func (m *marks) cancel(now int64, epoch uint64) {
	if !m.waiting() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.list {
		if k := &m.list[i]; k.epoch < epoch && (k.due == 0 || k.due > now) {
			k.Cancelled, k.due = true, now
		}
	}
}

// fireMarks tells the app of the marks that are due, one at a time and in
// order: who finds another at it leaves it to him, or to the pacer's next
// turn. After Close nothing is left to a next turn.
func (s *Source) fireMarks(now int64) {
	m := &s.marks
	for m.waiting() && m.firing.CompareAndSwap(false, true) {
		if s.closed.Load() {
			now = math.MaxInt64
		}
		for n := m.n.Load(); n > 0; n-- { // not those that OnMark sets
			k, ok := m.next(now)
			if !ok {
				break
			}
			if fn := s.leg.cfg.OnMark; fn != nil {
				s.leg.callMark(fn, k)
			}
		}
		m.firing.Store(false)
		// Who was turned away while a source closed had made marks due.
		if !s.closed.Load() || !m.anyDue() {
			return
		}
	}
}

func (m *marks) anyDue() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.list, func(k mark) bool { return k.due != 0 })
}

// next removes the first mark that is due.
func (m *marks) next(now int64) (Mark, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.list {
		if d := m.list[i].due; d != 0 && d <= now {
			k := m.list[i].Mark
			m.list = append(m.list[:i], m.list[i+1:]...)
			m.n.Add(-1)
			return k, true
		}
	}
	return Mark{}, false
}

func (l *Leg) callMark(fn func(Mark), k Mark) {
	defer l.recovered("OnMark")
	fn(k)
}
