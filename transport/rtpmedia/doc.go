// Package rtpmedia turns RTP packets into 20 ms frames of 16 kHz PCM and back
// (RFC 3550): the wire formats, the jitter buffer, concealment, telephone
// events, reports. transport/rtpio and transport/rtc share it. It knows no
// socket, goroutine, lock or clock: time comes in as an argument, in
// nanoseconds on any one monotonic clock (engine.Now), so that an hour of call
// is replayed from a seed in a second.
//
// Received packets flow through the files in this order:
//
//	packet.go    bytes to header and payload
//	dtmf.go      telephone events (RFC 4733), which go past the buffer
//	reception.go what a receiver reports of a stream
//	jitter.go    the jitter buffer: what is put in ...
//	pop.go       ... and what comes out, when; timing.go decides how late
//	inbound.go   one stream: buffer, decoder, concealment, 20 ms frames
//	conceal.go   audio in place of packets that were lost
//	adapt.go     the delay brought nearer to what it should be ...
//	stretch.go   ... by a little more or less audio, where nobody hears it
//
// and sent ones through outbound.go. rtcp.go is the format of the reports,
// control.go what one side of a session does with them.
//
// Nothing here is safe for concurrent use, and nothing allocates per packet.
package rtpmedia
