package main

import (
	"path/filepath"
	"runtime"
	"testing"

	"github.com/mixminus/mixminus/engine/record"
	"github.com/stretchr/testify/require"
)

// TestEntra lets serve answer and place calls at Communication Services with
// tokens of an application, over https, and no access key.
func TestEntra(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs SSL_CERT_FILE, by which Go trusts another authority on Linux")
	}
	t.Parallel()
	x := &terminals{t: t, dir: t.TempDir()}
	secure, ca := freePort(t), filepath.Join(t.TempDir(), "ca.pem")
	env := []string{
		envGraphSecret + "=a-client-secret", "SSL_CERT_FILE=" + ca, envKey + "=",
		"AZURE_TENANT_ID=" + testTenant, "AZURE_CLIENT_ID=" + testApp, "AZURE_CLIENT_SECRET=a-client-secret",
	}
	var urls, clouds map[string]string
	x.serve, urls = backgroundWith(t, env, "serve", "--bot", "record", "--listen", "127.0.0.1:0", "--recordings", x.dir,
		"--acs-entra", "--acs-endpoint", "https://"+secure, "--audience", testResource,
		"--oidc-url", "https://"+secure+"/calling/.well-known/acsopenidconfiguration")
	x.emulate, clouds = backgroundWith(t, env, "emulate", "--insecure", "--listen", "127.0.0.1:0", "--listen-tls", secure, "--admin", "127.0.0.1:0",
		"--ca-file", ca, "--resource-id", testResource, "--events", urls["events"], "--graph-app", testApp, "--graph-tenant", testTenant)
	x.api.URL, x.admin = urls["http"], clouds["admin"]

	id := x.ring("3s")
	m := x.manifest(record.StateComplete)
	require.Equal(t, id, m.Call.CloudIDs["callConnectionId"])
	require.Len(t, m.Tracks, 4)
	out, err := output(t, "call", "create", "--api", x.api.URL, "--request", `{"targets":[{"kind":"communicationUser","communicationUser":{"id":"8:acs:someone"}}]}`)
	require.NoError(t, err, out)
	interrupt(t, x.serve)
	interrupt(t, x.emulate)
}
