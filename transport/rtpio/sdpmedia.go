package rtpio

import (
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mixminus/mixminus/codec"
	"github.com/pion/sdp/v3"
)

const (
	nameNoise  = "CN"              // RFC 3389
	nameEvents = "telephone-event" // RFC 4733
	typeNoise  = 13                // static payload type (RFC 3551, section 6)
	clockNoise = 8000              // of that
)

// readMedia reads the part of an audio stream, to which some things of the
// session apply where it tells nothing itself.
func readMedia(d *sdp.SessionDescription, part *sdp.MediaDescription) (*media, *SDPError) {
	c := part.ConnectionInformation
	if c == nil {
		c = d.ConnectionInformation
	}
	addr, e := readConnection(c)
	if e != nil {
		return nil, e
	}
	m := &media{
		addr: netip.AddrPortFrom(addr, uint16(part.MediaName.Port.Value)),
		dir:  sendrecv, hold: addr.IsUnspecified(),
	}
	if p := m.addr.Port(); p < math.MaxUint16 {
		m.rtcp = netip.AddrPortFrom(addr, p+1)
	}
	for _, a := range d.Attributes {
		m.readDirection(a)
	}
	var told typeTable
	for _, a := range part.Attributes {
		m.readDirection(a)
		if e := m.readAttribute(a, &told); e != nil {
			return nil, e
		}
	}
	m.formats = told.list(part.MediaName.Formats)
	return m, nil
}

func (m *media) readDirection(a sdp.Attribute) {
	if d, ok := directions[strings.TrimSpace(a.Key)]; ok {
		m.dir = d
	}
}

func (m *media) readAttribute(a sdp.Attribute, told *typeTable) (e *SDPError) {
	switch strings.TrimSpace(a.Key) {
	case "rtpmap":
		return told.readMap(a.Value)
	case "fmtp":
		told.readParameters(a.Value)
	case "rtcp-mux":
		m.mux = true
	case "rtcp":
		m.rtcp, e = readRTCP(a.Value, m.addr.Addr())
	case "ptime":
		// A hint, on which nothing depends: what cannot be understood was not
		// told. Studios have fractions of a millisecond (AES67).
		if v, err := strconv.ParseFloat(strings.TrimSpace(a.Value), 64); err == nil && v > 0 && v <= 1000 {
			m.ptime = int(math.Ceil(v))
		}
	}
	return e
}

// readConnection reads a c= line (RFC 8866, section 5.7).
func readConnection(c *sdp.ConnectionInformation) (netip.Addr, *SDPError) {
	switch {
	case c == nil:
		return netip.Addr{}, malformed("c=", "", "an address, of the session or the audio")
	case c.Address == nil:
		return netip.Addr{}, malformed("c=", c.String(), lineWants['c'])
	}
	return readAddress("c=", c.String(), c.AddressType, c.Address.Address)
}

// readAddress reads an address that packets can be sent to, or an unspecified
// one. A name is not looked up: who writes it would learn when it is, and have
// us ask whatever servers they like.
func readAddress(field, value, kind, text string) (netip.Addr, *SDPError) {
	text, _, ttl := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return addr, unacceptable(field, value, "an IP address: names are not looked up")
	case addr.Zone() != "" || addr.Is4() != (kind == "IP4"):
		return addr, malformed(field, value, "an address of the type that is named")
	}
	addr = addr.Unmap()
	switch {
	case addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return addr, unacceptable(field, value, "the address of one host")
	case ttl:
		return addr, malformed(field, value, "no TTL, which is for multicast")
	}
	return addr, nil
}

// readRTCP reads a=rtcp (RFC 3605): a port, and an address unless it is rtp's.
// What cannot be sent to is nowhere: port 9 of no address is what those write
// who mux anyhow, and an address of the other family is none for one socket.
func readRTCP(value string, rtp netip.Addr) (netip.AddrPort, *SDPError) {
	const field, want = "a=rtcp", "a port, and IN, IP4 or IP6 and address unless it is that of RTP"
	fields := strings.Fields(value)
	if len(fields) != 1 && len(fields) != 4 {
		return netip.AddrPort{}, malformed(field, value, want)
	}
	port, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil {
		return netip.AddrPort{}, malformed(field, value, want)
	}
	addr := rtp
	if len(fields) == 4 {
		if fields[1] != "IN" || fields[2] != "IP4" && fields[2] != "IP6" {
			return netip.AddrPort{}, malformed(field, value, want)
		}
		var e *SDPError
		if addr, e = readAddress(field, value, fields[2], fields[3]); e != nil {
			return netip.AddrPort{}, e
		}
	}
	if port == 0 || addr.IsUnspecified() || addr.Is4() != rtp.Is4() {
		return netip.AddrPort{}, nil
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// typeTable is what a stream tells of its payload types, by number.
type typeTable [maxFormats]format

// readMap reads a=rtpmap (RFC 8866, section 6.6): "96 opus/48000/2". The first
// of several for one number counts.
func (t *typeTable) readMap(value string) *SDPError {
	number, text, _ := strings.Cut(strings.TrimSpace(value), " ")
	pt, ok := payloadType(number)
	if !ok {
		return malformed("a=rtpmap", value, "a payload type from 0 to 127")
	}
	f := format{pt: pt, channels: 1}
	parts := strings.Split(strings.TrimSpace(text), "/")
	clock, channels := uint64(0), uint64(1)
	var err error
	if len(parts) > 1 {
		clock, err = strconv.ParseUint(parts[1], 10, 31)
	}
	if err == nil && len(parts) == 3 {
		channels, err = strconv.ParseUint(parts[2], 10, 8)
	}
	if err != nil || len(parts) > 3 || parts[0] == "" || clock == 0 || channels == 0 {
		return malformed("a=rtpmap:"+strconv.Itoa(int(pt)), text, "name/clock rate, or name/clock rate/channels")
	}
	f.name, f.clock, f.channels = parts[0], int(clock), int(channels)
	if t[pt].name == "" {
		f.fmtp = t[pt].fmtp
		t[pt] = f
	}
	return nil
}

// readParameters reads a=fmtp (RFC 8866, section 6.15).
func (t *typeTable) readParameters(value string) {
	number, text, _ := strings.Cut(strings.TrimSpace(value), " ")
	if pt, ok := payloadType(number); ok && t[pt].fmtp == "" {
		t[pt].fmtp = strings.TrimSpace(text)
	}
}

// list returns the formats of an m= line, each once. What has no rtpmap may be
// known by its number (RFC 3551, section 6).
func (t *typeTable) list(numbers []string) []format {
	var out []format
	var seen [maxFormats]bool
	for _, n := range numbers {
		pt, ok := payloadType(n)
		if !ok || seen[pt] {
			continue
		}
		seen[pt] = true
		f := t[pt]
		f.pt = pt
		if f.name == "" {
			f.static()
		}
		out = append(out, f)
	}
	return out
}

// static fills in what the number alone tells.
func (f *format) static() {
	if f.pt == typeNoise {
		f.name, f.clock, f.channels = nameNoise, clockNoise, 1
	}
	if c, ok := codec.ByPayloadType(int(f.pt)); ok {
		f.name, f.clock, f.channels = c.Name, c.ClockRate, c.Channels
	}
}
