package offer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
)

type verdict bool

func (v verdict) Error() string       { return fmt.Sprintf("verdict %v", bool(v)) }
func (v verdict) NotAcceptable() bool { return bool(v) }

func post(t *testing.T, contentType, packed, body string) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/x", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if packed != "" {
		r.Header.Set("Content-Encoding", packed)
	}
	return r
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		contentType, packed, body string
		status                    int // 0: it is taken
		code, message             string
	}{
		{Type, "", "v=0\r\n", 0, "", ""},
		{"Application/SDP; charset=utf-8", "identity", "v=0\n", 0, "", ""},
		{Type, "", "v=0" + strings.Repeat("\n", Max-3), 0, "", ""},
		{Type, "", "v=0" + strings.Repeat("\n", Max-2), 413, "too_large", "65536"},
		{"", "", "v=0\r\n", 415, "content_type", `Content-Type = ""`},
		{"text/plain", "", "v=0\r\n", 415, "content_type", `"text/plain": want application/sdp`},
		{Type, "gzip", "v=0\r\n", 415, "content_encoding", `"gzip"`},
		{Type, "", "", 400, "bad_offer", `first line = ""`},
		{Type, "", "v=1\r\n", 400, "bad_offer", `first line = "v=1\r": want v=0`},
	} {
		got, err := Read(httptest.NewRecorder(), post(t, tt.contentType, tt.packed, tt.body))
		if tt.status == 0 {
			require.NoError(t, err)
			require.Equal(t, tt.body, string(got))
			continue
		}
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, tt.status, e.Status)
		require.Equal(t, tt.code, e.Code)
		require.Contains(t, e.Message, tt.message)
	}
	broken := post(t, Type, "", "")
	broken.Body = io.NopCloser(io.MultiReader(strings.NewReader("v=0"), errReader{}))
	_, err := Read(httptest.NewRecorder(), broken)
	require.ErrorContains(t, err, "body: cut off")
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("cut off") }

func TestErrorWrite(t *testing.T) {
	for _, tt := range []struct {
		e             Error
		later, bearer bool
	}{
		{e: Error{Status: 503, Code: "busy", Message: "no"}, later: true},
		{e: Error{Status: 409, Code: "no_media", Message: "no", Later: true}, later: true},
		{e: Error{Status: 409, Code: "ambiguous", Message: "no"}},
		{e: Error{Status: 401, Code: "unauthorized", Message: "no"}, bearer: true},
	} {
		rec := httptest.NewRecorder()
		tt.e.Write(rec)
		require.Equal(t, tt.e.Status, rec.Code)
		require.JSONEq(t, `{"error":{"code":"`+tt.e.Code+`","message":"no"}}`, rec.Body.String())
		require.Equal(t, tt.later, rec.Header().Get("Retry-After") != "")
		require.Equal(t, tt.bearer, rec.Header().Get("WWW-Authenticate") == "Bearer")
	}
}

func TestAllow(t *testing.T) {
	for _, tt := range []struct {
		method, methods string
		status          int
		posts           bool
	}{
		{"OPTIONS", "OPTIONS, POST", 204, true},
		{"OPTIONS", "DELETE, GET, HEAD", 204, false},
		{"BREW", "OPTIONS, POST", 405, false},
	} {
		rec := httptest.NewRecorder()
		Allow(rec, httptest.NewRequest(tt.method, "/x", nil), tt.methods)
		require.Equal(t, tt.status, rec.Code)
		require.Equal(t, tt.methods, rec.Header().Get("Allow"))
		require.Equal(t, tt.posts, rec.Header().Get("Accept-Post") == Type)
	}
}

// media answers as serve does.
type media struct {
	check error
	serve func(http.ResponseWriter, *http.Request)
}

func (m media) Open(*engine.Leg, transport.Stream) (transport.Endpoint, error) {
	return nil, errors.New("no")
}
func (m media) CheckOffer([]byte) (hears, speaks bool, err error) { return true, false, m.check }
func (m media) ServeOffer(w http.ResponseWriter, r *http.Request, _ string) {
	m.serve(w, r)
}

func TestCheck(t *testing.T) {
	other := errors.New("closed")
	for want, said := range map[int]error{0: nil, 400: verdict(false), 406: fmt.Errorf("wrapped: %w", verdict(true)), 1: other} {
		_, _, err := Check(media{check: said}, nil)
		var e *Error
		switch {
		case want == 0:
			require.NoError(t, err)
		case want == 1:
			require.ErrorIs(t, err, other)
		default:
			require.ErrorAs(t, err, &e)
			require.Equal(t, want, e.Status)
		}
	}
}

func TestServe(t *testing.T) {
	taken := 0
	serve := func(r *http.Request, f func(http.ResponseWriter, *http.Request)) (*httptest.ResponseRecorder, error) {
		rec := httptest.NewRecorder()
		return rec, Serve(media{serve: f}, rec, r, []byte("v=0\r\n"), "x:1", func() { taken++ })
	}
	rec, err := serve(post(t, Type, "", "read already"), func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Equal(t, "v=0\r\n", string(body))
		require.EqualValues(t, 5, r.ContentLength)
		w.WriteHeader(201)
		require.Equal(t, 1, taken, "before the peer is told")
		_, _ = io.WriteString(w, "answer")
	})
	require.NoError(t, err)
	require.Equal(t, "answer", rec.Body.String())

	for name, tt := range map[string]struct {
		serve  func(http.ResponseWriter, *http.Request)
		status int
		want   string
	}{
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, strings.Repeat("no ", 1000), http.StatusServiceUnavailable)
		}, 503, "no no"},
		"silent": {func(http.ResponseWriter, *http.Request) {}, 500, "refused"},
		"no 201": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, 500, "hello"},
	} {
		_, err := serve(post(t, Type, "", ""), tt.serve)
		var e *Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, tt.status, e.Status)
		require.Contains(t, e.Message, tt.want)
		require.Less(t, len(e.Message), 600)
	}
	require.Equal(t, 1, taken)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = serve(post(t, Type, "", "").WithContext(ctx), func(http.ResponseWriter, *http.Request) {})
	require.ErrorIs(t, err, context.Canceled)
}
