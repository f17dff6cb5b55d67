package acsws

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mixminus/mixminus/engine"
)

const (
	// unsentLimit keeps about 200 ms of audio messages in the socket: what
	// has left cannot be flushed any more.
	unsentLimit = 11 << 10
	// spillLimit bounds what waits for a peer that does not read: a message
	// cut off in the middle, control frames, and, where the socket cannot
	// be tried without blocking, the unsent audio.
	spillLimit = 64 << 10
	// spillTimeout ends a connection whose peer reads nothing at all.
	spillTimeout = 60 * time.Second
)

var errSpillFull = errors.New("acsws: peer does not read")

// netConn is the hijacked connection under gorilla's. Its Write never blocks:
// it tries the socket once and leaves the rest to a goroutine that drains it.
// So whoever sends, the reading goroutine that runs a handler among them, is
// never held up by a peer that does not read. gorilla calls Write from one
// goroutine at a time. Its Read notes when it returned.
type netConn struct {
	net.Conn
	raw syscall.RawConn // nil: the socket cannot be tried (TLS)

	patience time.Duration // with a peer that reads nothing

	// arrival is engine.Now at the return of the last Read.
	arrival atomic.Int64

	// Owned by the writing goroutine; try is made once, since a closure per
	// write would be an allocation per frame.
	try    func(fd uintptr) bool
	buf    []byte
	n      int
	tryErr error

	spilled atomic.Int64 // len(spill), and 1 more while a drain is under way
	drains  sync.WaitGroup

	// Guarded by mu.
	mu       sync.Mutex
	spill    []byte
	spare    []byte
	draining bool
	closing  bool // the drain closes when it is done
	err      error
}

// farewell is how long Close lets a drain finish that carries the close frame.
const farewell = time.Second

func newNetConn(c net.Conn) *netConn {
	nc := &netConn{Conn: c, patience: spillTimeout}
	nc.arrival.Store(engine.Now())
	socket := c
	if inner, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		socket = inner.NetConn()
	}
	if sc, ok := socket.(syscall.Conn); ok && canTryWrite {
		if raw, err := sc.SyscallConn(); err == nil {
			limitUnsent(raw)
			if socket == c { // a record of TLS cannot be tried
				nc.raw = raw
			}
		}
	}
	nc.try = func(fd uintptr) bool {
		nc.n, nc.tryErr = tryWrite(fd, nc.buf)
		return true
	}
	return nc
}

// Read reads and notes the time.
func (c *netConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.arrival.Store(engine.Now())
	return n, err
}

// SetWriteDeadline does nothing: writes do not block, and the drain has a
// deadline of its own.
func (c *netConn) SetWriteDeadline(time.Time) error { return nil }

// busy says that another audio message should not be sent now.
func (c *netConn) busy() bool {
	n := c.spilled.Load()
	return n > 0 && (c.raw != nil || n > unsentLimit)
}

// Write takes all of b or fails; it does not block.
func (c *netConn) Write(b []byte) (int, error) {
	if c.raw == nil || c.spilled.Load() > 0 {
		return c.later(b, 0)
	}
	c.buf, c.n, c.tryErr = b, 0, nil
	err := c.raw.Write(c.try)
	c.buf = nil
	switch {
	case err != nil:
		return 0, err
	case c.tryErr != nil:
		return 0, c.tryErr
	case c.n < len(b):
		return c.later(b, c.n)
	}
	return len(b), nil
}

// later leaves b[sent:] to the drain.
func (c *netConn) later(b []byte, sent int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return sent, c.err
	}
	if len(c.spill)+len(b)-sent > spillLimit {
		c.err = errSpillFull
		c.Conn.Close()
		return sent, c.err
	}
	c.spill = append(c.spill, b[sent:]...)
	c.spilled.Store(int64(len(c.spill)) + 1)
	if !c.draining {
		c.draining = true
		c.drains.Add(1)
		go c.drainLoop()
	}
	return len(b), nil
}

// drainLoop writes the spill until it is empty.
func (c *netConn) drainLoop() {
	defer c.drains.Done()
	for {
		c.mu.Lock()
		if len(c.spill) == 0 || c.err != nil && !c.closing {
			c.draining = false
			c.Conn.SetWriteDeadline(time.Time{}) // it would fail the next direct try
			c.spilled.Store(0)
			closing := c.closing
			c.mu.Unlock()
			if closing {
				c.Conn.Close()
			}
			return
		}
		timeout := c.patience
		if c.closing {
			timeout = farewell
		}
		b := c.spill
		c.spill, c.spare = c.spare[:0], nil
		c.mu.Unlock()

		c.Conn.SetWriteDeadline(time.Now().Add(timeout))
		_, err := c.Conn.Write(b)

		c.mu.Lock()
		c.spare = b
		c.spilled.Store(int64(len(c.spill)) + 1)
		if err != nil {
			c.spill, c.closing = nil, false
			if c.err == nil {
				c.err = err
			}
		}
		c.mu.Unlock()
		if err != nil {
			c.Conn.Close()
		}
	}
}

// Close closes the connection: no drain begins after it. One that is under
// way, as always with TLS, gets a moment to say good-bye.
func (c *netConn) Close() error {
	c.mu.Lock()
	if c.err == nil {
		c.err = net.ErrClosed
		if c.draining && c.raw == nil {
			c.closing = true
			c.mu.Unlock()
			return c.Conn.SetDeadline(time.Now().Add(farewell))
		}
	}
	closing := c.closing
	c.mu.Unlock()
	if closing {
		return nil
	}
	return c.Conn.Close()
}

// wait returns when the drain has ended; after Close.
func (c *netConn) wait() { c.drains.Wait() }
