package rtpio_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// What the tests of the clients compare is exact, and holds where every program
// gets the processor when it is due. On a machine that others share one of them
// may stand still for a quarter of a second, and then something is lost that
// nobody lost. So each test is an attempt: one that fails is made again if, and
// only if, the machine was seen to stand still meanwhile.

const (
	attempts = 3
	// still is by how much a sleep must have been too long.
	still = 40 * time.Millisecond
)

// attempt is a test that fails for itself alone.
type attempt struct {
	testing.TB
	why      string // of the first failure
	cleanups []func()
}

func (a *attempt) Errorf(format string, args ...any) {
	if a.why == "" {
		a.why = fmt.Sprintf(format, args...)
	}
}

func (a *attempt) FailNow() {
	a.Errorf("failed")
	runtime.Goexit()
}

func (a *attempt) Fatal(args ...any) {
	a.Errorf("%s", fmt.Sprint(args...))
	runtime.Goexit()
}

func (a *attempt) Fatalf(format string, args ...any) {
	a.Errorf(format, args...)
	runtime.Goexit()
}

func (a *attempt) Failed() bool { return a.why != "" }

func (a *attempt) Cleanup(fn func()) { a.cleanups = append(a.cleanups, fn) }

// make makes the attempt and cleans up after it.
func (a *attempt) make(test func(t testing.TB)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, fn := range slices.Backward(a.cleanups) {
				fn()
			}
		}()
		test(a)
	}()
	<-done
}

// steadily runs a subtest beside others, once or more.
func steadily(t *testing.T, name string, test func(t testing.TB)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		for i := 1; ; i++ {
			a := &attempt{TB: t}
			stood := watch()
			a.make(test)
			longest := stood()
			switch {
			case !a.Failed():
				return
			case i == attempts || longest < still:
				t.Fatalf("attempt %d, the machine stood still for %v at most: %s", i, longest, a.why)
			}
			t.Logf("attempt %d, the machine stood still for %v: %s", i, longest, a.why)
		}
	})
}

// watch looks for how long the machine stands still, until it is asked.
func watch() (longest func() time.Duration) {
	var worst atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		const nap = 5 * time.Millisecond
		for {
			begun := time.Now()
			select {
			case <-stop:
				return
			case <-time.After(nap):
				worst.Store(max(worst.Load(), int64(time.Since(begun)-nap)))
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		<-done
		return time.Duration(worst.Load())
	}
}
