package session

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine"
)

// later leaves a call to be decided elsewhere.
func later(*IncomingCall) {}

func (w *world) ringing(id string) *IncomingCall {
	w.Helper()
	w.Ring(ring(id))
	ic, err := w.IncomingCall(id)
	require.NoError(w, err)
	return ic
}

func TestAnswer(t *testing.T) {
	answered := make(chan *Call, 1)
	onIncoming := func(ic *IncomingCall) {
		c, err := ic.Answer(context.Background(), Options{Channels: engine.Unmixed, SampleRate: 24000, DTMF: true, OperationContext: "op"})
		assert.NoError(t, err)
		answered <- c
	}
	inWorld(t, Config{OnIncoming: onIncoming}, func(w *world) {
		w.Ring(ring("r1"))
		c := <-answered
		require.Equal(w, DirectionIncoming, c.Direction())
		require.Equal(w, StateConnecting, c.State())
		require.Equal(w, engine.Unmixed, c.Leg().Channels())
		require.Equal(w, c.ID(), c.Leg().ID())
		require.Equal(w, "Ann", c.Name("8:caller"))
		require.Equal(w, []*Call{c}, w.Calls())
		require.Empty(w, w.Incoming())
		last := w.cloud.last
		require.Len(w, last.Contexts.Render, 36)
		require.Len(w, last.Contexts.CallID, 36)
		require.Empty(w, last.Contexts.Source, "it only hears")
		require.Equal(w, MediaRequest{URL: last.URL, Contexts: last.Contexts, CallbackURL: "https://bot/events", Channels: engine.Unmixed,
			SampleRate: 24000, DTMF: true, OperationContext: "op"}, last)
		require.Equal(w, []string{"answer ctx-r1"}, w.cloud.lines())
		require.Equal(w, "8:caller", c.Snapshot().From.RawID)
		byCloud, err := w.Call("call-0")
		require.NoError(w, err)
		require.Same(w, c, byCloud)
	})
}

func TestNobodyDecides(t *testing.T) {
	inWorld(t, Config{OnIncoming: later}, func(w *world) {
		ic := w.ringing("r1")
		start := time.Now()
		require.Equal(w, start.Add(15*time.Second), ic.AnswerBy().Local())
		require.Empty(w, w.Calls(), "a ring is no call yet")
		require.Equal(w, []*IncomingCall{ic}, w.Incoming())
		<-ic.Done()
		require.Equal(w, 15*time.Second, time.Since(start))
		require.Equal(w, []string{"reject ctx-r1 "}, w.cloud.lines())

		_, err := ic.Answer(w.Context(), Options{})
		require.ErrorIs(w, err, ErrAnswerDeadline)
		_, err = w.IncomingCall("r1")
		require.ErrorIs(w, err, ErrAnswerDeadline)
		_, err = w.IncomingCall("r2")
		require.ErrorIs(w, err, ErrUnknownCall)
	})
}

// An app that is too slow to arm its taps has not answered.
func TestDeadlinePassesInOnCall(t *testing.T) {
	onCall := func(*Call) { time.Sleep(20 * time.Second) }
	inWorld(t, Config{OnIncoming: later, OnCall: onCall}, func(w *world) {
		ic := w.ringing("r1")
		_, err := ic.Answer(w.Context(), Options{})
		require.ErrorIs(w, err, ErrAnswerDeadline)
		require.Equal(w, []string{"reject ctx-r1 "}, w.cloud.lines())
	})
}

func TestNoOnIncomingRejects(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.Ring(ring("r1"))
		synctest.Wait()
		require.Equal(w, []string{"reject ctx-r1 "}, w.cloud.lines())
		require.EqualValues(w, 1, w.Stats().Rejected)
	})
}

func TestDecideOnce(t *testing.T) {
	inWorld(t, Config{OnIncoming: later}, func(w *world) {
		a, b, c := w.ringing("a"), w.ringing("b"), w.ringing("c")
		require.NoError(w, a.Reject(w.Context(), "busy"))
		require.NoError(w, b.Redirect(w.Context(), Identity{RawID: "4:+1"}))
		_, err := c.Answer(w.Context(), Options{SampleRate: 1})
		require.ErrorAs(w, err, new(*FieldError), "not a decision")
		_, err = c.Answer(w.Context(), Options{})
		require.NoError(w, err)
		require.Equal(w, []string{"reject ctx-a busy", "redirect ctx-b 4:+1", "answer ctx-c"}, w.cloud.lines())

		for _, ic := range []*IncomingCall{a, b, c} {
			_, err := ic.Answer(w.Context(), Options{})
			require.ErrorIs(w, err, ErrDecided)
			require.ErrorIs(w, ic.Reject(w.Context(), ""), ErrDecided)
			require.ErrorIs(w, ic.Redirect(w.Context(), Identity{RawID: "x"}), ErrDecided)
			_, err = w.IncomingCall(ic.ID)
			require.ErrorIs(w, err, ErrDecided)
		}
		require.EqualValues(w, 1, w.Stats().Redirected)
		require.ErrorAs(w, c.Redirect(w.Context(), Identity{}), new(*FieldError))
	})
}

func TestDecisionRefused(t *testing.T) {
	inWorld(t, Config{OnIncoming: later}, func(w *world) {
		refusal := &Error{Cloud: "fake", Op: "answer", Status: 409, SubCode: 8519}
		w.cloud.before = func(string) error { return refusal }
		_, err := w.ringing("a").Answer(w.Context(), Options{})
		require.Equal(w, refusal, err)
		require.Equal(w, refusal, w.ringing("b").Reject(w.Context(), ""))
		require.EqualValues(w, 2, w.Stats().Failed)
	})
}

func TestRingsDeliveredAgain(t *testing.T) {
	inWorld(t, Config{OnIncoming: later}, func(w *world) {
		ic := w.ringing("r1")
		w.Ring(ring("r1"))
		require.Len(w, w.Incoming(), 1)
		require.NoError(w, ic.Reject(w.Context(), ""))
		w.Ring(ring("r1"))
		require.Empty(w, w.Incoming(), "decided already")
		require.EqualValues(w, 2, w.Stats().RingsRepeated)

		// Another party of ours in the same call, and a call without an id.
		w.ringing("r2")
		other := ring("r2")
		other.Context = "another"
		w.Ring(other)
		w.Ring(Incoming{Cloud: "fake"})
		rings := w.Incoming()
		require.Len(w, rings, 3)
		require.NotEmpty(w, rings[0].ID)
		second, err := w.IncomingCall("r2~2")
		require.NoError(w, err)
		require.NoError(w, second.Reject(w.Context(), ""))
		require.Contains(w, w.cloud.lines(), "reject another ")
	})
}

func TestRingsRefused(t *testing.T) {
	inWorld(t, Config{OnIncoming: later, MaxCalls: 1}, func(w *world) {
		w.Ring(Incoming{Cloud: "graph", ID: "x"})
		w.Ring(ring("a"))
		w.Ring(ring("b"))
		require.Len(w, w.Incoming(), 1)
		require.EqualValues(w, 2, w.Stats().RingsRefused)
		_, err := w.Create(w.Context(), "fake", []byte(`{}`), Options{})
		require.ErrorIs(w, err, ErrTooManyCalls)

		ic, err := w.IncomingCall("a")
		require.NoError(w, err)
		require.NoError(w, ic.Reject(w.Context(), ""))
		w.Ring(ring("b")) // the cloud delivers it again
		require.Len(w, w.Incoming(), 1)
	})
}

func TestTryRingTellsWhyNot(t *testing.T) {
	inWorld(t, Config{OnIncoming: later, MaxCalls: 1}, func(w *world) {
		_, err := w.TryRing(Incoming{Cloud: "nobody", ID: "1"})
		require.ErrorContains(w, err, `cloud = "nobody": want one of: fake`)
		_, err = w.TryRing(Incoming{Cloud: "fake", ID: string(make([]byte, maxIDBytes+1))})
		require.ErrorContains(w, err, "want at most 1024 bytes")
		ic, err := w.TryRing(ring("r1"))
		require.NoError(w, err)
		require.NoError(w, ic.Err())
		_, err = w.TryRing(ring("r1"))
		require.ErrorIs(w, err, ErrRepeated)
		_, err = w.TryRing(ring("r2"))
		require.ErrorIs(w, err, ErrTooManyCalls)
		s := w.Stats()
		require.EqualValues(w, 5, s.Rings)
		require.EqualValues(w, 1, s.RingsRepeated)
		require.EqualValues(w, 3, s.RingsRefused)
		time.Sleep(answerLimit)
		<-ic.Done()
		require.ErrorIs(w, ic.Err(), ErrAnswerDeadline)

		ic, err = w.TryRing(ring("r3"))
		require.NoError(w, err)
		require.NoError(w, ic.Reject(w.Context(), ""))
		require.NoError(w, ic.Err(), "declining is no failure")
		require.NoError(w, w.Close(context.Background()))
		_, err = w.TryRing(ring("r4"))
		require.ErrorIs(w, err, ErrClosed)
	})
}
