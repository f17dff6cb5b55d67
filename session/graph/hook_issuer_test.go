package graph

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
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
	testAppID  = "56435116-6412-4eb0-9be8-376f6ebeca08"
	testTenant = "2432b57b-0abd-43db-aa7b-16eadd115d34"
)

// noticeTime is when all notifications of the tests come.
var noticeTime = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

// hookKeys are the service's key and a stranger's, made once.
var hookKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
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

// hookIssuer is the service that signs notifications, as far as its keys go.
type hookIssuer struct {
	*httptest.Server
	keyFetches atomic.Int64
}

func newHookIssuer(t *testing.T) *hookIssuer {
	i := &hookIssuer{}
	mux := http.NewServeMux()
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	mux.HandleFunc("/openid", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": "https://api.botframework.com", "jwks_uri": i.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.keyFetches.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{
			"kty": "RSA", "use": "sig", "kid": "k1", "e": "AQAB",
			"n": base64.RawURLEncoding.EncodeToString(hookKeys()[0].N.Bytes()),
		}}})
	})
	return i
}

// verifier checks this issuer's tokens.
func (i *hookIssuer) verify(t *testing.T, tenants ...string) func(*http.Request) error {
	v, err := NewVerifier(VerifierConfig{
		AppID: testAppID, Tenants: tenants, OpenIDURL: i.URL + "/openid",
		Now: func() time.Time { return noticeTime },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	return v.Verify
}

// hookToken signs the usual claims, changed by name; nil takes a claim away.
func hookToken(t *testing.T, kid string, method jwt.SigningMethod, key any, change jwt.MapClaims) string {
	t.Helper()
	claims := jwt.MapClaims{
		"iss": issuerGraph, "aud": testAppID, "tid": testTenant,
		"nbf": noticeTime.Add(-time.Minute).Unix(), "exp": noticeTime.Add(time.Hour).Unix(), "jti": rand.Text(),
	}
	for name, value := range change {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	tok := jwt.NewWithClaims(method, claims)
	tok.Header["kid"] = kid
	signed, err := tok.SignedString(key)
	require.NoError(t, err)
	return signed
}
