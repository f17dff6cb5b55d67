package graph_test

import (
	"encoding/json"
	"testing"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/stretchr/testify/require"
)

const instanceID = "832899f8-2ea1-4604-8413-27bd2892079f"

// telephony is a host whose application has an instance with a number.
func telephony(t *testing.T) *host {
	return newHost(t, &cloud.Server{
		Apps:     []cloud.GraphApp{{TenantID: exampleTenant, InstanceID: instanceID, Phone: phone}},
		OnCreate: takes(talkers()),
	}, wiring{})
}

var serviceHosted = session.Options{ServiceHosted: true}

// invites has the call take in one more, and ends it.
func (h *host) invites(call *session.Call, who graph.IdentitySet) {
	h.t.Helper()
	h.done(h.client.InviteParticipants(h.limit(), call.CallID(), []graph.InvitationParticipantInfo{invitee(who)}, ""))
	h.row(call, "the invited", func(p session.Participant) bool { return p.RawID == who.RawID() })
	require.NoError(h.t, call.HangUp(h.limit(), false))
	require.NoError(h.t, h.over(call))
}

// hands transfers the call to somebody, with whom it goes on.
func (h *host) hands(call *session.Call, who graph.IdentitySet) {
	h.t.Helper()
	require.NoError(h.t, h.client.TransferCall(h.limit(), call.CallID(), graph.Transfer{Target: invitee(who)}))
	require.NoError(h.t, h.over(call))
}

// TestPSTNScenarios: the eleven of "call: answer" that are supported.
func TestPSTNScenarios(t *testing.T) {
	t.Parallel()
	h := telephony(t)
	fromPhone := cloud.GraphRing{Script: talker(), From: "4:" + phone2, Instance: true}
	fromUser := cloud.GraphRing{Script: talker(), From: "8:orgid:" + annID, Instance: true}
	scheduled := cloud.GraphRing{Script: talker(), Instance: true, Meeting: true}
	answered := func(r cloud.GraphRing) *session.Call {
		ring, _ := h.ring(r)
		if r.From != "" {
			require.Equal(t, r.From, ring.From.RawID)
		}
		require.Equal(t, "28:"+instanceID, ring.To.RawID)
		return h.answer(ring, serviceHosted)
	}
	redirected := func(r cloud.GraphRing) {
		ring, there := h.ring(r)
		require.NoError(t, ring.Redirect(h.limit(), session.Identity{RawID: "4:" + phone}))
		require.NoError(t, there.Wait(h.limit()))
		require.Equal(t, "The call was redirected.", there.Log().Result.Message)
	}
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"a: number is called, invites", func() { h.invites(answered(fromPhone), phoneSet(phone)) }},
		{"b: number is called, transfers", func() { h.hands(answered(fromPhone), phoneSet(phone)) }},
		{"c: number is called, redirects", func() { redirected(fromPhone) }},
		{"d: instance is called, invites", func() { h.invites(answered(fromUser), phoneSet(phone)) }},
		{"e: instance is called, transfers", func() { h.hands(answered(fromUser), phoneSet(phone)) }},
		{"f: instance is called, redirects", func() { redirected(fromUser) }},
		{"g: instance is called from a meeting, invites", func() { h.invites(answered(scheduled), phoneSet(phone)) }},
		{"h: instance calls", func() {
			call, there := h.dial(invite(t, instanceID, phoneSet(phone2)), serviceHosted)
			require.Equal(t, "peer-to-peer", there.Log().Kind)
			require.Equal(t, "28:"+instanceID, call.Connection().Source.RawID)
			require.Equal(t, "4:"+phone2, call.Connection().Targets[0].RawID)
			require.NoError(t, call.HangUp(h.limit(), false))
			require.NoError(t, h.over(call))
		}},
		{"i: call of two, invites a telephone", func() {
			for _, peer := range []graph.IdentitySet{userSet(annID), phoneSet(phone2)} {
				call, _ := h.dial(invite(t, instanceID, peer), serviceHosted)
				h.invites(call, phoneSet(phone))
			}
		}},
		{"j: call of two, invites a user", func() {
			for _, peer := range []graph.IdentitySet{userSet(annID), phoneSet(phone2)} {
				call, _ := h.dial(invite(t, instanceID, peer), serviceHosted)
				h.invites(call, userSet(bobID))
			}
		}},
		{"k: joins a meeting, invites", func() {
			call, _ := h.dial(without(t, seed(t, "create-ex5-request"), "mediaConfig", "callbackUri"), serviceHosted)
			h.invites(call, phoneSet(phone))
		}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run() })
	}
}

// TestPSTNNotSupported: what an older page lists as not supported is refused,
// and the refusal is typed.
func TestPSTNNotSupported(t *testing.T) {
	h := telephony(t)
	ctx := h.limit()
	toPhone := []graph.InvitationParticipantInfo{invitee(phoneSet(phone))}
	for _, meeting := range []bool{false, true} {
		ring, _ := h.ring(cloud.GraphRing{Script: talker(), Meeting: meeting})
		require.Equal(t, 403, refusedBy(t, h.client.Redirect(ctx, ring.Incoming, session.Identity{RawID: "4:" + phone})))
		call := h.answer(ring, serviceHosted)
		_, err := h.client.InviteParticipants(ctx, call.CallID(), toPhone, "")
		require.Equal(t, 403, refusedBy(t, err))
		if !meeting {
			require.Equal(t, 403, refusedBy(t, h.client.TransferCall(ctx, call.CallID(), graph.Transfer{Target: toPhone[0]})))
		}
		require.Equal(t, session.StateConnected, call.State())
	}
	// Without an instance Invite makes no such request; by hand:
	_, err := h.manager.Create(ctx, "graph", json.RawMessage(`{"targets":[{"identity":{"phone":{"id":"`+phone2+`"}}}]}`), serviceHosted)
	require.Equal(t, 400, refusedBy(t, err))
	call, _ := h.dial(json.RawMessage(`{"meetingInfo":{"@odata.type":"#microsoft.graph.tokenMeetingInfo","token":"t"}}`), serviceHosted)
	_, err = h.client.InviteParticipants(ctx, call.CallID(), toPhone, "")
	require.Equal(t, 403, refusedBy(t, err))
}
