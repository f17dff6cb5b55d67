package rtpleg

import (
	"fmt"
	"time"

	"github.com/mixminus/mixminus/transport/rtpmedia"
)

// press is a key that is to be sent.
type press struct {
	key  byte
	held int64
}

// Press sends a key ('0' to '9', '*', '#', 'A' to 'D') that is held for d. It
// does not wait until it is sent. It fails with ErrClosed, if the key is none,
// if no type of event was agreed on or nothing is sent at all, and while 32 are
// waiting. From any goroutine.
func (m *Media) Press(key byte, d time.Duration) error {
	if err := m.out.CheckPress(key, int64(d)); err != nil {
		return fmt.Errorf("rtpleg: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.gone:
		return ErrClosed
	case m.cfg.Mute:
		return fmt.Errorf("rtpleg: key %c: nothing is sent in this session", key)
	case m.waiting >= rtpmedia.MaxPresses:
		return fmt.Errorf("rtpleg: key %c: %d are waiting", key, m.waiting)
	}
	m.presses = append(m.presses, press{key, int64(d)})
	m.waiting++
	m.pressed.Store(true)
	return nil
}

// press hands on the keys that were asked for, and counts those that wait.
func (m *Media) press() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.presses {
		_ = m.out.Press(p.key, p.held) // was checked, and there is room
	}
	m.presses = m.presses[:0]
	m.waiting = m.out.Pressing()
	m.pressed.Store(m.waiting > 0)
}
