package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStraysAreHungUp: calls that a create made of which no response tells are
// hung up by their first notice, whether that comes before the create's end or
// after it; those of others are left alone.
func TestStraysAreHungUp(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		hang := make(chan struct{})
		w.cloud.before = func(op string) error {
			if op != "create" {
				return nil
			}
			<-hang
			return &Error{Op: op, Err: context.DeadlineExceeded}
		}
		calls := make(chan *Call, 1)
		w.onCall = func(c *Call) { calls <- c }
		failed := make(chan error, 1)
		go func() {
			_, err := w.Create(w.Context(), "fake", []byte(`{}`), Options{})
			failed <- err
		}()
		c := <-calls
		synctest.Wait()
		w.Deliver(Notice{Kind: EventConnecting, CallID: "ab", CallName: "A-B", Ref: c.ID()})
		w.Deliver(Notice{Kind: EventConnected, CallID: "ab", CallName: "A-B", Ref: c.ID()})
		w.Deliver(Notice{Kind: EventConnecting, CallID: "other"})
		close(hang)
		require.Error(w, <-failed)
		synctest.Wait()
		w.Deliver(Notice{Kind: EventConnecting, CallID: "cd", Ref: c.ID()})
		w.Deliver(Notice{Kind: EventConnecting, CallID: "foreign", Ref: "another's"})
		w.Deliver(Notice{Kind: EventDisconnected, CallID: "ef", Ref: c.ID()})
		w.Deliver(Notice{Kind: EventDisconnected, CallID: "ab", Ref: c.ID()})
		synctest.Wait()
		require.Equal(w, []string{"create", "hang up A-B false", "hang up cd false"}, w.cloud.lines())
		s := w.Stats()
		require.EqualValues(w, 3, s.Strays)
		require.EqualValues(w, 1, s.Late)
		require.Equal(w, 2, s.Early, "of which nothing is known")
	})
}

// TestTheCallItselfIsNoStray: its Ref comes with all of its notices too, the
// early and the late ones.
func TestTheCallItselfIsNoStray(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.cloud.placed = func(id, _ string) {
			w.Deliver(Notice{Kind: EventConnected, CallID: id, Ref: w.Calls()[0].ID()})
			w.Deliver(Notice{Kind: EventConnecting, CallID: "twin", Ref: w.Calls()[0].ID()})
		}
		c := w.create()
		require.NoError(w, c.Wait(w.Context(), StateConnected))
		synctest.Wait()
		require.Equal(w, []string{"create", "hang up twin false"}, w.cloud.lines(), "what was made by the attempt before")
		require.NoError(w, c.HangUp(w.Context(), false))
		<-c.Done()
		w.Deliver(Notice{Kind: EventConnected, CallID: c.CallID(), Ref: c.ID()})
		synctest.Wait()
		require.EqualValues(w, 1, w.Stats().Strays)
	})
}

// TestAnswerOfUnknownFate: the call may stand, so it is hung up; one that was
// refused does not.
func TestAnswerOfUnknownFate(t *testing.T) {
	for _, c := range []struct {
		err  error
		want []string
	}{
		{&Error{Status: 500}, []string{"hang up A-B false"}},
		{&Error{Err: errors.New("reset"), Retryable: true}, []string{"hang up A-B false"}},
		{&Error{Err: errors.New("callbackUri is not a URL")}, nil},
		{&Error{Status: 400}, nil},
	} {
		inKeptWorld(t, Config{OnIncoming: later}, func(w *world, k *keptCloud) {
			k.refuse = c.err
			w.Ring(knownRing)
			synctest.Wait()
			_, err := w.Incoming()[0].Answer(w.Context(), Options{ServiceHosted: true})
			require.Error(w, err)
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(w, c.want, k.lines())
		})
	}
}
