package graph

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/blob"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

const (
	testToken = "eyTESTTOKENtesttoken"
	testCall  = "57DAB8B1894C409AB240BD8BEAE78896"
)

// seen is a request that came to fakeGraph.
type seen struct {
	method, path string
	header       http.Header
	body         string
}

// fakeGraph answers with its replies, the last one over and over.
type fakeGraph struct {
	*httptest.Server
	replies []http.HandlerFunc

	mu   sync.Mutex
	seen []seen
}

func newFakeGraph(t testing.TB, replies ...http.HandlerFunc) *fakeGraph {
	f := &fakeGraph{replies: replies}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.seen = append(f.seen, seen{r.Method, r.URL.RequestURI(), r.Header.Clone(), string(body)})
		reply := f.replies[min(len(f.seen), len(f.replies))-1]
		f.mu.Unlock()
		reply(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func reply(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func (f *fakeGraph) last(t testing.TB) seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	require.NotEmpty(t, f.seen)
	return f.seen[len(f.seen)-1]
}

func (f *fakeGraph) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

// testClient's pauses take no time and are recorded.
func testClient(t testing.TB, f *fakeGraph, config ClientConfig) (*Client, *[]time.Duration) {
	t.Helper()
	config.Endpoint = f.URL
	if config.Credential == nil {
		config.Token = testToken
	}
	c, err := NewClient(config)
	require.NoError(t, err)
	pauses := new([]time.Duration)
	c.caller.Jitter = func() float64 { return 0 }
	c.caller.Sleep = func(ctx context.Context, d time.Duration) error {
		*pauses = append(*pauses, d)
		return ctx.Err()
	}
	return c, pauses
}

var testMedia = session.MediaRequest{
	URL: "wss://bot.example/media/0123456789abcdef0123456789abcdef", CallbackURL: "https://bot.contoso.com/callback",
	Bidirectional: true,
	Contexts: transport.Contexts{
		CallID: "1b69b141-7f1a-4033-9c34-202737190a20", Render: "14778cc4-f54c-43c7-989f-9092e34ef784", Source: "a5dcfc9b-5a54-48ef-86f5-1fdd8508741a",
	},
}

// TestCreateSendsTheExamples: each create example of the documents goes out as
// it is, and the documented response is understood.
func TestCreateSendsTheExamples(t *testing.T) {
	for _, name := range []string{"ex1", "ex2", "ex3", "ex4", "ex5", "ex6", "ex7", "ex8"} {
		f := newFakeGraph(t, reply(201, string(sample(t, "create-ex1-response"))))
		c, _ := testClient(t, f, ClientConfig{Version: Beta})
		want := sample(t, "create-"+name+"-request")
		conn, err := c.Create(t.Context(), session.CreateRequest{Body: want, Media: testMedia})
		require.NoError(t, err, name)
		got := f.last(t)
		require.Equal(t, "POST", got.method)
		require.Equal(t, "/beta/communications/calls", got.path)
		require.Equal(t, "Bearer "+testToken, got.header.Get("Authorization"))
		require.JSONEq(t, string(want), got.body, name)

		require.Equal(t, "2e1a0b00-2db4-4022-9570-243709c565ab", conn.CallID)
		require.Equal(t, "2e1a0b002db440229570243709c565ab", conn.Key)
		require.Equal(t, session.StateConnecting, conn.State)
		require.Equal(t, "499ff390-7a72-40e8-83a0-8fac6295ae7e", conn.SelfID)
		require.Equal(t, session.Identity{RawID: "28:2891555a-92ff-42e6-80fa-6e1300c6b5c6", Name: "Calling Bot"}, conn.Source)
		require.Equal(t, []session.Identity{{RawID: "8:orgid:112f7296-5fa4-42ca-bae8-6a692b15d4b8", Name: "John"}}, conn.Targets)
	}
}

// TestCreateAddsMedia: what the body lacks comes from the call's media.
func TestCreateAddsMedia(t *testing.T) {
	f := newFakeGraph(t, reply(201, `{"id":"1"}`))
	c, _ := testClient(t, f, ClientConfig{})
	_, err := c.Create(t.Context(), session.CreateRequest{Body: []byte(`{"tenantId":"t"}`), Media: testMedia})
	require.NoError(t, err)
	require.Equal(t, "/v1.0/communications/calls", f.last(t).path)
	var sent Call
	require.NoError(t, json.Unmarshal([]byte(f.last(t).body), &sent))
	require.Equal(t, "t", sent.TenantID)
	require.Equal(t, testMedia.CallbackURL, sent.CallbackURI)
	require.Equal(t, []Enum{"audio"}, sent.RequestedModalities)
	require.Equal(t, "#microsoft.graph.appHostedMediaConfig", sent.MediaConfig.ODataType)
	b, err := blob.Parse([]byte(sent.MediaConfig.Blob))
	require.NoError(t, err)
	require.Empty(t, b.Check())
	require.NoError(t, b.Hostable())
	require.Equal(t, testMedia.URL, b.MPURI)
	require.Equal(t, testMedia.Contexts.CallID, b.CallID)
	require.Equal(t, "sendrecv", b.Summary().Audio)

	media := testMedia
	media.ServiceHosted, media.URL = true, ""
	_, err = c.Create(t.Context(), session.CreateRequest{Body: []byte(`{}`), Media: media})
	require.NoError(t, err)
	require.Contains(t, f.last(t).body, `"mediaConfig":{"@odata.type":"#microsoft.graph.serviceHostedMediaConfig"}`)
}

// TestAnswerSendsTheExample of "call: answer", but for the order of keys.
func TestAnswerSendsTheExample(t *testing.T) {
	f := newFakeGraph(t, reply(202, ""))
	c, _ := testClient(t, f, ClientConfig{})
	media := testMedia
	media.ServiceHosted, media.URL, media.CallbackURL = true, "", "https://bot.contoso.com/api/calls"
	media.Answer = []byte(`{"participantCapacity":200,"callOptions":{"@odata.type":"#microsoft.graph.incomingCallOptions","isDeltaRosterEnabled":true}}`)
	conn, err := c.Answer(t.Context(), session.Incoming{
		CallID: testCall, Key: Key(testCall), Raw: []byte(`{"myParticipantId":"me","callChainId":"chain"}`),
		From: session.Identity{RawID: "8:orgid:a"}, To: session.Identity{RawID: "28:b"},
	}, media)
	require.NoError(t, err)
	require.Equal(t, "/v1.0/communications/calls/"+testCall+"/answer", f.last(t).path)
	require.JSONEq(t, `{"callbackUri":"https://bot.contoso.com/api/calls","acceptedModalities":["audio"],"participantCapacity":200,
		"mediaConfig":{"@odata.type":"#microsoft.graph.serviceHostedMediaConfig"},
		"callOptions":{"@odata.type":"#microsoft.graph.incomingCallOptions","isDeltaRosterEnabled":true}}`, f.last(t).body)
	require.Equal(t, session.Connection{
		CallID: testCall, Key: "57dab8b1894c409ab240bd8beae78896", State: session.StateConnecting, SelfID: "me", GroupID: "chain", CorrelationID: "chain",
		Source: session.Identity{RawID: "8:orgid:a"}, Targets: []session.Identity{{RawID: "28:b"}},
	}, conn)
}

func TestNothingBadIsSent(t *testing.T) {
	f := newFakeGraph(t, reply(500, ""))
	c, _ := testClient(t, f, ClientConfig{})
	ctx := t.Context()
	media := func(change func(*session.MediaRequest)) session.MediaRequest {
		m := testMedia
		change(&m)
		return m
	}
	create := func(body string, m session.MediaRequest) error {
		_, err := c.Create(ctx, session.CreateRequest{Body: []byte(body), Media: m})
		return err
	}
	op := func(_ *Operation, err error) error { return err }
	many := make([]InvitationParticipantInfo, 26)
	for _, x := range []struct {
		err  error
		want string
	}{
		{create(`{`, testMedia), "JSON"},
		{create(`[]`, testMedia), "array"},
		{create(`{"callbackUri":"http://bot.contoso.com/x"}`, testMedia), `callbackUri "http://bot.contoso.com/x": plain http`},
		{create(`{}`, media(func(m *session.MediaRequest) { m.CallbackURL = "ftp://x" })), "callbackUri"},
		{create(`{}`, media(func(m *session.MediaRequest) { m.URL = "" })), "media: URL is empty"},
		{create(`{}`, media(func(m *session.MediaRequest) { m.URL = "http://x/secretsecretsecret" })), `scheme "http"`},
		{create(`{}`, media(func(m *session.MediaRequest) { m.Contexts.Render = "" })), "contexts are missing"},
		{create(`{}`, media(func(m *session.MediaRequest) { m.Contexts.Render = "7" })), `audioRenderContexts[0] = "7": want a GUID`},
		{c.Reject(ctx, session.Incoming{CallID: "1"}, "later"), `reason "later"`},
		{c.Reject(ctx, session.Incoming{}, ""), `call id ""`},
		{c.Redirect(ctx, session.Incoming{CallID: "1"}, session.Identity{RawID: "bob"}), `target "bob"`},
		{c.RedirectTo(ctx, "1", Redirection{Targets: many}), "targets: 26"},
		{c.RedirectTo(ctx, "1", Redirection{Targets: many[:1], Timeout: 91}), "timeout 91"},
		{c.HangUp(ctx, "..", false), `call id ".."`},
		{op(c.PlayPrompt(ctx, "1", nil, "")), "prompts: none"},
		{op(c.PlayPrompt(ctx, "1", make([]Prompt, 21), "")), "prompts: 21"},
		{op(c.PlayPrompt(ctx, "1", []Prompt{{URI: "x"}}, "")), "prompts[0].uri"},
		{op(c.PlayPrompt(ctx, "1", []Prompt{{URI: "https://x/"}}, string(make([]byte, 257)))), "clientContext of 257 bytes"},
		{op(c.RecordResponse(ctx, "1", RecordResponse{MaxSilenceTimeout: 121})), "maxSilenceTimeoutInSeconds = 121"},
		{op(c.SendDTMFTones(ctx, "1", "5x", 0, "")), `tones: "x"`},
		{op(c.SendDTMFTones(ctx, "1", "5", -1, "")), "delayBetweenTonesMs = -1"},
		{op(c.UpdateRecordingStatus(ctx, "1", "on", "")), `status "on"`},
		{op(c.InviteParticipants(ctx, "1", many[:6], "")), "participants: 6"},
		{op(c.InviteParticipants(ctx, "1", many[:1], "")), "participants[0].identity"},
		{op(c.MuteAll(ctx, "1", nil, "")), "participants: none"},
		{op(c.ConfigureMixer(ctx, "1", []MixerLevel{{SourceLevels: []AudioSourceLevel{{Level: 101}}}}, "")), "level = 101"},
		{c.TransferCall(ctx, "1", Transfer{}), "transferTarget.identity"},
		{c.ChangeScreenSharingRole(ctx, "1", "boss"), `role "boss"`},
	} {
		require.ErrorContains(t, x.err, x.want)
		var e *session.Error
		require.ErrorAs(t, x.err, &e)
		require.False(t, e.Retryable, x.want)
		require.NotContains(t, x.err.Error(), "secretsecretsecret")
	}
	require.Zero(t, f.count())
}

func TestRefusalsAreTyped(t *testing.T) {
	f := newFakeGraph(t, reply(403, `{"error":{"code":"7505","message":"Request authorization tenant mismatch for https://h/`+testToken+`","innerError":{"request-id":"r"}}}`, "request-id", "req-1"))
	c, _ := testClient(t, f, ClientConfig{})
	_, err := c.Get(t.Context(), "1")
	var e *session.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 403, e.Status)
	require.Equal(t, "7505", e.Code)
	require.Equal(t, "req-1", e.RequestID)
	require.Equal(t, "graph", e.Cloud)
	require.NotContains(t, err.Error(), testToken)
	require.Equal(t, 1, f.count())

	f = newFakeGraph(t, reply(404, `{"error":{"code":7504,"message":"x"}}`))
	c, _ = testClient(t, f, ClientConfig{})
	require.ErrorAs(t, c.KeepAlive(t.Context(), "1"), &e)
	require.Equal(t, "7504", e.Code)
	require.Equal(t, 404, e.Status)
}

func TestThrottlingIsWaitedOut(t *testing.T) {
	f := newFakeGraph(t, reply(429, "", "Retry-After", "7"), reply(202, ""))
	c, pauses := testClient(t, f, ClientConfig{})
	require.NoError(t, c.Reject(t.Context(), session.Incoming{CallID: "1"}, "Busy"))
	require.Equal(t, []time.Duration{7 * time.Second}, *pauses)
	require.JSONEq(t, `{"reason":"busy"}`, f.last(t).body)

	f = newFakeGraph(t, reply(503, "", "Retry-After", "3"), reply(202, ""))
	c, pauses = testClient(t, f, ClientConfig{})
	require.NoError(t, c.Reject(t.Context(), session.Incoming{CallID: "1"}, ""))
	require.Equal(t, []time.Duration{3 * time.Second}, *pauses)

	f = newFakeGraph(t, reply(503, ""))
	c, _ = testClient(t, f, ClientConfig{})
	require.Error(t, c.Reject(t.Context(), session.Incoming{CallID: "1"}, ""))
	require.Equal(t, 1, f.count(), "what may have happened is not asked for again")
	_, err := c.Get(t.Context(), "1")
	require.Error(t, err)
	require.Equal(t, 5, f.count())
}

type credential struct {
	scopes []string
	err    error
}

func (c *credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.scopes = o.Scopes
	return azcore.AccessToken{Token: "from-credential"}, c.err
}

func TestSignIn(t *testing.T) {
	f := newFakeGraph(t, reply(200, ""))
	cred := &credential{}
	c, _ := testClient(t, f, ClientConfig{Credential: cred})
	require.NoError(t, c.KeepAlive(t.Context(), "a/b"))
	require.Equal(t, "/v1.0/communications/calls/a%2Fb/keepAlive", f.last(t).path)
	require.Equal(t, "Bearer from-credential", f.last(t).header.Get("Authorization"))
	require.Equal(t, []string{f.URL + "/.default"}, cred.scopes)

	cred.err = errors.New("no tenant")
	require.ErrorContains(t, c.KeepAlive(t.Context(), "1"), "sign-in: no tenant")
}

func TestConfigErrors(t *testing.T) {
	for want, c := range map[string]ClientConfig{
		"neither Credential nor Token": {},
		"both Credential and Token":    {Credential: &credential{}, Token: "x"},
		`Version "v2"`:                 {Token: "x", Version: "v2"},
		"plain http":                   {Token: "x", Endpoint: "http://example.com"},
		"want no path":                 {Token: "x", Endpoint: "https://example.com/v1.0"},
		"line break":                   {Token: "x\r\ny"},
		"negative setting":             {Token: "x", MaxAttempts: -1},
	} {
		_, err := NewClient(c)
		require.ErrorContains(t, err, want)
	}
	c, err := NewClient(ClientConfig{Token: "t0ken", Endpoint: USGov})
	require.NoError(t, err)
	require.Equal(t, "graph(https://graph.microsoft.us/v1.0)", c.String())
	require.Equal(t, 10*time.Minute, c.KeepAliveEvery())
}

// TestMediaAddresses: what the transports of this host mint is taken, in the clear
// on one machine only.
func TestMediaAddresses(t *testing.T) {
	for _, x := range []struct {
		url      string
		insecure bool
		taken    bool
	}{
		{url: "wss://bot.example/media/t", taken: true},
		{url: "https://bot.example/whip/t", taken: true},
		{url: "ws://127.0.0.1:7070/media/t", taken: true},
		{url: "http://localhost:7070/whip/t", taken: true},
		{url: "http://bot.example/whip/t"},
		{url: "ws://bot.example/media/t"},
		{url: "http://bot.example/whip/t", insecure: true, taken: true},
		{url: "rtp:t", insecure: true},
		{url: "ftp://127.0.0.1/t", insecure: true},
	} {
		c, err := NewClient(ClientConfig{Endpoint: "http://127.0.0.1:1", Token: "t", Insecure: x.insecure})
		require.NoError(t, err)
		m := testMedia
		m.URL = x.url
		got, err := c.mediaConfig(m)
		require.Equal(t, x.taken, err == nil, "%s: %v", x.url, err)
		if err == nil {
			b, err := blob.Parse([]byte(got.Blob))
			require.NoError(t, err)
			require.Equal(t, x.url, b.MPURI)
			require.Empty(t, b.Check())
			require.NoError(t, b.Hostable())
		}
	}
}
