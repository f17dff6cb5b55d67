package ring

import (
	"context"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine/pcm"
)

// fill makes the whole frame a function of i, so that a torn frame shows.
func fill(f *pcm.Frame, i uint32) {
	s := int16(i*2654435761>>16) | 1
	for j := range f.Samples {
		f.Samples[j] = s
	}
	f.Timestamp = int64(i) * pcm.TicksPerFrame
	f.Arrival = int64(i)
	f.Seq = i
	f.Speaker = i >> 3
	f.Lost = i & 1
	f.Flags = pcm.Flags(i)
}

// intact reports whether f is what fill made of its Seq.
func intact(f *pcm.Frame) bool {
	var want pcm.Frame
	fill(&want, f.Seq)
	return *f == want
}

func TestNewRoundsUp(t *testing.T) {
	for _, tt := range []struct{ n, want int }{
		{1, 2}, {2, 2}, {3, 4}, {4, 4}, {5, 8}, {64, 64}, {65, 128}, {1000, 1024},
	} {
		w, r := New(tt.n)
		n := 0
		for w.Push(&pcm.Frame{}) {
			n++
		}
		require.Equal(t, tt.want, n, "New(%d)", tt.n)
		require.Equal(t, tt.want, r.Len(), "New(%d)", tt.n)
		require.EqualValues(t, 1, w.Dropped())
	}
}

func TestNewPanics(t *testing.T) {
	for _, n := range []int{-1, 0, MaxFrames + 1} {
		require.Panics(t, func() { New(n) }, "New(%d)", n)
		require.Panics(t, func() { newLazy(n) }, "NewLazy(%d)", n)
	}
}

// TestLazyTakesWhatItIsAskedFor wherever the reader stands.
func TestLazyTakesWhatItIsAskedFor(t *testing.T) {
	for n := 1; n < 40; n++ {
		for read := range 2 * segmentFrames {
			w, r := newLazy(n)
			for range read {
				w.Push(&pcm.Frame{})
				require.True(t, r.Pop(&pcm.Frame{}))
			}
			got := 0
			for w.Push(&pcm.Frame{}) {
				got++
			}
			require.GreaterOrEqual(t, got, n)
			require.LessOrEqual(t, got, n+2*segmentFrames-2)
		}
	}
}

// TestLazyHoldsWhatWaits, and the segment that is written next.
func TestLazyHoldsWhatWaits(t *testing.T) {
	stock := &shelf{}
	w, r := NewLazy(64, stock)
	held := func() (n int) {
		for _, s := range w.ring.segments {
			if s != nil {
				n++
			}
		}
		return n
	}
	var f pcm.Frame
	pass := func(n int) {
		for range n {
			require.True(t, w.Push(&f))
		}
		for range n {
			require.True(t, r.Pop(&f))
		}
	}
	require.Zero(t, held())
	for range 50 {
		pass(3)
		require.LessOrEqual(t, held(), 2)
	}
	require.Empty(t, stock.kept, "what was read is written again")
	pass(2) // to the end of a segment
	for range 3 {
		pass(10 * segmentFrames)
		require.Equal(t, 10, held())
		require.Empty(t, stock.kept)
		pass(segmentFrames)
		require.Equal(t, 1, held())
		require.Len(t, stock.kept, 9)
	}
}

func TestFullDropsNewest(t *testing.T) {
	w, r := New(4)
	for i := range uint32(7) {
		var f pcm.Frame
		fill(&f, i)
		require.Equal(t, i < 4, w.Push(&f))
	}
	require.Nil(t, w.Slot())
	require.Nil(t, w.Slots(5))
	require.Nil(t, w.Slots(0))
	require.EqualValues(t, 3+1+5, w.Dropped())
	for i := range uint32(4) {
		require.Equal(t, i, r.Peek().Seq)
		require.Same(t, r.Peek(), r.Peek())
		r.Release()
	}
	require.Nil(t, r.Peek())
}

func TestSlotKeepsOldFrame(t *testing.T) {
	w, r := New(2)
	for i := range uint32(2) {
		fill(w.Slot(), i)
		w.Commit()
	}
	require.Len(t, r.PeekN(2), 2)
	r.ReleaseN(2)
	require.EqualValues(t, 0, w.Slot().Seq)
	require.Same(t, w.Slot(), w.Slot())
	require.True(t, intact(w.Slot()))
}

func TestBatchesAreContiguous(t *testing.T) {
	w, r := New(8)
	require.Len(t, w.Slots(6), 6)
	w.CommitN(6)
	require.Len(t, r.PeekN(100), 6)
	r.ReleaseN(5)

	s := w.Slots(100)
	require.Len(t, s, 2, "up to the end of the buffer")
	require.Equal(t, 2, cap(s), "no room to append into a neighbour")
	w.CommitN(2)
	s = w.Slots(100)
	require.Len(t, s, 5, "from its start, up to the frame not released")
	require.Equal(t, 5, cap(s))
	w.CommitN(5)
	require.EqualValues(t, 0, w.Dropped())

	require.Len(t, r.PeekN(100), 3)
	r.ReleaseN(3)
	require.Len(t, r.PeekN(100), 5)
	require.Nil(t, r.PeekN(0))
	require.Nil(t, r.PeekN(-1))
}

func TestClose(t *testing.T) {
	w, r := New(4)
	require.True(t, w.Push(&pcm.Frame{Seq: 7}))
	require.NotNil(t, w.Slot())
	w.Close()
	w.Commit() // of the slot given up
	w.CommitN(1)
	w.Close()
	require.False(t, r.Closed(), "not drained")
	require.Equal(t, 1, r.Len())
	require.False(t, w.Push(&pcm.Frame{}))
	require.Nil(t, w.Slot())
	require.Nil(t, w.Slots(3))
	require.EqualValues(t, 5, w.Dropped())
	require.EqualValues(t, 7, r.Peek().Seq)
	r.Release()
	require.True(t, r.Closed())
	require.Nil(t, r.Peek())
	<-r.Bell()
	<-r.Bell()
}

func TestMisusePanics(t *testing.T) {
	full := func() (*Writer, *Reader) {
		w, r := New(2)
		w.Push(&pcm.Frame{})
		w.Push(&pcm.Frame{})
		return w, r
	}
	w, r := full()
	require.Panics(t, w.Commit)
	require.Panics(t, func() { w.CommitN(1) })
	require.Panics(t, func() { w.CommitN(-1) })
	require.Panics(t, func() { r.ReleaseN(3) })
	require.Panics(t, func() { r.ReleaseN(-1) })
	w.CommitN(0)
	r.ReleaseN(0)
	r.SkipTo(-5)
	require.EqualValues(t, 2, r.Skipped())
	require.Panics(t, r.Release)
}

func TestIndexesWrap(t *testing.T) {
	// Nobody lives to see it, but the arithmetic holds.
	w, r := New(4)
	const near = ^uint64(0) - 2
	w.next, w.limit = near, near
	w.limit += 4
	r.next, r.limit = near, near
	w.ring.write.Store(near)
	w.ring.read.Store(near)
	for i := range uint32(20) {
		var f pcm.Frame
		fill(&f, i)
		require.True(t, w.Push(&f))
		require.Equal(t, 1, r.Len())
		require.True(t, r.Pop(&f))
		require.Equal(t, i, f.Seq)
		require.True(t, intact(&f))
	}
}

func TestBellRingsOnlyWhenArmed(t *testing.T) {
	w, r := New(8)
	w.Push(&pcm.Frame{})
	require.Empty(t, r.bell, "not armed")

	bell := r.Bell()
	w.Push(&pcm.Frame{})
	w.Push(&pcm.Frame{})
	require.Len(t, bell, 1)
	require.False(t, w.ring.armed.Load(), "once per arming")

	require.Equal(t, bell, r.Bell(), "the same channel")
	require.Empty(t, bell, "a stale ring is taken back")
	w.CommitN(len(w.Slots(2)))
	require.Len(t, bell, 1)
}

func TestCloseWakesSleeper(t *testing.T) {
	for range 200 {
		w, r := New(2)
		woke := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), deadline)
			defer cancel()
			woke <- sleep(ctx, r)
		}()
		for !w.ring.armed.Load() {
			runtime.Gosched()
		}
		w.Close()
		require.Equal(t, io.EOF, <-woke)
	}
}

func TestNoAllocs(t *testing.T) {
	t.Run("plain", func(t *testing.T) { checkNoAllocs(t, New) })
	t.Run("lazy", func(t *testing.T) { checkNoAllocs(t, newLazy) })
}

func checkNoAllocs(t *testing.T, new func(int) (*Writer, *Reader)) {
	w, r := new(8)
	var f pcm.Frame
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		w.Push(&f)
		r.Pop(&f)
		w.Slot()
		r.Bell()
		w.Commit()
		r.Peek()
		r.Release()
		w.CommitN(len(w.Slots(3)))
		r.SkipTo(1)
		r.ReleaseN(len(r.PeekN(8)))
	}))
}

// shelf is a stock of one goroutine.
type shelf struct{ kept []*Segment }

func (s *shelf) Get() *Segment {
	n := len(s.kept) - 1
	if n < 0 {
		return new(Segment)
	}
	last := s.kept[n]
	s.kept = s.kept[:n]
	return last
}

func (s *shelf) Put(seg *Segment) { s.kept = append(s.kept, seg) }

func newLazy(n int) (*Writer, *Reader) { return NewLazy(n, &shelf{}) }
