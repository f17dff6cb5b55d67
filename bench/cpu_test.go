//go:build unix

package bench_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"
)

// spent is what the process has used so far.
type spent struct {
	cpu    time.Duration // user and system, of all threads
	allocs uint64
}

func spentNow(tb testing.TB) spent {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		tb.Fatal(err)
	}
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return spent{time.Duration(ru.Utime.Nano() + ru.Stime.Nano()), ms.Mallocs}
}

// during adds to s what fn uses.
func (s *spent) during(tb testing.TB, fn func()) {
	before := spentNow(tb)
	fn()
	after := spentNow(tb)
	s.cpu += after.cpu - before.cpu
	s.allocs += after.allocs - before.allocs
}

// cpuPer returns µs of CPU per frame, allocsPer allocations.
func (s *spent) cpuPer(frames int) float64 {
	return float64(s.cpu) / float64(time.Microsecond) / float64(frames)
}

func (s *spent) allocsPer(frames int) float64 { return float64(s.allocs) / float64(frames) }
