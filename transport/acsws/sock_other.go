//go:build !unix

package acsws

import (
	"errors"
	"syscall"
)

// Where a socket cannot be tried, every write goes by way of the drain.
const canTryWrite = false

func tryWrite(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func limitUnsent(syscall.RawConn) {}
