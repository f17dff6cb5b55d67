package acsws

import (
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/mixminus/mixminus/engine"
	"golang.org/x/sys/unix"
)

const (
	// pollEvents that are taken at once, and pollBuffer bytes that are read of
	// one connection before the next has its turn.
	pollEvents = 256
	pollBuffer = 64 << 10
	// perPoller connections share a goroutine before another is begun: the more,
	// the fewer wake-ups.
	perPoller = 512
)

// pollers read the sockets of all connections, a few goroutines by epoll(7):
// one that wakes finds many connections that have something, where a goroutine
// per connection would be woken for each.
type pollers struct {
	// Guarded by mu.
	mu     sync.Mutex
	all    []*poller
	closed bool
}

// poller is one epoll instance and the goroutine that waits on it.
type poller struct {
	epfd, wake int // wake is an eventfd
	done       chan struct{}
	load       atomic.Int64 // connections
	parked     atomic.Int64 // waits in the runtime's poller

	// Owned by the goroutine.
	events []unix.EpollEvent
	buf    []byte
	found  int                // events
	looks  func(uintptr) bool // look, made once: a closure per wait would be an allocation
	// file is the epoll instance in the runtime's poller, and raw what waits
	// there; nil while the processor is kept: each event would wake both.
	file *os.File
	raw  syscall.RawConn

	keeps bool  // its processor, while it waits
	last  int64 // Now, when there were events
	// Events since some time of Now, and whether there were many before it.
	handled, since int64
	crowded        bool

	// Guarded by mu.
	mu     sync.Mutex
	links  []*polledLink // by slot
	free   []int32
	closed bool
}

// poll takes a connection from its goroutine; false if that is not possible,
// and it is as before. over is called when it has ended.
func (c *conn) poll(nc net.Conn, over func()) bool {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return false
	}
	s := c.ep.server
	p := s.pollers.least(s.cfg.KeepProcessor)
	if p == nil {
		return false
	}
	fd, err := take(tcp)
	if err != nil {
		return false
	}
	l := &polledLink{conn: c, poller: p, fd: fd, over: over}
	l.read.Store(engine.Now())
	l.in.limit = s.cfg.MaxMessage
	if err := c.begin(l); err != nil {
		l.release()
		return true
	}
	if err := c.guarded(c.told); err != nil {
		l.fail(err)
	}
	p.add(l)
	return true
}

// take takes the socket out of the runtime's poller, which would be told of
// every packet too.
func take(c *net.TCPConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(s uintptr) {
		fd, dupErr = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return -1, err
	}
	if dupErr != nil {
		return -1, dupErr
	}
	setUnsent(fd)
	return fd, c.Close() // the socket lives on in fd
}

// least returns the poller that is to take the next connection, nil if there can
// be none. The first may keep its processor.
func (ps *pollers) least(keep bool) *poller {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.closed {
		return nil
	}
	var best *poller
	for _, p := range ps.all {
		if best == nil || p.load.Load() < best.load.Load() {
			best = p
		}
	}
	for _, p := range ps.all { // fill one before the next
		if p.load.Load() < perPoller {
			best = p
			break
		}
	}
	processors := runtime.GOMAXPROCS(0)
	if keep = keep && mayKeep(); keep {
		processors-- // to go by the number of cores
	}
	if best == nil || best.load.Load() >= perPoller && len(ps.all) < processors {
		p, err := newPoller(keep && best == nil)
		if err != nil {
			return best
		}
		ps.all = append(ps.all, p)
		best = p
	}
	best.load.Add(1)
	return best
}

// close ends the goroutines; their connections have ended before.
func (ps *pollers) close() {
	ps.mu.Lock()
	ps.closed = true
	all := ps.all
	ps.all = nil
	ps.mu.Unlock()
	for _, p := range all {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.ring()
		<-p.done
	}
}

func newPoller(keeps bool) (*poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1})
		if err != nil {
			unix.Close(wake)
		}
	}
	if err != nil {
		unix.Close(epfd)
		return nil, err
	}
	_ = unix.SetNonblock(epfd, true) // else the runtime would not poll it
	p := &poller{
		epfd: epfd, wake: wake, done: make(chan struct{}), keeps: keeps,
		events: make([]unix.EpollEvent, pollEvents), buf: make([]byte, pollBuffer),
	}
	p.looks = p.look
	go p.run()
	return p, nil
}

// ring wakes the goroutine.
func (p *poller) ring() {
	one := [8]byte{7: 1}
	_, _ = unix.Write(p.wake, one[:])
}

// add hands a connection over. From now on it is the goroutine's.
func (p *poller) add(l *polledLink) {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		l.slot, p.free = p.free[n-1], p.free[:n-1]
		p.links[l.slot] = l
	} else {
		l.slot = int32(len(p.links))
		p.links = append(p.links, l)
	}
	p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watched = true
	l.watch(unix.EPOLL_CTL_ADD)
}

// link returns the connection of a slot.
func (p *poller) link(slot int32) *polledLink {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int(slot) >= len(p.links) {
		return nil
	}
	return p.links[slot]
}

// drop forgets a connection.
func (p *poller) drop(l *polledLink) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[l.slot] = nil
	p.free = append(p.free, l.slot)
}

// run is the goroutine.
func (p *poller) run() {
	defer close(p.done)
	defer unix.Close(p.epfd)
	defer unix.Close(p.wake)
	defer p.leave()
	for {
		n := p.wait()
		for i := range p.events[:n] {
			e := &p.events[i]
			if e.Fd == -1 {
				var b [8]byte
				_, _ = unix.Read(p.wake, b[:])
				continue
			}
			if l := p.link(e.Fd); l != nil && l.generation() == e.Pad {
				l.ready(e.Events)
			}
		}
		p.mu.Lock()
		closed := p.closed
		p.mu.Unlock()
		if closed {
			return
		}
	}
}
