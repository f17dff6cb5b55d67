package oidc

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

const (
	// algorithm is the only one that tokens may be signed with.
	algorithm = "RS256"
	// maxKeyDocument bounds the OpenID document and the key set, in bytes.
	maxKeyDocument = 1 << 20
	// fetchPause is how long a failed first fetch answers for the next ones.
	fetchPause = time.Second
	// staleAfter times RefreshInterval, keys that could not be refreshed are
	// not trusted any more.
	staleAfter = 24
)

// keySet is one state of the service's keys; it never changes.
type keySet struct {
	keys   keyfunc.Keyfunc
	parser *jwt.Parser
	// issuers of which a token must name one.
	issuers []string
	raw     []byte // the key document, to see whether it changed
}

// key finds the key of a token, which must name it. It implements jwt.Keyfunc.
func (s *keySet) key(t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		// RFC 7515 section 4.1.11: what must be understood and is not.
		return nil, errors.New("header crit is not supported")
	}
	kid, _ := t.Header["kid"].(string)
	if kid == "" {
		return nil, errors.New("header kid is missing")
	}
	if len(kid) > 256 {
		return nil, fmt.Errorf("header kid of %d bytes is too long", len(kid))
	}
	key, err := s.keys.Keyfunc(t)
	if errors.Is(err, jwkset.ErrKeyNotFound) {
		return nil, fmt.Errorf("%w: kid %q", jwkset.ErrKeyNotFound, clip(kid))
	}
	return key, err
}

// keyStore fetches and keeps the keys. One fetch runs at a time and all who
// need it share it; it belongs to the store, not to the request that began it.
//
// keyfunc's own refresh of unknown key ids is not used: it lets every waiting
// request take one turn of its limiter, so that a burst of callbacks just
// after a change of keys is refused.
type keyStore struct {
	// Static after construction.
	config  Config
	http    *http.Client
	own     *http.Transport // http's, if nobody else uses it
	unknown *rate.Limiter
	ctx     context.Context
	cancel  context.CancelFunc
	loop    sync.WaitGroup

	// Guarded by mu.
	mu       sync.Mutex
	set      *keySet
	fetched  time.Time     // when set was last seen to be current
	fetching chan struct{} // closed when the running fetch ends; nil if none runs
	failure  error         // of the last fetch
	failed   time.Time
	looping  bool
	closed   bool
	fetches  int64
	errors   int64
}

func newKeyStore(config Config) *keyStore {
	ctx, cancel := context.WithCancel(context.Background())
	k := &keyStore{
		config: config, http: &http.Client{}, ctx: ctx, cancel: cancel,
		unknown: rate.NewLimiter(rate.Every(config.UnknownKeyInterval), 3),
	}
	if config.HTTPClient != nil {
		*k.http = *config.HTTPClient
	} else {
		k.own = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
		k.http.Transport = k.own
	}
	k.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return k
}

// current returns the keys, and fetches them if there are none that may be
// trusted.
func (k *keyStore) current(ctx context.Context) (*keySet, *TokenError) {
	k.mu.Lock()
	switch now := k.config.Now(); {
	case k.closed:
		k.mu.Unlock()
		return nil, &TokenError{RefusedClosed, errors.New("verifier is closed")}
	case k.set != nil && now.Sub(k.fetched) < staleAfter*k.config.RefreshInterval:
		defer k.mu.Unlock()
		return k.set, nil
	case k.fetching == nil && k.failure != nil && now.Sub(k.failed) < fetchPause:
		defer k.mu.Unlock()
		return nil, &TokenError{RefusedUnavailable, k.failure}
	}
	err := k.fetchLocked(ctx)
	set := k.set
	k.mu.Unlock()
	if err != nil {
		return nil, &TokenError{RefusedUnavailable, err}
	}
	return set, nil
}

// newer returns keys that are newer than set, or set if there are none or the
// limit of fetches for unknown key ids is reached.
func (k *keyStore) newer(ctx context.Context, set *keySet) *keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.set != set {
		return k.newest(set)
	}
	// Who joins a running fetch costs none of his own.
	if k.fetching == nil && !k.unknown.AllowN(k.config.Now(), 1) {
		return set
	}
	if k.fetchLocked(ctx) != nil {
		return set
	}
	return k.newest(set)
}

// newest is the set in force, or set if there is none. mu must be held.
func (k *keyStore) newest(set *keySet) *keySet {
	if k.set == nil {
		return set
	}
	return k.set
}

// fetchLocked fetches the keys, or waits for the fetch that runs already. mu
// must be held; it is given up meanwhile.
func (k *keyStore) fetchLocked(ctx context.Context) error {
	if done := k.fetching; done != nil {
		k.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
		}
		k.mu.Lock()
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for keys: %w", ctx.Err())
		}
		return k.failure
	}
	done := make(chan struct{})
	k.fetching = done
	k.fetches++
	k.mu.Unlock()
	set, err := k.fetch()
	k.mu.Lock()
	k.fetching = nil
	k.settleLocked(set, err)
	close(done)
	return err
}

// settleLocked takes in the result of a fetch. mu must be held.
func (k *keyStore) settleLocked(set *keySet, err error) {
	now := k.config.Now()
	k.failure = err
	if err != nil {
		k.errors++
		k.failed = now
		k.config.Logger.Warn("oidc: cannot fetch token keys", "document", k.config.DocumentURL, "error", err)
		return
	}
	k.fetched = now
	if k.set == nil || !bytes.Equal(k.set.raw, set.raw) || !slices.Equal(k.set.issuers, set.issuers) {
		k.config.Logger.Info("oidc: token keys", "issuers", set.issuers, "first", k.set == nil)
		k.set = set
	}
	if !k.looping && !k.closed {
		k.looping = true
		k.loop.Go(k.refreshLoop)
	}
}

// refreshLoop fetches the keys anew until the store is closed.
func (k *keyStore) refreshLoop() {
	t := time.NewTicker(k.config.RefreshInterval)
	defer t.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-t.C:
		}
		k.mu.Lock()
		if !k.closed {
			_ = k.fetchLocked(k.ctx) // counted and logged there
		}
		k.mu.Unlock()
	}
}

func (k *keyStore) counts() (fetches, failed int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fetches, k.errors
}

func (k *keyStore) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.loop.Wait()
	if k.own != nil {
		k.own.CloseIdleConnections()
	}
}

// fetch reads the OpenID document and the keys that it points to.
func (k *keyStore) fetch() (*keySet, error) {
	ctx, cancel := context.WithTimeout(k.ctx, k.config.FetchTimeout)
	defer cancel()
	raw, err := k.get(ctx, k.config.DocumentURL)
	if err != nil {
		return nil, fmt.Errorf("openid document: %w", err)
	}
	var doc struct {
		Issuer  string `json:"issuer"`
		KeysURL string `json:"jwks_uri"`
	}
	if err := unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("openid document %s: %w", k.config.DocumentURL, err)
	}
	switch {
	case doc.Issuer == "":
		return nil, fmt.Errorf("openid document %s: issuer is missing", k.config.DocumentURL)
	case k.config.DocumentIssuer != "" && doc.Issuer != k.config.DocumentIssuer:
		return nil, fmt.Errorf("openid document %s: issuer %q, want %q", k.config.DocumentURL, clip(doc.Issuer), k.config.DocumentIssuer)
	}
	if err := checkURL("jwks_uri", doc.KeysURL, k.config.Insecure); err != nil {
		return nil, fmt.Errorf("openid document %s: %w", k.config.DocumentURL, err)
	}
	raw, err = k.get(ctx, doc.KeysURL)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	keys, err := parseKeys(raw)
	if err != nil {
		return nil, fmt.Errorf("keys %s: %w", doc.KeysURL, err)
	}
	issuers := k.config.Issuers
	if len(issuers) == 0 {
		issuers = []string{doc.Issuer}
	}
	return &keySet{keys: keys, issuers: issuers, raw: raw, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{algorithm}),
		jwt.WithAudience(k.config.Audience...),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(k.config.Leeway),
		jwt.WithTimeFunc(k.config.Now),
	)}, nil
}

// get reads a document of at most maxKeyDocument bytes.
func (k *keyStore) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: HTTP %d, want 200", url, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeyDocument+1))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	if len(body) > maxKeyDocument {
		return nil, fmt.Errorf("get %s: longer than %d bytes", url, maxKeyDocument)
	}
	return body, nil
}

// parseKeys takes the RSA signing keys that have an id out of a JWK set (RFC
// 7517 section 5) and leaves the rest. No such key is an error.
func parseKeys(raw []byte) (keyfunc.Keyfunc, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	storage := jwkset.NewMemoryStorage()
	usable := 0
	for _, one := range doc.Keys {
		jwk, err := jwkset.NewJWKFromRawJSON(one, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		m := jwk.Marshal()
		if _, ok := jwk.Key().(*rsa.PublicKey); !ok || m.KID == "" ||
			(m.USE != "" && m.USE != jwkset.UseSig) || (m.ALG != "" && m.ALG != jwkset.AlgRS256) {
			continue
		}
		if err := storage.KeyWrite(context.Background(), jwk); err != nil {
			return nil, err
		}
		usable++
	}
	if usable == 0 {
		return nil, fmt.Errorf("none of %d keys is an RS256 signing key", len(doc.Keys))
	}
	return keyfunc.New(keyfunc.Options{Storage: storage})
}

// unmarshal decodes exactly one JSON value and words the error with the field
// that is wrong.
func unmarshal(b []byte, v any) error {
	err := json.Unmarshal(b, v)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("%s: cannot be %s", wrong.Field, wrong.Value)
	case errors.As(err, &wrong):
		return fmt.Errorf("cannot be %s", wrong.Value)
	}
	return err
}
