package rtpio

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const head = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\n"

// audioWith is a description whose audio part, with a c= line, has the lines
// given besides.
func audioWith(m string, lines ...string) string {
	return head + "m=" + m + "\nc=IN IP4 192.0.2.1\n" + strings.Join(lines, "\n") + "\n"
}

func connectedTo(c string) string { return head + "m=audio 4000 RTP/AVP 0\nc=" + c + "\n" }

func requireSDPError(t *testing.T, err error, field, value, want string, unacceptable bool) {
	t.Helper()
	var e *SDPError
	require.ErrorAs(t, err, &e)
	require.Equal(t, field, e.Field, "%v", err)
	require.Equal(t, value, e.Value, "%v", err)
	require.Contains(t, e.Want, want)
	require.Equal(t, unacceptable, e.NotAcceptable(), "%v", err)
}

const bad, no = false, true // malformed, not acceptable

var (
	manyStreams = strings.Repeat("m=video 0 RTP/AVP 96\n", maxStreams+1)
	manyFormats = strings.Repeat(" 0", maxFormats+1)
)

var refusals = []struct {
	name, sdp          string
	field, value, want string
	unacceptable       bool
}{
	{"nothing", "", "v=", "", "0, in the first line", bad},
	{"another language", "<html>\n", "line 1", "<html>", "a type of RFC 8866", bad},
	{"an unknown type", head + "x=1\n", "line 5", "x=1", "a type of RFC 8866", bad},
	{"no version", head[4:], "o=", "- 1 1 IN IP4 192.0.2.1", "after v=", bad},
	{"version", "v=1\n", "v=", "1", "0", bad},
	{"no origin", "v=0\ns=-\n", "s=", "-", "after o=", bad},
	{"origin", "v=0\no=- x 1 IN IP4 192.0.2.1\ns=-\n", "o=", "- x 1 IN IP4 192.0.2.1", "session id", bad},
	{"no name", "v=0\no=- 1 1 IN IP4 192.0.2.1\nt=0 0\n", "t=", "0 0", "after s=", bad},
	{"no time", strings.TrimSuffix(head, "t=0 0\n"), "t=", "", "two times", bad},
	{"no time before m=", strings.TrimSuffix(head, "t=0 0\n") + "m=audio 4000 RTP/AVP 0\n", "m=", "audio 4000 RTP/AVP 0", "after t=", bad},
	{"time", strings.Replace(head, "t=0 0", "t=now", 1), "t=", "now", "two times", bad},
	{"CR within", head + "a=x\ry\n", "line 5", "a=x?y", "neither CR", bad},
	{"NUL", head + "a=x\x00y\n", "line 5", "a=x?y", "nor NUL", bad},

	{"no streams", head, "m=", "", "audio", no},
	{"no audio", head + "m=video 4000 RTP/AVP 96\nc=IN IP4 192.0.2.1\n", "m=", "video", "audio", no},
	{"short m=", head + "m=audio 4000 RTP/AVP\n", "m=", "audio 4000 RTP/AVP", "formats", bad},
	{"port", head + "m=audio x RTP/AVP 0\n", "m=", "audio x RTP/AVP 0", "a port", bad},
	{"port too high", head + "m=audio 65536 RTP/AVP 0\n", "m=", "audio 65536 RTP/AVP 0", "a port", bad},
	{"negative port", head + "m=video -1 RTP/AVP 0\n", "m=", "video -1 RTP/AVP 0", "a port", bad},
	{"unprintable", head + "m=vid\x01eo 1 RTP/AVP 0\n", "m=", "vid?eo 1 RTP/AVP 0", "printed", bad},
	{"refused", audioWith("audio 0 RTP/AVP 0"), "m=", "audio 0 RTP/AVP 0", "0 refuses", no},
	{"several ports", audioWith("audio 49170/2 RTP/AVP 0"), "m=", "audio 49170/2 RTP/AVP 0", "one port", no},
	{"ports of no number", audioWith("audio 49170/x RTP/AVP 0"), "m=", "audio 49170/x RTP/AVP 0", "one port", no},
	{"SRTP", audioWith("audio 4000 RTP/SAVP 0"), "m=", "audio 4000 RTP/SAVP 0", "nothing is encrypted", no},
	{"DTLS", audioWith("audio 4000 UDP/TLS/RTP/SAVPF 0"), "m=", "audio 4000 UDP/TLS/RTP/SAVPF 0", "nothing is encrypted", no},
	{"TCP", audioWith("audio 4000 TCP/RTP/AVP 0"), "m=", "audio 4000 TCP/RTP/AVP 0", "RTP/AVP", no},
	{"format", audioWith("audio 4000 RTP/AVP opus"), "m=", "audio 4000 RTP/AVP opus", "payload types", bad},
	{"format too high", audioWith("audio 4000 RTP/AVP 128"), "m=", "audio 4000 RTP/AVP 128", "payload types", bad},
	{"formats", audioWith("audio 4000 RTP/AVP" + manyFormats), "m=", "audio 4000 RTP/AVP" + manyFormats[:43] + "...", "at most 128", bad},
	{"streams", head + manyStreams, "m=", "video 0 RTP/AVP 96", "at most 128", bad},

	{"no address", head + "m=audio 4000 RTP/AVP 0\n", "c=", "", "an address", bad},
	{"no address in c=", connectedTo("IN IP4"), "c=", "IN IP4", "address", bad},
	{"network", connectedTo("ATM NSAP 47"), "c=", "ATM NSAP 47", "IN", bad},
	{"address type", connectedTo("IN IP5 192.0.2.1"), "c=", "IN IP5 192.0.2.1", "IP4 or IP6", bad},
	{"a name", connectedTo("IN IP4 phone.example.com"), "c=", "IN IP4 phone.example.com", "names are not looked up", no},
	{"type of another", connectedTo("IN IP4 2001:db8::1"), "c=", "IN IP4 2001:db8::1", "of the type", bad},
	{"type of another, IPv6", connectedTo("IN IP6 192.0.2.1"), "c=", "IN IP6 192.0.2.1", "of the type", bad},
	{"zone", connectedTo("IN IP6 fe80::1%eth0"), "c=", "IN IP6 fe80::1%eth0", "of the type", bad},
	{"multicast", connectedTo("IN IP4 224.2.1.1/127"), "c=", "IN IP4 224.2.1.1/127", "one host", no},
	{"multicast, IPv6", connectedTo("IN IP6 ff15::101"), "c=", "IN IP6 ff15::101", "one host", no},
	{"multicast in disguise", connectedTo("IN IP6 ::ffff:224.2.1.1"), "c=", "IN IP6 ::ffff:224.2.1.1", "one host", no},
	{"broadcast", connectedTo("IN IP4 255.255.255.255"), "c=", "IN IP4 255.255.255.255", "one host", no},
	{"TTL", connectedTo("IN IP4 192.0.2.1/127"), "c=", "IN IP4 192.0.2.1/127", "no TTL", bad},

	{"rtpmap of what", audioWith("audio 4000 RTP/AVP 0", "a=rtpmap:x PCMU/8000"), "a=rtpmap", "x PCMU/8000", "a payload type", bad},
	{"rtpmap", audioWith("audio 4000 RTP/AVP 96", "a=rtpmap:96 opus"), "a=rtpmap:96", "opus", "clock rate", bad},
	{"rtpmap without", audioWith("audio 4000 RTP/AVP 96", "a=rtpmap:96"), "a=rtpmap:96", "", "clock rate", bad},
	{"no name", audioWith("audio 4000 RTP/AVP 96", "a=rtpmap:96 /8000"), "a=rtpmap:96", "/8000", "name", bad},
	{"clock", audioWith("audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/0"), "a=rtpmap:96", "opus/0", "clock rate", bad},
	{"channels", audioWith("audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/x"), "a=rtpmap:96", "opus/48000/x", "channels", bad},
	{"more", audioWith("audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2/2"), "a=rtpmap:96", "opus/48000/2/2", "channels", bad},
	{"rtcp", audioWith("audio 4000 RTP/AVP 0", "a=rtcp:x"), "a=rtcp", "x", "a port", bad},
	{"rtcp without", audioWith("audio 4000 RTP/AVP 0", "a=rtcp"), "a=rtcp", "", "a port", bad},
	{"rtcp's network", audioWith("audio 4000 RTP/AVP 0", "a=rtcp:4001 ATM NSAP 47"), "a=rtcp", "4001 ATM NSAP 47", "IN", bad},
	{"rtcp's name", audioWith("audio 4000 RTP/AVP 0", "a=rtcp:4001 IN IP4 a.example"), "a=rtcp", "4001 IN IP4 a.example", "names", no},
	{"rtcp's multicast", audioWith("audio 4000 RTP/AVP 0", "a=rtcp:4001 IN IP4 224.2.1.1"), "a=rtcp", "4001 IN IP4 224.2.1.1", "one host", no},
}

func TestRefusals(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			r, err := parseSDP([]byte(c.sdp))
			require.Nil(t, r)
			requireSDPError(t, err, c.field, c.value, c.want, c.unacceptable)
		})
	}
}

func TestTooLong(t *testing.T) {
	b := []byte(audioWith("audio 4000 RTP/AVP 0"))
	fill := make([]byte, MaxSDP-len(b))
	for i := range fill {
		fill[i] = '\n'
	}
	_, err := parseSDP(append(b, fill...))
	require.NoError(t, err)
	_, err = parseSDP(append(b, append(fill, '\n')...))
	requireSDPError(t, err, "SDP", "65537 bytes", "at most 65536", false)
}

func TestErrorIsFitForALog(t *testing.T) {
	_, err := parseSDP([]byte("v=0\no=\x1b[31m" + strings.Repeat("é", 100) + "\n"))
	var e *SDPError
	require.ErrorAs(t, err, &e)
	require.Len(t, e.Value, 64)
	require.Equal(t, "?[31m"+strings.Repeat("?", 56)+"...", e.Value)
	require.Equal(t, `rtpio: SDP o= "`+e.Value+`": want `+e.Want, err.Error())
}

// parsed returns the audio of a description.
func parsed(t *testing.T, s string) media {
	t.Helper()
	r, err := parseSDP([]byte(s))
	require.NoError(t, err)
	for _, s := range r.streams {
		if s.audio != nil {
			return *s.audio
		}
	}
	t.Fatal("no audio")
	return media{}
}

func TestMedia(t *testing.T) {
	m := parsed(t, head+"a=recvonly\nm=audio 4000/1 RTP/AVP 0 96 0 35\nc=IN IP6 ::ffff:192.0.2.1\n"+
		"a=rtpmap:96 L16/16000/1\na=rtpmap:96 opus/48000/2\na=fmtp:96  a=b; c \na=ptime:2.5\na=rtpmap:99 x/1\n")
	require.Equal(t, "192.0.2.1:4000", m.addr.String())
	require.Equal(t, "192.0.2.1:4001", m.rtcp.String())
	require.Equal(t, []format{
		{pt: 0, name: "PCMU", clock: 8000, channels: 1},
		{pt: 96, name: "L16", clock: 16000, channels: 1, fmtp: "a=b; c"},
		{pt: 35},
	}, m.formats)
	require.Equal(t, 3, m.ptime)
	require.Equal(t, recvonly, m.dir)
	require.False(t, m.hold)
	require.False(t, m.mux)
}

func TestWhatIsTolerated(t *testing.T) {
	for name, s := range map[string]string{
		"CRLF":                   strings.ReplaceAll(audioWith("audio 4000 RTP/AVP 0"), "\n", "\r\n"),
		"no end of line":         strings.TrimSpace(audioWith("audio 4000 RTP/AVP 0")),
		"no end after a time":    strings.TrimSpace(audioWith("audio 4000 RTP/AVP 0", "a=ptime:0")),
		"blank lines":            "\n\n" + strings.ReplaceAll(audioWith("audio 4000 RTP/AVP 0"), "\n", "\n\n"),
		"trailing blanks":        strings.ReplaceAll(audioWith("audio 4000 RTP/AVP 0"), "\n", " \n"),
		"no name":                strings.Replace(audioWith("audio 4000 RTP/AVP 0"), "s=-", "s=", 1),
		"a named origin":         strings.Replace(audioWith("audio 4000 RTP/AVP 0"), "192.0.2.1\ns", "a.example\ns", 1),
		"a long session id":      strings.Replace(audioWith("audio 4000 RTP/AVP 0"), "1 1", "99999999999999999999999 1", 1),
		"bandwidth of any kind":  audioWith("audio 4000 RTP/AVP 0", "b=NEW:64", "b=RS:0"),
		"lines that say nothing": strings.Replace(audioWith("audio 4000 RTP/AVP 0"), "t=0", "i=x\nu=:\ne=x\np=x\nb=x\nt=0", 1),
		"other streams":          audioWith("audio 4000 RTP/AVP 0", "m=hologram 1 X/Y z", "c=? ? ?", "a=rtpmap:?", "t=?"),
		"odd hints":              audioWith("audio 4000 RTP/AVP 0", "a=ptime:NaN", "a=fmtp:* x", "a=fmtp:", "a=:", "a="),
		"attributes of others":   audioWith("audio 4000 RTP/AVP 0", "a=ice-ufrag:x", "a=crypto:1 x", "a=group:BUNDLE 0", "a=candidate:x"),
	} {
		t.Run(name, func(t *testing.T) {
			m := parsed(t, s)
			require.Equal(t, "192.0.2.1:4000", m.addr.String())
			require.Equal(t, "PCMU", m.formats[0].name)
			require.Equal(t, sendrecv, m.dir)
			require.Zero(t, m.ptime)
		})
	}
}

func TestWhereRTCPGoes(t *testing.T) {
	for _, c := range []struct{ m, attribute, want string }{
		{"audio 4000 RTP/AVP 0", "", "192.0.2.1:4001"},
		{"audio 4001 RTP/AVP 0", "", "192.0.2.1:4002"},
		{"audio 65535 RTP/AVP 0", "", ""},
		{"audio 65535 RTP/AVP 0", "a=rtcp:9000", "192.0.2.1:9000"},
		{"audio 4000 RTP/AVP 0", "a=rtcp:9000 IN IP4 192.0.2.2", "192.0.2.2:9000"},
		{"audio 4000 RTP/AVP 0", "a=rtcp:9000 IN IP6 2001:db8::1", ""},
		{"audio 4000 RTP/AVP 0", "a=rtcp:9 IN IP4 0.0.0.0", ""},
		{"audio 4000 RTP/AVP 0", "a=rtcp:0", ""},
	} {
		t.Run(fmt.Sprint(c.m, c.attribute), func(t *testing.T) {
			require.Equal(t, c.want, addrText(parsed(t, audioWith(c.m, c.attribute)).rtcp))
		})
	}
}

func addrText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
