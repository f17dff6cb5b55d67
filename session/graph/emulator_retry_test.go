package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/stretchr/testify/require"
)

// TestThrottledCreate: a create that was refused unread is sent again, after
// the pause that the service asked for, and makes one call.
func TestThrottledCreate(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			requests := &counting{suffix: "/communications/calls"}
			h := newHost(t, &cloud.Server{OnCreate: takes(talker())}, wiring{client: func(c *graph.ClientConfig) {
				c.HTTPClient, c.MaxDelay = &http.Client{Transport: requests}, 20*time.Millisecond
			}})
			require.NoError(t, h.emulator.Break(cloud.RequestFault{Operation: "graphCreate", Status: status, RetryAfter: 1, Count: 2}))
			call, there := h.dial(invite(t, "", userSet(annID)), serviceHosted)
			require.EqualValues(t, 3, requests.n.Load())
			require.Len(t, h.emulator.Calls(), 1)
			require.NoError(t, call.HangUp(h.limit(), false))
			require.NoError(t, there.Wait(h.limit()))
			require.Zero(t, h.manager.Stats().Strays)
		})
	}
}

// TestRefusedCreate: what is no throttling is not sent again, and is told as
// the service told it.
func TestRefusedCreate(t *testing.T) {
	requests := &counting{suffix: "/communications/calls"}
	h := newHost(t, &cloud.Server{}, wiring{client: func(c *graph.ClientConfig) { c.HTTPClient = &http.Client{Transport: requests} }})
	for i, status := range []int{http.StatusServiceUnavailable, http.StatusInternalServerError} {
		require.NoError(t, h.emulator.Break(cloud.RequestFault{Operation: "graphCreate", Status: status}))
		_, err := h.manager.Create(h.limit(), "graph", invite(t, "", userSet(annID)), serviceHosted)
		require.Equal(t, status, refusedBy(t, err))
		require.EqualValues(t, i+1, requests.n.Load())
	}
	require.Empty(t, h.emulator.Calls())
	require.Empty(t, h.manager.Calls())
}

// TestLostResponseOfCreate: the service made a call of which no response told.
// Its first notification does, and it is hung up; so is the first of two that a
// repeated request made.
func TestLostResponseOfCreate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault cloud.RequestFault
		want  int // calls that stand in the end
	}{
		{"lost", cloud.RequestFault{Status: http.StatusBadGateway}, 0},
		{"nobody waited", cloud.RequestFault{Delay: 2 * time.Second}, 0},
		{"throttled after the fact", cloud.RequestFault{Status: http.StatusServiceUnavailable, RetryAfter: 1}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, &cloud.Server{OnCreate: takes(talker())}, wiring{
				client: func(c *graph.ClientConfig) { c.MaxDelay = 20 * time.Millisecond },
				session: func(s *session.Config) {
					if c.fault.Delay > 0 {
						s.RequestTimeout = 300 * time.Millisecond
					}
				},
			})
			c.fault.Operation, c.fault.Executed = "graphCreate", true
			require.NoError(t, h.emulator.Break(c.fault))
			call, err := h.manager.Create(h.limit(), "graph", invite(t, "", userSet(annID)), serviceHosted)
			require.Equal(t, c.want == 0, err != nil, err)
			eventually(t, "the stray is hung up", func() bool {
				made, standing := h.emulator.Calls(), 0
				for _, there := range made {
					if !there.Log().Ended {
						standing++
					}
				}
				return len(made) == 1+c.want && standing == c.want
			})
			require.EqualValues(t, 1, h.manager.Stats().Strays)
			require.Len(t, h.manager.Calls(), c.want)
			if c.want > 0 {
				require.NoError(t, call.Wait(h.limit(), session.StateConnected))
				require.False(t, h.emulator.Call(call.CallID()).Log().Ended, "ours is not the one that was hung up")
			}
		})
	}
}

// TestLostResponseOfAnswer: the call may stand, and is hung up; its id is known.
func TestLostResponseOfAnswer(t *testing.T) {
	h := newHost(t, &cloud.Server{}, wiring{})
	require.NoError(t, h.emulator.Break(cloud.RequestFault{Operation: "graphAnswer", Status: http.StatusBadGateway, Executed: true}))
	ring, there := h.ring(cloud.GraphRing{Script: talker()})
	_, err := ring.Answer(h.limit(), serviceHosted)
	require.Equal(t, http.StatusBadGateway, refusedBy(t, err))
	require.NoError(t, there.Wait(h.limit()))
	require.Equal(t, 5001, there.Log().Result.SubCode, "ended by us")
}

// TestLostResponseOfDelete: a hang-up may be repeated, and then finds nothing.
func TestLostResponseOfDelete(t *testing.T) {
	h := newHost(t, &cloud.Server{OnCreate: takes(talker())}, wiring{})
	call, there := h.dial(invite(t, "", userSet(annID)), serviceHosted)
	require.NoError(t, h.emulator.Break(cloud.RequestFault{Operation: "graphDelete", Status: http.StatusBadGateway, Executed: true}))
	require.NoError(t, call.HangUp(h.limit(), false))
	require.NoError(t, h.over(call))
	require.NoError(t, there.Wait(h.limit()))
}

// TestForeignCallsAreLeftAlone: notifications of a call that another process of
// the application made come here too, and are not a stray's.
func TestForeignCallsAreLeftAlone(t *testing.T) {
	t.Parallel()
	h := newHost(t, &cloud.Server{OnCreate: takes(talker())}, wiring{})
	var body map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(invite(t, "", userSet(annID)), &body))
	body["mediaConfig"] = json.RawMessage(`{"@odata.type":"#microsoft.graph.serviceHostedMediaConfig"}`)
	body["callbackUri"], _ = json.Marshal(h.http.URL + h.webhook.CallbackPath())
	request, err := json.Marshal(body)
	require.NoError(t, err)
	conn, err := h.client.Create(h.limit(), session.CreateRequest{Body: request})
	require.NoError(t, err)
	eventually(t, "its notifications come", func() bool { return h.manager.Stats().Early >= 2 })
	there := h.emulator.Call(conn.CallID)
	require.False(t, there.Log().Ended)
	require.Zero(t, h.manager.Stats().Strays)
	require.NoError(t, h.client.HangUp(h.limit(), conn.CallID, false))
}
