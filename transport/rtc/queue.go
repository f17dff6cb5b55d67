package rtc

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/engine"
)

// queued packets wait at most for the beat's next turn; more are a flood.
const queued = 64

// queue takes packets on the goroutine that decrypts them and gives them out on
// the beat's: one writes, one reads, neither waits. It is what Pion buffers a
// stream in (webrtc.SettingEngine.BufferFactory), so that no goroutine has to
// read the streams, and the time of arrival is that of the packet.
type queue struct {
	slots   [queued]packet
	written atomic.Uint32 // passes the slots below it to the reader
	read    atomic.Uint32 // passes them back
	dropped atomic.Int64

	// Owned by the writer.
	reused uint32 // the memory of slots below it went to later ones
}

type packet struct {
	arrival int64
	data    []byte // grows to what the stream sends
}

// put copies a packet; one that finds no room is dropped and counted. It takes the
// memory of one that was read, so that there is as much as ever waited at once:
// two or three packets, of the 64.
func (q *queue) put(arrival int64, b []byte) {
	w, r := q.written.Load(), q.read.Load()
	if w-r == queued {
		q.dropped.Add(1)
		return
	}
	s := &q.slots[w%queued]
	if q.reused != r {
		old := &q.slots[q.reused%queued]
		s.data, old.data = old.data, s.data
		q.reused++
	}
	s.arrival, s.data = arrival, append(s.data[:0], b...)
	q.written.Store(w + 1)
}

// next returns the oldest packet, nil if there is none. It stays valid until
// release.
func (q *queue) next() *packet {
	r := q.read.Load()
	if r == q.written.Load() {
		return nil
	}
	return &q.slots[r%queued]
}

func (q *queue) release() { q.read.Store(q.read.Load() + 1) }

// stream is the buffer of one SSRC, as Pion sees it. Pion reads from it only to
// find out what a stream is that no description told of: it is shown the newest
// packet, which is delivered all the same.
type stream struct {
	deliver func(arrival int64, b []byte)

	// Guarded by mu.
	mu     sync.Mutex
	shown  *sync.Cond // somebody reads, and a packet came, or it was closed
	wanted bool
	last   []byte
	closed bool
}

var _ io.ReadWriteCloser = (*stream)(nil)

func newStream(deliver func(int64, []byte)) *stream {
	s := &stream{deliver: deliver}
	s.shown = sync.NewCond(&s.mu)
	return s
}

// Write takes a decrypted packet.
func (s *stream) Write(b []byte) (int, error) {
	s.deliver(engine.Now(), b)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted {
		s.wanted, s.last = false, append(s.last[:0], b...)
		s.shown.Broadcast()
	}
	return len(b), nil
}

// Read waits for a packet and copies it.
func (s *stream) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = true
	for s.wanted && !s.closed {
		s.shown.Wait()
	}
	if s.closed {
		return 0, io.EOF
	}
	n := copy(b, s.last)
	if n < len(s.last) {
		return n, io.ErrShortBuffer
	}
	return n, nil
}

// Close lets readers go.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.shown.Broadcast()
	return nil
}

var errNoDeadline = errors.New("rtc: streams have no deadlines")

// SetReadDeadline is there for Pion, which sets one for who reads.
func (s *stream) SetReadDeadline(time.Time) error { return errNoDeadline }
