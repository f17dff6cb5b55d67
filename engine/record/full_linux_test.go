package record

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/stretchr/testify/require"
)

// TestFullFileSystem fills a real file system, a small one in memory that a
// child mounts in a namespace of its own.
func TestFullFileSystem(t *testing.T) {
	cmd := exec.Command(os.Args[0], "child-fills", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == cannotMount, errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC):
		t.Skipf("no mount namespace here: %v %s", err, out)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// cannotMount is the exit code of a child that cannot.
const cannotMount = 77

func childFills(args []string) {
	dir := args[0]
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		fmt.Println(err)
		os.Exit(cannotMount)
	}
	t := childT{}
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 1500<<10), 0o600))
	r, err := New(Config{Dir: filepath.Join(dir, "rec"), Sweep: sweep})
	require.NoError(t, err)
	c := newCall(t, engine.Unmixed)
	rec := attach(t, r, c.leg, Meta{})
	speak := func(from int64, cond func() bool) int64 {
		return c.flood(from, func() bool {
			until(t, "written", func() bool { return rec.Stats().Frames >= 2*(from-10) })
			from++
			return cond()
		}, "a", "b")
	}
	slot := speak(0, func() bool { return rec.Stats().Err != "" })
	fmt.Printf("full after %d slots: %s\n", slot, rec.Stats().Err)
	slot = speak(slot, func() bool { return rec.Stats().Lost[Disk] > 100*320 })
	require.NoError(t, os.Remove(ballast))
	slot = speak(slot, func() bool { return rec.Stats().Err == "" })
	for end := slot + 50; slot < end; slot++ {
		c.speak("a", slot)
		c.speak("b", slot)
	}
	c.hangUp()
	<-rec.Done()
	res := rec.Result()
	require.NoError(t, r.Close())
	require.Equal(t, StateComplete, res.State)
	require.ErrorIs(t, res.Err, syscall.ENOSPC)
	got := check(t, res)
	var lost int64
	for _, id := range []string{"a", "b"} {
		n := withLosses(t, c.track(id), got[id], trackOf(t, res, id), Disk)
		fmt.Printf("%s: %d of %d samples lost\n", id, n, len(got[id]))
		lost += n
	}
	require.Equal(t, map[Reason]int64{Disk: lost}, rec.Stats().Lost)
	require.Zero(t, trackOf(t, res, "mixed").Missing)
}
