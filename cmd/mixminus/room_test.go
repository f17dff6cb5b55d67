package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// TestCallsMeetInARoom puts two calls, of both clouds, into a room: the one
// hears what the other says, and the room is recorded.
func TestCallsMeetInARoom(t *testing.T) {
	t.Parallel()
	x := &terminals{t: t, dir: t.TempDir()}
	acs := freePort(t)
	var urls, clouds map[string]string
	x.serve, urls = background(t, "serve", "--bot", "speak", "--insecure", "--listen", "127.0.0.1:0", "--recordings", x.dir,
		"--acs-endpoint", "http://"+acs, "--graph-endpoint", "http://"+acs)
	x.emulate, clouds = background(t, "emulate", "--insecure", "--listen", acs, "--admin", "127.0.0.1:0",
		"--events", urls["events"], "--graph-events", urls["graph"])
	x.api.URL, x.admin = urls["http"], clouds["admin"]
	talks := x.ring("20s")
	out, err := output(t, "emulate", "ring", "--admin", x.admin, "--cloud", "graph", "--meeting", "--duration", "20s")
	require.NoError(t, err, out)
	var calls []session.Snapshot
	require.Eventually(t, func() bool {
		calls, err = x.api.Calls(t.Context())
		return err == nil && len(calls) == 2 && calls[0].Media.Connected && calls[1].Media.Connected
	}, patience, 20*time.Millisecond)
	out, err = output(t, "call", "join", "--api", x.api.URL, "hall", calls[0].ID, calls[1].ID)
	require.NoError(t, err, out)
	out, err = output(t, "call", "join", "--api", x.api.URL, "hall", calls[0].ID)
	require.Error(t, err)
	require.Contains(t, out, "call is in a room")
	out, err = output(t, "call", "rooms", "--api", x.api.URL)
	require.NoError(t, err, out)
	require.Contains(t, out, calls[1].ID)
	before := x.log(talks).Playout.Total
	require.Eventually(t, func() bool { return x.log(talks).Playout.Total > before+16000 }, patience, 50*time.Millisecond, "the other is heard")
	out, err = output(t, "call", "member", "--api", x.api.URL, "hall", calls[0].ID, "--gain", "0.5")
	require.NoError(t, err, out)
	for _, c := range calls {
		out, err = output(t, "call", "leave", "--api", x.api.URL, "hall", c.ID)
		require.NoError(t, err, out)
	}
	require.Eventually(t, func() bool {
		m, err := record.ReadManifest(filepath.Join(x.dir, "room-hall", "manifest.json"))
		return err == nil && m.State == record.StateComplete && len(m.Tracks) == 3
	}, patience, 20*time.Millisecond, "each call and their mix")
	interrupt(t, x.serve)
}
