package rtpio

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// kernelSocket is a packetIO that reads and writes in batches, straight from
// and to the kernel.
//
// Its socket is not one of package net's, because those are registered with
// the runtime's poller, edge-triggered both ways: each datagram that comes and
// each that has left would wake a thread that finds nobody waiting.
type kernelSocket struct {
	// Static after construction.
	fd     int
	ip4    bool // of family AF_INET
	counts *socketCounts

	// refs counts the system calls under way on fd, with refsClosed added by
	// close: whoever takes it down to refsClosed closes fd. A number that was
	// closed before its last use could be another file's by then.
	refs atomic.Int64

	// Owned by the polling goroutine.
	drops uint32 // of the kernel, as last told
	one   *outBatch

	// Guarded by mu.
	mu      sync.Mutex
	watched *os.File // of wait
}

const refsClosed = math.MinInt64

// listenBatched is listenUDP by batches, or errors.ErrUnsupported.
func listenBatched(addr netip.AddrPort, recvBuffer, sendBuffer int) (*socket, error) {
	if err := checkListenAddr(addr); err != nil {
		return nil, err
	}
	addr = plainAddr(addr)
	fd, err := openUDP(addr)
	if errors.Is(err, unix.EAFNOSUPPORT) && addr.Addr() == netip.IPv6Unspecified() {
		addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		fd, err = openUDP(addr)
	}
	if err != nil {
		return nil, fmt.Errorf("rtpio: listen on %v: %w", addr, err)
	}
	if err := tryBatches(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	setUDPOptions(fd, recvBuffer, sendBuffer)
	local, err := boundTo(fd)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("rtpio: listen on %v: %w", addr, err)
	}
	k := &kernelSocket{fd: fd, ip4: addr.Addr().Is4(), counts: &socketCounts{}, one: newOutBatch(1, 0)}
	return &socket{addr: local, packet: k, counts: k.counts}, nil
}

// openUDP returns a socket that is bound to addr.
func openUDP(addr netip.AddrPort) (int, error) {
	family := unix.AF_INET6
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if addr.Addr().Is4() {
		family = unix.AF_INET
		sa = &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if family == unix.AF_INET6 {
		only := 1
		if addr.Addr().IsUnspecified() {
			only = 0
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			unix.Close(fd)
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

func boundTo(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return plainAddr(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))), nil
	default:
		return netip.AddrPort{}, fmt.Errorf("bound to %T", sa)
	}
}

// setUDPOptions asks for what may be refused. Without timestamps a datagram
// came when it was read; without a count of drops there is none.
func setUDPOptions(fd, recvBuffer, sendBuffer int) {
	set := func(option, value int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, value) }
	// Forced sizes may exceed net.core's limits, with CAP_NET_ADMIN.
	if recvBuffer > 0 && set(unix.SO_RCVBUFFORCE, recvBuffer) != nil {
		_ = set(unix.SO_RCVBUF, recvBuffer)
	}
	if sendBuffer > 0 && set(unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		_ = set(unix.SO_SNDBUF, sendBuffer)
	}
	// The new form has 64 bits of seconds everywhere.
	if set(unix.SO_TIMESTAMPNS_NEW, 1) != nil {
		_ = set(unix.SO_TIMESTAMPNS, 1)
	}
	_ = set(unix.SO_RXQ_OVFL, 1)
}

// acquire protects fd until release; it fails once the socket is closed.
func (k *kernelSocket) acquire() bool {
	for {
		n := k.refs.Load()
		if n < 0 {
			return false
		}
		if k.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (k *kernelSocket) release() {
	if k.refs.Add(-1) == refsClosed {
		unix.Close(k.fd)
	}
}

func (k *kernelSocket) close() error {
	for {
		n := k.refs.Load()
		if n < 0 {
			return nil
		}
		if k.refs.CompareAndSwap(n, n+1+refsClosed) {
			break
		}
	}
	k.release()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.watched != nil {
		k.watched.Close()
	}
	return nil
}

// wait lets the runtime's poller watch a duplicate of fd, and no longer than
// until it returns.
func (k *kernelSocket) wait() error {
	f, err := k.watch()
	if err == nil {
		err = awaitReadable(f)
		k.unwatch(f)
	}
	switch {
	case k.refs.Load() < 0:
		return net.ErrClosed
	case err != nil:
		// Out of files, most likely. Polling slowly is better than deafness.
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

func (k *kernelSocket) watch() (*os.File, error) {
	if !k.acquire() {
		return nil, net.ErrClosed
	}
	fd, err := unix.FcntlInt(uintptr(k.fd), unix.F_DUPFD_CLOEXEC, 0)
	k.release()
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	f := os.NewFile(uintptr(fd), "udp") // non-blocking, hence watched
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watched = f
	if k.refs.Load() < 0 { // close did not see f
		f.Close()
	}
	return f, nil
}

func (k *kernelSocket) unwatch(f *os.File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watched = nil
	f.Close()
}

func awaitReadable(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}
