package rtpio

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/codec"
	"github.com/stretchr/testify/require"
)

const (
	opusMap = "opus/48000/2"
	l16Map  = "L16/16000"
)

// deal is agreed in short: what can be compared.
type deal struct {
	codec                    string // rtpmap
	payloadType, sendType    uint8
	eventType, sendEventType uint8
	noiseType                uint8
	remote, remoteRTCP       string // empty: nowhere
	mux, send, recv          bool
	fec, dtx                 bool
}

func dealOf(a agreed) deal {
	return deal{
		codec: a.codec.RTPMap(), payloadType: a.payloadType, sendType: a.sendType,
		eventType: a.eventType, sendEventType: a.sendEventType, noiseType: a.noiseType,
		remote: addrText(a.remote), remoteRTCP: addrText(a.remoteRTCP),
		mux: a.mux, send: a.send, recv: a.recv, fec: a.fec, dtx: a.dtx,
	}
}

// symmetric is a deal in both directions, with the numbers of the offer.
func symmetric(rtpmap string, pt, event uint8, remote, rtcp string) deal {
	return deal{
		codec: rtpmap, payloadType: pt, sendType: pt, eventType: event, sendEventType: event,
		remote: remote, remoteRTCP: rtcp, mux: remote == rtcp, send: true, recv: true,
	}
}

func (d deal) noise(pt uint8) deal { d.noiseType = pt; return d }

// hears is a deal in which events come, on the number pt, and are not sent.
func (d deal) hears(pt uint8) deal { d.eventType, d.sendEventType = pt, 0; return d }
func (d deal) withFEC() deal       { d.fec = true; return d }
func (d deal) withDTX() deal       { d.dtx = true; return d }

func (d deal) flow(send, recv bool) deal {
	d.send, d.recv = send, recv
	return d
}

// ours is a local that can do everything.
func ours() local {
	return local{
		addr: netip.MustParseAddrPort("203.0.113.1:40000"), codecs: codec.All(), mux: true,
		sessionID: 1234567890, version: 7,
	}
}

func ours6() local {
	l := ours()
	l.addr = netip.MustParseAddrPort("[2001:db8::1]:40000")
	return l
}

func answered(t *testing.T, offer string, l local) (agreed, string) {
	t.Helper()
	r, err := parseSDP([]byte(offer))
	require.NoError(t, err)
	a, answer, err := answerTo(r, l)
	require.NoError(t, err)
	return a, string(answer)
}

func only(t testing.TB, names ...string) []codec.Codec {
	t.Helper()
	var out []codec.Codec
	for _, n := range names {
		for _, c := range codec.All() {
			if c.Name == n {
				out = append(out, c)
			}
		}
	}
	require.Len(t, out, len(names))
	return out
}

func TestOffer(t *testing.T) {
	l := ours()
	l.codecs, l.name = only(t, "opus", "L16", "G722", "PCMU", "PCMA"), "call\r\na=x"
	require.Equal(t, strings.ReplaceAll(`v=0
o=- 1234567890 7 IN IP4 203.0.113.1
s=calla=x
c=IN IP4 203.0.113.1
t=0 0
m=audio 40000 RTP/AVP 96 97 9 0 8 13 103 102 101
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1
a=rtpmap:97 L16/16000
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:103 telephone-event/48000
a=fmtp:103 0-15
a=rtpmap:102 telephone-event/16000
a=fmtp:102 0-15
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
a=rtcp-mux
`, "\n", "\r\n"), string(offerOf(l)))
}

func TestOfferOfOneCodec(t *testing.T) {
	l := ours6()
	l.codecs, l.mux = only(t, "L16"), false
	offer := string(offerOf(l))
	require.Contains(t, offer, "c=IN IP6 2001:db8::1\r\n")
	require.Contains(t, offer, "m=audio 40000 RTP/AVP 97 102\r\n")
	require.NotContains(t, offer, "CN")
	require.NotContains(t, offer, "rtcp-mux")
}

func TestOfferOfACodecWithoutANumber(t *testing.T) {
	l := ours()
	l.codecs = append(only(t, "PCMU"), codec.Codec{Name: "new", PayloadType: codec.Dynamic, ClockRate: 90000})
	require.Contains(t, string(offerOf(l)), "a=rtpmap:105 new/90000\r\n")
}

// TestBetweenUs has each side offer to the other, with all that may differ.
func TestBetweenUs(t *testing.T) {
	all := []string{"opus", "L16", "G722", "PCMU", "PCMA"}
	for _, name := range all {
		for _, muxes := range [][2]bool{{true, true}, {true, false}, {false, true}, {false, false}} {
			caller, callee := ours(), ours()
			callee.addr = netip.MustParseAddrPort("192.0.2.9:30000")
			caller.codecs, callee.codecs = only(t, all...), only(t, name)
			caller.mux, callee.mux = muxes[0], muxes[1]
			a, answer := answered(t, string(offerOf(caller)), callee)
			r, err := parseSDP([]byte(answer))
			require.NoError(t, err)
			b, err := settle(caller, r)
			require.NoError(t, err)

			want := dealOf(a)
			require.Equal(t, name, a.codec.Name)
			require.NotZero(t, a.eventType)
			require.Equal(t, a.codec.ClockRate == 8000, a.noiseType == 13)
			require.Equal(t, muxes[0] && muxes[1], a.mux)
			require.Equal(t, name == "opus", a.fec)
			require.Equal(t, caller.addr, a.remote)
			want.remote, want.remoteRTCP = "192.0.2.9:30000", "192.0.2.9:30001"
			if a.mux {
				want.remoteRTCP = want.remote
			}
			require.Equal(t, want, dealOf(b))
		}
	}
}

func TestOrderIsTheOfferers(t *testing.T) {
	l := ours()
	l.codecs = only(t, "opus", "PCMA", "PCMU")
	a, answer := answered(t, audioWith("audio 4000 RTP/AVP 101 9 0 8 96 13", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:96 opus/48000/2"), l)
	require.Equal(t, symmetric("PCMU/8000", 0, 101, "192.0.2.1:4000", "192.0.2.1:4001").noise(13), dealOf(a))
	require.Contains(t, answer, "m=audio 40000 RTP/AVP 0 13 101\r\n")
}

func TestEventsRunOnTheClockOfTheCodec(t *testing.T) {
	events := []string{"a=rtpmap:96 opus/48000/2", "a=rtpmap:97 l16/16000/1", "a=rtpmap:98 Telephone-Event/48000/1",
		"a=rtpmap:99 telephone-event/16000", "a=rtpmap:100 telephone-event/8000", "a=rtpmap:104 CN/16000"}
	for _, c := range []struct {
		formats                 string
		pt, event, sent, noises uint8
	}{
		{"96 97 9 98 99 100 104", 96, 98, 98, 0},
		{"97 9 98 99 100 104 13", 97, 99, 99, 104},
		{"9 98 99 100 104 13", 9, 100, 100, 13},
		{"0 98 99 100", 0, 100, 100, 0},
		{"96 100 13", 96, 100, 0, 0}, // none on 48000 Hz: such are only heard
		{"97 100 13", 97, 100, 0, 0},
		{"96 99", 96, 0, 0, 0},
		{"8 98", 8, 0, 0, 0},
	} {
		a, answer := answered(t, audioWith("audio 4000 RTP/AVP "+c.formats, events...), ours())
		require.Equal(t, []uint8{c.pt, c.event, c.sent, c.noises}, []uint8{a.payloadType, a.eventType, a.sendEventType, a.noiseType}, c.formats)
		require.Equal(t, c.event != 0, strings.Contains(answer, "telephone-event"))
	}
}

func TestCodecsThatAreNotOurs(t *testing.T) {
	for _, rtpmap := range []string{"L16/16000/2", "L16/8000", "opus/48000", "G722/16000", "PCMU/16000", "speex/8000"} {
		r, err := parseSDP([]byte(audioWith("audio 4000 RTP/AVP 96 101", "a=rtpmap:96 "+rtpmap, "a=rtpmap:101 telephone-event/8000")))
		require.NoError(t, err)
		_, _, err = answerTo(r, ours())
		requireSDPError(t, err, "m=", rtpmap, "one of PCMU/8000 PCMA/8000 G722/8000 L16/16000 opus/48000/2", true)
	}
	// An rtpmap counts for more than the static meaning of a number.
	r, err := parseSDP([]byte(audioWith("audio 4000 RTP/AVP 0 18", "a=rtpmap:0 G729/8000")))
	require.NoError(t, err)
	_, _, err = answerTo(r, ours())
	requireSDPError(t, err, "m=", "G729/8000 18", "one of", true)
}

func TestOpusParameters(t *testing.T) {
	for fmtp, want := range map[string][2]bool{
		"":                              {false, false},
		"useinbandfec=1":                {true, false},
		"minptime=10; UseInbandFEC = 1": {true, false},
		"usedtx=1;useinbandfec=0":       {false, true},
		"useinbandfec=1;usedtx=1":       {true, true},
		"xuseinbandfec=1;usedtx":        {false, false},
	} {
		a, answer := answered(t, audioWith("audio 4000 RTP/AVP 111", "a=fmtp:111 "+fmtp, "a=rtpmap:111 opus/48000/2"), ours())
		require.Equal(t, want, [2]bool{a.fec, a.dtx}, fmtp)
		require.Contains(t, answer, "a=fmtp:111 useinbandfec=1\r\n")
	}
	a, _ := answered(t, audioWith("audio 4000 RTP/AVP 0", "a=fmtp:0 useinbandfec=1"), ours())
	require.False(t, a.fec)
}

func TestMux(t *testing.T) {
	for _, c := range []struct {
		formats, attribute string
		can, want          bool
	}{
		{"0", "a=rtcp-mux", true, true},
		{"0", "a=rtcp-mux", false, false},
		{"0", "a=x", true, false},
		{"72", "a=rtcp-mux", true, false}, // an RTP packet would pass for RTCP
	} {
		l := ours()
		l.mux = c.can
		a, answer := answered(t, audioWith("audio 4000 RTP/AVP "+c.formats, c.attribute, "a=rtpmap:72 PCMU/8000", "a=rtcp:5000"), l)
		require.Equal(t, c.want, a.mux)
		require.Equal(t, c.want, strings.Contains(answer, "rtcp-mux"))
		require.Equal(t, map[bool]string{true: "192.0.2.1:4000", false: "192.0.2.1:5000"}[c.want], a.remoteRTCP.String())
	}
}

func TestTimesAreRepeated(t *testing.T) {
	s := strings.Replace(audioWith("audio 4000 RTP/AVP 0"), "t=0 0", "t=1 2\nr=604800 3600 0\nt=3 4", 1)
	_, answer := answered(t, s, ours())
	require.Contains(t, answer, "t=1 2\r\nt=3 4\r\nm=")
}

func TestOtherFamily(t *testing.T) {
	for _, l := range []local{ours(), ours6()} {
		other, name := "IN IP6 2001:db8::9", "2001:db8::9"
		if l.addr.Addr().Is6() {
			other, name = "IN IP4 192.0.2.1", "192.0.2.1"
		}
		r, err := parseSDP([]byte(connectedTo(other)))
		require.NoError(t, err)
		_, _, err = answerTo(r, l)
		requireSDPError(t, err, "c=", name, "of the type of ours: IP", true)
		_, err = settle(l, r)
		requireSDPError(t, err, "c=", name, "of the type of ours: IP", true)
	}
	l := ours()
	l.addr = netip.MustParseAddrPort("[::ffff:203.0.113.1]:40000") // as dual sockets tell it
	_, answer := answered(t, connectedTo("IN IP4 192.0.2.1"), l)
	require.Contains(t, answer, "c=IN IP4 203.0.113.1\r\n")
}

func TestFirstStreamThatCanBe(t *testing.T) {
	s := strings.Replace(head, "t=", "c=IN IP4 192.0.2.1\nt=", 1) +
		"m=audio 4000 RTP/AVP 18\n" +
		"m=audio 4002 RTP/AVP 0\nc=IN IP4 phone.example.com\n" +
		"m=audio 4004 RTP/AVP 0\nc=IN IP6 2001:db8::9\n" +
		"m=audio 4006 RTP/AVP 0\n" +
		"m=audio 4008 RTP/AVP 0\n"
	a, answer := answered(t, s, ours())
	require.Equal(t, "192.0.2.1:4006", a.remote.String())
	require.Equal(t, 4, strings.Count(answer, "m=audio 0 RTP/AVP "))
	require.Equal(t, 1, strings.Count(answer, "m=audio 40000 RTP/AVP 0\r\n"))
	require.Contains(t, answer, "m=audio 0 RTP/AVP 18\r\n")
}

func TestSettle(t *testing.T) {
	// The answerer has numbers of its own (RFC 3264, section 6.1).
	r, err := parseSDP([]byte(audioWith("audio 4000 RTP/AVP 111 126 110", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 usedtx=1",
		"a=rtpmap:126 telephone-event/8000", "a=rtpmap:110 telephone-event/48000", "a=rtcp-mux", "a=recvonly")))
	require.NoError(t, err)
	a, err := settle(ours(), r)
	require.NoError(t, err)
	require.Equal(t, deal{
		codec: opusMap, payloadType: 96, sendType: 111, eventType: 103, sendEventType: 110,
		remote: "192.0.2.1:4000", remoteRTCP: "192.0.2.1:4000", mux: true, send: true, dtx: true,
	}, dealOf(a))
}

func TestSettleWithWhatWasNotOffered(t *testing.T) {
	r, err := parseSDP([]byte(audioWith("audio 4000 RTP/AVP 0", "a=rtpmap:0 L16/16000")))
	require.NoError(t, err)
	a, err := settle(ours(), r)
	require.NoError(t, err)
	require.Equal(t, [2]uint8{97, 0}, [2]uint8{a.payloadType, a.sendType})

	l := ours()
	l.codecs, l.mux = append(only(t, "L16"), codec.Codec{Name: "new", PayloadType: codec.Dynamic, ClockRate: 24000}), false
	for _, c := range []struct {
		name, answer string
		field, value string
		unacceptable bool
	}{
		{"codec", audioWith("audio 4000 RTP/AVP 0"), "m=", "PCMU/8000", true},
		{"nothing", audioWith("audio 4000 RTP/AVP 0", "m=video 0 RTP/AVP 96"), "m=", "2 of them", false},
	} {
		r, err := parseSDP([]byte(c.answer))
		require.NoError(t, err)
		_, err = settle(l, r)
		requireSDPError(t, err, c.field, c.value, "one", c.unacceptable)
	}
	r, err = parseSDP([]byte(audioWith("audio 4000 RTP/AVP 96 97 98", "a=rtpmap:96 new/24000", "a=rtpmap:97 telephone-event/24000",
		"a=rtpmap:98 CN/24000", "a=rtcp-mux")))
	require.NoError(t, err)
	a, err = settle(l, r)
	require.NoError(t, err)
	require.Equal(t, deal{
		codec: "new/24000", payloadType: 105, sendType: 96,
		remote: "192.0.2.1:4000", remoteRTCP: "192.0.2.1:4001", send: true, recv: true,
	}, dealOf(a))
}

func TestHold(t *testing.T) {
	for _, c := range []struct {
		connection, attribute string
		hold                  bool
		flow, answer          string
	}{
		{"IN IP4 192.0.2.1", "", false, "sendrecv", "sendrecv"},
		{"IN IP4 192.0.2.1", "a=sendonly", false, "sendonly", "recvonly"},
		{"IN IP4 192.0.2.1", "a=recvonly", false, "recvonly", "sendonly"},
		{"IN IP4 192.0.2.1", "a=inactive", false, "inactive", "inactive"},
		{"IN IP4 0.0.0.0", "", true, "sendonly", "recvonly"},
		{"IN IP6 ::", "a=sendonly", true, "sendonly", "recvonly"},
		{"IN IP4 0.0.0.0", "a=recvonly", true, "inactive", "inactive"},
		{"IN IP4 0.0.0.0", "a=inactive", true, "inactive", "inactive"},
	} {
		t.Run(c.connection+c.attribute, func(t *testing.T) {
			s := connectedTo(c.connection) + c.attribute + "\n"
			m := parsed(t, s)
			require.Equal(t, c.hold, m.hold)
			require.Equal(t, c.flow, m.flow().String())
			a, answer := answered(t, s, ours())
			require.Contains(t, answer, "a="+c.answer+"\r\n")
			require.Equal(t, m.flow().receives(), a.send)
			require.Equal(t, m.flow().sends(), a.recv)
			require.Equal(t, !c.hold, a.remote.IsValid())
			require.Equal(t, !c.hold, a.remoteRTCP.IsValid())
		})
	}
}
