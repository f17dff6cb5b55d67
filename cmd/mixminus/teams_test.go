package main

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine/record"
	"github.com/stretchr/testify/require"
)

const (
	testApp      = "2891555a-92ff-42e6-80fa-6e1300c6b5c6"
	testTenant   = "aa67bd4c-8475-432d-bd41-39f255720e0a"
	testJoinLink = `https://teams.microsoft.com/l/meetup-join/19%3ameeting_Win6Ydo4wsMijFjZS00ZGVjLTk5MGUtOTRjNWY2NmNkYTFm%40thread.v2/0?context=%7b%22Tid%22%3a%22` +
		testTenant + `%22%2c%22Oid%22%3a%225810cede-f3cc-42eb-b2c1-e9bd5d53ec96%22%7d`
)

// TestTeamsBot lets serve sign in by client secret over https, be rung by a
// recording policy, and join a meeting as a guest, with tokens checked.
func TestTeamsBot(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs SSL_CERT_FILE, by which Go trusts another authority on Linux")
	}
	t.Parallel()
	x := &terminals{t: t, dir: t.TempDir()}
	secure, ca := freePort(t), filepath.Join(t.TempDir(), "ca.pem")
	env := []string{envGraphSecret + "=a-client-secret", "SSL_CERT_FILE=" + ca, envKey + "="}
	var urls, clouds map[string]string
	x.serve, urls = backgroundWith(t, env, "serve", "--bot", "record", "--listen", "127.0.0.1:0", "--recordings", x.dir,
		"--graph-endpoint", "https://"+secure, "--graph-app", testApp, "--graph-tenant", testTenant,
		"--graph-oidc-url", "https://"+secure+"/v1/.well-known/OpenIdConfiguration")
	require.NotContains(t, urls, "events", "without a key there is no Communication Services")
	x.emulate, clouds = backgroundWith(t, env, "emulate", "--insecure", "--listen", "127.0.0.1:0", "--listen-tls", secure, "--admin", "127.0.0.1:0",
		"--ca-file", ca, "--graph-events", urls["graph"], "--graph-app", testApp, "--graph-tenant", testTenant)
	x.api.URL, x.admin = urls["http"], clouds["admin"]
	require.Equal(t, "https://"+secure, clouds["graph_tls"])

	out, err := output(t, "emulate", "ring", "--admin", x.admin, "--cloud", "graph", "--policy", "Recording Policy", "--duration", "3s")
	require.NoError(t, err, out)
	var rung struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(out), &rung))
	m := x.manifest(record.StateComplete)
	require.Equal(t, "graph", m.Call.Cloud)
	require.Equal(t, rung.ID, m.Call.CloudIDs["id"])
	require.Len(t, m.Tracks, 4)
	log := x.log(rung.ID)
	require.Equal(t, "policy", log.Kind)
	require.Equal(t, "recording", log.RecordingStatus)
	names := map[string]string{}
	for _, s := range m.Speakers {
		names[s.ID] = s.Name
	}
	for _, s := range log.Speakers {
		require.Equal(t, s.Name, names[s.StreamID])
	}

	out, err = output(t, "call", "create", "--api", x.api.URL, "--cloud", "graph", "--meeting", testJoinLink, "--guest", "Minutes", "--channels", "unmixed")
	require.NoError(t, err, out)
	var made struct{ ID, Cloud string }
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	require.Equal(t, "graph", made.Cloud)
	require.Eventually(t, func() bool {
		c, err := x.api.Call(t.Context(), made.ID)
		return err == nil && len(c.Participants) > 1
	}, patience, 20*time.Millisecond)
	out, err = output(t, "call", "hangup", "--api", x.api.URL, made.ID)
	require.NoError(t, err, out)
	interrupt(t, x.serve)
	interrupt(t, x.emulate)
}

// backgroundWith is background with more in the environment.
func backgroundWith(t *testing.T, env []string, args ...string) (*exec.Cmd, map[string]string) {
	t.Helper()
	cmd := program(context.Background(), append(args, "--json")...)
	cmd.Env = append(cmd.Env, env...)
	return start(t, cmd)
}
