package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
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
	// Operations is told of every operation that changed, before Sink is;
	// nil tells only Sink.
	Operations *Operations
	// Cloud is the Incoming.Cloud of calls that ring: the name of the client
	// that answers them. Empty means "graph".
	Cloud string
	// Verify checks the token of a notification: NewVerifier.
	Verify func(*http.Request) error
	// Insecure takes notifications without a token, for local work. It
	// excludes Verify, so that neither can be meant and forgotten.
	Insecure bool

	// CallbackPath is where notifications come, of standing calls and of
	// those that ring; empty means "/graph/callbacks". What lies below it is
	// accepted too.
	CallbackPath string
	// OnJoining decides whether a call takes in one more participant. It is
	// called on a goroutine of its own and must return when its context
	// ends; nil means JoinDefault always.
	OnJoining func(context.Context, Joining) JoinDecision
	// JoinDeadline is how long the service waits for OnJoining; 0 means
	// 4 s, which leaves one of the 5 s for which a call rings that is
	// recorded by policy.
	JoinDeadline time.Duration
	// JoinDefault answers where OnJoining does not: it panicked, took longer
	// than JoinDeadline, or returned what is no decision. The zero value
	// takes the participant in, since a recorder had rather have one call
	// too many than one too few.
	JoinDefault JoinDecision
	// OnIncomingRedirect sends a call that rings to this application in
	// another region: it returns the address to which the service repeats
	// the notification, or "" to let it ring here. A notification that is
	// redirected is not delivered, with whatever else came in it. It is
	// called on the goroutine of the request and must not block.
	OnIncomingRedirect func(session.Incoming) (url string)
	// RedirectStatus is 302, of which the documents speak, or 307, with
	// which Microsoft's recording sample answers; 0 means 307.
	RedirectStatus int
	// RefuseLegacy answers notifications of the legacy protocol with 204, by
	// which the service repeats them in Graph's own. Those are the ones
	// that belong to a subscription and know no resourceUrl, and whatever is
	// not an envelope of notifications. Otherwise the former are delivered
	// as any other and the latter are refused with 400.
	RefuseLegacy bool
	// MaxBody bounds a request's body in bytes, also unpacked; 0 means
	// 4 MiB, some thousand participants.
	MaxBody int64

	// Logger gets refused requests and notifications; nil means silent.
	Logger *slog.Logger
	// Now tells when a notification came; nil means time.Now.
	Now func() time.Time
}

// WebhookStats counts what came to a Webhook.
type WebhookStats struct {
	// Requests that were understood, at least in part.
	Requests int64 `json:"requests"`
	// Notices delivered, and those of them with no kind of their own.
	Notices int64 `json:"notices"`
	Other   int64 `json:"other"`
	// Incoming calls rung, and those redirected instead.
	Incoming   int64 `json:"incoming"`
	Redirected int64 `json:"redirected"`
	// Operations that were told to WebhookConfig.Operations.
	Operations int64 `json:"operations"`
	// Joinings decided, and those of them that JoinDefault decided by reason:
	// unset, deadline, panic, invalid, busy.
	Joinings     int64            `json:"joinings"`
	JoinDefaults map[string]int64 `json:"join_defaults,omitempty"`
	// BadItems are notifications that could not be read, or answered, in a
	// request with others.
	BadItems int64 `json:"bad_items"`
	// Legacy requests that were answered 204.
	Legacy int64 `json:"legacy"`
	// Bad requests by reason: method, content_type, content_encoding,
	// too_large, read, decode.
	Bad map[string]int64 `json:"bad,omitempty"`
	// Unauthorized requests by oidc.TokenError.Reason.
	Unauthorized map[string]int64 `json:"unauthorized,omitempty"`
	// NotFound counts unknown paths.
	NotFound int64 `json:"not_found"`
}

// Webhook is the HTTP side to which Graph posts the notifications of calls. It
// answers 202 at once, having handed them on in their order; only the question
// whether a participant may join waits for an answer. It is safe for
// concurrent use.
type Webhook struct {
	// Static after construction.
	config      WebhookConfig
	guard       *hook.Guard
	joinDefault joinResponse
	slots       chan struct{} // one element for each OnJoining that runs
	deciding    sync.WaitGroup

	// Guarded by mu.
	mu     sync.Mutex
	stats  WebhookStats
	closed bool
}

var _ http.Handler = (*Webhook)(nil)

// NewWebhook checks the configuration.
func NewWebhook(config WebhookConfig) (*Webhook, error) {
	if config.Sink == nil {
		return nil, errors.New("graph: webhook: Sink is nil")
	}
	config.defaults()
	switch {
	case !strings.HasPrefix(config.CallbackPath, "/"):
		return nil, fmt.Errorf("graph: webhook: CallbackPath %q: want one below the root", config.CallbackPath)
	case config.RedirectStatus != http.StatusFound && config.RedirectStatus != http.StatusTemporaryRedirect:
		return nil, fmt.Errorf("graph: webhook: RedirectStatus %d: want 302 or 307", config.RedirectStatus)
	case config.JoinDeadline < 0:
		return nil, fmt.Errorf("graph: webhook: JoinDeadline %v: want 0 or more", config.JoinDeadline)
	}
	joinDefault, err := config.JoinDefault.response()
	if err != nil {
		return nil, fmt.Errorf("graph: webhook: JoinDefault: %w", err)
	}
	guard, err := hook.NewGuard(hook.GuardConfig{
		Cloud: cloudName, Verify: config.Verify, Insecure: config.Insecure,
		MaxBody: config.MaxBody, Logger: config.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("graph: webhook: %w", err)
	}
	return &Webhook{
		config: config, guard: guard, joinDefault: joinDefault,
		slots: make(chan struct{}, maxDeciding),
		stats: WebhookStats{JoinDefaults: map[string]int64{}},
	}, nil
}

func (c *WebhookConfig) defaults() {
	if c.Cloud == "" {
		c.Cloud = cloudName
	}
	if c.CallbackPath == "" {
		c.CallbackPath = "/graph/callbacks"
	}
	c.CallbackPath = strings.TrimRight(c.CallbackPath, "/")
	if c.JoinDeadline == 0 {
		c.JoinDeadline = 4 * time.Second
	}
	if c.RedirectStatus == 0 {
		c.RedirectStatus = http.StatusTemporaryRedirect
	}
	if c.MaxBody == 0 {
		c.MaxBody = 4 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// CallbackPath is the path of MediaRequest.CallbackURL, and of the address for
// calls that is registered with the bot.
func (w *Webhook) CallbackPath() string { return w.config.CallbackPath }

// Stats returns the counters so far.
func (w *Webhook) Stats() WebhookStats {
	refused := w.guard.Counts()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.JoinDefaults = maps.Clone(s.JoinDefaults)
	s.Bad, s.Unauthorized = refused.Bad, refused.Unauthorized
	return s
}

// Close waits until no OnJoining runs, or ctx ends. From then on JoinDefault
// decides.
func (w *Webhook) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	done := make(chan struct{})
	go func() {
		w.deciding.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("graph: webhook: close with %d calls of OnJoining under way: %w", len(w.slots), context.Cause(ctx))
	}
}

// ServeHTTP implements http.Handler.
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	ref, ok := strings.CutPrefix(r.URL.Path, w.config.CallbackPath)
	if !ok || (ref != "" && ref[0] != '/') {
		w.count(func(s *WebhookStats) { s.NotFound++ })
		http.NotFound(rw, r)
		return
	}
	// The service's own way to find a request again, as Microsoft's SDK
	// answers.
	for _, name := range []string{"client-request-id", "scenario-id"} {
		if v := r.Header.Get(name); v != "" && len(v) <= maxEcho {
			rw.Header().Set(name, v)
		}
	}
	if !w.guard.Method(rw, r, http.MethodPost) || !w.guard.Token(rw, r) {
		return
	}
	body, ok := w.guard.JSON(rw, r)
	if !ok {
		return
	}
	d, err := parseDelivery(body, w.config.Cloud, w.config.Now())
	switch {
	case w.config.RefuseLegacy && (err != nil || d.Legacy):
		w.count(func(s *WebhookStats) { s.Legacy++ })
		rw.WriteHeader(http.StatusNoContent)
	case err != nil:
		w.guard.Bad(rw, r, http.StatusBadRequest, "decode", err.Error())
	case w.redirect(rw, r, d):
	default:
		d.refer(strings.TrimPrefix(ref, "/"))
		w.accept(rw, r, d)
	}
}

// maxEcho bounds the headers that are sent back, in bytes.
const maxEcho = 256

// accept hands the notifications on and answers them.
func (w *Webhook) accept(rw http.ResponseWriter, r *http.Request, d delivery) {
	for _, err := range d.Bad {
		w.guard.Warn(r, "item", "notification refused", "error", err)
	}
	if len(d.Bad) > 0 && len(d.Items) == 0 {
		w.count(func(s *WebhookStats) { s.BadItems += int64(len(d.Bad)) })
		w.guard.Bad(rw, r, http.StatusBadRequest, "decode", d.Bad[0].Error())
		return
	}
	messageID := r.Header.Get("X-Microsoft-Skype-Message-ID")
	var joining *Joining
	unanswered := 0
	for i := range d.Items {
		item := &d.Items[i]
		w.hand(item, messageID)
		switch {
		case item.Joining == nil:
		case joining == nil:
			joining = item.Joining
		default: // the body has room for one decision
			unanswered++
		}
	}
	w.count(func(s *WebhookStats) {
		s.Requests++
		s.BadItems += int64(len(d.Bad) + unanswered)
	})
	if unanswered > 0 {
		w.guard.Warn(r, "unanswered", "several joining participants in one request", "unanswered", unanswered)
	}
	if joining != nil {
		w.answerJoining(rw, r, *joining)
		return
	}
	rw.WriteHeader(http.StatusAccepted)
}

// hand gives one notification to whom it is for.
func (w *Webhook) hand(item *item, messageID string) {
	if item.Incoming != nil {
		w.config.Sink.Ring(*item.Incoming)
		w.count(func(s *WebhookStats) { s.Incoming++ })
	}
	if item.Operation != nil && w.config.Operations != nil {
		w.config.Operations.Complete(item.CallKey, *item.Operation)
		w.count(func(s *WebhookStats) { s.Operations++ })
	}
	other := int64(0)
	for i, n := range item.Notices {
		n.ID = noticeID(messageID, item.Index, i)
		if n.Kind == session.EventOther {
			other++
		}
		if n.Kind == session.EventDisconnected && w.config.Operations != nil {
			w.config.Operations.EndCall(n.CallID)
		}
		w.config.Sink.Deliver(n)
	}
	w.count(func(s *WebhookStats) {
		s.Notices += int64(len(item.Notices))
		s.Other += other
	})
}

// noticeID names the notice in a message that the service may repeat. Without
// an id of the message, or with one that cannot be, there is none.
func noticeID(messageID string, item, notice int) string {
	if messageID == "" || len(messageID) > maxEcho {
		return ""
	}
	return messageID + "#" + strconv.Itoa(item) + "." + strconv.Itoa(notice)
}

// redirect sends the whole request elsewhere if a call that rings in it is to
// ring elsewhere.
func (w *Webhook) redirect(rw http.ResponseWriter, r *http.Request, d delivery) bool {
	if w.config.OnIncomingRedirect == nil {
		return false
	}
	for i := range d.Items {
		in := d.Items[i].Incoming
		if in == nil {
			continue
		}
		to, err := w.redirectTo(*in)
		if err != nil {
			w.guard.Warn(r, "redirect", "cannot redirect an incoming call, it rings here", "call", in.Key, "error", err)
			continue
		}
		if to == "" {
			continue
		}
		w.count(func(s *WebhookStats) { s.Redirected++ })
		rw.Header().Set("Location", to)
		rw.WriteHeader(w.config.RedirectStatus)
		return true
	}
	return false
}

func (w *Webhook) redirectTo(in session.Incoming) (to string, err error) {
	defer func() {
		if p := recover(); p != nil {
			to, err = "", fmt.Errorf("OnIncomingRedirect panicked: %v", p)
		}
	}()
	if to = w.config.OnIncomingRedirect(in); to != "" {
		err = checkAddress("OnIncomingRedirect", to)
	}
	return to, err
}

func (w *Webhook) count(f func(*WebhookStats)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.stats)
}
