package acsws

import (
	stdbase64 "encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/mixminus/mixminus/codec/l16"
	"github.com/segmentio/asm/base64"
)

// DecodePCM decodes base64 of little-endian 16 bit samples into dst and
// returns how many samples there were. It allocates nothing unless it fails,
// and never writes beyond dst.
//
// An error is a *WireError: ReasonBadBase64, ReasonOddBytes, or ReasonTooLong
// if dst cannot hold all. Lengths are judged before contents. After an error
// n is 0 and dst holds anything. Strictness is that of RFC 4648 section 4 with
// padding; line breaks are errors, stray bits under the padding are not.
func DecodePCM(dst []int16, data []byte) (n int, err error) {
	if len(data)%4 != 0 {
		return 0, badBase64(data)
	}
	size := len(data) / 4 * 3
	for i := 1; i <= 2 && i < len(data) && data[len(data)-i] == '='; i++ {
		size--
	}
	if size%2 != 0 {
		return 0, &WireError{Reason: ReasonOddBytes, Field: "audioData.data", Value: shorten(data)}
	}
	if size/2 > len(dst) {
		return 0, &WireError{Reason: ReasonTooLong, Field: "audioData.data", Value: shorten(data)}
	}
	dst = dst[:size/2]
	// The vector decoder stores 32 bytes for each 24 that it has decoded,
	// without a look at the length of dst. It stops while 13 characters or
	// more are left; as there are whole quanta only, that is 16, of which
	// at least 10 bytes come. So its 8 stray bytes are inside of dst and
	// overwritten later. Line breaks, which it passes on to the standard
	// library and that ignores, show in a count that is short.
	if got, err := base64.StdEncoding.Decode(l16.NativeBytes(dst), data); err != nil || got != size {
		return 0, badBase64(data)
	}
	l16.FixLE(dst)
	return len(dst), nil
}

// badBase64 names the first character that cannot stand where it does.
func badBase64(data []byte) error {
	bad := 0
	for bad < len(data) && isBase64(data[bad]) {
		bad++
	}
	if bad == len(data) { // cut short
		bad = len(data) &^ 3
	}
	return &WireError{Reason: ReasonBadBase64, Field: "audioData.data", Value: shorten(data[bad:])}
}

func isBase64(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}

// What stands around outbound audio. It is the shortest of the spellings that
// official producers send, and the only one whose letter case the strict
// parsers of the SDKs take too: see WIRE.md.
const (
	audioHead = `{"kind":"AudioData","audioData":{"data":"`
	audioTail = `"}}`
	stopAudio = `{"kind":"StopAudio","stopAudio":{}}`
)

// AppendAudio appends an outbound AudioData message with pcm to dst and
// returns the longer slice. Any number of samples will do; 20 ms are 900
// bytes at 16 kHz and 1,324 at 24 kHz. It allocates only to grow dst.
func AppendAudio(dst []byte, pcm []int16) []byte {
	dst = slices.Grow(dst, audioLen(len(pcm)))
	dst = append(dst, audioHead...)
	if nativeLE() {
		n := len(dst)
		dst = dst[:n+stdbase64.StdEncoding.EncodedLen(2*len(pcm))]
		base64.StdEncoding.Encode(dst[n:], l16.NativeBytes(pcm))
	} else {
		dst = appendBase64(dst, pcm)
	}
	return append(dst, audioTail...)
}

// audioLen returns the bytes of the message that AppendAudio makes of n
// samples.
func audioLen(n int) int {
	return len(audioHead) + (2*n+2)/3*4 + len(audioTail)
}

// AppendStopAudio appends an outbound StopAudio message to dst: the cloud
// forgets the audio it has queued and not yet played.
func AppendStopAudio(dst []byte) []byte { return append(dst, stopAudio...) }

// appendBase64 encodes samples on any machine.
func appendBase64(dst []byte, pcm []int16) []byte {
	var b [48]byte // whole quanta, so no padding before the end
	for len(pcm) > 0 {
		n := min(len(pcm), len(b)/l16.BytesPerSample)
		l16.EncodeLE(b[:], pcm[:n])
		dst = stdbase64.StdEncoding.AppendEncode(dst, b[:l16.BytesPerSample*n])
		pcm = pcm[n:]
	}
	return dst
}

// nativeLE reports whether this machine keeps samples in the byte order of the
// wire; compiled to a constant.
func nativeLE() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }
