//go:build unix && !linux

package acsws

import "golang.org/x/sys/unix"

func setUnsent(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 2*unsentLimit)
}
