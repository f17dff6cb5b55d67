package rtp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/session"
)

func TestNewBadConfig(t *testing.T) {
	for want, cfg := range map[string]Config{
		`Config.Path = "rtp"`:   {Path: "rtp"},
		`Config.Path = "/"`:     {Path: "/"},
		`Config.Path = "/rtp/"`: {Path: "/rtp/"},
		"Config.AnswerWithin":   {AnswerWithin: -1},
		"Config: token con":     {Token: "two words"},
		`Config: origin "x"`:    {Origins: []string{"x"}},
		`want one such as "/w"`: {Name: "w", Path: "w"},
	} {
		_, err := New(cfg)
		require.ErrorContains(t, err, want)
	}
}

func TestSenderRings(t *testing.T) {
	inWorld(t, Config{}, session.Config{OnIncoming: answering}, func(w *world) {
		w.cloud.Ring(sender(1))
		w.cloud.Ring(sender(1)) // told twice
		c := <-w.calls
		synctest.Wait()
		require.Equal(w, session.StateConnected, c.State())
		up, _ := c.Media()
		require.True(w, up)
		s := c.Snapshot()
		require.Equal(w, "rtp", s.Cloud)
		require.Equal(w, session.DirectionIncoming, s.Direction)
		require.Equal(w, "rtp:127.0.0.1:4001", s.From.RawID)
		in := c.Incoming()
		require.Equal(w, "127.0.0.1:4001/00000001", in.ID)
		require.Equal(w, c.CallID(), in.CallID)
		require.JSONEq(w, `{"address":"127.0.0.1:4001","ssrc":1,"payload_type":0,"codec":"PCMU/8000"}`, string(in.Raw))
		require.EqualValues(w, 1, w.Stats().Rings)

		conn, err := w.cloud.Get(w.Context(), c.CallID())
		require.NoError(w, err)
		require.Equal(w, session.Connection{CallID: c.CallID(), State: session.StateConnected, Source: session.Identity{RawID: "rtp:127.0.0.1:4001"}}, conn)

		before := time.Now()
		require.NoError(w, c.HangUp(w.Context(), false))
		require.NoError(w, over(c))
		require.Zero(w, time.Since(before), "no timer is waited for")
		require.Equal(w, []string{"take rtp:1 127.0.0.1:4001/00000001", "refuse 127.0.0.1:4001/00000001", "bye rtp:1"}, w.media.lines())
		w.forgotten()

		w.cloud.Ring(sender(1)) // after a pause
		require.Equal(w, "127.0.0.1:4001/00000001", (<-w.calls).Incoming().ID)
	})
}

func TestSendersBeforeConnectRingThen(t *testing.T) {
	c, err := New(Config{})
	require.NoError(t, err)
	require.Nil(t, c.Media())
	for i := range 2 * maxEarly {
		c.Ring(sender(i))
	}
	c.Ended("rtp:nobody", nil)
	_, err = c.Create(t.Context(), session.CreateRequest{Body: []byte(`{"target":"127.0.0.1:1"}`), Media: session.MediaRequest{URL: "rtp:1"}})
	require.ErrorContains(t, err, "not connected yet")
	w := newWorld(t, Config{}, session.Config{OnIncoming: answering})
	w.cloud.early = c.early
	w.cloud.Connect(w.media, w.Manager)
	for range maxEarly {
		<-w.calls
	}
	require.Len(t, w.Calls(), maxEarly)
	w.end()
}

func TestStreamEnds(t *testing.T) {
	for _, why := range []error{nil, errors.New("port unreachable")} {
		t.Run(fmt.Sprint(why), func(t *testing.T) {
			inWorld(t, Config{}, session.Config{OnIncoming: answering}, func(w *world) {
				w.cloud.Ring(sender(1))
				c := <-w.calls
				synctest.Wait()
				w.cloud.Ended("rtp:1", why)
				w.cloud.Ended("rtp:1", why) // again
				w.cloud.Ended("rtp:2", why) // nobody's
				before := time.Now()
				err := over(c)
				require.Zero(w, time.Since(before))
				w.forgotten()
				require.NotContains(w, w.media.lines(), "refuse "+sender(1).ID, "it may ring again")
				if why == nil {
					require.NoError(w, err)
					return
				}
				var e *session.Error
				require.ErrorAs(w, err, &e)
				require.Equal(w, "stream_failed", e.Code)
				require.ErrorContains(w, err, "port unreachable")
			})
		})
	}
}

// TestStreamEndsWhileAnswered lets the end overtake the answer.
func TestStreamEndsWhileAnswered(t *testing.T) {
	inWorld(t, Config{}, session.Config{OnIncoming: answering}, func(w *world) {
		w.cloud.Connect(endsAtOnce{w.media, w.cloud}, w.Manager)
		w.cloud.Ring(sender(1))
		require.NoError(w, over(<-w.calls))
		w.forgotten()
		c, err := w.Create(w.Context(), Name, []byte(`{"target":"127.0.0.1:6000"}`), session.Options{})
		require.NoError(w, err)
		require.NoError(w, over(c))
	})
}

// endsAtOnce is a Media whose streams end before it has returned.
type endsAtOnce struct {
	*fakeMedia
	cloud *Cloud
}

func (m endsAtOnce) Take(url, stream string) error {
	defer m.cloud.Ended(url, nil)
	return m.fakeMedia.Take(url, stream)
}

func (m endsAtOnce) Dial(url string, to target) error {
	defer m.cloud.Ended(url, nil)
	return m.fakeMedia.Dial(url, to)
}

func TestSenderIsTurnedAway(t *testing.T) {
	id := sender(1).ID
	for name, decide := range map[string]func(*session.IncomingCall){
		"rejected": func(ic *session.IncomingCall) { _ = ic.Reject(context.Background(), "busy") },
		"left":     nil,
		"hosted": func(ic *session.IncomingCall) {
			_, _ = ic.Answer(context.Background(), session.Options{ServiceHosted: true})
		},
		"unusable":  func(ic *session.IncomingCall) { _, _ = ic.Answer(context.Background(), session.Options{SampleRate: 1}) },
		"panics":    func(*session.IncomingCall) { panic("bot") },
		"redirects": func(ic *session.IncomingCall) { _ = ic.Redirect(context.Background(), session.Identity{RawID: "4:+1"}) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{AnswerWithin: 5 * time.Second}, session.Config{OnIncoming: decide}, func(w *world) {
				start := time.Now()
				w.cloud.Ring(sender(1))
				ic := <-w.rings
				<-ic.Done()
				require.LessOrEqual(w, time.Since(start), 5*time.Second)
				require.Equal(w, []string{"refuse " + id}, w.media.lines())
				w.forgotten()
				if name == "redirects" {
					var e *session.Error
					require.ErrorAs(w, ic.Err(), &e)
					require.Equal(w, "redirect", e.Op)
					require.Contains(w, e.Message, "no signalling")
				}
			})
		})
	}
}

func TestSenderThatCannotBeTaken(t *testing.T) {
	inWorld(t, Config{}, session.Config{OnIncoming: answering}, func(w *world) {
		w.media.fail = errors.New("it is gone")
		w.cloud.Ring(sender(1))
		require.ErrorContains(w, over(<-w.calls), "rtp: answer: it is gone")
		require.ElementsMatch(w, []string{"take rtp:1 " + sender(1).ID, "refuse " + sender(1).ID, "bye rtp:1"}, w.media.lines())
		w.forgotten()

		w.media.refuse = errors.New("no ports")
		w.cloud.Ring(sender(2))
		<-w.rings
		ic := <-w.rings
		<-ic.Done()
		require.ErrorContains(w, ic.Err(), "no ports")
		require.Equal(w, "refuse "+sender(2).ID, w.media.lines()[3])
	})
}

// TestFlood lets more senders ring than there is room for, from many sides.
func TestFlood(t *testing.T) {
	const most, senders = 20, 400
	w := newWorld(t, Config{}, session.Config{OnIncoming: answering, MaxCalls: most})
	var flood sync.WaitGroup
	for i := range senders {
		flood.Go(func() {
			w.cloud.Ring(sender(i))
			if i%2 == 0 {
				w.post()
			}
			w.cloud.Ended(fmt.Sprintf("rtp:%d", i%most), nil)
		})
	}
	flood.Wait()
	require.LessOrEqual(t, len(w.Calls()), most)
	w.cloud.mu.Lock()
	require.LessOrEqual(t, len(w.cloud.calls), most)
	w.cloud.mu.Unlock()
	require.NotZero(t, w.Stats().RingsRefused)
	w.end()
	seen := map[string]bool{}
	for _, line := range w.media.lines() {
		seen[line] = true
	}
	refused := 0
	for i := range senders {
		if seen["refuse "+sender(i).ID] {
			refused++
		}
	}
	require.GreaterOrEqual(t, refused, senders/2, "who is not taken is told to the media")
}

func TestRoom(t *testing.T) {
	w := newWorld(t, Config{}, session.Config{OnIncoming: answering})
	w.cloud.Ring(sender(1))
	c, err := w.Create(t.Context(), Name, json.RawMessage(`{"target":"127.0.0.1:6000"}`), session.Options{Bidirectional: true})
	require.NoError(t, err)
	for range 2 {
		_, err := w.Join("hall", <-w.calls)
		require.NoError(t, err)
	}
	require.Len(t, w.Rooms()[0].Members, 2)
	require.NoError(t, c.HangUp(t.Context(), true))
	require.NoError(t, over(c))
	w.end()
}
