package graph

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watchLog is a Watcher with one subscription, and remembers.
type watchLog struct {
	mu     sync.Mutex
	rich   bool
	events []string
	told   chan struct{}
}

const (
	watchedID    = "76222963-cc7b-42d2-882d-8aaa69cb2ba3"
	watchedState = "published-client-state"
)

func (w *watchLog) Lookup(id, state string) (Watched, error) {
	switch {
	case !strings.HasPrefix(id, "7622"):
		return Watched{}, ErrUnknownSubscription
	case state != watchedState:
		return Watched{}, ErrClientState
	}
	return Watched{Name: "meeting " + strings.TrimPrefix(id, watchedID), Rich: w.rich}, nil
}

func (w *watchLog) Lifecycle(_, id string, event LifecycleEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprint(id, " ", event))
	w.told <- struct{}{}
}

// newChanges makes a webhook of subscriptions like those of notification.json,
// and the channel of what it hands on.
func newChanges(t *testing.T, watcher *watchLog, change func(*ChangeWebhookConfig)) (*ChangeWebhook, <-chan Change) {
	t.Helper()
	if watcher == nil {
		watcher = &watchLog{rich: true}
	}
	watcher.told = make(chan struct{}, 1000)
	ring, err := NewKeyring(richKey(t, "a"), richKey(t, "b"))
	require.NoError(t, err)
	changes := make(chan Change, 1000)
	config := ChangeWebhookConfig{
		Watcher: watcher, Keys: ring, Insecure: true, OnChange: func(c Change) { changes <- c },
		Now: func() time.Time { return noticeTime },
	}
	if change != nil {
		change(&config)
	}
	w, err := NewChangeWebhook(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close(context.Background())) })
	return w, changes
}

// settle closes w, so that all it took in is done.
func settle(t *testing.T, w *ChangeWebhook) ChangeStats {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, w.Close(ctx))
	return w.Stats()
}

func postTo(w http.Handler, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

// rich is a POST of one encrypted notification.
func rich(t *testing.T, plain string, change func(*ChangeNotifications)) string {
	t.Helper()
	all := ChangeNotifications{Value: []ChangeNotification{{
		SubscriptionID: watchedID, ClientState: watchedState, ChangeType: "updated",
		Resource: eventsPrefix + url.QueryEscape(eventsJoinURL) + eventsSuffix, EncryptedContent: seal(t, richKey(t, "a"), []byte(plain), nil),
	}}}
	if change != nil {
		change(&all)
	}
	text, err := json.Marshal(all)
	require.NoError(t, err)
	return string(text)
}

func TestValidationHandshake(t *testing.T) {
	w, _ := newChanges(t, nil, nil)
	const token = "Validation: <script>alert(1)</script>&a=b + é"
	rec := postTo(w, "/graph/changes?secret=1&validationToken="+url.QueryEscape(token), "", "Content-Type", "text/plain; charset=utf-8")
	require.Equal(t, http.StatusOK, rec.Code)
	require.Equal(t, token, rec.Body.String(), "decoded, and otherwise as it came")
	require.Equal(t, "text/plain; charset=utf-8", rec.Header().Get("Content-Type"))
	require.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
	require.Equal(t, http.StatusOK, postTo(w, "/graph/changes/lifecycle?validationToken=x", "").Code)

	for _, bad := range []string{"", strings.Repeat("x", maxValidation+1)} {
		rec = postTo(w, "/graph/changes?validationToken="+bad, "")
		require.Equal(t, http.StatusBadRequest, rec.Code)
		require.Contains(t, rec.Body.String(), "validationToken of")
		require.NotContains(t, rec.Body.String(), "xxx")
	}
	r := httptest.NewRequest(http.MethodGet, "/graph/changes?validationToken=x", nil)
	rec = httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
	require.EqualValues(t, 2, w.Stats().Validations)
}

// TestRichNotifications hands in what OpenSSL encrypted.
func TestRichNotifications(t *testing.T) {
	w, changes := newChanges(t, nil, nil)
	require.Equal(t, http.StatusAccepted, postTo(w, "/graph/changes", string(richFile(t, "notification.json"))).Code)
	first, second := <-changes, <-changes
	require.Equal(t, RosterUpdated, first.Event.Kind())
	require.Equal(t, RemovalNone, first.Event.Roster()[0].Removal())
	require.Equal(t, RemovalLeft, second.Event.Roster()[0].Removal())
	require.Equal(t, string(richFile(t, "plain-1.json")), string(second.Resource))
	require.Equal(t, noticeTime, first.Received)
	require.Equal(t, "meeting ", first.Name)
	meeting, err := MeetingOf(first.Notification.Resource)
	require.NoError(t, err)
	require.Equal(t, eventsJoinURL, meeting)
	require.Empty(t, first.Notification.ClientState)
	require.NotContains(t, fmt.Sprintf("%v %+v", first.Notification, first), watchedState)
	s := settle(t, w)
	require.EqualValues(t, 2, s.Changes)
	require.Empty(t, s.Rejected)
}

func TestBasicAndForeignNotifications(t *testing.T) {
	w, changes := newChanges(t, &watchLog{}, nil)
	item := func(resource, data string) string {
		return `{"value":[{"SubscriptionId":"` + watchedID + `","ClientState":"` + watchedState + `","ChangeType":"Updated","Resource":"` + resource + `","ResourceData":` + data + `}]}`
	}
	events := eventsPrefix + "https%3A%2F%2Fh" + eventsSuffix
	require.Equal(t, http.StatusAccepted, postTo(w, "/graph/changes", item(events, `{"id":"1"}`)).Code)
	c := <-changes
	require.Nil(t, c.Event, "an id alone is no event")
	require.JSONEq(t, `{"id":"1"}`, string(c.Resource))
	require.Equal(t, Enum("updated"), c.Notification.ChangeType)

	postTo(w, "/graph/changes", item("communications/onlineMeetings/?$filter=JoinWebUrl eq 'https://h'", `{"eventType":"Microsoft.Communication.CallStarted"}`))
	require.Equal(t, CallStarted, (<-changes).Event.Kind(), "as they were in 2021")

	postTo(w, "/graph/changes", rich(t, `{"@odata.type":"#Microsoft.Graph.chatMessage"}`, func(all *ChangeNotifications) { all.Value[0].Resource = "chats/1" }))
	c = <-changes
	require.Nil(t, c.Event, "of a resource that is no meeting")
	require.JSONEq(t, `{"@odata.type":"#Microsoft.Graph.chatMessage"}`, string(c.Resource))
	require.EqualValues(t, 3, settle(t, w).Changes)
}

// TestWhatIsNotOursIsAccepted: all of it is answered 202, and none of it is
// handed on.
func TestWhatIsNotOursIsAccepted(t *testing.T) {
	const plain = `{"eventType":"callStarted"}`
	for _, c := range []struct {
		name, reason string
		change       func(*ChangeNotification)
	}{
		{"unknown subscription", "ignored:unknown", func(n *ChangeNotification) { n.SubscriptionID = "1" }},
		{"no client state", "ignored:client_state", func(n *ChangeNotification) { n.ClientState = "" }},
		{"wrong client state", "ignored:client_state", func(n *ChangeNotification) { n.ClientState += "x" }},
		{"no subscription", "item", func(n *ChangeNotification) { n.SubscriptionID = "" }},
		{"not encrypted", "not_encrypted", func(n *ChangeNotification) {
			n.EncryptedContent, n.ResourceData = nil, json.RawMessage(plain)
		}},
		{"another key", "unknown_key", func(n *ChangeNotification) { n.EncryptedContent.EncryptionCertificateID = "c" }},
		{"another certificate", "unknown_key", func(n *ChangeNotification) { n.EncryptedContent.EncryptionCertificateThumbprint = "00" }},
		{"key of another", "malformed", func(n *ChangeNotification) {
			n.EncryptedContent.EncryptionCertificateID, n.EncryptedContent.EncryptionCertificateThumbprint = "b", ""
		}},
		{"signature", "content", func(n *ChangeNotification) {
			n.EncryptedContent.DataSignature = flipped(t, n.EncryptedContent.DataSignature)
		}},
		{"truncated", "content", func(n *ChangeNotification) { n.EncryptedContent.Data = cut(t, n.EncryptedContent.Data, 16) }},
		{"cut in a block", "malformed", func(n *ChangeNotification) { n.EncryptedContent.Data = cut(t, n.EncryptedContent.Data, 3) }},
		{"padding", "content", func(n *ChangeNotification) {
			n.EncryptedContent = seal(t, richKey(t, "a"), nil, append(make([]byte, 15), 77))
		}},
		{"no JSON within", "decode", func(n *ChangeNotification) { n.EncryptedContent = seal(t, richKey(t, "a"), []byte("hello"), nil) }},
		{"no JSON within another resource", "decode", func(n *ChangeNotification) {
			n.Resource, n.EncryptedContent = "chats/1", seal(t, richKey(t, "a"), []byte("hello"), nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, changes := newChanges(t, nil, nil)
			body := rich(t, plain, func(all *ChangeNotifications) { c.change(&all.Value[0]) })
			rec := postTo(w, "/graph/changes", body)
			require.Equal(t, http.StatusAccepted, rec.Code)
			require.Empty(t, rec.Body.String())
			s := settle(t, w)
			require.Empty(t, changes)
			if reason, ok := strings.CutPrefix(c.reason, "ignored:"); ok {
				require.Equal(t, map[string]int64{reason: 1}, s.Ignored)
				return
			}
			require.Equal(t, map[string]int64{c.reason: 1}, s.Rejected)
		})
	}
}

func TestBadChangeRequests(t *testing.T) {
	w, changes := newChanges(t, nil, func(c *ChangeWebhookConfig) { c.MaxBody = 10_000 })
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(make([]byte, 1<<20))
	require.NoError(t, z.Close())
	for _, c := range []struct {
		path, body string
		header     []string
		status     int
	}{
		{"/", "", nil, 404},
		{"/graph/changesx", "", nil, 404},
		{"/graph/changes", "", nil, 400},
		{"/graph/changes", "{}", nil, 400},
		{"/graph/changes", `{"value":7}`, nil, 400},
		{"/graph/changes", `{"value":[],"validationTokens":7}`, nil, 400},
		{"/graph/changes", strings.Repeat(" ", 10_001), nil, 413},
		{"/graph/changes", packed.String(), []string{"Content-Encoding", "gzip"}, 413},
		{"/graph/changes", "{}", []string{"Content-Type", "text/html"}, 415},
		{"/graph/changes", `{"value":[]}`, nil, 202},
		{"/graph/changes/lifecycle", `{"value":[null,7,{}]}`, nil, 202},
	} {
		require.Equal(t, c.status, postTo(w, c.path, c.body, c.header...).Code, c)
	}
	s := settle(t, w)
	require.EqualValues(t, 2, s.NotFound)
	require.Equal(t, map[string]int64{"decode": 4, "too_large": 2, "content_type": 1}, s.Bad)
	require.Equal(t, map[string]int64{"item": 3}, s.Rejected)
	require.Empty(t, changes)
	rec := postTo(w, "/graph/changes", `{"value":[]}`)
	require.Equal(t, http.StatusServiceUnavailable, rec.Code, "closed")
	require.Equal(t, "60", rec.Header().Get("Retry-After"))

	for want, change := range map[string]func(*ChangeWebhookConfig){
		"Watcher is nil":     func(c *ChangeWebhookConfig) { c.Watcher = nil },
		"OnChange is nil":    func(c *ChangeWebhookConfig) { c.OnChange = nil },
		"neither Verify nor": func(c *ChangeWebhookConfig) { c.Insecure = false },
		"both Verify and":    func(c *ChangeWebhookConfig) { c.Verify = (&ChangeVerifier{}).Verify },
		"queue of -1":        func(c *ChangeWebhookConfig) { c.Queue = -1 },
		`Path "x"`:           func(c *ChangeWebhookConfig) { c.Path = "x" },
		"MaxBody is -1":      func(c *ChangeWebhookConfig) { c.MaxBody = -1 },
	} {
		config := ChangeWebhookConfig{Watcher: &watchLog{}, OnChange: func(Change) {}, Insecure: true}
		change(&config)
		_, err := NewChangeWebhook(config)
		require.ErrorContains(t, err, want)
	}
}

func TestLifecycleNotifications(t *testing.T) {
	watcher := &watchLog{rich: true}
	w, changes := newChanges(t, watcher, nil)
	for _, event := range []string{"reauthorizationRequired", "SubscriptionRemoved", "missed", "danced"} {
		postTo(w, "/graph/changes", `{"value":[{"subscriptionId":"`+watchedID+`","clientState":"`+watchedState+`","lifecycleEvent":"`+event+`"},
			{"subscriptionId":"`+watchedID+`","clientState":"guessed","lifecycleEvent":"`+event+`"}]}`)
	}
	s := settle(t, w)
	require.Equal(t, []string{watchedID + " reauthorizationRequired", watchedID + " subscriptionRemoved", watchedID + " missed", watchedID + " danced"}, watcher.events)
	require.EqualValues(t, 4, s.Lifecycle)
	require.Equal(t, map[string]int64{"client_state": 4}, s.Ignored)
	require.Empty(t, changes)
}

// TestOrderAndOverflow: names do not wait for each other, one name is handed
// on in order, and what has no room is counted and told.
func TestOrderAndOverflow(t *testing.T) {
	watcher := &watchLog{}
	hold, entered := make(chan struct{}), make(chan struct{}, 1)
	var mu sync.Mutex
	got := map[string][]string{}
	w, _ := newChanges(t, watcher, func(c *ChangeWebhookConfig) {
		c.Queue = 3
		c.OnChange = func(c Change) {
			if string(c.Resource) == `"hold"` {
				entered <- struct{}{}
				<-hold
			}
			mu.Lock()
			got[c.Name] = append(got[c.Name], string(c.Resource))
			mu.Unlock()
			if string(c.Resource) == `"panic"` {
				panic("app")
			}
		}
	})
	send := func(id, data string) {
		body := `{"value":[{"subscriptionId":"` + watchedID + id + `","clientState":"` + watchedState + `","resource":"r","resourceData":"` + data + `"}]}`
		require.Equal(t, http.StatusAccepted, postTo(w, "/graph/changes", body).Code)
	}
	send("", "hold")
	<-entered
	for _, data := range []string{"panic", "1", "2", "3", "4"} {
		send("", data)
	}
	require.Equal(t, 3, w.Stats().Queued)
	send("x", "other")
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(got["meeting x"]) == 1 }, 10*time.Second, time.Millisecond)
	close(hold)
	<-watcher.told
	s := settle(t, w)
	require.Equal(t, []string{`"hold"`, `"panic"`, `"1"`, `"2"`}, got["meeting "])
	require.Equal(t, []string{watchedID + " missed"}, watcher.events)
	require.EqualValues(t, 2, s.Dropped)
	require.EqualValues(t, 1, s.Panics)
	require.EqualValues(t, 5, s.Changes)
	require.Zero(t, s.Queued)
	require.Empty(t, w.lanes)
	require.Zero(t, w.bytes)
}

func TestCloseGivesUp(t *testing.T) {
	hold, entered := make(chan struct{}), make(chan struct{})
	w, changes := newChanges(t, nil, func(c *ChangeWebhookConfig) {
		c.QueueBytes = 5000
		next := c.OnChange
		c.OnChange = func(c Change) { close(entered); <-hold; next(c) }
	})
	body := rich(t, "{}", nil)
	postTo(w, "/graph/changes", body)
	<-entered
	for range 10 {
		postTo(w, "/graph/changes", body)
	}
	queued := w.Stats().Queued
	require.Positive(t, queued)
	require.Less(t, queued, 10, "in bytes")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	require.ErrorContains(t, w.Close(ctx), "enough")
	close(hold)
	s := settle(t, w)
	require.Len(t, changes, 1)
	require.EqualValues(t, 10, s.Dropped)
}
