package load

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// canSpread: all of 127.0.0.0/8 is this machine's own.
const canSpread = true

// rawPipe is a socket without Go's poller, which would be woken for every
// frame that we read by an epoll of our own.
type rawPipe struct {
	fd     int
	closed atomic.Bool
}

// newRawPipe takes conn over, or returns nil if it is not a bare socket.
func newRawPipe(conn net.Conn) (*rawPipe, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3) })
	if err = errors.Join(err, dupErr); err != nil {
		return nil, err
	}
	return &rawPipe{fd: fd}, conn.Close()
}

func (p *rawPipe) write(b []byte) (int, error) {
	for {
		n, err := unix.Write(p.fd, b)
		switch {
		case err == nil:
			return n, nil
		case err == unix.EAGAIN:
			return 0, nil
		case err != unix.EINTR:
			return 0, err
		}
	}
}

func (p *rawPipe) close() {
	if p.closed.CompareAndSwap(false, true) {
		_ = unix.Close(p.fd)
	}
}

// A poller is the reader of many sockets: one thread in epoll.
type poller struct {
	fd    int
	tally *tally
	run   *runner
	calls []*call // by socket; guarded by tally.mu
}

func newPoller(r *runner, t *tally) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: epoll: %w", err)
	}
	return &poller{fd: fd, tally: t, run: r}, nil
}

// add reads a call's socket from now on.
func (p *poller) add(c *call, fd int) error {
	p.tally.mu.Lock()
	for fd >= len(p.calls) {
		p.calls = append(p.calls, nil)
	}
	p.calls[fd] = c
	p.tally.mu.Unlock()
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// loop reads until stop is set. It looks every 100 ms.
func (p *poller) loop(stop *atomic.Bool) {
	defer unix.Close(p.fd)
	events := make([]unix.EpollEvent, 256)
	buf := make([]byte, 64<<10)
	for !stop.Load() {
		n, err := unix.EpollWait(p.fd, events, 100)
		if err != nil && err != unix.EINTR {
			return // only a closed epoll
		}
		if n <= 0 {
			continue
		}
		now := p.run.clock.now()
		p.tally.mu.Lock()
		for _, e := range events[:n] {
			p.read(p.calls[e.Fd], int(e.Fd), buf, now)
		}
		// What came in during this batch waited for its end: so late is the
		// reader at most.
		late := p.run.clock.now() - now
		record(p.tally.own, late)
		record(p.tally.late, late)
		p.tally.mu.Unlock()
	}
}

// read takes what there is, up to a buffer full; epoll tells of the rest.
func (p *poller) read(c *call, fd int, buf []byte, now int64) {
	n, err := unix.Read(fd, buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		err = fmt.Errorf("read: %w", err)
	case n == 0:
		err = errors.New("read: the server closed the connection")
	default:
		err = c.wire.heard(c, buf[:n], now)
	}
	if err != nil {
		c.fail(err)
		_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
	}
}
