package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// gate is an outlet that holds the pump up while it is shut.
type gate struct {
	entered, leave chan struct{}
	shut           atomic.Bool
	sent           atomic.Int64
}

func newGate() *gate { return &gate{entered: make(chan struct{}), leave: make(chan struct{})} }

func (g *gate) SendFrame(*[320]int16) bool {
	g.sent.Add(1)
	if g.shut.CompareAndSwap(true, false) {
		g.entered <- struct{}{}
		<-g.leave
	}
	return true
}
func (g *gate) SendFlush() bool { return true }

func gatedLeg(t *testing.T) (*Leg, *gate, chan Mark) {
	marks := make(chan Mark, 64)
	l := newTestLeg(t, LegConfig{OnMark: func(m Mark) { marks <- m }})
	g := newGate()
	p, err := l.Attach(g)
	require.NoError(t, err)
	t.Cleanup(func() { p.Detach(0) })
	return l, g, marks
}

func awaitMark(t *testing.T, marks chan Mark) Mark {
	t.Helper()
	select {
	case m := <-marks:
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("mark lost")
		return Mark{}
	}
}

func TestMarkOfAClosedSourceIsCancelled(t *testing.T) {
	l, g, marks := gatedLeg(t)
	s := l.Source()
	_, err := s.TryWrite(make([]int16, 3200))
	require.NoError(t, err)
	require.NoError(t, s.Mark("m"))
	tap := s.Tap(64)
	g.shut.Store(true)
	done := make(chan struct{})
	go func() { s.TryWrite(make([]int16, 6400)); close(done) }()
	<-g.entered // the writer is in the pump
	l.Close()
	sent := g.sent.Load()
	close(g.leave)
	<-done
	require.True(t, awaitMark(t, marks).Cancelled)
	require.Equal(t, sent, g.sent.Load(), "nothing is sent after Close")
	require.Equal(t, 2, tap.Len(), "and the tap has what was, and the cut")
}

func TestMarkAfterAFlushIsPlayed(t *testing.T) {
	l, g, marks := gatedLeg(t)
	s := l.Source()
	_, err := s.TryWrite(make([]int16, 9600))
	require.NoError(t, err)
	require.NoError(t, s.Mark("old"))
	g.shut.Store(true)
	<-g.entered // the pacer is in the pump
	s.Flush()
	_, err = s.TryWrite(make([]int16, 640))
	require.NoError(t, err)
	require.NoError(t, s.Mark("new"))
	close(g.leave)
	require.Equal(t, Mark{Name: "old", Cancelled: true, Estimated: true}, awaitMark(t, marks))
	require.Equal(t, Mark{Name: "new", Estimated: true}, awaitMark(t, marks))
}

func TestMarkFromOnMark(t *testing.T) {
	var n atomic.Int64
	var l *Leg
	l = newTestLeg(t, LegConfig{OnMark: func(Mark) {
		n.Add(1)
		l.Source().Mark("again")
	}})
	p, err := l.Attach(discard{})
	require.NoError(t, err)
	defer p.Detach(0)
	_, err = l.Source().TryWrite(make([]int16, 3200))
	require.NoError(t, err)
	require.NoError(t, l.Source().Mark("m"))
	l.Source().Flush()
	require.LessOrEqual(t, n.Load(), int64(1), "not a loop within Flush")
	require.Eventually(t, func() bool { return n.Load() > 3 }, 10*time.Second, time.Millisecond, "but turn by turn")
}

// TestEveryMarkFiresOnce sets marks against flushes and the close.
func TestEveryMarkFiresOnce(t *testing.T) {
	for range 200 {
		var mu sync.Mutex
		fired := map[string]int{}
		e := New(Config{})
		l, err := e.NewLeg(LegConfig{OnMark: func(m Mark) { mu.Lock(); fired[m.Name]++; mu.Unlock() }})
		require.NoError(t, err)
		p, err := l.Attach(discard{})
		require.NoError(t, err)
		var set []string
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
				l.Source().TryWrite(make([]int16, 320))
				if l.Source().Mark(name) == nil {
					set = append(set, name)
				}
			}
		})
		wg.Go(func() { l.Source().Flush(); l.Source().Flush() })
		wg.Go(func() { l.Close() })
		wg.Wait()
		require.NoError(t, e.Close())
		p.Detach(0)
		mu.Lock()
		for _, name := range set {
			require.Equal(t, 1, fired[name], "mark %s", name)
		}
		for name := range fired {
			require.True(t, slices.Contains(set, name))
		}
		mu.Unlock()
	}
}
