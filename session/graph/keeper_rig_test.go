package graph

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// stepClock stands still until its earliest timer is asked for.
type stepClock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*stepTimer]bool
	armed  chan struct{} // one for each new timer
}

type stepTimer struct {
	at time.Time
	c  chan time.Time
}

func newStepClock() *stepClock {
	return &stepClock{now: noticeTime, timers: map[*stepTimer]bool{}, armed: make(chan struct{}, 10_000)}
}

func (c *stepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stepClock) clock() session.Clock {
	return session.Clock{Now: c.Now, NewTimer: func(d time.Duration) (<-chan time.Time, func() bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		t := &stepTimer{c.now.Add(d), make(chan time.Time, 1)}
		c.timers[t] = true
		c.armed <- struct{}{}
		return t.c, func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			was := c.timers[t]
			delete(c.timers, t)
			return was
		}
	}}
}

// step waits for a timer and goes to the time of the earliest. It returns by
// how much.
func (c *stepClock) step(t *testing.T) time.Duration {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		c.mu.Lock()
		var first *stepTimer
		for one := range c.timers {
			if first == nil || one.at.Before(first.at) {
				first = one
			}
		}
		if first != nil {
			d := first.at.Sub(c.now)
			c.now = first.at
			delete(c.timers, first)
			first.c <- c.now
			c.mu.Unlock()
			return d
		}
		c.mu.Unlock()
		select {
		case <-c.armed:
		case <-deadline:
			t.Fatal("no timer is armed")
		}
	}
}

// keeping is a Keeper with its webhook, its service and its clock.
type keeping struct {
	*Keeper
	t        *testing.T
	clock    *stepClock
	service  *fakeSubscriptions
	server   *httptest.Server
	webhook  *ChangeWebhook
	events   chan WatchEvent
	changes  chan Change
	resource string
	stopped  chan error
}

// newKeeping serves the webhook, and runs the keeper unless change says no.
func newKeeping(t *testing.T, change func(*KeeperConfig)) *keeping {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	k := &keeping{t: t, clock: newStepClock(), events: make(chan WatchEvent, 1000), changes: make(chan Change, 1000), stopped: make(chan error, 1)}
	k.service = newFakeSubscriptions(t, k.clock.Now)
	mux := http.NewServeMux()
	k.server = httptest.NewServer(mux)
	ring, err := NewKeyring(richKey(t, "a"))
	require.NoError(t, err)
	config := KeeperConfig{
		Client: subscriber(t, k.service, k.clock.Now), NotificationURL: k.server.URL + "/graph/changes", Keys: ring,
		OnEvent: func(e WatchEvent) { k.events <- e }, Clock: k.clock.clock(),
	}
	if change != nil {
		change(&config)
	}
	k.Keeper, err = NewKeeper(config)
	require.NoError(t, err)
	k.webhook, err = NewChangeWebhook(ChangeWebhookConfig{
		Watcher: k.Keeper, Keys: config.Keys, Insecure: true, OnChange: func(c Change) { k.changes <- c },
	})
	require.NoError(t, err)
	mux.Handle("/graph/changes", k.webhook)
	k.resource, err = MeetingCallEvents(eventsJoinURL)
	require.NoError(t, err)
	go func() { k.stopped <- k.Run(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, k.Close(ctx))
		require.NoError(t, <-k.stopped)
		require.NoError(t, k.webhook.Close(ctx))
		require.Empty(t, k.byID)
		k.server.Close()
		k.service.Close()
		config.Client.http.CloseIdleConnections()
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, leaks)
	})
	return k
}

// expect waits for an event of that kind, which must be the next.
func (k *keeping) expect(kind WatchEventKind) WatchEvent {
	k.t.Helper()
	select {
	case e := <-k.events:
		require.Equal(k.t, kind.String(), e.Kind.String(), e.Err)
		return e
	case <-time.After(10 * time.Second):
		k.t.Fatalf("no event, want %v", kind)
	}
	return WatchEvent{}
}

// up adds a watch of a meeting and waits until it is up.
func (k *keeping) up() Subscription {
	k.t.Helper()
	require.NoError(k.t, k.Add(Watch{Name: "standup", Resource: k.resource}))
	e := k.expect(WatchUp)
	all := k.service.standing()
	require.Len(k.t, all, 1)
	require.Equal(k.t, all[0].ID, e.ID)
	require.Equal(k.t, "standup", e.Name)
	return all[0]
}
