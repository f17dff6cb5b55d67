package graph_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/stretchr/testify/require"
)

// counting counts the requests whose path ends so.
type counting struct {
	suffix string
	n      atomic.Int64
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, c.suffix) {
		c.n.Add(1)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// ended is the result with which the service ended a call.
func ended(t *testing.T, err error, code, sub int) {
	t.Helper()
	var result *session.Error
	require.ErrorAs(t, err, &result)
	require.Equal(t, code, result.Status)
	require.Equal(t, sub, result.SubCode)
}

// TestAnswerTooLate: the service gives up after 15 s, or 5 s for a policy.
func TestAnswerTooLate(t *testing.T) {
	h := newHost(t, &cloud.Server{Speed: 100}, wiring{})
	for _, name := range []string{"", policy} {
		ring, there := h.ring(cloud.GraphRing{Script: talker(), Policy: name})
		require.NoError(t, there.Wait(h.limit()))
		require.Equal(t, cloud.Result{Code: 408, SubCode: 10057, Message: "The application did not answer in time."}, there.Log().Result)
		next(h, ring.Done())
		_, err := ring.Answer(h.limit(), serviceHosted)
		require.ErrorIs(t, err, session.ErrEnded)
		_, err = h.client.Answer(h.limit(), ring.Incoming, session.MediaRequest{ServiceHosted: true})
		require.Equal(t, 404, refusedBy(t, err))
	}
}

// TestNobodyDecides: before the service gives up, the manager declines.
func TestNobodyDecides(t *testing.T) {
	h := newHost(t, &cloud.Server{}, wiring{session: clocked(50)})
	for _, name := range []string{"", policy} {
		ring, there := h.ring(cloud.GraphRing{Script: talker(), Policy: name})
		next(h, ring.Done())
		_, err := ring.Answer(h.limit(), serviceHosted)
		require.ErrorIs(t, err, session.ErrAnswerDeadline)
		require.NoError(t, there.Wait(h.limit()))
		require.Equal(t, "The call was rejected.", there.Log().Result.Message)
	}
}

// TestKeepAlive: it keeps a call past the 45 min that the service gives, here
// made half a second; without it the service ends the call, and the session
// says why.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	const speed = 45 * 60 * 2
	requests := &counting{suffix: "/keepAlive"}
	kept := newHost(t, &cloud.Server{Speed: speed, OnCreate: takes(talker())}, wiring{client: func(c *graph.ClientConfig) {
		c.KeepAlive, c.HTTPClient = 50*time.Millisecond, &http.Client{Transport: requests}
	}})
	call, there := kept.dial(invite(t, "", userSet(annID)), serviceHosted)
	eventually(t, "kept alive", func() bool { return requests.n.Load() >= 30 })
	require.Equal(t, session.StateConnected, call.State(), "after three times its life")
	require.False(t, there.Log().Ended)
	require.NoError(t, call.HangUp(kept.limit(), false))
	require.NoError(t, kept.over(call))

	silent := newHost(t, &cloud.Server{Speed: speed, OnCreate: takes(talker())}, wiring{client: func(c *graph.ClientConfig) { c.KeepAlive = time.Hour }})
	call, there = silent.dial(invite(t, "", userSet(annID)), serviceHosted)
	ended(t, silent.over(call), 408, 8537)
	require.NoError(t, there.Wait(silent.limit()))
	require.Equal(t, 404, refusedBy(t, silent.client.KeepAlive(silent.limit(), call.CallID())))
}

// TestTheEndIsLost: no notification tells it, so that keepAlive finds out.
func TestTheEndIsLost(t *testing.T) {
	script := talker()
	for _, name := range []string{"terminating", "terminated"} {
		script.Faults = append(script.Faults, cloud.Fault{Kind: cloud.DropEvent, Event: name})
	}
	h := newHost(t, &cloud.Server{OnCreate: takes(script)}, wiring{client: func(c *graph.ClientConfig) { c.KeepAlive = 50 * time.Millisecond }})
	call, there := h.dial(invite(t, "", userSet(annID)), serviceHosted)
	there.HangUp()
	require.NoError(t, h.over(call))
	require.Equal(t, session.StateDisconnected, call.State())
}

// TestNoMedia: they never come although the call stands; or the service could
// not bring them, and says so.
func TestNoMedia(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"nobody brings them", "refused", "lost"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			script := talker()
			if kind == "refused" {
				script.Faults = []cloud.Fault{{Kind: cloud.BadMediaToken}}
			}
			h := newHost(t, &cloud.Server{Speed: 20, OnCreate: takes(script)}, wiring{session: func(c *session.Config) { c.MediaWithin = 300 * time.Millisecond }})
			body := invite(t, "", userSet(annID))
			if kind == "nobody brings them" { // Microsoft's own wire, which ends nowhere here
				var m map[string]json.RawMessage
				require.NoError(t, json.Unmarshal(h.example("create-ex2-request"), &m))
				delete(m, "source")
				var err error
				body, err = json.Marshal(m)
				require.NoError(t, err)
			}
			call, there := h.dial(body, session.Options{Channels: engine.Unmixed, Bidirectional: true})
			switch kind {
			case "nobody brings them":
				require.ErrorIs(t, h.over(call), session.ErrNoMedia)
				require.NoError(t, there.Wait(h.limit()))
				require.Equal(t, 5001, there.Log().Result.SubCode, "it was hung up")
			case "refused":
				ended(t, h.over(call), 500, 7112)
			case "lost":
				eventually(t, "media", func() bool { up, _ := call.Media(); return up })
				h.media.Close()
				ended(t, h.over(call), 410, 301005)
			}
		})
	}
}

// TestLobbyTimesOut: nobody admits the bot.
func TestLobbyTimesOut(t *testing.T) {
	h := newHost(t, &cloud.Server{Speed: 30 * 60 * 3, OnCreate: func(cloud.Dialled) cloud.Callee {
		return cloud.Callee{Script: talkers(), Lobby: true}
	}}, wiring{session: func(c *session.Config) { c.MediaWithin = 20 * time.Millisecond }})
	results := make(chan session.Notice, 64)
	lobby := make(chan bool, 8)
	h.onCall = func(c *session.Call) {
		c.OnLobby(func(waits bool) { lobby <- waits })
		c.OnNotice(func(n session.Notice) {
			if n.Kind == session.EventDisconnected {
				results <- n
			}
		})
	}
	body := without(t, seed(t, "create-ex6-request"), "mediaConfig", "callbackUri", "tenantId")
	call, _ := h.dial(body, session.Options{Channels: engine.Unmixed})
	require.True(t, next(h, lobby))
	require.NoError(t, h.over(call), "that there are no media in a lobby is no fault")
	require.Equal(t, 5855, next(h, results).SubCode)
}
