package session

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestInbox(t *testing.T) {
	b := inbox{bell: make(chan struct{}, 1)}
	for i := range maxQueuedNotices {
		require.True(t, b.put(noticed{Notice{ID: fmt.Sprint(i)}}))
	}
	require.False(t, b.put(noticed{}), "full")
	require.True(t, b.put(opened{}), "what is not a notice has room")
	boom := errors.New("boom")
	for range 1000 { // one thing each
		b.put(hangUpAsked{cause: boom})
		b.put(hangUpAsked{forEveryone: true, cause: errors.New("later")})
		b.turn(+1, nil)
		b.turn(+1, nil) // a new connection before the old one has ended
		b.turn(-1, nil)
		b.turn(-1, boom)
		b.turn(+1, nil)
		b.turn(-1, boom)
	}
	require.Len(t, b.bell, 1)
	events := b.take()
	require.Len(t, events, maxQueuedNotices+3)
	require.Equal(t, []event{opened{}, mediaTurned{false, boom}, hangUpAsked{true, boom}}, events[maxQueuedNotices:])
	require.Empty(t, b.take())

	b.turn(+1, nil)
	b.turn(+1, nil)
	b.turn(-1, boom)
	require.Equal(t, []event{mediaTurned{true, boom}}, b.take(), "one of two connections is left")

	b.put(noticed{})
	require.Equal(t, 1, b.close())
	require.False(t, b.put(opened{}))
}

func TestEarly(t *testing.T) {
	var e early
	for i := range earlyPerCall {
		require.Zero(t, e.add(Notice{CallID: "a", ID: fmt.Sprint(i)}, t0))
	}
	require.Equal(t, 1, e.add(Notice{CallID: "a"}, t0), "too many of one call")
	require.Equal(t, 1, e.add(Notice{CallID: "big", Raw: make([]byte, earlyBytes)}, t0))
	got := e.take("a")
	require.Len(t, got, earlyPerCall)
	require.Equal(t, "0", got[0].ID)
	require.Empty(t, e.take("a"))
	require.Zero(t, e.bytes)

	lost := 0
	for i := range 2 * earlyTotal {
		lost += e.add(Notice{CallID: fmt.Sprint(i)}, t0)
	}
	require.Equal(t, earlyTotal, lost)
	require.Len(t, e.queue, earlyTotal)
	require.Empty(t, e.take("0"), "the oldest went")
	require.Len(t, e.take(fmt.Sprint(2*earlyTotal-1)), 1)
	require.Equal(t, earlyTotal-1, e.sweep(t0.Add(earlyFor)))
	require.Zero(t, e.bytes)

	for range 10 {
		e.add(Notice{CallID: "x", Raw: make([]byte, earlyBytes/4)}, t0.Add(time.Second))
		require.LessOrEqual(t, e.bytes, earlyBytes)
	}
}

func TestRecent(t *testing.T) {
	var r recent[int, string]
	for i := range 10 {
		require.True(t, r.add(i, "", 4))
		require.False(t, r.add(i, "", 4))
		require.LessOrEqual(t, len(r.entries), 4)
	}
	_, known := r.get(5)
	require.False(t, known)
	r.put(6, "new", 4)
	v, _ := r.get(6)
	require.Equal(t, "new", v)
	r.put(11, "", 4)
	_, known = r.get(6)
	require.False(t, known, "a new value does not make a key younger")
}

func TestNamesInJSON(t *testing.T) {
	for s := StateNew; s <= StateDisconnected; s++ {
		b, err := s.MarshalText()
		require.NoError(t, err)
		var back CallState
		require.NoError(t, back.UnmarshalText(b))
		require.Equal(t, s, back)
	}
	require.Equal(t, "CallState(9)", CallState(9).String())
	require.ErrorContains(t, new(CallState).UnmarshalText([]byte("dead")), `"dead"`)
	for _, d := range []Direction{DirectionIncoming, DirectionOutgoing} {
		b, err := d.MarshalText()
		require.NoError(t, err)
		var back Direction
		require.NoError(t, back.UnmarshalText(b))
		require.Equal(t, d, back)
	}
	require.ErrorContains(t, new(Direction).UnmarshalText([]byte("up")), `"up"`)
}
