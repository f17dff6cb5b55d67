package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mixminus/mixminus/session/hook"
)

// What Watcher.Lookup answers for notifications that are not ours.
var (
	// ErrUnknownSubscription: no subscription has that id.
	ErrUnknownSubscription = errors.New("graph: unknown subscription")
	// ErrClientState: the subscription has another client state.
	ErrClientState = errors.New("graph: wrong client state")
)

// Watcher knows which subscriptions stand; *Keeper is one. Its methods are
// called from many goroutines and must not block.
type Watcher interface {
	// Lookup finds the subscription of a notification. It compares
	// clientState in constant time, and returns ErrUnknownSubscription or
	// ErrClientState if the notification is to be ignored.
	Lookup(subscriptionID, clientState string) (Watched, error)
	// Lifecycle takes what is told of a subscription that Lookup found. Of
	// notifications that were lost here it is told as LifecycleMissed.
	Lifecycle(name, subscriptionID string, event LifecycleEvent)
}

// Watched is a subscription that stands.
type Watched struct {
	// Name is the app's own: notifications of one name are handed on in
	// order, also when one subscription takes the place of another.
	Name string
	// Rich: content comes encrypted; what does not is refused.
	Rich bool
}

// Change is a notification, decrypted. The service may tell it twice, late,
// and out of order.
type Change struct {
	// Name is Watched.Name.
	Name     string
	Received time.Time
	// Notification as it came, but for its client state, which is a secret.
	Notification ChangeNotification
	// Resource is the decrypted resource, a JSON object; of a basic
	// notification its resourceData, which may be nil.
	Resource json.RawMessage
	// Event is Resource where that is a meeting's call event, else nil.
	Event *CallEvent
}

// ChangeWebhookConfig configures a ChangeWebhook. Watcher and OnChange are
// needed, Keys for rich notifications, and Verify unless Insecure.
type ChangeWebhookConfig struct {
	Watcher Watcher
	// OnChange takes the notifications: one at a time and in order for one
	// name, those of several names at once. It may block; what comes
	// meanwhile is queued. A panic loses that notification only.
	OnChange func(Change)
	// Keys decrypt rich notifications; nil refuses them.
	Keys *Keyring
	// Verify checks a validation token: (*ChangeVerifier).Verify.
	Verify func(ctx context.Context, token string) error
	// Insecure takes rich notifications without tokens, for local work. It
	// excludes Verify, so that neither can be meant and forgotten.
	Insecure bool

	// Path is where notifications come, of changes and of lifecycle; empty
	// means "/graph/changes". What lies below it is accepted too.
	Path string
	// MaxBody bounds a request's body in bytes, also unpacked; 0 means 4 MiB.
	MaxBody int64
	// Queue is how many notifications of one name may wait; 0 means 256.
	// QueueBytes is how many bytes of all names; 0 means 64 MiB. What comes
	// beyond is dropped and counted, and Watcher told.
	Queue      int
	QueueBytes int

	// Logger gets what is refused; nil means silent.
	Logger *slog.Logger
	// Now tells when a notification came; nil means time.Now.
	Now func() time.Time
}

// ChangeStats counts what came to a ChangeWebhook.
type ChangeStats struct {
	// Requests answered 202, and Validations answered with their token.
	Requests    int64 `json:"requests"`
	Validations int64 `json:"validations"`
	// Changes handed to OnChange, and Panics of it; Lifecycle notifications.
	Changes   int64 `json:"changes"`
	Panics    int64 `json:"panics"`
	Lifecycle int64 `json:"lifecycle"`
	// Ignored notifications by reason: unknown, client_state.
	Ignored map[string]int64 `json:"ignored,omitempty"`
	// Rejected notifications by reason: item (cannot be read), not_encrypted,
	// no_keys, unknown_key, content (ErrContent), malformed (content of wrong
	// sizes), decode (what was decrypted), and as "token:" and
	// oidc.TokenError.Reason those of requests with a bad token.
	Rejected map[string]int64 `json:"rejected,omitempty"`
	// Dropped, for lack of room or of time at the end; Queued now.
	Dropped int64 `json:"dropped"`
	Queued  int   `json:"queued"`
	// Bad requests by reason: method, content_type, content_encoding,
	// too_large, read, decode, validation, closed.
	Bad map[string]int64 `json:"bad,omitempty"`
	// NotFound counts unknown paths.
	NotFound int64 `json:"not_found"`
}

// ChangeWebhook is the HTTP side to which Graph posts change notifications. It
// echoes validation tokens, answers notifications 202 at once, and does the
// rest, from the check of tokens on, on a goroutine for each name that has any
// queued. It must be served before a subscription is created: the service
// calls while the request for one is pending. It is safe for concurrent use.
//
// Source: "Receive change notifications through webhooks" and "Set up change
// notifications that include resource data", Microsoft Graph.
type ChangeWebhook struct {
	// Static after construction.
	config ChangeWebhookConfig
	guard  *hook.Guard
	ctx    context.Context // ends when Close gives up
	giveUp context.CancelFunc
	loops  sync.WaitGroup

	// Guarded by mu.
	mu     sync.Mutex
	stats  ChangeStats
	lanes  map[string]*lane // by name; those without work are not kept
	bytes  int
	closed bool
}

var _ http.Handler = (*ChangeWebhook)(nil)

// NewChangeWebhook checks the configuration.
func NewChangeWebhook(config ChangeWebhookConfig) (*ChangeWebhook, error) {
	switch {
	case config.Watcher == nil:
		return nil, errors.New("graph: change webhook: Watcher is nil")
	case config.OnChange == nil:
		return nil, errors.New("graph: change webhook: OnChange is nil")
	case config.Verify == nil && !config.Insecure:
		return nil, errors.New("graph: change webhook: neither Verify nor Insecure is set")
	case config.Verify != nil && config.Insecure:
		return nil, errors.New("graph: change webhook: both Verify and Insecure are set")
	case config.Queue < 0 || config.QueueBytes < 0:
		return nil, fmt.Errorf("graph: change webhook: queue of %d and %d bytes: want 0 or more", config.Queue, config.QueueBytes)
	}
	config.defaults()
	if !strings.HasPrefix(config.Path, "/") {
		return nil, fmt.Errorf("graph: change webhook: Path %q: want one below the root", clip(config.Path))
	}
	// Proof of origin is in the body: these requests carry no bearer token.
	guard, err := hook.NewGuard(hook.GuardConfig{
		Cloud: cloudName, Insecure: true, MaxBody: config.MaxBody, Logger: config.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("graph: change webhook: %w", err)
	}
	w := &ChangeWebhook{
		config: config, guard: guard, lanes: map[string]*lane{},
		stats: ChangeStats{Ignored: map[string]int64{}, Rejected: map[string]int64{}},
	}
	w.ctx, w.giveUp = context.WithCancel(context.Background())
	return w, nil
}

func (c *ChangeWebhookConfig) defaults() {
	if c.Path == "" {
		c.Path = "/graph/changes"
	}
	if len(c.Path) > 1 {
		c.Path = strings.TrimRight(c.Path, "/")
	}
	if c.MaxBody == 0 {
		c.MaxBody = 4 << 20
	}
	if c.Queue == 0 {
		c.Queue = 256
	}
	if c.QueueBytes == 0 {
		c.QueueBytes = 64 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Path is the path of Subscription.NotificationURL and
// LifecycleNotificationURL.
func (w *ChangeWebhook) Path() string { return w.config.Path }

// Stats returns the counters so far.
func (w *ChangeWebhook) Stats() ChangeStats {
	bad := w.guard.Counts().Bad
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.Ignored, s.Rejected, s.Bad = maps.Clone(s.Ignored), maps.Clone(s.Rejected), bad
	for _, l := range w.lanes {
		s.Queued += len(l.jobs)
	}
	return s
}

// maxValidation bounds a validation token, in bytes.
const maxValidation = 4 << 10

// ServeHTTP implements http.Handler.
func (w *ChangeWebhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, w.config.Path); !ok || (rest != "" && rest[0] != '/' && w.config.Path != "/") {
		w.count(func(s *ChangeStats) { s.NotFound++ })
		http.NotFound(rw, r)
		return
	}
	if !w.guard.Method(rw, r, http.MethodPost) {
		return
	}
	if query := r.URL.Query(); query.Has("validationToken") {
		w.validate(rw, r, query.Get("validationToken"))
		return
	}
	body, ok := w.guard.JSON(rw, r)
	if !ok {
		return
	}
	b, err := parseChanges(body)
	if err != nil {
		w.guard.Bad(rw, r, http.StatusBadRequest, "decode", err.Error())
		return
	}
	for _, err := range b.Bad {
		w.guard.Warn(r, "item", "change notification refused", "error", err)
	}
	if !w.enqueue(&batch{request: r, tokens: b.Tokens, received: w.config.Now()}, b) {
		rw.Header().Set("Retry-After", "60")
		w.guard.Bad(rw, r, http.StatusServiceUnavailable, "closed", "closed")
		return
	}
	rw.WriteHeader(http.StatusAccepted)
}

// validate proves to the service that the address is ours: it wants the token
// back, decoded, as plain text. What a stranger puts there stays plain text.
func (w *ChangeWebhook) validate(rw http.ResponseWriter, r *http.Request, token string) {
	if token == "" || len(token) > maxValidation {
		w.guard.Bad(rw, r, http.StatusBadRequest, "validation",
			fmt.Sprintf("validationToken of %d bytes: want 1 to %d", len(token), maxValidation))
		return
	}
	w.count(func(s *ChangeStats) { s.Validations++ })
	h := rw.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cache-Control", "no-store")
	_, _ = io.WriteString(rw, token)
}

func (w *ChangeWebhook) count(f func(*ChangeStats)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.stats)
}
