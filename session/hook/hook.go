// Package hook is what the webhooks of all clouds share: where their events
// go, and the checks that a request passes before its body is read as events
// of a cloud (method, token, content type, size), with the counters and log
// lines of those that fail. It knows no cloud's events and starts no goroutine.
package hook

import (
	"compress/gzip"
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
	"github.com/mixminus/mixminus/session/oidc"
)

// Sink takes what a webhook receives. Its methods are called on the goroutine
// of the HTTP request, in the order of the request's events, and must not
// block: the service gets its answer after they return. Requests overlap; the
// sink keeps the order of each call.
type Sink interface {
	// Deliver takes one event of a call that stands.
	Deliver(session.Notice)
	// Ring takes a call that rings. The service may tell of it twice.
	Ring(session.Incoming)
}

// GuardConfig configures a Guard. Verify is needed unless Insecure.
type GuardConfig struct {
	// Cloud begins every log line: "acs".
	Cloud string
	// Verify checks the token of a request: (*oidc.Verifier).Verify.
	Verify func(*http.Request) error
	// Insecure lets requests without a token pass, for local work. It
	// excludes Verify, so that neither can be meant and forgotten.
	Insecure bool
	// MaxBody bounds a body in bytes, as it comes and unpacked; 0 means 1 MiB.
	MaxBody int64
	// Logger gets refused requests: the first of a kind in a minute as a
	// warning, the others at level Debug. nil means silent.
	Logger *slog.Logger
}

// Counts are the requests that a Guard refused.
type Counts struct {
	// Bad requests by reason: method, content_type, content_encoding,
	// too_large, read, and what Guard.Bad was told.
	Bad map[string]int64
	// Unauthorized requests by oidc.TokenError.Reason; "refused" if Verify
	// gave another error.
	Unauthorized map[string]int64
}

// Guard refuses the requests that no webhook takes. Each of its checks either
// returns true, or has answered the request, counted and logged it. It is safe
// for concurrent use.
type Guard struct {
	// Static after construction.
	config GuardConfig

	// Guarded by mu.
	mu     sync.Mutex
	counts Counts
	warned map[string]time.Time // by kind of refusal
}

// NewGuard checks the configuration.
func NewGuard(config GuardConfig) (*Guard, error) {
	switch {
	case config.Verify == nil && !config.Insecure:
		return nil, errors.New("neither Verify nor Insecure is set")
	case config.Verify != nil && config.Insecure:
		return nil, errors.New("both Verify and Insecure are set")
	case config.MaxBody < 0:
		return nil, fmt.Errorf("MaxBody is %d, want 0 or more", config.MaxBody)
	}
	if config.MaxBody == 0 {
		config.MaxBody = 1 << 20
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Guard{
		config: config,
		counts: Counts{Bad: map[string]int64{}, Unauthorized: map[string]int64{}},
		warned: map[string]time.Time{},
	}, nil
}

// Counts returns the counters so far.
func (g *Guard) Counts() Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Counts{Bad: maps.Clone(g.counts.Bad), Unauthorized: maps.Clone(g.counts.Unauthorized)}
}

// Method refuses other methods with 405.
func (g *Guard) Method(rw http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	rw.Header().Set("Allow", strings.Join(methods, ", "))
	g.Bad(rw, r, http.StatusMethodNotAllowed, "method", "method "+clip(r.Method)+" is not allowed")
	return false
}

// Token refuses a request that Verify refuses, with 401. The cause goes to the
// log, only the reason to the peer. Without keys nothing can be judged, which
// is our fault and not the peer's: 503 asks it to come again.
func (g *Guard) Token(rw http.ResponseWriter, r *http.Request) bool {
	if g.config.Verify == nil {
		return true
	}
	err := g.config.Verify(r)
	if err == nil {
		return true
	}
	reason, status := "refused", http.StatusUnauthorized
	var refused *oidc.TokenError
	if errors.As(err, &refused) {
		reason = refused.Reason
	}
	if reason == oidc.RefusedUnavailable || reason == oidc.RefusedClosed {
		status = http.StatusServiceUnavailable
	} else {
		rw.Header().Set("WWW-Authenticate", "Bearer")
	}
	g.mu.Lock()
	g.counts.Unauthorized[reason]++
	g.mu.Unlock()
	g.Warn(r, "unauthorized:"+reason, "webhook refused a callback", "error", err)
	http.Error(rw, "token refused: "+reason, status)
	return false
}

// JSON returns the body if it is said to be JSON and is of a size that can be
// one. A body packed by gzip is unpacked; both forms are bounded.
func (g *Guard) JSON(rw http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if ct := r.Header.Get("Content-Type"); !isJSON(ct) {
		g.Bad(rw, r, http.StatusUnsupportedMediaType, "content_type",
			fmt.Sprintf("content type %q: want application/json or one that ends in +json", clip(ct)))
		return nil, false
	}
	packed := false
	switch e := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); e {
	case "", "identity":
	case "gzip", "x-gzip":
		packed = true
	default:
		rw.Header().Set("Accept-Encoding", "gzip")
		g.Bad(rw, r, http.StatusUnsupportedMediaType, "content_encoding",
			fmt.Sprintf("content encoding %q: want gzip or none", clip(e)))
		return nil, false
	}
	body, err := g.read(http.MaxBytesReader(rw, r.Body, g.config.MaxBody), packed)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		g.Bad(rw, r, http.StatusRequestEntityTooLarge, "too_large",
			fmt.Sprintf("body is longer than %d bytes", g.config.MaxBody))
		return nil, false
	case err != nil:
		g.Bad(rw, r, http.StatusBadRequest, "read", "body could not be read")
		return nil, false
	}
	return body, true
}

func (g *Guard) read(from io.Reader, packed bool) ([]byte, error) {
	if !packed {
		return io.ReadAll(from)
	}
	z, err := gzip.NewReader(from)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(z, g.config.MaxBody+1))
	if int64(len(body)) > g.config.MaxBody {
		return nil, &http.MaxBytesError{Limit: g.config.MaxBody}
	}
	return body, err
}

// isJSON accepts application/json, any other "+json" and, since what the
// services send is written down nowhere, none at all.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

// Bad refuses a request with a text that says what is wrong with it, and
// counts it under reason, of which a webhook has few.
func (g *Guard) Bad(rw http.ResponseWriter, r *http.Request, status int, reason, text string) {
	g.mu.Lock()
	g.counts.Bad[reason]++
	g.mu.Unlock()
	g.Warn(r, "bad:"+reason, "webhook refused a request", "status", status, "reason", text)
	http.Error(rw, text, status)
}

// warnEvery is how often one kind of refusal is a warning; the rest is Debug,
// for a stranger must not fill the log.
const warnEvery = time.Minute

// Warn logs that something about a request is wrong: the first of a kind in a
// minute as a warning, the others at level Debug. Kinds must be few.
func (g *Guard) Warn(r *http.Request, kind, text string, args ...any) {
	now, level := time.Now(), slog.LevelDebug
	g.mu.Lock()
	if now.Sub(g.warned[kind]) >= warnEvery { // kinds are few
		g.warned[kind], level = now, slog.LevelWarn
	}
	g.mu.Unlock()
	g.config.Logger.Log(r.Context(), level, g.config.Cloud+": "+text, args...)
}

// clip shortens s to what an error message should carry of foreign input.
func clip(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
