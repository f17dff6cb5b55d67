package load

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/pion/logging"
)

// A source is what Pion buffers a stream in (webrtc.SettingEngine.BufferFactory).
// It keeps nothing: packets are delivered where they were decrypted, so that no
// goroutine has to read them. Pion itself reads, to find out what a stream is
// that no description told of, and is shown the newest packet.
type source struct {
	deliver func(b []byte)

	// Guarded by mu.
	mu     sync.Mutex
	shown  *sync.Cond // a packet came that is waited for, or it was closed
	wanted bool
	last   []byte
	closed bool
}

var _ io.ReadWriteCloser = (*source)(nil)

func newSource(deliver func([]byte)) *source {
	s := &source{deliver: deliver}
	s.shown = sync.NewCond(&s.mu)
	return s
}

// Write takes a decrypted packet.
func (s *source) Write(b []byte) (int, error) {
	s.mu.Lock()
	if s.wanted {
		s.wanted, s.last = false, append(s.last[:0], b...)
		s.shown.Broadcast()
	}
	s.mu.Unlock()
	s.deliver(b) // which may change it
	return len(b), nil
}

// Read waits for a packet and copies it.
func (s *source) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = true
	for s.wanted && !s.closed {
		s.shown.Wait()
	}
	if s.closed {
		return 0, io.EOF
	}
	if len(s.last) > len(b) {
		return copy(b, s.last), io.ErrShortBuffer
	}
	return copy(b, s.last), nil
}

// Close lets readers go.
func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.shown.Broadcast()
	return nil
}

// SetReadDeadline is there for Pion, which sets one for who reads.
func (s *source) SetReadDeadline(time.Time) error {
	return errors.New("load: streams have no deadlines")
}

// silence is a logger of Pion's that says nothing: what goes wrong is told by
// what becomes of the call.
type silence struct{}

var _ logging.LeveledLogger = silence{}

func (silence) Trace(string)          {}
func (silence) Tracef(string, ...any) {}
func (silence) Debug(string)          {}
func (silence) Debugf(string, ...any) {}
func (silence) Info(string)           {}
func (silence) Infof(string, ...any)  {}
func (silence) Warn(string)           {}
func (silence) Warnf(string, ...any)  {}
func (silence) Error(string)          {}
func (silence) Errorf(string, ...any) {}

// NewLogger implements logging.LoggerFactory.
func (silence) NewLogger(string) logging.LeveledLogger { return silence{} }
