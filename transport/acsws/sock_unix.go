//go:build unix

package acsws

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const canTryWrite = true

// tryWrite writes what the socket takes now.
func tryWrite(fd uintptr, b []byte) (int, error) {
	for {
		n, err := unix.Write(int(fd), b)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, err
		}
	}
}

// limitUnsent keeps the kernel's queue short. A failure costs promptness of a
// flush, no more, so it is not told.
func limitUnsent(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) { setUnsent(int(fd)) })
}
