package oidc

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

const (
	testAudience = "9d3c9d5a-0000-4000-8000-000000000001"
	testIssuer   = "https://issuer.example"
)

// startTime is where the clocks of these tests begin.
var startTime = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

// issuer is a fake OpenID provider: it serves its document and its keys and
// signs tokens.
type issuer struct {
	*httptest.Server
	documents, keyFetches atomic.Int64

	mu       sync.Mutex
	keys     map[string]*rsa.PrivateKey // those published
	document map[string]any
	status   int
	hold     chan struct{} // key fetches wait for it, if there is one
	extra    []map[string]any
	changed  chan struct{} // one per key fetch
}

// testKeys are made once: making one takes long under the race detector.
var testKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = k
	}
	return keys
})

func newIssuer(t testing.TB) *issuer {
	i := &issuer{keys: map[string]*rsa.PrivateKey{"k1": testKeys()[0]}, status: 200, changed: make(chan struct{}, 1000)}
	mux := http.NewServeMux()
	mux.HandleFunc("/openid", func(w http.ResponseWriter, _ *http.Request) {
		i.documents.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		w.WriteHeader(i.status)
		_ = json.NewEncoder(w).Encode(i.document)
	})
	mux.HandleFunc("/keys", i.serveKeys)
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	i.document = map[string]any{"issuer": testIssuer, "jwks_uri": i.URL + "/keys"}
	return i
}

func (i *issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	i.keyFetches.Add(1)
	i.mu.Lock()
	hold := i.hold
	i.mu.Unlock()
	if hold != nil {
		<-hold
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	keys := append([]map[string]any{}, i.extra...)
	for kid, k := range i.keys {
		keys = append(keys, map[string]any{"kty": "RSA", "use": "sig", "kid": kid,
			"n": base64.RawURLEncoding.EncodeToString(k.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes())})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
	i.changed <- struct{}{}
}

// set changes the provider.
func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// token signs the usual claims, as changed.
func (i *issuer) token(t testing.TB, now time.Time, kid string, key any, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": testIssuer, "aud": testAudience, "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text()}
	if change != nil {
		change(claims)
	}
	var method jwt.SigningMethod = jwt.SigningMethodRS256
	switch key.(type) {
	case []byte:
		method = jwt.SigningMethodHS256
	case nil:
		method, key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType
	}
	tok := jwt.NewWithClaims(method, claims)
	if kid != "" {
		tok.Header["kid"] = kid
	}
	s, err := tok.SignedString(key)
	require.NoError(t, err)
	return s
}

func withToken(token string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/callbacks", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// testVerifier is a verifier of i's tokens with a clock of its own.
type testVerifier struct {
	*Verifier
	offset atomic.Int64
}

func (v *testVerifier) now() time.Time          { return startTime.Add(time.Duration(v.offset.Load())) }
func (v *testVerifier) advance(d time.Duration) { v.offset.Add(int64(d)) }

func newTestVerifier(t testing.TB, i *issuer, change func(*Config)) *testVerifier {
	t.Helper()
	v := &testVerifier{}
	config := Config{Audience: []string{"other", testAudience}, DocumentURL: i.URL + "/openid", Now: v.now}
	if change != nil {
		change(&config)
	}
	verifier, err := New(config)
	require.NoError(t, err)
	v.Verifier = verifier
	t.Cleanup(func() { require.NoError(t, verifier.Close()) })
	return v
}

func requireRefused(t *testing.T, reason string, err error) {
	t.Helper()
	var refused *TokenError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, reason, refused.Reason, err.Error())
}
