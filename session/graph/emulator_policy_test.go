package graph_test

import (
	"context"
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

const policy = "recording policy"

// TestPolicyRecording: a policy brings a call that rings for 5 s; the bot says
// that it records before it does; those of the same policy who come later are
// its own to decide on, as long as it has room.
func TestPolicyRecording(t *testing.T) {
	for _, profile := range []cloud.Profile{cloud.ProfileDocs, cloud.ProfileReal} {
		t.Run(string(profile), func(t *testing.T) {
			var decide atomic.Pointer[func(context.Context, graph.Joining) graph.JoinDecision]
			h := newHost(t, &cloud.Server{Profile: profile}, wiring{webhook: func(c *graph.WebhookConfig) {
				c.OnJoining = func(ctx context.Context, j graph.Joining) graph.JoinDecision { return (*decide.Load())(ctx, j) }
				c.JoinDeadline = 50 * time.Millisecond
				c.JoinDefault = graph.JoinDecision{Reject: "busy"}
			}})
			left := make(chan session.Notice, 8)
			h.onCall = func(c *session.Call) {
				c.OnNotice(func(n session.Notice) {
					if n.Kind == session.EventParticipantLeft {
						left <- n
					}
				})
			}
			ring, there := h.ring(cloud.GraphRing{Script: talker(), Policy: policy})
			require.True(t, ring.Policy)
			require.LessOrEqual(t, ring.AnswerBy().Sub(ring.Arrived), 5*time.Second+time.Second/2)
			var told graph.Call
			require.NoError(t, json.Unmarshal(ring.Raw, &told))
			require.Equal(t, policy, told.ApplicationMetadata.BotData.PolicyIdentifier)
			require.Equal(t, []string{"PolicyBasedRecording"}, told.ApplicationMetadata.BotData.InviteReasons)
			require.NotEmpty(t, told.MeetingInfo.Token)
			require.Equal(t, told.IncomingContext.SourceParticipantID, told.IncomingContext.ObservedParticipantID)

			call := h.answer(ring, session.Options{Channels: engine.Unmixed, Answer: json.RawMessage(`{"participantCapacity":3}`)})
			require.Equal(t, told.MyParticipantID, call.Connection().SelfID)
			require.True(t, call.MustAnnounce())
			require.NoError(t, call.AnnounceRecording(h.limit(), true))
			require.Equal(t, "recording", there.Log().RecordingStatus)
			h.row(call, "says that it records", func(p session.Participant) bool {
				return p.ID == told.MyParticipantID && p.Recording == graph.Recording
			})

			join := func(name string, f func(context.Context, graph.Joining) graph.JoinDecision) (cloud.JoinDecision, error) {
				decide.Store(&f)
				return there.Join(h.limit(), cloud.Speaker{ID: "8:orgid:" + name, Name: name, PCM: noise(3200, 9)})
			}
			says := func(d graph.JoinDecision) func(context.Context, graph.Joining) graph.JoinDecision {
				return func(_ context.Context, j graph.Joining) graph.JoinDecision {
					if graph.Key(j.CallID) != graph.Key(call.CallID()) || !strings.HasPrefix(j.From.RawID, "8:orgid:") {
						panic("another call is asked")
					}
					return d
				}
			}
			d, err := join(annID, says(graph.JoinDecision{}))
			require.NoError(t, err)
			require.Equal(t, cloud.JoinDecision{Status: 200, Accepted: true}, d)
			ann := h.row(call, "who was taken in", func(p session.Participant) bool { return p.RawID == "8:orgid:"+annID })

			for _, reason := range []string{"none", "busy", "forbidden"} {
				d, err = join(bobID, says(graph.JoinDecision{Reject: reason}))
				require.NoError(t, err)
				require.Equal(t, cloud.JoinDecision{Status: 200, Reason: reason}, d)
			}
			late := func(ctx context.Context, _ graph.Joining) graph.JoinDecision {
				<-ctx.Done()
				return graph.JoinDecision{}
			}
			d, err = join(bobID, late)
			require.NoError(t, err)
			require.Equal(t, "busy", d.Reason, "too slow: JoinDefault")
			d, err = join(bobID, func(context.Context, graph.Joining) graph.JoinDecision { panic("oh") })
			require.NoError(t, err)
			require.Equal(t, "busy", d.Reason, "and so if it panics")
			require.Equal(t, map[string]int64{"deadline": 1, "panic": 1}, h.webhook.Stats().JoinDefaults)

			_, err = join(bobID, says(graph.JoinDecision{}))
			require.NoError(t, err)
			h.rows(call, 4)
			_, err = join(testGuest, says(graph.JoinDecision{}))
			require.ErrorIs(t, err, cloud.ErrFull, "the capacity is used up")

			require.True(t, there.Left(ann.ID))
			n := next(h, left)
			require.Contains(t, string(n.Raw), ann.ID)
			h.rows(call, 3)
			_, err = join(testGuest, says(graph.JoinDecision{}))
			require.NoError(t, err, "there is room again")

			require.NoError(t, call.AnnounceRecording(h.limit(), false))
			require.Equal(t, "notRecording", there.Log().RecordingStatus)
			require.NoError(t, call.HangUp(h.limit(), false))
			require.NoError(t, h.over(call))
			require.Zero(t, h.webhook.Stats().BadItems)
		})
	}
}

// TestAnotherBotIsInvited: the decision names its address.
func TestAnotherBotIsInvited(t *testing.T) {
	var elsewhere atomic.Value
	h := newHost(t, &cloud.Server{}, wiring{webhook: func(c *graph.WebhookConfig) {
		c.OnJoining = func(context.Context, graph.Joining) graph.JoinDecision {
			return graph.JoinDecision{InviteURI: elsewhere.Load().(string)}
		}
	}})
	second := h.beside(wiring{})
	elsewhere.Store(second.http.URL + second.webhook.CallbackPath())
	ring, there := h.ring(cloud.GraphRing{Script: talker(), Policy: policy})
	h.answer(ring, session.Options{ServiceHosted: true, Answer: json.RawMessage(`{"participantCapacity":2}`)})
	d, err := there.Join(h.limit(), cloud.Speaker{ID: "8:orgid:" + annID})
	require.NoError(t, err)
	require.Equal(t, elsewhere.Load(), d.InviteURI)
	require.False(t, d.Accepted)
}

// TestIncomingRedirect: a call that rings is sent to a host in another region,
// which answers it.
func TestIncomingRedirect(t *testing.T) {
	for _, status := range []int{0, http.StatusFound, http.StatusTemporaryRedirect} {
		var elsewhere atomic.Value
		h := newHost(t, &cloud.Server{}, wiring{webhook: func(c *graph.WebhookConfig) {
			c.RedirectStatus = status
			c.OnIncomingRedirect = func(session.Incoming) string { return elsewhere.Load().(string) }
		}})
		second := h.beside(wiring{})
		elsewhere.Store(second.http.URL + second.webhook.CallbackPath())
		there, err := h.emulator.RingGraph(h.limit(), cloud.GraphRing{Script: talker()})
		require.NoError(t, err)
		call := second.answer(next(second, second.rings), serviceHosted)
		require.Equal(t, there.ID(), call.CallID())
		require.NoError(t, call.HangUp(h.limit(), false))
		require.NoError(t, second.over(call))
		require.Empty(t, h.rings, "it never rang here")
		require.EqualValues(t, 1, h.webhook.Stats().Redirected)
	}
}

// TestEncryptedSource: an application that may do nothing with calls does not
// learn who calls, and can still decline.
func TestEncryptedSource(t *testing.T) {
	h := newHost(t, &cloud.Server{Apps: []cloud.GraphApp{{Roles: []string{cloud.RoleMeetings}}}}, wiring{})
	ring, there := h.ring(cloud.GraphRing{Script: talker(), From: "8:orgid:" + annID})
	require.True(t, strings.HasPrefix(ring.From.RawID, "encrypted:"), ring.From)
	require.NotContains(t, string(ring.Raw), annID)
	_, err := h.client.Answer(h.limit(), ring.Incoming, session.MediaRequest{ServiceHosted: true})
	var refused *session.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 403, refused.Status)
	require.Equal(t, "7504", refused.Code)
	require.NoError(t, ring.Reject(h.limit(), ""))
	require.NoError(t, there.Wait(h.limit()))
}
