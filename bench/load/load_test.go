package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// serve is a server whose connections fn has; it returns their address.
func serve(t *testing.T, fn func(*websocket.Conn)) string {
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var up websocket.Upgrader
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		fn(ws)
	}))
	t.Cleanup(hs.Close)
	return "ws" + strings.TrimPrefix(hs.URL, "http") + "/media"
}

// echo returns a server's loop that sends back what pick makes of the n'th
// message of audio.
func echo(pick func(n int, text []byte) [][]byte) func(*websocket.Conn) {
	return func(ws *websocket.Conn) {
		for n := -1; ; n++ { // the first is the metadata
			_, text, err := ws.ReadMessage()
			if err != nil {
				return
			}
			if n < 0 {
				continue
			}
			for _, out := range pick(n, text) {
				if ws.WriteMessage(websocket.TextMessage, out) != nil {
					return
				}
			}
		}
	}
}

func same(_ int, text []byte) [][]byte { return [][]byte{text} }

func brief(url string) Config {
	return Config{URL: url, Calls: 3, Duration: time.Second, Warmup: 100 * time.Millisecond, Grace: 10 * time.Second}
}

func run(t *testing.T, cfg Config) *Report {
	rep, err := Run(context.Background(), cfg)
	require.NoError(t, err)
	return rep
}

// steadily is run, again if the machine let nobody run meanwhile: a frame that
// comes 320 ms late has the tone of another.
func steadily(t *testing.T, cfg Config) (rep *Report) {
	for range 5 {
		quit, worst := make(chan struct{}), make(chan time.Duration)
		go func() {
			most := time.Duration(0)
			for {
				begun := time.Now()
				select {
				case <-time.After(10 * time.Millisecond):
					most = max(most, time.Since(begun))
				case <-quit:
					worst <- most
					return
				}
			}
		}()
		rep = run(t, cfg)
		close(quit)
		stalled := <-worst
		if stalled < 80*time.Millisecond && rep.Generator.WriteLate.Max < 100 && rep.Latency.Max < 200 {
			break
		}
		t.Logf("the machine stalled: for %v, %.0f ms late, %.0f ms to the echo", stalled, rep.Generator.WriteLate.Max, rep.Latency.Max)
	}
	return rep
}

func TestRunEcho(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, c := range []struct {
		name   string
		change func(*Config)
		due    int64
	}{
		{"mixed", func(*Config) {}, 150},
		{"mixed of four", func(c *Config) { c.Speakers = 4 }, 150},
		{"unmixed", func(c *Config) { c.Speakers, c.Unmixed = 3, true }, 450},
		{"24 kHz", func(c *Config) { c.Rate = 24000 }, 150},
		{"two workers", func(c *Config) { c.Workers = 2 }, 150},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := brief(serve(t, echo(same)))
			c.change(&cfg)
			cfg.PIDs = []int{os.Getpid()}
			cfg.Progress = func(s Second) {
				if s.Calls > 3 {
					t.Errorf("%d calls", s.Calls)
				}
			}
			none := 0.0
			cfg.Limits.Loss = &none
			rep := run(t, cfg)
			require.Equal(t, CallCounts{Asked: 3, Connected: 3, Errors: map[string]int{}}, rep.Calls)
			f := rep.Frames
			require.InDelta(t, c.due, f.Due, 9)
			require.Equal(t, Frames{Due: f.Due, Sent: f.Due, Back: f.Due}, f)
			require.Equal(t, f.Due, rep.Latency.Count)
			require.GreaterOrEqual(t, rep.Latency.Max, rep.Service.Max-1)
			require.Equal(t, Pass, rep.Verdict.Result, rep.Verdict)
			require.NotZero(t, rep.Server.RSS)
			require.NotZero(t, rep.Setup.Count)
		})
	}
}

func TestRunCounts(t *testing.T) {
	var held []byte
	for _, c := range []struct {
		name string
		pick func(n int, text []byte) [][]byte
		want func(t *testing.T, f Frames)
	}{
		{"lost", func(n int, text []byte) [][]byte {
			if n%10 < 3 {
				return nil
			}
			return [][]byte{text}
		}, func(t *testing.T, f Frames) {
			require.InDelta(t, 0.3, float64(f.Lost)/float64(f.Due), 0.05)
			require.InDelta(t, float64(f.Lost)/3, f.Gaps, 1)
			require.EqualValues(t, 3, f.LongestGap)
			require.Zero(t, f.Unsent)
		}},
		{"doubled", func(n int, text []byte) [][]byte {
			if n%5 == 0 {
				return [][]byte{text, text}
			}
			return [][]byte{text}
		}, func(t *testing.T, f Frames) {
			require.InDelta(t, float64(f.Due)/5, f.Duplicated, 1)
			require.Zero(t, f.Lost)
		}},
		{"swapped", func(n int, text []byte) [][]byte {
			if n%5 == 0 {
				held = text
				return nil
			}
			if n%5 == 1 {
				return [][]byte{text, held}
			}
			return [][]byte{text}
		}, func(t *testing.T, f Frames) {
			require.InDelta(t, float64(f.Due)/5, f.Reordered, 1)
			require.LessOrEqual(t, f.Lost, int64(1)) // the last may be held
		}},
		{"of its own", func(n int, text []byte) [][]byte {
			return [][]byte{[]byte(`{"kind":"AudioData","audioData":{"data":"` + strings.Repeat("AAAA", 214) + `"}}`), []byte(`{"kind":"StopAudio","stopAudio":{}}`)}
		}, func(t *testing.T, f Frames) {
			require.Equal(t, f.Due, f.Lost)
			require.NotZero(t, f.Altered)
			require.NotZero(t, f.Other)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := brief(serve(t, echo(c.pick)))
			cfg.Calls, cfg.Grace = 1, 2*time.Second
			c.want(t, run(t, cfg).Frames)
		})
	}
}

// A server that does not read must be charged with what that costs: the
// frames are lost, and the generator was not late.
func TestRunServerThatDoesNotRead(t *testing.T) {
	gone := make(chan struct{})
	cfg := brief(serve(t, func(*websocket.Conn) { <-gone }))
	defer close(gone)
	cfg.Calls, cfg.Echo = 2, EchoNone
	cfg.Speakers, cfg.Unmixed = 64, true // more than sockets hold
	cfg.Duration, cfg.Grace = 2*time.Second, time.Second
	rep := run(t, cfg)
	require.NotZero(t, rep.Frames.Due)
	if rep.Frames.Blocked == 0 {
		t.Skip("the sockets of this machine hold everything")
	}
	require.NotZero(t, rep.Frames.Unsent)
}

func TestRunLostCalls(t *testing.T) {
	cfg := brief(serve(t, func(ws *websocket.Conn) {
		bye := websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "Unauthorized")
		_ = ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
		_, _, _ = ws.ReadMessage()
	}))
	cfg.Grace = time.Second
	rep := run(t, cfg)
	require.Equal(t, 3, rep.Calls.Dropped)
	require.Equal(t, map[string]int{`closed by the server: 1008 "Unauthorized"`: 3}, rep.Calls.Errors)
	require.Equal(t, Fail, rep.Verdict.Result)

	hs := httptest.NewServer(http.NotFoundHandler())
	defer hs.Close()
	cfg.URL = "ws" + strings.TrimPrefix(hs.URL, "http")
	rep = run(t, cfg)
	require.Equal(t, 3, rep.Calls.Failed)
	require.Equal(t, map[string]int{"upgrade: HTTP 404 Not Found": 3}, rep.Calls.Errors)
	require.Equal(t, Fail, rep.Verdict.Result)
}

// Pings are answered between frames, or the server hangs up.
func TestRunAnswersPings(t *testing.T) {
	pongs := make(chan string, 64)
	cfg := brief(serve(t, func(ws *websocket.Conn) {
		ws.SetPongHandler(func(s string) error { pongs <- s; return nil })
		_ = ws.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(time.Second))
		echo(same)(ws)
	}))
	cfg.Calls = 1
	rep := run(t, cfg)
	require.Zero(t, rep.Frames.Lost)
	require.Equal(t, "are you there", <-pongs)
}

func TestRunTLS(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	hs := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var up websocket.Upgrader
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		echo(same)(ws)
	}))
	defer hs.Close()
	cfg := brief("wss" + strings.TrimPrefix(hs.URL, "https"))
	cfg.TLS = hs.Client().Transport.(*http.Transport).TLSClientConfig
	rep := run(t, cfg)
	require.Equal(t, 3, rep.Calls.Connected, rep.Calls.Errors)
	require.Zero(t, rep.Frames.Lost)
}

func TestConfig(t *testing.T) {
	many := 101.0
	for name, cfg := range map[string]Config{
		"scheme":   {URL: "ftp://localhost"},
		"host":     {URL: "ws:///media"},
		"rate":     {URL: "ws://h", Rate: 8000},
		"calls":    {URL: "ws://h", Calls: 1 << 20},
		"speakers": {URL: "ws://h", Speakers: 65},
		"echo":     {URL: "ws://h", Echo: "some"},
		"duration": {URL: "ws://h", Duration: time.Millisecond},
		"nothing":  {URL: "ws://h", Echo: EchoNone, Limits: Limits{P99: 1}},
		"cpu":      {URL: "ws://h", Limits: Limits{CPU: 1}},
		"loss":     {URL: "ws://h", Limits: Limits{Loss: &many}},
		"process":  {URL: "ws://127.0.0.1:1", PIDs: []int{1 << 30}},
	} {
		_, err := Run(context.Background(), cfg)
		require.Error(t, err, name)
	}
}
