//go:build linux

package bench_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/load"
	"github.com/mixminus/mixminus/session/api"
	"github.com/stretchr/testify/require"
)

// callTime is how long calls are measured for each iteration.
const callTime = 2 * time.Second

// BenchmarkCalls places paced calls at mixminus serve --bot echo, in a process
// of its own, by the code of mixminus load, and reports what that measures:
// the server's CPU for each frame there and back, the latency from when a
// frame was due, lost frames, the server's memory for each call, and what its
// garbage collector did since it began. Unlike in BenchmarkEcho, nothing is
// saturated: at few calls a frame costs more, for each wakes the server.
//
// acs is ACS streaming, rtp PCMU from unannounced senders, webrtc PCMU of peers
// that are offered by WHIP; the last two have the jitter buffer's delay in the
// latency.
//
//	go test -run '^$' -bench 'Calls/(acs|rtp|webrtc)/n=(10|100|500)' ./bench
func BenchmarkCalls(b *testing.B) {
	bin := buildMixminus(b)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))) // the generator's threads sleep in the kernel
	for _, kind := range []string{"acs", "rtp", "webrtc"} {
		for _, n := range []int{10, 100, 500} {
			b.Run(fmt.Sprintf("%s/n=%d", kind, n), func(b *testing.B) { benchCalls(b, bin, kind, n) })
		}
	}
}

func benchCalls(b *testing.B, bin, kind string, n int) {
	args, env := []string{"--bot", "echo", "--recordings", ""}, []string(nil)
	if kind == "acs" {
		args, env = append(args, "--insecure"), []string{"MIXMINUS_ACS_KEY=" + accessKey}
	} else {
		args = append(args, "--"+kind, "127.0.0.1:0")
	}
	s := startServe(b, bin, env, args...)
	url := map[string]string{"acs": s.Media, "rtp": "rtp://" + s.RTP, "webrtc": "whip+" + s.WebRTC}[kind]
	cfg := load.Config{URL: url, Calls: n, Duration: time.Duration(b.N) * callTime, PIDs: []int{s.pid}}
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
	host := api.Client{URL: s.HTTP}
	stats, err := host.Stats(b.Context())
	require.NoError(b, err)
	b.ReportMetric(float64(stats.GC.Cycles), "gc-cycles")
	b.ReportMetric(stats.GC.Pauses.P999, "gc-pause-p99.9-ms")
}
