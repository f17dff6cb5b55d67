// Package l16 moves 16 bit linear PCM between samples and bytes. On RTP the
// samples are big endian (L16, RFC 3551, section 4.5.11); in the WebSocket
// streaming of Azure Communication Services and in WAV files little endian.
//
// It works on the caller's slices, keeps none, never allocates (but for
// AppendLE, as append does, and BytesLE where it must) and never fails: a function does as much as both
// slices have room for, leaves an odd last byte alone, and says how far it got.
package l16

import (
	"encoding/binary"
	"slices"
	"unsafe"
)

// BytesPerSample is the size of a sample on any wire.
const BytesPerSample = 2

// DecodeBE reads big-endian samples and returns how many it wrote to dst.
func DecodeBE(dst []int16, src []byte) int {
	return decode(dst, src, !littleEndian())
}

// EncodeBE writes big-endian samples and returns how many bytes it wrote to
// dst: twice the number of samples taken from src.
func EncodeBE(dst []byte, src []int16) int {
	return encode(dst, src, !littleEndian())
}

// DecodeLE reads little-endian samples and returns how many it wrote to dst.
func DecodeLE(dst []int16, src []byte) int {
	return decode(dst, src, littleEndian())
}

// EncodeLE writes little-endian samples and returns how many bytes it wrote to
// dst: twice the number of samples taken from src.
func EncodeLE(dst []byte, src []int16) int {
	return encode(dst, src, littleEndian())
}

// AppendLE appends src in little-endian bytes to dst.
func AppendLE(dst []byte, src []int16) []byte {
	n := len(dst)
	dst = slices.Grow(dst, BytesPerSample*len(src))[:n+BytesPerSample*len(src)]
	EncodeLE(dst[n:], src)
	return dst
}

// BytesLE returns src as little-endian bytes, to be read only. On little-endian
// machines they are the memory of src itself, elsewhere a copy.
func BytesLE(src []int16) []byte {
	if littleEndian() {
		return NativeBytes(src)
	}
	return AppendLE(nil, src)
}

// NativeBytes returns the memory of s as bytes, in the byte order of this
// machine: both slices are one. A reader can fill samples in place through it,
// and put the order right with FixLE.
func NativeBytes(s []int16) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), BytesPerSample*len(s))
}

// FixLE makes samples of s whose memory was filled with little-endian bytes.
// On little-endian machines that is nothing to do.
func FixLE(s []int16) {
	if !littleEndian() {
		b := NativeBytes(s)
		swap(b, b)
	}
}

func decode(dst []int16, src []byte, sameOrder bool) int {
	n := min(len(dst), len(src)/BytesPerSample)
	move(NativeBytes(dst[:n]), src[:BytesPerSample*n], sameOrder)
	return n
}

func encode(dst []byte, src []int16, sameOrder bool) int {
	n := min(len(dst)/BytesPerSample, len(src))
	move(dst[:BytesPerSample*n], NativeBytes(src[:n]), sameOrder)
	return BytesPerSample * n
}

func move(dst, src []byte, sameOrder bool) {
	if sameOrder {
		copy(dst, src)
		return
	}
	swap(dst, src)
}

// swap copies src to dst with the two bytes of every sample exchanged, four
// samples at a time. Both have the same even length; they are the same memory
// or do not overlap.
func swap(dst, src []byte) {
	const low = 0x00ff00ff00ff00ff
	for len(src) >= 8 && len(dst) >= 8 {
		x := binary.LittleEndian.Uint64(src)
		binary.LittleEndian.PutUint64(dst, x>>8&low|x&low<<8)
		dst, src = dst[8:], src[8:]
	}
	for len(src) >= 2 && len(dst) >= 2 {
		dst[0], dst[1] = src[1], src[0]
		dst, src = dst[2:], src[2:]
	}
}

// littleEndian tells the byte order of this machine; compiled to a constant.
func littleEndian() bool {
	return binary.NativeEndian.Uint16([]byte{1, 0}) == 1
}
