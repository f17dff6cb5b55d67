package graph_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/stretchr/testify/require"
)

// changeSpeed makes 45 min, the shortest life of a subscription, one second.
const changeSpeed = 45 * 60

// watcher is the product's part in change notifications, against an emulator.
type watcher struct {
	t        *testing.T
	emulator *cloud.Server
	client   *graph.Client
	keeper   *graph.Keeper
	webhook  *graph.ChangeWebhook
	keys     *graph.Keyring
	events   chan graph.WatchEvent
	changes  chan graph.Change
	meeting  string
}

func newKey(t *testing.T, id string) graph.ContentKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	return graph.ContentKey{ID: id, Certificate: der, Private: private}
}

// meetingIn is the join link of a meeting in a tenant.
func meetingIn(tenant string) string {
	return "https://teams.microsoft.com/l/meetup-join/19%3ameeting_abc%40thread.v2/0?context=%7b%22Tid%22%3a%22" + tenant + "%22%2c%22Oid%22%3a%22" + annID + "%22%7d"
}

// watching keeps a subscription to one meeting; without keys it is basic.
func watching(t *testing.T, profile cloud.Profile, keys ...graph.ContentKey) *watcher {
	t.Helper()
	w := &watcher{t: t, events: make(chan graph.WatchEvent, 64), changes: make(chan graph.Change, 64)}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.emulator = &cloud.Server{Insecure: true, Profile: profile, Speed: changeSpeed}
	require.NoError(t, w.emulator.Start(context.Background()))
	t.Cleanup(func() { require.NoError(t, w.emulator.Close()) })
	app := w.emulator.GraphApps()[0]
	w.meeting = meetingIn(app.TenantID)
	token, err := w.emulator.AccessToken("")
	require.NoError(t, err)
	clock := fast(changeSpeed)
	w.client, err = graph.NewClient(graph.ClientConfig{Endpoint: w.emulator.URL(), Token: token, BaseDelay: time.Millisecond, Now: clock.Now})
	require.NoError(t, err)
	if len(keys) > 0 {
		w.keys, err = graph.NewKeyring(keys...)
		require.NoError(t, err)
	}
	verifier, err := graph.NewChangeVerifier(graph.ChangeVerifierConfig{AppIDs: []string{app.ID}, Tenants: []string{app.TenantID}, OpenIDURL: w.emulator.ChangesOIDCURL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, verifier.Close()) })
	w.keeper, err = graph.NewKeeper(graph.KeeperConfig{
		Client: w.client, NotificationURL: server.URL + "/graph/changes", Keys: w.keys, Lifetime: 45 * time.Minute,
		MinRetry: time.Minute, MaxRetry: 5 * time.Minute, Clock: clock, OnEvent: func(e graph.WatchEvent) { w.events <- e },
	})
	require.NoError(t, err)
	w.webhook, err = graph.NewChangeWebhook(graph.ChangeWebhookConfig{
		Watcher: w.keeper, Keys: w.keys, Verify: verifier.Verify, OnChange: func(c graph.Change) { w.changes <- c },
	})
	require.NoError(t, err)
	mux.Handle("/graph/changes", w.webhook)
	resource, err := graph.MeetingCallEvents(w.meeting)
	require.NoError(t, err)
	require.NoError(t, w.keeper.Add(graph.Watch{Name: "standup", Resource: resource}))
	ran := make(chan error, 1)
	go func() { ran <- w.keeper.Run(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, w.keeper.Close(ctx))
		require.NoError(t, <-ran)
		require.NoError(t, w.webhook.Close(ctx))
	})
	w.expect(graph.WatchUp)
	return w
}

// expect waits for an event of that kind; renewals between are none's concern.
func (w *watcher) expect(kind graph.WatchEventKind) graph.WatchEvent {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case e := <-w.events:
			if e.Kind == kind {
				return e
			}
			require.Contains(w.t, []graph.WatchEventKind{graph.WatchRenewed, graph.WatchFailed}, e.Kind, e.Err)
		case <-deadline:
			w.t.Fatalf("no event, want %v", kind)
		}
	}
}

func (w *watcher) change() graph.Change {
	w.t.Helper()
	select {
	case c := <-w.changes:
		return c
	case <-time.After(20 * time.Second):
		w.t.Fatal("no change comes")
	}
	return graph.Change{}
}

// happens has something happen in the meeting.
func (w *watcher) happens(kind cloud.MeetingCallEventType, who ...cloud.MeetingCallParticipant) {
	w.t.Helper()
	require.Equal(w.t, 1, w.emulator.MeetingEvent(w.meeting, cloud.MeetingCallEvent{Type: kind, Participants: who}))
}

func (w *watcher) id() string { return w.keeper.Snapshot()[0].ID }

// TestMeetingEvents: a meeting's call begins, people come to lobby and call,
// fall silent and leave, and it ends; in the keys of the documents and of the
// wire.
func TestMeetingEvents(t *testing.T) {
	for _, profile := range []cloud.Profile{cloud.ProfileDocs, cloud.ProfileReal} {
		t.Run(string(profile), func(t *testing.T) {
			w := watching(t, profile, newKey(t, "k1"))
			require.EqualValues(t, 2, w.webhook.Stats().Validations, "both addresses, while the request was pending")
			w.happens(cloud.CallStarted)
			got := w.change()
			require.Equal(t, "standup", got.Name)
			require.Equal(t, graph.CallStarted, got.Event.Kind())
			require.Empty(t, got.Notification.ClientState, "which is a secret")
			require.NotEmpty(t, got.Notification.EncryptedContent.EncryptionCertificateThumbprint)
			require.False(t, got.Event.EventDateTime.IsZero())
			meeting, err := graph.MeetingOf(got.Notification.Resource)
			require.NoError(t, err)
			require.Equal(t, w.meeting, meeting)

			ann := cloud.MeetingCallParticipant{ID: "p1", UserID: annID, DisplayName: "Ann", TenantID: w.emulator.GraphApps()[0].TenantID, InLobby: true}
			in, silent, gone := ann, ann, ann
			in.InLobby, silent.InLobby, gone.InLobby = false, false, false
			silent.RemovedReason, gone.RemovedReason = cloud.RemovedInactive, cloud.RemovedLeft
			for want, p := range map[graph.Removal][]cloud.MeetingCallParticipant{
				graph.RemovalNone: {ann, in}, graph.RemovalInactive: {silent}, graph.RemovalLeft: {gone},
			} {
				for _, p := range p {
					w.happens(cloud.RosterUpdated, p)
					event := w.change().Event
					require.Equal(t, graph.RosterUpdated, event.Kind())
					rows := event.Roster()
					require.Len(t, rows, 1)
					require.Equal(t, p.ID, rows[0].ID)
					require.Equal(t, p.InLobby, rows[0].IsInLobby)
					require.Equal(t, want, rows[0].Removal())
					require.Equal(t, session.Identity{RawID: "8:orgid:" + annID, Name: "Ann"}, rows[0].Row().Identity)
				}
			}
			w.happens(cloud.CallEnded)
			require.Equal(t, graph.CallEnded, w.change().Event.Kind())
			require.Empty(t, w.webhook.Stats().Rejected)
			require.Empty(t, w.webhook.Stats().Ignored)
		})
	}
}

// TestBasicNotifications name what changed, and no more.
func TestBasicNotifications(t *testing.T) {
	w := watching(t, "")
	w.happens(cloud.CallStarted)
	got := w.change()
	require.Nil(t, got.Event)
	require.Nil(t, got.Notification.EncryptedContent)
	require.Contains(t, strings.ToLower(string(got.Resource)), "callevent")
}

// TestSubscriptionIsKept: renewed for longer than it would live; created again
// when it could not be renewed and when it is gone; reauthorized.
func TestSubscriptionIsKept(t *testing.T) {
	t.Parallel()
	w := watching(t, "", newKey(t, "k1"))
	first := w.id()
	for range 3 { // each in half a life
		w.expect(graph.WatchRenewed)
	}
	require.Equal(t, first, w.id())
	w.happens(cloud.CallStarted)
	w.change()

	require.NoError(t, w.emulator.Lifecycle(first, cloud.Missed))
	w.expect(graph.WatchMissed)
	require.NoError(t, w.emulator.Lifecycle(first, cloud.ReauthorizationRequired))
	w.expect(graph.WatchRenewed)

	// It cannot be renewed: it is at least reauthorized, and expires.
	require.NoError(t, w.emulator.Break(cloud.RequestFault{Operation: "updateSubscription", Status: 400, Count: 1000}))
	require.NoError(t, w.emulator.Lifecycle(first, cloud.ReauthorizationRequired))
	w.expect(graph.WatchReauthorized)
	require.ErrorIs(t, w.expect(graph.WatchDown).Err, graph.ErrExpired)
	w.expect(graph.WatchUp)
	second := w.id()
	require.NotEqual(t, first, second)
	w.happens(cloud.CallStarted)
	w.change()

	// The service removes it, and tells.
	require.NoError(t, w.emulator.Lifecycle(second, cloud.SubscriptionRemoved))
	require.ErrorIs(t, w.expect(graph.WatchDown).Err, graph.ErrRemoved)
	w.expect(graph.WatchUp)
	require.NotEqual(t, second, w.id())
	all, err := w.client.ListSubscriptions(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1, "nothing is left over")
}

// TestSubscriptionIsGone: nobody told; the renewal finds out.
func TestSubscriptionIsGone(t *testing.T) {
	w := watching(t, "", newKey(t, "k1"))
	require.NoError(t, w.client.DeleteSubscription(t.Context(), w.id()))
	require.ErrorIs(t, w.expect(graph.WatchDown).Err, graph.ErrRemoved)
	w.expect(graph.WatchUp)
	w.happens(cloud.CallStarted)
	w.change()
}

// TestKeyRotation: what was encrypted for the key before is read beside what is
// for the present one.
func TestKeyRotation(t *testing.T) {
	w := watching(t, "", newKey(t, "k1"))
	require.NoError(t, w.emulator.BreakChanges(cloud.ChangeFault{Kind: cloud.ReorderChange}))
	w.happens(cloud.CallStarted) // held until the next
	require.NoError(t, w.keeper.Rotate(newKey(t, "k2")))
	eventually(t, "the new key is in use", func() bool { return w.keeper.Snapshot()[0].CertificateID == "k2" })
	w.happens(cloud.CallEnded)
	first, second := w.change(), w.change()
	require.Equal(t, graph.CallEnded, first.Event.Kind())
	require.Equal(t, "k2", first.Notification.EncryptedContent.EncryptionCertificateID)
	require.Equal(t, graph.CallStarted, second.Event.Kind())
	require.Equal(t, "k1", second.Notification.EncryptedContent.EncryptionCertificateID)
	require.NoError(t, w.keys.Remove("k1"))
}
