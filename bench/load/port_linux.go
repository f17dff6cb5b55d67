package load

import (
	"encoding/binary"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// ctrlBytes has room for a time of arrival.
const ctrlBytes = 64

// stampArrivals has the kernel tell when each packet came. Without it, one came
// when it was read.
func stampArrivals(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
}

// waited is how long ago a packet came, of which the kernel told ctrl.
func waited(ctrl []byte) int64 {
	const times = 16 // two numbers of 64 bits; on other machines, nothing is known
	if len(ctrl) < unix.SizeofCmsghdr {
		return 0
	}
	head, data, _, err := unix.ParseOneSocketControlMessage(ctrl)
	if err != nil || head.Level != unix.SOL_SOCKET || head.Type != unix.SCM_TIMESTAMPNS || len(data) < times {
		return 0
	}
	sec, nsec := binary.NativeEndian.Uint64(data), binary.NativeEndian.Uint64(data[8:])
	return max(0, int64(time.Since(time.Unix(int64(sec), int64(nsec)))))
}
