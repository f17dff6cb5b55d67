package graph_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/stretchr/testify/require"
)

// TestBadChangesAreDiscarded: each is counted under its reason, none is handed
// on, and the next good one is.
func TestBadChangesAreDiscarded(t *testing.T) {
	w := watching(t, "", newKey(t, "k1"))
	ignored := map[string]int64{}
	rejected := map[string]int64{}
	type bad struct {
		fault   cloud.ChangeFault
		reason  string
		ignored bool
	}
	all := []bad{
		{fault: cloud.ChangeFault{Kind: cloud.BadChangeSignature}, reason: "content"},
		{fault: cloud.ChangeFault{Kind: cloud.BadChangePadding}, reason: "content"},
		{fault: cloud.ChangeFault{Kind: cloud.BadChangeKeyID}, reason: "unknown_key"},
		{fault: cloud.ChangeFault{Kind: cloud.BadClientState}, reason: "client_state", ignored: true},
	}
	for flaw, reason := range map[cloud.TokenFlaw]string{
		cloud.FlawSignature: "signature", cloud.FlawExpired: "expired", cloud.FlawAudience: "audience", cloud.FlawIssuer: "issuer",
		cloud.FlawMissing: "missing", cloud.FlawAppID: "publisher", cloud.FlawTenant: "tenant", cloud.FlawNotYet: "not_yet_valid",
		cloud.FlawAlgorithm: "algorithm", cloud.FlawUnknownKey: "unknown_key",
	} {
		all = append(all, bad{fault: cloud.ChangeFault{Kind: cloud.BadChangeToken, Token: flaw}, reason: "token:" + reason})
	}
	for _, b := range all {
		require.NoError(t, w.emulator.BreakChanges(b.fault))
		w.happens(cloud.CallStarted)
		w.happens(cloud.CallEnded)
		require.Equal(t, graph.CallEnded, w.change().Event.Kind(), b.reason)
		if b.ignored {
			ignored[b.reason]++
		} else {
			rejected[b.reason]++
		}
		stats := w.webhook.Stats()
		require.Equal(t, ignored, stats.Ignored, "%+v", b)
		require.Equal(t, rejected, stats.Rejected, "%+v", b)
	}
	// One that was cut within a block is told by its size, before any key.
	require.NoError(t, w.emulator.BreakChanges(cloud.ChangeFault{Kind: cloud.TruncatedChange}))
	w.happens(cloud.CallStarted)
	w.happens(cloud.CallEnded)
	require.Equal(t, graph.CallEnded, w.change().Event.Kind())
	stats := w.webhook.Stats()
	require.EqualValues(t, 1, stats.Rejected["malformed"]+stats.Rejected["content"]-rejected["content"])
	eventually(t, "all are answered 202 all the same", func() bool {
		all := w.emulator.Changes().Deliveries
		return !slices.ContainsFunc(all, func(d cloud.ChangeDelivery) bool { return !d.Done || d.Status != 202 })
	})
}

// TestChangesTwiceAndTogether: notifications come at least once, in any order,
// several in one request.
func TestChangesTwiceAndTogether(t *testing.T) {
	w := watching(t, cloud.ProfileReal, newKey(t, "k1"))
	require.NoError(t, w.emulator.BreakChanges(cloud.ChangeFault{Kind: cloud.DuplicateChange}))
	w.happens(cloud.CallStarted)
	first, again := w.change(), w.change()
	require.Equal(t, first.Event.ID, again.Event.ID)
	require.NoError(t, w.emulator.BreakChanges(cloud.ChangeFault{Kind: cloud.BatchChange}))
	w.happens(cloud.CallStarted)
	w.happens(cloud.CallEnded)
	require.Equal(t, graph.CallStarted, w.change().Event.Kind())
	require.Equal(t, graph.CallEnded, w.change().Event.Kind())
	require.EqualValues(t, 3, w.webhook.Stats().Requests)
	require.EqualValues(t, 4, w.webhook.Stats().Changes)
}

// TestSubscriptionsThatMayNotStand: what the service does not let stand is a typed
// error, and the keeper goes on trying.
func TestSubscriptionsThatMayNotStand(t *testing.T) {
	w := watching(t, "", newKey(t, "k1"))
	foreign, err := graph.MeetingCallEvents(meetingIn(uuid.NewString()))
	require.NoError(t, err)
	require.NoError(t, w.keeper.Add(graph.Watch{Name: "foreign", Resource: foreign}))
	var refused *session.Error
	require.ErrorAs(t, w.expect(graph.WatchFailed).Err, &refused)
	require.Equal(t, 403, refused.Status)
	require.Equal(t, "ExtensionError", refused.Code)
	require.Contains(t, refused.Message, "The meeting tenant does not match the token tenant.")
	require.NoError(t, w.keeper.Remove(t.Context(), "foreign"))

	own, err := w.client.GetSubscription(t.Context(), w.id())
	require.NoError(t, err)
	again := graph.Subscription{
		ChangeType: "updated", Resource: own.Resource, NotificationURL: own.NotificationURL,
		LifecycleNotificationURL: own.NotificationURL, ExpirationDateTime: own.ExpirationDateTime,
	}
	_, err = w.client.CreateSubscription(t.Context(), again)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 409, refused.Status, "one stands")

	require.NoError(t, w.client.DeleteSubscription(t.Context(), w.id()))
	again.NotificationURL = w.emulator.URL() + "/nobody"
	_, err = w.client.CreateSubscription(t.Context(), again)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 400, refused.Status, "nobody listens there")
	require.Equal(t, "ValidationError", refused.Code)
}
