package graph

import (
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// TestCreateSubscriptionSendsTheSample: field by field what the document shows,
// but for the certificate, of which it shows a placeholder.
func TestCreateSubscriptionSendsTheSample(t *testing.T) {
	survives[Subscription](t, sample(t, "events-subscription-request"))
	var asked Subscription
	require.NoError(t, json.Unmarshal(sample(t, "events-subscription-request"), &asked))
	asked.EncryptionCertificate = string(richFile(t, "cert-a.pem"))
	f := newFakeGraph(t, reply(201, `{"id":"76222963","expirationDateTime":"2021-02-01T11:00:00Z","applicationId":"app","encryptionCertificate":null,"new":1}`))
	c, _ := testClient(t, f, ClientConfig{Now: func() time.Time { return time.Date(2021, 2, 1, 10, 30, 0, 0, time.UTC) }})
	got, err := c.CreateSubscription(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, "76222963", got.ID)
	require.Equal(t, "app", got.ApplicationID)
	require.JSONEq(t, "1", string(got.Extra["new"]))

	require.Equal(t, "POST", f.last(t).method)
	require.Equal(t, "/beta/subscriptions", f.last(t).path, "though the client's version is v1.0")
	var want, sent map[string]any
	require.NoError(t, json.Unmarshal(sample(t, "events-subscription-request"), &want))
	require.NoError(t, json.Unmarshal([]byte(f.last(t).body), &sent))
	want["encryptionCertificate"] = base64.StdEncoding.EncodeToString(richKey(t, "a").Certificate)
	require.Equal(t, want, sent)
}

func TestSubscriptionOperations(t *testing.T) {
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	f := newFakeSubscriptions(t, func() time.Time { return now })
	hook, _ := newChanges(t, nil, nil)
	server := httptest.NewServer(hook)
	defer server.Close()
	c := subscriber(t, f, func() time.Time { return now })
	ctx := t.Context()

	var ids []string
	for _, resource := range []string{"chats/1/messages", "chats/2/messages", "chats/3/messages", "/chats/4/messages", "chats/5/messages"} {
		s, err := c.CreateSubscription(ctx, Subscription{
			ChangeType: "created,updated", Resource: resource, NotificationURL: server.URL + "/graph/changes?a=1&b=2",
			LifecycleNotificationURL: server.URL + "/graph/changes/lifecycle", ClientState: "s3cret",
			ExpirationDateTime: DateTime{now.Add(3 * time.Hour)},
		})
		require.NoError(t, err)
		ids = append(ids, s.ID)
	}
	require.EqualValues(t, 10, hook.Stats().Validations, "both addresses, while the request was pending")
	require.Contains(t, f.bodies["create"], `"expirationDateTime":"2026-11-22T07:00:00.0000000Z"`)

	all, err := c.ListSubscriptions(ctx)
	require.NoError(t, err)
	require.Len(t, all, 5, "on three pages")
	require.Equal(t, ids[4], all[4].ID)
	one, err := c.GetSubscription(ctx, ids[0])
	require.NoError(t, err)
	require.Equal(t, "chats/1/messages", one.Resource)

	one, err = c.UpdateSubscription(ctx, ids[0], SubscriptionChange{ExpirationDateTime: DateTime{now.Add(4 * time.Hour)}})
	require.NoError(t, err)
	require.Equal(t, now.Add(4*time.Hour), one.ExpirationDateTime.Time)
	require.JSONEq(t, `{"expirationDateTime":"2026-11-22T08:00:00.0000000Z"}`, f.bodies["update"])
	_, err = c.UpdateSubscription(ctx, ids[0], SubscriptionChange{
		EncryptionCertificate: string(richFile(t, "cert-b.pem")), EncryptionCertificateID: "b", NotificationURL: server.URL,
	})
	require.NoError(t, err)
	require.Contains(t, f.bodies["update"], `"encryptionCertificate":"MII`)
	require.NoError(t, c.ReauthorizeSubscription(ctx, ids[0]))
	require.Empty(t, f.bodies["reauthorize"])
	require.NoError(t, c.DeleteSubscription(ctx, ids[0]))
	require.Len(t, f.standing(), 4)
}

// TestRefusedSubscriptions: refusals are typed and hold no secret, even when
// the service repeats it.
func TestRefusedSubscriptions(t *testing.T) {
	f := newFakeSubscriptions(t, func() time.Time { return noticeTime })
	hook, _ := newChanges(t, nil, nil)
	server := httptest.NewServer(hook)
	defer server.Close()
	c := subscriber(t, f, func() time.Time { return noticeTime })
	ctx := t.Context()
	var e *session.Error
	_, err := c.GetSubscription(ctx, "1")
	require.ErrorAs(t, err, &e)
	require.Equal(t, 404, e.Status)
	require.Equal(t, "ResourceNotFound", e.Code)
	again := Subscription{
		ChangeType: "created,updated", Resource: "chats/2/messages", NotificationURL: server.URL + "/graph/changes",
		ClientState: "s3cret", ExpirationDateTime: DateTime{noticeTime.Add(time.Hour)},
	}
	_, err = c.CreateSubscription(ctx, again)
	require.NoError(t, err)
	_, err = c.CreateSubscription(ctx, again)
	require.ErrorAs(t, err, &e)
	require.Equal(t, 409, e.Status)
	f.set(func() { f.refuse = func(string) int { return 403 } })
	_, err = c.CreateSubscription(ctx, again)
	require.ErrorAs(t, err, &e)
	require.Equal(t, 403, e.Status)
	require.Equal(t, "req", e.RequestID)
	require.NotContains(t, err.Error(), "s3cret")
	require.NotContains(t, again.String(), "s3cret")
}

// subscriber is a client of f whose clock is now.
func subscriber(t *testing.T, f *fakeSubscriptions, now func() time.Time) *Client {
	t.Helper()
	c, err := NewClient(ClientConfig{Endpoint: f.URL, Token: testToken, Now: now, MaxAttempts: 1})
	require.NoError(t, err)
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

func TestNoBadSubscriptionIsSent(t *testing.T) {
	f := newFakeGraph(t, reply(500, ""))
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	c, _ := testClient(t, f, ClientConfig{Now: func() time.Time { return now }})
	resource, err := MeetingCallEvents(eventsJoinURL)
	require.NoError(t, err)
	for want, change := range map[string]func(*Subscription){
		`changeType ""`:                       func(s *Subscription) { s.ChangeType = "" },
		`changeType "updated,gone"`:           func(s *Subscription) { s.ChangeType = "updated,gone" },
		"notificationUrl":                     func(s *Subscription) { s.NotificationURL = "http://bot.contoso.com/" },
		`lifecycleNotificationUrl "ftp://x"`:  func(s *Subscription) { s.LifecycleNotificationURL = "ftp://x" },
		"lifecycleNotificationUrl is missing": func(s *Subscription) { s.LifecycleNotificationURL = "" },
		"resource is empty":                   func(s *Subscription) { s.Resource = "/" },
		"clientState of 256 characters":       func(s *Subscription) { s.ClientState = strings.Repeat("ü", 256) },
		"expirationDateTime is missing":       func(s *Subscription) { s.ExpirationDateTime = DateTime{} },
		"has passed, it is 2026-11-22":        func(s *Subscription) { s.ExpirationDateTime = DateTime{now} },
		"is 72h0m1s ahead, want at most 72h":  func(s *Subscription) { s.ExpirationDateTime = DateTime{now.Add(72*time.Hour + time.Second)} },
		"encryptionCertificate is missing":    func(s *Subscription) { s.EncryptionCertificate = "" },
		"encryptionCertificate is neither":    func(s *Subscription) { s.EncryptionCertificate = "{}" },
		"encryptionCertificateId of 0":        func(s *Subscription) { s.EncryptionCertificateID = "" },
		"encryptionCertificateId of 129":      func(s *Subscription) { s.EncryptionCertificateID = strings.Repeat("x", 129) },
	} {
		s := Subscription{
			ChangeType: "Updated", Resource: "/" + resource, NotificationURL: "https://bot.contoso.com/changes",
			LifecycleNotificationURL: "https://bot.contoso.com/changes", ClientState: "s3cret",
			ExpirationDateTime: DateTime{now.Add(72 * time.Hour)}, IncludeResourceData: true,
			EncryptionCertificate: string(richFile(t, "cert-a.pem")), EncryptionCertificateID: "a",
		}
		require.NoError(t, s.check(now, false))
		change(&s)
		_, err := c.CreateSubscription(t.Context(), s)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "s3cret")
	}
	for want, change := range map[string]SubscriptionChange{
		"nothing is to be changed":         {},
		"has passed":                       {ExpirationDateTime: DateTime{now}},
		"notificationUrl":                  {NotificationURL: "x"},
		"encryptionCertificate is missing": {EncryptionCertificateID: "a"},
		"encryptionCertificateId of 0":     {EncryptionCertificate: "AAAA"},
	} {
		_, err := c.UpdateSubscription(t.Context(), "1", change)
		require.ErrorContains(t, err, want)
	}
	for _, id := range []string{"", "..", strings.Repeat("x", 513)} {
		_, err := c.GetSubscription(t.Context(), id)
		require.ErrorContains(t, err, "subscription id")
		require.Error(t, c.DeleteSubscription(t.Context(), id))
		require.Error(t, c.ReauthorizeSubscription(t.Context(), id))
	}
	require.Zero(t, f.count())
}
