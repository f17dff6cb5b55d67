//go:build linux

package bench_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// served is where mixminus serve is, in a process of its own.
type served struct {
	HTTP, Events, Media, RTP, WebRTC string

	pid int
}

// accessKey of the emulated resource.
const accessKey = "bG9jYWwtZW11bGF0b3Itc2VjcmV0"

func buildMixminus(tb testing.TB) (bin string) {
	bin = filepath.Join(tb.TempDir(), "mixminus")
	out, err := exec.Command("go", "build", "-o", bin, "../cmd/mixminus").CombinedOutput()
	require.NoError(tb, err, "%s", out)
	return bin
}

// startServe starts it on free ports, until the test is over. env is added to
// the environment.
func startServe(tb testing.TB, bin string, env []string, args ...string) (s served) {
	cmd := exec.Command(bin, append([]string{"serve", "--json", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, cmd.Start())
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(tb, err)
	require.NoError(tb, json.Unmarshal(line, &s))
	s.pid = cmd.Process.Pid
	return s
}
