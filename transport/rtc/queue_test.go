package rtc

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestQueueMemory: packets come out as they went in, and there is memory for no
// more than ever waited at once.
func TestQueueMemory(t *testing.T) {
	var q queue
	put, got := byte(0), byte(0)
	for turn := range 5 * queued {
		for range 1 + turn%3 {
			q.put(int64(put), []byte{put, ^put})
			put++
		}
		for p := q.next(); p != nil; p = q.next() {
			require.Equal(t, []byte{got, ^got}, p.data)
			require.Equal(t, int64(got), p.arrival)
			got++
			q.release()
		}
	}
	require.Equal(t, put, got)
	require.Zero(t, q.dropped.Load())
	require.LessOrEqual(t, q.made(), 3)
	for range 2 * queued {
		q.put(0, []byte{1})
	}
	require.Equal(t, int64(queued), q.dropped.Load())
	require.Equal(t, queued, q.made())
}

// made returns how many packets there is memory for.
func (q *queue) made() (n int) {
	for _, s := range q.slots {
		if s.data != nil {
			n++
		}
	}
	return n
}
