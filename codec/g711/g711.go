// Package g711 codes 16 bit PCM at 8 kHz as A-law and µ-law bytes (ITU-T
// G.711): one byte a sample, RTP's PCMA and PCMU (RFC 3551, section 4.5.14).
//
// github.com/zaf/g711 says what a byte means and which byte a sample becomes:
// the tables here are filled from its functions when the program starts, and
// the tests hold every entry to them. Its slice functions, which allocate, are
// not used. With AVX2 whole vectors are computed, to the same.
//
// The functions work on the caller's slices, keep none, have no state, never
// allocate and never fail: each does as much as both slices have room for and
// says how far it got. They are safe for concurrent use.
package g711

import zaf "github.com/zaf/g711"

// G.711 looks at no more than 14 bits of a sample for µ-law and 12 for A-law;
// the rest need no entries.
const (
	ulawUnused = 2
	alawUnused = 4
)

// Read only. Filling them takes well under 100 µs.
var (
	ulawSample = decodeTable(zaf.DecodeUlawFrame)
	alawSample = decodeTable(zaf.DecodeAlawFrame)

	ulawCode = func() (t [1 << (16 - ulawUnused)]byte) {
		fill(t[:], zaf.EncodeUlawFrame, ulawUnused)
		return t
	}()
	alawCode = func() (t [1 << (16 - alawUnused)]byte) {
		fill(t[:], zaf.EncodeAlawFrame, alawUnused)
		return t
	}()
)

func decodeTable(decode func(byte) int16) (t [256]int16) {
	for code := range t {
		t[code] = decode(byte(code))
	}
	return t
}

// fill makes the codes of all samples, negative ones in the upper half.
func fill(t []byte, encode func(int16) byte, unused int) {
	for i := range t {
		t[i] = encode(int16(i << unused))
	}
}

// DecodeUlaw decodes µ-law and returns the number of samples written.
func DecodeUlaw(dst []int16, src []byte) int {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	done := decodeUlawVectors(dst, src)
	decode(dst[done:], src[done:], &ulawSample)
	return n
}

// DecodeAlaw decodes A-law and returns the number of samples written.
func DecodeAlaw(dst []int16, src []byte) int {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	done := decodeAlawVectors(dst, src)
	decode(dst[done:], src[done:], &alawSample)
	return n
}

// EncodeUlaw encodes µ-law and returns the number of bytes written.
func EncodeUlaw(dst []byte, src []int16) int {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	for i := encodeUlawVectors(dst, src); i < n; i++ {
		dst[i] = ulawCode[uint16(src[i])>>ulawUnused]
	}
	return n
}

// EncodeAlaw encodes A-law and returns the number of bytes written.
func EncodeAlaw(dst []byte, src []int16) int {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	for i := encodeAlawVectors(dst, src); i < n; i++ {
		dst[i] = alawCode[uint16(src[i])>>alawUnused]
	}
	return n
}

// decode takes slices of one length.
func decode(dst []int16, src []byte, table *[256]int16) {
	dst = dst[:len(src)]
	for i, code := range src {
		dst[i] = table[code]
	}
}
