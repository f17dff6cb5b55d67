package acsws

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/mixminus/mixminus/engine"
	"golang.org/x/sys/unix"
)

const (
	// keepFor is how long a processor is kept with nothing to do: one call has a
	// frame every 20 ms. letIn is after how long with nothing to do others have a
	// turn, whom a handler may have woken and who wait for this processor, if all
	// the others are busy.
	keepFor = 25 * time.Millisecond
	letIn   = time.Millisecond
	// denseRate is the number of events a second, of some 400 calls, above which
	// it is not kept, until there are half as many.
	denseRate = 20_000
)

// wait returns how many events there are.
func (p *poller) wait() int {
	if p.keeps && p.keep() || p.look(uintptr(p.epfd)) {
		return p.found
	}
	p.parked.Add(1)
	if !p.join() || p.raw.Read(p.looks) != nil { // the runtime has no poller for it
		n, _ := unix.EpollWait(p.epfd, p.events, -1)
		p.found = max(n, 0)
	}
	return p.found
}

// join puts the epoll instance into the runtime's poller: a thread of ours that
// blocks would give up its processor each time, and have to ask for one again.
func (p *poller) join() bool {
	if p.file != nil {
		return true
	}
	fd, err := unix.FcntlInt(uintptr(p.epfd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return false
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return false
	}
	p.file, p.raw = file, raw
	return true
}

// leave undoes join.
func (p *poller) leave() {
	if p.file != nil {
		_ = p.file.Close()
		p.file, p.raw = nil, nil
	}
}

// keep waits for events without the runtime's knowledge: to it, this goroutine
// runs, so that none of its threads need be woken when a frame comes, its
// monitor among them, which an otherwise idle process wakes each time. When the
// runtime wants the processor, to collect garbage or because it is others'
// turn, it sends the thread a signal, as to any goroutine that runs for long;
// the wait is then over, with no events, and the next call of a function yields.
// It reports false if nothing came for a while, if so much came that the
// runtime's way is the better one, or if the program has taken away the
// processor that it had for it.
func (p *poller) keep() bool {
	now := engine.Now()
	if p.dense(now) {
		return false
	}
	if p.found > 0 {
		p.last = now
		p.leave()
		if p.epoll(uintptr(p.epfd), letIn) == unix.EINTR || p.found > 0 {
			return true
		}
		runtime.Gosched()
	} else if now-p.last > int64(keepFor) {
		return false
	}
	if p.epoll(uintptr(p.epfd), keepFor) == unix.EINTR {
		p.keeps = runtime.GOMAXPROCS(0) > 1
	}
	return p.keeps
}

// dense reports whether so much comes that waking up is no longer what a frame
// costs: then the runtime's way is the better one, for it takes longer, and
// finds more.
func (p *poller) dense(now int64) bool {
	p.handled += int64(p.found)
	if d := now - p.since; d > int64(10*time.Millisecond) {
		rate := p.handled * int64(time.Second) / d
		p.crowded = rate > denseRate || p.crowded && rate > denseRate/2
		p.handled, p.since = 0, now
	}
	return p.crowded
}

// look finds out whether there are events now, and how many.
func (p *poller) look(fd uintptr) bool {
	p.epoll(fd, 0)
	return p.found > 0
}

// epoll notes how many events there are within a time. The processor is kept.
func (p *poller) epoll(fd uintptr, within time.Duration) syscall.Errno {
	p.found = 0
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&p.events[0])), pollEvents, uintptr(within.Milliseconds()), 0, 0)
	if errno == 0 {
		p.found = int(n)
	}
	return errno
}

// mayKeep reports whether a goroutine that waits with its processor can be
// stopped: by signals, which can be switched off.
func mayKeep() bool {
	return runtime.GOMAXPROCS(0) > 1 && !strings.Contains(os.Getenv("GODEBUG"), "asyncpreemptoff=1")
}
