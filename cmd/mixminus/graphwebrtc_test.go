package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/session/api"
	"github.com/mixminus/mixminus/session/blob"
	"github.com/stretchr/testify/require"
)

// graphOf is as much of Graph as one call needs: it says yes, and hands on the
// media session configuration that it was given.
func graphOf(t *testing.T) (endpoint string, blobs <-chan string) {
	t.Helper()
	given := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		var create struct{ MediaConfig struct{ Blob string } }
		b, _ := io.ReadAll(r.Body)
		if json.Unmarshal(b, &create) == nil && create.MediaConfig.Blob != "" {
			given <- create.MediaConfig.Blob
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"@odata.type":"#microsoft.graph.call","state":"establishing","direction":"outgoing","id":"57dab8b1-894c-409a-b240-bd8beae78896"}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, given
}

// TestGraphMediaOverWebRTC brings the media of a call of Graph to the address in
// its blob, as a media controller does that speaks WebRTC.
func TestGraphMediaOverWebRTC(t *testing.T) {
	t.Parallel()
	graph, blobs := graphOf(t)
	cmd, urls := alone(t, "serve", "--bot", "echo", "--insecure", "--graph-endpoint", graph, "--graph-media", "webrtc",
		"--webrtc", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--recordings", "")
	client := api.Client{URL: urls["http"]}
	callCLI(t, client, "create", "--cloud", "graph", "--bidirectional", "--channels", "mixed",
		"--request", `{"targets":[{"identity":{"user":{"id":"550fae72-d251-43ec-868c-373732c2704f"}}}]}`)
	b, err := blob.Parse([]byte(<-blobs))
	require.NoError(t, err)
	require.NoError(t, b.Hostable())
	require.Regexp(t, "^"+urls["http"]+"/whip/[^/]+$", b.MPURI)

	for _, stranger := range []http.Header{
		{"X-Mixminus-Render": {"11111111-2222-3333-4444-555555555555"}},
		{"X-Ms-Call-Connection-Id": {"11111111-2222-3333-4444-555555555555"}},
	} {
		resp, body := offering(t, sendrecv).post(b.MPURI, stranger)
		require.Equal(t, 403, resp.StatusCode, body)
	}
	voice := signal.Speech(signal.Allison)
	peer := dial(t, b.MPURI, sendrecv, http.Header{
		"X-Ms-Call-Connection-Id": {b.CallID}, "X-Mixminus-Render": {b.AudioRender[0]}, "X-Mixminus-Source": {b.AudioSource[0]},
	})
	peer.says(voice)
	require.Equal(t, "graph", calls(t, client, 1)[0].Cloud)
	peer.leave() // the cloud may bring it anew: the call stands
	calls, err := client.Calls(t.Context())
	require.NoError(t, err)
	require.Len(t, calls, 1)
	again := dial(t, b.MPURI, sendrecv)
	again.says(voice)
	again.hears(voice)
	interrupt(t, cmd)
}
