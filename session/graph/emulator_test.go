package graph_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/mixminus/mixminus/transport/acsws"
	"github.com/stretchr/testify/require"
)

// host is the product, wired for Graph against an emulator.
type host struct {
	t        *testing.T
	emulator *cloud.Server
	client   *graph.Client
	manager  *session.Manager
	webhook  *graph.Webhook
	media    *acsws.Server
	http     *httptest.Server
	calls    chan *session.Call
	rings    chan *session.IncomingCall

	mu     sync.Mutex
	onCall func(*session.Call)
}

// wiring edits the configurations of a host; nil leaves them.
type wiring struct {
	webhook func(*graph.WebhookConfig)
	client  func(*graph.ClientConfig)
	session func(*session.Config)
	mux     func(*http.ServeMux)
	// through sees every notification before the webhook does.
	through func(http.Handler) http.Handler
}

func edit[T any](f func(*T), v *T) {
	if f != nil {
		f(v)
	}
}

// newHost starts an emulator and a host that knows it, with tokens checked in
// all directions.
func newHost(t *testing.T, emulator *cloud.Server, wires wiring) *host {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	emulator.Insecure = true // plain http, on this machine
	emulator.GraphEventsURL = server.URL + "/graph/callbacks"
	require.NoError(t, emulator.Start(context.Background()))
	t.Cleanup(func() { require.NoError(t, emulator.Close()) })
	return wire(t, emulator, server, mux, wires)
}

// beside is one more host of the same application, at an address of its own.
func (h *host) beside(wires wiring) *host {
	h.t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	h.t.Cleanup(server.Close)
	return wire(h.t, h.emulator, server, mux, wires)
}

// wire builds the product below an address.
func wire(t *testing.T, emulator *cloud.Server, server *httptest.Server, mux *http.ServeMux, wires wiring) *host {
	t.Helper()
	h := &host{t: t, emulator: emulator, http: server, calls: make(chan *session.Call, 16), rings: make(chan *session.IncomingCall, 16)}
	edit(wires.mux, mux)
	app := emulator.GraphApps()[0]
	verifier, err := graph.NewVerifier(graph.VerifierConfig{AppID: app.ID, Tenants: []string{app.TenantID}, OpenIDURL: emulator.GraphOIDCURL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, verifier.Close()) })
	token, err := emulator.AccessToken("")
	require.NoError(t, err)
	ops := new(graph.Operations)
	clientConfig := graph.ClientConfig{Endpoint: emulator.URL(), Token: token, Operations: ops, BaseDelay: time.Millisecond}
	edit(wires.client, &clientConfig)
	h.client, err = graph.NewClient(clientConfig)
	require.NoError(t, err)
	h.media, err = acsws.New(acsws.Config{BaseURL: "ws" + strings.TrimPrefix(h.http.URL, "http") + "/media", Verify: verifier.Verify})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.media.Close()) })
	eng := engine.New(engine.Config{})
	t.Cleanup(func() { require.NoError(t, eng.Close()) })
	sessions := session.Config{
		Engine: eng, Media: h.media, Clouds: []session.Cloud{h.client}, CallbackURL: h.http.URL + "/graph/callbacks",
		OnIncoming: func(ic *session.IncomingCall) { h.rings <- ic },
		OnCall: func(c *session.Call) {
			h.mu.Lock()
			fn := h.onCall
			h.mu.Unlock()
			if fn != nil {
				fn(c)
			}
			select {
			case h.calls <- c:
			default: // nobody counts them
			}
		},
	}
	edit(wires.session, &sessions)
	h.manager, err = session.New(sessions)
	require.NoError(t, err)
	config := graph.WebhookConfig{Sink: h.manager, Operations: ops, Verify: verifier.Verify}
	edit(wires.webhook, &config)
	h.webhook, err = graph.NewWebhook(config)
	require.NoError(t, err)
	hook := http.Handler(h.webhook)
	if wires.through != nil {
		hook = wires.through(hook)
	}
	mux.Handle("/graph/", hook)
	mux.Handle("/media/", h.media)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, h.manager.Close(ctx))
	})
	return h
}

// limit of what a test waits for.
func (h *host) limit() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	h.t.Cleanup(cancel)
	return ctx
}

func seed(t *testing.T, name string) json.RawMessage {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "seeds", name+".json"))
	require.NoError(t, err)
	return data
}

// without is a request of the documents, but for those members.
func without(t *testing.T, request json.RawMessage, keys ...string) json.RawMessage {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(request, &m))
	for _, k := range keys {
		delete(m, k)
	}
	out, err := json.Marshal(m)
	require.NoError(t, err)
	return out
}

// dial places a call and waits until it is connected; it returns both ends.
func (h *host) dial(body json.RawMessage, o session.Options) (*session.Call, *cloud.Call) {
	h.t.Helper()
	call, err := h.manager.Create(h.limit(), "graph", body, o)
	require.NoError(h.t, err)
	require.NoError(h.t, call.Wait(h.limit(), session.StateConnected))
	return call, h.emulator.Call(call.CallID())
}

// ring has the emulator call the host, and returns the ringing and its call.
func (h *host) ring(r cloud.GraphRing) (*session.IncomingCall, *cloud.Call) {
	h.t.Helper()
	there, err := h.emulator.RingGraph(h.limit(), r)
	require.NoError(h.t, err)
	return next(h, h.rings), there
}

// answer takes a call that rings and waits until it is connected.
func (h *host) answer(ring *session.IncomingCall, o session.Options) *session.Call {
	h.t.Helper()
	call, err := ring.Answer(h.limit(), o)
	require.NoError(h.t, err)
	require.NoError(h.t, call.Wait(h.limit(), session.StateConnected))
	return call
}

// next takes what comes out of a channel in time.
func next[T any](h *host, c <-chan T) T {
	h.t.Helper()
	select {
	case v := <-c:
		return v
	case <-h.limit().Done():
		h.t.Fatal("nothing comes")
	}
	panic("unreachable")
}

// over waits for the end of a call and returns its reason.
func (h *host) over(call *session.Call) error {
	h.t.Helper()
	next(h, call.Done())
	return call.Err()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 20*time.Second, 5*time.Millisecond, what)
}

// heard collects what an unmixed leg's speakers say.
type heard struct {
	mu      sync.Mutex
	samples map[string][]int16
}

func (h *heard) attach(c *session.Call) {
	h.samples = map[string][]int16{}
	c.Leg().OnRender(func(r *engine.Render) {
		id := r.RawID()
		r.Handle(func(f *pcm.Frame) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.samples[id] = append(h.samples[id], f.Samples[:]...)
		})
	})
}

// TestMeeting joins a scheduled meeting as the documents' sixth example does,
// waits in the lobby, hears three people by name, and is heard.
func TestMeeting(t *testing.T) {
	t.Parallel()
	script, err := cloud.Named(cloud.ThreeSpeakers, 2*time.Second)
	require.NoError(t, err)
	h := newHost(t, &cloud.Server{OnCreate: func(d cloud.Dialled) cloud.Callee {
		return cloud.Callee{Script: script, Lobby: true}
	}}, wiring{})
	var ears heard
	lobby := make(chan bool, 8)
	h.onCall = func(c *session.Call) {
		ears.attach(c)
		c.OnLobby(func(waits bool) { lobby <- waits })
	}
	tenant := h.emulator.GraphApps()[0].TenantID
	body := without(t, seed(t, "create-ex6-request"), "mediaConfig", "callbackUri", "tenantId")
	call, err := h.manager.Create(h.limit(), "graph", body, session.Options{Channels: engine.Unmixed, Bidirectional: true})
	require.NoError(t, err)
	require.True(t, <-lobby)
	require.Len(t, call.Participants(), 1, "the bot sees itself alone")
	up, _ := call.Media()
	require.False(t, up, "no media in the lobby")
	there := h.emulator.Call(call.CallID())
	there.Admit()
	require.False(t, <-lobby)
	greeting := make([]int16, 1600)
	for i := range greeting {
		greeting[i] = int16(i)
	}
	_, err = call.Leg().Source().Write(h.limit(), greeting)
	require.NoError(t, err)
	select {
	case <-call.Done():
	case <-h.limit().Done():
		t.Fatal("the meeting does not end")
	}
	require.NoError(t, call.Err())

	log := there.Log()
	require.Equal(t, "graph", log.Cloud)
	require.Equal(t, "unmixed", log.Media, "as the leg asked")
	require.Len(t, log.Speakers, 3)
	for _, sp := range log.Speakers {
		want := sp.Expected(log.Slots)
		got := ears.samples[sp.StreamID]
		require.NotEmpty(t, got, "speaker %s", sp.StreamID)
		require.Equal(t, sound(want), sound(got), "speaker %s", sp.StreamID)
		require.Equal(t, sp.Name, call.Name(sp.StreamID))
	}
	require.EqualValues(t, len(greeting), log.Playout.Total)
	require.Equal(t, greeting, []int16(log.Playout.PCM))
	require.NotEqual(t, tenant, "")
	require.Empty(t, h.webhook.Stats().Bad)
	require.Zero(t, h.webhook.Stats().BadItems)
}

// sound is what is heard, from its first sample that is not silent to the last.
func sound(s []int16) []int16 {
	i, j := 0, len(s)
	for i < j && s[i] == 0 {
		i++
	}
	for j > i && s[j-1] == 0 {
		j--
	}
	return s[i:j]
}
