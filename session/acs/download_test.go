package acs

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

func TestDownloadOfARecording(t *testing.T) {
	const sound = "RIFF....WAVE"
	f := newFakeService(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "bytes=4-" {
			w.WriteHeader(http.StatusPartialContent)
			w.Write([]byte(sound[4:]))
			return
		}
		w.Write([]byte(sound))
	})
	c := newTestClient(t, f, ClientConfig{})
	location := f.URL + "/v1/objects/a/content/video?x=1"
	var b bytes.Buffer
	n, err := c.DownloadRecording(t.Context(), location, 0, &b, 1<<20)
	require.NoError(t, err)
	require.EqualValues(t, len(sound), n)
	require.Equal(t, sound, b.String())
	b.Reset()
	n, err = c.DownloadRecording(t.Context(), location, 4, &b, 1<<20)
	require.NoError(t, err)
	require.EqualValues(t, len(sound)-4, n)
	b.Reset()
	n, err = c.DownloadRecording(t.Context(), location, 0, &b, 4)
	require.ErrorContains(t, err, "longer than 4 bytes")
	require.EqualValues(t, 4, n)
	_, err = c.DownloadRecording(t.Context(), location, -1, &b, 4)
	require.ErrorContains(t, err, "offset")
	_, err = c.DownloadRecording(t.Context(), location, 5, &b, 4)
	require.ErrorContains(t, err, "from its beginning")
	require.NoError(t, c.DeleteRecording(t.Context(), f.URL+"/v1/objects/a"))

	got := f.requests()
	require.Len(t, got, 5)
	require.Equal(t, "DELETE", got[4].method)
	key, err := base64.StdEncoding.DecodeString(testKey)
	require.NoError(t, err)
	for _, r := range got {
		require.Equal(t, r.host, r.header.Get("X-Ms-Host"))
		path, _, _ := strings.Cut(r.target, "?")
		want := sign(key, r.method, path, r.header.Get("X-Ms-Host"), r.header.Get("X-Ms-Date"), nil)
		require.Equal(t, want.authorization, r.header.Get("Authorization"), "signed for the path alone")
	}
}

func TestDownloadThatIsRefused(t *testing.T) {
	f := newFakeService(t, reply(404, `{"error":{"code":"8522","message":"gone"}}`), reply(302, "", "Location", "https://evil.example/"), reply(200, "x"))
	c := newTestClient(t, f, ClientConfig{})
	var refused *session.Error
	_, err := c.DownloadRecording(t.Context(), f.URL+"/x", 0, &bytes.Buffer{}, 10)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, []any{404, 8522, "gone"}, []any{refused.Status, refused.SubCode, refused.Message})
	require.ErrorAs(t, c.DeleteRecording(t.Context(), f.URL+"/x"), &refused)
	require.Equal(t, 302, refused.Status, "no redirect is worth the signature")
	_, err = c.DownloadRecording(t.Context(), f.URL+"/x", 5, &bytes.Buffer{}, 10)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 200, refused.Status, "the whole is not the rest")
	for _, host := range []string{"https://eu.asm.skype.com/x", "https://US-prod.asyncgw.teams.microsoft.com/x", "https://x.ams.gov.teams.microsoft.us/x"} {
		_, err := c.recordingURL(host)
		require.NoError(t, err)
	}
}

// credential hands out tokens.
type credential struct {
	asked []string
	err   error
}

func (c *credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.asked = append(c.asked, o.Scopes...)
	return azcore.AccessToken{Token: "a.secret.token", ExpiresOn: time.Now().Add(time.Hour)}, c.err
}

func TestEntraToken(t *testing.T) {
	f := newFakeService(t, reply(400, `{"error":{"code":"x","message":"bad a.secret.token"}}`), reply(204, ""))
	cred := &credential{}
	c, err := NewClient(ClientConfig{Endpoint: f.URL, Credential: cred})
	require.NoError(t, err)
	err = c.Terminate(t.Context(), "x")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret.token")
	require.NoError(t, c.Terminate(t.Context(), "x"))
	require.Equal(t, []string{"https://communication.azure.com//.default", "https://communication.azure.com//.default"}, cred.asked)
	r := f.requests()[1]
	require.Equal(t, "Bearer a.secret.token", r.header.Get("Authorization"))
	require.Empty(t, r.header.Get("X-Ms-Content-Sha256"))
	require.NotEmpty(t, r.header.Get("Repeatability-Request-Id"))
	require.NotEmpty(t, r.header.Get("X-Ms-Date"))

	cred.err = errors.New("no such app")
	err = c.Terminate(t.Context(), "x")
	require.ErrorContains(t, err, "sign-in: no such app")
	require.Len(t, f.requests(), 2)

	_, err = NewClient(ClientConfig{Endpoint: f.URL, Credential: cred, AccessKey: testKey})
	require.ErrorContains(t, err, "excludes access key")
	_, err = NewClient(ClientConfig{ConnectionString: "endpoint=https://x;accesskey=" + testKey, Credential: cred})
	require.ErrorContains(t, err, "excludes access key")
	_, err = NewClient(ClientConfig{Endpoint: "http://contoso.example", Credential: cred})
	require.ErrorContains(t, err, "loopback", "no token goes over plain http")
}
