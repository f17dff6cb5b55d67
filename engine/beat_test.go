package engine

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBeatsNearOneAnotherNeverRunAtOnce(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	var running, turns [3]atomic.Int64
	var beats [3]*Beat
	for i := range beats {
		var near *Beat
		if i > 0 {
			near = beats[0]
		}
		beats[i] = e.NewBeat(near, func(int64) {
			for j := range running {
				require.Zero(t, running[j].Load())
			}
			running[i].Add(1)
			time.Sleep(time.Millisecond)
			running[i].Add(-1)
			turns[i].Add(1)
		}, func() {})
		require.NoError(t, beats[i].Start())
	}
	require.Eventually(t, func() bool {
		return turns[0].Load() > 5 && turns[1].Load() > 5 && turns[2].Load() > 5
	}, 10*time.Second, time.Millisecond)
	beats[1].Stop()
	beats[1].Stop()
	n := turns[1].Load()
	seen := turns[0].Load()
	require.Eventually(t, func() bool { return turns[0].Load() > seen+3 }, 10*time.Second, time.Millisecond)
	require.LessOrEqual(t, turns[1].Load(), n+1, "but for a turn that was under way")
}

// TestBeatStopsItself: the pacer goes on without a turn that ends its own beat.
func TestBeatStopsItself(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	var n atomic.Int64
	ready := make(chan *Beat, 1)
	b := e.NewBeat(nil, func(int64) {
		n.Add(1)
		(<-ready).Stop()
	}, func() { t.Error("it was stopped before") })
	require.NoError(t, b.Start())
	ready <- b
	other := e.NewBeat(b, func(int64) { n.Add(100) }, func() {})
	require.NoError(t, other.Start())
	require.Eventually(t, func() bool { return n.Load() > 500 }, 10*time.Second, time.Millisecond)
	require.EqualValues(t, 1, n.Load()%100)
}

func TestBeatOfClosedEngine(t *testing.T) {
	e := New(Config{})
	var turns, closed atomic.Int64
	b := e.NewBeat(nil, func(int64) { turns.Add(1) }, func() { closed.Add(1) })
	require.NoError(t, b.Start())
	never := e.NewBeat(b, func(int64) { t.Error("never started") }, func() { t.Error("never started") })
	require.Eventually(t, func() bool { return turns.Load() > 2 }, 10*time.Second, time.Millisecond)
	require.NoError(t, e.Close())
	require.EqualValues(t, 1, closed.Load())
	n := turns.Load()
	require.ErrorIs(t, never.Start(), ErrClosed)
	b.Stop()
	require.EqualValues(t, 1, closed.Load())
	require.Equal(t, n, turns.Load())
}

// Beats fill one pacer after the other, whatever legs are made between, then all
// alike, and share phases.
func TestBeatsAreSpread(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	e.pacers = append(e.pacers, newPacer())
	n := len(e.pacers)
	begin := func(many int) {
		for range many {
			_, err := e.NewLeg(LegConfig{})
			require.NoError(t, err)
			require.NoError(t, e.NewBeat(nil, func(int64) {}, func() {}).Start())
		}
	}
	begin(enough + 1)
	require.Equal(t, int64(enough), e.pacers[0].beatsNow())
	require.Equal(t, int64(1), e.pacers[1].beatsNow())
	require.Equal(t, int64(together), e.pacers[0].beating[0].Load())
	begin(n*enough + 2*n - enough - 1)
	for _, p := range e.pacers {
		require.Equal(t, int64(enough+2), p.beatsNow())
	}
}

// TestAnchors: who is near to one of them has the same pacer.
func TestAnchors(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	all := e.Anchors()
	require.Len(t, all, len(e.pacers))
	for i, a := range all {
		require.Same(t, e.pacers[i], e.NewBeat(a, func(int64) {}, func() {}).pacer)
	}
}
