package rtc

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

// code is the one in an error.
func code(t *testing.T, body string) string {
	var is struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal([]byte(body), &is) != nil {
		return ""
	}
	require.NotEmpty(t, is.Error.Message)
	return is.Error.Code
}

// offers and what they are answered with; the browser's by POST to the address,
// where nothing else is said.
var offers = []struct {
	name   string
	offer  string
	kind   string
	header []string
	method string
	path   string
	status int
	code   string
}{
	{name: "browser", status: 201},
	{name: "type with parameters", kind: "Application/SDP; charset=utf-8", status: 201},
	{name: "audio only", offer: part(0), status: 201},
	{name: "audio last", offer: part(2, 1, 0), status: 201},
	{name: "44 lines", offer: tooMany(43), status: 201},
	{name: "bundle only", offer: bundleOnly, status: 201},
	{name: "call", header: []string{"x-ms-call-connection-id", "call-1"}, status: 201},
	{name: "call of the blob", header: []string{"x-ms-call-connection-id", "BLOB"}, status: 201},
	{name: "contexts", header: []string{"x-mixminus-render", "r1", "x-mixminus-source", "S1"}, status: 201},
	{name: "candidates of no use", offer: change("127.0.0.1 61764 typ host", "0a1b.local 61764 typ host"), status: 201},
	{name: "other fmtp", offer: change("minptime=10;useinbandfec=1", "minptime=20;stereo=1;usedtx=1"), status: 201},
	{name: "old profile", offer: change("UDP/TLS/RTP/SAVPF 111", "RTP/SAVPF 111"), status: 201},

	{name: "other call", header: []string{"x-ms-call-connection-id", "call-2"}, status: 403, code: "other_call"},
	{name: "other render", header: []string{"x-mixminus-render", "R2"}, status: 403, code: "other_context"},
	{name: "other source", header: []string{"x-mixminus-source", "R1"}, status: 403, code: "other_context"},
	{name: "type of nothing", offer: change("111 63 9", "111 111 63 9", "110 telephone-event/48000", "110"), status: 201},
	{name: "static types", offer: without(change("111 63 9 0 8 13 110 126", "8 0"), "rtpmap", "fmtp", "rtcp-fb"), status: 201},
	{name: "no token", header: []string{"Authorization", "Bearer wrong"}, status: 401, code: "unauthorized"},
	{name: "unknown address", path: "/whip/unknown", status: 404, code: "not_found"},
	{name: "no address", path: "/whip/", status: 404, code: "not_found"},
	{name: "base", path: "/whip", status: 404, code: "not_found"},
	{name: "above", path: "/", status: 404, code: "not_found"},
	{name: "deep", path: "/whip/a/b/c", status: 404, code: "not_found"},
	{name: "no session", path: "/whip/a/", status: 404, code: "not_found"},
	{name: "get", method: "GET", status: 204},
	{name: "head", method: "HEAD", status: 204},
	{name: "put", method: "PUT", status: 405, code: "method_not_allowed"},
	{name: "delete", method: "DELETE", status: 405, code: "method_not_allowed"},
	{name: "patch", method: "PATCH", status: 405, code: "method_not_allowed"},
	{name: "no type", kind: "none", status: 415, code: "content_type"},
	{name: "json", kind: "application/json", status: 415, code: "content_type"},
	{name: "packed", header: []string{"Content-Encoding", "gzip"}, status: 415, code: "content_encoding"},
	{name: "a megabyte", offer: part(0) + strings.Repeat("a=x\r\n", 1<<20/5), status: 413, code: "too_large"},
	{name: "empty", offer: " ", status: 400, code: "bad_offer"},
	{name: "no sdp", offer: "hello", status: 400, code: "bad_offer"},
	{name: "200 lines", offer: part() + strings.Repeat("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", 200), status: 400, code: "bad_offer"},
	{name: "100 candidates", offer: part(0) + candidates(100), status: 400, code: "bad_offer"},
	{name: "no ICE", offer: without(browser, "ice-ufrag", "ice-pwd"), status: 400, code: "bad_offer"},
	{name: "no password", offer: without(browser, "ice-pwd"), status: 400, code: "bad_offer"},
	{name: "short password", offer: change("P2uYro0UCOQ4zxjKXaWCBui1", "short"), status: 400, code: "bad_offer"},
	{name: "no fingerprint", offer: without(browser, "fingerprint"), status: 400, code: "bad_offer"},
	{name: "odd fingerprint", offer: change("sha-256 DA:7B", "sha-256"), status: 400, code: "bad_offer"},
	{name: "no mid", offer: without(browser, "mid"), status: 400, code: "bad_offer"},
	{name: "video only", offer: part(1), status: 406, code: "not_acceptable"},
	{name: "data only", offer: part(2), status: 406, code: "not_acceptable"},
	{name: "no lines", offer: part(), status: 406, code: "not_acceptable"},
	{name: "rejected audio", offer: change("m=audio 9", "m=audio 0"), status: 406, code: "not_acceptable"},
	{name: "two lines of audio", offer: part(0, 0), status: 406, code: "not_acceptable"},
	{name: "inactive", offer: change("a=sendrecv", "a=inactive"), status: 406, code: "not_acceptable"},
	{name: "no codec", offer: change("111 63 9 0 8 13 110 126", "63 13 126"), status: 406, code: "not_acceptable"},
	{name: "plain RTP", offer: change("UDP/TLS/RTP/SAVPF 111", "RTP/AVP 111"), status: 406, code: "not_acceptable"},
	{name: "no mux", offer: without(browser, "rtcp-mux"), status: 406, code: "not_acceptable"},
	{name: "type twice", offer: change("111 63 9", "111 111 63 9"), status: 201},
}

func TestOfferStatus(t *testing.T) {
	contexts := transport.Stream{Bidirectional: true, Contexts: transport.Contexts{CallID: "blob", Render: "R1", Source: "S1"}}
	r := newRig(t, func(c *Config) {
		c.Verify = func(q *http.Request) error {
			if h := q.Header.Get("Authorization"); h != "" && h != "Bearer right" {
				return errors.New("wrong")
			}
			return nil
		}
	})
	for _, test := range offers {
		t.Run(test.name, func(t *testing.T) {
			_, ep := r.open(engine.LegConfig{}, contexts)
			ep.Bind("call-1")
			at, method, kind, offer := ep.url, "POST", sdpType, browser
			if test.path != "" {
				at = r.web.URL + test.path
			}
			if test.method != "" {
				method, kind, offer = test.method, "", ""
			}
			if test.kind != "" {
				kind = strings.TrimPrefix(test.kind, "none")
			}
			if test.offer != "" {
				offer = test.offer
			}
			res, body := do(t, http.DefaultClient, method, at, kind, offer, nil, test.header...)
			require.Equal(t, test.status, res.StatusCode, body)
			require.Equal(t, test.code, code(t, body), body)
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			refused := r.Refused() + ep.Stats().Refused
			require.Equal(t, test.status >= 400 && test.status != 405, refused > 0)
			r.refused.Store(0)
			switch test.status {
			case 201:
				require.Equal(t, sdpType, res.Header.Get("Content-Type"))
				require.Equal(t, "mixed", res.Header.Get("X-Mixminus-Channels"))
				answered(t, offer, body)
			case 401:
				require.Equal(t, "Bearer", res.Header.Get("WWW-Authenticate"))
			case 405:
				require.Contains(t, res.Header.Get("Allow"), "POST")
			case 204:
				require.Empty(t, body)
			}
			ep.Drain()
			res, _ = do(t, http.DefaultClient, "POST", ep.url, sdpType, browser, nil)
			require.Equal(t, 404, res.StatusCode) // its call is over
			r.refused.Store(0)
		})
	}
	require.Empty(t, r.ends) // nothing that was told of began
}

func TestLinksAndOrigins(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Origins = []string{"https://app.example", "https://other.example:8443"}
		c.ICEServers = []ICEServer{{URL: "stun:stun.example.net"}, {URL: "turn:turn.example.net?transport=udp", Username: `u"s\er`, Credential: "secret"}}
	})
	_, ep := r.open(engine.LegConfig{}, both)
	res, body := do(t, http.DefaultClient, "POST", ep.url, sdpType, browser, nil, "Origin", "https://APP.example")
	require.Equal(t, 201, res.StatusCode, body)
	require.Equal(t, []string{
		`<stun:stun.example.net>; rel="ice-server"`,
		`<turn:turn.example.net?transport=udp>; rel="ice-server"; username="u\"s\\er"; credential="secret"; credential-type="password"`,
	}, res.Header.Values("Link"))
	require.Equal(t, "https://APP.example", res.Header.Get("Access-Control-Allow-Origin"))
	for _, name := range []string{"Location", "ETag", "Link"} {
		require.Contains(t, res.Header.Get("Access-Control-Expose-Headers"), name)
	}
	require.Regexp(t, `^"[A-Za-z0-9_-]{22}"$`, res.Header.Get("ETag"))
	at, err := url.Parse(res.Header.Get("Location"))
	require.NoError(t, err)
	require.Regexp(t, `^`+ep.path+`/[A-Za-z0-9_-]{22}$`, at.Path)

	preflight := func(origin string) http.Header {
		res, body := do(t, http.DefaultClient, "OPTIONS", ep.url, "", "", nil, "Origin", origin, "Access-Control-Request-Method", "POST")
		require.Equal(t, 200, res.StatusCode)
		require.Empty(t, body)
		require.Empty(t, res.Header.Values("Link"))
		require.Equal(t, sdpType, res.Header.Get("Accept-Post"))
		require.Equal(t, "Origin", res.Header.Get("Vary"))
		return res.Header
	}
	h := preflight("https://other.example:8443")
	require.Equal(t, "https://other.example:8443", h.Get("Access-Control-Allow-Origin"))
	require.Contains(t, h.Get("Access-Control-Allow-Methods"), "POST")
	require.Contains(t, h.Get("Access-Control-Allow-Headers"), "Authorization")
	h = preflight("https://evil.example")
	require.Empty(t, h.Get("Access-Control-Allow-Origin"))
	require.Empty(t, h.Get("Access-Control-Allow-Methods"))
	res, _ = do(t, http.DefaultClient, "OPTIONS", r.web.URL+at.Path, "", "", nil)
	require.Equal(t, fragmentType, res.Header.Get("Accept-Patch"))
	require.Contains(t, res.Header.Get("Allow"), "PATCH")

	all := newRig(t, func(c *Config) { c.Origins = []string{"*"} })
	res, _ = do(t, http.DefaultClient, "POST", all.web.URL+"/whip/x", sdpType, browser, nil, "Origin", "https://any.example")
	require.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
	none := newRig(t, nil)
	res, _ = do(t, http.DefaultClient, "POST", none.web.URL+"/whip/x", sdpType, browser, nil, "Origin", "https://any.example")
	require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
}

// TestServeOffer: whoever chose the address lets the peer in; the session is
// served below it all the same.
func TestServeOffer(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Verify = func(*http.Request) error { return errors.New("nobody") } })
	_, ep := r.open(engine.LegConfig{}, both)
	var to string
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.ServeOffer(w, q, to) }))
	defer front.Close()
	for _, no := range []string{ep.url + "x", ep.path, "", "http://other" + ep.path} {
		to = no
		res, _ := do(t, http.DefaultClient, "POST", front.URL, sdpType, browser, nil)
		require.Equal(t, 404, res.StatusCode)
	}
	to = ep.url
	res, _ := do(t, http.DefaultClient, "GET", front.URL, "", "", nil)
	require.Equal(t, 405, res.StatusCode)
	res, _ = do(t, http.DefaultClient, "POST", ep.url, sdpType, browser, nil)
	require.Equal(t, 401, res.StatusCode)
	res, _ = do(t, http.DefaultClient, "POST", front.URL+"/anything", sdpType, browser, nil)
	require.Equal(t, 201, res.StatusCode)
	at := r.web.URL + res.Header.Get("Location")
	require.True(t, strings.HasPrefix(at, ep.url+"/"))
	res, _ = do(t, http.DefaultClient, "GET", at, "", "", nil)
	require.Equal(t, 204, res.StatusCode)
	res, _ = do(t, http.DefaultClient, "DELETE", at, "", "", nil)
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, ended{ep.url, nil}, r.end())
	for _, method := range []string{"DELETE", "PATCH", "GET"} {
		res, _ = do(t, http.DefaultClient, method, at, "", "", nil)
		require.Equal(t, 404, res.StatusCode)
	}
	require.NoError(t, r.Server.Close())
	res, _ = do(t, http.DefaultClient, "POST", front.URL, sdpType, browser, nil)
	require.Equal(t, 503, res.StatusCode)
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	res, _ = do(t, http.DefaultClient, "POST", ep.url, sdpType, browser, nil)
	require.Equal(t, 503, res.StatusCode)
}

// TestSessionOfAnotherAddress: a session is found below its own address only.
func TestSessionOfAnotherAddress(t *testing.T) {
	r := newRig(t, nil)
	_, one := r.open(engine.LegConfig{}, both)
	_, two := r.open(engine.LegConfig{}, both)
	res, _ := do(t, http.DefaultClient, "POST", one.url, sdpType, browser, nil)
	require.Equal(t, 201, res.StatusCode)
	at := r.web.URL + res.Header.Get("Location")
	res, _ = do(t, http.DefaultClient, "DELETE", strings.Replace(at, one.url, two.url, 1), "", "", nil)
	require.Equal(t, 404, res.StatusCode)
	res, _ = do(t, http.DefaultClient, "PUT", at, "", "", nil)
	require.Equal(t, 405, res.StatusCode)
	require.Contains(t, res.Header.Get("Allow"), "PATCH")
	res, _ = do(t, http.DefaultClient, "DELETE", at, "", "", nil)
	require.Equal(t, 200, res.StatusCode)
}

func TestHTTP2(t *testing.T) {
	r := newRig(t, nil)
	_, ep := r.open(engine.LegConfig{}, both)
	web := httptest.NewUnstartedServer(r.Server)
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	res, body := do(t, web.Client(), "POST", web.URL+ep.path, sdpType, browser, nil)
	require.Equal(t, 201, res.StatusCode, body)
	require.Equal(t, 2, res.ProtoMajor)
}

func TestConfig(t *testing.T) {
	e := engine.New(engine.Config{})
	defer e.Close()
	for _, cfg := range []Config{
		{BaseURL: "http://x/whip"}, {Engine: e}, {Engine: e, BaseURL: "ws://x/whip"}, {Engine: e, BaseURL: "http:///whip"},
		{Engine: e, BaseURL: "http://x/whip?a=b"}, {Engine: e, BaseURL: "http://x", Grace: -1}, {Engine: e, BaseURL: "http://x", MaxPeers: -1},
		{Engine: e, BaseURL: "http://x", ICEServers: []ICEServer{{URL: "http://x"}}},
		{Engine: e, BaseURL: "http://x", ICEServers: []ICEServer{{URL: "stun:x>; rel=y"}}},
		{Engine: e, BaseURL: "http://x", ICEServers: []ICEServer{{URL: "turn:x", Credential: "a\r\nb"}}},
	} {
		_, err := New(cfg)
		require.ErrorContains(t, err, "rtc: Config")
	}
}
