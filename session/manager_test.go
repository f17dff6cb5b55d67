package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine"
)

func TestNewBadConfig(t *testing.T) {
	e := engine.New(engine.Config{})
	cloud := &fakeCloud{name: "acs"}
	for want, cfg := range map[string]Config{
		"Config.Engine is nil":                       {},
		"Config.Media is nil":                        {Engine: e},
		"Config.MaxCalls = -1":                       {Engine: e, Media: &fakeMedia{}, MaxCalls: -1},
		"Config.Clouds[0] is nil":                    {Engine: e, Media: &fakeMedia{}, Clouds: []Cloud{nil}},
		`Config.Clouds[1]: second cloud named "acs"`: {Engine: e, Media: &fakeMedia{}, Clouds: []Cloud{cloud, cloud}},
	} {
		_, err := New(cfg)
		require.ErrorContains(t, err, want)
	}
}

func TestNotices(t *testing.T) {
	var seen []Notice
	onCall := func(c *Call) { c.OnNotice(func(n Notice) { seen = append(seen, n) }) }
	inWorld(t, Config{OnCall: onCall}, func(w *world) {
		c := w.create()
		id := c.CallID()
		w.Deliver(Notice{Kind: EventConnected, ID: "1", CallID: id})
		w.Deliver(Notice{Kind: EventConnected, ID: "1", CallID: id})
		w.Deliver(Notice{Type: "PlayStarted", ID: "2", CallID: id})
		w.Deliver(Notice{Kind: EventConnected, ID: "1", CallID: "nobody's"})
		w.Deliver(Notice{Kind: EventConnected})
		w.Deliver(Notice{CallID: string(make([]byte, 2000))})
		synctest.Wait()
		require.Len(w, seen, 2)
		require.Equal(w, "PlayStarted", seen[1].Type)
		s := w.Stats()
		require.EqualValues(w, 6, s.Notices)
		require.EqualValues(w, 1, s.Duplicates)
		require.EqualValues(w, 2, s.Malformed)
		require.Equal(w, 1, s.Early)
		require.Zero(w, s.Unknown)

		time.Sleep(earlyFor)
		s = w.Stats()
		require.EqualValues(w, 1, s.Unknown, "its call never became known")
		require.Zero(w, s.Early)

		require.NoError(w, c.HangUp(w.Context(), false))
		<-c.Done()
		w.Deliver(Notice{Kind: EventParticipants, CallID: id})
		require.EqualValues(w, 1, w.Stats().Late)
	})
}

func TestOldestFirst(t *testing.T) {
	inWorld(t, Config{OnIncoming: later}, func(w *world) {
		var calls []*Call
		var rings []*IncomingCall
		for i := range 10 {
			calls = append(calls, w.create())
			rings = append(rings, w.ringing(fmt.Sprint(i)))
		}
		require.Equal(w, calls, w.Calls())
		require.Equal(w, rings, w.Incoming())
	})
}

// A callback that ends its goroutine, as t.FailNow does, is hung up too, and
// the hooks go on being told.
func TestGoexitInHook(t *testing.T) {
	var last CallState
	onCall := func(c *Call) {
		c.OnNotice(func(Notice) { runtime.Goexit() })
		c.OnState(func(s CallState) { last = s })
	}
	inWorld(t, Config{OnCall: onCall}, func(w *world) {
		c := w.create()
		w.Deliver(Notice{CallID: c.CallID()})
		<-c.Done()
		synctest.Wait()
		require.ErrorIs(w, c.Err(), ErrPanic)
		require.Equal(w, StateDisconnected, last)
	})
}

// A hook that blocks costs notices, counted; the call goes its way.
func TestSlowHook(t *testing.T) {
	release := make(chan struct{})
	onCall := func(c *Call) { c.OnNotice(func(n Notice) { <-release }) }
	inWorld(t, Config{OnCall: onCall}, func(w *world) {
		c := w.create()
		for i := range 200 {
			w.Deliver(Notice{ID: fmt.Sprint(i), CallID: c.CallID()})
			runtime.Gosched()
		}
		require.NoError(w, c.HangUp(w.Context(), false))
		<-c.Done()
		require.Positive(w, w.Stats().Dropped)
		require.Less(w, w.Stats().Dropped, int64(200-maxToldNotices+2))
		close(release)
	})
}

func TestPanicsEndTheirOwnCallOnly(t *testing.T) {
	for _, where := range []string{"OnIncoming", "OnCall", "OnState", "OnRoster", "OnMedia", "OnNotice", "handler"} {
		t.Run(where, func(t *testing.T) {
			var log bytes.Buffer
			boom := func(here string) {
				if here == where {
					panic("boom")
				}
			}
			cfg := Config{
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
				OnIncoming: func(ic *IncomingCall) {
					boom("OnIncoming")
					ic.Answer(context.Background(), Options{})
				},
				OnCall: func(c *Call) {
					if c.Direction() == DirectionOutgoing {
						return
					}
					boom("OnCall")
					c.OnState(func(CallState) { boom("OnState") })
					c.OnRoster(func([]Participant) { boom("OnRoster") })
					c.OnMedia(func(bool, error) { boom("OnMedia") })
					c.OnNotice(func(Notice) { boom("OnNotice") })
				},
			}
			inWorld(t, cfg, func(w *world) {
				other := w.create()
				w.cloud.connect(other.CallID())
				synctest.Wait()

				w.Ring(ring("r1"))
				synctest.Wait()
				if calls := w.Calls(); len(calls) == 2 {
					c := calls[1]
					id := c.CallID()
					w.cloud.say(id, EventParticipants, Participant{})
					if e := w.endpoint(c); where == "handler" {
						c.Leg().Fail(fmt.Errorf("%w: Handle: boom", engine.ErrPanic))
					} else if conn, err := e.dial(); err == nil {
						defer conn.close(nil)
					}
					<-c.Done()
					if where == "handler" {
						require.ErrorIs(w, c.Err(), engine.ErrPanic)
					} else {
						require.ErrorIs(w, c.Err(), ErrPanic)
						require.Contains(w, c.Err().Error(), "On")
					}
					require.Contains(w, w.cloud.lines(), fmt.Sprintf("hang up %s false", id))
				} else {
					require.Contains(w, []string{"OnIncoming", "OnCall", "OnState"}, where)
				}
				synctest.Wait()
				if where == "OnIncoming" || where == "OnCall" {
					require.Contains(w, w.cloud.lines(), "reject ctx-r1 ")
				}
				require.Equal(w, StateConnected, other.State(), "the other call lives")
				require.Len(w, w.Calls(), 1)
				if where != "handler" {
					require.Positive(w, w.Stats().Panics)
					require.Contains(w, log.String(), "manager_test.go", "the stack is logged")
				}
			})
		})
	}
}

func TestClose(t *testing.T) {
	inWorld(t, Config{OnIncoming: later}, func(w *world) {
		c := w.create()
		w.cloud.connect(c.CallID())
		w.ringing("r1")
		require.NoError(w, w.Close(w.Context()))
		require.True(w, isDone(c.Done()))
		require.ElementsMatch(w, []string{"create", "hang up call-0 false", "reject ctx-r1 "}, w.cloud.lines())
		_, err := w.Create(w.Context(), "fake", []byte(`{}`), Options{})
		require.ErrorIs(w, err, ErrClosed)
		w.Ring(ring("r2"))
		w.Deliver(Notice{CallID: c.CallID()})
		require.Empty(w, w.Incoming())
		require.NoError(w, w.Close(w.Context()), "again")
	})
}

func TestCloseGivesUp(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.create()
		c.cloud = stuckCloud{w.cloud}
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		require.ErrorIs(w, w.Close(ctx), context.DeadlineExceeded)
		<-c.Done()
		require.ErrorIs(w, c.Err(), context.Canceled, "the request was given up, the leg is closed")
	})
}

// The clock scales the protocol's timers.
func TestClock(t *testing.T) {
	const scale = 100
	clock := Clock{}
	inWorld(t, Config{}, func(w *world) {
		start := time.Now()
		clock.Now = func() time.Time { return start.Add(scale * time.Since(start)) }
		clock.NewTimer = func(d time.Duration) (<-chan time.Time, func() bool) {
			t := time.NewTimer(d / scale)
			return t.C, t.Stop
		}
		w.Manager.clock, w.Manager.onIncoming = clock, later
		w.Ring(ring("r1"))
		<-w.Incoming()[0].Done()
		require.Equal(w, 150*time.Millisecond, time.Since(start))
	})
}

// Many calls at once, with everything that can happen to them, under the race
// detector. That nothing is left is checked by inWorld.
func TestManyCalls(t *testing.T) {
	onIncoming := func(ic *IncomingCall) { ic.Answer(context.Background(), Options{}) }
	onCall := func(c *Call) {
		c.OnState(func(CallState) { c.Snapshot() })
		c.OnRoster(func([]Participant) {})
	}
	inWorld(t, Config{OnIncoming: onIncoming, OnCall: onCall}, func(w *world) {
		w.cloud.placed = func(id, url string) {
			go func() {
				if conn, err := w.media.at(url).dial(); err == nil {
					time.Sleep(time.Millisecond)
					conn.close(errors.New("dropped"))
				}
			}()
			w.cloud.connect(id)
			w.cloud.say(id, EventParticipants, Participant{Identity: Identity{RawID: "8:a", Name: id}})
		}
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() { w.Ring(ring(fmt.Sprint(i))) })
			all.Go(func() {
				c, err := w.Create(w.Context(), "fake", []byte(`{}`), Options{})
				if err != nil {
					return
				}
				switch i % 3 {
				case 0:
					w.cloud.end(c.CallID(), 200)
				case 1:
					c.HangUp(w.Context(), i%2 == 0)
				}
			})
			all.Go(func() { w.Stats(); w.Calls(); w.Incoming() })
		}
		all.Wait()
		time.Sleep(time.Second) // the drains
		synctest.Wait()
		s := w.Stats()
		require.EqualValues(w, 100, s.Created)
		require.EqualValues(w, 100, s.Answered)
		require.Equal(w, 133, s.Live)
		require.Zero(w, s.Failed)
		require.Zero(w, s.Panics)
	})
}
