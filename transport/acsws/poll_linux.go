package acsws

import (
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

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
	// keepFor is how long a processor is kept with nothing to do, in ms: one
	// call has a frame every 20.
	keepFor = 25
	// denseRate is the number of events a second, of some 400 calls, above which
	// it is not kept.
	denseRate = 20_000
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
	file       *os.File
	raw        syscall.RawConn // of the epoll instance
	done       chan struct{}
	load       atomic.Int64 // connections

	// Owned by the goroutine.
	events []unix.EpollEvent
	buf    []byte
	found  int  // events
	keeps  bool // its processor, while it waits
	// Events since some time of Now, and whether there were many before it.
	handled, since int64
	crowded        bool
	looks          func(uintptr) bool // look, made once: a closure per wait would be an allocation

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
	if keep = keep && processors > 1; keep {
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
	_ = unix.SetNonblock(epfd, true)
	file := os.NewFile(uintptr(epfd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		unix.Close(wake)
		return nil, err
	}
	p := &poller{
		file: file, raw: raw, epfd: epfd, wake: wake, done: make(chan struct{}), keeps: keeps,
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
	defer p.file.Close()
	defer unix.Close(p.wake)
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

// wait returns how many events there are. The epoll instance is in the runtime's
// poller itself: a thread of ours that blocks would give up its processor each
// time, and have to ask for one again.
func (p *poller) wait() int {
	if p.keeps && p.keep() || p.look(uintptr(p.epfd)) {
		return p.found
	}
	if p.raw.Read(p.looks) != nil { // the runtime has no poller for it
		n, _ := unix.EpollWait(p.epfd, p.events, -1)
		return max(n, 0)
	}
	return p.found
}

// keep waits for events without the runtime's knowledge: to it, this goroutine
// runs, so that none of its threads need be woken when a frame comes, its
// monitor among them, which an otherwise idle process wakes each time. When the
// runtime wants the processor, to collect garbage or because it is others'
// turn, it sends the thread a signal, as to any goroutine that runs for long;
// the wait is then over, with no events, and the next call of a function yields.
// It reports false if nothing came for a while, or if the program has taken away
// the processor that it had for it.
func (p *poller) keep() bool {
	if p.dense(engine.Now()) {
		return false
	}
	if p.epoll(uintptr(p.epfd), keepFor) == unix.EINTR {
		p.keeps = runtime.GOMAXPROCS(0) > 1
		return p.keeps
	}
	return p.found > 0
}

// dense reports whether so much comes that waking up is no longer what a frame
// costs: then the runtime's way is the better one, for it takes longer, and
// finds more.
func (p *poller) dense(now int64) bool {
	p.handled += int64(p.found)
	if d := now - p.since; d > int64(10*time.Millisecond) {
		p.crowded = p.handled*int64(time.Second)/d > denseRate
		p.handled, p.since = 0, now
	}
	return p.crowded
}

// look finds out whether there are events now, and how many.
func (p *poller) look(fd uintptr) bool {
	p.epoll(fd, 0)
	return p.found > 0
}

// epoll notes how many events there are within ms. The processor is kept.
func (p *poller) epoll(fd, ms uintptr) syscall.Errno {
	p.found = 0
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&p.events[0])), pollEvents, ms, 0, 0)
	if errno == 0 {
		p.found = int(n)
	}
	return errno
}
