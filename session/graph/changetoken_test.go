package graph

import (
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// changeToken signs a validation token, changed by name; nil takes a claim
// away.
func changeToken(t *testing.T, key any, change jwt.MapClaims) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": "https://sts.windows.net/" + testTenant + "/", "appid": ChangePublisher}
	for name, value := range change {
		claims[name] = value
	}
	return hookToken(t, "k1", jwt.SigningMethodRS256, key, claims)
}

func TestValidationTokens(t *testing.T) {
	issuer := newHookIssuer(t)
	key, stranger := hookKeys()[0], hookKeys()[1]
	good := changeToken(t, key, nil)
	v2 := jwt.MapClaims{"iss": "https://login.microsoftonline.com/" + testTenant + "/v2.0", "appid": nil, "azp": ChangePublisher}
	for _, c := range []struct {
		name   string
		tokens []string
		reason string
	}{
		{"version 1.0", []string{good}, ""},
		{"version 2.0", []string{changeToken(t, key, v2)}, ""},
		{"both", []string{good, changeToken(t, key, v2)}, ""},
		{"none", nil, "missing"},
		{"empty", []string{""}, "malformed"},
		{"placeholder", []string{"{Validation Tokens}"}, "malformed"},
		{"one bad among good", []string{good, changeToken(t, stranger, nil)}, "signature"},
		{"too many", make([]string, maxTokens+1), "malformed"},
		{"issuer of another tenant", []string{changeToken(t, key, jwt.MapClaims{"tid": "other"})}, "issuer"},
		{"issuer", []string{changeToken(t, key, jwt.MapClaims{"iss": issuerGraph})}, "issuer"},
		{"audience", []string{changeToken(t, key, jwt.MapClaims{"aud": "other"})}, "audience"},
		{"publisher", []string{changeToken(t, key, jwt.MapClaims{"appid": testAppID})}, "publisher"},
		{"no publisher", []string{changeToken(t, key, jwt.MapClaims{"appid": nil})}, "publisher"},
		{"publisher in azp alone", []string{changeToken(t, key, jwt.MapClaims{"appid": testAppID, "azp": ChangePublisher})}, "publisher"},
		{"expired", []string{changeToken(t, key, jwt.MapClaims{"exp": noticeTime.Add(-time.Hour).Unix()})}, "expired"},
		{"not yet valid", []string{changeToken(t, key, jwt.MapClaims{"nbf": noticeTime.Add(time.Hour).Unix()})}, "not_yet_valid"},
		{"no tenant", []string{changeToken(t, key, jwt.MapClaims{"tid": nil})}, "claim_missing"},
		{"alg none", []string{hookToken(t, "k1", jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil)}, "algorithm"},
		{"unknown kid", []string{hookToken(t, "k9", jwt.SigningMethodRS256, stranger, nil)}, "unknown_key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := NewChangeVerifier(ChangeVerifierConfig{
				AppIDs: []string{testAppID}, OpenIDURL: issuer.URL + "/openid", Now: func() time.Time { return noticeTime },
			})
			require.NoError(t, err)
			defer v.Close()
			w, changes := newChanges(t, nil, func(c *ChangeWebhookConfig) { c.Insecure, c.Verify = false, v.Verify })
			body := rich(t, `{"eventType":"callStarted"}`, func(all *ChangeNotifications) {
				all.ValidationTokens = c.tokens
				all.Value = append(all.Value, all.Value[0])
			})
			require.Equal(t, http.StatusAccepted, postTo(w, "/graph/changes", body).Code)
			s := settle(t, w)
			if c.reason == "" {
				require.Len(t, changes, 2)
				return
			}
			require.Empty(t, changes, "the whole batch is discarded")
			require.Equal(t, map[string]int64{"token:" + c.reason: 2}, s.Rejected)
		})
	}
	_, err := NewChangeVerifier(ChangeVerifierConfig{})
	require.ErrorContains(t, err, "graph: change verifier: ")
}

// TestKeysThatCannotBeHad: what was answered and cannot be judged is lost, and
// the watcher is told.
func TestKeysThatCannotBeHad(t *testing.T) {
	issuer := newHookIssuer(t)
	issuer.Close()
	v, err := NewChangeVerifier(ChangeVerifierConfig{AppIDs: []string{testAppID}, OpenIDURL: issuer.URL + "/openid"})
	require.NoError(t, err)
	defer v.Close()
	require.Error(t, v.Ready(t.Context()))
	watcher := &watchLog{rich: true}
	w, changes := newChanges(t, watcher, func(c *ChangeWebhookConfig) { c.Insecure, c.Verify = false, v.Verify })
	postTo(w, "/graph/changes", rich(t, "{}", func(all *ChangeNotifications) { all.ValidationTokens = []string{"x.y.z"} }))
	s := settle(t, w)
	require.Empty(t, changes)
	require.Equal(t, map[string]int64{"token:keys_unavailable": 1}, s.Rejected)
	require.Equal(t, []string{watchedID + " missed"}, watcher.events)
}
