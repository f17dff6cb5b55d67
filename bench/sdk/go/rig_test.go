// Package sdk runs Microsoft's own Go client of Graph, msgraph-sdk-go, as the
// module proxy has it, against the emulator. It imports nothing of ours, and
// is a module of its own because its dependencies are ten times the product's.
package sdk

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	khttp "github.com/microsoft/kiota-http-go"
	msgraph "github.com/microsoftgraph/msgraph-sdk-go"
	core "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go-core/authentication"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"
	"github.com/stretchr/testify/require"
)

// patience is how long anything may take that does not block.
const patience = 10 * time.Second

// binary is the emulator, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mixminus-sdk-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "mixminus")
	if out, err := exec.Command("go", "build", "-C", "../../..", "-o", binary, "./cmd/mixminus").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the emulator: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// rig is an emulator, a bot that it may call, and the wire between the SDK and
// the emulator.
type rig struct {
	t    *testing.T
	bot  *httptest.Server
	said map[string]string // what the emulator printed
	wire *wire

	mu    sync.Mutex
	posts []post
	bell  chan struct{} // closed when posts has grown
}

type post struct {
	path, authorization string
	body                notifications
}

// notifications is what Graph posts: of calls, and of changes.
type notifications struct {
	Value []struct {
		ChangeType  string          `json:"changeType"`
		ResourceURL string          `json:"resourceUrl"`
		Data        json.RawMessage `json:"resourceData"`

		SubscriptionID   string          `json:"subscriptionId"`
		ClientState      string          `json:"clientState"`
		EncryptedContent json.RawMessage `json:"encryptedContent"`
	} `json:"value"`
}

// newRig starts an emulator that writes as a profile does.
func newRig(t *testing.T, profile string) *rig {
	r := &rig{t: t, bell: make(chan struct{})}
	r.bot = httptest.NewTLSServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.bot.Close)
	dir := t.TempDir()
	trusted := filepath.Join(dir, "bot.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: r.bot.Certificate().Raw}
	require.NoError(t, os.WriteFile(trusted, pem.EncodeToMemory(block), 0o600))

	cmd := exec.Command(binary, "emulate", "--json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--graph-profile", profile,
		"--graph-events", r.bot.URL+"/callbacks", "--ca-file", filepath.Join(dir, "ca.pem"))
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+trusted) // the emulator trusts the bot
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		require.NoError(t, cmd.Wait())
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &r.said))

	ca, err := os.ReadFile(r.said["ca_file"])
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(ca))
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	t.Cleanup(transport.CloseIdleConnections)
	r.wire = &wire{next: transport}
	return r
}

// serve is the bot: it proves that it listens, and keeps what it is told.
func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	if token := req.URL.Query().Get("validationToken"); token != "" {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, token)
		return
	}
	p := post{path: req.URL.Path, authorization: req.Header.Get("Authorization")}
	if err := json.NewDecoder(req.Body).Decode(&p.body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posts = append(r.posts, p)
	close(r.bell)
	r.bell = make(chan struct{})
}

// await returns the first post that matches.
func (r *rig) await(what string, matches func(*post) bool) *post {
	r.t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		for i := range r.posts {
			if matches(&r.posts[i]) {
				defer r.mu.Unlock()
				return &r.posts[i]
			}
		}
		bell := r.bell
		r.mu.Unlock()
		select {
		case <-bell:
		case <-late:
			require.FailNow(r.t, "not told", "%s: not after %v", what, patience)
		}
	}
}

// awaitState waits until a call is said to be in a state, by whoever has a
// token.
func (r *rig) awaitState(id, state string) {
	r.t.Helper()
	p := r.await(state, func(p *post) bool {
		for _, n := range p.body.Value {
			var call struct{ State string }
			if n.ResourceURL == "/communications/calls/"+id && json.Unmarshal(n.Data, &call) == nil && call.State == state {
				return true
			}
		}
		return false
	})
	require.True(r.t, strings.HasPrefix(p.authorization, "Bearer "), p.authorization)
}

// admin posts to the emulator's admin API.
func (r *rig) admin(path string, body map[string]any) (answer map[string]any) {
	r.t.Helper()
	data, err := json.Marshal(body)
	require.NoError(r.t, err)
	resp, err := http.Post(r.said["admin"]+path, "application/json", bytes.NewReader(data))
	require.NoError(r.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	require.Equal(r.t, 2, resp.StatusCode/100, "%s", text)
	if len(text) > 0 {
		require.NoError(r.t, json.Unmarshal(text, &answer))
	}
	return answer
}

// graph is the SDK's client with all that is its default but the transport at
// the bottom, which knows the emulator's authority.
func (r *rig) graph(credential azcore.TokenCredential, version string) *msgraph.GraphServiceClient {
	auth, err := authentication.NewAzureIdentityAuthenticationProviderWithScopesAndValidHosts(credential,
		[]string{"https://graph.microsoft.com/.default"}, []string{"127.0.0.1"})
	require.NoError(r.t, err)
	options := msgraph.GetDefaultClientOptions()
	client := core.GetDefaultClient(&options)
	client.Transport = khttp.NewCustomTransportWithParentTransport(r.wire, core.GetDefaultMiddlewaresWithOptions(&options)...)
	adapter, err := msgraph.NewGraphRequestAdapterWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(auth, nil, nil, client)
	require.NoError(r.t, err)
	graph := msgraph.NewGraphServiceClient(adapter)
	graph.GetAdapter().SetBaseUrl(r.said["graph_tls"] + "/" + version)
	return graph
}

// token is a credential that has its token.
type token string

// GetToken implements azcore.TokenCredential.
func (t token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(t), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// static is the client that has the token which the emulator printed.
func (r *rig) static(version string) *msgraph.GraphServiceClient {
	return r.graph(token(r.said["graph_token"]), version)
}

// wire notes what the SDK sends.
type wire struct {
	next http.RoundTripper

	mu   sync.Mutex
	sent []http.Header
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.sent = append(w.sent, req.Header.Clone())
	w.mu.Unlock()
	return w.next.RoundTrip(req)
}

// last are the headers of the last request.
func (w *wire) last() http.Header {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent[len(w.sent)-1]
}

// requireRefused checks that err is Graph's, as the SDK reads it.
func requireRefused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var refused *odataerrors.ODataError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, status, refused.ResponseStatusCode)
	require.Equal(t, code, *refused.GetErrorEscaped().GetCode())
	inner := refused.GetErrorEscaped().GetInnerError()
	require.NotEmpty(t, *inner.GetRequestId())
	require.NotEmpty(t, *inner.GetClientRequestId())
	require.WithinDuration(t, time.Now(), *inner.GetDate(), time.Minute)
}

func ptr[T any](v T) *T { return &v }

// user names somebody.
func user(id, name string) models.IdentitySetable {
	identity := models.NewIdentity()
	identity.SetId(&id)
	identity.SetDisplayName(&name)
	set := models.NewIdentitySet()
	set.SetUser(identity)
	return set
}
