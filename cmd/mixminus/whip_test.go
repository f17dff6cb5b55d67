package main

import (
	"path/filepath"
	"testing"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/stretchr/testify/require"
)

// TestEmulatorBringsMediaByWHIP: the emulated Graph dials the address in the blob
// by WHIP, once by each codec; what it says is recorded, and what the bot says
// comes back to it.
func TestEmulatorBringsMediaByWHIP(t *testing.T) {
	for _, codec := range []string{"G722", "opus"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			x := &terminals{t: t, dir: t.TempDir()}
			at := freePort(t)
			var urls, clouds map[string]string
			x.serve, urls = background(t, "serve", "--bot", "echo", "--insecure", "--listen", "127.0.0.1:0", "--recordings", x.dir,
				"--graph-endpoint", "http://"+at, "--graph-media", "webrtc", "--webrtc", "127.0.0.1:0", "--webrtc-codec", codec)
			x.emulate, clouds = background(t, "emulate", "--insecure", "--listen", at, "--admin", "127.0.0.1:0",
				"--graph-events", urls["graph"], "--media-codec", codec)
			x.api.URL, x.admin = urls["http"], clouds["admin"]
			out, err := output(t, "emulate", "ring", "--admin", x.admin, "--cloud", "graph", "--meeting", "--duration", "8s")
			require.NoError(t, err, out)
			manifest := x.manifest(record.StateComplete)
			log := x.onlyLog()
			said := log.ExpectedMix()
			heard := samplesOf(t, filepath.Join(x.dir, manifest.Call.CallID, "mixed-in.wav"))
			part := said[signal.SampleRate : 6*signal.SampleRate]
			l := signal.Liken(part, heard)
			require.Greater(t, l.Share(), 0.7, "recorded: %v", l)
			l = signal.Liken(part, log.Playout.PCM)
			if codec == "opus" { // coded twice, it is like what was said, and no more
				require.Greater(t, l.Score, 0.7, "echoed: %v", l)
			} else {
				require.Greater(t, l.Share(), 0.6, "echoed: %v", l)
			}
			require.Less(t, l.Silence, signal.SampleRate/2, "without gaps: %v", l)
			t.Logf("%s: %v", codec, l)
			interrupt(t, x.serve)
		})
	}
}

// onlyLog is the log of the only call.
func (x *terminals) onlyLog() *cloud.Log {
	x.t.Helper()
	var all []struct{ ID string }
	x.manage("GET", "/v1/calls", "", &all)
	require.Len(x.t, all, 1)
	log := x.log(all[0].ID)
	return &log
}
