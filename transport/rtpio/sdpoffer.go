package rtpio

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/mixminus/mixminus/codec"
	"github.com/pion/sdp/v3"
)

const (
	packetTime = "20"   // ms: what we send, whatever the peer does
	allKeys    = "0-15" // the events that are keys (RFC 4733, section 3.2)
)

// Payload types of an offer, where there is no static one.
const (
	typeOpus   = 96
	typeL16    = 97
	typeOthers = 104 // and up
)

// eventTypes of an offer, by clock. An event's clock is that of the audio in
// whose place it is sent: their timestamps are one count (RFC 4733, section
// 2.1).
var eventTypes = map[int]uint8{8000: 101, 16000: 102, 48000: 103}

// offerOf writes an offer.
func offerOf(l local) []byte {
	d := l.session([]sdp.TimeDescription{{}})
	d.MediaDescriptions = []*sdp.MediaDescription{l.audio("RTP/AVP", offerFormats(l.codecs), l.mux, sendrecv)}
	return marshal(d)
}

// answerTo answers an offer. The codec is the first of the offerer's that is
// one of ours (RFC 3264, section 6.1), and its numbers are kept; of several
// streams, the first that has one is accepted. The error is an *SDPError.
func answerTo(offer *remoteSDP, l local) (agreed, []byte, error) {
	chosen, a, e := offer.choose(l)
	if e != nil {
		return agreed{}, nil, e
	}
	m := offer.streams[chosen].audio
	a.useMux(m.mux && l.mux && !mistakable(a.payloadType, a.eventType, a.noiseType))
	d := l.session(offer.times)
	for i, s := range offer.streams {
		part := refusal(s)
		if i == chosen {
			part = l.audio(s.proto, answerFormats(a), a.mux, m.flow().reverse())
		}
		d.MediaDescriptions = append(d.MediaDescriptions, part)
	}
	return a, marshal(d), nil
}

// settle takes the answer to what offerOf wrote for offer. The error is an
// *SDPError.
func settle(offer local, answer *remoteSDP) (agreed, error) {
	// An answer has the m= lines of its offer (RFC 3264, section 6); what has
	// others answers something else.
	if n := len(answer.streams); n != 1 {
		return agreed{}, malformed("m=", strconv.Itoa(n)+" of them", "one, as in the offer")
	}
	a, e := answer.streams[0].audio.settle(offer, offerFormats(offer.codecs))
	if e != nil {
		return agreed{}, e
	}
	return a, nil
}

// choose returns the stream to be accepted, and what is agreed on with that.
func (r *remoteSDP) choose(l local) (int, agreed, *SDPError) {
	var why *SDPError
	for i, s := range r.streams {
		if s.audio == nil {
			continue
		}
		a, e := s.audio.agree(l)
		if e == nil {
			return i, a, nil
		}
		if why == nil {
			why = e
		}
	}
	return 0, agreed{}, why
}

// agree returns what m and we agree on, with m's numbers for what we receive
// too, and without mux.
func (m *media) agree(l local) (agreed, *SDPError) {
	if m.addr.Addr().Is4() != l.addr.Addr().Unmap().Is4() && !m.hold {
		return agreed{}, unacceptable("c=", m.addr.Addr().String(), "an address of the type of ours: "+addressType(l.addr.Addr()))
	}
	c, f, ok := firstCommon(m.formats, l.codecs)
	if !ok {
		return agreed{}, unacceptable("m=", describeFormats(m.formats), "one of "+describeFormats(offerFormats(l.codecs)))
	}
	event, sent, clock := events(m.formats, c.ClockRate)
	a := agreed{
		codec: c, payloadType: f.pt, sendType: f.pt,
		eventType: event, sendEventType: sent, eventClock: clock, noiseType: besides(m.formats, nameNoise, c.ClockRate),
		remote: m.addr, remoteRTCP: m.rtcp,
		send: m.flow().receives(), recv: m.flow().sends(),
	}
	if c.Name == "opus" {
		a.fec, a.dtx = f.switchedOn("useinbandfec"), f.switchedOn("usedtx")
	}
	if m.hold {
		a.remote, a.remoteRTCP = netip.AddrPort{}, netip.AddrPort{}
	}
	return a, nil
}

// settle is agree for an answer: what we receive has the numbers of our offer,
// which the answerer need not have kept (RFC 3264, section 6.1).
func (m *media) settle(l local, offers []format) (agreed, *SDPError) {
	a, e := m.agree(l)
	if e != nil {
		return a, e
	}
	a.useMux(m.mux && l.mux)
	a.payloadType = offeredNumber(offers, a.payloadType, a.codec.Name, a.codec.ClockRate, a.codec.Channels)
	if a.eventType != 0 {
		a.eventType = offeredNumber(offers, a.eventType, nameEvents, a.eventClock, 1)
		if a.eventType == 0 {
			a.sendEventType = 0
		}
	}
	if a.noiseType != 0 {
		a.noiseType = offeredNumber(offers, a.noiseType, nameNoise, a.codec.ClockRate, 1)
	}
	return a, nil
}

// firstCommon returns the first of formats that is one of codecs.
func firstCommon(formats []format, codecs []codec.Codec) (codec.Codec, format, bool) {
	for _, f := range formats {
		if i := slices.IndexFunc(codecs, f.isCodec); i >= 0 {
			return codecs[i], f, true
		}
	}
	return codec.Codec{}, format{}, false
}

// events returns the payload types of telephone events that come and that are
// sent, and their clock. It should be the codec's (RFC 4733, section 2.1); but
// many phones know 8000 Hz only, also beside opus. Theirs are understood, for
// when a key was pressed does not depend on it, and are not sent: who would
// reckon with which clock nobody knows.
func events(formats []format, clock int) (come, sent uint8, at int) {
	if t := besides(formats, nameEvents, clock); t != 0 {
		return t, t, clock
	}
	return besides(formats, nameEvents, 8000), 0, 8000
}

// besides returns the payload type of what is not the codec, but shares its
// clock; 0 if there is none.
func besides(formats []format, name string, clock int) uint8 {
	for _, f := range formats {
		if f.is(name, clock, 1) && f.pt != 0 {
			return f.pt
		}
	}
	return 0
}

// offeredNumber returns the payload type that a format has in an offer: like,
// the number in the answer, if it is that, or else the first; 0 if it was not
// offered.
func offeredNumber(offers []format, like uint8, name string, clock, channels int) uint8 {
	same := func(f format) bool { return f.is(name, clock, channels) }
	if slices.ContainsFunc(offers, func(f format) bool { return f.pt == like && same(f) }) {
		return like
	}
	if i := slices.IndexFunc(offers, same); i >= 0 {
		return offers[i].pt
	}
	return 0
}

func (a *agreed) useMux(mux bool) {
	a.mux = mux
	if mux {
		a.remoteRTCP = a.remote
	}
}

// mistakable reports whether one of types looks like RTCP at a port that takes
// both (RFC 5761, section 4).
func mistakable(types ...uint8) bool {
	return slices.ContainsFunc(types, func(t uint8) bool { return 64 <= t && t <= 95 })
}

// offerFormats returns the formats of an offer of codecs.
func offerFormats(codecs []codec.Codec) []format {
	var out, events []format
	noise := false
	for i, c := range codecs {
		pt := uint8(typeOthers + i)
		switch {
		case c.PayloadType != codec.Dynamic:
			pt = uint8(c.PayloadType)
		case c.Name == "opus":
			pt = typeOpus
		case c.Name == "L16":
			pt = typeL16
		}
		out = append(out, codecFormat(c, pt))
		noise = noise || c.ClockRate == clockNoise
		event := eventFormat(eventTypes[c.ClockRate], c.ClockRate)
		if event.pt != 0 && !slices.Contains(events, event) {
			events = append(events, event)
		}
	}
	if noise {
		out = append(out, noiseFormat(typeNoise, clockNoise))
	}
	return append(out, events...)
}

// answerFormats returns the formats of an answer.
func answerFormats(a agreed) []format {
	out := []format{codecFormat(a.codec, a.payloadType)}
	if a.noiseType != 0 {
		out = append(out, noiseFormat(a.noiseType, a.codec.ClockRate))
	}
	if a.eventType != 0 {
		out = append(out, eventFormat(a.eventType, a.eventClock))
	}
	return out
}

func codecFormat(c codec.Codec, pt uint8) format {
	f := format{pt: pt, name: c.Name, clock: c.ClockRate, channels: c.Channels}
	if c.Name == "opus" {
		f.fmtp = "useinbandfec=1"
	}
	return f
}

func noiseFormat(pt uint8, clock int) format {
	return format{pt: pt, name: nameNoise, clock: clock}
}

func eventFormat(pt uint8, clock int) format {
	return format{pt: pt, name: nameEvents, clock: clock, fmtp: allKeys}
}

// describeFormats returns the names of formats, for an error.
func describeFormats(formats []format) string {
	var names []string
	for _, f := range formats {
		switch {
		case f.name == "":
			names = append(names, strconv.Itoa(int(f.pt)))
		case !strings.EqualFold(f.name, nameEvents) && !strings.EqualFold(f.name, nameNoise):
			names = append(names, f.rtpmap())
		}
	}
	return strings.Join(names, " ")
}
