package rtp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/offer"
	"github.com/mixminus/mixminus/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verdict is what a Media says of an offer or a codec.
type verdict bool

func (v verdict) Error() string       { return fmt.Sprintf("m=audio: verdict %v", bool(v)) }
func (v verdict) NotAcceptable() bool { return bool(v) }

// fakeMedia is a Media in memory that notes what it is asked for.
type fakeMedia struct {
	fail error // of everything but Open

	mu        sync.Mutex
	refuse    error // of Open
	endpoints map[string]*fakeEndpoint
	log       []string
	minted    int
}

func (f *fakeMedia) note(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fmt.Sprintf(format, args...))
	return f.fail
}

// lines returns what was asked for, in order.
func (f *fakeMedia) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.log...)
}

func (f *fakeMedia) Open(_ *engine.Leg, s transport.Stream) (transport.Endpoint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	f.minted++
	e := &fakeEndpoint{media: f, url: fmt.Sprintf("rtp:%d", f.minted), stream: s}
	f.endpoints[e.url] = e
	return e, nil
}

func (f *fakeMedia) up(url string, err error) error {
	if err != nil {
		return err
	}
	f.mu.Lock()
	e := f.endpoints[url]
	f.mu.Unlock()
	if e == nil {
		return errors.New("no endpoint")
	}
	e.stream.OnUp()
	return nil
}

func (f *fakeMedia) Take(url, stream string) error {
	return f.up(url, f.note("take %s %s", url, stream))
}
func (f *fakeMedia) Refuse(stream string) { _ = f.note("refuse %s", stream) }
func (f *fakeMedia) Answer(url string, sdpOffer []byte) ([]byte, error) {
	err := f.up(url, f.note("answer %s", url))
	return []byte("v=0\r\ns=answer to " + string(sdpOffer)[3:]), err
}

func (f *fakeMedia) Dial(url string, to transport.Target) error {
	return f.up(url, f.note("dial %s %v %s %d %d", url, to.Addr, to.Codec, to.PayloadType, to.EventType))
}

func (f *fakeMedia) Press(url string, key byte, d time.Duration) error {
	return f.note("press %s %c %v", url, key, d)
}

type fakeEndpoint struct {
	media  *fakeMedia
	url    string
	stream transport.Stream
}

func (e *fakeEndpoint) URL() string            { return e.url }
func (e *fakeEndpoint) Bind(string)            {}
func (e *fakeEndpoint) Stats() transport.Stats { return transport.Stats{} }
func (e *fakeEndpoint) Drain() {
	e.media.mu.Lock()
	defer e.media.mu.Unlock()
	delete(e.media.endpoints, e.url)
	e.media.log = append(e.media.log, "bye "+e.url)
}

// world is a Cloud between a Media and a manager.
type world struct {
	*testing.T
	*session.Manager
	cloud *Cloud
	media *fakeMedia
	calls chan *session.Call // as they are armed
	rings chan *session.IncomingCall
}

// answering takes what rings.
func answering(ic *session.IncomingCall) {
	_, _ = ic.Answer(context.Background(), session.Options{Bidirectional: true})
}

// inWorld runs a test in a bubble of its own time and checks at the end that
// nothing is left.
func inWorld(t *testing.T, cfg Config, sessions session.Config, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, cfg, sessions)
		f(w)
		w.end()
	})
}

func newWorld(t *testing.T, cfg Config, sessions session.Config) *world {
	t.Helper()
	w := &world{T: t, media: &fakeMedia{endpoints: map[string]*fakeEndpoint{}}, calls: make(chan *session.Call, 1000), rings: make(chan *session.IncomingCall, 1000)}
	var err error
	w.cloud, err = New(cfg)
	require.NoError(t, err)
	sessions.Engine, sessions.Clouds = engine.New(engine.Config{}), []session.Cloud{w.cloud}
	sessions.OnCall = func(c *session.Call) { w.calls <- c }
	decide := sessions.OnIncoming
	sessions.OnIncoming = func(ic *session.IncomingCall) {
		w.rings <- ic
		if decide != nil {
			decide(ic)
		}
	}
	w.Manager, err = session.New(sessions)
	require.NoError(t, err)
	w.cloud.Connect(w.media, w.Manager)
	t.Cleanup(func() { assert.NoError(t, sessions.Engine.Close()) })
	return w
}

func (w *world) end() {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(w, w.Close(ctx))
	w.forgotten()
}

// forgotten checks that no call has left a trace.
func (w *world) forgotten() {
	w.Helper()
	w.cloud.mu.Lock()
	defer w.cloud.mu.Unlock()
	w.media.mu.Lock()
	defer w.media.mu.Unlock()
	require.Empty(w, w.cloud.calls)
	require.Empty(w, w.cloud.urls)
	require.Empty(w, w.cloud.senders)
	require.Empty(w, w.cloud.early)
	require.Empty(w, w.media.endpoints, "each is drained")
	require.Zero(w, w.Stats().Live)
}

// over waits for the end of a call and returns why it was.
func over(c *session.Call) error {
	<-c.Done()
	return c.Err()
}

func sender(n int) transport.Sender {
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(4000+n))
	return transport.Sender{ID: fmt.Sprintf("%v/%08x", at, n), Addr: at, SSRC: uint32(n), Codec: "PCMU/8000"}
}

// request is one of this machine.
func request(ctx context.Context, method, path, contentType, body string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, method, "http://127.0.0.1:7070"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:5000"
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func (w *world) do(method, path, contentType, body string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.cloud.ServeHTTP(rec, request(w.Context(), method, path, contentType, body))
	return rec
}

const sdpOffer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"

func (w *world) post() *httptest.ResponseRecorder { return w.do("POST", "/rtp", offer.Type, sdpOffer) }
