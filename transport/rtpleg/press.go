package rtpleg

import (
	"fmt"
	"time"
)

// press is a key that somebody waits to have queued.
type press struct {
	key  byte
	held int64
	err  chan error
}

// Press sends a key ('0' to '9', '*', '#', 'A' to 'D') that is held for d. It
// returns when it is queued, or why it cannot be. From any goroutine but the
// beat's.
func (m *Media) Press(key byte, d time.Duration) error {
	p := press{key, int64(d), make(chan error, 1)}
	m.mu.Lock()
	if m.gone {
		m.mu.Unlock()
		return ErrClosed
	}
	m.presses = append(m.presses, p)
	m.pressed.Store(true)
	m.mu.Unlock()
	return <-p.err
}

// press queues the keys that were asked for.
func (m *Media) press() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pressed.Store(false)
	for _, p := range m.presses {
		switch {
		case m.gone:
			p.err <- ErrClosed
		case m.cfg.Mute:
			p.err <- fmt.Errorf("rtpleg: key %c: nothing is sent in this session", p.key)
		default:
			p.err <- m.out.Press(p.key, p.held)
		}
	}
	m.presses = nil
}
