package rtpio

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// recvTries bounds how many errors of earlier sends recv steps over.
const recvTries = 4

// shortBatch is the most datagrams whose batch, at about a microsecond each,
// may hold up a stop of the world.
const shortBatch = 8

// inHeaders and outHeaders hold what the kernel is told of a batch, linked up
// once.
type (
	inHeaders struct {
		msgs    []unix.Mmsghdr
		iovs    []unix.Iovec
		names   []unix.RawSockaddrInet6
		control [][controlSize]byte
	}
	outHeaders struct {
		msgs  []unix.Mmsghdr
		iovs  []unix.Iovec
		names []unix.RawSockaddrInet6
	}
)

func (h *inHeaders) init(n, size int, buf []byte) {
	h.msgs = make([]unix.Mmsghdr, n)
	h.iovs = make([]unix.Iovec, n)
	h.names = make([]unix.RawSockaddrInet6, n)
	h.control = make([][controlSize]byte, n)
	for i := range h.msgs {
		h.iovs[i].Base = unsafe.SliceData(buf[i*size:])
		h.iovs[i].SetLen(size)
		m := &h.msgs[i].Hdr
		m.Iov = &h.iovs[i]
		m.SetIovlen(1)
		m.Name = (*byte)(unsafe.Pointer(&h.names[i]))
		m.Control = &h.control[i][0]
	}
	h.rewind(n)
}

// rewind restores the lengths that the kernel overwrote in the first n.
func (h *inHeaders) rewind(n int) {
	for i := range h.msgs[:n] {
		m := &h.msgs[i].Hdr
		m.Namelen = unix.SizeofSockaddrInet6
		m.SetControllen(controlSize)
	}
}

func (h *outHeaders) init(n int) {
	h.msgs = make([]unix.Mmsghdr, n)
	h.iovs = make([]unix.Iovec, n)
	h.names = make([]unix.RawSockaddrInet6, n)
	for i := range h.msgs {
		m := &h.msgs[i].Hdr
		m.Iov = &h.iovs[i]
		m.SetIovlen(1)
		m.Name = (*byte)(unsafe.Pointer(&h.names[i]))
	}
}

// tryBatches returns errors.ErrUnsupported when the kernel, or the sandbox
// around it, knows no batches. It reads and sends none.
func tryBatches(fd int) error {
	var m unix.Mmsghdr
	for _, call := range []func(int, *unix.Mmsghdr, int) (int, unix.Errno){recvmmsg, sendmmsg} {
		if _, errno := call(fd, &m, 0); errno != 0 {
			return errors.ErrUnsupported
		}
	}
	return nil
}

func recvmmsg(fd int, m *unix.Mmsghdr, n int) (int, unix.Errno) {
	return mmsg(unix.SYS_RECVMMSG, fd, m, n, unix.MSG_DONTWAIT)
}

func sendmmsg(fd int, m *unix.Mmsghdr, n int) (int, unix.Errno) {
	return mmsg(unix.SYS_SENDMMSG, fd, m, n, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// mmsg tells the scheduler only of batches that may take long: the telling is
// a good part of what a batch of one costs.
func mmsg(trap uintptr, fd int, m *unix.Mmsghdr, n int, flags uintptr) (int, unix.Errno) {
	var r uintptr
	var errno unix.Errno
	if n <= shortBatch {
		r, _, errno = unix.RawSyscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(m)), uintptr(n), flags, 0, 0)
	} else {
		r, _, errno = unix.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(m)), uintptr(n), flags, 0, 0)
	}
	return int(r), errno
}

func (k *kernelSocket) recv(b *inBatch, now, unix int64) int {
	n := k.read(&b.headers)
	b.packets, b.filled = b.packets[:0], n > 0 && n == cap(b.packets)
	if n == 0 {
		return 0
	}
	c := k.take(b, n, now, unix)
	b.headers.rewind(n)
	k.counts.count(&c)
	return len(b.packets)
}

// read fills h and returns how many datagrams came.
func (k *kernelSocket) read(h *inHeaders) int {
	if len(h.msgs) == 0 || !k.acquire() {
		return 0
	}
	defer k.release()
	for tries := 0; tries < recvTries; {
		n, errno := recvmmsg(k.fd, &h.msgs[0], len(h.msgs))
		switch errno {
		case 0:
			return n
		case unix.EINTR:
		case unix.EAGAIN:
			return 0
		default:
			tries++ // told once, and gone
		}
	}
	return 0
}

// take makes datagrams of the n messages in b's headers.
func (k *kernelSocket) take(b *inBatch, n int, now, wall int64) (c socketStats) {
	h := &b.headers
	for i := range h.msgs[:n] {
		m := &h.msgs[i]
		told := parseControl(h.control[i][:min(int(m.Hdr.Controllen), controlSize)])
		if told.hasDrops {
			c.KernelDropped += int64(told.drops - k.drops) // modulo 1<<32
			k.drops = told.drops
		}
		if m.Hdr.Flags&unix.MSG_TRUNC != 0 {
			c.Truncated++
			continue
		}
		age := int64(0)
		if told.stamp != 0 {
			age = wall - told.stamp
		}
		data := b.room(i)[:m.Len]
		b.packets = append(b.packets, datagram{data, fromSockaddr(&h.names[i], m.Hdr.Namelen), arrivalOf(now, age)})
		c.ReceivedBytes += int64(len(data))
	}
	c.Received = int64(len(b.packets))
	return c
}

func (k *kernelSocket) flush(o *outBatch) {
	if len(o.data) == 0 {
		return
	}
	c := k.write(&o.headers, o.data, o.to)
	k.counts.count(&c)
	o.reset()
}

func (k *kernelSocket) send(b []byte, to netip.AddrPort) bool {
	k.one.add(b, to)
	c := k.write(&k.one.headers, k.one.data, k.one.to)
	k.counts.count(&c)
	k.one.reset()
	return c.Sent > 0
}

// write sends data by h. sendmmsg stops at the first datagram that fails and
// tells of the failure only when that is the first of the call.
func (k *kernelSocket) write(h *outHeaders, data [][]byte, to []netip.AddrPort) (c socketStats) {
	n := 0
	for i, b := range data {
		m := &h.msgs[n].Hdr
		if m.Namelen = toSockaddr(&h.names[n], to[i], k.ip4); m.Namelen == 0 {
			c.SendFailed++
			continue
		}
		h.iovs[n].Base = unsafe.SliceData(b)
		h.iovs[n].SetLen(len(b))
		n++
	}
	if !k.acquire() {
		c.SendFailed += int64(n)
		return c
	}
	defer k.release()
	for at := 0; at < n; {
		sent, errno := sendmmsg(k.fd, &h.msgs[at], n-at)
		switch errno {
		case 0:
			for _, m := range h.msgs[at : at+sent] {
				c.SentBytes += int64(m.Len)
			}
			c.Sent += int64(sent)
			at += sent
		case unix.EINTR:
		case unix.EAGAIN: // the others would find it full too
			c.SendBlocked += int64(n - at)
			return c
		case unix.ENOBUFS: // a device's queue, and the next may take another
			c.SendBlocked++
			at++
		default:
			c.SendFailed++
			at++
		}
	}
	return c
}

// fromSockaddr reads what the kernel wrote; an address of another family is
// the zero AddrPort.
func fromSockaddr(sa *unix.RawSockaddrInet6, size uint32) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
	switch {
	case sa.Family == unix.AF_INET && size >= unix.SizeofSockaddrInet4:
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa4.Addr), port)
	case sa.Family == unix.AF_INET6 && size >= unix.SizeofSockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), port)
	}
	return netip.AddrPort{}
}

// toSockaddr writes addr for a socket of IPv4 or of both, and returns its
// length: 0 if such a socket cannot send there.
func toSockaddr(sa *unix.RawSockaddrInet6, addr netip.AddrPort, ip4 bool) uint32 {
	ip := addr.Addr()
	if !ip.IsValid() {
		return 0
	}
	// The port is at the same place in both.
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], addr.Port())
	if !ip4 {
		sa.Family, sa.Addr = unix.AF_INET6, ip.As16()
		return unix.SizeofSockaddrInet6
	}
	if ip = ip.Unmap(); !ip.Is4() {
		return 0
	}
	sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
	sa4.Family, sa4.Addr = unix.AF_INET, ip.As4()
	return unix.SizeofSockaddrInet4
}
