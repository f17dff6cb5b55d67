package rtc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/transport/rtpleg"
	"github.com/pion/sdp/v3"
)

// MaxSDP bounds an offer, in bytes, and maxLines its m= lines.
const (
	MaxSDP   = 64 << 10
	maxLines = 32
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

// readOffer chooses what to carry of an offer: the first of codecs that its
// audio has.
func readOffer(offer string, codecs []codec.Codec) (terms, error) {
	if len(offer) > MaxSDP {
		return terms{}, malformed("size", strconv.Itoa(len(offer)), fmt.Sprintf("at most %d bytes", MaxSDP))
	}
	var d sdp.SessionDescription
	if err := d.UnmarshalString(offer); err != nil {
		return terms{}, malformed("sdp", err.Error(), "a session description (RFC 8866)")
	}
	if n := len(d.MediaDescriptions); n > maxLines {
		return terms{}, malformed("m=", strconv.Itoa(n)+" lines", fmt.Sprintf("at most %d", maxLines))
	}
	var audio *sdp.MediaDescription
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Media != "audio" || m.MediaName.Port.Value == 0 {
			continue
		}
		if audio != nil {
			return terms{}, unacceptable("m=", "two lines of audio", "one")
		}
		audio = m
	}
	if audio == nil {
		return terms{}, unacceptable("m=", "no audio", "a line of audio")
	}
	if !slices.Contains(audio.MediaName.Protos, "SAVPF") && !slices.Contains(audio.MediaName.Protos, "SAVP") {
		return terms{}, unacceptable("m=", strings.Join(audio.MediaName.Protos, "/"), "UDP/TLS/RTP/SAVPF")
	}
	if attribute(audio, &d, "ice-ufrag") == "" || attribute(audio, &d, "fingerprint") == "" {
		return terms{}, malformed("a=", "no ice-ufrag or no fingerprint", "an offer of WebRTC (RFC 8829)")
	}
	t, err := chooseCodec(audio, codecs)
	if err != nil {
		return t, err
	}
	t.send, t.recv = directions(audio, &d)
	if !t.send && !t.recv {
		return t, unacceptable("a=", "inactive", "sendrecv, sendonly or recvonly")
	}
	return t, nil
}

// attribute returns an attribute of the media, or else of the session.
func attribute(m *sdp.MediaDescription, d *sdp.SessionDescription, key string) string {
	if v, ok := m.Attribute(key); ok {
		return v
	}
	v, _ := d.Attribute(key)
	return v
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
				t.fec = strings.Contains(f.fmtp, "useinbandfec=1")
				t.dtx = strings.Contains(f.fmtp, "usedtx=1")
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
