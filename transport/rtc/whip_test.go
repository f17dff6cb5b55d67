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
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

// browser is an offer of Chromium's: audio and video in one bundle, and a data
// channel.
var browser = strings.ReplaceAll(`v=0
o=- 5228595038118931041 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1387637174 1 udp 2122260223 127.0.0.1 61764 typ host generation 0 network-id 1
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=ice-options:trickle
a=fingerprint:sha-256 DA:7B:57:DC:28:CE:04:4F:31:79:85:C4:31:67:EB:27:58:29:ED:77:2A:0D:24:AE:ED:AD:30:BC:BD:F1:9C:02
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:d46fb922-d52a-4e9c-aa87-444eadc1521b ce326ecf-a081-453a-8f9f-0605d5ef4128
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:2370820234 cname:kLNKtCxpRKUz5tdA
a=ssrc:2370820234 msid:d46fb922-d52a-4e9c-aa87-444eadc1521b ce326ecf-a081-453a-8f9f-0605d5ef4128
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=ice-options:trickle
a=fingerprint:sha-256 DA:7B:57:DC:28:CE:04:4F:31:79:85:C4:31:67:EB:27:58:29:ED:77:2A:0D:24:AE:ED:AD:30:BC:BD:F1:9C:02
a=setup:actpass
a=mid:1
a=sendrecv
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=ssrc-group:FID 1 2
a=ssrc:1 cname:kLNKtCxpRKUz5tdA
a=ssrc:2 cname:kLNKtCxpRKUz5tdA
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=fingerprint:sha-256 DA:7B:57:DC:28:CE:04:4F:31:79:85:C4:31:67:EB:27:58:29:ED:77:2A:0D:24:AE:ED:AD:30:BC:BD:F1:9C:02
a=setup:actpass
a=mid:2
a=sctp-port:5000
`, "\n", "\r\n")

// change replaces in the browser's offer, pairwise.
func change(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(browser) }

// part of the browser's offer: the session and some of its lines.
func part(lines ...int) string {
	all := strings.Split(browser, "m=")
	text := all[0]
	for _, i := range lines {
		text += "m=" + all[i+1]
	}
	return text
}

// tooMany is an offer with so many lines of video before the audio.
func tooMany(n int) string {
	all := strings.Split(browser, "m=")
	text := all[0]
	for range n {
		text += "m=" + strings.ReplaceAll(all[2], "a=mid:1", "a=mid:v")
	}
	return text + "m=" + all[1]
}

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

func TestOfferStatus(t *testing.T) {
	contexts := transport.Stream{Bidirectional: true, Contexts: transport.Contexts{CallID: "blob", Render: "R1", Source: "S1"}}
	tests := []struct {
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
		{name: "bundle only", offer: strings.Replace(part(1, 0), "m=audio 9", "m=audio 0", 1) + "a=bundle-only\r\n", status: 201},
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
	r := newRig(t, func(c *Config) {
		c.Verify = func(q *http.Request) error {
			if h := q.Header.Get("Authorization"); h != "" && h != "Bearer right" {
				return errors.New("wrong")
			}
			return nil
		}
	})
	for _, test := range tests {
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

// answered checks an answer against its offer: a line for each, in order, the
// audio alone not rejected.
func answered(t *testing.T, offer, answer string) {
	var a, b webrtc.SessionDescription
	a.SDP, b.SDP = offer, answer
	x, err := a.Unmarshal()
	require.NoError(t, err)
	y, err := b.Unmarshal()
	require.NoError(t, err)
	require.Len(t, y.MediaDescriptions, len(x.MediaDescriptions), answer)
	for i, m := range y.MediaDescriptions {
		require.Equal(t, x.MediaDescriptions[i].MediaName.Media, m.MediaName.Media)
		require.Equal(t, x.MediaDescriptions[i].MediaName.Protos, m.MediaName.Protos)
		was, _ := x.MediaDescriptions[i].Attribute("mid")
		is, _ := m.Attribute("mid")
		require.Equal(t, was, is)
		if m.MediaName.Media == "audio" {
			require.NotZero(t, m.MediaName.Port.Value)
			_, ok := m.Attribute("candidate")
			require.True(t, ok, answer)
			require.Contains(t, answer, "a=group:BUNDLE "+is+"\r\n")
		} else {
			require.Zero(t, m.MediaName.Port.Value)
		}
	}
}

func candidates(n int) (text string) {
	for i := range n {
		text += "a=candidate:" + string(rune('a'+i%26)) + " 1 udp 2122260223 127.0.0.1 " + strings.Repeat("1", 1+i/26) + " typ host\r\n"
	}
	return text
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
