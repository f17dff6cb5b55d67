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

// exactly has something tried until there is no fault in it, a few times: other
// work on the machine makes gaps in audio that are not ours. If it always does,
// nothing can be said.
func exactly(t *testing.T, try func() (fault string)) {
	t.Helper()
	const tries, busy = 4, 20 * time.Millisecond
	idle := true
	for range tries {
		stop := oversleeps()
		fault := try()
		late := stop()
		if fault == "" {
			return
		}
		t.Logf("%s; the machine was late by %v", fault, late)
		idle = idle && late < busy
	}
	if !idle {
		t.Skip("the machine does not keep time")
	}
	t.Fail()
}

// oversleeps begins to measure by how much sleeps are too long, at most.
func oversleeps() (stop func() time.Duration) {
	over, worst := make(chan struct{}), make(chan time.Duration)
	go func() {
		var late time.Duration
		for {
			begun := time.Now()
			select {
			case <-over:
				worst <- late
				return
			case <-time.After(5 * time.Millisecond):
				late = max(late, time.Since(begun)-5*time.Millisecond)
			}
		}
	}()
	return func() time.Duration { close(over); return <-worst }
}
