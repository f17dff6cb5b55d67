package rtc

import (
	"strings"
	"testing"

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

// bundleOnly is an offer whose audio has no transport but that of the video
// before it (RTCPeerConnection's bundlePolicy max-bundle).
var bundleOnly = strings.NewReplacer("m=audio 9", "m=audio 0", "BUNDLE 0 1 2", "BUNDLE 1 0").Replace(part(1, 0)) + "a=bundle-only\r\n"

// tooMany is an offer with so many lines of video before the audio.
func tooMany(n int) string {
	all := strings.Split(browser, "m=")
	text := all[0]
	for range n {
		text += "m=" + strings.ReplaceAll(all[2], "a=mid:1", "a=mid:v")
	}
	return text + "m=" + all[1]
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
			require.Regexp(t, "a=group:BUNDLE (. )?"+is+"\r\n", answer)
		} else if strings.HasPrefix(answer[strings.Index(answer, "BUNDLE ")+7:], is+" ") { // it lends its transport
			_, ok := m.Attribute("inactive")
			require.True(t, ok && m.MediaName.Port.Value != 0 && m.MediaName.Media == "video")
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
