package acs

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

func TestNewVerifierChecks(t *testing.T) {
	for want, c := range map[string]VerifierConfig{
		"audience is empty":        {},
		"audience 1 of 2 is empty": {Audience: []string{"a", ""}},
		"plain http":               {Audience: []string{"a"}, OpenIDURL: "http://issuer.example/"},
		"want https://host":        {Audience: []string{"a"}, OpenIDURL: "file:///etc/passwd"},
	} {
		_, err := NewVerifier(c)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "acs: verifier: ")
	}
	v, err := NewVerifier(VerifierConfig{Audience: []string{"a"}})
	require.NoError(t, err, "the address has a default")
	require.NoError(t, v.Close())
}

// Every field of the configuration reaches the check.
func TestVerifierConfig(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/openid", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": "https://acs.example", "jwks_uri": server.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{
			"kty": "RSA", "kid": "k", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": "AQAB"}}})
	})
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	token := func(audience string, expires time.Time) *http.Request {
		tok := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
			"iss": "https://acs.example", "aud": audience, "exp": expires.Unix(), "jti": rand.Text()})
		tok.Header["kid"] = "k"
		signed, err := tok.SignedString(key)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "/callbacks", nil)
		r.Header.Set("Authorization", "Bearer "+signed)
		return r
	}
	for _, c := range []struct {
		name   string
		r      *http.Request
		change func(*VerifierConfig)
		reason string
	}{
		{"good", token("us", now.Add(time.Minute)), nil, ""},
		{"leeway", token("us", now.Add(-time.Minute)), func(c *VerifierConfig) { c.Leeway = 2 * time.Minute }, ""},
		{"expired", token("us", now.Add(-time.Minute)), nil, RefusedExpired},
		{"audience", token("them", now.Add(time.Minute)), nil, RefusedAudience},
		{"issuer", token("us", now.Add(time.Minute)), func(c *VerifierConfig) { c.Issuer = "https://other.example" }, RefusedUnavailable},
	} {
		config := VerifierConfig{Audience: []string{"us"}, OpenIDURL: server.URL + "/openid", Now: func() time.Time { return now }}
		if c.change != nil {
			c.change(&config)
		}
		v, err := NewVerifier(config)
		require.NoError(t, err)
		err = v.Verify(c.r)
		if c.reason == "" {
			require.NoError(t, err, c.name)
		} else {
			var refused *TokenError
			require.ErrorAs(t, err, &refused, c.name)
			require.Equal(t, c.reason, refused.Reason, c.name)
		}
		require.NoError(t, v.Close())
	}
}
