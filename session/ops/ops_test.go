package ops

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func over[E any](o *Operation[E]) bool {
	select {
	case <-o.Done():
		return true
	default:
		return false
	}
}

func TestEndInEveryOrder(t *testing.T) {
	var table Table[int]
	key := Key{"call", "1"}

	o := table.Begin(key)
	require.False(t, table.Complete(Key{"other", "1"}, 1))
	require.False(t, table.Complete(Key{"call", "2"}, 1))
	require.False(t, over(o))
	require.True(t, table.Complete(key, 2))
	end, err := o.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, end)
	require.False(t, table.Complete(key, 3), "over once")

	table.CompleteOrKeep(key, 4)
	table.CompleteOrKeep(key, 5)
	end, err = table.Begin(key).Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, 4, end, "the first that was kept")
	require.False(t, over(table.Begin(key)), "kept for one only")
}

func TestSameKeyEndsInOrder(t *testing.T) {
	var table Table[int]
	key := Key{"call", "1"}
	a, b, c := table.Begin(key), table.Begin(key), table.Begin(key)
	table.Abandon(key, b, errors.New("never sent"))
	table.Abandon(key, b, errors.New("twice"))
	_, err := b.Wait(t.Context())
	require.EqualError(t, err, "never sent")
	table.Complete(key, 1)
	require.True(t, over(a))
	require.False(t, over(c))
	table.Complete(key, 2)
	end, _ := c.Wait(t.Context())
	require.Equal(t, 2, end)
	require.Zero(t, table.Stats().Waiting)
}

func TestEndOfTheCallAndOfTheWait(t *testing.T) {
	var table Table[int]
	mine, other := table.Begin(Key{"a", "1"}), table.Begin(Key{"b", "1"})
	again := table.Begin(Key{"a", "1"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := mine.Wait(ctx)
	require.ErrorIs(t, err, context.Canceled)
	ended := errors.New("ended")
	table.EndCall("a", ended)
	for _, o := range []*Operation[int]{mine, again} {
		_, err = o.Wait(ctx)
		require.ErrorIs(t, err, ended, "an end that is known counts before that of the wait")
	}
	require.False(t, over(other))
	require.Equal(t, Stats{Waiting: 1}, table.Stats())
}

func TestBounds(t *testing.T) {
	var table Table[int]
	for i := range 3 * MaxKept {
		table.CompleteOrKeep(Key{"c", fmt.Sprint(i)}, i)
	}
	require.LessOrEqual(t, table.Stats().Kept, MaxKept)
	require.LessOrEqual(t, len(table.order), 2*MaxKept)
	for i := range MaxWaiting {
		table.Begin(Key{"w", fmt.Sprint(i)})
	}
	_, err := table.Begin(Key{"w", "more"}).Wait(t.Context())
	require.ErrorIs(t, err, ErrTooMany)
	require.Equal(t, int64(1), table.Stats().Dropped)
}

func TestConcurrently(t *testing.T) {
	var table Table[int]
	var wg sync.WaitGroup
	for i := range 200 {
		key := Key{"c", fmt.Sprint(i % 7)}
		o := table.Begin(key)
		wg.Go(func() { table.Complete(key, i) })
		wg.Go(func() { o.Wait(t.Context()) })
	}
	wg.Wait()
	require.Zero(t, table.Stats().Waiting)
}
