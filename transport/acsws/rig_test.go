package acsws

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mixminus/mixminus/codec/l16"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// portable has the servers of the tests leave each connection to a goroutine,
// and keep has them keep a processor.
var portable, keep bool

// TestMain runs the tests three times where sockets are polled: as they are,
// with a processor kept, and as they would be elsewhere.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	once := flag.Lookup("test.fuzz").Value.String() + flag.Lookup("test.bench").Value.String() + flag.Lookup("test.list").Value.String()
	if code == 0 && once == "" && runtime.GOOS == "linux" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
		keep = true
		code = m.Run()
		keep = false
	}
	if code == 0 && once == "" && runtime.GOOS == "linux" {
		portable = true
		code = m.Run()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const wait = 10 * time.Second

// rig is a Server behind a real http server, and one leg.
type rig struct {
	t      testing.TB
	engine *engine.Engine
	server *Server
	leg    *engine.Leg
	ep     transport.Endpoint
	down   chan error
}

func newRig(t testing.TB, cfg Config, leg engine.LegConfig, st transport.Stream) *rig {
	t.Helper()
	r := &rig{t: t, engine: engine.New(engine.Config{}), down: make(chan error, 16)}
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.server.ServeHTTP(w, req) }))
	cfg.BaseURL = "ws" + strings.TrimPrefix(hs.URL, "http") + "/media"
	cfg.Portable, cfg.KeepProcessor = portable, keep
	if cfg.Verify == nil {
		cfg.Insecure = true
	}
	var err error
	r.server, err = New(cfg)
	require.NoError(t, err)
	r.leg, err = r.engine.NewLeg(leg)
	require.NoError(t, err)
	st.OnDown = func(err error) { r.down <- err }
	r.ep, err = r.server.Open(r.leg, st)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, r.server.Close())
		hs.Close()
		require.NoError(t, r.engine.Close())
	})
	return r
}

func (r *rig) dial(h http.Header) *websocket.Conn {
	r.t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(r.ep.URL(), h)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { c.Close() })
	return c
}

// refused dials and returns the status of the refusal.
func (r *rig) refused(url string, h http.Header) int {
	r.t.Helper()
	c, resp, err := websocket.DefaultDialer.Dial(url, h)
	if err == nil {
		c.Close()
		return http.StatusSwitchingProtocols
	}
	require.ErrorIs(r.t, err, websocket.ErrBadHandshake)
	return resp.StatusCode
}

func (r *rig) awaitDown() error {
	r.t.Helper()
	select {
	case err := <-r.down:
		return err
	case <-time.After(wait):
		r.t.Fatal("connection still stands")
		return nil
	}
}

func send(t testing.TB, c *websocket.Conn, text string) {
	t.Helper()
	require.NoError(t, c.WriteMessage(websocket.TextMessage, []byte(text)))
}

func formatOf(rate int) string {
	return fmt.Sprintf(`{"kind":"AudioMetadata","audioMetadata":{"subscriptionId":"s","encoding":"PCM","sampleRate":%d,"channels":1,"length":640}}`, rate)
}

var epoch = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// audio is a message with samples at a time in ms after epoch; who "" is mixed.
func audioOf(who string, ms int, samples []int16) string {
	b := make([]byte, 2*len(samples))
	l16.EncodeLE(b, samples)
	m := map[string]any{"timestamp": epoch.Add(time.Duration(ms) * time.Millisecond).Format("2006-01-02T15:04:05.000Z"), "data": base64.StdEncoding.EncodeToString(b), "silent": false}
	if who != "" {
		m["participantRawID"] = who
	}
	j, _ := json.Marshal(map[string]any{"kind": "AudioData", "audioData": m})
	return string(j)
}

func ramp(n, from int) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16((from + i) % 30000)
	}
	return s
}

func read(t testing.TB, tap *engine.Tap) pcm.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	var f pcm.Frame
	require.NoError(t, tap.Read(ctx, &f))
	return f
}

// receive reads the next message from the bot as the official parsers do.
func receive(t testing.TB, c *websocket.Conn) (kind string, samples []int16) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(wait))
	mt, b, err := c.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, websocket.TextMessage, mt)
	require.Less(t, len(b), 2048)
	var m struct {
		Kind      string
		AudioData struct{ Data []byte }
	}
	require.NoError(t, json.Unmarshal(b, &m))
	samples = make([]int16, len(m.AudioData.Data)/2)
	l16.DecodeLE(samples, m.AudioData.Data)
	return m.Kind, samples
}
