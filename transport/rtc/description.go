package rtc

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// maxCandidates of one peer are tried; a host with more of them does not need
// the others, and whoever lists addresses to have them probed gets no further.
const maxCandidates = 64

// readTransport finds what the line of audio is carried by: the attributes of
// the line whose transport its bundle shares (RFC 9143, section 7), or its own,
// or those of the session.
func (o *offer) readTransport() error {
	audio := o.line()
	o.mid, _ = audio.Attribute("mid")
	if o.mid == "" {
		return malformed("a=mid", "", "every line named (RFC 8829, section 5.2.1)")
	}
	if !slices.Contains(audio.MediaName.Protos, "SAVPF") && !slices.Contains(audio.MediaName.Protos, "SAVP") {
		return unacceptable("m=", strings.Join(audio.MediaName.Protos, "/"), "UDP/TLS/RTP/SAVPF")
	}
	if _, mux := audio.Attribute("rtcp-mux"); !mux {
		return unacceptable("a=", "no rtcp-mux", "reports on the port of the audio (RFC 5761)")
	}
	o.findBundle()
	o.ufrag, o.password = o.attribute("ice-ufrag"), o.attribute("ice-pwd")
	if o.ufrag == "" || o.attribute("fingerprint") == "" {
		return malformed("a=", "no ice-ufrag or no fingerprint", "an offer of WebRTC (RFC 8829)")
	}
	if err := checkCredentials(o.ufrag, o.password); err != nil {
		return err
	}
	o.candidates = o.listed()
	if n := len(o.candidates); n > maxCandidates {
		return malformed("a=candidate", strconv.Itoa(n)+" candidates", "at most "+strconv.Itoa(maxCandidates))
	}
	return nil
}

// checkCredentials of ICE (RFC 8839, section 5.4).
func checkCredentials(ufrag, password string) error {
	const most = 256
	switch {
	case len(ufrag) < 4 || len(ufrag) > most || !iceChars(ufrag):
		return malformed("a=ice-ufrag", ufrag, "4 to 256 letters, digits, + or / (RFC 8839, section 5.4)")
	case len(password) < 22 || len(password) > most || !iceChars(password):
		return malformed("a=ice-pwd", strconv.Itoa(len(password))+" characters", "22 to 256 letters, digits, + or / (RFC 8839, section 5.4)")
	}
	return nil
}

func iceChars(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '+', c == '/':
		// Some peers put these in, against the grammar.
		case c == '-', c == '_', c == '=':
		default:
			return false
		}
	}
	return true
}

// attribute of the audio's transport.
func (o *offer) attribute(key string) string {
	if o.tagged != nil {
		if v, ok := o.tagged.Attribute(key); ok {
			return v
		}
	}
	if v, ok := o.line().Attribute(key); ok {
		return v
	}
	v, _ := o.described.Attribute(key)
	return v
}

// findBundle finds the line whose transport the audio shares: the first of its
// bundle. It cannot be rejected, though it carries nothing: under the policy
// max-bundle, which no offer tells, the audio has no other, and browsers then
// refuse the whole answer. A data channel is not taken for it, as that would be
// opened.
func (o *offer) findBundle() {
	for _, a := range o.described.Attributes {
		mids, ok := strings.CutPrefix(a.Value, "BUNDLE ")
		list := strings.Fields(mids)
		if a.Key != "group" || !ok || !slices.Contains(list, o.mid) {
			continue
		}
		o.bundled = true
		for _, m := range o.described.MediaDescriptions {
			if mid, _ := m.Attribute("mid"); mid == list[0] && mid != o.mid && m.MediaName.Media == "video" {
				o.tagged = m
			}
		}
		return
	}
}

// listed returns the candidates of the transport, each once: those of all lines
// that share it, as their credentials tell.
func (o *offer) listed() (list []string) {
	add := func(attributes []sdp.Attribute) {
		for _, a := range attributes {
			if a.Key == "candidate" && !slices.Contains(list, a.Value) {
				list = append(list, a.Value)
			}
		}
	}
	add(o.described.Attributes)
	for i, m := range o.described.MediaDescriptions {
		if u, ok := m.Attribute("ice-ufrag"); u == o.ufrag || i == o.audio && !ok {
			add(m.Attributes)
		}
	}
	return list
}

// remote describes the peer to Pion: the audio alone, with what was chosen of it,
// these credentials, and no candidates, which are handed over one by one so that
// a useless one spoils nothing. What is not answered, such as simulcast,
// extensions and feedback, is withheld.
func (o *offer) remote(ufrag, password string) (string, error) {
	audio := o.line()
	m := &sdp.MediaDescription{MediaName: audio.MediaName, ConnectionInformation: audio.ConnectionInformation}
	m.MediaName.Port, m.MediaName.Formats = sdp.RangedPort{Value: 9}, nil
	m = m.WithValueAttribute("mid", o.mid).
		WithValueAttribute("ice-ufrag", ufrag).WithValueAttribute("ice-pwd", password).
		WithValueAttribute("fingerprint", o.attribute("fingerprint")).
		WithPropertyAttribute(o.direction()).WithPropertyAttribute("rtcp-mux")
	if setup := o.attribute("setup"); setup != "" {
		m = m.WithValueAttribute("setup", setup)
	}
	for _, c := range o.parameters() {
		_, name, _ := strings.Cut(c.MimeType, "/")
		fmtp := o.fmtp
		if c.PayloadType != webrtc.PayloadType(o.types.Audio) {
			fmtp = ""
		}
		m = m.WithCodec(uint8(c.PayloadType), name, c.ClockRate, c.Channels, fmtp)
	}
	m.Attributes = append(m.Attributes, source(audio)...)
	d := sdp.SessionDescription{
		Origin: o.described.Origin, SessionName: "-", TimeDescriptions: []sdp.TimeDescription{{}},
		MediaDescriptions: []*sdp.MediaDescription{m},
	}
	if o.bundled {
		d.Attributes = append(d.Attributes, sdp.NewAttribute("group", "BUNDLE "+o.mid))
	}
	b, err := d.Marshal()
	return string(b), err
}

// source returns the attributes of the line's first source. Pion takes two for
// an old dialect; what others send comes all the same.
func source(audio *sdp.MediaDescription) (list []sdp.Attribute) {
	var first string
	for _, a := range audio.Attributes {
		id, _, _ := strings.Cut(a.Value, " ")
		if a.Key == "ssrc" && (first == "" || id == first) {
			first, list = id, append(list, a)
		}
	}
	return list
}

// direction is the peer's, as far as there is use for it.
func (o *offer) direction() string {
	switch {
	case o.send && o.recv:
		return "sendrecv"
	case o.send:
		return "recvonly"
	}
	return "sendonly"
}

// answer makes the answer of what Pion answered to remote: with a line for each
// that was offered, the audio's alone not rejected (RFC 3264, section 6).
func (o *offer) answer(ours string) (string, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(ours); err != nil {
		return "", err
	}
	if len(d.MediaDescriptions) != 1 || d.MediaDescriptions[0].MediaName.Port.Value == 0 {
		return "", unacceptable("m=", strings.Join(o.line().MediaName.Formats, " "), "a codec with the parameters it is registered with")
	}
	audio := d.MediaDescriptions[0]
	audio.MediaName.Protos = o.line().MediaName.Protos
	audio.Attributes = slices.DeleteFunc(audio.Attributes, idle)
	d.Attributes = append(d.Attributes, sdp.NewAttribute("ice-options", iceOptions))
	d.MediaDescriptions = nil
	for i, offered := range o.described.MediaDescriptions {
		m := audio
		switch {
		case offered == o.tagged:
			m = lend(offered, audio)
			mid, _ := offered.Attribute("mid")
			for i := range d.Attributes {
				if d.Attributes[i].Key == "group" {
					d.Attributes[i].Value = "BUNDLE " + mid + " " + o.mid
				}
			}
		case i != o.audio:
			m = reject(offered)
		}
		d.MediaDescriptions = append(d.MediaDescriptions, m)
	}
	b, err := d.Marshal()
	return string(b), err
}

// lend accepts a line for its transport, which the audio is carried by, and
// nothing else: it is inactive.
func lend(offered, audio *sdp.MediaDescription) *sdp.MediaDescription {
	m := &sdp.MediaDescription{MediaName: offered.MediaName, ConnectionInformation: nowhere}
	m.MediaName.Port = sdp.RangedPort{Value: 9}
	for _, a := range offered.Attributes {
		if slices.Contains([]string{"mid", "rtpmap", "fmtp", "sctp-port"}, a.Key) {
			m.Attributes = append(m.Attributes, a)
		}
	}
	for _, a := range audio.Attributes {
		if slices.Contains([]string{"setup", "ice-ufrag", "ice-pwd", "rtcp-mux", "candidate", "end-of-candidates"}, a.Key) {
			m.Attributes = append(m.Attributes, a)
		}
	}
	return m.WithPropertyAttribute("inactive")
}

func reject(offered *sdp.MediaDescription) *sdp.MediaDescription {
	m := &sdp.MediaDescription{MediaName: offered.MediaName, ConnectionInformation: nowhere}
	m.MediaName.Port = sdp.RangedPort{}
	if mid, ok := offered.Attribute("mid"); ok {
		m = m.WithValueAttribute("mid", mid)
	}
	return m.WithPropertyAttribute("inactive")
}

// nowhere is where a line without media goes.
var nowhere = &sdp.ConnectionInformation{NetworkType: "IN", AddressType: "IP4", Address: &sdp.Address{Address: "0.0.0.0"}}

// iceOptions: candidates may follow (RFC 8840, section 4.1).
const iceOptions = "trickle"

// idle are attributes of Pion's that do not hold here: candidates for reports,
// which go the way of the audio, and reports of reduced size (RFC 5506), which
// are for video.
func idle(a sdp.Attribute) bool {
	x := strings.Fields(a.Value)
	return a.Key == "rtcp-rsize" || a.Key == "candidate" && len(x) > 1 && x[1] == "2"
}
