package rtpio

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"github.com/pion/sdp/v3"
)

// session returns a description without streams.
func (l local) session(times []sdp.TimeDescription) *sdp.SessionDescription {
	addr := l.addr.Addr().Unmap().WithZone("")
	kind := addressType(addr)
	name := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1 // or else it could go on in a line of its own
		}
		return r
	}, l.name)
	if name == "" {
		name = "-"
	}
	return &sdp.SessionDescription{
		Origin: sdp.Origin{
			Username: "-", SessionID: l.sessionID, SessionVersion: l.version,
			NetworkType: "IN", AddressType: kind, UnicastAddress: addr.String(),
		},
		SessionName: sdp.SessionName(name),
		ConnectionInformation: &sdp.ConnectionInformation{
			NetworkType: "IN", AddressType: kind, Address: &sdp.Address{Address: addr.String()},
		},
		TimeDescriptions: times,
	}
}

func addressType(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "IP4"
	}
	return "IP6"
}

// audio returns the part of an audio stream at l's address.
func (l local) audio(proto string, formats []format, mux bool, dir direction) *sdp.MediaDescription {
	d := &sdp.MediaDescription{MediaName: sdp.MediaName{
		Media: "audio", Port: sdp.RangedPort{Value: int(l.addr.Port())}, Protos: []string{proto},
	}}
	for _, f := range formats {
		pt := strconv.Itoa(int(f.pt))
		d.MediaName.Formats = append(d.MediaName.Formats, pt)
		d.Attributes = append(d.Attributes, sdp.NewAttribute("rtpmap", pt+" "+f.rtpmap()))
		if f.fmtp != "" {
			d.Attributes = append(d.Attributes, sdp.NewAttribute("fmtp", pt+" "+f.fmtp))
		}
	}
	d.Attributes = append(d.Attributes, sdp.NewAttribute("ptime", packetTime), sdp.NewPropertyAttribute(dir.String()))
	if mux {
		d.Attributes = append(d.Attributes, sdp.NewPropertyAttribute("rtcp-mux"))
	}
	return d
}

// refusal returns the part of a stream that an answer refuses (RFC 3264,
// section 6): its format is of no account, but there must be one.
func refusal(s mediaLine) *sdp.MediaDescription {
	return &sdp.MediaDescription{MediaName: sdp.MediaName{
		Media: s.kind, Protos: []string{s.proto}, Formats: []string{s.format},
	}}
}

func marshal(d *sdp.SessionDescription) []byte {
	b, err := d.Marshal()
	if err != nil {
		panic(err) // it has no way to fail, but a signature
	}
	return b
}
