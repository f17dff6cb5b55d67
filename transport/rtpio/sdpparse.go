package rtpio

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// remoteSDP is a description that the other side made.
type remoteSDP struct {
	// times are repeated in the answer (RFC 3264, section 6).
	times []sdp.TimeDescription
	// streams are all of its m= lines: an answer has as many, in their order.
	streams []mediaLine
}

// mediaLine is an m= line.
type mediaLine struct {
	kind   string // "audio"
	proto  string // "RTP/AVP"
	format string // the first, for an answer that refuses it
	// audio is nil if the stream cannot be carried: it is no audio, or there is
	// a reason.
	audio *media
	why   *SDPError
}

// textLine is a line of a description.
type textLine struct {
	key   byte
	value string
}

// types of lines (RFC 8866, section 5), and those of them that are read. The
// others say nothing to us, and sdp refuses values of them that it does not
// know, like those of b=, where they must be ignored (section 5.8).
const (
	lineTypes     = "vosiuepcbtrzkam"
	readLineTypes = "vosctam"
)

// lineWants says of these what they should be.
var lineWants = map[byte]string{
	'v': "0, in the first line",
	'o': "user, session id, version, IN, IP4 or IP6 and address, after v=",
	's': "a name, after o=",
	'c': "IN, IP4 or IP6 and address, after s= or m=",
	't': "two times, after s= and c=",
	'a': "an attribute, after t= or m=",
	'm': "audio, port, profile and formats, after t=",
}

// parseSDP reads a description. It fails if no stream of it can be carried;
// the error is an *SDPError.
func parseSDP(b []byte) (*remoteSDP, error) {
	if len(b) > MaxSDP {
		return nil, malformed("SDP", fmt.Sprintf("%d bytes", len(b)), fmt.Sprintf("at most %d", MaxSDP))
	}
	text, e := readLines(b)
	if e != nil {
		return nil, e
	}
	streams, text, e := readStreams(text)
	if e != nil {
		return nil, e
	}
	d, e := unmarshal(text)
	if e != nil {
		return nil, e
	}
	parts := d.MediaDescriptions
	for i := range streams {
		if s := &streams[i]; s.carried() {
			if e := s.read(d, parts[0]); e != nil {
				return nil, e
			}
			parts = parts[1:]
		}
	}
	if e := noAudio(streams); e != nil {
		return nil, e
	}
	return &remoteSDP{times: d.TimeDescriptions, streams: streams}, nil
}

// readLines splits b into lines. They should end with CRLF; LF is accepted
// (RFC 8866, section 5).
func readLines(b []byte) ([]textLine, *SDPError) {
	var text []textLine
	n := 0
	for s := range strings.SplitSeq(string(b), "\n") {
		n++
		s = strings.TrimSuffix(s, "\r")
		if strings.TrimSpace(s) == "" {
			continue
		}
		if len(s) < 2 || s[1] != '=' || strings.IndexByte(lineTypes, s[0]) < 0 {
			return nil, malformed(fmt.Sprintf("line %d", n), s, "a type of RFC 8866 and =")
		}
		if strings.ContainsAny(s, "\r\x00") {
			return nil, malformed(fmt.Sprintf("line %d", n), s, "neither CR nor NUL in it")
		}
		text = append(text, textLine{s[0], s[2:]})
	}
	return text, nil
}

// readStreams returns the m= lines, and the lines that are left to be read:
// those of the session, and of the streams that may be carried. What stands
// below other streams is their own affair: T.38, say, which sdp does not know.
func readStreams(text []textLine) (streams []mediaLine, left []textLine, _ *SDPError) {
	reading := true
	for _, l := range text {
		if l.key == 'm' {
			if len(streams) == maxStreams {
				return nil, nil, malformed("m=", l.value, fmt.Sprintf("at most %d of them", maxStreams))
			}
			fields := strings.Fields(l.value)
			s, e := readStream(l.value, fields)
			if e != nil {
				return nil, nil, e
			}
			streams = append(streams, s)
			reading = s.carried()
			l.value = strings.Join(fields, " ")
		}
		if reading && strings.IndexByte(readLineTypes, l.key) >= 0 {
			left = append(left, l)
		}
	}
	return streams, left, nil
}

// readStream reads an m= line (RFC 8866, section 5.14).
func readStream(value string, fields []string) (mediaLine, *SDPError) {
	const media, port, proto, first = 0, 1, 2, 3
	if len(fields) <= first {
		return mediaLine{}, malformed("m=", value, "media, port, profile and formats")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return (r < ' ' || r > '~') && r != '\t' }) {
		return mediaLine{}, malformed("m=", value, "what can be printed")
	}
	number, count, counted := strings.Cut(fields[port], "/")
	if _, err := strconv.ParseUint(number, 10, 16); err != nil {
		return mediaLine{}, malformed("m=", value, "a port from 0 to 65535")
	}
	s := mediaLine{kind: fields[media], proto: fields[proto], format: fields[first]}
	switch {
	case s.kind != "audio":
	case s.proto != "RTP/AVP" && s.proto != "RTP/AVPF":
		s.why = unacceptable("m=", value, "RTP/AVP: nothing is encrypted here")
	case strings.Trim(number, "0") == "":
		s.why = unacceptable("m=", value, "a port: 0 refuses the stream")
	case counted && count != "1":
		s.why = unacceptable("m=", value, "one port, not several")
	default:
		return s, checkFormats(value, fields[first:])
	}
	return s, nil
}

// checkFormats of RTP, which are payload types.
func checkFormats(value string, formats []string) *SDPError {
	if len(formats) > maxFormats {
		return malformed("m=", value, fmt.Sprintf("at most %d formats", maxFormats))
	}
	for _, f := range formats {
		if _, ok := payloadType(f); !ok {
			return malformed("m=", value, "payload types from 0 to 127")
		}
	}
	return nil
}

func payloadType(s string) (uint8, bool) {
	n, err := strconv.ParseUint(s, 10, 7)
	return uint8(n), err == nil
}

// carried reports whether s is audio, and nothing is known against it.
func (s *mediaLine) carried() bool { return s.kind == "audio" && s.why == nil }

// unmarshal reads the lines that readStreams left.
func unmarshal(text []textLine) (*sdp.SessionDescription, *SDPError) {
	d, err := unmarshalLines(text)
	if err != nil {
		// Where the fault is, err does not tell. It is in the line with which
		// the lines before it can no longer be read.
		i := sort.Search(len(text)-1, func(i int) bool {
			_, err := unmarshalLines(text[:i+1])
			return err != nil
		})
		return nil, malformed(string(text[i].key)+"=", text[i].value, lineWants[text[i].key])
	}
	if len(text) == 0 {
		return nil, malformed("v=", "", lineWants['v'])
	}
	if len(d.TimeDescriptions) == 0 {
		return nil, malformed("t=", "", lineWants['t'])
	}
	return d, nil
}

func unmarshalLines(text []textLine) (*sdp.SessionDescription, error) {
	var b strings.Builder
	for _, l := range text {
		b.WriteByte(l.key)
		b.WriteByte('=')
		b.WriteString(l.value)
		b.WriteString("\r\n")
	}
	d := new(sdp.SessionDescription)
	return d, d.UnmarshalString(b.String())
}

// read reads what a description says of s. It fails if that is malformed; what
// cannot be carried is left out, with the reason.
func (s *mediaLine) read(d *sdp.SessionDescription, part *sdp.MediaDescription) *SDPError {
	m, e := readMedia(d, part)
	if e != nil && !e.unacceptable {
		return e
	}
	s.audio, s.why = m, e
	return nil
}

// noAudio returns the reason if no stream can be carried: the first one.
func noAudio(streams []mediaLine) *SDPError {
	var why *SDPError
	for _, s := range streams {
		if s.audio != nil {
			return nil
		}
		if why == nil {
			why = s.why
		}
	}
	if why == nil {
		why = unacceptable("m=", "", "audio")
		if len(streams) > 0 {
			why.Value = shorten(streams[0].kind)
		}
	}
	return why
}
