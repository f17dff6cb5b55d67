package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/mixminus/mixminus/bench/load"
	"github.com/stretchr/testify/require"
)

// loadJSON runs load to its end and returns its report.
func loadJSON(t *testing.T, args ...string) (rep load.Report, code int) {
	t.Helper()
	cmd := program(t.Context(), append([]string{"load", "--json", "--calls", "3", "--duration", "1s", "--warmup", "1s"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		require.NoError(t, err)
	}
	require.NoError(t, json.Unmarshal(out, &rep), "%s", out)
	return rep, code
}

func TestLoad(t *testing.T) {
	emulated := freePort(t)
	serve, ready := background(t, "serve", "--bot", "echo", "--insecure", "--recordings", "", "--listen", "127.0.0.1:0",
		"--acs-endpoint", "http://"+emulated, "--rtp", "127.0.0.1:0", "--webrtc", "127.0.0.1:0")
	page := filepath.Join(t.TempDir(), "load.html")
	args := []string{"--html", page}
	if runtime.GOOS == "linux" {
		args = append(args, "--pid", strconv.Itoa(serve.Process.Pid))
	}
	for _, c := range []struct{ kind, url string }{
		{"acs", ready["media"]}, {"rtp", "rtp://" + ready["rtp"] + "?codec=PCMU"}, {"rtp", "rtp://" + ready["rtp"] + "?codec=L16"},
		{"webrtc", "whip+" + ready["webrtc"]}, {"webrtc", "whip+" + ready["webrtc"] + "?codec=PCMA"}, {"emulator", ready["events"]},
	} {
		t.Run(c.kind, func(t *testing.T) {
			rep, code := loadJSON(t, append(args, "--url", c.url, "--listen", emulated)...)
			require.Zero(t, code)
			require.Equal(t, c.kind, rep.Load.Kind)
			require.Equal(t, load.CallCounts{Asked: 3, Connected: 3}, rep.Calls)
			require.InDelta(t, 150, rep.Frames.Due, 9)
			require.NotZero(t, rep.Frames.Back)
			require.Equal(t, load.Pass, rep.Verdict.Result)
			require.FileExists(t, page)
		})
	}
	rep, code := loadJSON(t, "--url", ready["media"], "--max-p99", "1us")
	require.NotEmpty(t, rep.Verdict.Breaks)
	require.Equal(t, map[load.Result]int{load.Fail: 1, load.Inconclusive: 2}[rep.Verdict.Result], code)

	out, err := output(t, "load", "--url", ready["media"], "--calls", "2", "--duration", "1s", "--find-limit", "--max-calls", "3", "--max-setup", "1m")
	require.NoError(t, err, out)
	require.Contains(t, out, "no limit broke up to 3 calls")
}

func TestLoadRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		`required flag(s) "url"`: {},
		"want ws://host/path":    {"--url", "ftp://h"},
		"--find-limit: needs":    {"--url", "ws://h", "--find-limit"},
		`--header "x"`:           {"--url", "ws://h", "--header", "x"},
		"PCMU, PCMA or L16":      {"--url", "rtp://h:1?codec=speex"},
		"want PCMU or PCMA":      {"--url", "whip+http://h?codec=opus"},
		"want the other way":     {"--url", "ws://h", "--find-limit", "--max-p99", "1s", "--calls", "9", "--max-calls", "3"},
		"want at least 1s":       {"--url", "ws://h", "--duration", "1ms"},
	} {
		out, err := output(t, append([]string{"load"}, args...)...)
		require.Error(t, err)
		require.Contains(t, out, want)
	}
}
