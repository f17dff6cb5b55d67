package graph

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

func TestNewVerifierChecks(t *testing.T) {
	for want, c := range map[string]VerifierConfig{
		"audience 0 of 1 is empty": {},
		"tenant 0 of 1 is empty":   {AppID: "a", Tenants: []string{""}},
		"plain http":               {AppID: "a", OpenIDURL: "http://issuer.example/"},
	} {
		_, err := NewVerifier(c)
		require.ErrorContains(t, err, "graph: verifier: ")
		require.ErrorContains(t, err, want)
	}
	v, err := NewVerifier(VerifierConfig{AppID: "a"})
	require.NoError(t, err, "the address has a default")
	require.NoError(t, v.Close())
}

func TestWebhookTokens(t *testing.T) {
	const other = "11111111-0000-0000-0000-000000000000"
	issuer := newHookIssuer(t)
	any, ours := issuer.verify(t), issuer.verify(t, testTenant)
	key, stranger := hookKeys()[0], hookKeys()[1]
	sign := func(change jwt.MapClaims) string { return hookToken(t, "k1", jwt.SigningMethodRS256, key, change) }
	for _, c := range []struct {
		name   string
		token  string
		verify func(*http.Request) error
		reason string
	}{
		{"Graph", sign(nil), any, ""},
		{"Bot Framework", sign(jwt.MapClaims{"iss": issuerBot}), any, ""},
		{"our tenant", sign(nil), ours, ""},
		{"issuer", sign(jwt.MapClaims{"iss": "https://sts.example/"}), any, "issuer"},
		{"no issuer", sign(jwt.MapClaims{"iss": nil}), any, "claim_missing"},
		{"audience", sign(jwt.MapClaims{"aud": other}), any, "audience"},
		{"no tenant", sign(jwt.MapClaims{"tid": nil}), any, "claim_missing"},
		{"empty tenant", sign(jwt.MapClaims{"tid": ""}), any, "claim_missing"},
		{"another tenant", sign(jwt.MapClaims{"tid": other}), ours, "tenant"},
		{"expired", sign(jwt.MapClaims{"exp": noticeTime.Add(-time.Minute).Unix()}), any, "expired"},
		{"no expiry", sign(jwt.MapClaims{"exp": nil}), any, "claim_missing"},
		{"not yet valid", sign(jwt.MapClaims{"nbf": noticeTime.Add(time.Minute).Unix()}), any, "not_yet_valid"},
		{"signature", hookToken(t, "k1", jwt.SigningMethodRS256, stranger, nil), any, "signature"},
		{"none", hookToken(t, "k1", jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil), any, "algorithm"},
		{"HS256", hookToken(t, "k1", jwt.SigningMethodHS256, key.N.Bytes(), nil), any, "algorithm"},
		{"unknown key", hookToken(t, "k2", jwt.SigningMethodRS256, stranger, nil), any, "unknown_key"},
		{"no token", "", any, "missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, sink := newTestWebhook(t, func(config *WebhookConfig) { config.Insecure, config.Verify = false, c.verify })
			rec := post(w, envelope(established), "Authorization", "Bearer "+c.token)
			if c.reason == "" {
				require.Equal(t, http.StatusAccepted, rec.Code, rec.Body)
				require.Len(t, sink.notices, 1)
				return
			}
			require.Equal(t, http.StatusUnauthorized, rec.Code)
			require.Equal(t, "token refused: "+c.reason+"\n", rec.Body.String())
			require.Equal(t, map[string]int64{c.reason: 1}, w.Stats().Unauthorized)
			require.Empty(t, sink.notices)
		})
	}
}

func TestUnknownKeysAreNoStorm(t *testing.T) {
	issuer := newHookIssuer(t)
	w, sink := newTestWebhook(t, func(c *WebhookConfig) { c.Insecure, c.Verify = false, issuer.verify(t) })
	for i := range 100 {
		token := hookToken(t, fmt.Sprint("x", i), jwt.SigningMethodRS256, hookKeys()[1], nil)
		require.Equal(t, http.StatusUnauthorized, post(w, envelope(established), "Authorization", "Bearer "+token).Code)
	}
	require.LessOrEqual(t, issuer.keyFetches.Load(), int64(4), "the first and a burst of three")
	token := hookToken(t, "k1", jwt.SigningMethodRS256, hookKeys()[0], nil)
	require.Equal(t, http.StatusAccepted, post(w, envelope(established), "Authorization", "Bearer "+token).Code)
	require.Len(t, sink.notices, 1)
}

func TestWithoutKeysNothingIsJudged(t *testing.T) {
	issuer := newHookIssuer(t)
	w, sink := newTestWebhook(t, func(c *WebhookConfig) { c.Insecure, c.Verify = false, issuer.verify(t) })
	issuer.Close()
	token := hookToken(t, "k1", jwt.SigningMethodRS256, hookKeys()[0], nil)
	rec := post(w, envelope(established), "Authorization", "Bearer "+token)
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.Empty(t, rec.Header().Get("WWW-Authenticate"))
	require.Equal(t, map[string]int64{"keys_unavailable": 1}, w.Stats().Unauthorized)
	require.Empty(t, sink.notices)
}
