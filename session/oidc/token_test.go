package oidc

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

func TestVerify(t *testing.T) {
	i := newIssuer(t)
	v := newTestVerifier(t, i, nil)
	k1, stranger := testKeys()[0], testKeys()[1]
	now := v.now()
	sign := func(kid string, key any, change func(jwt.MapClaims)) string { return i.token(t, now, kid, key, change) }
	claim := func(name string, value any) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) {
			c[name] = value
			if value == nil {
				delete(c, name)
			}
		}
	}
	good := sign("k1", k1, nil)
	parts := strings.Split(good, ".")
	rs512 := jwt.NewWithClaims(jwt.SigningMethodRS512, jwt.MapClaims{"iss": testIssuer, "aud": testAudience, "exp": now.Add(time.Minute).Unix()})
	rs512.Header["kid"] = "k1"
	rs512Token, err := rs512.SignedString(k1)
	require.NoError(t, err)
	crit := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": testIssuer, "aud": testAudience, "exp": now.Add(time.Minute).Unix()})
	crit.Header["kid"], crit.Header["crit"] = "k1", []string{"b64"}
	critToken, err := crit.SignedString(k1)
	require.NoError(t, err)

	for _, c := range []struct{ name, token, reason string }{
		{"good", good, ""},
		{"audience in a list", sign("k1", k1, claim("aud", []string{"x", testAudience})), ""},
		{"expired within the leeway", sign("k1", k1, claim("exp", now.Add(-29*time.Second).Unix())), ""},
		{"expired", sign("k1", k1, claim("exp", now.Add(-31*time.Second).Unix())), RefusedExpired},
		{"no expiry", sign("k1", k1, claim("exp", nil)), RefusedClaim},
		{"not yet", sign("k1", k1, claim("nbf", now.Add(time.Hour).Unix())), RefusedNotYet},
		{"other audience", sign("k1", k1, claim("aud", "someone-else")), RefusedAudience},
		{"no audience", sign("k1", k1, claim("aud", nil)), RefusedClaim},
		{"other issuer", sign("k1", k1, claim("iss", "https://evil.example")), RefusedIssuer},
		{"no issuer", sign("k1", k1, claim("iss", nil)), RefusedClaim},
		{"none", sign("k1", nil, nil), RefusedAlgorithm},
		{"HS256 with the public key", sign("k1", k1.N.Bytes(), nil), RefusedAlgorithm},
		{"RS512 with the right key", rs512Token, RefusedAlgorithm},
		{"stranger's key", sign("k1", stranger, nil), RefusedSignature},
		{"changed claims", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+testIssuer+`","aud":"`+testAudience+`","exp":99999999999}`)) + "." + parts[2], RefusedSignature},
		{"no signature", parts[0] + "." + parts[1] + ".", RefusedSignature},
		{"no key id", sign("", k1, nil), RefusedMalformed},
		{"long key id", sign(strings.Repeat("k", 300), k1, nil), RefusedMalformed},
		{"crit", critToken, RefusedMalformed},
		{"not a token", "abc", RefusedMalformed},
		{"claims of wrong types", sign("k1", k1, claim("exp", "soon")), RefusedMalformed},
		{"too long", strings.Repeat("a", maxToken+1), RefusedMissing},
		{"blank", "", RefusedMissing},
	} {
		err := v.Verify(withToken(c.token))
		if c.reason == "" {
			require.NoError(t, err, c.name)
			continue
		}
		requireRefused(t, c.reason, err)
		if len(c.token) > 40 {
			require.NotContains(t, err.Error(), c.token[len(c.token)-20:], c.name)
		}
	}
	require.EqualValues(t, 1, i.keyFetches.Load(), "one fetch serves them all")
	require.EqualValues(t, 3, v.Stats().Accepted)
	require.EqualValues(t, 3, v.Stats().Refused[RefusedAlgorithm])
}

func TestVerifyHeader(t *testing.T) {
	i := newIssuer(t)
	v := newTestVerifier(t, i, nil)
	token := i.token(t, v.now(), "k1", testKeys()[0], nil)
	r := withToken("")
	r.Header.Set("Authorization", "bearer   "+token)
	require.NoError(t, v.Verify(r), "the scheme's case is free")
	r.Header.Add("Authorization", "Bearer "+token)
	requireRefused(t, RefusedMissing, v.Verify(r))
	r.Header.Del("Authorization")
	requireRefused(t, RefusedMissing, v.Verify(r))
	r.Header.Set("Authorization", "HMAC-SHA256 "+token)
	requireRefused(t, RefusedMissing, v.Verify(r))
}

func TestTokenCache(t *testing.T) {
	i := newIssuer(t)
	v := newTestVerifier(t, i, func(c *Config) { c.CacheSize = 4 })
	r := withToken(i.token(t, v.now(), "k1", testKeys()[0], nil))
	require.NoError(t, v.Verify(r))
	require.NoError(t, v.Verify(r))
	require.EqualValues(t, 1, v.Stats().FromCache)
	v.advance(5*time.Minute + 31*time.Second)
	requireRefused(t, RefusedExpired, v.Verify(r))

	for range 20 {
		require.NoError(t, v.Verify(withToken(i.token(t, v.now(), "k1", testKeys()[0], nil))))
		require.LessOrEqual(t, v.Stats().CachedTokens, 4)
	}
	none := newTestVerifier(t, i, func(c *Config) { c.CacheSize = -1 })
	none.offset.Store(v.offset.Load())
	r = withToken(i.token(t, none.now(), "k1", testKeys()[0], nil))
	require.NoError(t, none.Verify(r))
	require.NoError(t, none.Verify(r))
	require.Zero(t, none.Stats().FromCache)
}

func TestNewChecks(t *testing.T) {
	const url = "https://issuer.example/"
	for want, c := range map[string]Config{
		"audience is empty":        {DocumentURL: url},
		"audience 1 of 2 is empty": {DocumentURL: url, Audience: []string{"a", ""}},
		"issuer 0 of 1 is empty":   {DocumentURL: url, Audience: []string{"a"}, Issuers: []string{""}},
		"tenant 0 of 1 is empty":   {DocumentURL: url, Audience: []string{"a"}, Tenants: []string{""}},
		"plain http":               {Audience: []string{"a"}, DocumentURL: "http://issuer.example/"},
		"want https://host":        {Audience: []string{"a"}, DocumentURL: "file:///etc/passwd"},
		"user information":         {Audience: []string{"a"}, DocumentURL: "https://me:secret@issuer.example/"},
		"OpenID URL is not a URL":  {Audience: []string{"a"}, DocumentURL: "https://[:"},
	} {
		_, err := New(c)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret")
	}
	for _, c := range []Config{
		{Audience: []string{"a"}, DocumentURL: "http://issuer.example/", Insecure: true},
		{Audience: []string{"a"}, DocumentURL: "http://LOCALHOST:1/"},
		{Audience: []string{"a"}, DocumentURL: "http://[::1]:1/"},
	} {
		v, err := New(c)
		require.NoError(t, err)
		require.NoError(t, v.Close())
	}
}

// The tokens of Graph's callbacks: two issuers, neither of which is the
// document's, and a tenant.
func TestIssuersAndTenants(t *testing.T) {
	const tenant, other = "2432b57b-0abd-43db-aa7b-16eadd115d34", "11111111-0000-0000-0000-000000000000"
	i := newIssuer(t)
	graph := newTestVerifier(t, i, func(c *Config) {
		c.Issuers = []string{"https://graph.microsoft.com", "https://api.botframework.com"}
		c.TenantRequired = true
	})
	ours := newTestVerifier(t, i, func(c *Config) { c.Tenants = []string{strings.ToUpper(tenant)} })
	entra := newTestVerifier(t, i, func(c *Config) {
		c.Issuers = []string{"https://sts.example/{tenantid}/", "https://login.example/{tenantid}/v2.0"}
	})
	for _, c := range []struct {
		name, iss, tid string
		v              *testVerifier
		reason         string
	}{
		{"first", "https://graph.microsoft.com", tenant, graph, ""},
		{"second", "https://api.botframework.com", tenant, graph, ""},
		{"the document's", testIssuer, tenant, graph, RefusedIssuer},
		{"with a slash more", "https://graph.microsoft.com/", tenant, graph, RefusedIssuer},
		{"no tenant", "https://graph.microsoft.com", "", graph, RefusedClaim},
		{"our tenant", testIssuer, tenant, ours, ""},
		{"another tenant", testIssuer, other, ours, RefusedTenant},
		{"no tenant where one is allowed", testIssuer, "", ours, RefusedClaim},
		{"issuer of the tenant", "https://sts.example/" + tenant + "/", tenant, entra, ""},
		{"issuer of the tenant, version 2", "https://login.example/" + tenant + "/v2.0", tenant, entra, ""},
		{"issuer of another tenant", "https://sts.example/" + other + "/", tenant, entra, RefusedIssuer},
		{"issuer of no tenant", "https://sts.example//", "", entra, RefusedIssuer},
		{"the mark itself", "https://sts.example/{tenantid}/", "", entra, RefusedIssuer},
	} {
		err := c.v.Verify(withToken(i.token(t, c.v.now(), "k1", testKeys()[0], func(m jwt.MapClaims) {
			m["iss"] = c.iss
			if c.tid != "" {
				m["tid"] = c.tid
			}
		})))
		if c.reason == "" {
			require.NoError(t, err, c.name)
			continue
		}
		requireRefused(t, c.reason, err)
	}
}

func TestVerifyToken(t *testing.T) {
	i := newIssuer(t)
	v := newTestVerifier(t, i, nil)
	token := i.token(t, v.now(), "k1", testKeys()[0], func(m jwt.MapClaims) {
		m["tid"], m["sub"], m["appid"], m["azp"] = "t", "s", "a", "z"
	})
	want := Claims{
		Issuer: testIssuer, Audience: []string{testAudience}, Subject: "s", Tenant: "t",
		AppID: "a", AuthorizedParty: "z", Expires: startTime.Add(5 * time.Minute),
	}
	for range 2 { // fresh and remembered
		claims, err := v.VerifyToken(t.Context(), token)
		require.NoError(t, err)
		claims.Expires = claims.Expires.UTC()
		require.Equal(t, want, claims)
	}
	require.EqualValues(t, 1, v.Stats().FromCache)
	for name, bad := range map[string]string{
		"blank": "", "not a token": "abc", "too long": strings.Repeat("a", maxToken+1),
		"tid of a wrong type": i.token(t, v.now(), "k1", testKeys()[0], func(m jwt.MapClaims) { m["tid"] = 5 }),
	} {
		claims, err := v.VerifyToken(t.Context(), bad)
		requireRefused(t, RefusedMalformed, err)
		require.Zero(t, claims, name)
	}
	require.EqualValues(t, 4, v.Stats().Refused[RefusedMalformed])
}

// Whatever is handed in is refused with a reason and never a panic.
func FuzzVerifyToken(f *testing.F) {
	i := newIssuer(f)
	v := newTestVerifier(f, i, nil)
	good := i.token(f, v.now(), "k1", testKeys()[0], nil)
	f.Add(good[:len(good)-1])
	f.Add("e30.e30.")
	f.Add("eyJhbGciOiJSUzI1NiIsImtpZCI6bnVsbH0.bnVsbA.AA")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := v.VerifyToken(t.Context(), token); err != nil {
			var refused *TokenError
			require.ErrorAs(t, err, &refused)
			require.NotEmpty(t, refused.Reason)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	i := newIssuer(b)
	v := newTestVerifier(b, i, nil)
	fresh := newTestVerifier(b, i, func(c *Config) { c.CacheSize = -1 })
	r := withToken(i.token(b, v.now(), "k1", testKeys()[0], nil))
	for name, v := range map[string]*testVerifier{"cached": v, "fresh": fresh} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := v.Verify(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
