package rtpleg

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQueueIsInOrderAndBounded(t *testing.T) {
	var q queue
	require.Nil(t, q.peek())
	for i := range uint32(queued) {
		q.slot().seq = i
		q.commit()
	}
	require.Nil(t, q.slot())
	require.EqualValues(t, 1, q.refused.Load())
	require.Equal(t, queued, q.len())
	for i := range uint32(queued) {
		require.Equal(t, i, q.peek().seq)
		require.Equal(t, i, q.peek().seq)
		q.release()
	}
	require.Nil(t, q.peek())
	require.NotNil(t, q.slot())
	require.Same(t, q.slot(), q.slot(), "not committed")
}

// TestQueueUsesFewFrames: as many as wait at once, however long it goes on.
func TestQueueUsesFewFrames(t *testing.T) {
	var q queue
	for range 3 * queued {
		for range 2 {
			q.slot()
			q.commit()
		}
		q.release()
		q.release()
	}
	require.Equal(t, 2, q.made)
	f := q.slot()
	q.commit()
	q.release()
	require.Same(t, f, q.slot(), "the last one that was given back")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		q.slot()
		q.commit()
		q.release()
	}))
}

func TestQueueBetweenGoroutines(t *testing.T) {
	const frames = 50_000
	var q queue
	var wg sync.WaitGroup
	wg.Go(func() {
		for seq := uint32(0); seq < frames; {
			f := q.slot()
			if f == nil {
				runtime.Gosched()
				continue
			}
			f.seq, f.samples[0], f.samples[319] = seq, int16(seq), int16(seq)
			q.commit()
			seq++
		}
	})
	for seq := uint32(0); seq < frames; {
		f := q.peek()
		if f == nil {
			runtime.Gosched()
			continue
		}
		if f.seq != seq || f.samples[0] != int16(seq) || f.samples[319] != int16(seq) {
			require.Equal(t, seq, f.seq)
			require.Fail(t, "not the samples of the frame")
		}
		q.release()
		seq++
	}
	wg.Wait()
	require.LessOrEqual(t, q.made, queued)
}
