package listen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rtp"
	"github.com/mixminus/mixminus/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// ear is a peer that plays what it is sent.
type ear struct {
	mu    sync.Mutex
	heard []int16
}

func (e *ear) SendFrame(samples *[pcm.FrameSamples]int16) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, samples[:]...)
	return true
}

func (e *ear) SendFlush() bool { return true }

func (e *ear) samples() []int16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]int16(nil), e.heard...)
}

// fakeMedia carries calls (rtp.Streams) and listeners (offer.Media): whoever
// comes is attached at once.
type fakeMedia struct {
	check error
	deaf  bool // who offers hears nothing
	full  error
	late  bool // nobody is attached yet
	no    int  // status of ServeOffer, if it is no success

	mu        sync.Mutex
	minted    int
	endpoints map[string]*fakeEndpoint
}

type fakeEndpoint struct {
	media  *fakeMedia
	url    string
	leg    *engine.Leg
	stream transport.Stream
	ear    ear
	port   *engine.Port
}

func (f *fakeMedia) Open(leg *engine.Leg, s transport.Stream) (transport.Endpoint, error) {
	if f.full != nil {
		return nil, f.full
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.minted++
	e := &fakeEndpoint{media: f, url: fmt.Sprint("x:", f.minted), leg: leg, stream: s}
	f.endpoints[e.url] = e
	return e, nil
}

func (f *fakeMedia) at(url string) *fakeEndpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.endpoints[url]
}

func (f *fakeMedia) Dial(url string, _ transport.Target) error {
	f.mu.Lock()
	e := f.endpoints[url]
	var err error
	switch {
	case e == nil:
		err = errors.New("no such address")
	case !f.late:
		e.port, err = e.leg.Attach(&e.ear)
	}
	f.mu.Unlock()
	if err == nil && e.port != nil && e.stream.OnUp != nil {
		e.stream.OnUp()
	}
	return err
}

func (f *fakeMedia) CheckOffer([]byte) (hears, speaks bool, err error) {
	return !f.deaf, true, f.check
}

func (f *fakeMedia) ServeOffer(w http.ResponseWriter, _ *http.Request, url string) {
	if f.no != 0 {
		http.Error(w, "no session", f.no)
		return
	}
	if err := f.Dial(url, transport.Target{}); err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	w.Header().Set("Location", url)
	w.WriteHeader(201)
	_, _ = io.WriteString(w, "v=0\r\n")
}

func (f *fakeMedia) Take(string, string) error               { return nil }
func (f *fakeMedia) Refuse(string)                           {}
func (f *fakeMedia) Answer(string, []byte) ([]byte, error)   { return nil, errors.New("no") }
func (f *fakeMedia) Press(string, byte, time.Duration) error { return nil }
func (e *fakeEndpoint) URL() string                          { return e.url }
func (e *fakeEndpoint) Bind(string)                          {}
func (e *fakeEndpoint) Stats() transport.Stats               { return transport.Stats{} }

func (e *fakeEndpoint) Drain() {
	e.media.mu.Lock()
	defer e.media.mu.Unlock()
	if e.port != nil && e.media.endpoints[e.url] != nil {
		e.port.Detach(engine.Now())
	}
	delete(e.media.endpoints, e.url)
}

// world is a manager with calls of RTP, and a Server.
type world struct {
	*testing.T
	*session.Manager
	media  *fakeMedia
	server *Server
}

func newWorld(t *testing.T, cfg Config) *world {
	w := &world{T: t, media: &fakeMedia{endpoints: map[string]*fakeEndpoint{}}}
	cloud, err := rtp.New(rtp.Config{})
	require.NoError(t, err)
	cfg.Engine = engine.New(engine.Config{})
	w.Manager, err = session.New(session.Config{Engine: cfg.Engine, Clouds: []session.Cloud{cloud}})
	require.NoError(t, err)
	cloud.Connect(w.media, w.Manager)
	cfg.Manager, cfg.Media = w.Manager, w.media
	w.server, err = New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, w.Close(ctx))
		require.NoError(t, w.server.Close())
		require.Empty(t, w.media.endpoints, "each is drained")
		require.Empty(t, w.server.places)
		require.Zero(t, w.server.taken)
		require.NoError(t, cfg.Engine.Close())
	})
	return w
}

// call is a call with a peer that says what a test wants.
type call struct {
	*session.Call
	w    *world
	port *engine.Port
}

func (w *world) call(c engine.Channels) *call {
	made, err := w.Create(w.Context(), rtp.Name, []byte(`{"target":"127.0.0.1:6000"}`), session.Options{Channels: c, Bidirectional: true})
	require.NoError(w, err)
	require.Eventually(w, func() bool {
		up, _ := made.Media()
		return up || w.media.late
	}, patience, time.Millisecond)
	w.media.mu.Lock()
	defer w.media.mu.Unlock()
	for _, e := range w.media.endpoints {
		if e.leg == made.Leg() {
			return &call{made, w, e.port}
		}
	}
	w.Fatal("no media was opened")
	return nil
}

// says lets a speaker say samples, a frame in 20 ms.
func (c *call) says(speaker string, samples []int16) {
	r, err := c.port.Render([]byte(speaker), engine.Now())
	require.NoError(c.w, err)
	for at := time.Now(); len(samples) >= pcm.FrameSamples; at = at.Add(pcm.FrameDuration) {
		time.Sleep(time.Until(at))
		r.Append(samples[:pcm.FrameSamples], engine.Chunk{Arrival: engine.Now()})
		samples = samples[pcm.FrameSamples:]
	}
}

func (w *world) do(method, path, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(w.Context(), method, "http://127.0.0.1:7070"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:5000"
	r.Header.Set("Content-Type", contentType)
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	return rec
}

// listen posts an offer and returns the listener's end.
func (w *world) listen(path string) *fakeEndpoint {
	w.Helper()
	rec := w.do("POST", "/whep/"+path, "application/sdp", "v=0\r\n")
	require.Equal(w, 201, rec.Code, rec.Body)
	return w.media.at(rec.Header().Get("Location"))
}
