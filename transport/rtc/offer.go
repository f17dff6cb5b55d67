package rtc

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/transport/rtpleg"
	"github.com/pion/sdp/v3"
)

// MaxSDP bounds an offer, in bytes, and maxLines its m= lines.
const (
	MaxSDP   = 64 << 10
	maxLines = 64
)

// OfferError is an offer that is not taken. NotAcceptable tells whether it is
// well formed, and nothing in it can be carried.
type OfferError struct {
	Field, Value, Want string
	notAcceptable      bool
}

func (e *OfferError) Error() string {
	return fmt.Sprintf("rtc: offer: %s %q: want %s", e.Field, e.Value, e.Want)
}

// NotAcceptable reports whether the description is fine, and of no use here.
func (e *OfferError) NotAcceptable() bool { return e.notAcceptable }

func malformed(field, value, want string) *OfferError {
	return &OfferError{Field: field, Value: shorten(value), Want: want}
}

func unacceptable(field, value, want string) *OfferError {
	return &OfferError{Field: field, Value: shorten(value), Want: want, notAcceptable: true}
}

func shorten(s string) string {
	const most = 64
	s = strings.ToValidUTF8(s, "?")
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}

// terms are what is agreed on with a peer.
type terms struct {
	codec     codec.Codec
	types     rtpleg.Types
	eventRate int    // clock of telephone events, Hz
	fmtp      string // of the codec, as offered
	send      bool   // to the peer
	recv      bool   // from it
	fec, dtx  bool   // opus: what the peer takes
}

// offer is one that may be answered: the line of audio that is carried, and the
// transport below it.
type offer struct {
	terms
	described *sdp.SessionDescription // as it came
	audio     int                     // index of its line
	mid       string
	bundled   bool
	tagged    *sdp.MediaDescription // whose transport it shares; nil: its own
	// ufrag and password of ICE, and the candidates that came with the offer.
	ufrag, password string
	candidates      []string
}

// readOffer chooses what to carry of an offer: the first of codecs that its
// audio has. All its other lines are to be rejected (RFC 8829, section 5.3.1).
func readOffer(text string, codecs []codec.Codec) (*offer, error) {
	if len(text) > MaxSDP {
		return nil, malformed("size", strconv.Itoa(len(text)), fmt.Sprintf("at most %d bytes", MaxSDP))
	}
	// Pion's reader takes no description for an empty one (RFC 8866, section 5.1).
	if first, _, _ := strings.Cut(text, "\n"); strings.TrimSuffix(first, "\r") != "v=0" {
		return nil, malformed("sdp", first, "v=0 in its first line")
	}
	var d sdp.SessionDescription
	if err := d.UnmarshalString(text); err != nil {
		return nil, malformed("sdp", err.Error(), "a session description (RFC 8866)")
	}
	if n := len(d.MediaDescriptions); n > maxLines {
		return nil, malformed("m=", strconv.Itoa(n)+" lines", fmt.Sprintf("at most %d", maxLines))
	}
	o := &offer{described: &d, audio: -1}
	for i, m := range d.MediaDescriptions {
		if m.MediaName.Media != "audio" || absent(m) {
			continue
		}
		if o.audio >= 0 {
			return nil, unacceptable("m=", "two lines of audio", "one")
		}
		o.audio = i
	}
	if o.audio < 0 {
		return nil, unacceptable("m=", "no audio", "a line of audio")
	}
	if err := o.readTransport(); err != nil {
		return nil, err
	}
	var err error
	audio := o.line()
	if o.terms, err = chooseCodec(audio, codecs); err != nil {
		return nil, err
	}
	if o.send, o.recv = directions(audio, &d); !o.send && !o.recv {
		return nil, unacceptable("a=", "inactive", "sendrecv, sendonly or recvonly")
	}
	return o, nil
}

func (o *offer) line() *sdp.MediaDescription { return o.described.MediaDescriptions[o.audio] }

// absent reports whether a line is one that was rejected before: in a bundle,
// port 0 may also say that it has no transport of its own (RFC 9143, section 6).
func absent(m *sdp.MediaDescription) bool {
	_, shares := m.Attribute("bundle-only")
	return m.MediaName.Port.Value == 0 && !shares
}

// directions returns whether we send and receive.
func directions(m *sdp.MediaDescription, d *sdp.SessionDescription) (send, recv bool) {
	for _, attributes := range [][]sdp.Attribute{m.Attributes, d.Attributes} {
		for _, a := range attributes {
			switch a.Key {
			case "sendrecv":
				return true, true
			case "sendonly":
				return false, true
			case "recvonly":
				return true, false
			case "inactive":
				return false, false
			}
		}
	}
	return true, true
}

// format is a payload type of the offer.
type format struct {
	pt    uint8
	name  string
	clock int
	fmtp  string
}

// formats returns those of a line of audio, in its order.
func formats(m *sdp.MediaDescription) (list []format) {
	for _, text := range m.MediaName.Formats {
		pt, err := strconv.ParseUint(text, 10, 7)
		if err != nil {
			continue
		}
		f := format{pt: uint8(pt)}
		if c, ok := codec.ByPayloadType(int(pt)); ok {
			f.name, f.clock = c.Name, c.ClockRate
		}
		for _, a := range m.Attributes {
			of, value, _ := strings.Cut(a.Value, " ")
			if of != text {
				continue
			}
			switch a.Key {
			case "rtpmap":
				name, rest, _ := strings.Cut(value, "/")
				rate, _, _ := strings.Cut(rest, "/")
				f.name = name
				f.clock, _ = strconv.Atoi(rate)
			case "fmtp":
				f.fmtp = value
			}
		}
		list = append(list, f)
	}
	return list
}

func chooseCodec(m *sdp.MediaDescription, codecs []codec.Codec) (t terms, err error) {
	list := formats(m)
	for _, c := range codecs {
		for _, f := range list {
			if !strings.EqualFold(f.name, c.Name) || f.clock != c.ClockRate {
				continue
			}
			t.codec, t.types.Audio, t.fmtp = c, f.pt, f.fmtp
			if c.Name == "opus" {
				t.fec = flag(f.fmtp, "useinbandfec")
				t.dtx = flag(f.fmtp, "usedtx")
			}
			t.types.Event, t.eventRate = companion(list, "telephone-event", c.ClockRate)
			t.types.Noise, _ = companion(list, "CN", c.ClockRate)
			return t, nil
		}
	}
	names := make([]string, len(codecs))
	for i, c := range codecs {
		names[i] = c.RTPMap()
	}
	return t, unacceptable("m=", strings.Join(m.MediaName.Formats, " "), "one of "+strings.Join(names, ", "))
}

// flag reports whether a parameter of a format is 1 (RFC 7587, section 6.1).
func flag(fmtp, key string) bool {
	for one := range strings.SplitSeq(fmtp, ";") {
		k, v, _ := strings.Cut(one, "=")
		if strings.EqualFold(strings.TrimSpace(k), key) {
			return strings.TrimSpace(v) == "1"
		}
	}
	return false
}

// companion returns the payload type of what goes with a codec on its clock, 0
// if there is none.
func companion(list []format, name string, clock int) (uint8, int) {
	for _, f := range list {
		if strings.EqualFold(f.name, name) && f.clock == clock {
			return f.pt, f.clock
		}
	}
	return 0, 0
}
