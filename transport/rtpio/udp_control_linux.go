package rtpio

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// controlSize has room for both control messages that the socket asked for.
const controlSize = 64

// recvControl is what the kernel told with a datagram.
type recvControl struct {
	stamp    int64  // of its arrival, in nanoseconds since 1970; 0: none
	drops    uint32 // on the socket before it, modulo 1<<32
	hasDrops bool   // never set before the first drop
}

// parseControl reads a sequence of struct cmsghdr (cmsg(3)). Messages that
// were not asked for, or are not of the length that they should have, are
// passed over; at one that does not fit into b, parsing ends.
func parseControl(b []byte) (c recvControl) {
	for len(b) >= unix.SizeofCmsghdr {
		size := cmsgLen(b)
		if size < unix.SizeofCmsghdr || size > uint64(len(b)) {
			return c
		}
		level := binary.NativeEndian.Uint32(b[unix.SizeofPtr:])
		kind := binary.NativeEndian.Uint32(b[unix.SizeofPtr+4:])
		data := b[unix.SizeofCmsghdr:size]
		if level == unix.SOL_SOCKET {
			switch {
			case kind == unix.SO_TIMESTAMPNS || kind == unix.SO_TIMESTAMPNS_NEW:
				if ns := parseStamp(data); ns > 0 {
					c.stamp = ns
				}
			case kind == unix.SO_RXQ_OVFL && len(data) == 4:
				c.drops, c.hasDrops = binary.NativeEndian.Uint32(data), true
			}
		}
		// Padded to the size of a pointer, but perhaps not the last.
		padded := (size + unix.SizeofPtr - 1) &^ (unix.SizeofPtr - 1)
		b = b[min(padded, uint64(len(b))):]
	}
	return c
}

// cmsgLen reads cmsg_len, a size_t.
func cmsgLen(b []byte) uint64 {
	if unix.SizeofPtr == 8 {
		return binary.NativeEndian.Uint64(b)
	}
	return uint64(binary.NativeEndian.Uint32(b))
}

// parseStamp reads a struct timespec of 64 or 32 bits; 0 if it is none.
func parseStamp(b []byte) int64 {
	var sec, nsec int64
	switch len(b) {
	case 16:
		sec, nsec = int64(binary.NativeEndian.Uint64(b)), int64(binary.NativeEndian.Uint64(b[8:]))
	case 8:
		sec, nsec = int64(int32(binary.NativeEndian.Uint32(b))), int64(int32(binary.NativeEndian.Uint32(b[4:])))
	}
	const lastSecond = 1<<33 - 1 // in the year 2242, and no overflow
	if sec < 0 || sec > lastSecond || nsec < 0 || nsec >= 1e9 {
		return 0
	}
	return sec*1e9 + nsec
}
