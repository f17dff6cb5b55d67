package cloud

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// Entra's tokens, asked for as the official clients do, and used over https.
func TestBearerTokens(t *testing.T) {
	t.Parallel()
	srv := &Server{signer: testKey(), Apps: []GraphApp{{Secret: "s"}}}
	require.NoError(t, srv.Start(t.Context()))
	defer srv.Close()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(srv.CA()))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}, Timeout: deadline}
	app := srv.GraphApps()[0]
	ask := func(tenant, secret, scope, grant string) (int, map[string]any) {
		resp, err := client.PostForm(srv.TLSURL()+"/"+tenant+tokenPath, url.Values{
			"grant_type": {grant}, "client_id": {app.ID}, "client_secret": {secret}, "scope": {scope},
		})
		require.NoError(t, err)
		defer resp.Body.Close()
		var v map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&v))
		return resp.StatusCode, v
	}
	get := func(base, token string) (int, string) {
		req, err := http.NewRequest("GET", base+connections+"/x"+v2026, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(text)
	}
	const scope = "https://communication.azure.com//.default"
	status, v := ask(app.TenantID, "s", scope, "client_credentials")
	require.Equal(t, 200, status, v)
	token := v["access_token"].(string)
	status, text := get(srv.TLSURL(), token)
	require.Equal(t, 404, status, text) // let in; there is no such call
	status, text = get(srv.URL(), token)
	require.Equal(t, 401, status)
	require.Contains(t, text, "7501")
	minted, err := srv.ACSToken("")
	require.NoError(t, err)
	status, _ = get(srv.TLSURL(), minted)
	require.Equal(t, 404, status)
	_, err = srv.ACSToken("nobody")
	require.Error(t, err)

	for name, status := range map[string]int{"tenant": 400, "secret": 401, "grant": 400} {
		tenant, secret, grant := app.TenantID, "s", "client_credentials"
		switch name {
		case "tenant":
			tenant = uuid.NewString()
		case "secret":
			secret = "wrong"
		case "grant":
			grant = "password"
		}
		got, v := ask(tenant, secret, scope, grant)
		require.Equal(t, status, got, "%s: %v", name, v)
	}

	claims := func(change func(jwt.MapClaims)) string {
		c := srv.accessClaims(srv.apps[0], acsAudience)
		c["exp"] = time.Now().Add(time.Hour).Unix()
		change(c)
		return srv.issuer.sign(c)
	}
	graph, err := srv.AccessToken("")
	require.NoError(t, err)
	for name, bad := range map[string]string{
		"expired":   claims(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Hour).Unix() }),
		"no expiry": claims(func(c jwt.MapClaims) { delete(c, "exp") }),
		"audience":  graph,
		"issuer":    claims(func(c jwt.MapClaims) { c["iss"] = "https://sts.windows.net/other/" }),
		"tenant":    claims(func(c jwt.MapClaims) { c["tid"] = "other" }),
		"app":       claims(func(c jwt.MapClaims) { c["appid"] = uuid.NewString() }),
		"signature": spoil(token),
		"garbage":   "x", "empty": "",
	} {
		status, text := get(srv.TLSURL(), bad)
		require.Equal(t, 401, status, name)
		require.Contains(t, text, `"7501"`, name)
	}
	require.Equal(t, 404, func() int { s, _ := get(srv.TLSURL(), claims(func(jwt.MapClaims) {})); return s }(), "the control")
}

// Repeatability is of exactly the operations that the clients send it on; the
// others ignore its headers. A repeated request has its effect once.
func TestRepeatableOperations(t *testing.T) {
	t.Parallel()
	var names []string
	for _, op := range operations {
		if op.repeatable {
			names = append(names, op.name)
		}
	}
	require.Equal(t, []string{
		"create", "answer", "reject", "redirect", "connect", "terminate", "transferToParticipant", "sendDtmfTones",
		"addParticipant", "removeParticipant", "muteParticipants", "cancelAddParticipant", "moveParticipants", "startRecording",
	}, names)

	b := newBot(t, &Server{OnCreate: talker()})
	c := b.dial(version2026, "")
	headers := func() []string {
		return []string{headerRequestID, uuid.NewString(), headerFirstSent, time.Now().UTC().Format(http.TimeFormat)}
	}
	add, h := `{"participantToAdd":{"communicationUser":{"id":"8:acs:more"}}}`, headers()
	require.NoError(t, b.srv.Break(RequestFault{Operation: "addParticipant", Status: 503, RetryAfter: 1, Executed: true}))
	path := connections + "/" + c.ID()
	status, _, header := b.do("POST", path+"/participants:add"+v2026, add, h...)
	require.Equal(t, 503, status)
	require.Equal(t, "1", header.Get("Retry-After"))
	status, first, header := b.do("POST", path+"/participants:add"+v2026, add, h...)
	require.Equal(t, 202, status)
	require.Equal(t, "accepted", header.Get(headerResult))
	_, second, _ := b.do("POST", path+"/participants:add"+v2026, add, h...)
	require.Equal(t, first, second)
	b.expect("AddParticipantSucceeded", "ParticipantsUpdated")
	status, _, header = b.do("POST", path+"/participants:add"+v2026, strings.Replace(add, "more", "moree", 1), h...)
	require.Equal(t, 400, status)
	require.Equal(t, "rejected", header.Get(headerResult))
	require.Empty(t, b.callbacks)

	// Whoever did not get the answer to terminate asks again when there is no
	// call any more.
	h = headers()
	require.NoError(t, b.srv.Break(RequestFault{Operation: "terminate", Status: 500, Executed: true}))
	status, _, _ = b.do("POST", path+":terminate"+v2026, "", h...)
	require.Equal(t, 500, status)
	wait(t, c)
	status, _, _ = b.do("POST", path+":terminate"+v2026, "", h...)
	require.Equal(t, 204, status)
	status, _, _ = b.do("POST", path+":terminate"+v2026, "", headers()...)
	require.Equal(t, 404, status)
	status, _, header = b.do("POST", path+":play"+v2026, "{}", headerRequestID, "garbage")
	require.Equal(t, 404, status)
	require.Empty(t, header.Get(headerResult))
}

// Every operation can be made to fail, to be slow, or to lose its answer.
func TestFaultsOfEveryOperation(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker()})
	c := b.dial(version2026, "")
	for _, tt := range acsCases(b) {
		path := tt.path
		if !strings.HasPrefix(path, "/calling") {
			path = connections + "/" + c.ID() + path
		}
		for _, fault := range []RequestFault{{Status: 429, RetryAfter: 3}, {Status: 503}} {
			fault.Operation = tt.name
			require.NoError(t, b.srv.Break(fault))
			status, v, h := b.do(tt.method, path+v2026, tt.body)
			require.Equal(t, fault.Status, status, "%s: %v", tt.name, v)
			require.Equal(t, fault.RetryAfter > 0, h.Get("Retry-After") != "")
		}
	}
	require.Empty(t, c.Log().Prompts)
	_, v, _ := b.do("GET", connections+"/"+c.ID()+v2026, "")
	require.Equal(t, "connected", v["callConnectionState"], "nothing took effect")
	c.HangUp()
	wait(t, c)
}
