package acs_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/mixminus/mixminus/transport/acsws"
	"github.com/stretchr/testify/require"
)

const (
	callee  = "8:acs:callee"
	botUser = "8:acs:bot"
)

var bothVersions = []string{acs.Version2022, acs.Version2026}

// product is the whole of it, wired against an emulator, with tokens checked
// in both directions.
type product struct {
	t        *testing.T
	emulator *cloud.Server
	client   *acs.Client
	manager  *session.Manager
	media    *acsws.Server
	http     *httptest.Server
	recorded chan acs.RecordingFile

	mu      sync.Mutex
	onCall  func(*session.Call)
	files   map[string][]byte // served below /files
	refuse  int               // status of media upgrades, 0 lets them pass
	fetched int
}

// newProduct starts an emulator and a host that knows it. edit may change the
// client's configuration; nil leaves it.
func newProduct(t *testing.T, emulator *cloud.Server, version string, edit func(*acs.ClientConfig)) *product {
	t.Helper()
	p := &product{t: t, emulator: emulator, recorded: make(chan acs.RecordingFile, 8), files: map[string][]byte{}}
	mux := http.NewServeMux()
	p.http = httptest.NewServer(mux)
	t.Cleanup(p.http.Close)
	emulator.Insecure, emulator.EventsURL = true, p.http.URL+"/events/secret"
	if emulator.Speed == 0 {
		emulator.Speed = 20
	}
	require.NoError(t, emulator.Start(context.Background()))
	t.Cleanup(func() { require.NoError(t, emulator.Close()) })
	verifier, err := acs.NewVerifier(acs.VerifierConfig{Audience: []string{emulator.Audience()}, OpenIDURL: emulator.OIDCURL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, verifier.Close()) })
	config := acs.ClientConfig{Endpoint: emulator.URL(), AccessKey: emulator.AccessKey(), APIVersion: version, BaseDelay: time.Millisecond}
	if edit != nil {
		edit(&config)
	}
	p.client, err = acs.NewClient(config)
	require.NoError(t, err)
	p.media, err = acsws.New(acsws.Config{BaseURL: "ws" + strings.TrimPrefix(p.http.URL, "http") + "/media", Verify: verifier.Verify})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.media.Close()) })
	eng := engine.New(engine.Config{})
	t.Cleanup(func() { require.NoError(t, eng.Close()) })
	p.manager, err = session.New(session.Config{
		Engine: eng, Media: p.media, Clouds: []session.Cloud{p.client}, CallbackURL: p.http.URL + "/callbacks",
		OnIncoming: func(*session.IncomingCall) {}, // the test answers
		OnCall: func(c *session.Call) {
			p.mu.Lock()
			fn := p.onCall
			p.mu.Unlock()
			if fn != nil {
				fn(c)
			}
		},
	})
	require.NoError(t, err)
	webhook, err := acs.NewWebhook(acs.WebhookConfig{
		Sink: p.manager, Operations: p.client.Operations(), Verify: verifier.Verify, EventSecret: "secret",
		OnRecording: func(f acs.RecordingFile) { p.recorded <- f },
	})
	require.NoError(t, err)
	mux.Handle("/", webhook)
	mux.HandleFunc("/media/", p.serveMedia)
	mux.HandleFunc("/files/", p.serveFile)
	t.Cleanup(func() {
		require.NoError(t, p.manager.Close(p.limit()))
		require.Empty(t, webhook.Stats().Bad)
	})
	return p
}

func (p *product) serveMedia(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	status := p.refuse
	p.mu.Unlock()
	if status != 0 {
		http.Error(w, "no", status)
		return
	}
	p.media.ServeHTTP(w, r)
}

func (p *product) serveFile(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	file, ok := p.files[strings.TrimPrefix(r.URL.Path, "/files/")]
	p.fetched++
	p.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(file)
}

// file serves samples as a WAV file and returns its address.
func (p *product) file(name string, samples []int16) string {
	p.t.Helper()
	var buf memory
	w, err := wav.NewWriter(&buf, 16000)
	require.NoError(p.t, err)
	require.NoError(p.t, w.WriteAt(0, samples))
	require.NoError(p.t, w.Close())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files[name] = buf
	return p.http.URL + "/files/" + name
}

// memory is an io.WriterAt.
type memory []byte

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	if end := int(at) + len(b); end > len(*m) {
		*m = append(*m, make([]byte, end-len(*m))...)
	}
	return copy((*m)[at:], b), nil
}

// readWave returns the samples of a mono WAV file.
func readWave(t *testing.T, file []byte) []int16 {
	t.Helper()
	r, err := wav.NewReader(bytes.NewReader(file))
	require.NoError(t, err)
	require.Equal(t, 16000, r.SampleRate())
	samples := make([]int16, r.Samples())
	for got := 0; got < len(samples); {
		n, err := r.Read(samples[got:])
		got += n
		require.NoError(t, err)
	}
	return samples
}

// limit of what a test waits for.
func (p *product) limit() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	p.t.Cleanup(cancel)
	return ctx
}

// dial places a call to people who stay, and returns both ends once the media
// flows.
func (p *product) dial(o acs.CallOptions) (*session.Call, *cloud.Call) {
	p.t.Helper()
	body, err := p.client.NewCall(acs.NewCall{Targets: []string{callee}, Source: botUser, CallOptions: o})
	require.NoError(p.t, err)
	call, err := p.manager.Create(p.limit(), "acs", body, session.Options{Channels: engine.Unmixed, Bidirectional: true, OperationContext: "call"})
	require.NoError(p.t, err)
	require.NoError(p.t, call.Wait(p.limit(), session.StateConnected))
	there := p.emulator.Call(call.CallID())
	require.NoError(p.t, there.Connected(p.limit()))
	return call, there
}

// stays is the other side of calls: the callee, and others, who stay in them.
func stays(others ...cloud.Speaker) func(cloud.Dialled) cloud.Callee {
	return func(cloud.Dialled) cloud.Callee {
		return cloud.Callee{Script: cloud.Script{HangUp: cloud.Never, Speakers: append([]cloud.Speaker{{}}, others...)}}
	}
}

// done waits for an operation that is to end well.
func done(t *testing.T, p *product) func(*acs.Operation, error) acs.Event {
	return func(o *acs.Operation, err error) acs.Event {
		t.Helper()
		require.NoError(t, err)
		e, err := o.Wait(p.limit())
		require.NoError(t, err)
		require.Equal(t, o.OperationContext, e.OperationContext)
		require.Equal(t, o.CallID, e.CallID)
		return e
	}
}

// fails waits for an operation that is to fail with those codes.
func fails(t *testing.T, p *product, name acs.EventName, status, subCode int) func(*acs.Operation, error) acs.Event {
	return func(o *acs.Operation, err error) acs.Event {
		t.Helper()
		require.NoError(t, err)
		e, err := o.Wait(p.limit())
		var failure *session.Error
		require.ErrorAs(t, err, &failure)
		require.Equal(t, []any{string(name), status, subCode}, []any{failure.Code, failure.Status, failure.SubCode}, failure.Message)
		require.Equal(t, o.OperationContext, e.OperationContext)
		return e
	}
}

// refused checks the service's refusal of a request.
func refused(t *testing.T, err error, status, subCode int) {
	t.Helper()
	var refusal *session.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, []int{status, subCode}, []int{refusal.Status, refusal.SubCode}, refusal.Message)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 20*time.Second, 5*time.Millisecond, what)
}

// next takes what comes out of a channel in time.
func next[T any](p *product, c <-chan T) (v T) {
	p.t.Helper()
	select {
	case v = <-c:
	case <-p.limit().Done():
		require.FailNow(p.t, "nothing comes")
	}
	return v
}
