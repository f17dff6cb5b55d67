//go:build unix && !solaris && !aix

package record

import (
	"os"
	"syscall"
)

// tryLock locks the file for its descriptor, without waiting.
func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
