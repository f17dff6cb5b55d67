package rtpio

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mixminus/mixminus/codec"
)

// A description goes through the sdp files in this order:
//
//	sdp.go       the words
//	sdpparse.go  bytes to m= lines
//	sdpmedia.go  the part of an audio line to media
//	sdpoffer.go  two sides to what they agree on, and to bytes
//
// None of them does any I/O: what is given is never looked up, dialled or kept.

// MaxSDP is how many bytes a description may have. It is what fits a UDP
// datagram, in which SIP sends it.
const MaxSDP = 64 << 10

const (
	maxStreams = 128 // m= lines
	maxFormats = 128 // formats of one of them: there are no more numbers
	maxValue   = 64  // bytes of what an error quotes
)

// SDPError says what of a description is wrong.
type SDPError struct {
	// Field is where: "m=", "c=", "a=rtpmap:96", "line 3".
	Field string
	// Value is what stands there, shortened to 64 bytes, the ones that cannot
	// be printed as '?'.
	Value string
	// Want is what should.
	Want string

	unacceptable bool
}

func (e *SDPError) Error() string {
	return fmt.Sprintf("rtpio: SDP %s %q: want %s", e.Field, e.Value, e.Want)
}

// NotAcceptable reports whether the description is well formed, but asks for
// what is not had here: no audio, no codec in common, encryption only. That is
// 488 in SIP and 406 in HTTP; what is not well formed is 400 in both.
func (e *SDPError) NotAcceptable() bool { return e.unacceptable }

func malformed(field, value, want string) *SDPError {
	return &SDPError{Field: field, Value: shorten(value), Want: want}
}

func unacceptable(field, value, want string) *SDPError {
	return &SDPError{Field: field, Value: shorten(value), Want: want, unacceptable: true}
}

// shorten makes s, which a stranger wrote, fit for a log.
func shorten(s string) string {
	cut := len(s) > maxValue
	if cut {
		s = s[:maxValue-len("...")]
	}
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	if cut {
		b = append(b, "..."...)
	}
	return string(b)
}

// media is what one side of a session tells of its audio: where it takes RTP,
// and what.
type media struct {
	// addr is where RTP goes; its port is never 0. The address of a side that
	// holds is unspecified.
	addr netip.AddrPort
	// rtcp is where RTCP goes, unless both sides mux: what a=rtcp tells (RFC
	// 3605), or one port above RTP. It is not valid if that is nowhere.
	rtcp    netip.AddrPort
	mux     bool     // a=rtcp-mux (RFC 5761)
	formats []format // in order of preference, those that nobody knows too
	ptime   int      // ms, 0: not told
	dir     direction
	// hold is how phones held before RFC 3264 (section 8.4): nothing is to be
	// sent to them, RTCP neither.
	hold bool
}

// flow is the direction of audio, from the media's side, with all told.
func (m *media) flow() direction {
	if m.hold {
		return m.dir &^ recvonly
	}
	return m.dir
}

// direction of a stream, seen from the side that tells it (RFC 8866, section
// 6.7).
type direction uint8

const (
	inactive direction = 0
	sendonly direction = 1
	recvonly direction = 2
	sendrecv           = sendonly | recvonly
)

var directions = map[string]direction{
	"inactive": inactive, "sendonly": sendonly, "recvonly": recvonly, "sendrecv": sendrecv,
}

func (d direction) sends() bool    { return d&sendonly != 0 }
func (d direction) receives() bool { return d&recvonly != 0 }

// reverse is d, seen from the other side (RFC 3264, section 6.1).
func (d direction) reverse() direction { return d>>1 | d<<1&recvonly }

func (d direction) String() string {
	return [...]string{"inactive", "sendonly", "recvonly", "sendrecv"}[d&sendrecv]
}

// format is one that a stream may carry.
type format struct {
	pt       uint8
	name     string // encoding name; empty if nothing is told of pt
	clock    int    // Hz
	channels int
	fmtp     string
}

// is reports whether f is what an rtpmap calls name. Channels are 1 where none
// are named (RFC 8866, section 6.6).
func (f format) is(name string, clock, channels int) bool {
	return f.clock == clock && max(f.channels, 1) == max(channels, 1) && strings.EqualFold(f.name, name)
}

func (f format) isCodec(c codec.Codec) bool { return f.is(c.Name, c.ClockRate, c.Channels) }

// rtpmap is what an rtpmap says after the number.
func (f format) rtpmap() string {
	s := f.name + "/" + strconv.Itoa(f.clock)
	if f.channels > 1 {
		s += "/" + strconv.Itoa(f.channels)
	}
	return s
}

// switchedOn reports whether fmtp sets parameter to 1: "minptime=10;useinbandfec=1".
func (f format) switchedOn(parameter string) bool {
	for p := range strings.SplitSeq(f.fmtp, ";") {
		key, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(key), parameter) {
			return strings.TrimSpace(value) == "1"
		}
	}
	return false
}

// local says what we offer or answer with.
type local struct {
	// addr is where we take RTP, as the peer is to be told. We take RTCP one
	// port above, unless mux is agreed on.
	addr   netip.AddrPort
	codecs []codec.Codec // in our order of preference, at least one
	mux    bool          // we can take RTCP at addr too
	// sessionID and version of the o= line: the version goes up by 1 with every
	// description of the session that is not the same (RFC 3264, section 8).
	sessionID, version uint64
	name               string // of the session; empty: "-"
}

// agreed is what both sides settled on, seen from us.
type agreed struct {
	codec       codec.Codec
	payloadType uint8 // that we receive
	sendType    uint8 // that we send: the peer's number
	// eventType and sendEventType of telephone events (RFC 4733), 0: none; and
	// their clock, in Hz. On another clock than the codec's none are sent.
	eventType, sendEventType uint8
	eventClock               int
	// noiseType of comfort noise that we receive, on the codec's clock (RFC
	// 3389); 0: none.
	noiseType uint8
	// remote and remoteRTCP are where we send. They are not valid if that is
	// nowhere, because the peer holds.
	remote, remoteRTCP netip.AddrPort
	mux                bool // RTCP comes to where RTP comes to
	send, recv         bool
	// fec and dtx: the peer takes forward error correction of opus, and wishes
	// for silence to be left out (RFC 7587, section 6.1).
	fec, dtx bool
}
