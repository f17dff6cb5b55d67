package rtc

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wait is how long a test waits for what must happen.
const wait = 60 * time.Second

// ended is a call of Config.OnEnd.
type ended struct {
	url string
	err error
}

// rig is a Server behind HTTP.
type rig struct {
	*Server
	t      testing.TB
	engine *engine.Engine
	web    *httptest.Server
	ends   chan ended
}

func newRig(t testing.TB, set func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, engine: engine.New(engine.Config{}), ends: make(chan ended, 1000)}
	var handler atomic.Pointer[Server]
	r.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { handler.Load().ServeHTTP(w, q) }))
	cfg := Config{
		Engine: r.engine, BaseURL: r.web.URL + "/whip", OnEnd: func(url string, err error) { r.ends <- ended{url, err} },
		// Late packets are not what these tests are about.
		Jitter: rtpmedia.JitterConfig{Min: 400 * time.Millisecond, Max: 400 * time.Millisecond},
	}
	if set != nil {
		set(&cfg)
	}
	var err error
	r.Server, err = New(cfg)
	require.NoError(t, err)
	handler.Store(r.Server)
	t.Cleanup(func() {
		r.web.CloseClientConnections()
		r.web.Close()
		require.NoError(t, r.Server.Close())
		require.NoError(t, r.engine.Close())
	})
	return r
}

// open mints an address for a leg.
func (r *rig) open(cfg engine.LegConfig, st transport.Stream) (*engine.Leg, *endpoint) {
	r.t.Helper()
	leg, err := r.engine.NewLeg(cfg)
	require.NoError(r.t, err)
	ep, err := r.Open(leg, st)
	require.NoError(r.t, err)
	return leg, ep.(*endpoint)
}

// echo says what it hears.
var echo = engine.LegConfig{OnRender: func(r *engine.Render) {
	r.Handle(func(f *pcm.Frame) { r.Leg().Source().TryWrite(f.Samples[:]) })
}}

var both = transport.Stream{Bidirectional: true}

// end waits for OnEnd.
func (r *rig) end() ended {
	r.t.Helper()
	select {
	case e := <-r.ends:
		return e
	case <-time.After(wait):
		require.Fail(r.t, "nothing ended")
		return ended{}
	}
}

// soon waits until something is so.
func soon(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(wait); !is(); time.Sleep(10 * time.Millisecond) {
		require.True(t, time.Now().Before(end), what)
	}
}
