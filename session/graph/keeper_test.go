package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

func TestKeeperKeepsASubscription(t *testing.T) {
	k := newKeeping(t, nil)
	s := k.up()
	require.Equal(t, []string{"create"}, k.service.ops())
	require.EqualValues(t, 2, k.webhook.Stats().Validations, "validated while the POST was pending")
	require.Equal(t, k.resource, s.Resource)
	require.Equal(t, s.NotificationURL, s.LifecycleNotificationURL)
	require.True(t, s.IncludeResourceData)
	require.Equal(t, "a", s.EncryptionCertificateID)
	require.GreaterOrEqual(t, len(s.ClientState), 26)
	require.Equal(t, noticeTime.Add(70*time.Hour+30*time.Minute), s.ExpirationDateTime.Time)

	// A month of renewals, each well before the end.
	for range 20 {
		require.Equal(t, 35*time.Hour+15*time.Minute, k.clock.step(t))
		e := k.expect(WatchRenewed)
		require.Equal(t, s.ID, e.ID)
		require.Equal(t, k.clock.Now().Add(70*time.Hour+30*time.Minute), e.Expires)
	}
	require.Equal(t, 20, strings.Count(fmt.Sprint(k.service.ops()), "update"))
	require.NotContains(t, k.service.bodies["update"], "encryptionCertificate")

	k.service.notify(k.service.standing()[0], string(sample(t, "events-roster-joined")), "")
	c := <-k.changes
	require.Equal(t, "standup", c.Name)
	require.Len(t, c.Event.Roster(), 2)
	status := k.Snapshot()
	require.Len(t, status, 1)
	require.Equal(t, WatchStatus{
		Name: "standup", Resource: k.resource, ID: s.ID, Expires: k.clock.Now().Add(70*time.Hour + 30*time.Minute),
		CertificateID: "a", Created: 1, Renewed: 20,
	}, status[0])

	require.NoError(t, k.Remove(t.Context(), "standup"))
	require.NoError(t, k.Remove(t.Context(), "standup"))
	require.Empty(t, k.service.standing())
	_, err := k.Lookup(s.ID, s.ClientState)
	require.ErrorIs(t, err, ErrUnknownSubscription)
}

func TestKeeperLooksUp(t *testing.T) {
	k := newKeeping(t, nil)
	s := k.up()
	got, err := k.Lookup(strings.ToLower(s.ID), s.ClientState)
	require.NoError(t, err)
	require.Equal(t, Watched{Name: "standup", Rich: true}, got)
	_, err = k.Lookup(s.ID, "")
	require.ErrorIs(t, err, ErrClientState)
	_, err = k.Lookup("1", s.ClientState)
	require.ErrorIs(t, err, ErrUnknownSubscription, "it is not pending")
}

// TestNotificationOvertakesTheResponse: it comes before anybody here knows its
// subscription's id.
func TestNotificationOvertakesTheResponse(t *testing.T) {
	k := newKeeping(t, nil)
	var early sync.Once
	k.service.set(func() {
		k.service.after = func(_ string, s Subscription) {
			early.Do(func() {
				k.service.notify(s, `{"eventType":"callStarted"}`, "")
				s.ClientState = "guessed"
				k.service.notify(s, `{"eventType":"callEnded"}`, "")
			})
		}
	})
	k.up()
	require.Equal(t, CallStarted, (<-k.changes).Event.Kind())
	require.Equal(t, map[string]int64{"unknown": 1}, settle(t, k.webhook).Ignored)
}

func TestKeeperRecreates(t *testing.T) {
	k := newKeeping(t, nil)
	first := k.up()

	// Renewal is refused until it is too late.
	k.service.set(func() { k.service.refuse = func(op string) int { return map[string]int{"update": 503}[op] } })
	k.clock.step(t)
	var e *session.Error
	require.ErrorAs(t, k.expect(WatchFailed).Err, &e)
	require.Equal(t, 503, e.Status)
	tries := 1
	for k.clock.Now().Before(first.ExpirationDateTime.Time) {
		require.LessOrEqual(t, k.clock.step(t), 5*time.Minute)
		if k.clock.Now().Before(first.ExpirationDateTime.Time) {
			k.expect(WatchFailed)
			tries++
		}
	}
	require.Greater(t, tries, 400)
	require.Less(t, tries, 900)
	require.ErrorIs(t, k.expect(WatchDown).Err, ErrExpired)
	second := k.expect(WatchUp)
	require.NotEqual(t, first.ID, second.ID)
	k.service.set(func() { k.service.refuse = nil })

	// What was sent before it expired may still come.
	k.service.notify(first, `{"eventType":"callEnded"}`, "")
	require.Equal(t, CallEnded, (<-k.changes).Event.Kind())

	// It is gone when it is to be renewed.
	k.service.set(func() { clear(k.service.subs) })
	k.clock.step(t)
	require.ErrorIs(t, k.expect(WatchDown).Err, ErrRemoved)
	third := k.expect(WatchUp)

	// The service says so.
	s := k.service.standing()[0]
	require.Equal(t, third.ID, s.ID)
	require.Equal(t, first.ClientState, s.ClientState)
	k.service.set(func() { clear(k.service.subs) })
	k.service.lifecycle(s, LifecycleRemoved)
	require.ErrorIs(t, k.expect(WatchDown).Err, ErrRemoved)
	// It had not stood for long: the next one is not hurried.
	require.LessOrEqual(t, k.clock.step(t), time.Second)
	k.expect(WatchUp)
	require.Equal(t, 4, k.Snapshot()[0].Created)

	// Late news of one that is gone change nothing.
	k.service.lifecycle(s, LifecycleRemoved)
	k.service.lifecycle(s, LifecycleMissed)
	k.expect(WatchMissed)
	require.Len(t, k.service.standing(), 1)
}

func TestKeeperReauthorizes(t *testing.T) {
	k := newKeeping(t, nil)
	s := k.up()
	k.service.ops()
	k.service.lifecycle(s, LifecycleReauthorize)
	k.expect(WatchRenewed)
	require.Equal(t, []string{"update"}, k.service.ops())

	// What cannot be renewed is at least reauthorized.
	k.service.set(func() { k.service.refuse = func(op string) int { return map[string]int{"update": 500}[op] } })
	k.service.lifecycle(s, LifecycleReauthorize)
	k.expect(WatchReauthorized)
	k.expect(WatchFailed)
	require.Equal(t, []string{"update", "reauthorize"}, k.service.ops())

	// And asked for again while neither works.
	k.service.set(func() {
		k.service.refuse = func(op string) int { return map[string]int{"update": 500, "reauthorize": 500}[op] }
	})
	k.Lifecycle("standup", s.ID, LifecycleReauthorize)
	k.clock.step(t)
	k.expect(WatchFailed)
	k.service.set(func() { k.service.refuse = nil })
	require.LessOrEqual(t, k.clock.step(t), 4*time.Second)
	k.expect(WatchRenewed)
}

func TestKeeperRotatesKeys(t *testing.T) {
	k := newKeeping(t, nil)
	old := k.up()
	require.NoError(t, k.Rotate(richKey(t, "b")))
	k.expect(WatchRenewed)
	require.Equal(t, "b", k.Snapshot()[0].CertificateID)
	s := k.service.standing()[0]
	require.Equal(t, "b", s.EncryptionCertificateID)
	for _, one := range []Subscription{old, s} {
		k.service.notify(one, `{"eventType":"callStarted"}`, "")
		require.Equal(t, CallStarted, (<-k.changes).Event.Kind(), one.EncryptionCertificateID)
	}
	require.Error(t, k.Rotate(richKey(t, "b")))
	require.NoError(t, k.config.Keys.Remove("a"))
	k.service.notify(old, `{"eventType":"callStarted"}`, "")
	require.Equal(t, map[string]int64{"unknown_key": 1}, settle(t, k.webhook).Rejected)
}

// TestKeeperReplacesWhatStands: a run before this one left a subscription, and
// its client state is known to nobody.
func TestKeeperReplacesWhatStands(t *testing.T) {
	k := newKeeping(t, nil)
	left := func(id, address string) {
		k.service.set(func() {
			k.service.subs[id] = Subscription{
				ID: id, Resource: k.resource, ChangeType: "updated", NotificationURL: address,
				ExpirationDateTime: DateTime{noticeTime.Add(time.Hour)},
			}
			k.service.order = append(k.service.order, id)
		})
	}
	left("left", k.server.URL+"/graph/changes")
	k.up()
	require.Equal(t, []string{"create", "list", "delete", "create"}, k.service.ops())
	require.NoError(t, k.Remove(t.Context(), "standup"))

	// That of another program is not ours to delete.
	left("other", "https://elsewhere.example/")
	require.NoError(t, k.Add(Watch{Resource: k.resource}))
	e := k.expect(WatchFailed)
	require.ErrorContains(t, e.Err, "already exists")
	require.Equal(t, k.resource, e.Name)
	require.Len(t, k.service.standing(), 1)
	require.Contains(t, k.Snapshot()[0].Err, "409")
	require.NoError(t, k.Remove(t.Context(), k.resource))
	k.service.set(func() { clear(k.service.subs) })
}

// TestKeeperAfterALostResponse: the subscription stands and its id is unknown.
func TestKeeperAfterALostResponse(t *testing.T) {
	k := newKeeping(t, nil)
	var lose sync.Once
	k.service.set(func() {
		k.service.after = func(string, Subscription) { lose.Do(func() { panic(http.ErrAbortHandler) }) }
	})
	require.NoError(t, k.Add(Watch{Name: "standup", Resource: k.resource}))
	k.expect(WatchFailed)
	require.Len(t, k.service.standing(), 1)
	k.clock.step(t)
	k.expect(WatchUp)
	require.Equal(t, []string{"create", "list", "delete", "create"}, k.service.ops())
	require.Len(t, k.service.standing(), 1)
}

func TestKeeperOutlivesAPanic(t *testing.T) {
	k := newKeeping(t, func(c *KeeperConfig) {
		next := c.OnEvent
		c.OnEvent = func(e WatchEvent) { next(e); panic("app") }
	})
	k.up()
	k.clock.step(t)
	k.expect(WatchRenewed)
}

func TestKeeperAddressThatDoesNotAnswer(t *testing.T) {
	k := newKeeping(t, func(c *KeeperConfig) { c.NotificationURL += "/nobody" })
	require.NoError(t, k.Add(Watch{Name: "standup", Resource: k.resource}))
	for range 3 {
		require.ErrorContains(t, k.expect(WatchFailed).Err, "ValidationError")
		k.clock.step(t)
	}
	require.NotContains(t, fmt.Sprint(k.service.ops()), "list", "a refusal leaves nothing behind")
}

func TestKeeperBoundsAndErrors(t *testing.T) {
	k := newKeeping(t, func(c *KeeperConfig) { c.MaxWatches, c.Keys = 2, nil })
	require.ErrorContains(t, k.Add(Watch{}), "Resource is empty")
	require.ErrorContains(t, k.Add(Watch{Resource: "r", ChangeType: "gone"}), "changeType")
	require.NoError(t, k.Add(Watch{Name: "b", Resource: "chats/1", ChangeType: "created"}))
	require.ErrorContains(t, k.Add(Watch{Name: "b", Resource: "chats/2"}), "kept already")
	require.NoError(t, k.Add(Watch{Name: "a", Resource: "chats/2"}))
	require.ErrorIs(t, k.Add(Watch{Name: "c", Resource: "chats/3"}), ErrTooManyWatches)
	k.expect(WatchUp)
	k.expect(WatchUp)
	require.False(t, slices.ContainsFunc(k.service.standing(), func(s Subscription) bool { return s.IncludeResourceData }), "basic")
	require.Equal(t, "a", k.Snapshot()[0].Name)
	require.ErrorContains(t, k.Rotate(richKey(t, "b")), "no Keys")
	require.ErrorIs(t, k.Run(t.Context()), session.ErrClosed)

	require.NoError(t, k.Close(t.Context()))
	require.Empty(t, k.service.standing())
	require.ErrorIs(t, k.Add(Watch{Resource: "r"}), session.ErrClosed)

	c := subscriber(t, k.service, time.Now)
	for want, config := range map[string]KeeperConfig{
		"Client is nil":           {},
		"NotificationURL":         {Client: c},
		"LifecycleURL":            {Client: c, NotificationURL: "https://h", LifecycleURL: "http://h"},
		"Lifetime 44m0s":          {Client: c, NotificationURL: "https://h", Lifetime: 44 * time.Minute},
		"Lifetime 72h0m1s":        {Client: c, NotificationURL: "https://h", Lifetime: 72*time.Hour + time.Second},
		"RenewBefore 1h0m0s":      {Client: c, NotificationURL: "https://h", Lifetime: time.Hour, RenewBefore: time.Hour},
		"retries after 2s to 1s":  {Client: c, NotificationURL: "https://h", MinRetry: 2 * time.Second, MaxRetry: time.Second},
		"retries after -1s to 5m": {Client: c, NotificationURL: "https://h", MinRetry: -time.Second},
	} {
		_, err := NewKeeper(config)
		require.ErrorContains(t, err, want)
	}
}

func TestKeeperStopsWithItsContext(t *testing.T) {
	f := newFakeSubscriptions(t, time.Now)
	k, err := NewKeeper(KeeperConfig{Client: subscriber(t, f, time.Now), NotificationURL: f.URL, KeepOnClose: true})
	require.NoError(t, err)
	require.NoError(t, k.Add(Watch{Resource: "r"}), "before Run")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	require.ErrorContains(t, k.Run(ctx), "enough")
	require.ErrorIs(t, k.Add(Watch{Resource: "s"}), session.ErrClosed)
	require.NoError(t, k.Close(t.Context()))
	require.NoError(t, k.Close(t.Context()))
}
