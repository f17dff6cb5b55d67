package rtc

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestChromium: whatever a page offers, audio flows, before and after an ICE
// restart and while a track is taken and given back.
func TestChromium(t *testing.T) {
	path, err := exec.LookPath("chromium")
	if testing.Short() || err != nil {
		t.Skip("no Chromium, or no time for it")
	}
	calls := []struct {
		name, policy, direction string
		tracks                  []string
	}{
		{"audio", "balanced", "sendrecv", []string{"audio"}},
		{"audio and video", "balanced", "sendrecv", []string{"audio", "video"}},
		{"video and audio", "balanced", "sendrecv", []string{"video", "audio"}},
		{"video and audio, bundled", "max-bundle", "sendrecv", []string{"video", "audio"}},
		{"all, not bundled", "max-compat", "sendrecv", []string{"data", "video", "audio"}},
		{"publish", "max-bundle", "sendonly", []string{"audio", "video", "data"}},
		{"play", "max-bundle", "recvonly", []string{"audio"}},
	}
	r := newRig(t, func(c *Config) { c.Origins = []string{"*"} })
	var list [][]any
	for _, x := range calls {
		_, ep := r.open(echo, both)
		list = append(list, []any{ep.url, map[string]string{"bundlePolicy": x.policy}, x.tracks, x.direction})
	}
	results := make(chan []string, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/calls":
			_ = json.NewEncoder(w).Encode(list)
		case "/results":
			var list []string
			_ = json.NewDecoder(q.Body).Decode(&list)
			results <- list
		default:
			http.ServeFile(w, q, "testdata/calls.html")
		}
	}))
	defer web.Close()
	browser := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream",
		"--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required", "--user-data-dir="+t.TempDir()+"/profile", web.URL)
	require.NoError(t, browser.Start())
	defer func() {
		_ = browser.Process.Kill()
		_ = browser.Wait()
		time.Sleep(time.Second) // its children write to the profile until they notice
	}()
	select {
	case list := <-results:
		require.Len(t, list, len(calls))
		for i, x := range calls {
			require.Empty(t, list[i], x.name)
		}
	case <-time.After(3 * wait):
		require.Fail(t, "no results")
	}
	for range calls {
		require.NoError(t, r.end().err)
	}
}
