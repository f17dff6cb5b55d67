package main

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/phone"
	"github.com/mixminus/mixminus/bench/signal"
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

// TestPhoneMeetsCallInARoom: a telephone and a call of Communication Services
// hear each other, and neither itself.
func TestPhoneMeetsCallInARoom(t *testing.T) {
	t.Parallel()
	x := &terminals{t: t, dir: t.TempDir()}
	acs := freePort(t)
	var urls, clouds map[string]string
	x.serve, urls = background(t, "serve", "--bot", "echo", "--insecure", "--listen", "127.0.0.1:0", "--recordings", x.dir,
		"--acs-endpoint", "http://"+acs, "--rtp", "127.0.0.1:0")
	x.emulate, clouds = background(t, "emulate", "--insecure", "--listen", acs, "--admin", "127.0.0.1:0", "--events", urls["events"])
	x.api.URL, x.admin = urls["http"], clouds["admin"]
	said := signal.Speech(signal.June)
	told := make(chan *phone.Log, 1)
	go func() {
		log, err := phone.Call(t.Context(), phone.Config{
			Target: netip.MustParseAddrPort(urls["rtp"]), Codec: "G722", Seed: 1, Voice: said, Loops: phone.Forever,
			Duration: 18 * time.Second, Bye: true,
		})
		if err != nil {
			t.Error(err)
		}
		told <- log
	}()
	talks := x.ring("16s")
	var calls []session.Snapshot
	require.Eventually(t, func() bool {
		var err error
		calls, err = x.api.Calls(t.Context())
		return err == nil && len(calls) == 2 && calls[0].Media.Connected && calls[1].Media.Connected
	}, patience, 20*time.Millisecond)
	out, err := output(t, "call", "join", "--api", x.api.URL, "hall", calls[0].ID, calls[1].ID)
	require.NoError(t, err, out)
	log := <-told
	require.NotNil(t, log)
	require.Empty(t, log.Faults())
	// By then both are in the room, also on a busy machine.
	const from, to = 9 * signal.SampleRate, 13 * signal.SampleRate
	call := x.log(talks)
	l := signal.Liken(log.Said()[from:to], call.Playout.PCM)
	require.Greater(t, l.Share(), 0.6, "the call hears the telephone: %v", l)
	l = signal.Liken(call.ExpectedMix()[from:to], log.Heard())
	require.Greater(t, l.Share(), 0.6, "the telephone hears the call: %v", l)
	_, score := signal.Align(log.Said()[from:from+2*signal.SampleRate], log.Heard()[from-signal.SampleRate/2:from+3*signal.SampleRate])
	require.Less(t, score, 0.4, "and not itself")
	interrupt(t, x.serve)
}
