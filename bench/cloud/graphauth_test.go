package cloud

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// claims are those of a good access token of the first app, with changes; nil
// takes a claim away.
func (b *graphBot) claims(changes jwt.MapClaims) jwt.MapClaims {
	app, now := b.srv.GraphApps()[0], time.Now()
	claims := jwt.MapClaims{
		"iss": "https://sts.windows.net/" + app.TenantID + "/", "aud": "https://graph.microsoft.com", "appid": app.ID, "tid": app.TenantID,
		"roles": app.Roles, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for key, value := range changes {
		if claims[key] = value; value == nil {
			delete(claims, key)
		}
	}
	return claims
}

func signed(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(method, claims).SignedString(key)
	require.NoError(t, err)
	return text
}

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	b := startGraphBot(t, &Server{}, true)
	call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	path := v1Calls + "/" + call.ID()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	sign := func(changes jwt.MapClaims) string {
		return "Bearer " + signed(t, jwt.SigningMethodRS256, testKey(), b.claims(changes))
	}
	hour := time.Hour
	for name, tt := range map[string]struct {
		header string
		status int
	}{
		"good":                 {sign(nil), 200},
		"audience with slash":  {sign(jwt.MapClaims{"aud": "https://graph.microsoft.com/"}), 200},
		"audience is the id":   {sign(jwt.MapClaims{"aud": "00000003-0000-0000-c000-000000000000"}), 200},
		"audience is the url":  {sign(jwt.MapClaims{"aud": b.srv.URL()}), 200},
		"none":                 {"", 401},
		"no bearer":            {"Basic dTpw", 401},
		"empty":                {"Bearer ", 401},
		"no token":             {"Bearer TOKEN123", 401},
		"expired":              {sign(jwt.MapClaims{"exp": time.Now().Add(-hour).Unix()}), 401},
		"without expiry":       {sign(jwt.MapClaims{"exp": nil}), 401},
		"not yet valid":        {sign(jwt.MapClaims{"nbf": time.Now().Add(hour).Unix()}), 401},
		"wrong audience":       {sign(jwt.MapClaims{"aud": "https://vault.azure.net"}), 401},
		"without audience":     {sign(jwt.MapClaims{"aud": nil}), 401},
		"wrong issuer":         {sign(jwt.MapClaims{"iss": "https://sts.windows.net/" + uuid.NewString() + "/"}), 401},
		"wrong tenant":         {sign(jwt.MapClaims{"tid": uuid.NewString()}), 401},
		"unknown app":          {sign(jwt.MapClaims{"appid": uuid.NewString()}), 401},
		"without app":          {sign(jwt.MapClaims{"appid": nil}), 401},
		"another key":          {"Bearer " + signed(t, jwt.SigningMethodRS256, other, b.claims(nil)), 401},
		"alg none":             {"Bearer " + signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, b.claims(nil)), 401},
		"the public key as HS": {"Bearer " + signed(t, jwt.SigningMethodHS256, x509.MarshalPKCS1PublicKey(&testKey().PublicKey), b.claims(nil)), 401},
		"spoilt":               {spoil(sign(nil)), 401},
	} {
		token := b.token
		b.token = ""
		r := b.do("GET", path, "", "Authorization", tt.header)
		b.token = token
		require.Equal(t, tt.status, r.status, "%s: %s", name, r.str())
		if tt.status == 401 {
			require.Equal(t, "InvalidAuthenticationToken", r.code(), name)
		}
	}
	// "Delegated: not supported": such a token has scopes, and no roles.
	r := b.do("POST", v1Calls, b.order(serviceHosted, `"targets":[`+oneUser+`]`), "Authorization", sign(jwt.MapClaims{"roles": nil, "scp": "Calls.Initiate.All"}))
	require.Equal(t, []any{403, "7504"}, []any{r.status, r.code()})
	b.finish(call)
}

// TestInsecureAccess: the JavaScript SDK sends no token over plain http.
func TestInsecureAccess(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	for header, status := range map[string]int{"": 200, "Bearer TOKEN123": 200, "Bearer " + signed(t, jwt.SigningMethodRS256, testKey(), b.claims(jwt.MapClaims{"exp": 1})): 401} {
		b.token = ""
		call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
		require.Equal(t, status, b.do("GET", v1Calls+"/"+call.ID(), "", "Authorization", header).status, header)
		b.finish(call)
	}
}

// The roles of table and documents; each list is of those of which one is
// enough.
var permissions = []struct {
	method, path string // below the call
	version      string
	roles        [][]string // each must be there
}{
	{"POST", "answer", "v1.0", [][]string{{"Calls.JoinGroupCall.All", "Calls.JoinGroupCallAsGuest.All"}}},
	{"POST", "redirect", "v1.0", [][]string{{"Calls.Initiate.All"}}},
	{"POST", "recordResponse", "v1.0", [][]string{{"Calls.AccessMedia.All"}}},
	{"POST", "subscribeToTone", "v1.0", [][]string{{"Calls.AccessMedia.All"}}},
	{"POST", "transfer", "v1.0", [][]string{{"Calls.Initiate.All"}}},
	{"POST", "changeScreenSharingRole", "v1.0", [][]string{{"Calls.AccessMedia.All"}}},
	{"POST", "updateRecordingStatus", "v1.0", [][]string{{"Calls.JoinGroupCall.All", "Calls.AccessMedia.All"}}},
	{"POST", "addLargeGalleryView", "v1.0", [][]string{{"Calls.JoinGroupCallAsGuest.All", "Calls.JoinGroupCall.All", "Calls.InitiateGroupCall.All"}}},
	{"POST", "sendDtmfTones", "v1.0", [][]string{{"Calls.Initiate.All", "Calls.AccessMedia.All"}}},
	{"POST", "participants/invite", "v1.0", [][]string{{"Calls.InitiateGroupCall.All"}}},
	{"POST", "participants/configureMixer", "beta", [][]string{{"Calls.JoinGroupCall.All", "Calls.InitiateGroupCall.All"}}},
	{"GET", "audioRoutingGroups", "v1.0", [][]string{{"Calls.JoinGroupCall.All", "Calls.InitiateGroupCall.All"}}},
	{"POST", "audioRoutingGroups", "v1.0", [][]string{{"Calls.JoinGroupCall.All", "Calls.InitiateGroupCall.All"}}},
	{"GET", "audioRoutingGroups/x", "v1.0", [][]string{{"Calls.JoinGroupCall.All", "Calls.InitiateGroupCall.All"}}},
	{"PATCH", "audioRoutingGroups/x", "v1.0", [][]string{{"Calls.JoinGroupCall.All", "Calls.InitiateGroupCall.All"}}},
	{"DELETE", "audioRoutingGroups/x", "v1.0", [][]string{{"Calls.JoinGroupCall.All", "Calls.InitiateGroupCall.All"}}},
	{"GET", "", "v1.0", nil},
	{"POST", "reject", "v1.0", nil},
	{"POST", "keepAlive", "v1.0", nil},
	{"POST", "mute", "v1.0", nil},
	{"POST", "unmute", "v1.0", nil},
	{"POST", "playPrompt", "v1.0", nil},
	{"POST", "cancelMediaProcessing", "v1.0", nil},
	{"GET", "participants", "v1.0", nil},
	{"GET", "participants/x", "v1.0", nil},
	{"DELETE", "participants/x", "v1.0", nil},
	{"POST", "participants/x/mute", "v1.0", nil},
	{"POST", "participants/muteAll", "beta", nil},
	{"POST", "participants/x/startHoldMusic", "v1.0", nil},
	{"POST", "participants/x/stopHoldMusic", "v1.0", nil},
	{"GET", "contentSharingSessions", "v1.0", nil},
}

// spellings of a role: singular, the older plural, the odd one of the old page,
// and none of them.
func spellings(role string) []string {
	plural := strings.Replace(role, "GroupCall", "GroupCalls", 1)
	return []string{role, plural, strings.Replace(plural, "AsGuest", "asGuest", 1), strings.ToLower(plural)}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call, _ := b.meet(serviceHosted, "")
	as := func(roles ...string) string {
		return "Bearer " + signed(t, jwt.SigningMethodRS256, testKey(), b.claims(jwt.MapClaims{"roles": roles}))
	}
	all := []string{"Calls.Initiate.All", "Calls.InitiateGroupCall.All", "Calls.JoinGroupCall.All", "Calls.JoinGroupCallAsGuest.All", "Calls.AccessMedia.All"}
	for _, tt := range permissions {
		path := "/" + tt.version + "/communications/calls/" + call.ID() + "/" + tt.path
		for _, role := range append([]string{"OnlineMeetings.Read.All"}, all...) {
			enough := true
			for _, one := range tt.roles {
				enough = enough && strings.Contains(strings.Join(one, " ")+" ", role+" ")
			}
			for _, spelling := range spellings(role) {
				r := b.do(tt.method, path, "", "Authorization", as(spelling))
				require.Equal(t, !enough, r.status == 403, "%s %s as %s: %s", tt.method, tt.path, spelling, r.str())
				if !enough {
					require.Equal(t, "7504", r.code())
					require.Equal(t, "Insufficient enterprise tenant permissions, cannot access this API.", r.says())
				}
			}
		}
	}
	for len(b.notes) > 0 { // what was muted and unmuted
		<-b.notes
	}

	app := `{"@odata.type":"#microsoft.graph.appHostedMediaConfig","blob":` + string(marshal(sampleBlob)) + `}`
	guest := `,"source":{"identity":{"guest":{"id":"d7a3b999-17ac-4bca-9e77-e6a730d2ec2e","displayName":"Guest User"}}}`
	for name, tt := range map[string]struct {
		body  string
		roles []string // that together are enough
		also  string   // that is enough instead of the first
	}{
		"peer":         {b.order(serviceHosted, `"targets":[`+oneUser+`]`), []string{"Calls.Initiate.All"}, ""},
		"peer, app":    {b.order(app, `"targets":[`+oneUser+`]`), []string{"Calls.Initiate.All", "Calls.AccessMedia.All"}, ""},
		"group":        {b.order(serviceHosted, `"targets":[`+oneUser+`,`+oneUser+`]`), []string{"Calls.InitiateGroupCall.All"}, ""},
		"meeting":      {b.order(serviceHosted, theMeeting), []string{"Calls.JoinGroupCall.All"}, ""},
		"meeting, app": {b.order(app, theMeeting), []string{"Calls.JoinGroupCall.All", "Calls.AccessMedia.All"}, ""},
		"guest":        {b.order(serviceHosted, theMeeting+guest), []string{"Calls.JoinGroupCallAsGuest.All"}, "Calls.JoinGroupCall.All"},
	} {
		for i, role := range tt.roles {
			var rest []string
			for _, other := range all {
				if other != role && other != tt.also {
					rest = append(rest, other)
				}
			}
			r := b.do("POST", v1Calls, tt.body, "Authorization", as(rest...))
			require.Equal(t, []any{403, "7504"}, []any{r.status, r.code()}, "%s without %s", name, tt.roles[i])
		}
		for spelling := range 4 {
			var roles []string
			for _, role := range tt.roles {
				roles = append(roles, spellings(role)[spelling])
			}
			r := b.do("POST", v1Calls, tt.body, "Authorization", as(roles...))
			require.Equal(t, 201, r.status, "%s: %s", name, r.str())
		}
	}
	ringing, _ := b.ring(GraphRing{Script: quietScript(1)})
	r := b.do("POST", v1Calls+"/"+ringing.ID()+"/answer", b.acceptance(app, ""), "Authorization", as("Calls.JoinGroupCall.All"))
	require.Equal(t, []any{403, "7504"}, []any{r.status, r.code()}, "app-hosted media needs a permission of its own")
	r = b.do("POST", v1Calls, b.order(serviceHosted, `"targets":[`+oneUser+`],"tenantId":"`+uuid.NewString()+`"`))
	require.Equal(t, []any{403, "7505", "Request authorization tenant mismatch."}, []any{r.status, r.code(), r.says()})
}

// TestForeignCalls: a call is its application's alone.
func TestForeignCalls(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{Apps: []GraphApp{{}, {Name: "Other"}}})
	call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	token, err := b.srv.AccessToken(b.srv.GraphApps()[1].ID)
	require.NoError(t, err)
	for _, method := range []string{"GET", "DELETE"} {
		require.Equal(t, 404, b.do(method, v1Calls+"/"+call.ID(), "", "Authorization", "Bearer "+token).status)
	}
	_, err = b.srv.AccessToken(uuid.NewString())
	require.Error(t, err)
	b.finish(call)
}

// trusting is a client that knows the emulator's authority.
func trusting(t *testing.T, srv *Server) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(srv.CA()))
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}, Timeout: deadline}
}

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	b := startGraphBot(t, &Server{}, true)
	app, client := b.srv.GraphApps()[0], trusting(t, b.srv)
	good := url.Values{"grant_type": {"client_credentials"}, "client_id": {app.ID}, "client_secret": {app.Secret}, "scope": {"https://graph.microsoft.com/.default"}}
	for name, tt := range map[string]struct {
		tenant, key, value string
		status             int
		code               string
	}{
		"good":          {app.TenantID, "", "", 200, ""},
		"scope by url":  {app.TenantID, "scope", b.srv.TLSURL() + "/.default", 200, ""},
		"grant":         {app.TenantID, "grant_type", "password", 400, "unsupported_grant_type"},
		"app":           {app.TenantID, "client_id", uuid.NewString(), 401, "unauthorized_client"},
		"no app":        {app.TenantID, "client_id", "", 401, "unauthorized_client"},
		"secret":        {app.TenantID, "client_secret", "x", 401, "invalid_client"},
		"scope":         {app.TenantID, "scope", "https://vault.azure.net/.default", 400, "invalid_scope"},
		"one scope":     {app.TenantID, "scope", "https://graph.microsoft.com/Calls.Initiate.All", 400, "invalid_scope"},
		"no scope":      {app.TenantID, "scope", "", 400, "invalid_scope"},
		"wrong tenant":  {uuid.NewString(), "", "", 400, "invalid_request"},
		"common tenant": {"common", "", "", 400, "invalid_request"},
	} {
		form := url.Values{}
		for key, value := range good {
			form[key] = value
		}
		if tt.key != "" {
			form.Set(tt.key, tt.value)
		}
		resp, err := client.PostForm(b.srv.TLSURL()+"/"+tt.tenant+"/oauth2/v2.0/token", form)
		require.NoError(t, err)
		var body map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
		resp.Body.Close()
		require.Equal(t, tt.status, resp.StatusCode, name)
		if tt.code != "" {
			require.Equal(t, tt.code, body["error"], name)
			continue
		}
		require.Equal(t, []any{"Bearer", 3600.0}, []any{body["token_type"], body["expires_in"]}, name)
		b.token = body["access_token"].(string)
		b.finish(b.create(serviceHosted, `"targets":[`+oneUser+`]`))
	}
}

// TestAzureIdentity signs in with the real library, over https.
func TestAzureIdentity(t *testing.T) {
	t.Parallel()
	b := startGraphBot(t, &Server{}, true)
	app := b.srv.GraphApps()[0]
	options := &azidentity.ClientSecretCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Cloud: azcloud.Configuration{ActiveDirectoryAuthorityHost: b.srv.TLSURL()}, Transport: trusting(t, b.srv), Retry: policy.RetryOptions{MaxRetries: -1},
		},
		DisableInstanceDiscovery: true,
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	for secret, ok := range map[string]bool{app.Secret: true, "wrong": false} {
		cred, err := azidentity.NewClientSecretCredential(app.TenantID, app.ID, secret, options)
		require.NoError(t, err)
		token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}})
		if !ok {
			require.ErrorContains(t, err, "invalid_client")
			continue
		}
		require.NoError(t, err)
		require.Greater(t, time.Until(token.ExpiresOn), 50*time.Minute)
		b.token = token.Token
		b.finish(b.create(serviceHosted, `"targets":[`+oneUser+`]`))
	}
}

// verifyCallback checks a notification's token as the documents tell, with the
// keys that the emulator publishes.
func (b *graphBot) verifyCallback(n note) (jwt.MapClaims, error) {
	b.t.Helper()
	resp, err := plainClient.Get(b.srv.GraphOIDCURL())
	require.NoError(b.t, err)
	defer resp.Body.Close()
	var discovery struct {
		Issuer string
		Keys   string `json:"jwks_uri"`
	}
	require.NoError(b.t, json.NewDecoder(resp.Body).Decode(&discovery))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	keys, err := keyfunc.NewDefaultCtx(ctx, []string{discovery.Keys})
	require.NoError(b.t, err)
	claims := jwt.MapClaims{}
	_, err = jwt.ParseWithClaims(strings.TrimPrefix(n.header.Get("Authorization"), "Bearer "), claims, keys.Keyfunc,
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer("https://graph.microsoft.com"), jwt.WithAudience(b.srv.GraphApps()[0].ID), jwt.WithExpirationRequired())
	return claims, err
}
