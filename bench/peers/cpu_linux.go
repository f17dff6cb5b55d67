package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// allowed are the cores that the command was given.
var allowed = func() (cpus []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for i := range 8 * len(set) * 8 {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus
}()

// serverCPU and generatorCPU are the cores of each; -1 if there is only one,
// or it is not known which.
func serverCPU() int    { return nth(0) }
func generatorCPU() int { return nth(1) }

func nth(i int) int {
	if len(allowed) < 2 {
		return -1
	}
	return allowed[i]
}

// stayOn keeps all threads of this process on a core: those that are there,
// and by inheritance those to come.
func stayOn(cpu int) error {
	if cpu < 0 {
		return nil
	}
	return eachThread(func(tid int) error {
		var set unix.CPUSet
		set.Set(cpu)
		return unix.SchedSetaffinity(tid, &set)
	})
}

// startOn starts cmd on a core: a child has the affinity of the thread that
// made it.
func startOn(cmd *exec.Cmd, cpu int) error {
	if cpu < 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var was, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &was); err != nil {
		return err
	}
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	err := cmd.Start()
	if back := unix.SchedSetaffinity(0, &was); err == nil {
		err = back
	}
	return err
}

// eachThread calls fn for every thread of this process.
func eachThread(fn func(tid int) error) error {
	dir, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, d := range dir {
		tid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if err := fn(tid); err != nil && !errors.Is(err, unix.ESRCH) { // it may have ended
			return err
		}
	}
	return nil
}
