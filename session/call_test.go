package session

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
)

// The cloud dials, speaks and tells of the call before its own response.
func TestCloudFasterThanItsResponse(t *testing.T) {
	var tap *engine.Tap
	var asked []string
	var w *world
	onCall := func(c *Call) {
		tap = c.Leg().Tap(8)
		asked = w.cloud.lines()
		require.Equal(t, StateNew, c.State())
	}
	inWorld(t, Config{OnCall: onCall}, func(wd *world) {
		w = wd
		w.cloud.placed = func(id, url string) {
			conn, err := w.media.at(url).dial()
			require.NoError(w, err)
			conn.speak(w, "", 7)
			w.cloud.say(id, EventParticipants, Participant{Identity: Identity{RawID: "8:callee", Name: "Bo"}})
			w.cloud.connect(id)
			time.Sleep(time.Second) // the response is slow
		}
		c := w.create()
		require.Empty(w, asked, "OnCall runs before the cloud is asked")
		require.Equal(w, "https://bot/events", w.cloud.last.CallbackURL)
		require.JSONEq(w, `{"targets":[]}`, string(w.cloud.body))

		require.NoError(w, c.Wait(w.Context(), StateConnected))
		require.Equal(w, "call-0", c.CallID())
		require.Equal(w, "call-0", w.endpoint(c).bound())
		var f pcm.Frame
		require.True(w, tap.TryRead(&f), "frame one")
		require.Equal(w, int16(7), f.Samples[0])
		synctest.Wait()
		require.Equal(w, []Participant{{Identity: Identity{RawID: "8:callee", Name: "Bo"}}}, c.Participants())
		require.Equal(w, "Bot", c.Name("8:bot"))
		up, err := c.Media()
		require.True(w, up)
		require.NoError(w, err)
		require.NoError(w, c.HangUp(w.Context(), false))
		require.ErrorIs(w, tap.Read(w.Context(), &f), io.EOF)
	})
}

// What is still on the wire after the end of the call is heard.
func TestDrainUntilTheSocketCloses(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.create()
		conn, err := w.endpoint(c).dial()
		require.NoError(w, err)
		tap := c.Leg().Tap(8)
		w.tell(Notice{Kind: EventDisconnected, CallID: c.CallID()})
		synctest.Wait()
		require.Equal(w, StateDisconnected, c.State())
		require.False(w, isDone(c.Done()))

		time.Sleep(300 * time.Millisecond)
		conn.speak(w, "", 9)
		var f pcm.Frame
		require.True(w, tap.TryRead(&f))
		conn.close(nil)
		synctest.Wait()
		require.True(w, isDone(c.Done()))
		require.True(w, isDone(c.Leg().Done()))
		require.NoError(w, c.Err())
	})
}

func TestDrainEndsAfterHalfASecond(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.create()
		_, err := w.endpoint(c).dial()
		require.NoError(w, err)
		start := time.Now()
		w.tell(Notice{Kind: EventDisconnected, CallID: c.CallID()})
		<-c.Done()
		require.Equal(w, 500*time.Millisecond, time.Since(start))
	})
}

func (w *world) tell(n Notice) { w.cloud.tell(n) }

func TestHangUp(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.create()
		w.cloud.connect(c.CallID())
		require.NoError(w, c.HangUp(w.Context(), true))
		require.NoError(w, c.HangUp(w.Context(), false), "again")
		<-c.Done()
		require.NoError(w, c.HangUp(w.Context(), false), "after the end")
		require.Equal(w, []string{"create", "hang up call-0 true"}, w.cloud.lines())
		_, err := w.Call(c.ID())
		require.ErrorIs(w, err, ErrUnknownCall)
	})
}

func TestHangUpRefusedEndsTheCallHere(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.create()
		refusal := &Error{Cloud: "fake", Op: "hang up", Status: 500}
		w.cloud.before = func(op string) error { return refusal }
		require.Equal(w, refusal, c.HangUp(w.Context(), false))
		<-c.Done()
		require.Equal(w, refusal, c.Err())
	})
}

func TestHangUpWithoutAnEvent(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.create()
		w.cloud.tell = func(Notice) {}
		require.NoError(w, c.HangUp(w.Context(), false))
		require.Equal(w, StateDisconnecting, c.State())
		start := time.Now()
		<-c.Done()
		require.Equal(w, endLimit, time.Since(start))
	})
}

// Callbacks may call any method, HangUp too, and still see the end.
func TestHangUpInCallbacks(t *testing.T) {
	states := make(chan CallState, 8)
	var hungUp error
	onCall := func(c *Call) {
		c.OnState(func(s CallState) {
			if s == StateConnected {
				hungUp = c.HangUp(context.Background(), false)
			}
			states <- s
		})
	}
	inWorld(t, Config{OnCall: onCall}, func(w *world) {
		c := w.create()
		w.cloud.connect(c.CallID())
		<-c.Done()
		synctest.Wait()
		require.NoError(w, hungUp)
	})
	close(states)
	var got []CallState
	for s := range states {
		got = append(got, s)
	}
	require.Equal(t, []CallState{StateConnecting, StateConnected, StateDisconnecting, StateDisconnected}, got)
}

func TestHangUpInOnCallPlacesNothing(t *testing.T) {
	onCall := func(c *Call) { require.NoError(t, c.HangUp(context.Background(), false)) }
	inWorld(t, Config{OnCall: onCall}, func(w *world) {
		_, err := w.Create(w.Context(), "fake", json.RawMessage(`{}`), Options{})
		require.ErrorIs(w, err, ErrEnded)
		require.Empty(w, w.cloud.lines())
	})
}

func TestCreateRefused(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		refusal := &Error{Cloud: "fake", Op: "create", Status: 403, Code: "7504"}
		w.cloud.before = func(string) error { return refusal }
		_, err := w.Create(w.Context(), "fake", json.RawMessage(`{}`), Options{})
		require.Equal(w, refusal, err)
		synctest.Wait()
		require.Empty(w, w.Calls())
		require.EqualValues(w, 1, w.Stats().Failed)
	})
}

func TestCreateBadArguments(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		for _, tt := range []struct {
			cloud, body string
			o           Options
			want        string
		}{
			{"graph", `{}`, Options{}, `session: cloud = "graph": want one of: fake`},
			{"fake", `[]`, Options{}, `session: request = "[]": want a JSON object`},
			{"fake", `{`, Options{}, `session: request = "{": want a JSON object`},
			{"fake", ``, Options{}, `session: request = "": want a JSON object`},
			{"fake", `{}`, Options{SampleRate: 8000}, `session: media.sample_rate = "8000": want 16000 or 24000`},
			{"fake", `{}`, Options{Channels: 7}, `session: media.channels = "Channels(7)": want mixed or unmixed`},
		} {
			_, err := w.Create(w.Context(), tt.cloud, json.RawMessage(tt.body), tt.o)
			require.EqualError(w, err, tt.want)
			require.ErrorAs(w, err, new(*FieldError))
		}
		w.media.refuse = errors.New("no port")
		_, err := w.Create(w.Context(), "fake", json.RawMessage(`{}`), Options{})
		require.Equal(w, w.media.refuse, err)
		_, err = w.Create(w.Context(), "fake", json.RawMessage(`{}`), Options{Leg: engine.LegConfig{MaxSpeakers: -1}})
		require.ErrorContains(w, err, "MaxSpeakers")
		require.Empty(w, w.cloud.lines())
	})
}

// Nobody waits for the response any more: the call is hung up once its id is
// known, not lost.
func TestCreateGivenUp(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.cloud.placed = func(id, url string) { time.Sleep(2 * time.Second) }
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		_, err := w.Create(ctx, "fake", json.RawMessage(`{}`), Options{})
		require.ErrorIs(w, err, context.DeadlineExceeded)
		synctest.Wait()
		c := w.Calls()[0]
		require.Equal(w, StateDisconnecting, c.State())
		<-c.Done()
		require.Equal(w, []string{"create", "hang up call-0 false"}, w.cloud.lines())
	})
}

// A cloud that never answers does not hold a call for ever.
func TestRequestTimeout(t *testing.T) {
	inWorld(t, Config{RequestTimeout: 3 * time.Second}, func(w *world) {
		w.Manager.clouds["fake"] = stuckCloud{w.cloud}
		start := time.Now()
		_, err := w.Create(w.Context(), "fake", json.RawMessage(`{}`), Options{})
		require.ErrorIs(w, err, context.DeadlineExceeded)
		require.Equal(w, 3*time.Second, time.Since(start))
	})
}

// stuckCloud does not answer.
type stuckCloud struct{ *fakeCloud }

func (stuckCloud) Create(ctx context.Context, _ CreateRequest) (Connection, error) {
	<-ctx.Done()
	return Connection{}, ctx.Err()
}

func (stuckCloud) HangUp(ctx context.Context, _ string, _ bool) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestCloudMisbehaves(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.cloud.placed = func(string, string) { panic("nil map") }
		_, err := w.Create(w.Context(), "fake", json.RawMessage(`{}`), Options{})
		require.ErrorContains(w, err, "nil map")

		w.cloud.placed = nil
		w.cloud.fixed = "same"
		first := w.create()
		_, err = w.Create(w.Context(), "fake", json.RawMessage(`{}`), Options{})
		require.ErrorContains(w, err, `call id "same"`)
		w.cloud.connect("same")
		require.NoError(w, first.Wait(w.Context(), StateConnected), "the first call lives on")
		require.NotContains(w, w.cloud.lines(), "hang up same false")
	})
}

func TestDroppedSocketDoesNotEndTheCall(t *testing.T) {
	type media struct {
		up  bool
		err error
	}
	seen := make(chan media, 8)
	onCall := func(c *Call) { c.OnMedia(func(up bool, err error) { seen <- media{up, err} }) }
	inWorld(t, Config{OnCall: onCall}, func(w *world) {
		c := w.create()
		w.cloud.connect(c.CallID())
		reset := errors.New("connection reset")
		conn, err := w.endpoint(c).dial()
		require.NoError(w, err)
		require.Equal(w, media{up: true}, <-seen)
		conn.close(reset)
		require.Equal(w, media{err: reset}, <-seen)
		require.Equal(w, StateConnected, c.State())
		require.Equal(w, "connection reset", c.Snapshot().Media.Error)
		_, err = w.endpoint(c).dial()
		require.NoError(w, err)
		require.Equal(w, media{up: true}, <-seen)
		require.Empty(w, c.Snapshot().Media.Error)
	})
}

// The event that tells the end is lost: without media the call is asked after.
func TestLostEnd(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.create()
		w.cloud.connect(c.CallID())
		conn, err := w.endpoint(c).dial()
		require.NoError(w, err)
		time.Sleep(time.Hour)
		require.Equal(w, []string{"create"}, w.cloud.lines(), "media flows: nothing to ask")
		conn.close(errors.New("reset"))
		time.Sleep(probeEvery + time.Second)
		require.Equal(w, []string{"create", "get call-0"}, w.cloud.lines())
		require.Equal(w, StateConnected, c.State())
		w.cloud.mu.Lock()
		delete(w.cloud.calls, c.CallID())
		w.cloud.mu.Unlock()
		<-c.Done()
		require.NoError(w, c.Err())
	})
}

func TestWait(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.create()
		require.NoError(w, c.Wait(w.Context(), StateConnecting))
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		require.ErrorIs(w, c.Wait(ctx, StateConnected), context.DeadlineExceeded)
		w.cloud.end(c.CallID(), 603)
		var refused *Error
		require.ErrorAs(w, c.Wait(w.Context(), StateConnected), &refused)
		require.Equal(w, 603, refused.Status)
		require.NoError(w, c.Wait(w.Context(), StateConnecting), "it was connecting")
		require.NoError(w, c.Wait(w.Context(), StateDisconnected))

		c = w.create()
		w.cloud.end(c.CallID(), 200)
		require.ErrorIs(w, c.Wait(w.Context(), StateConnected), ErrEnded)
	})
}

func TestSnapshot(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.create()
		w.cloud.say(c.CallID(), EventParticipants, Participant{Identity: Identity{RawID: "8:bot"}, Muted: true})
		conn, err := w.endpoint(c).dial()
		require.NoError(w, err)
		conn.speak(w, "8:bot", 1)
		synctest.Wait()
		b, err := json.Marshal(c.Snapshot())
		require.NoError(w, err)
		var s Snapshot
		require.NoError(w, json.Unmarshal(b, &s))
		require.Equal(w, c.ID(), s.ID)
		require.Equal(w, StateConnecting, s.State)
		require.Equal(w, DirectionOutgoing, s.Direction)
		require.Equal(w, []Participant{{Identity: Identity{"8:bot", "Bot"}, Muted: true}}, s.Participants, "named by the response")
		require.True(w, s.Media.Connected)
		require.Equal(w, 16000, s.Media.SampleRate)
		require.EqualValues(w, 1, s.Media.FramesIn)
		require.Len(w, s.Media.Speakers, 1)
		require.Equal(w, "Bot", s.Media.Speakers[0].Name)
		require.EqualValues(w, 1, s.Media.Transport.Connections)
		require.NotContains(w, string(b), "ws://", "the address is a secret")
		require.Contains(w, c.String(), "connecting: mixed leg, connected true")
	})
}
