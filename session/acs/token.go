package acs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// OpenIDURL is where Call Automation publishes the issuer of its tokens and
// the address of its keys. Source: "How to secure webhook endpoint", Azure
// Communication Services.
const OpenIDURL = "https://acscallautomation.communication.azure.com/calling/.well-known/acsopenidconfiguration"

// VerifierConfig says which tokens to accept. Audience is needed; all else
// works as zero.
type VerifierConfig struct {
	// Audience: the token must be for one of these: the resource's immutable
	// id, a GUID. There is no default, since the service signs tokens for
	// every customer with the same keys.
	Audience []string
	// OpenIDURL is the OpenID configuration document; empty means OpenIDURL,
	// the constant. Plain http is for loopback addresses unless Insecure.
	OpenIDURL string
	// Issuer that the document must name; empty accepts what it names.
	Issuer string
	// Insecure allows plain http to any address.
	Insecure bool
	// Leeway for the clocks of both sides; 0 means 30 s, negative none.
	Leeway time.Duration

	// HTTPClient fetches the document and the keys; nil means a new one.
	// Redirects are not followed.
	HTTPClient *http.Client
	// FetchTimeout bounds one fetch of document and keys; 0 means 5 s.
	FetchTimeout time.Duration
	// RefreshInterval is how often the keys are fetched anew in the
	// background; 0 means 1 h. Keys that could not be refreshed for 24
	// times as long are not trusted any more.
	RefreshInterval time.Duration
	// UnknownKeyInterval is how often, in the long run, a token with an
	// unknown key id may cause a fetch; three may come at once. 0 means 30 s.
	UnknownKeyInterval time.Duration
	// CacheSize is how many verified tokens are remembered until they
	// expire; 0 means 1024, negative none.
	CacheSize int

	// Logger gets failed fetches and changes of keys; nil means silent.
	Logger *slog.Logger
	// Now is the clock that expiry is measured with; nil means time.Now.
	Now func() time.Time
}

// Reasons for which a token is refused: TokenError.Reason and the keys of
// VerifierStats.Refused.
const (
	RefusedMissing     = "missing"       // no bearer token in the request
	RefusedMalformed   = "malformed"     // not a JWT, or without key id
	RefusedAlgorithm   = "algorithm"     // signed with anything but RS256
	RefusedKey         = "unknown_key"   // no such key id, also after a fetch or with none allowed now
	RefusedSignature   = "signature"     // does not verify
	RefusedClaim       = "claim_missing" // without expiry, issuer or audience
	RefusedExpired     = "expired"
	RefusedNotYet      = "not_yet_valid"    // nbf lies ahead
	RefusedIssuer      = "issuer"           // of another issuer
	RefusedAudience    = "audience"         // for another resource
	RefusedUnavailable = "keys_unavailable" // the keys cannot be had: no token can be judged
	RefusedClosed      = "closed"           // the Verifier is closed
)

// TokenError says why a request was refused. Its text holds no part of the
// token but its key id and is fit for a log; tell a stranger only the Reason.
type TokenError struct {
	Reason string
	Err    error
}

func (e *TokenError) Error() string { return fmt.Sprintf("acs: token: %s: %v", e.Reason, e.Err) }

// Unwrap returns the cause.
func (e *TokenError) Unwrap() error { return e.Err }

// VerifierStats counts what a Verifier decided.
type VerifierStats struct {
	Accepted int64 `json:"accepted"`
	// FromCache is the part of Accepted that was verified before.
	FromCache int64 `json:"from_cache"`
	// Refused tokens by reason.
	Refused map[string]int64 `json:"refused,omitempty"`
	// Fetches of document and keys, the failed ones included.
	Fetches      int64 `json:"fetches"`
	FetchErrors  int64 `json:"fetch_errors"`
	CachedTokens int   `json:"cached_tokens"`
}

// Verifier checks the bearer tokens that Call Automation puts on its callbacks
// and on the upgrade of its media WebSockets: RS256, signed by a key of the
// configured OpenID document, with the right issuer and audience, not expired.
// It fails closed: without keys every token is refused. The keys are fetched
// with the first token, not before. A Verifier is safe for concurrent use.
type Verifier struct {
	// Static after construction.
	config VerifierConfig
	keys   *keyStore

	// Guarded by mu.
	mu      sync.Mutex
	stats   VerifierStats
	cache   map[[sha256.Size]byte]time.Time // verified tokens: until when
	cacheOf *keySet                         // the keys that cache was verified with
}

// NewVerifier checks the configuration; it does no I/O.
func NewVerifier(config VerifierConfig) (*Verifier, error) {
	if len(config.Audience) == 0 {
		return nil, errors.New("acs: verifier: audience is empty, want the resource's immutable id")
	}
	for i, a := range config.Audience {
		if a == "" {
			return nil, fmt.Errorf("acs: verifier: audience %d of %d is empty", i, len(config.Audience))
		}
	}
	config.defaults()
	if _, err := parseURL("OpenID URL", config.OpenIDURL, config.Insecure); err != nil {
		return nil, fmt.Errorf("acs: verifier: %w", err)
	}
	return &Verifier{
		config: config,
		keys:   newKeyStore(config),
		stats:  VerifierStats{Refused: map[string]int64{}},
		cache:  map[[sha256.Size]byte]time.Time{},
	}, nil
}

func (c *VerifierConfig) defaults() {
	if c.OpenIDURL == "" {
		c.OpenIDURL = OpenIDURL
	}
	if c.Leeway == 0 {
		c.Leeway = 30 * time.Second
	}
	c.Leeway = max(c.Leeway, 0)
	if c.FetchTimeout <= 0 {
		c.FetchTimeout = 5 * time.Second
	}
	if c.RefreshInterval <= 0 {
		c.RefreshInterval = time.Hour
	}
	if c.UnknownKeyInterval <= 0 {
		c.UnknownKeyInterval = 30 * time.Second
	}
	if c.CacheSize == 0 {
		c.CacheSize = 1024
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Verify checks the bearer token of r and returns nil or a *TokenError. It may
// wait for a fetch of keys, as long as r's context and FetchTimeout let it.
func (v *Verifier) Verify(r *http.Request) error {
	err := v.verify(r)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err == nil {
		v.stats.Accepted++
		return nil
	}
	v.stats.Refused[err.Reason]++
	return err
}

func (v *Verifier) verify(r *http.Request) *TokenError {
	token, err := bearer(r.Header)
	if err != nil {
		return &TokenError{RefusedMissing, err}
	}
	set, failure := v.keys.current(r.Context())
	if failure != nil {
		return failure
	}
	sum := sha256.Sum256([]byte(token))
	if v.cached(sum, set) {
		return nil
	}
	expiry, failure := v.check(token, set)
	if failure != nil && failure.Reason == RefusedKey {
		newer := v.keys.newer(r.Context(), set)
		if newer == set {
			return failure
		}
		set = newer
		expiry, failure = v.check(token, set)
	}
	if failure != nil {
		return failure
	}
	v.remember(sum, expiry, set)
	return nil
}

// check verifies token with set and returns its expiry.
func (v *Verifier) check(token string, set *keySet) (time.Time, *TokenError) {
	var claims jwt.RegisteredClaims
	t, err := set.parser.ParseWithClaims(token, &claims, set.key)
	switch {
	case err == nil:
		return claims.ExpiresAt.Time, nil
	case t != nil && t.Method != nil && t.Method.Alg() != algorithm:
		// To jwt this is a bad signature.
		return time.Time{}, &TokenError{RefusedAlgorithm, err}
	}
	return time.Time{}, &TokenError{refusalReason(err), err}
}

// refusalReason translates the errors of jwt and keyfunc.
func refusalReason(err error) string {
	for _, r := range []struct {
		is     error
		reason string
	}{
		{jwkset.ErrKeyNotFound, RefusedKey},
		{jwt.ErrTokenMalformed, RefusedMalformed},
		{jwt.ErrTokenUnverifiable, RefusedMalformed},
		{jwt.ErrTokenSignatureInvalid, RefusedSignature},
		{jwt.ErrTokenRequiredClaimMissing, RefusedClaim},
		{jwt.ErrTokenExpired, RefusedExpired},
		{jwt.ErrTokenNotValidYet, RefusedNotYet},
		{jwt.ErrTokenInvalidIssuer, RefusedIssuer},
		{jwt.ErrTokenInvalidAudience, RefusedAudience},
	} {
		if errors.Is(err, r.is) {
			return r.reason
		}
	}
	return RefusedMalformed
}

// maxToken bounds the tokens that are looked at, in bytes.
const maxToken = 16 << 10

// bearer takes the token from exactly one Authorization header.
func bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", fmt.Errorf("%d Authorization headers, want 1", len(values))
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	switch {
	case !strings.EqualFold(scheme, "Bearer") || token == "":
		return "", errors.New("authorization is not a bearer token")
	case len(token) > maxToken:
		return "", fmt.Errorf("token of %d bytes, want at most %d", len(token), maxToken)
	}
	return token, nil
}

// cached tells whether the token was verified before, with the same keys, and
// has not expired since.
func (v *Verifier) cached(sum [sha256.Size]byte, set *keySet) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cacheOf != set || !v.config.Now().Before(v.cache[sum]) {
		return false
	}
	v.stats.FromCache++
	return true
}

// remember keeps a verified token until it expires. When the cache is full the
// expired go, or one at random; when the keys have changed all go, so that a
// withdrawn key takes its tokens with it.
func (v *Verifier) remember(sum [sha256.Size]byte, expiry time.Time, set *keySet) {
	if v.config.CacheSize < 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cacheOf != set {
		clear(v.cache)
		v.cacheOf = set
	}
	if len(v.cache) >= v.config.CacheSize {
		v.evict()
	}
	v.cache[sum] = expiry.Add(v.config.Leeway)
}

// evict makes room for one token. It must only be called with mu held.
func (v *Verifier) evict() {
	now := v.config.Now()
	for sum, until := range v.cache {
		if !now.Before(until) {
			delete(v.cache, sum)
		}
	}
	for sum := range v.cache {
		if len(v.cache) < v.config.CacheSize {
			return
		}
		delete(v.cache, sum)
	}
}

// Stats returns the counters so far.
func (v *Verifier) Stats() VerifierStats {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.stats
	s.Refused = make(map[string]int64, len(v.stats.Refused))
	for reason, n := range v.stats.Refused {
		s.Refused[reason] = n
	}
	s.CachedTokens = len(v.cache)
	s.Fetches, s.FetchErrors = v.keys.counts()
	return s
}

// Ready fetches the keys if there are none yet, so that a wrong address shows
// at start and not with the first call.
func (v *Verifier) Ready(ctx context.Context) error {
	if _, failure := v.keys.current(ctx); failure != nil {
		return failure
	}
	return nil
}

// Close stops the background refresh and waits for it. From then on every
// token is refused.
func (v *Verifier) Close() error {
	v.keys.close()
	return nil
}
