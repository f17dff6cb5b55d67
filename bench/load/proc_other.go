//go:build !linux

package load

import (
	"errors"
	"time"
)

func processUse(pid int) (usage, error) {
	return usage{}, errConfig("process %d: its CPU is read from /proc: %w", pid, errors.ErrUnsupported)
}

// ownCPU is not known.
func ownCPU() time.Duration { return 0 }

// raiseFiles leaves the limit as it is: Go raises the soft one by itself.
func raiseFiles(int) error { return nil }
