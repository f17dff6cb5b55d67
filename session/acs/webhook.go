package acs

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mixminus/mixminus/session"
)

// Sink takes what the webhook receives. Its methods are called on the
// goroutine of the HTTP request, in the order of the request's events, and
// must not block: the service gets its answer after they return. Requests
// overlap; the sink keeps the order of each call.
type Sink interface {
	// Deliver takes one event of a call that stands.
	Deliver(session.Notice)
	// Ring takes a call that rings. The service may tell of it twice.
	Ring(session.Incoming)
}

// WebhookConfig configures a Webhook. Sink is needed, and Verify unless
// Insecure.
type WebhookConfig struct {
	Sink Sink
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
	// Incoming calls rung, subscription handshakes answered, and Event Grid
	// events that are of no concern.
	Incoming    int64 `json:"incoming"`
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
	secret [sha256.Size]byte

	// Guarded by mu.
	mu     sync.Mutex
	stats  WebhookStats
	warned map[string]time.Time // by kind of refusal
}

var _ http.Handler = (*Webhook)(nil)

// NewWebhook checks the configuration and mints the secret.
func NewWebhook(config WebhookConfig) (*Webhook, error) {
	switch {
	case config.Sink == nil:
		return nil, errors.New("acs: webhook: sink is nil")
	case config.Verify == nil && !config.Insecure:
		return nil, errors.New("acs: webhook: neither Verify nor Insecure is set")
	case config.Verify != nil && config.Insecure:
		return nil, errors.New("acs: webhook: both Verify and Insecure are set")
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
	if strings.ContainsAny(config.EventSecret, "/?#%") {
		return nil, errors.New("acs: webhook: event secret holds a character that is special in a URL")
	}
	if config.MaxBody <= 0 {
		config.MaxBody = 1 << 20
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Webhook{
		config: config,
		secret: sha256.Sum256([]byte(config.EventSecret)),
		warned: map[string]time.Time{},
		stats:  WebhookStats{Bad: map[string]int64{}, Unauthorized: map[string]int64{}},
	}, nil
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
	s.Bad = maps.Clone(s.Bad)
	s.Unauthorized = maps.Clone(s.Unauthorized)
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
	if !w.allow(rw, r, http.MethodPost) {
		return
	}
	if w.config.Verify != nil {
		if err := w.config.Verify(r); err != nil {
			w.unauthorized(rw, r, err)
			return
		}
	}
	body, ok := w.read(rw, r)
	if !ok {
		return
	}
	notices, err := parseCallbacks(body)
	if err != nil {
		w.bad(rw, r, http.StatusBadRequest, "decode", err.Error())
		return
	}
	other := int64(0)
	for _, n := range notices {
		if n.Kind == session.EventOther {
			other++
		}
		w.config.Sink.Deliver(n)
	}
	w.count(func(s *WebhookStats) {
		s.Callbacks++
		s.Notices += int64(len(notices))
		s.Other += other
	})
	rw.WriteHeader(http.StatusOK)
}

// serveEvents takes the deliveries of Event Grid, and the handshakes by which
// a subscription proves that we want them: an event with a code to repeat
// (Event Grid schema), or OPTIONS ("Abuse Protection", CloudEvents HTTP web
// hooks section 4).
func (w *Webhook) serveEvents(rw http.ResponseWriter, r *http.Request) {
	if !w.allow(rw, r, http.MethodPost, http.MethodOptions) {
		return
	}
	if r.Method == http.MethodOptions {
		w.handshake(rw, r)
		return
	}
	body, ok := w.read(rw, r)
	if !ok {
		return
	}
	d, err := parseGrid(body, w.config.Now())
	if err != nil {
		w.bad(rw, r, http.StatusBadRequest, "decode", err.Error())
		return
	}
	for _, in := range d.Incoming {
		in.Cloud = w.config.Cloud
		w.config.Sink.Ring(in)
	}
	w.count(func(s *WebhookStats) {
		s.Events++
		s.Incoming += int64(len(d.Incoming))
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
		w.bad(rw, r, http.StatusBadRequest, "decode", "header WebHook-Request-Origin is missing")
		return
	}
	rw.Header().Set("WebHook-Allowed-Origin", origin)
	rw.Header().Set("WebHook-Allowed-Rate", "*")
	w.count(func(s *WebhookStats) { s.Validations++ })
	rw.WriteHeader(http.StatusOK)
}

// allow refuses other methods.
func (w *Webhook) allow(rw http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	rw.Header().Set("Allow", strings.Join(methods, ", "))
	w.bad(rw, r, http.StatusMethodNotAllowed, "method", "method "+clip(r.Method)+" is not allowed")
	return false
}

// read takes in the body if it is JSON of a size that can be one.
func (w *Webhook) read(rw http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if ct := r.Header.Get("Content-Type"); !isJSON(ct) {
		w.bad(rw, r, http.StatusUnsupportedMediaType, "content_type",
			fmt.Sprintf("content type %q: want application/json or application/cloudevents-batch+json", clip(ct)))
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, w.config.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		w.bad(rw, r, http.StatusRequestEntityTooLarge, "too_large",
			fmt.Sprintf("body is longer than %d bytes", tooLarge.Limit))
		return nil, false
	case err != nil:
		w.bad(rw, r, http.StatusBadRequest, "read", "body could not be read")
		return nil, false
	}
	return body, true
}

// isJSON accepts application/json, any other "+json" and, since what the
// service sends is written down nowhere, none at all.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

// unauthorized refuses a callback. The cause goes to the log, only the reason
// to the peer. Without keys nothing can be judged, which is our fault and not
// the peer's: 503 asks it to come again.
func (w *Webhook) unauthorized(rw http.ResponseWriter, r *http.Request, err error) {
	reason, status := "refused", http.StatusUnauthorized
	var refused *TokenError
	if errors.As(err, &refused) {
		reason = refused.Reason
	}
	if reason == RefusedUnavailable || reason == RefusedClosed {
		status = http.StatusServiceUnavailable
	} else {
		rw.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.count(func(s *WebhookStats) { s.Unauthorized[reason]++ })
	w.warnOnce(r, "unauthorized:"+reason, "acs: webhook refused a callback", "error", err)
	http.Error(rw, "token refused: "+reason, status)
}

// warnEvery is how often one kind of refusal is a warning; the rest is Debug,
// for a stranger must not fill the log.
const warnEvery = time.Minute

func (w *Webhook) warnOnce(r *http.Request, kind, text string, args ...any) {
	now, level := time.Now(), slog.LevelDebug
	w.mu.Lock()
	if now.Sub(w.warned[kind]) >= warnEvery { // kinds are few
		w.warned[kind], level = now, slog.LevelWarn
	}
	w.mu.Unlock()
	w.config.Logger.Log(r.Context(), level, text, args...)
}

// bad refuses a request whose text says what is wrong with it.
func (w *Webhook) bad(rw http.ResponseWriter, r *http.Request, status int, reason, text string) {
	w.count(func(s *WebhookStats) { s.Bad[reason]++ })
	w.warnOnce(r, "bad:"+reason, "acs: webhook refused a request", "status", status, "reason", text)
	http.Error(rw, text, status)
}

func (w *Webhook) count(f func(*WebhookStats)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.stats)
}
