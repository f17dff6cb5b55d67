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

	"github.com/mixminus/mixminus/engine/pcm"
)

const deadline = 30 * time.Second

// TestTwoGoroutines runs random schedules of both sides at once: order, no
// frame torn, none lost uncounted.
func TestTwoGoroutines(t *testing.T) {
	offered := 20_000
	if testing.Short() {
		offered = 2_000
	}
	for _, tt := range []struct {
		size int
		kind string
		new  func(int) (*Writer, *Reader)
	}{
		{2, "plain", New}, {8, "plain", New}, {64, "plain", New},
		{2, "lazy", newLazy}, {64, "lazy", newLazy},
	} {
		size := tt.size
		seed := rand.Uint64()
		w, r := tt.new(size)
		var committed int
		done := make(chan struct{})
		go func() {
			defer close(done)
			committed = produce(w, offered, rand.New(rand.NewPCG(seed, 1)))
		}()
		read, err := consume(r, size, rand.New(rand.NewPCG(seed, 2)))
		<-done
		require.NoError(t, err, "seed %d, size %d, %s", seed, size, tt.kind)
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

// TestBellLosesNoWakeUp: a consumer that only ever sleeps on the bell. In
// lockstep the producer gives a frame as soon as the one before is read, which
// is when the consumer falls asleep, and no later commit can make up for a
// lost wake-up; a delay that grows and starts over moves the falling asleep
// past the few nanoseconds in which a commit could be lost.
func TestBellLosesNoWakeUp(t *testing.T) {
	frames := 100_000
	if testing.Short() {
		frames = 10_000
	}
	for _, lockstep := range []bool{true, false} {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		w, r := New(2)
		var wg sync.WaitGroup
		var read, spun int
		var err error
		wg.Go(func() {
			for err = sleep(ctx, r); err == nil; err = sleep(ctx, r) {
				read++
				r.Release()
				spun += idle(read % 512)
			}
		})
		most := uint64(1)
		if lockstep {
			most = 0
		}
		for i := 0; i < frames && ctx.Err() == nil; i++ {
			for spin := 1; w.next-w.ring.read.Load() > most; spin++ {
				if spin%1000 == 0 && ctx.Err() != nil {
					break
				}
				if spin%1000 == 0 {
					runtime.Gosched()
				}
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

// idle lets n steps of about a nanosecond pass.
func idle(n int) (spun int) {
	for range n {
		spun += n ^ spun
	}
	return spun
}
