//go:build linux

package bench_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/load"
	"github.com/stretchr/testify/require"
)

// callTime is how long calls are measured for each iteration.
const callTime = 2 * time.Second

// BenchmarkCalls places paced calls at mixminus serve --bot echo, in a process
// of its own, by the code of mixminus load, and reports what that measures:
// the server's CPU for each frame there and back, the latency from when a
// frame was due, lost frames, and the server's memory for each call. Unlike in
// BenchmarkEcho, nothing is saturated: at few calls a frame costs more, for
// each wakes the server.
//
// acs is ACS streaming, rtp PCMU from unannounced senders, webrtc PCMU of peers
// that are offered by WHIP; the last two have the jitter buffer's delay in the
// latency.
//
//	go test -run '^$' -bench 'Calls/(acs|rtp|webrtc)/n=(10|100|500)' ./bench
func BenchmarkCalls(b *testing.B) {
	bin := filepath.Join(b.TempDir(), "mixminus")
	out, err := exec.Command("go", "build", "-o", bin, "../cmd/mixminus").CombinedOutput()
	require.NoError(b, err, "%s", out)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))) // the generator's threads sleep in the kernel
	for _, kind := range []string{"acs", "rtp", "webrtc"} {
		for _, n := range []int{10, 100, 500} {
			b.Run(fmt.Sprintf("%s/n=%d", kind, n), func(b *testing.B) { benchCalls(b, bin, kind, n) })
		}
	}
}

func benchCalls(b *testing.B, bin, kind string, n int) {
	args := []string{"serve", "--bot", "echo", "--json", "--recordings", "", "--listen", "127.0.0.1:0"}
	if kind == "acs" {
		args = append(args, "--insecure")
	} else {
		args = append(args, "--"+kind, "127.0.0.1:0")
	}
	cmd := exec.Command(bin, args...)
	if cmd.Env = os.Environ(); kind == "acs" {
		cmd.Env = append(cmd.Env, "MIXMINUS_ACS_KEY=bG9jYWwtZW11bGF0b3Itc2VjcmV0")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
	}()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(b, err)
	var ready struct{ Media, RTP, WebRTC string }
	require.NoError(b, json.Unmarshal(line, &ready))
	url := map[string]string{"acs": ready.Media, "rtp": "rtp://" + ready.RTP, "webrtc": "whip+" + ready.WebRTC}[kind]
	cfg := load.Config{URL: url, Calls: n, Duration: time.Duration(b.N) * callTime, PIDs: []int{cmd.Process.Pid}}
	rep, err := load.Run(b.Context(), cfg)
	require.NoError(b, err)
	require.Equal(b, n, rep.Calls.Connected, rep.Calls.Errors)
	b.ReportMetric(0, "ns/op") // as long as it was told to take
	b.ReportMetric(rep.Server.CPUPerFrame, "cpu-µs/frame")
	b.ReportMetric(rep.Latency.P50, "p50-ms")
	b.ReportMetric(rep.Latency.P99, "p99-ms")
	b.ReportMetric(float64(rep.Frames.Lost), "lost")
	b.ReportMetric(float64(rep.Server.RSSPerCall), "B/call")
	b.ReportMetric(rep.Generator.WriteLate.P99, "late-p99-ms")
}
