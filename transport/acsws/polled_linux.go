package acsws

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/gorilla/websocket"
	"github.com/mixminus/mixminus/engine"
	"golang.org/x/sys/unix"
)

// polledLink is the link that a poller reads. Its socket is not the runtime's.
type polledLink struct {
	// Static after construction.
	conn   *conn
	poller *poller
	over   func()
	fd     int
	slot   int32

	// Owned by the poller's goroutine.
	in reassembler

	// Atomic.
	read    atomic.Int64 // engine.Now at the last
	spilled atomic.Int64 // len(spill)

	// Guarded by mu.
	mu      sync.Mutex
	spill   []byte // what the socket did not take
	since   int64  // when that began
	watched bool
	writing bool // the poller tells when the socket takes more
	shut    bool // no more is read or written
	gone    bool // fd is closed
	err     error
}

var _ link = (*polledLink)(nil)

// generation tells this connection from an older one of the same slot.
func (l *polledLink) generation() int32 { return int32(l.fd) }

// watch tells the poller what to look for. Guarded by mu.
func (l *polledLink) watch(op int) {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: l.slot, Pad: l.generation()}
	if l.writing {
		e.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(l.poller.epfd, op, l.fd, &e); err != nil && l.err == nil {
		l.err = err
	}
}

// ready takes what the poller tells, on its goroutine.
func (l *polledLink) ready(events uint32) {
	if events&unix.EPOLLOUT != 0 {
		l.drain()
	}
	if events&^unix.EPOLLOUT == 0 {
		return
	}
	if err := l.receive(); err != nil {
		l.end(err)
	}
}

// receive reads once and takes the messages. An error ends the connection.
func (l *polledLink) receive() error {
	l.mu.Lock()
	shut, why := l.shut, l.err
	l.mu.Unlock()
	if shut {
		return cmp.Or(why, error(net.ErrClosed))
	}
	n, err := tryRead(l.fd, l.poller.buf)
	switch {
	case err == unix.EAGAIN:
		return nil
	case err != nil:
		return err
	case n == 0:
		return io.ErrUnexpectedEOF
	}
	now := engine.Now()
	l.read.Store(now)
	return l.conn.guarded(func() error {
		return l.in.feed(l.poller.buf[:n], func(op byte, payload []byte) error { return l.take(op, payload, now) })
	})
}

// take takes a message or a control frame.
func (l *polledLink) take(op byte, payload []byte, now int64) error {
	c := l.conn
	if op < opClose {
		return c.message(op, payload, now)
	}
	if !c.withinRate(now) {
		c.close(errRate)
		return errRate
	}
	switch op {
	case opPing:
		l.control(opPong, payload)
	case opClose:
		code, text := websocket.CloseNoStatusReceived, ""
		if len(payload) >= 2 {
			code, text = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
		}
		l.control(opClose, websocket.FormatCloseMessage(code, ""))
		return &websocket.CloseError{Code: code, Text: text}
	}
	return nil
}

// end ends the connection on the poller's goroutine.
func (l *polledLink) end(err error) {
	switch {
	case errors.Is(err, errProtocol):
		l.control(opClose, websocket.FormatCloseMessage(websocket.CloseProtocolError, ""))
	case errors.Is(err, errTooBig):
		l.control(opClose, websocket.FormatCloseMessage(websocket.CloseMessageTooBig, ""))
		err = websocket.ErrReadLimit
	}
	l.poller.drop(l)
	l.conn.finish(err)
	l.release()
}

// release closes the socket and says that the connection is over.
func (l *polledLink) release() {
	l.mu.Lock()
	l.gone, l.shut = true, true
	l.spill = nil
	_ = unix.Close(l.fd) // which takes it out of epoll
	l.mu.Unlock()
	l.poller.load.Add(-1)
	l.over()
}

// fail has the poller end the connection for what happened before it had it.
func (l *polledLink) fail(err error) {
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	l.close()
}

// text implements link.
func (l *polledLink) text(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(putFrame(b, opText))
}

// control implements link.
func (l *polledLink) control(op byte, payload []byte) {
	var b [maxHeader + maxControl]byte
	n := copy(b[maxHeader:], payload)
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.write(putFrame(b[:maxHeader+n], op))
}

// write writes what the socket takes and leaves the rest to the poller. Guarded
// by mu.
func (l *polledLink) write(b []byte) error {
	switch {
	case l.gone || l.shut:
		return net.ErrClosed
	case l.err != nil:
		return l.err
	}
	n := 0
	if len(l.spill) == 0 {
		var err error
		if n, err = tryWrite(uintptr(l.fd), b); err != nil {
			l.err = err
			return err
		}
		if n == len(b) {
			return nil
		}
		l.since = engine.Now()
	}
	if len(l.spill)+len(b)-n > spillLimit {
		l.err = errSpillFull
		return l.err
	}
	l.spill = append(l.spill, b[n:]...)
	l.spilled.Store(int64(len(l.spill)))
	if !l.writing {
		l.writing = true
		if l.watched {
			l.watch(unix.EPOLL_CTL_MOD)
		}
	}
	return nil
}

// drain writes what was left, on the poller's goroutine.
func (l *polledLink) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone || l.shut || len(l.spill) == 0 {
		return
	}
	n, err := tryWrite(uintptr(l.fd), l.spill)
	if err != nil {
		l.err = err
		_ = unix.Shutdown(l.fd, unix.SHUT_RDWR)
		l.shut = true
		return
	}
	if n > 0 {
		l.since = engine.Now()
	}
	l.spill = append(l.spill[:0], l.spill[n:]...)
	l.spilled.Store(int64(len(l.spill)))
	if len(l.spill) == 0 {
		l.spill = nil
		l.writing = false
		l.watch(unix.EPOLL_CTL_MOD)
	}
}

// busy implements link.
func (l *polledLink) busy() bool { return l.spilled.Load() > 0 }

// lastRead implements link. A peer that takes nothing for long does not live.
func (l *polledLink) lastRead() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.spill) > 0 && engine.Now()-l.since > int64(spillTimeout) {
		return 0
	}
	return l.read.Load()
}

// close implements link: the poller finds the socket shut, and ends it.
func (l *polledLink) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone || l.shut {
		return
	}
	l.shut = true
	_ = unix.Shutdown(l.fd, unix.SHUT_RDWR)
}

// tryRead reads what has come.
func tryRead(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}
