package cloud

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// answers makes an app answer with these statuses in turn, and with 202 after
// them. 0 is no answer in time.
func (b *changeBot) answers(statuses ...int) {
	b.set(func(w http.ResponseWriter, _ *http.Request) {
		b.mu.Lock()
		status := http.StatusAccepted
		if len(statuses) > 0 {
			status, statuses = statuses[0], statuses[1:]
		}
		b.mu.Unlock()
		if status == 0 {
			time.Sleep(changeTimeout + time.Second)
			return
		}
		w.WriteHeader(status)
	})
}

func TestChangesAreRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		id := b.subscribe(nil)
		b.answers(500, 0, 302)
		start := time.Now()
		b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted})
		time.Sleep(time.Minute)
		posts := b.posts()
		require.Len(t, posts, 4)
		for i, at := range []time.Duration{0, 5 * time.Second, 18 * time.Second, 38 * time.Second} {
			require.Equal(t, at, posts[i].at.Sub(start), "%d", i)
			require.Equal(t, posts[0].body["value"], posts[i].body["value"])
		}
		require.NotEqual(t, posts[0].body["validationTokens"], posts[1].body["validationTokens"], "each attempt is signed anew")
		log := b.c.changeLog()
		require.Len(t, log.Deliveries, 1)
		d := log.Deliveries[0]
		require.Equal(t, ChangeDelivery{
			SubscriptionID: id, URL: "https://bot.test/notify?key=1", IDs: d.IDs, Events: []MeetingCallEventType{CallStarted},
			Queued: start, Attempts: 4, Slow: 1, Status: 202, Done: true,
		}, d)
		require.Len(t, d.IDs, 1)
	})
}

func TestChangesAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, func(cfg *changesConfig) {
			cfg.scaled = func(d time.Duration) time.Duration { return d / 100 }
		})
		defer b.close()
		id := b.subscribe(nil)
		b.set(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/notify" {
				w.WriteHeader(503)
			}
		})
		b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted})
		for range changeRetry / authorizeFirst {
			time.Sleep(authorizeFirst / 100)
			require.False(t, b.c.changeLog().Deliveries[0].Done)
			status, _ := b.do("POST", "/"+id+"/reauthorize", nil)
			require.Equal(t, 204, status)
		}
		time.Sleep(authorizeFirst / 100)
		log := b.c.changeLog()
		require.True(t, log.Deliveries[0].Done)
		require.Equal(t, "HTTP 503", log.Deliveries[0].Error)
		require.Equal(t, map[string]int{dropGaveUp: 1}, log.Dropped)
		require.Equal(t, 1, b.told(Missed))
	})
}

// told returns how many lifecycle notifications of a kind came.
func (b *changeBot) told(event LifecycleEvent) (n int) {
	for _, p := range b.posts() {
		for _, item := range p.items() {
			if item["lifecycleEvent"] == string(event) {
				n++
			}
		}
	}
	return n
}

// An app that does not answer fills its own queue, which is bounded.
func TestChangeQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		id := b.subscribe(nil)
		b.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
		queued := 0
		for range 2 * maxChangeQueue {
			queued += b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted})
		}
		require.Equal(t, maxChangeQueue, queued)
		require.Equal(t, maxChangeQueue, b.c.changeLog().Dropped[dropQueue])
		for range maxLifecycleQueue - 1 { // Missed waits already
			require.NoError(t, b.c.lifecycle(id, ReauthorizationRequired))
		}
		require.ErrorContains(t, b.c.lifecycle(id, ReauthorizationRequired), "wait already")
		require.Equal(t, maxChangeQueue+1, b.c.changeLog().Dropped[dropQueue])
		status, _ := b.do("DELETE", "/"+id, nil)
		require.Equal(t, 204, status)
		time.Sleep(changeRetry + time.Hour)
		require.Equal(t, maxChangeQueue+maxLifecycleQueue, b.c.changeLog().Dropped[dropRemoved])
		for _, d := range b.c.changeLog().Deliveries {
			require.True(t, d.Done)
		}
	})
}

func TestChangeJournalIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		b.subscribe(map[string]any{"includeResourceData": false})
		for range maxChangeJournal + 10 {
			b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted})
			synctest.Wait()
		}
		log := b.c.changeLog()
		require.Len(t, log.Deliveries, maxChangeJournal)
		require.Equal(t, 10, log.Omitted)
	})
}

// Three days in 4.32 s: the subscription expires, and is not told.
func TestSubscriptionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const speed = 60000
		start := time.Now()
		b := newChangeBot(t, func(cfg *changesConfig) {
			cfg.scaled = func(d time.Duration) time.Duration { return d / speed }
			cfg.now = func() time.Time { return start.Add(speed * time.Since(start)) }
		})
		defer b.close()
		id := b.subscribe(nil)
		end := maxSubscriptionLife / speed
		for time.Since(start) < end-time.Millisecond {
			require.Equal(t, 1, b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted}))
			status, _ := b.do("POST", "/"+id+"/reauthorize", nil)
			require.Equal(t, 204, status)
			time.Sleep(min(40*time.Minute/speed, end-time.Since(start)))
		}
		synctest.Wait()
		require.Zero(t, b.c.event(changeMeeting, MeetingCallEvent{Type: CallEnded}))
		status, _ := b.do("PATCH", "/"+id, map[string]any{"expirationDateTime": graphDate(b.c.now().Add(time.Hour))})
		require.Equal(t, 404, status)
		require.Zero(t, b.told(SubscriptionRemoved))
		renewed := b.subscribe(map[string]any{"expirationDateTime": graphDate(b.c.now().Add(time.Hour))})
		require.NotEqual(t, id, renewed, "the meeting can be subscribed to anew")
		for range 3 {
			time.Sleep(50 * time.Minute / speed)
			status, v := b.do("PATCH", "/"+renewed, map[string]any{"expirationDateTime": graphDate(b.c.now().Add(time.Hour))})
			require.Equal(t, 200, status, v)
		}
		require.Equal(t, 1, b.c.event(changeMeeting, MeetingCallEvent{Type: CallEnded}))
	})
}

func TestReauthorization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		id := b.subscribe(nil)
		time.Sleep(authorizeFirst + time.Second)
		posts := b.posts()
		require.Len(t, posts, 1)
		require.Equal(t, "/lifecycle", posts[0].path)
		_, v := b.do("GET", "/"+id, nil)
		require.Equal(t, map[string]any{"value": []any{map[string]any{
			"subscriptionId": id, "subscriptionExpirationDateTime": v["expirationDateTime"], "tenantId": changeTenant,
			"clientState": "secret", "lifecycleEvent": "reauthorizationRequired",
		}}}, posts[0].body)

		// Answered: it is asked after 45 min again, and goes on.
		status, _ := b.do("POST", "/"+id+"/reauthorize", nil)
		require.Equal(t, 204, status)
		_, again := b.do("GET", "/"+id, nil)
		require.Equal(t, v["expirationDateTime"], again["expirationDateTime"])
		time.Sleep(authorizeFirst - time.Second)
		require.Zero(t, b.told(ReauthorizationRequired))

		// Not answered: it is asked every 15 min, and nothing else comes.
		time.Sleep(authorizeAgain + 2*time.Second)
		require.Equal(t, 2, b.told(ReauthorizationRequired))
		b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted})
		time.Sleep(changeRetry - time.Hour)
		for _, p := range b.posts() {
			require.Equal(t, "/lifecycle", p.path)
		}
		// Answered at last: what was held back comes.
		status, _ = b.do("PATCH", "/"+id, map[string]any{"expirationDateTime": graphDate(time.Now().Add(71 * time.Hour))})
		require.Equal(t, 200, status)
		synctest.Wait()
		posts = b.posts()
		require.Len(t, posts, 1)
		require.Equal(t, "/notify?key=1", posts[0].path)

		// But not after four hours.
		time.Sleep(authorizeLife)
		b.c.event(changeMeeting, MeetingCallEvent{Type: CallEnded})
		time.Sleep(changeRetry + time.Second)
		require.Equal(t, map[string]int{dropPaused: 1}, b.c.changeLog().Dropped)
		require.Equal(t, 1, b.told(Missed))
	})
}

// A subscription of an hour without a lifecycleNotificationUrl is not asked.
func TestUnwatchedSubscriptionDoesNotPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		id := b.subscribe(map[string]any{"lifecycleNotificationUrl": nil, "expirationDateTime": graphDate(time.Now().Add(time.Hour))})
		time.Sleep(59 * time.Minute)
		require.Equal(t, 1, b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted}))
		synctest.Wait()
		require.Len(t, b.posts(), 1)
		require.ErrorContains(t, b.c.lifecycle(id, Missed), "no lifecycleNotificationUrl")
	})
}

func TestLifecycleByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		id := b.subscribe(nil)
		for _, event := range []LifecycleEvent{ReauthorizationRequired, Missed} {
			require.NoError(t, b.c.lifecycle(id, event))
			synctest.Wait()
			require.Equal(t, 1, b.told(event))
		}
		require.ErrorContains(t, b.c.lifecycle(id, "renewed"), "event")
		require.ErrorContains(t, b.c.lifecycle("x", Missed), `id: "x"`)
		b.answers(500) // even a removed subscription's app is told with patience
		require.NoError(t, b.c.lifecycle(id, SubscriptionRemoved))
		status, _ := b.do("GET", "/"+id, nil)
		require.Equal(t, 404, status)
		time.Sleep(time.Minute)
		require.Equal(t, 2, b.told(SubscriptionRemoved))
		require.ErrorContains(t, b.c.lifecycle(id, Missed), "id")
	})
}

// An endpoint whose answers are slow has its notifications delayed, then
// dropped, until its window ends.
func TestSlowEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		b.subscribe(map[string]any{"includeResourceData": false})
		say := func(slow bool) {
			b.set(func(http.ResponseWriter, *http.Request) {
				if slow {
					time.Sleep(slowAnswer + time.Millisecond)
				}
			})
			require.Equal(t, 1, b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted}))
			time.Sleep(slowAnswer + 2*time.Millisecond)
		}
		for i := range 100 {
			say(i < 10)
		}
		require.Len(t, b.posts(), 100)
		b.c.event(changeMeeting, MeetingCallEvent{Type: CallEnded})
		time.Sleep(throttleDelay - time.Second)
		require.Empty(t, b.posts(), "delayed")
		time.Sleep(2 * time.Second)
		require.Len(t, b.posts(), 1)
		time.Sleep(throttleWindow)
		for i := range 100 {
			say(i < 15)
		}
		require.Zero(t, b.c.event(changeMeeting, MeetingCallEvent{Type: CallEnded}))
		require.Equal(t, map[string]int{dropThrottled: 1}, b.c.changeLog().Dropped)
		time.Sleep(throttleWindow)
		say(false)
	})
}

func TestEndpointsAreBounded(t *testing.T) {
	b := newChangeBot(t, nil)
	defer b.close()
	now := time.Now()
	for i := range 2 * maxChangeSubscriptions {
		b.c.endpoint(fmt.Sprintf("https://%d.test/x", i), now)
	}
	require.Len(t, b.c.endpoints, maxChangeSubscriptions)
	b.c.endpoint("https://new.test/", now.Add(throttleWindow))
	require.Len(t, b.c.endpoints, 1)
}

func TestSubscriptionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		m := map[string]any{"includeResourceData": false}
		for i := range maxChangeSubscriptions {
			m["resource"] = fmt.Sprintf("communications/onlineMeetings(joinWebUrl='https%%3A%%2F%%2Fteams.microsoft.com%%2Fmeet%%2F%d')/meetingCallEvents", i)
			b.subscribe(m)
		}
		m["resource"] = "communications/onlineMeetings(joinWebUrl='https%3A%2F%2Fteams.microsoft.com%2Fmeet%2Fx')/meetingCallEvents"
		status, v := b.do("POST", "", b.request(m))
		requireGraphError(t, 403, "ExtensionError", "quota", status, v)
		b.cancel()
		status, v = b.do("POST", "", b.request(m))
		requireGraphError(t, 503, "ServiceUnavailable", "shutting down", status, v)
	})
}
