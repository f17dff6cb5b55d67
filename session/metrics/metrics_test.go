package metrics

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// media mints addresses that the test itself carries.
type media struct{ totals transport.Totals }

func (m *media) Open(*engine.Leg, transport.Stream) (transport.Endpoint, error) {
	e := &address{of: m}
	m.totals.Add(e)
	return e, nil
}

type address struct{ of *media }

func (a *address) URL() string { return "x:secret" }
func (a *address) Bind(string) {}
func (a *address) Drain()      { a.of.totals.End(a) }
func (a *address) Stats() transport.Stats {
	return transport.Stats{
		Connections: 1, MessagesIn: 3, MessagesOut: 2, Connected: true,
		BadMessages: map[string]int64{"bad_json": 1}, RTP: &transport.RTPStats{Codec: "PCMU/8000", Received: 3, Missing: 2, Found: 1, Lost: 1},
	}
}

// cloud takes every call.
type cloud struct {
	session.Cloud
	tell func(session.Notice)
	n    int
}

func (c *cloud) Name() string { return "acs" }

func (c *cloud) Create(context.Context, session.CreateRequest) (session.Connection, error) {
	c.n++
	return session.Connection{CallID: fmt.Sprint("call-", c.n), State: session.StateConnecting}, nil
}

func (c *cloud) HangUp(_ context.Context, id string, _ bool) error {
	c.tell(session.Notice{Kind: session.EventDisconnected, CallID: id})
	return nil
}

// outlet takes every frame.
type outlet struct{}

func (outlet) SendFrame(*[pcm.FrameSamples]int16) bool { return true }
func (outlet) SendFlush() bool                         { return true }

// world is a host with calls, and what it tells.
type world struct {
	*testing.T
	manager *session.Manager
	media   media
	cfg     Config
	handler http.Handler
}

func newWorld(t *testing.T) *world {
	w := &world{T: t}
	e := engine.New(engine.Config{})
	c := &cloud{}
	var err error
	w.manager, err = session.New(session.Config{Engine: e, Media: &w.media, Clouds: []session.Cloud{c}})
	require.NoError(t, err)
	c.tell = w.manager.Deliver
	rec, err := record.New(record.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	w.cfg = Config{
		Manager: w.manager, Recorder: rec,
		Transports: []Transport{{Name: "acs", Totals: &w.media.totals, Refused: func() int64 { return 4 }}, {Name: "rtp", Totals: new(transport.Totals)}},
	}
	w.handler, err = New(w.cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, w.manager.Close(ctx))
		require.NoError(t, rec.Close())
		require.NoError(t, e.Close())
	})
	return w
}

// call places a call with 3 frames in and 2 out.
func (w *world) call() *session.Call {
	c, err := w.manager.Create(w.Context(), "acs", json.RawMessage("{}"), session.Options{Bidirectional: true})
	require.NoError(w, err)
	port, err := c.Leg().Attach(outlet{})
	require.NoError(w, err)
	defer port.Detach(engine.Now())
	r, err := port.Render(nil, engine.Now())
	require.NoError(w, err)
	r.Handle(func(*pcm.Frame) {})
	for range 3 {
		r.Append(make([]int16, pcm.FrameSamples), engine.Chunk{Arrival: engine.Now(), Silent: true})
	}
	_, err = c.Leg().Source().TryWrite(make([]int16, 2*pcm.FrameSamples))
	require.NoError(w, err)
	return c
}

// scrape returns every series and its value.
func (w *world) scrape() map[string]float64 {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(w, 200, rec.Code)
	series := map[string]float64{}
	for lines := bufio.NewScanner(rec.Body); lines.Scan(); {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			name, text, ok := strings.Cut(line, " ")
			require.True(w, ok, line)
			value, err := strconv.ParseFloat(text, 64)
			require.NoError(w, err, line)
			series[name] = value
		}
	}
	return series
}

// ours counts the series of mixminus.
func ours(series map[string]float64) (n int) {
	for name := range series {
		if strings.HasPrefix(name, "mixminus_") {
			n++
		}
	}
	return n
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	first := w.call()
	got := w.scrape()
	for name, want := range map[string]float64{
		`mixminus_calls{cloud="acs",direction="outgoing",state="connecting"}`: 1,
		`mixminus_call_requests_total{result="created"}`:                      1,
		`mixminus_legs`:                                                      1,
		`mixminus_frames_total{direction="in"}`:                              3,
		`mixminus_frames_total{direction="out"}`:                             2,
		`mixminus_frames_flagged_total{kind="silent"}`:                       3,
		`mixminus_frame_latency_seconds_count{path="socket_to_tap"}`:         3,
		`mixminus_frame_latency_seconds_count{path="source_to_socket"}`:      2,
		`mixminus_frame_latency_seconds_bucket{path="socket_to_tap",le="1"}`: 3,
		`mixminus_addresses{transport="acs"}`:                                1,
		`mixminus_connections{transport="acs"}`:                              1,
		`mixminus_connections_refused_total{transport="acs"}`:                4,
		`mixminus_messages_total{direction="in",transport="acs"}`:            3,
		`mixminus_messages_bad_total{reason="bad_json",transport="acs"}`:     1,
		`mixminus_rtp_packets_total{kind="received",transport="acs"}`:        3,
		`mixminus_rtp_packets_total{kind="missing",transport="acs"}`:         2,
		`mixminus_rtp_packets_total{kind="found",transport="acs"}`:           1,
		`mixminus_addresses{transport="rtp"}`:                                0,
		`mixminus_recordings_total`:                                          0,
	} {
		value, there := got[name]
		require.True(t, there, name)
		require.Equal(t, want, value, name)
	}
	require.Positive(t, got[`mixminus_frame_latency_seconds_sum{path="socket_to_tap"}`])
	require.Positive(t, got[`mixminus_worst_leg_latency_p99_seconds{path="socket_to_tap"}`])
	require.Contains(t, got, `go_sched_pauses_total_gc_seconds_count`)
	require.Contains(t, got, `mixminus_pacer_late_seconds_count`)
	require.Contains(t, got, `process_resident_memory_bytes`)

	// Counters outlive the call, gauges do not.
	require.NoError(t, first.HangUp(t.Context(), false))
	<-first.Done()
	after := w.scrape()
	require.Equal(t, 3.0, after[`mixminus_frames_total{direction="in"}`])
	require.Equal(t, 3.0, after[`mixminus_messages_total{direction="in",transport="acs"}`])
	require.Equal(t, 3.0, after[`mixminus_frame_latency_seconds_count{path="socket_to_tap"}`])
	require.Zero(t, after[`mixminus_legs`])
	require.Zero(t, after[`mixminus_addresses{transport="acs"}`])
	require.NotContains(t, after, `mixminus_calls{cloud="acs",direction="outgoing",state="connecting"}`)
}

// TestSeriesAreBounded: a hundred calls are told of in as many series as one.
func TestSeriesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.call()
	one := ours(w.scrape())
	for range 99 {
		w.call()
	}
	got := w.scrape()
	require.Equal(t, one, ours(got))
	require.Equal(t, 100.0, got[`mixminus_calls{cloud="acs",direction="outgoing",state="connecting"}`])
	require.Equal(t, 300.0, got[`mixminus_frames_total{direction="in"}`])
}

// TestConventions: names, units and help are as Prometheus's own linter wants.
func TestConventions(t *testing.T) {
	w := newWorld(t)
	w.call()
	faults, err := testutil.CollectAndLint(&collector{w.cfg})
	require.NoError(t, err)
	require.Empty(t, faults)
}

func TestManagerIsNeeded(t *testing.T) {
	_, err := New(Config{})
	require.ErrorContains(t, err, "Config.Manager")
}

// TestDocumented: docs/METRICS.md has each name, and none that is not there.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/METRICS.md")
	require.NoError(t, err)
	table := string(text)[strings.Index(string(text), "|---"):]
	documented := map[string]bool{}
	for line := range strings.Lines(table[:strings.Index(table, "\n\n")]) {
		cells := strings.Split(line, "|")
		for i, part := range strings.Split(cells[1], "`") {
			if i%2 == 1 {
				documented[part] = true
			}
		}
	}
	there := map[string]bool{}
	for i := range families {
		name, _, _ := strings.Cut(strings.TrimPrefix(families[i].desc.String(), `Desc{fqName: "mixminus_`), `"`)
		there[name] = true
	}
	require.Equal(t, there, documented)
}
