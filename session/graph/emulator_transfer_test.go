package graph_test

import (
	"testing"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/stretchr/testify/require"
)

// transferred is what a call in a transfer went through.
func (h *host) transferred(call *session.Call, phases <-chan session.CallPhase, ends bool) {
	h.t.Helper()
	require.Equal(h.t, session.PhaseTransferring, next(h, phases))
	if !ends {
		require.Equal(h.t, session.PhaseActive, next(h, phases))
		require.Equal(h.t, session.StateConnected, call.State())
		return
	}
	require.Equal(h.t, session.PhaseTransferAccepted, next(h, phases))
	require.NoError(h.t, h.over(call))
}

// TestTransfer: blind and consultative, of a call of two and of a participant,
// and one that fails, after which the call is as it was.
func TestTransfer(t *testing.T) {
	t.Parallel()
	h := newHost(t, &cloud.Server{OnCreate: func(d cloud.Dialled) cloud.Callee {
		if len(d.Targets) > 1 {
			return cloud.Callee{Script: talkers()}
		}
		return cloud.Callee{Script: talker()}
	}}, wiring{})
	phases, notices := make(chan session.CallPhase, 16), make(chan session.Notice, 256)
	h.onCall = func(c *session.Call) {
		c.OnPhase(func(p session.CallPhase) { phases <- p })
		c.OnNotice(func(n session.Notice) { notices <- n })
	}
	ctx, service := h.limit(), session.Options{ServiceHosted: true}
	told := func(code, sub int) session.Notice {
		for {
			if n := next(h, notices); n.Code == code && n.SubCode == sub && n.Kind != session.EventOperation {
				return n
			}
		}
	}

	t.Run("blind", func(t *testing.T) {
		call, _ := h.dial(invite(t, "", userSet(annID)), service)
		require.NoError(t, h.client.TransferCall(ctx, call.CallID(), graph.Transfer{Target: invitee(userSet(bobID))}))
		h.transferred(call, phases, true)
		require.Equal(t, session.EventDisconnected, told(0, 7015).Kind)
	})
	t.Run("consultative", func(t *testing.T) {
		call, _ := h.dial(invite(t, "", userSet(annID)), service)
		other, _ := h.dial(invite(t, "", userSet(bobID)), service)
		to := invitee(userSet(bobID))
		to.ReplacesCallID = other.CallID()
		require.NoError(t, h.client.TransferCall(ctx, call.CallID(), graph.Transfer{Target: to}))
		h.transferred(call, phases, true)
		require.NoError(t, h.over(other), "it is replaced")
	})
	t.Run("failed", func(t *testing.T) {
		for sub, consultative := range map[int]bool{7000: false, 7700: true} {
			call, there := h.dial(invite(t, "", userSet(annID)), service)
			to := invitee(userSet(bobID))
			if consultative {
				other, _ := h.dial(invite(t, "", userSet(bobID)), service)
				to.ReplacesCallID = other.CallID()
			}
			require.NoError(t, there.Inject(cloud.Fault{Kind: cloud.FailTransfer}))
			require.NoError(t, h.client.TransferCall(ctx, call.CallID(), graph.Transfer{Target: to}))
			h.transferred(call, phases, false)
			require.Equal(t, session.EventConnected, told(500, sub).Kind)
			require.NoError(t, call.HangUp(ctx, false))
			require.NoError(t, h.over(call))
		}
	})
	t.Run("of a participant", func(t *testing.T) {
		call, there := h.dial(invite(t, "", userSet(annID), userSet(bobID)), service)
		h.rows(call, 3)
		ids, _ := there.Participants()
		require.NoError(t, h.client.TransferCall(ctx, call.CallID(), graph.Transfer{
			Target: invitee(userSet(testGuest)), Transferee: &graph.ParticipantInfo{Identity: new(userSet(annID)), ParticipantID: ids[0]},
		}))
		h.rows(call, 2)
		require.Equal(t, session.StateConnected, call.State(), "the others stay")
		require.Equal(t, 400, refusedBy(t, h.client.TransferCall(ctx, call.CallID(), graph.Transfer{Target: invitee(userSet(bobID))})),
			"of a group a participant is transferred")
	})
}

// TestHold: on hold no media comes, and off it comes back.
func TestHold(t *testing.T) {
	h := newHost(t, &cloud.Server{OnCreate: takes(talker())}, wiring{})
	phases := make(chan session.CallPhase, 8)
	var ears heard
	h.onCall = func(c *session.Call) {
		ears.attach(c)
		c.OnPhase(func(p session.CallPhase) { phases <- p })
	}
	call, there := h.dial(invite(t, "", userSet(annID)), session.Options{Channels: engine.Unmixed, Bidirectional: true})
	count := func() int {
		ears.mu.Lock()
		defer ears.mu.Unlock()
		return len(ears.samples["101"])
	}
	eventually(t, "media come", func() bool { return count() > 0 })
	there.Hold(true)
	require.Equal(t, session.PhaseHold, next(h, phases))
	require.Equal(t, session.PhaseHold, call.Phase())
	got, err := h.client.Get(h.limit(), call.CallID())
	require.NoError(t, err)
	require.Equal(t, session.PhaseHold, got.Phase)
	muted := func() int {
		for _, s := range there.Log().Speakers[0].Stream.Dropped {
			if s.Cause == cloud.ByMute {
				return s.Slots
			}
		}
		return 0
	}
	eventually(t, "slots that are not sent", func() bool { return muted() >= 5 })
	silent := count()
	before := muted()
	eventually(t, "more of them", func() bool { return muted() >= before+5 })
	require.Equal(t, silent, count(), "nothing is heard meanwhile")
	there.Hold(false)
	require.Equal(t, session.PhaseActive, next(h, phases))
	eventually(t, "media come back", func() bool { return count() > silent })
	up, err := call.Media()
	require.True(t, up)
	require.NoError(t, err)
	require.NoError(t, call.HangUp(h.limit(), false))
	require.NoError(t, h.over(call))
}

// TestKeysOfAnAppHostedCall are sent on request; prompts are not played.
func TestKeysOfAnAppHostedCall(t *testing.T) {
	for _, v := range bothVersions {
		h := newHost(t, &cloud.Server{OnCreate: takes(talker())}, wiring{client: version(v)})
		call, there := h.dial(invite(t, "", userSet(annID)), session.Options{Bidirectional: true})
		ctx, id := h.limit(), call.CallID()
		end := h.done(h.client.SendDTMFTones(ctx, id, "09*#Af", 1, "keys"))
		require.EqualValues(t, "completedSuccessfully", end.CompletionReason)
		require.Equal(t, "keys", end.ClientContext)
		require.Equal(t, []string{"0", "9", "*", "#", "A", "flash"}, there.Log().SentTones)
		_, err := h.client.PlayPrompt(ctx, id, []graph.Prompt{{URI: h.http.URL + "/x.wav"}}, "")
		require.Equal(t, 400, refusedBy(t, err))
		_, err = h.client.SubscribeToTone(ctx, id, "")
		require.Equal(t, 400, refusedBy(t, err))
		require.Equal(t, 400, refusedBy(t, h.client.ChangeScreenSharingRole(ctx, id, "sharer")), "a call of two has no roster")
		all, err := h.client.ListParticipants(ctx, id)
		require.NoError(t, err)
		require.Empty(t, all)
		require.NoError(t, h.client.KeepAlive(ctx, id))
		got, err := h.client.GetCall(ctx, id)
		require.NoError(t, err)
		require.EqualValues(t, "established", got.State)
		require.NoError(t, call.HangUp(ctx, false))
		require.NoError(t, h.over(call))
	}
}

// TestDecline: a ringing call is rejected for each reason, and redirected to
// one or to several; what follows is heard as an end in good order.
func TestDecline(t *testing.T) {
	h := newHost(t, &cloud.Server{Apps: []cloud.GraphApp{{InstanceID: testGuest, Phone: phone}}}, wiring{})
	ctx := h.limit()
	for _, reason := range []string{"", "none", "Busy", "forbidden"} {
		ring, there := h.ring(cloud.GraphRing{Script: talker()})
		require.NoError(t, ring.Reject(ctx, reason))
		require.NoError(t, there.Wait(ctx))
		require.Equal(t, "The call was rejected.", there.Log().Result.Message)
		require.ErrorIs(t, ring.Reject(ctx, ""), session.ErrDecided)
		require.Equal(t, 404, refusedBy(t, h.client.Reject(ctx, ring.Incoming, "")))
	}
	for _, target := range []string{"8:orgid:" + annID, "28:2891555a-92ff-42e6-80fa-6e1300c6b5c6", "4:" + phone2} {
		ring, there := h.ring(cloud.GraphRing{Script: talker(), Instance: true})
		require.NoError(t, ring.Redirect(ctx, session.Identity{RawID: target}))
		require.NoError(t, there.Wait(ctx))
		require.Equal(t, "The call was redirected.", there.Log().Result.Message)
	}
	ring, there := h.ring(cloud.GraphRing{Script: talker()})
	require.NoError(t, h.client.RedirectTo(ctx, ring.CallID, graph.Redirection{
		Targets: []graph.InvitationParticipantInfo{invitee(userSet(annID)), invitee(userSet(bobID))},
		Timeout: 15, CallbackURI: h.http.URL + h.webhook.CallbackPath(),
	}))
	require.NoError(t, there.Wait(ctx))
	next(h, ring.Done())
	_, err := ring.Answer(ctx, session.Options{})
	require.ErrorIs(t, err, session.ErrEnded, "the notice of its end came")
	require.Zero(t, h.webhook.Stats().BadItems)
}
