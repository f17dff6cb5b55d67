// Package oidc checks the tokens by which a call service proves that a request
// is its own: JSON Web Tokens signed RS256 with a key that the service
// publishes by an OpenID Connect configuration document (OpenID Connect
// Discovery 1.0, RFC 7517, RFC 7519). It fails closed: without keys every
// token is refused. It never issues a token, signs nobody in, and knows no
// cloud's addresses.
package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// Reasons for which a token is refused: TokenError.Reason and the keys of
// Stats.Refused.
const (
	RefusedMissing     = "missing"       // no bearer token in the request
	RefusedMalformed   = "malformed"     // not a JWT, or without key id
	RefusedAlgorithm   = "algorithm"     // signed with anything but RS256
	RefusedKey         = "unknown_key"   // no such key id, also after a fetch or with none allowed now
	RefusedSignature   = "signature"     // does not verify
	RefusedClaim       = "claim_missing" // without expiry, issuer, audience, or tenant where one is required
	RefusedExpired     = "expired"
	RefusedNotYet      = "not_yet_valid"    // nbf lies ahead
	RefusedIssuer      = "issuer"           // of another issuer
	RefusedAudience    = "audience"         // for another resource
	RefusedTenant      = "tenant"           // of a tenant that is not allowed
	RefusedUnavailable = "keys_unavailable" // the keys cannot be had: no token can be judged
	RefusedClosed      = "closed"           // the Verifier is closed
)

// TokenError says why a request was refused. Its text holds no part of the
// token but its key id and those of its claims that are wrong, and is fit for
// a log; tell a stranger only the Reason.
type TokenError struct {
	Reason string
	Err    error
}

func (e *TokenError) Error() string { return fmt.Sprintf("oidc: token: %s: %v", e.Reason, e.Err) }

// Unwrap returns the cause.
func (e *TokenError) Unwrap() error { return e.Err }

// Claims are what a verified token says.
type Claims struct {
	Issuer   string
	Audience []string
	Subject  string
	// Tenant is tid, empty if the token has none.
	Tenant string
	// AppID and AuthorizedParty are appid and azp: the application that the
	// token was given to, as versions 1.0 and 2.0 of Microsoft's tokens
	// spell it.
	AppID           string
	AuthorizedParty string
	Expires         time.Time
}

// Stats counts what a Verifier decided.
type Stats struct {
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

// Verifier checks tokens: RS256, signed by a key of the configured document,
// with the right issuer, audience and tenant, not expired. The keys are
// fetched with the first token, not before. A Verifier is safe for concurrent
// use.
type Verifier struct {
	// Static after construction.
	config Config
	keys   *keyStore

	// Guarded by mu.
	mu      sync.Mutex
	stats   Stats
	cache   map[[sha256.Size]byte]verified
	cacheOf *keySet // the keys that cache was verified with
}

// verified is a token that passed.
type verified struct {
	claims Claims
	until  time.Time
}

// New checks the configuration; it does no I/O.
func New(config Config) (*Verifier, error) {
	config, err := config.resolve()
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	return &Verifier{
		config: config,
		keys:   newKeyStore(config),
		stats:  Stats{Refused: map[string]int64{}},
		cache:  map[[sha256.Size]byte]verified{},
	}, nil
}

// Verify checks the bearer token of r and returns nil or a *TokenError. It may
// wait for a fetch of keys, as long as r's context and FetchTimeout let it.
func (v *Verifier) Verify(r *http.Request) error {
	token, err := bearer(r.Header)
	if err != nil {
		return v.refuse(&TokenError{RefusedMissing, err})
	}
	_, err = v.VerifyToken(r.Context(), token)
	return err
}

// VerifyToken checks a token that comes without a request, as in the
// validationTokens of a change notification, and returns its claims or a
// *TokenError. It may wait as Verify does.
func (v *Verifier) VerifyToken(ctx context.Context, token string) (Claims, error) {
	claims, err := v.verify(ctx, token)
	if err != nil {
		return Claims{}, v.refuse(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stats.Accepted++
	return claims, nil
}

// refuse counts err, which must not be nil, and returns it.
func (v *Verifier) refuse(err *TokenError) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stats.Refused[err.Reason]++
	return err
}

func (v *Verifier) verify(ctx context.Context, token string) (Claims, *TokenError) {
	if len(token) > maxToken {
		return Claims{}, &TokenError{RefusedMalformed, fmt.Errorf("token of %d bytes, want at most %d", len(token), maxToken)}
	}
	set, failure := v.keys.current(ctx)
	if failure != nil {
		return Claims{}, failure
	}
	sum := sha256.Sum256([]byte(token))
	if claims, ok := v.cached(sum, set); ok {
		return claims, nil
	}
	claims, failure := v.check(token, set)
	if failure != nil && failure.Reason == RefusedKey {
		newer := v.keys.newer(ctx, set)
		if newer == set {
			return Claims{}, failure
		}
		set = newer
		claims, failure = v.check(token, set)
	}
	if failure != nil {
		return Claims{}, failure
	}
	v.remember(sum, claims, set)
	return claims, nil
}

// wireClaims are the claims that are read.
type wireClaims struct {
	jwt.RegisteredClaims
	Tenant          string `json:"tid"`
	AppID           string `json:"appid"`
	AuthorizedParty string `json:"azp"`
}

// check verifies token with set.
func (v *Verifier) check(token string, set *keySet) (Claims, *TokenError) {
	var wire wireClaims
	t, err := set.parser.ParseWithClaims(token, &wire, set.key)
	switch {
	case err != nil && t != nil && t.Method != nil && t.Method.Alg() != algorithm:
		// To jwt this is a bad signature.
		return Claims{}, &TokenError{RefusedAlgorithm, err}
	case err != nil:
		return Claims{}, &TokenError{refusalReason(err), err}
	}
	claims := Claims{
		Issuer: wire.Issuer, Audience: wire.Audience, Subject: wire.Subject, Tenant: wire.Tenant,
		AppID: wire.AppID, AuthorizedParty: wire.AuthorizedParty, Expires: wire.ExpiresAt.Time,
	}
	if failure := v.checkOrigin(claims, set); failure != nil {
		return Claims{}, failure
	}
	return claims, nil
}

// checkOrigin checks who issued the token, and for which tenant.
func (v *Verifier) checkOrigin(claims Claims, set *keySet) *TokenError {
	switch {
	case claims.Issuer == "":
		return &TokenError{RefusedClaim, errors.New("claim iss is missing")}
	case claims.Tenant == "" && v.config.TenantRequired:
		return &TokenError{RefusedClaim, errors.New("claim tid is missing")}
	case !slices.ContainsFunc(set.issuers, func(issuer string) bool { return issuedBy(issuer, claims) }):
		return &TokenError{RefusedIssuer, fmt.Errorf("iss %q, want one of %q", clip(claims.Issuer), set.issuers)}
	case len(v.config.Tenants) > 0 && !slices.ContainsFunc(v.config.Tenants, func(t string) bool {
		return strings.EqualFold(t, claims.Tenant)
	}):
		return &TokenError{RefusedTenant, fmt.Errorf("tid %q is not allowed", clip(claims.Tenant))}
	}
	return nil
}

// issuedBy tells whether the token is of issuer, in which tenantMark stands
// for the token's own tenant.
func issuedBy(issuer string, claims Claims) bool {
	if strings.Contains(issuer, tenantMark) {
		if claims.Tenant == "" {
			return false
		}
		issuer = strings.ReplaceAll(issuer, tenantMark, claims.Tenant)
	}
	return issuer == claims.Issuer
}

const tenantMark = "{tenantid}"

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

// cached returns the claims of a token that was verified before, with the same
// keys, and has not expired since.
func (v *Verifier) cached(sum [sha256.Size]byte, set *keySet) (Claims, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	one, ok := v.cache[sum]
	if !ok || v.cacheOf != set || !v.config.Now().Before(one.until) {
		return Claims{}, false
	}
	v.stats.FromCache++
	return one.claims, true
}

// remember keeps a verified token until it expires. When the cache is full the
// expired go, or one at random; when the keys have changed all go, so that a
// withdrawn key takes its tokens with it.
func (v *Verifier) remember(sum [sha256.Size]byte, claims Claims, set *keySet) {
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
	v.cache[sum] = verified{claims, claims.Expires.Add(v.config.Leeway)}
}

// evict makes room for one token. It must only be called with mu held.
func (v *Verifier) evict() {
	now := v.config.Now()
	for sum, one := range v.cache {
		if !now.Before(one.until) {
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
func (v *Verifier) Stats() Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.stats
	s.Refused = maps.Clone(v.stats.Refused)
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
