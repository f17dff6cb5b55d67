package transport

import "net/netip"

// Sender is who sends RTP to a port without having been announced.
type Sender struct {
	// ID names the stream: "127.0.0.1:4711/1a2b3c4d", its source and SSRC.
	ID   string
	Addr netip.AddrPort
	SSRC uint32
	// PayloadType of its packets, and the codec that stands for: "PCMU/8000".
	PayloadType uint8
	Codec       string
}

// Target is where RTP is sent without a description of the session: what its
// receiver was told beforehand.
type Target struct {
	Addr netip.AddrPort
	// Codec as an rtpmap names it: "PCMU/8000"; the rate may be left out.
	Codec string
	// PayloadType of the codec; 0 is the static one, if it has one, else 96.
	PayloadType uint8
	// EventType of telephone events (RFC 4733); 0: none are sent.
	EventType uint8
}
