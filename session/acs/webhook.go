package acs

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/hook"
)

// Sink takes what the webhook receives.
type Sink = hook.Sink

// WebhookConfig configures a Webhook. Sink is needed, and Verify unless
// Insecure.
type WebhookConfig struct {
	Sink Sink
	// Operations is told of every callback, before Sink is: those of the
	// client that begins them. nil tells only Sink.
	Operations *Operations
	// OnRecording is told of recordings that are ready to be downloaded. It
	// is called on the goroutine of the request, must not block, and may be
	// told twice; nil ignores them.
	OnRecording func(RecordingFile)
	// Cloud is the Incoming.Cloud of calls that ring: the name of the client
	// that answers them. Empty means "acs".
	Cloud string
	// Verify checks the token of a callback: (*Verifier).Verify.
	Verify func(*http.Request) error
	// Insecure takes callbacks without a token, for local work. It excludes
	// Verify, so that neither can be meant and forgotten.
	Insecure bool

	// CallbackPath is where callbacks come; empty means "/callbacks". What
	// lies below it is accepted too.
	CallbackPath string
	// EventPath is where Event Grid delivers, followed by "/" and the
	// secret; empty means "/events".
	EventPath string
	// EventSecret is what Event Grid, whose deliveries carry no token, must
	// know; empty means 128 random bits minted by NewWebhook.
	EventSecret string
	// MaxBody bounds a request's body in bytes; 0 means 1 MiB, the most that
	// Event Grid delivers.
	MaxBody int64

	// Logger gets refused requests at level Debug; nil means silent.
	Logger *slog.Logger
	// Now tells when a call began to ring; nil means time.Now.
	Now func() time.Time
}

// WebhookStats counts what came to a Webhook.
type WebhookStats struct {
	// Callbacks and Events are the requests that were understood.
	Callbacks int64 `json:"callbacks"`
	Events    int64 `json:"events"`
	// Notices delivered, and those of them with no kind of their own.
	Notices int64 `json:"notices"`
	Other   int64 `json:"other"`
	// Incoming calls rung, recordings told of, subscription handshakes
	// answered, and Event Grid events that are of no concern.
	Incoming    int64 `json:"incoming"`
	Recorded    int64 `json:"recorded"`
	Validations int64 `json:"validations"`
	Ignored     int64 `json:"ignored"`
	// Bad requests by reason: method, content_type, too_large, read, decode.
	Bad map[string]int64 `json:"bad,omitempty"`
	// Unauthorized callbacks by TokenError.Reason.
	Unauthorized map[string]int64 `json:"unauthorized,omitempty"`
	// NotFound counts unknown paths, wrong event secrets among them.
	NotFound int64 `json:"not_found"`
}

// Webhook is the HTTP side that the cloud calls: CallbackPath for the events
// of standing calls and EventPath for Event Grid. It answers at once. It is
// safe for concurrent use and starts no goroutine.
type Webhook struct {
	// Static after construction.
	config WebhookConfig
	guard  *hook.Guard
	secret [sha256.Size]byte

	// Guarded by mu.
	mu    sync.Mutex
	stats WebhookStats
}

var _ http.Handler = (*Webhook)(nil)

// NewWebhook checks the configuration and mints the secret.
func NewWebhook(config WebhookConfig) (*Webhook, error) {
	if config.Sink == nil {
		return nil, errors.New("acs: webhook: sink is nil")
	}
	guard, err := hook.NewGuard(hook.GuardConfig{
		Cloud: cloudName, Verify: config.Verify, Insecure: config.Insecure,
		MaxBody: config.MaxBody, Logger: config.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("acs: webhook: %w", err)
	}
	config.Cloud = first(config.Cloud, cloudName)
	config.CallbackPath = strings.TrimRight(first(config.CallbackPath, "/callbacks"), "/")
	config.EventPath = strings.TrimRight(first(config.EventPath, "/events"), "/")
	for _, path := range []string{config.CallbackPath, config.EventPath} {
		if !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("acs: webhook: path %q: want one below the root", path)
		}
	}
	if under(config.CallbackPath, config.EventPath) || under(config.EventPath, config.CallbackPath) {
		return nil, fmt.Errorf("acs: webhook: paths %q and %q overlap", config.CallbackPath, config.EventPath)
	}
	if config.EventSecret == "" {
		var b [16]byte
		rand.Read(b[:]) // never fails: crypto/rand
		config.EventSecret = hex.EncodeToString(b[:])
	}
	if !pathSegment(config.EventSecret) {
		return nil, errors.New("acs: webhook: event secret holds a character that is special in a URL")
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Webhook{
		config: config,
		guard:  guard,
		secret: sha256.Sum256([]byte(config.EventSecret)),
	}, nil
}

// pathSegment reports whether s stands in a URL's path as it is, and is not
// taken for a way up (RFC 3986 section 3.3): people copy the events URL from
// one terminal to another.
func pathSegment(s string) bool {
	return s == url.PathEscape(s) && s != "." && s != ".."
}

// CallbackPath is the path of MediaRequest.CallbackURL.
func (w *Webhook) CallbackPath() string { return w.config.CallbackPath }

// EventPath is the path that the Event Grid subscription must name. It holds
// the secret: show it to whoever sets up the subscription, and do not log it.
func (w *Webhook) EventPath() string { return w.config.EventPath + "/" + w.config.EventSecret }

// Stats returns the counters so far.
func (w *Webhook) Stats() WebhookStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	refused := w.guard.Counts()
	s.Bad, s.Unauthorized = refused.Bad, refused.Unauthorized
	return s
}

// ServeHTTP implements http.Handler.
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if under(r.URL.Path, w.config.CallbackPath) {
		w.serveCallback(rw, r)
		return
	}
	if secret, ok := strings.CutPrefix(r.URL.Path, w.config.EventPath+"/"); ok {
		// Hashed, so that the comparison tells not even the length.
		got := sha256.Sum256([]byte(secret))
		if subtle.ConstantTimeCompare(got[:], w.secret[:]) == 1 {
			w.serveEvents(rw, r)
			return
		}
	}
	w.count(func(s *WebhookStats) { s.NotFound++ })
	http.NotFound(rw, r)
}

// under tells whether path is base or below it.
func under(path, base string) bool {
	rest, ok := strings.CutPrefix(path, base)
	return ok && (rest == "" || rest[0] == '/')
}

// serveCallback takes the CloudEvents of standing calls.
func (w *Webhook) serveCallback(rw http.ResponseWriter, r *http.Request) {
	if !w.guard.Method(rw, r, http.MethodPost) || !w.guard.Token(rw, r) {
		return
	}
	body, ok := w.guard.JSON(rw, r)
	if !ok {
		return
	}
	events, err := ParseEvents(body)
	if err != nil {
		w.guard.Bad(rw, r, http.StatusBadRequest, "decode", err.Error())
		return
	}
	other := int64(0)
	for i := range events {
		n := events[i].Notice()
		if n.Kind == session.EventOther {
			other++
		}
		w.follow(&events[i])
		w.config.Sink.Deliver(n)
	}
	w.count(func(s *WebhookStats) {
		s.Callbacks++
		s.Notices += int64(len(events))
		s.Other += other
	})
	rw.WriteHeader(http.StatusOK)
}

// follow tells the operations that are waited for how they ended.
func (w *Webhook) follow(e *Event) {
	o := w.config.Operations
	if o == nil {
		return
	}
	o.Complete(*e)
	switch e.Name {
	case CallDisconnected, CreateCallFailed, AnswerFailed, ConnectFailed:
		o.EndCall(e.CallID)
	}
}

// serveEvents takes the deliveries of Event Grid, and the handshakes by which
// a subscription proves that we want them: an event with a code to repeat
// (Event Grid schema), or OPTIONS ("Abuse Protection", CloudEvents HTTP web
// hooks section 4).
func (w *Webhook) serveEvents(rw http.ResponseWriter, r *http.Request) {
	if !w.guard.Method(rw, r, http.MethodPost, http.MethodOptions) {
		return
	}
	if r.Method == http.MethodOptions {
		w.handshake(rw, r)
		return
	}
	body, ok := w.guard.JSON(rw, r)
	if !ok {
		return
	}
	d, err := parseGrid(body, w.config.Now())
	if err != nil {
		w.guard.Bad(rw, r, http.StatusBadRequest, "decode", err.Error())
		return
	}
	for _, in := range d.Incoming {
		in.Cloud = w.config.Cloud
		w.config.Sink.Ring(in)
	}
	if w.config.OnRecording != nil {
		for _, f := range d.Recorded {
			w.config.OnRecording(f)
		}
	}
	w.count(func(s *WebhookStats) {
		s.Events++
		s.Incoming += int64(len(d.Incoming))
		s.Recorded += int64(len(d.Recorded))
		s.Ignored += int64(d.Ignored)
		if d.Validation != "" {
			s.Validations++
		}
	})
	if d.Validation == "" {
		rw.WriteHeader(http.StatusOK)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	// A failed write is the peer's loss: it repeats the handshake.
	_ = json.NewEncoder(rw).Encode(map[string]string{"validationResponse": d.Validation})
}

func (w *Webhook) handshake(rw http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("WebHook-Request-Origin")
	if origin == "" {
		w.guard.Bad(rw, r, http.StatusBadRequest, "decode", "header WebHook-Request-Origin is missing")
		return
	}
	rw.Header().Set("WebHook-Allowed-Origin", origin)
	rw.Header().Set("WebHook-Allowed-Rate", "*")
	w.count(func(s *WebhookStats) { s.Validations++ })
	rw.WriteHeader(http.StatusOK)
}

func (w *Webhook) count(f func(*WebhookStats)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.stats)
}
