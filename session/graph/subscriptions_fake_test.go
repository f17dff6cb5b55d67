package graph

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeSubscriptions is the service as far as subscriptions go: it validates
// addresses while a request is pending, refuses duplicates, lists in pages,
// forgets what has expired, and encrypts for the certificate that it was given.
type fakeSubscriptions struct {
	*testing.T
	*httptest.Server
	now func() time.Time

	mu     sync.Mutex
	subs   map[string]Subscription
	order  []string
	log    []string
	bodies map[string]string // the last of each operation
	next   int
	// refuse answers instead of the service; 0 lets it.
	refuse func(op string) int
	// after runs when the request has taken effect, before the response.
	after func(op string, s Subscription)
}

func newFakeSubscriptions(t *testing.T, now func() time.Time) *fakeSubscriptions {
	f := &fakeSubscriptions{T: t, now: now, subs: map[string]Subscription{}, bodies: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /beta/subscriptions", f.handle("create", f.create))
	mux.HandleFunc("GET /beta/subscriptions", f.handle("list", f.list))
	mux.HandleFunc("GET /beta/subscriptions/{id}", f.handle("get", f.get))
	mux.HandleFunc("PATCH /beta/subscriptions/{id}", f.handle("update", f.update))
	mux.HandleFunc("POST /beta/subscriptions/{id}/reauthorize", f.handle("reauthorize", f.reauthorize))
	mux.HandleFunc("DELETE /beta/subscriptions/{id}", f.handle("delete", f.delete))
	mux.HandleFunc("/v1.0/", func(w http.ResponseWriter, _ *http.Request) { f.fail(w, 400, "BadRequest", "beta only") })
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeSubscriptions) handle(op string, do func(http.ResponseWriter, *http.Request, []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.log = append(f.log, op)
		f.bodies[op] = string(body)
		refuse := f.refuse
		for id, s := range f.subs {
			if !f.now().Before(s.ExpirationDateTime.Time) {
				delete(f.subs, id)
			}
		}
		f.mu.Unlock()
		if refuse != nil {
			if status := refuse(op); status != 0 {
				f.fail(w, status, "ExtensionError", "refused for "+string(body))
				return
			}
		}
		do(w, r, body)
	}
}

func (f *fakeSubscriptions) fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("request-id", "req")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": code, "message": message}})
}

func (f *fakeSubscriptions) reply(w http.ResponseWriter, status int, s Subscription) {
	s.EncryptionCertificate = ""
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(s)
}

// validate calls an address as the service does before it posts there.
func (f *fakeSubscriptions) validate(address string) error {
	u, _ := url.Parse(address)
	q := u.Query()
	const token = "Validation: <b>&1 é+"
	q.Set("validationToken", token)
	u.RawQuery = q.Encode()
	resp, err := http.Post(u.String(), "text/plain; charset=utf-8", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	echo, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || string(echo) != token || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		return fmt.Errorf("HTTP status code is %d", resp.StatusCode)
	}
	return nil
}

func (f *fakeSubscriptions) create(w http.ResponseWriter, _ *http.Request, body []byte) {
	var s Subscription
	if err := json.Unmarshal(body, &s); err != nil {
		f.fail(w, 400, "BadRequest", err.Error())
		return
	}
	for _, address := range []string{s.NotificationURL, s.LifecycleNotificationURL} {
		if address == "" {
			continue
		}
		if err := f.validate(address); err != nil {
			f.fail(w, 400, "ValidationError", "Subscription validation request failed. "+err.Error())
			return
		}
	}
	f.mu.Lock()
	for id, other := range f.subs {
		if other.Resource == s.Resource && other.ChangeType == s.ChangeType {
			f.mu.Unlock()
			f.fail(w, 409, "Conflict", "Subscription Id "+id+" already exists for the requested combination")
			return
		}
	}
	f.next++
	s.ID = fmt.Sprintf("7622-%d-CC7B", f.next)
	f.subs[s.ID] = s
	f.order = append(f.order, s.ID)
	after := f.after
	f.mu.Unlock()
	if after != nil {
		after("create", s)
	}
	f.reply(w, 201, s)
}

func (f *fakeSubscriptions) list(w http.ResponseWriter, r *http.Request, _ []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	page := map[string]any{"value": []any{}}
	rows := []any{}
	from := r.URL.Query().Get("$skiptoken")
	for i, id := range f.order {
		s, ok := f.subs[id]
		if !ok || from != "" && fmt.Sprint(i) < from {
			continue
		}
		if len(rows) == 2 {
			page["@odata.nextLink"] = f.URL + "/beta/subscriptions?$skiptoken=" + fmt.Sprint(i)
			break
		}
		s.ClientState, s.EncryptionCertificate = "", ""
		rows = append(rows, s)
	}
	page["value"] = rows
	_ = json.NewEncoder(w).Encode(page)
}

// find runs do with the subscription of the path, or answers 404.
func (f *fakeSubscriptions) find(w http.ResponseWriter, r *http.Request, do func(*Subscription)) (Subscription, bool) {
	f.mu.Lock()
	s, ok := f.subs[r.PathValue("id")]
	if ok {
		do(&s)
		f.subs[s.ID] = s
	}
	f.mu.Unlock()
	if !ok {
		f.fail(w, 404, "ResourceNotFound", "The object was not found.")
	}
	return s, ok
}

func (f *fakeSubscriptions) get(w http.ResponseWriter, r *http.Request, _ []byte) {
	if s, ok := f.find(w, r, func(*Subscription) {}); ok {
		s.ClientState = ""
		f.reply(w, 200, s)
	}
}

func (f *fakeSubscriptions) update(w http.ResponseWriter, r *http.Request, body []byte) {
	if s, ok := f.find(w, r, func(s *Subscription) { _ = json.Unmarshal(body, s) }); ok {
		f.reply(w, 200, s)
	}
}

func (f *fakeSubscriptions) reauthorize(w http.ResponseWriter, r *http.Request, _ []byte) {
	if _, ok := f.find(w, r, func(*Subscription) {}); ok {
		w.WriteHeader(204)
	}
}

func (f *fakeSubscriptions) delete(w http.ResponseWriter, r *http.Request, _ []byte) {
	if s, ok := f.find(w, r, func(*Subscription) {}); ok {
		f.mu.Lock()
		delete(f.subs, s.ID)
		f.mu.Unlock()
		w.WriteHeader(204)
	}
}

// ops returns what was asked since the last time.
func (f *fakeSubscriptions) ops() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := f.log
	f.log = nil
	return log
}

func (f *fakeSubscriptions) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// standing are the subscriptions that there are.
func (f *fakeSubscriptions) standing() []Subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Subscription
	for _, id := range f.order {
		if s, ok := f.subs[id]; ok {
			all = append(all, s)
		}
	}
	return all
}

// notify posts a rich notification of a subscription, with a token of issuer.
func (f *fakeSubscriptions) notify(s Subscription, plain string, token string) {
	certificate, err := base64.StdEncoding.DecodeString(s.EncryptionCertificate)
	require.NoError(f, err)
	public, err := certificateKey(certificate)
	require.NoError(f, err)
	content := seal(f, ContentKey{ID: s.EncryptionCertificateID, Certificate: certificate, Private: publicOnly{public}}, []byte(plain), nil)
	f.deliver(s.NotificationURL, ChangeNotifications{
		Value: []ChangeNotification{{
			SubscriptionID: s.ID, ClientState: s.ClientState, ChangeType: "updated", Resource: s.Resource,
			ResourceData: json.RawMessage(`{"@odata.type":"#microsoft.graph.callevent"}`), EncryptedContent: content,
		}},
		ValidationTokens: []string{token},
	})
}

func (f *fakeSubscriptions) deliver(address string, body ChangeNotifications) {
	text, err := json.Marshal(body)
	require.NoError(f, err)
	resp, err := http.Post(address, "application/json", strings.NewReader(string(text)))
	require.NoError(f, err)
	resp.Body.Close()
	require.Equal(f, http.StatusAccepted, resp.StatusCode)
}

// lifecycle posts what becomes of a subscription.
func (f *fakeSubscriptions) lifecycle(s Subscription, event LifecycleEvent) {
	f.deliver(s.LifecycleNotificationURL, ChangeNotifications{Value: []ChangeNotification{{
		SubscriptionID: s.ID, ClientState: s.ClientState, LifecycleEvent: Enum(event),
	}}})
}
