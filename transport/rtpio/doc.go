// Package rtpio carries legs over plain RTP and RTCP on UDP sockets (RFC 3550,
// RFC 3551), as SIP phones, media servers and ffmpeg speak it. What a session
// is made of is agreed on by SDP (RFC 8866) in an offer and its answer (RFC
// 3264). It encrypts nothing, looks up no names, and knows no signalling: who
// carries the descriptions is the caller's matter.
package rtpio
