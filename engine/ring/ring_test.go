package ring

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mixminus/mixminus/engine/pcm"
)

const deadline = 20 * time.Second

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

// TestModel runs random schedules of every operation against a slice.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "n")
		w, r := New(n)
		m := &model{size: max(2, 1<<bitsFor(n))}
		small := rapid.IntRange(-1, m.size+2)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				var f pcm.Frame
				fill(&f, m.seq)
				require.Equal(t, m.offer(1) == 1, w.Push(&f))
			},
			"slot": func(t *rapid.T) {
				s := w.Slot()
				if s != nil {
					fill(s, m.seq)
					w.Commit()
				}
				require.Equal(t, m.offer(1) == 1, s != nil)
			},
			"slots": func(t *rapid.T) {
				want := small.Draw(t, "want")
				m.checkSlots(t, w, want)
			},
			"pop": func(t *rapid.T) {
				var f pcm.Frame
				require.Equal(t, len(m.queue) > 0, r.Pop(&f))
				m.taken(t, &f)
			},
			"peek": func(t *rapid.T) {
				f := r.Peek()
				require.Equal(t, len(m.queue) > 0, f != nil)
				if f != nil {
					m.taken(t, f)
					r.Release()
				}
			},
			"peekN": func(t *rapid.T) {
				fs := r.PeekN(small.Draw(t, "max"))
				k := rapid.IntRange(0, len(fs)).Draw(t, "take")
				for i := range fs[:k] {
					m.taken(t, &fs[i])
				}
				r.ReleaseN(k)
			},
			"skip": func(t *rapid.T) {
				depth := small.Draw(t, "depth")
				k := max(0, len(m.queue)-max(0, depth))
				require.Equal(t, k, r.SkipTo(depth))
				m.queue = m.queue[k:]
				m.skipped += uint64(k)
			},
			"close": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
					w.Close()
					m.closed = true
				}
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(m.queue), r.Len())
				require.Equal(t, m.dropped, w.Dropped())
				require.Equal(t, m.skipped, r.Skipped())
				require.Equal(t, m.closed && len(m.queue) == 0, r.Closed())
			},
		})
	})
}

func bitsFor(n int) (b int) {
	for 1<<b < n {
		b++
	}
	return b
}

// model is the ring as a slice.
type model struct {
	size             int
	queue            []uint32
	seq              uint32
	closed           bool
	dropped, skipped uint64
}

// offer puts one frame after another into the queue and returns how many
// found room.
func (m *model) offer(n int) (taken int) {
	for range n {
		if m.closed || len(m.queue) == m.size {
			m.dropped++
			continue
		}
		m.queue = append(m.queue, m.seq)
		m.seq++
		taken++
	}
	return taken
}

// checkSlots offers want frames in one batch, as the ring allows.
func (m *model) checkSlots(t *rapid.T, w *Writer, want int) {
	s := w.Slots(want)
	if want < 1 {
		require.Nil(t, s)
		return
	}
	free := m.size - len(m.queue)
	if m.closed || free == 0 {
		require.Nil(t, s)
		m.offer(want)
		return
	}
	require.NotEmpty(t, s)
	require.LessOrEqual(t, len(s), min(want, free))
	k := rapid.IntRange(0, len(s)).Draw(t, "commit")
	for i := range k {
		fill(&s[i], m.seq+uint32(i))
	}
	w.CommitN(k)
	require.Equal(t, k, m.offer(k))
}

// taken checks a frame read against the front of the queue and removes it.
func (m *model) taken(t *rapid.T, f *pcm.Frame) {
	if len(m.queue) == 0 {
		return
	}
	require.Equal(t, m.queue[0], f.Seq)
	require.True(t, intact(f))
	m.queue = m.queue[1:]
}

// TestTwoGoroutines runs random schedules of both sides at once: order, no
// frame torn, none lost uncounted.
func TestTwoGoroutines(t *testing.T) {
	offered := 20_000
	if testing.Short() {
		offered = 2_000
	}
	for _, size := range []int{2, 8, 64} {
		seed := rand.Uint64()
		w, r := New(size)
		var committed int
		done := make(chan struct{})
		go func() {
			defer close(done)
			committed = produce(w, offered, rand.New(rand.NewPCG(seed, 1)))
		}()
		read, err := consume(r, size, rand.New(rand.NewPCG(seed, 2)))
		<-done
		require.NoError(t, err, "seed %d, size %d", seed, size)
		require.EqualValues(t, offered, uint64(committed)+w.Dropped(), "seed %d", seed)
		require.EqualValues(t, committed, uint64(read)+r.Skipped(), "seed %d", seed)
		require.NotZero(t, read)
	}
}

// produce offers n frames in every way there is and closes the ring. Frames
// carry the number of those committed before them.
func produce(w *Writer, n int, rnd *rand.Rand) (committed int) {
	defer w.Close()
	for n > 0 {
		switch rnd.IntN(4) {
		case 0:
			var f pcm.Frame
			fill(&f, uint32(committed))
			if w.Push(&f) {
				committed++
			}
			n--
		case 1:
			if s := w.Slot(); s != nil {
				fill(s, uint32(committed))
				w.Commit()
				committed++
			}
			n--
		case 2:
			want := min(n, 1+rnd.IntN(5))
			s := w.Slots(want)
			for i := range s {
				fill(&s[i], uint32(committed+i))
			}
			w.CommitN(len(s))
			committed += len(s)
			if s == nil {
				n -= want
			} else {
				n -= len(s)
			}
		case 3:
			runtime.Gosched()
		}
	}
	return committed
}

var errOrder = errors.New("frame out of order, torn, or lost uncounted")

// consume reads in every way there is until the end.
func consume(r *Reader, size int, rnd *rand.Rand) (read int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	check := func(f *pcm.Frame) {
		if uint64(f.Seq) != uint64(read)+r.Skipped() || !intact(f) {
			err = errOrder
		}
		read++
	}
	for err == nil && !r.Closed() {
		var f pcm.Frame
		switch rnd.IntN(5) {
		case 0:
			if r.Pop(&f) {
				check(&f)
			}
		case 1:
			if f := r.Peek(); f != nil {
				check(f)
				r.Release()
			}
		case 2:
			fs := r.PeekN(1 + rnd.IntN(5))
			k := rnd.IntN(len(fs) + 1)
			for i := range fs[:k] {
				check(&fs[i])
			}
			r.ReleaseN(k)
		case 3:
			if rnd.IntN(50) == 0 {
				r.SkipTo(rnd.IntN(size))
			}
		case 4:
			if sleepErr := sleep(ctx, r); sleepErr != nil && sleepErr != io.EOF {
				err = sleepErr
			}
		}
	}
	return read, err
}

// sleep waits until r has a frame, as the comment of Bell says; io.EOF is the
// end.
func sleep(ctx context.Context, r *Reader) error {
	for {
		bell := r.Bell()
		if r.Peek() != nil {
			return nil
		}
		if r.Closed() {
			return io.EOF
		}
		select {
		case <-bell:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestBellLosesNoWakeUp: a consumer that only ever sleeps on the bell, and a
// producer that waits for each frame to be read before it gives the next
// (then no later commit can make up for a lost wake-up), and one that does
// not wait.
func TestBellLosesNoWakeUp(t *testing.T) {
	frames := 100_000
	if testing.Short() {
		frames = 10_000
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()

	for _, lockstep := range []bool{true, false} {
		w, r := New(2)
		var wg sync.WaitGroup
		var read int
		var err error
		wg.Go(func() {
			for err = sleep(ctx, r); err == nil; err = sleep(ctx, r) {
				read++
				r.Release()
			}
		})
		for i := 0; i < frames && ctx.Err() == nil; i++ {
			for w.next-w.ring.read.Load() > 1 || lockstep && w.next != w.ring.read.Load() {
				if ctx.Err() != nil {
					break
				}
				runtime.Gosched()
			}
			w.Slot().Seq = uint32(i)
			w.Commit()
		}
		w.Close()
		wg.Wait()
		require.Equal(t, io.EOF, err, "lockstep %v: slept through a commit after %d frames", lockstep, read)
		require.Equal(t, frames, read)
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
	w, r := New(8)
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
