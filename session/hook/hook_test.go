package hook

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/session/oidc"
)

func newTestGuard(t *testing.T, config GuardConfig) *Guard {
	t.Helper()
	config.Insecure = config.Verify == nil
	g, err := NewGuard(config)
	require.NoError(t, err)
	return g
}

func TestNewGuardChecks(t *testing.T) {
	verify := func(*http.Request) error { return nil }
	for want, c := range map[string]GuardConfig{
		"neither Verify nor Insecure": {},
		"both Verify and Insecure":    {Verify: verify, Insecure: true},
		"MaxBody is -1":               {Verify: verify, MaxBody: -1},
	} {
		_, err := NewGuard(c)
		require.ErrorContains(t, err, want)
	}
}

func TestMethod(t *testing.T) {
	g := newTestGuard(t, GuardConfig{})
	rec := httptest.NewRecorder()
	require.True(t, g.Method(rec, httptest.NewRequest("POST", "/", nil), "POST", "OPTIONS"))
	require.False(t, g.Method(rec, httptest.NewRequest("GET", "/", nil), "POST", "OPTIONS"))
	require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
	require.Equal(t, "POST, OPTIONS", rec.Header().Get("Allow"))
	require.Equal(t, map[string]int64{"method": 1}, g.Counts().Bad)
}

func TestToken(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		reason string
	}{
		{nil, http.StatusOK, ""},
		{&oidc.TokenError{Reason: oidc.RefusedTenant, Err: errors.New("detail")}, http.StatusUnauthorized, "tenant"},
		{fmt.Errorf("wrapped: %w", &oidc.TokenError{Reason: oidc.RefusedClosed}), http.StatusServiceUnavailable, "closed"},
		{&oidc.TokenError{Reason: oidc.RefusedUnavailable}, http.StatusServiceUnavailable, "keys_unavailable"},
		{errors.New("some other check"), http.StatusUnauthorized, "refused"},
	} {
		g := newTestGuard(t, GuardConfig{Verify: func(*http.Request) error { return c.err }})
		rec := httptest.NewRecorder()
		require.Equal(t, c.err == nil, g.Token(rec, httptest.NewRequest("POST", "/", nil)))
		require.Equal(t, c.status, rec.Code)
		require.Equal(t, c.status == http.StatusUnauthorized, rec.Header().Get("WWW-Authenticate") == "Bearer")
		if c.err != nil {
			require.Equal(t, "token refused: "+c.reason+"\n", rec.Body.String(), "details are not for strangers")
			require.Equal(t, map[string]int64{c.reason: 1}, g.Counts().Unauthorized)
		}
	}
	require.True(t, newTestGuard(t, GuardConfig{}).Token(nil, nil), "insecure: not looked at")
}

func pack(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(s))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

func TestJSON(t *testing.T) {
	const limit = 1000
	full, over := strings.Repeat("x", limit), strings.Repeat("x", limit+1)
	noise := make([]byte, limit+1) // does not get shorter by packing
	for i := range noise {
		noise[i] = byte(i * i * 31 >> 3)
	}
	for _, c := range []struct {
		name, contentType, encoding, body string
		status                            int
		reason, want                      string
	}{
		{"plain", "application/json", "", full, 200, "", full},
		{"charset", "application/json; charset=utf-8", "identity", "{}", 200, "", "{}"},
		{"cloud events", "application/cloudevents-batch+json", "", "{}", 200, "", "{}"},
		{"no type", "", "", "{}", 200, "", "{}"},
		{"form", "application/x-www-form-urlencoded", "", "{}", 415, "content_type", ""},
		{"text", "text/plain", "", "{}", 415, "content_type", ""},
		{"broken type", ";;;", "", "{}", 415, "content_type", ""},
		{"packed", "application/json", "gzip", pack(t, full), 200, "", full},
		{"packed, in capitals", "application/json", "GZIP", pack(t, "{}"), 200, "", "{}"},
		{"two members", "application/json", "x-gzip", pack(t, "a") + pack(t, "b"), 200, "", "ab"},
		{"not packed", "application/json", "gzip", "{}", 400, "read", ""},
		{"cut off", "application/json", "gzip", pack(t, full)[:20], 400, "read", ""},
		{"without its sum", "application/json", "gzip", pack(t, full)[:len(pack(t, full))-8], 400, "read", ""},
		{"other packing", "application/json", "br", "{}", 415, "content_encoding", ""},
		{"packed twice", "application/json", "gzip, gzip", "{}", 415, "content_encoding", ""},
		{"a byte too long", "application/json", "", over, 413, "too_large", ""},
		{"a byte too long unpacked", "application/json", "gzip", pack(t, over), 413, "too_large", ""},
		{"too long packed", "application/json", "gzip", pack(t, string(noise)), 413, "too_large", ""},
		{"bomb", "application/json", "gzip", pack(t, strings.Repeat("\x00", 500_000)), 413, "too_large", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newTestGuard(t, GuardConfig{MaxBody: limit})
			r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.contentType)
			r.Header.Set("Content-Encoding", c.encoding)
			rec := httptest.NewRecorder()
			body, ok := g.JSON(rec, r)
			require.Equal(t, c.reason == "", ok)
			require.Equal(t, c.status, rec.Code)
			require.Equal(t, c.want, string(body))
			if c.reason != "" {
				require.Equal(t, map[string]int64{c.reason: 1}, g.Counts().Bad)
			}
		})
	}
}

func TestRefusalsDoNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	g := newTestGuard(t, GuardConfig{Cloud: "acs", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 10 {
		g.Bad(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil), 400, "decode", "no JSON")
		g.Warn(httptest.NewRequest("POST", "/", nil), "item", "item refused", "index", 1)
	}
	require.Equal(t, 2, strings.Count(log.String(), "level=WARN"), "one of a kind")
	require.Contains(t, log.String(), "acs: webhook refused a request")
	require.Contains(t, log.String(), "acs: item refused")
	require.EqualValues(t, 10, g.Counts().Bad["decode"])
}
