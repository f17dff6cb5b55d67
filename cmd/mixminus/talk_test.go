package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDemoForPeople: one line says where the page is, which is there, and the
// bot waits in a meeting that people may join. bench/browser does.
func TestDemoForPeople(t *testing.T) {
	cmd, ready := background(t, "demo", "--browser", "--bot", "echo", "--admin", "127.0.0.1:0", "--out", t.TempDir())
	require.Equal(t, "echo", ready["bot"])
	resp, err := http.Get(ready["page"])
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, string(text), "<title>Join a call")
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'self'")

	live, err := http.Get(ready["admin"] + "/v1/calls/" + ready["meeting"] + "/live")
	require.NoError(t, err)
	defer live.Body.Close()
	var call struct{ Cloud, Kind string }
	require.NoError(t, json.NewDecoder(live.Body).Decode(&call))
	require.Equal(t, "graph meeting", call.Cloud+" "+call.Kind)
	interrupt(t, cmd)
}

func TestDemoForPeopleRefuses(t *testing.T) {
	taken, ready := background(t, "demo", "--browser", "--admin", "127.0.0.1:0", "--out", t.TempDir())
	for args, says := range map[string]string{
		"--bot nobody":        `--bot "nobody": want one of`,
		"--duration 5s":       "[browser duration]",
		"--admin 192.0.2.1:7": "--admin 192.0.2.1:7",
		"--admin " + strings.TrimPrefix(ready["admin"], "http://"): "is another one running?",
	} {
		out, err := output(t, append([]string{"demo", "--browser", "--out", t.TempDir()}, strings.Fields(args)...)...)
		require.Error(t, err, args)
		require.Contains(t, out, says)
	}
	interrupt(t, taken)
}
