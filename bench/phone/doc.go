// Package phone is a telephone that plays a script over RTP: the other side of
// the wire for legs of plain RTP. It says a voice, presses keys, reports and
// hangs up, keeps packets back where the script says so, and writes down what
// it said, what it sent and everything that came.
//
// What came is judged after the call, from the whole of it: packets are sorted
// by their sequence numbers and placed by their timestamps, so there is no
// jitter buffer that could hide a fault, or make one. Nothing here is shared
// with what it tests: packets are read and written by pion/rtp and pion/rtcp,
// and an RTP of ours on both sides would prove only that we agree with
// ourselves.
//
// Files, from the script to the verdict:
//
//	config.go     the script, and what is wrong with one
//	speaker.go    slots of 20 ms to packets, without a clock
//	phone.go      sockets and goroutines: the packets on time
//	control.go    reports (RFC 3550, section 6)
//	log.go        the truth about the call
//	stream.go     what came, put in order: gaps, pacing, markers, events
//	heard.go      what came, as samples
package phone
