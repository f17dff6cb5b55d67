package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/stretchr/testify/require"
)

// memory is an io.WriterAt.
type memory []byte

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	if end := int(at) + len(b); end > len(*m) {
		*m = append(*m, make([]byte, end-len(*m))...)
	}
	return copy((*m)[at:], b), nil
}

// serveWave serves samples at "/greeting.wav".
func serveWave(t *testing.T, samples []int16) string {
	var file memory
	w, err := wav.NewWriter(&file, 16000)
	require.NoError(t, err)
	require.NoError(t, w.WriteAt(0, samples))
	require.NoError(t, w.Close())
	mux := http.NewServeMux()
	mux.HandleFunc("/greeting.wav", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// manage calls the emulator's admin API.
func (x *terminals) manage(method, path, body string, out any) {
	x.t.Helper()
	req, err := http.NewRequestWithContext(x.t.Context(), method, x.admin+path, bytes.NewReader([]byte(body)))
	require.NoError(x.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(x.t, err)
	defer resp.Body.Close()
	require.Less(x.t, resp.StatusCode, 300)
	if out != nil {
		require.NoError(x.t, json.NewDecoder(resp.Body).Decode(out))
	}
}

// TestCallActions does in a standing call, from the command line, what the
// emulator's log then tells of.
func TestCallActions(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	x := openTerminalsOf(t, "record", []string{"--recordings", folder, "--dominant", "1", "--speed", "20"})
	greeting := signal.Noise(9*320, 1, -20)
	web := serveWave(t, greeting)
	x.manage("PUT", "/v1/callee", `{"script":{"hang_up":-1,"speakers":[{"voice":"allison","loops":-1},{"id":"8:acs:one","voice":"allison","gain":0.5,"loops":-1}]}}`, nil)
	out, err := output(t, "call", "create", "--api", x.api.URL, "--channels", "unmixed",
		"--request", `{"source":{"id":"8:acs:bot"},"targets":[{"kind":"communicationUser","communicationUser":{"id":"8:acs:someone"}}]}`)
	require.NoError(t, err, out)
	var made struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	var there []struct {
		ID    string
		Slots int
	}
	require.Eventually(t, func() bool {
		x.manage("GET", "/v1/calls", "", &there)
		return len(there) == 1 && there[0].Slots > 5
	}, patience, tick)
	id := there[0].ID
	call := func(args ...string) string {
		t.Helper()
		out, err := output(t, append(append([]string{"call"}, args...), "--api", x.api.URL)...)
		require.NoError(t, err, out)
		return out
	}
	people := func() (all map[string]bool) { // muted, by raw id
		var rows []struct {
			ID    string
			Muted bool
		}
		x.manage("GET", "/v1/calls/"+id+"/participants", "", &rows)
		all = map[string]bool{}
		for _, r := range rows {
			all[r.ID] = r.Muted
		}
		return all
	}

	require.Contains(t, call("play", made.ID, "--file", web+"/greeting.wav", "--wait"), "PlayCompleted")
	prompts := x.log(id).Prompts
	require.Len(t, prompts, 1)
	require.Equal(t, cloud.PCM(greeting), prompts[0].PCM)
	out, err = output(t, "call", "play", made.ID, "--file", web+"/none.wav", "--wait", "--api", x.api.URL)
	require.Error(t, err)
	require.Contains(t, out, "8536")
	call("play", made.ID, "--file", web+"/greeting.wav", "--loop")
	require.Eventually(t, func() bool { return len(x.log(id).Prompts) > 2 }, patience, tick)
	call("play", made.ID, "--stop")

	call("dtmf", made.ID, "12#", "--to", "8:acs:someone", "--wait")
	require.Equal(t, []string{"1", "2", "#"}, x.log(id).SentTones)
	require.Contains(t, call("add", made.ID, "8:acs:added", "--wait"), "AddParticipantSucceeded")
	require.Eventually(t, func() bool { return len(people()) == 4 }, patience, tick)
	call("mute", made.ID, "8:acs:one", "--wait")
	require.True(t, people()["8:acs:one"])
	call("remove", made.ID, "8:acs:added", "--wait")
	require.Eventually(t, func() bool { return len(people()) == 3 }, patience, tick)
	call("stream", "stop", made.ID, "--wait")
	call("stream", "start", made.ID, "--wait")
	log := x.log(id)
	require.Len(t, log.Connections, 2)
	causes := map[cloud.Cause]bool{}
	for _, s := range log.Speakers {
		for _, span := range s.Stream.Dropped {
			causes[span.Cause] = true
		}
	}
	require.True(t, causes[cloud.ByDominance], "--dominant 1")
	require.True(t, causes[cloud.ByNotStreaming])
	x.recordThere(id, folder)

	call("transfer", made.ID, "8:acs:agent", "--party", "8:acs:one", "--wait")
	require.Eventually(t, func() bool { return len(people()) == 2 }, patience, tick)
	require.Contains(t, call("transfer", made.ID, "8:acs:agent", "--wait"), "CallTransferAccepted")
	require.Eventually(t, func() bool { return x.log(id).Ended }, patience, tick)
	require.Eventually(t, func() bool {
		calls, err := x.api.Calls(t.Context())
		return err == nil && len(calls) == 0
	}, patience, tick)
	interrupt(t, x.serve)
	interrupt(t, x.emulate)
}

// recordThere has the emulator record the call, into its folder.
func (x *terminals) recordThere(id, folder string) {
	x.t.Helper()
	var resource struct{ ACS string }
	x.manage("GET", "/v1/resource", "", &resource)
	client, err := acs.NewClient(acs.ClientConfig{Endpoint: resource.ACS, AccessKey: testKey})
	require.NoError(x.t, err)
	rec, err := client.StartRecording(x.t.Context(), acs.StartRecording{CallID: id, Content: "audio", Channels: "mixed", Format: "wav"})
	require.NoError(x.t, err)
	var all []cloud.Recording
	require.Eventually(x.t, func() bool {
		x.manage("GET", "/v1/recordings", "", &all)
		return len(all) == 1 && all[0].Slots > 2
	}, patience, tick)
	require.NoError(x.t, client.StopRecording(x.t.Context(), rec.ID))
	require.Equal(x.t, folder, filepath.Dir(all[0].File))
	require.FileExists(x.t, all[0].File)
}
