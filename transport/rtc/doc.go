// Package rtc carries legs over WebRTC: peers offer (SDP) by HTTP at an address
// that was minted for a leg, as WHIP and WHEP have it (RFC 9725), and Pion does
// the rest: ICE, DTLS, SRTP. Media is shared with plain RTP (transport/rtpleg,
// transport/rtpmedia).
//
// The files, in the order of a session's life:
//
//	rtc.go          the server, its ports, its peers
//	whip.go         HTTP: addresses and sessions; whippatch.go, whiphead.go
//	endpoint.go     a minted address, and who has its leg
//	offer.go        what an offer asks for, description.go its transport,
//	sdpfrag.go      what follows it (none does I/O)
//	peer.go         the session: offered, connected, over
//	ice.go          its descriptions and candidates, pion.go how Pion is set up
//	media.go        its turns
//	queue.go        what Pion decrypted, on its way to the turn
//	track.go        what is sent, on its way to Pion
package rtc
