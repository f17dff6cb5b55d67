package engine

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// withSleep is an engine of one pacer that sleeps so, with an understudy.
func withSleep(t *testing.T, sleep func(until int64)) *Engine {
	t.Helper()
	e := New(Config{})
	e.pacers = e.pacers[:1]
	e.pacers[0].sleep, e.pacers[0].understudy.wanted = sleep, true
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

// turns starts a beat and returns the times of its turns.
func turns(t *testing.T, e *Engine) (<-chan int64, *Beat) {
	t.Helper()
	at := make(chan int64, 1000)
	b := e.NewBeat(nil, func(due int64) { at <- due }, func() {})
	require.NoError(t, b.Start())
	return at, b
}

// TestUnderstudyTakesTurns while the pacer's goroutine does not come back from
// its sleep, after it was late once.
func TestUnderstudyTakesTurns(t *testing.T) {
	lost, back := make(chan struct{}), make(chan struct{})
	var sleeps atomic.Int64
	e := withSleep(t, func(until int64) {
		sleepUntil(until + int64(3*tolerance/2))
		if sleeps.Add(1) == 20 {
			close(lost)
			<-back
		}
	})
	defer close(back)
	at, b := turns(t, e)
	<-lost
	for len(at) > 0 {
		<-at
	}
	inOrder(t, at, 20)
	b.Stop() // and nothing is left to do
	time.Sleep(2 * time.Duration(slotNanos))
	at, _ = turns(t, e)
	inOrder(t, at, 5)
}

// TestUnderstudyStops when the engine is closed, while the pacer's goroutine
// sleeps on.
func TestUnderstudyStops(t *testing.T) {
	e := withSleep(t, func(until int64) { sleepUntil(until + int64(2*tolerance)) })
	at, _ := turns(t, e)
	for range 10 {
		<-at
	}
	require.True(t, e.pacers[0].understudy.isNeeded())
	require.NoError(t, e.Close())
	n := len(at)
	time.Sleep(5 * time.Duration(nap))
	require.Len(t, at, n)
}

// TestUnderstudyIsNotAsked once the pacer's goroutine was in time for a while.
func TestUnderstudyIsNotAsked(t *testing.T) {
	p := newPacer()
	u := &p.understudy
	require.Equal(t, kernelSleeps, u.needed)
	u.wanted = true
	for range 3 {
		u.judge(tolerance + 1)
		for range restored - 1 {
			u.judge(0)
		}
		require.True(t, u.needed)
	}
	u.judge(-1)
	require.True(t, u.needed, "the bell proves nothing")
	u.judge(tolerance)
	require.False(t, u.needed)
	u.watch(Now())
	require.Nil(t, u.timer)
}

// TestPacerAndUnderstudyShareTurns: each is taken once, in its order.
func TestPacerAndUnderstudyShareTurns(t *testing.T) {
	n := int64(0)
	e := withSleep(t, func(until int64) {
		n++ // of the pacer's goroutine
		sleepUntil(until + n*int64(700*time.Microsecond)%int64(3*tolerance))
	})
	at, _ := turns(t, e)
	inOrder(t, at, 50)
}

// inOrder checks that n turns come, none of them twice. (Some are left out if
// the machine lets nobody run for 200 ms.)
func inOrder(t *testing.T, at <-chan int64, n int) {
	t.Helper()
	last := int64(0)
	for range n {
		select {
		case next := <-at:
			require.Greater(t, next, last)
			last = next
		case <-time.After(10 * time.Second):
			require.Fail(t, "no turn is taken any more")
		}
	}
}

func (u *understudy) isNeeded() bool {
	u.pacer.turning.Lock()
	defer u.pacer.turning.Unlock()
	return u.needed
}
