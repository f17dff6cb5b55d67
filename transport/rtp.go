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

// RTPStats tell what a network does to a stream and what is made of it. Times
// are in ms.
type RTPStats struct {
	// Codec that was agreed on: "PCMU/8000".
	Codec string `json:"codec"`
	// Received packets. Lost ones never came, Late ones too late to be heard,
	// Duplicate ones twice; Recovered ones were lost and are heard all the same
	// (FEC).
	Received int64 `json:"received"`
	Lost     int64 `json:"lost"`
	// Missing ones were not there when they were due, and Found ones of these
	// came later: the others are lost.
	Missing   int64 `json:"missing"`
	Found     int64 `json:"found"`
	Late      int64 `json:"late"`
	Duplicate int64 `json:"duplicate"`
	Recovered int64 `json:"recovered"`
	// Concealed frames hold something made up.
	Concealed int64 `json:"concealed"`
	// Restarts of the sender.
	Restarts int64 `json:"restarts"`
	// Jitter of arrivals (RFC 3550, section 6.4.1); Delay that the jitter
	// buffer adds, and Target what it should be.
	Jitter float64 `json:"jitter_ms"`
	Delay  float64 `json:"delay_ms"`
	Target float64 `json:"target_ms"`
	// Keys heard as telephone events.
	Keys int64 `json:"keys"`
	// Sent packets, and what the peer's reports say of them: PeerLost is
	// negative if duplicates outweigh losses.
	Sent       int64   `json:"sent"`
	PeerLost   int64   `json:"peer_lost"`
	PeerJitter float64 `json:"peer_jitter_ms"`
	RoundTrip  float64 `json:"round_trip_ms"`
	// Withheld packets of those sent were kept from a sender that nobody
	// announced and that sent next to nothing: the address may be a lie.
	Withheld int64 `json:"withheld,omitempty"`
}
