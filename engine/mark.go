package engine

import (
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
	if err := s.marks.add(name, s.queue.tail.Load()); err != nil {
		return err
	}
	s.run()
	return nil
}

// mark waits to be sent (due 0), then to be played at due.
type mark struct {
	Mark
	pos int64 // in the queue
	due int64 // Now
}

// marks are rare, so a lock is fine; a source without any never takes it.
type marks struct {
	n atomic.Int64

	// Guarded by mu.
	mu   sync.Mutex
	list []mark
}

func (m *marks) waiting() bool { return m.n.Load() > 0 }

func (m *marks) add(name string, pos int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.list) >= MaxMarks {
		return ErrTooManyMarks
	}
	m.list = append(m.list, mark{Mark: Mark{Name: name, Estimated: true}, pos: pos})
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

// cancel marks all as flushed that are not played at now.
func (m *marks) cancel(now int64) {
	if !m.waiting() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.list {
		if k := &m.list[i]; k.due == 0 || k.due > now {
			k.Cancelled, k.due = true, now
		}
	}
}

// fire tells the app of the marks that are due.
func (m *marks) fire(l *Leg, now int64) {
	for m.waiting() {
		m.mu.Lock()
		i := 0
		for i < len(m.list) && (m.list[i].due == 0 || m.list[i].due > now) {
			i++
		}
		if i == len(m.list) {
			m.mu.Unlock()
			return
		}
		k := m.list[i].Mark
		m.list = append(m.list[:i], m.list[i+1:]...)
		m.n.Add(-1)
		m.mu.Unlock()
		if fn := l.cfg.OnMark; fn != nil {
			l.callMark(fn, k)
		}
	}
}

func (l *Leg) callMark(fn func(Mark), k Mark) {
	defer l.recovered("OnMark")
	fn(k)
}
