package guard

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGuardWithoutToken(t *testing.T) {
	open, err := New("")
	require.NoError(t, err)
	type headers map[string]string
	for _, tt := range []struct {
		name, peer, host string
		headers          headers
		want             string // code, "" for served
	}{
		{name: "curl", peer: "127.0.0.1:5000", host: "127.0.0.1:8080"},
		{name: "by name", peer: "127.0.0.1:5000", host: "LocalHost:8080"},
		{name: "IPv6", peer: "[::1]:5000", host: "[::1]:8080"},
		{name: "IPv6 without a port", peer: "[::1]:5000", host: "[::1]"},
		{name: "IPv4 in IPv6", peer: "[::ffff:127.0.0.1]:5000", host: "127.8.8.8"},
		{name: "same origin", peer: "127.0.0.1:5000", host: "localhost:8080",
			headers: headers{"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}},

		{name: "another machine", peer: "192.168.1.7:5000", host: "127.0.0.1:8080", want: "not_loopback"},
		{name: "no peer address", peer: "@", host: "127.0.0.1:8080", want: "not_loopback"},
		{name: "a rebound name", peer: "127.0.0.1:5000", host: "evil.example:8080", want: "bad_host"},
		{name: "a name that looks like ours", peer: "127.0.0.1:5000", host: "localhost.evil.example", want: "bad_host"},
		{name: "no host", peer: "127.0.0.1:5000", host: "", want: "bad_host"},
		{name: "through a tunnel", peer: "127.0.0.1:5000", host: "localhost",
			headers: headers{"X-Forwarded-For": "203.0.113.9"}, want: "forwarded"},
		{name: "RFC 7239", peer: "127.0.0.1:5000", host: "localhost",
			headers: headers{"Forwarded": "for=203.0.113.9"}, want: "forwarded"},
		{name: "a page of another site", peer: "127.0.0.1:5000", host: "localhost:8080",
			headers: headers{"Sec-Fetch-Site": "cross-site"}, want: "cross_origin"},
		{name: "a page of another port", peer: "127.0.0.1:5000", host: "localhost:8080",
			headers: headers{"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"}, want: "cross_origin"},
		{name: "an old browser", peer: "127.0.0.1:5000", host: "localhost:8080",
			headers: headers{"Origin": "http://evil.example"}, want: "cross_origin"},
		{name: "a sandboxed page", peer: "127.0.0.1:5000", host: "localhost:8080",
			headers: headers{"Origin": "null"}, want: "cross_origin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/v1/calls", nil)
			r.RemoteAddr, r.Host = tt.peer, tt.host
			for k, v := range tt.headers {
				r.Header.Set(k, v)
			}
			err := open.Check(r)
			if tt.want == "" {
				require.Nil(t, err)
				return
			}
			require.NotNil(t, err)
			require.Equal(t, tt.want, err.Code)
			require.Equal(t, 403, err.Status)
		})
	}
}

func TestGuardWithToken(t *testing.T) {
	g, err := New("s3cret")
	require.NoError(t, err)
	for header, served := range map[string]bool{
		"Bearer s3cret":   true,
		"bearer  s3cret ": true,
		"":                false,
		"Bearer":          false,
		"Bearer ":         false,
		"Bearer s3cre":    false,
		"Bearer s3cretx":  false,
		"Basic s3cret":    false,
		"s3cret":          false,
	} {
		r := httptest.NewRequest("GET", "/v1/calls", nil)
		r.RemoteAddr, r.Host = "203.0.113.9:5000", "bot.example.com"
		r.Header.Set("Authorization", header)
		err := g.Check(r)
		require.Equal(t, served, err == nil, "Authorization: %q", header)
		if err != nil {
			require.Equal(t, 401, err.Status)
		}
	}
}

func TestCheckListen(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "localhost:80", "[::1]:80"} {
		require.NoError(t, CheckListen(addr, ""))
	}
	for _, addr := range []string{":80", "0.0.0.0:80", "[::]:80", "192.168.1.7:80", "bot.example.com:80"} {
		require.ErrorContains(t, CheckListen(addr, ""), addr)
		require.NoError(t, CheckListen(addr, "t"))
	}
	require.Error(t, CheckListen("127.0.0.1", "t"))
}

func TestTokenIsOneWord(t *testing.T) {
	_, err := New("two words")
	require.ErrorContains(t, err, "white space")
}
