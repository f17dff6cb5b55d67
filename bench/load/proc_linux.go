package load

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc, on every architecture (proc(5)).
const tick = 10 * time.Millisecond

func processUse(pid int) (u usage, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, errConfig("process %d: %w", pid, err)
	}
	// The name, in parentheses, may hold anything.
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
	fields := strings.Fields(rest) // from the third on, state
	if len(fields) < 22 {
		return u, errConfig("process %d: /proc/%d/stat has %d fields", pid, pid, len(fields))
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i-3], 10, 64)
		return n
	}
	u.cpu = time.Duration(number(14)+number(15)) * tick
	u.rss = number(24) * int64(os.Getpagesize())
	return u, nil
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// spareFiles are those that a run needs beside its sockets.
const spareFiles = 64

// raiseFiles makes room for the sockets of n calls. A call needs two for a
// moment.
func raiseFiles(n int) error {
	need := uint64(n + min(n, maxDials) + spareFiles)
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil || lim.Cur >= need {
		return err
	}
	was := lim
	lim.Cur, lim.Max = need, max(lim.Max, need)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return errConfig("%d calls need %d open files, and the limits are %d (soft) and %d (hard): raise them with ulimit -n: %w", n, need, was.Cur, was.Max, err)
	}
	return nil
}
