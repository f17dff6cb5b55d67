package oidc

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestVerifyFailsClosed(t *testing.T) {
	token := func(i *issuer, v *testVerifier) *http.Request {
		return withToken(i.token(t, v.now(), "k1", testKeys()[0], nil))
	}
	for _, c := range []struct {
		name   string
		change func(i *issuer)
		want   string
	}{
		{"unreachable", func(i *issuer) { i.Close() }, "connection refused"},
		{"status", func(i *issuer) { i.status = 500 }, "HTTP 500, want 200"},
		{"redirect", func(i *issuer) { i.status = 302 }, "HTTP 302"},
		{"no issuer", func(i *issuer) { delete(i.document, "issuer") }, "issuer is missing"},
		{"no keys", func(i *issuer) { delete(i.document, "jwks_uri") }, "jwks_uri"},
		{"wrong type", func(i *issuer) { i.document["issuer"] = 5 }, "issuer: cannot be number"},
		{"keys by plain http", func(i *issuer) { i.document["jwks_uri"] = "http://keys.example/" }, "plain http"},
		{"keys gone", func(i *issuer) { i.document["jwks_uri"] = i.URL + "/nothing" }, "HTTP 404"},
		{"keys of no use", func(i *issuer) { i.document["jwks_uri"] = i.URL + "/openid" }, "none of 0 keys"},
		{"huge document", func(i *issuer) { i.document["x"] = strings.Repeat("x", maxKeyDocument) }, "longer than"},
	} {
		i := newIssuer(t)
		c.change(i)
		v := newTestVerifier(t, i, nil)
		err := v.Verify(token(i, v))
		requireRefused(t, RefusedUnavailable, err)
		require.ErrorContains(t, err, c.want, c.name)
		require.ErrorContains(t, v.Ready(t.Context()), c.want, c.name)
		require.EqualValues(t, 1, v.Stats().Fetches, "the failure is remembered")
		require.EqualValues(t, 1, v.Stats().FetchErrors)
		require.EqualValues(t, 1, v.Stats().Refused[RefusedUnavailable])
	}
}

func TestVerifierRecovers(t *testing.T) {
	i := newIssuer(t)
	v := newTestVerifier(t, i, nil)
	i.set(func() { i.status = 500 })
	r := withToken(i.token(t, v.now(), "k1", testKeys()[0], nil))
	requireRefused(t, RefusedUnavailable, v.Verify(r))
	i.set(func() { i.status = 200 })
	requireRefused(t, RefusedUnavailable, v.Verify(r))
	v.advance(fetchPause)
	require.NoError(t, v.Verify(r))

	v.advance(staleAfter * time.Hour)
	i.set(func() { i.status = 500 })
	requireRefused(t, RefusedUnavailable, v.Verify(withToken(i.token(t, v.now(), "k1", testKeys()[0], nil))))
}

func TestConfiguredIssuer(t *testing.T) {
	i := newIssuer(t)
	v := newTestVerifier(t, i, func(c *Config) { c.DocumentIssuer = "https://another.example" })
	err := v.Verify(withToken(i.token(t, v.now(), "k1", testKeys()[0], nil)))
	requireRefused(t, RefusedUnavailable, err)
	require.ErrorContains(t, err, `want "https://another.example"`)
}

func TestKeyRollover(t *testing.T) {
	i := newIssuer(t)
	v := newTestVerifier(t, i, nil)
	k1, k2 := testKeys()[0], testKeys()[1]
	old := withToken(i.token(t, v.now(), "k1", k1, nil))
	require.NoError(t, v.Verify(old))
	requireRefused(t, RefusedKey, v.Verify(withToken(i.token(t, v.now(), "k2", k2, nil))))

	// The new key appears, and many callbacks come at once: one fetch must do.
	i.set(func() { i.keys = map[string]*rsa.PrivateKey{"k2": k2}; i.hold = make(chan struct{}) })
	before := i.keyFetches.Load()
	errs := make(chan error)
	for range 20 {
		r := withToken(i.token(t, v.now(), "k2", k2, nil))
		go func() { errs <- v.Verify(r) }()
	}
	require.Eventually(t, func() bool { return i.keyFetches.Load() > before }, 5*time.Second, time.Millisecond)
	close(i.hold)
	for range 20 {
		require.NoError(t, <-errs)
	}
	require.EqualValues(t, 1, i.keyFetches.Load()-before)
	requireRefused(t, RefusedKey, v.Verify(old))
}

func TestWithdrawnKeyTakesItsTokens(t *testing.T) {
	i := newIssuer(t)
	v := newTestVerifier(t, i, nil)
	old := withToken(i.token(t, v.now(), "k1", testKeys()[0], nil))
	require.NoError(t, v.Verify(old))
	i.set(func() { i.keys = map[string]*rsa.PrivateKey{"k2": testKeys()[1]} })
	requireRefused(t, RefusedKey, v.Verify(withToken(i.token(t, v.now(), "k3", testKeys()[1], nil))))
	requireRefused(t, RefusedKey, v.Verify(old)) // though it is in the cache
	require.Zero(t, v.Stats().FromCache)
}

func TestUnknownKeyFloodIsBounded(t *testing.T) {
	i := newIssuer(t)
	v := newTestVerifier(t, i, func(c *Config) { c.UnknownKeyInterval = time.Minute })
	good := withToken(i.token(t, v.now(), "k1", testKeys()[0], nil))
	require.NoError(t, v.Verify(good))
	flood := func(n int) {
		for j := range n {
			requireRefused(t, RefusedKey, v.Verify(withToken(i.token(t, v.now(), fmt.Sprint("x", j), testKeys()[1], nil))))
		}
	}
	flood(100)
	require.EqualValues(t, 1+3, i.keyFetches.Load(), "the first and a burst of three")
	v.advance(2*time.Minute - time.Second)
	flood(50)
	require.EqualValues(t, 1+3+1, i.keyFetches.Load(), "one a minute from then on")
	require.EqualValues(t, 150, v.Stats().Refused[RefusedKey])
	require.NoError(t, v.Verify(good))
}

func TestOneFetchForManyFirstTokens(t *testing.T) {
	i := newIssuer(t)
	i.hold = make(chan struct{})
	v := newTestVerifier(t, i, nil)
	errs := make(chan error)
	for range 10 {
		r := withToken(i.token(t, v.now(), "k1", testKeys()[0], nil))
		go func() { errs <- v.Verify(r) }()
	}
	require.Eventually(t, func() bool { return i.keyFetches.Load() == 1 }, 5*time.Second, time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	impatient := withToken(i.token(t, v.now(), "k1", testKeys()[0], nil)).WithContext(ctx)
	requireRefused(t, RefusedUnavailable, v.Verify(impatient))
	close(i.hold)
	for range 10 {
		require.NoError(t, <-errs)
	}
	require.EqualValues(t, 1, i.documents.Load())
}

func TestAllWaitersLearnOfAFailedFetch(t *testing.T) {
	i := newIssuer(t)
	i.hold = make(chan struct{})
	i.set(func() { i.keys = nil })
	v := newTestVerifier(t, i, nil)
	errs := make(chan error)
	for range 10 {
		r := withToken(i.token(t, v.now(), "k1", testKeys()[0], nil))
		go func() { errs <- v.Verify(r) }()
	}
	require.Eventually(t, func() bool { return i.keyFetches.Load() == 1 }, 5*time.Second, time.Millisecond)
	close(i.hold)
	for range 10 {
		requireRefused(t, RefusedUnavailable, <-errs)
	}
	require.EqualValues(t, 1, v.Stats().Fetches)
}

func TestBackgroundRefresh(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	i := newIssuer(t)
	v := newTestVerifier(t, i, func(c *Config) { c.RefreshInterval = 5 * time.Millisecond })
	require.NoError(t, v.Ready(t.Context()))
	<-i.changed
	i.set(func() { i.keys = map[string]*rsa.PrivateKey{"k2": testKeys()[1]} })
	for range 3 { // served after the change
		select {
		case <-i.changed:
		case <-time.After(5 * time.Second):
			t.Fatal("no refresh within 5 s")
		}
	}
	require.NoError(t, v.Verify(withToken(i.token(t, v.now(), "k2", testKeys()[1], nil))))
	require.NoError(t, v.Close())
	require.NoError(t, v.Close(), "twice is fine")
	requireRefused(t, RefusedClosed, v.Verify(withToken(i.token(t, v.now(), "k2", testKeys()[1], nil))))
	i.Close()
	goleak.VerifyNone(t, leaks)
}

func TestCloseEndsAFetch(t *testing.T) {
	i := newIssuer(t)
	i.hold = make(chan struct{})
	defer close(i.hold)
	v := newTestVerifier(t, i, nil)
	done := make(chan error)
	r := withToken(i.token(t, v.now(), "k1", testKeys()[0], nil))
	go func() { done <- v.Verify(r) }()
	require.Eventually(t, func() bool { return i.keyFetches.Load() == 1 }, 5*time.Second, time.Millisecond)
	require.NoError(t, v.Close())
	requireRefused(t, RefusedUnavailable, <-done)
}

func TestOnlySigningKeysCount(t *testing.T) {
	i := newIssuer(t)
	n := base64.RawURLEncoding.EncodeToString(testKeys()[1].N.Bytes())
	i.extra = []map[string]any{
		{"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
		{"kty": "RSA", "kid": "enc", "use": "enc", "n": n, "e": "AQAB"},
		{"kty": "RSA", "kid": "ps", "alg": "PS256", "n": n, "e": "AQAB"},
		{"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
		{"kty": "brand-new", "kid": "x"},
	}
	v := newTestVerifier(t, i, nil)
	require.NoError(t, v.Verify(withToken(i.token(t, v.now(), "k1", testKeys()[0], nil))))
	for _, kid := range []string{"enc", "ps", "broken", "secret"} {
		requireRefused(t, RefusedKey, v.Verify(withToken(i.token(t, v.now(), kid, testKeys()[1], nil))))
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","kid":"a","crv":"P-256","x":"AQ","y":"AQ"}]}`))
	f.Add([]byte(`{"keys":[null,5,{"kty":"OKP","x5c":["!"]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := parseKeys(raw)
		require.Equal(t, err == nil, keys != nil)
	})
}
