//go:build !purego

package g711

import "golang.org/x/sys/cpu"

// vector is how many samples are coded at a time.
const vector = 16

var hasVectors = cpu.X86.HasAVX2

// These code whole vectors of slices of one length, and return how many
// samples that was.

func decodeUlawVectors(dst []int16, src []byte) int {
	if !hasVectors {
		return 0
	}
	decodeUlawAVX2(dst, src)
	return len(dst) &^ (vector - 1)
}

func decodeAlawVectors(dst []int16, src []byte) int {
	if !hasVectors {
		return 0
	}
	decodeAlawAVX2(dst, src)
	return len(dst) &^ (vector - 1)
}

func encodeUlawVectors(dst []byte, src []int16) int {
	if !hasVectors {
		return 0
	}
	encodeUlawAVX2(dst, src)
	return len(dst) &^ (vector - 1)
}

func encodeAlawVectors(dst []byte, src []int16) int {
	if !hasVectors {
		return 0
	}
	encodeAlawAVX2(dst, src)
	return len(dst) &^ (vector - 1)
}

// These go as far as whole vectors of dst do, and look at no length but that.

//go:noescape
func decodeUlawAVX2(dst []int16, src []byte)

//go:noescape
func decodeAlawAVX2(dst []int16, src []byte)

//go:noescape
func encodeUlawAVX2(dst []byte, src []int16)

//go:noescape
func encodeAlawAVX2(dst []byte, src []int16)
