package rtc

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/netem/proxy"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

// fragmentOf makes a fragment of what an offer says of the network.
func fragmentOf(offer string) string {
	text, media := "", false
	for line := range strings.Lines(offer) {
		media = media || strings.HasPrefix(line, "m=")
		for _, kind := range []string{"a=group", "m=", "a=mid", "a=ice-", "a=candidate", "a=end-of"} {
			if strings.HasPrefix(line, kind) && (media || kind == "a=group") {
				text += line
			}
		}
	}
	return text
}

func (c *client) patch(tag, fragment string) (*http.Response, string) {
	c.t.Helper()
	header := []string{"If-Match", tag}
	if tag == "" {
		header = nil
	}
	return c.do("PATCH", c.location, fragmentType, fragment, header...)
}

// restart restarts ICE, and takes the new credentials and candidates of ours.
func (c *client) restart() (old string) {
	c.t.Helper()
	offer, err := c.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
	require.NoError(c.t, err)
	gathered := webrtc.GatheringCompletePromise(c.pc)
	require.NoError(c.t, c.pc.SetLocalDescription(offer))
	<-gathered
	res, body := c.patch("*", fragmentOf(c.pc.LocalDescription().SDP))
	require.Equal(c.t, 200, res.StatusCode, body)
	require.Equal(c.t, fragmentType, res.Header.Get("Content-Type"))
	old, c.etag = c.etag, res.Header.Get("ETag")
	require.NotEmpty(c.t, c.etag)
	require.NotEqual(c.t, old, c.etag)
	list, err := readFragment(body)
	require.NoError(c.t, err)
	require.Len(c.t, list.lines, 1)
	f := list.lines[0]
	require.NotEmpty(c.t, f.candidates)
	answer := without(c.answer, "ice-ufrag", "ice-pwd", "candidate", "end-of-candidates")
	answer = strings.TrimRight(answer, "\r\n") + "\r\na=ice-ufrag:" + f.ufrag + "\r\na=ice-pwd:" + f.password + "\r\n"
	for _, x := range f.candidates {
		answer += "a=candidate:" + x + "\r\n"
	}
	require.NoError(c.t, c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
	return old
}

// hears tells that audio goes both ways.
func (c *client) hears() {
	c.t.Helper()
	before := c.count()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.sayFrom(before*7, at(c.codec.SampleRate, signal.Speech(signal.June)[:signal.SampleRate]))
	}()
	<-done
	soon(c.t, "audio comes", func() bool { return c.count() > before+10 })
}

// TestTrickle: the offer has no candidates, they follow.
func TestTrickle(t *testing.T) {
	r := newRig(t, nil)
	_, ep := r.open(echo, both)
	c := newClient(t, clientConfig{trickle: true})
	c.post(ep.url)
	rest := fragmentOf(c.pc.LocalDescription().SDP)
	for _, x := range []struct {
		tag, kind, fragment string
		status              int
	}{
		{"", fragmentType, rest, 428},
		{`"other"`, fragmentType, rest, 412},
		{"W/" + c.etag, fragmentType, rest, 412},
		{c.etag, sdpType, rest, 415},
		{c.etag, fragmentType, "nonsense", 400},
		{c.etag, fragmentType, "a=candidate:1 1 udp\r\n", 400},
		{c.etag, fragmentType, "a=ice-ufrag:abcd\r\n", 400},
		{c.etag, fragmentType, "a=ice-ufrag:ab\r\na=ice-pwd:" + strings.Repeat("a", 22) + "\r\n", 400},
		{c.etag, fragmentType, "a=mid:0\r\n", 422},
		{c.etag, fragmentType, strings.Replace(rest, "a=mid:0", "a=mid:7", 1), 422},
		{c.etag, fragmentType, strings.Repeat("a=x\r\n", 1<<16), 413},
		{c.etag, fragmentType, candidates(65), 400},
		{c.etag, fragmentType, "m=audio 9 x 0\r\na=mid:0\r\na=candidate:1 1 udp 5 host.example 9 typ host\r\na=candidate:1 1 tcp 5 127.0.0.1 9 typ host tcptype passive\r\n", 204},
		{`"x", ` + c.etag, fragmentType, rest, 204},
		{"*", fragmentType, rest, 204},
		{c.etag, fragmentType, "a=end-of-candidates\r\n", 204},
	} {
		h := []string{"If-Match", x.tag}
		if x.tag == "" {
			h = nil
		}
		res, body := c.do("PATCH", c.location, x.kind, x.fragment, h...)
		require.Equal(t, x.status, res.StatusCode, "%+v: %s", x, body)
		require.Empty(t, res.Header.Get("ETag"))
	}
	c.stands()
	c.hears()
}

// TestRestart: an ICE restart keeps the session and the leg.
func TestRestart(t *testing.T) {
	r := newRig(t, nil)
	_, ep := r.open(echo, both)
	c := newClient(t, clientConfig{})
	c.connect(ep.url)
	c.hears()
	for range 3 {
		old := c.restart()
		c.stands()
		c.hears()
		res, _ := c.patch(old, "a=end-of-candidates\r\n")
		require.Equal(t, 412, res.StatusCode)
		res, _ = c.patch(c.etag, "a=end-of-candidates\r\n")
		require.Equal(t, 204, res.StatusCode)
	}
	require.EqualValues(t, 1, ep.Stats().Connections)
	require.Empty(t, r.ends)
	res, _ := c.do("DELETE", c.location, "", "", "If-Match", `"ignored"`)
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, ended{ep.url, nil}, r.end())
}

// TestRestartAfterLoss: a client that lost its network restarts ICE on another.
func TestRestartAfterLoss(t *testing.T) {
	r := newRig(t, nil)
	r.silentFor = time.Second
	var l told
	_, ep := r.open(echo, l.stream())
	c := newClient(t, clientConfig{})
	c.connect(ep.url)
	c.hears()
	c.gate.shut.Store(true)
	soon(t, "down", func() bool { return len(l.all()) == 2 })
	c.restart()
	c.gate.shut.Store(false)
	soon(t, "up", func() bool { return len(l.all()) == 3 })
	c.stands()
	c.hears()
	require.Empty(t, r.ends)
	require.EqualValues(t, 1, ep.Stats().Connections)
}

// TestNetworks: all ways to reach the server.
func TestNetworks(t *testing.T) {
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	tests := []struct {
		name   string
		server func(*Config)
		client clientConfig
		has    string
	}{
		{"TCP", func(c *Config) { c.TCP = loopback }, clientConfig{tcp: true}, "tcptype passive"},
		{"lite", func(c *Config) { c.Lite = true }, clientConfig{}, "a=ice-lite"},
		{"any address", func(c *Config) { c.UDP = netip.MustParseAddrPort("0.0.0.0:0") }, clientConfig{}, " 127.0.0.1 "},
		{"any address of both families", func(c *Config) { c.UDP = netip.MustParseAddrPort("[::]:0") }, clientConfig{ipv6: true}, ""},
		{"IPv4 by both families", func(c *Config) { c.UDP = netip.MustParseAddrPort("[::]:0") }, clientConfig{}, " 127.0.0.1 "},
		{"IPv6", func(c *Config) { c.UDP = netip.MustParseAddrPort("[::1]:0") }, clientConfig{ipv6: true}, " ::1 "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
				_ = l.Close()
			} else if test.client.ipv6 {
				t.Skip("no IPv6 here")
			}
			r := newRig(t, test.server)
			_, ep := r.open(echo, both)
			c := newClient(t, test.client)
			c.connect(ep.url)
			require.Contains(t, c.answer, test.has)
			require.NotContains(t, without(c.answer, "end-of-candidates"), " 2 udp ")
			c.hears()
			if !test.client.tcp {
				c.restart()
				c.stands()
				c.hears()
			}
		})
	}
}

// TestNAT: the server is behind an address that is not its own.
func TestNAT(t *testing.T) {
	for name, lite := range map[string]bool{"full": false, "lite": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Lite, c.Public = lite, []netip.Addr{netip.MustParseAddr("127.0.0.3")} })
			nat, err := proxy.Start(proxy.Config{Listen: fmt.Sprintf("127.0.0.3:%d", r.Addr().Port()), Target: r.Addr().String()})
			require.NoError(t, err)
			defer nat.Close()
			_, ep := r.open(echo, both)
			c := newClient(t, clientConfig{})
			c.connect(ep.url)
			require.Contains(t, c.answer, " 127.0.0.3 ")
			require.NotContains(t, c.answer, " 127.0.0.1 ")
			c.hears()
		})
	}
}

// TestGarbage: whatever comes to the port, peers go on.
func TestGarbage(t *testing.T) {
	r := newRig(t, func(c *Config) { c.TCP = netip.MustParseAddrPort("127.0.0.1:0") })
	_, ep := r.open(echo, both)
	c := newClient(t, clientConfig{})
	c.connect(ep.url)
	for _, network := range []string{"udp", "tcp"} {
		to := r.Addr().String()
		if network == "tcp" {
			to = r.tcp.(interface{ LocalAddr() net.Addr }).LocalAddr().String()
		}
		for i := range 200 {
			conn, err := net.Dial(network, to)
			require.NoError(t, err)
			b := make([]byte, i*7)
			_, _ = rand.Read(b)
			if len(b) > 20 {
				b[0] = []byte{0, 1, 22, 128, 200}[i%5] // STUN, DTLS, SRTP, SRTCP
				copy(b[4:], []byte{0x21, 0x12, 0xa4, 0x42})
			}
			_, _ = conn.Write(b)
			_ = conn.Close()
		}
	}
	// Packets of the client's own address that are not what they say.
	for range 100 {
		b := make([]byte, 60)
		_, _ = rand.Read(b)
		b[0] = 0x80
		_, _ = c.gate.PacketConn.WriteTo(b, net.UDPAddrFromAddrPort(r.Addr()))
		b[0] = 22
		_, _ = c.gate.PacketConn.WriteTo(b, net.UDPAddrFromAddrPort(r.Addr()))
	}
	c.hears()
	require.Empty(t, r.ends)
}

// TestReadFragment reads what RFC 9725 shows, and more.
func TestReadFragment(t *testing.T) {
	f, err := readFragment("a=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n" +
		"a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n" +
		"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\na=end-of-candidates\r\n")
	require.NoError(t, err)
	one := side{
		mid: "0", ufrag: "ysXw", password: "vw5LmwG4y/e6dPP/zAP9Gp5k", last: true,
		candidates: []string{"1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1"},
	}
	require.Equal(t, []side{one}, f.lines)
	require.Equal(t, "1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 network-id 1", withoutUfrag(one.candidates[0]))
	require.True(t, usable(one.candidates[0]))
	for _, no := range []string{
		"1 2 udp 1 192.0.2.1 9 typ host", "1 1 udp 1 x.local 9 typ host", "1 1 udp 1 host.example 9 typ host", "1 1 udp 1 224.0.0.1 9 typ host",
		"1 1 udp 1 0.0.0.0 9 typ host", "1 1 udp 1 192.0.2.1 0 typ host", "1 1 tcp 1 192.0.2.1 9 typ host tcptype passive", "1 1 sctp 1 192.0.2.1 9 typ host",
	} {
		require.NoError(t, checkCandidate(no))
		require.False(t, usable(no), no)
	}
	require.True(t, usable("1 1 tcp 1 192.0.2.1 9 typ host tcptype active"))

	// Lines that were rejected may have transports of their own, which are
	// nobody's business.
	o, err := readOffer(browser, defaultCodecs())
	require.NoError(t, err)
	password := strings.Repeat("p", 22)
	f, err = readFragment("m=video 9 x 1\na=ice-ufrag:vvvv\na=ice-pwd:" + password + "\na=mid:1\nm=audio 9 x 1\na=ice-ufrag:aaaa\na=ice-pwd:" + password + "\na=mid:0\n")
	require.NoError(t, err)
	s, err := f.of(o)
	require.NoError(t, err)
	require.Equal(t, side{ufrag: "aaaa", password: password}, s)
	f, err = readFragment("m=video 9 x 1\na=mid:1\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\n")
	require.NoError(t, err)
	s, err = f.of(o)
	require.NoError(t, err)
	require.Equal(t, side{}, s)
	// The line of a bundle stands for all.
	o, err = readOffer(bundleOnly, defaultCodecs())
	require.NoError(t, err)
	s, err = f.of(o)
	require.NoError(t, err)
	require.Len(t, s.candidates, 1)
}

// TestRestartRefused: what is refused leaves the session as it was.
func TestRestartRefused(t *testing.T) {
	r := newRig(t, nil)
	_, ep := r.open(echo, both)
	c := newClient(t, clientConfig{})
	c.connect(ep.url)
	other := "a=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:" + strings.Repeat("b", 22) + "\r\n"
	for tag, status := range map[string]int{"": 428, `"no"`: 412} {
		res, _ := c.patch(tag, other)
		require.Equal(t, status, res.StatusCode)
	}
	c.hears()
	_, two := r.open(engine.LegConfig{}, both)
	d := newClient(t, clientConfig{})
	d.connect(two.url)
	require.NotEqual(t, c.etag, d.etag)
}
