package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/session/api"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// runMain makes the test binary the program itself, so that tests run real
// processes.
const runMain = "MIXMINUS_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		os.Exit(run(os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

const (
	testKey      = "bG9jYWwtZW11bGF0b3Itc2VjcmV0"
	testResource = "11111111-2222-3333-4444-555555555555"
	patience     = 20 * time.Second
	tick         = 20 * time.Millisecond
)

// program is the command line as a process of its own.
func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), runMain+"=1", envKey+"="+testKey, envSecret+"=a-fixed-secret")
	return cmd
}

// output runs the program to its end.
func output(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := program(ctx, args...).CombinedOutput()
	return string(out), err
}

// background starts the program and returns the line of JSON that it prints
// when it is ready.
func background(t *testing.T, args ...string) (*exec.Cmd, map[string]string) {
	t.Helper()
	return start(t, program(context.Background(), append(args, "--json")...))
}

func start(t *testing.T, cmd *exec.Cmd) (*exec.Cmd, map[string]string) {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%v: %s", cmd.Args, errs.String())
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err, "%v: %s", cmd.Args, &errs)
	var ready map[string]string
	require.NoError(t, json.Unmarshal(line, &ready))
	return cmd, ready
}

// interrupt is Ctrl-C: the program ends in good order.
func interrupt(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(patience):
		t.Fatal("does not end")
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		// Not of those that the system gives out: it might, before it is used.
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// terminals are serve and emulate, side by side, with tokens checked.
type terminals struct {
	t              *testing.T
	serve, emulate *exec.Cmd
	api            api.Client
	admin, dir     string
	serveArgs      []string
}

func openTerminals(t *testing.T, bot string, more ...string) *terminals {
	t.Helper()
	return openTerminalsOf(t, bot, nil, more...)
}

// openTerminalsOf is openTerminals with more flags of emulate.
func openTerminalsOf(t *testing.T, bot string, emulate []string, more ...string) *terminals {
	x := &terminals{t: t, dir: t.TempDir()}
	acs := freePort(t)
	x.serveArgs = append([]string{
		"serve", "--bot", bot, "--listen", "127.0.0.1:0", "--recordings", x.dir, "--acs-endpoint", "http://" + acs,
		"--audience", testResource, "--oidc-url", "http://" + acs + "/calling/.well-known/acsopenidconfiguration",
	}, more...)
	var urls map[string]string
	x.serve, urls = background(t, x.serveArgs...)
	require.True(t, strings.HasPrefix(urls["media"], "ws://"))
	require.True(t, strings.HasSuffix(urls["events"], "/events/a-fixed-secret"))
	x.api.URL = urls["http"]
	var cloudURLs map[string]string
	x.emulate, cloudURLs = background(t, append([]string{
		"emulate", "--insecure", "--listen", acs, "--admin", "127.0.0.1:0", "--resource-id", testResource, "--events", urls["events"],
	}, emulate...)...)
	require.Equal(t, testKey, cloudURLs["access_key"])
	x.admin = cloudURLs["admin"]
	return x
}

// ring places a call and returns the cloud's id of it.
func (x *terminals) ring(duration string) string {
	x.t.Helper()
	out, err := output(x.t, "emulate", "ring", "--admin", x.admin, "--script", "three-speakers", "--duration", duration)
	require.NoError(x.t, err, out)
	var rung struct{ ID string }
	require.NoError(x.t, json.Unmarshal([]byte(out), &rung))
	return rung.ID
}

func (x *terminals) log(id string) (log cloud.Log) {
	resp, err := http.Get(x.admin + "/v1/calls/" + id + "/log")
	require.NoError(x.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(x.t, err)
	require.NoError(x.t, json.Unmarshal(b, &log), string(b))
	return log
}

// manifest returns the only recording's, once it is in the wanted state.
func (x *terminals) manifest(state record.State) *record.Manifest {
	x.t.Helper()
	var m *record.Manifest
	require.Eventually(x.t, func() bool {
		found, err := filepath.Glob(filepath.Join(x.dir, "*", "manifest.json"))
		if err != nil || len(found) != 1 {
			return false
		}
		m, err = record.ReadManifest(found[0])
		return err == nil && m.State == state
	}, patience, 20*time.Millisecond)
	return m
}

func TestThreeTerminals(t *testing.T) {
	t.Parallel()
	x := openTerminals(t, "record")
	id := x.ring("3s")
	require.Eventually(t, func() bool {
		out, err := output(t, "call", "list", "--api", x.api.URL)
		return err == nil && strings.Contains(out, "unmixed")
	}, patience, 50*time.Millisecond)
	m := x.manifest(record.StateComplete)
	require.Equal(t, id, m.Call.CloudIDs["callConnectionId"])
	require.Equal(t, "incoming", m.Call.Direction)
	log := x.log(id)
	require.Len(t, m.Tracks, 4)
	for _, s := range log.Speakers {
		for i := range m.Tracks {
			if m.Tracks[i].Speaker == s.RawID {
				require.Zero(t, m.Tracks[i].Missing)
				require.GreaterOrEqual(t, m.Tracks[i].Samples, int64((s.Start)*320+len(s.Clip)))
			}
		}
	}

	out, err := output(t, "call", "create", "--api", x.api.URL, "--request", `{"targets":[{"kind":"communicationUser","communicationUser":{"id":"8:acs:someone"}}]}`)
	require.NoError(t, err, out)
	var made struct {
		ID, State, Direction string
	}
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	require.Equal(t, "outgoing", made.Direction)
	out, err = output(t, "call", "hangup", "--api", x.api.URL, made.ID)
	require.NoError(t, err, out)
	require.Eventually(t, func() bool {
		calls, err := x.api.Calls(t.Context())
		return err == nil && len(calls) == 0
	}, patience, 20*time.Millisecond)
	interrupt(t, x.serve)
	interrupt(t, x.emulate)
}

func TestAnswerByHand(t *testing.T) {
	t.Parallel()
	x := openTerminals(t, "echo", "--auto-answer=false")
	x.ring("3s")
	out, err := output(t, "call", "answer", "--api", x.api.URL, "--channels", "mixed")
	require.NoError(t, err, out)
	m := x.manifest(record.StateComplete)
	require.Equal(t, "mixed", m.Call.Media)
	interrupt(t, x.serve)
}

// TestKillNine kills serve while it records, and starts it anew.
func TestKillNine(t *testing.T) {
	t.Parallel()
	x := openTerminals(t, "record")
	id := x.ring("60s")
	require.Eventually(t, func() bool { return x.log(id).Slots > 150 }, patience, 10*time.Millisecond)
	before := x.log(id).Slots
	require.NoError(t, x.serve.Process.Signal(syscall.SIGKILL))
	x.serve.Wait()
	interrupted := x.manifest(record.StateRecording)
	background(t, x.serveArgs...)
	m := x.manifest(record.StateRecovered)
	require.Equal(t, interrupted.Call.CallID, m.Call.CallID)
	var longest int64
	for i := range m.Tracks {
		longest = max(longest, m.Tracks[i].Samples)
		require.NotEmpty(t, m.Tracks[i].SHA256)
	}
	require.GreaterOrEqual(t, longest, int64(before-50)*320, "at most 1 s is missing")
}

// TestAdHocLeg dials the media URL as any ACS-style client would, with no call.
func TestAdHocLeg(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, urls := background(t, "serve", "--bot", "echo", "--insecure", "--listen", "127.0.0.1:0", "--recordings", dir)
	ws, _, err := websocket.DefaultDialer.Dial(urls["media"], nil)
	require.NoError(t, err)
	defer ws.Close()
	require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{"kind":"AudioMetadata","audioMetadata":{"subscriptionId":"s","encoding":"PCM","sampleRate":16000,"channels":1,"length":640}}`)))
	data := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1, 2}, 320))
	require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{"kind":"AudioData","audioData":{"data":"`+data+`","silent":false}}`)))
	ws.SetReadDeadline(time.Now().Add(patience))
	_, back, err := ws.ReadMessage()
	require.NoError(t, err)
	require.Contains(t, string(back), data)
	require.NoError(t, ws.Close())
	x := &terminals{t: t, dir: dir}
	require.Equal(t, "adhoc", x.manifest(record.StateComplete).Call.Cloud)
	// What the leg did is told after its end, too.
	resp, err := http.Get(urls["http"] + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	metrics, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for _, want := range []string{
		`mixminus_frames_total{direction="in"} 1`, `mixminus_frames_total{direction="out"} 1`, "mixminus_legs 0",
		`mixminus_frame_latency_seconds_count{path="socket_to_tap"} 1`, `mixminus_frame_latency_seconds_count{path="source_to_socket"} 1`,
		`mixminus_messages_total{direction="in",transport="acs"} 2`, `mixminus_messages_total{direction="out",transport="acs"} 1`,
		"mixminus_recordings_total 1", "go_sched_pauses_total_gc_seconds_count",
	} {
		require.Contains(t, string(metrics), "\n"+want)
	}
	client := api.Client{URL: urls["http"]}
	stats, err := client.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, stats.Media.FramesOut)
	require.EqualValues(t, 1, stats.Media.SendLatency.Count)
	interrupt(t, cmd)
}

func TestHelpHasExamples(t *testing.T) {
	for _, args := range [][]string{{"demo"}, {"serve"}, {"emulate"}, {"emulate", "ring"}, {"call", "create"}, {"call", "answer"}, {"call", "list"}, {"call", "hangup"},
		{"call", "play"}, {"call", "dtmf"}, {"call", "add"}, {"call", "remove"}, {"call", "mute"}, {"call", "transfer"}, {"call", "stream"}, {"call", "act"}} {
		out, err := output(t, append(args, "--help")...)
		require.NoError(t, err)
		require.Contains(t, out, "Examples:", "%v", args)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	config := filepath.Join(t.TempDir(), "c.json")
	require.NoError(t, os.WriteFile(config, []byte(`{"bot":"echo","lisen":"x"}`), 0o600))
	null := filepath.Join(t.TempDir(), "null.json")
	require.NoError(t, os.WriteFile(null, []byte(`{"recordings":null}`), 0o600))
	for _, tt := range []struct {
		want string
		args []string
	}{
		{`--duration 1s: want 3s to 10m`, []string{"demo", "--duration", "1s"}},
		{`--bot "x": want one of echo, greet, record, speak`, []string{"serve", "--bot", "x"}},
		{`no --audience`, []string{"serve"}},
		{`--acs-entra and --access-key-file: want one of them`, []string{"serve", "--acs-entra", "--access-key-file", config}},
		{`is not loopback`, []string{"serve", "--listen", "0.0.0.0:0"}},
		{`recordings: <nil>: want a string`, []string{"serve", "--config", null}},
		{`unknown name "lisen"`, []string{"serve", "--config", config}},
		{`--public-url "ftp://x"`, []string{"serve", "--insecure", "--public-url", "ftp://x", "--listen", "127.0.0.1:0", "--recordings", ""}},
		{`is mixminus emulate running?`, []string{"emulate", "ring", "--admin", "http://127.0.0.1:1"}},
		{`no --graph-app`, []string{"serve", "--graph-endpoint", "https://graph.microsoft.com"}},
		{`no sign-in at Graph`, []string{"serve", "--graph-endpoint", "https://graph.microsoft.com", "--graph-app", testApp}},
		{`--meeting: is for --cloud graph`, []string{"call", "create", "--meeting", testJoinLink}},
		{`--meeting: graph: join URL: host`, []string{"call", "create", "--cloud", "graph", "--meeting", "https://example.com/x"}},
		{`--policy and --meeting: need --cloud graph`, []string{"emulate", "ring", "--policy", "x"}},
		{`the request is not JSON`, []string{"call", "create"}},
		{`at least one of the flags in the group [file text ssml stop] is required`, []string{"call", "play", "id"}},
		{`stream "pause": want start or stop`, []string{"call", "stream", "pause", "id"}},
		{`the body is not JSON`, []string{"call", "act", "id", "hold", "{"}},
		{`unknown command "nope"`, []string{"nope"}},
	} {
		out, err := output(t, tt.args...)
		require.Error(t, err, "%v", tt.args)
		require.Contains(t, out, tt.want)
	}
}

func TestConfigFile(t *testing.T) {
	config := filepath.Join(t.TempDir(), "c.json")
	require.NoError(t, os.WriteFile(config, []byte(`{"bot":"echo","listen":"127.0.0.1:0","insecure":true,"recordings":"","audience":["a","b"]}`), 0o600))
	cmd, urls := background(t, "serve", "--config", config)
	require.NotEmpty(t, urls["http"])
	interrupt(t, cmd)
}
