//go:build !purego

package resample

import "golang.org/x/sys/cpu"

// best is the kernel of the processor at hand.
func best() kernel { return kernel{avx2: cpu.X86.HasAVX2} }

func (k kernel) convolve(dst []int16, x, h []float32, off []int32) {
	if k.avx2 {
		convolveAVX2(dst, x, h, off)
		return
	}
	convolve(dst, x, h, off)
}

func (k kernel) fold(dst []int16, x, h []float32, off []int32) {
	if k.avx2 {
		foldAVX2(dst, x, h, off)
		return
	}
	fold(dst, x, h, off)
}

func (k kernel) dot(h, x []float32) float32 {
	if k.avx2 {
		return dotAVX2(h, x)
	}
	return dot(h, x)
}

func (k kernel) split(dst []float32, stride int, src []int16, arrays int) {
	n := 0
	if k.avx2 && arrays <= 3 {
		n = len(src) / arrays &^ (lanes - 1)
		a := dst[:n]
		switch arrays {
		case 1:
			split1AVX2(a, src)
		case 2:
			split2AVX2(a, dst[stride:][:n], src)
		case 3:
			split3AVX2(a, dst[stride:][:n], dst[2*stride:][:n], src)
		}
	}
	split(dst[n:], stride, src[n*arrays:], arrays)
}

func (k kernel) weave(dst []int16, src []int16, slots int) {
	n := 0
	if k.avx2 && (slots == 2 || slots == 3) {
		n = len(dst) / slots &^ (lanes - 1)
		a, b := src[:n], src[columns:][:n]
		if slots == 2 {
			weave2AVX2(dst, a, b)
		} else {
			weave3AVX2(dst, a, b, src[2*columns:][:n])
		}
	}
	weave(dst[n*slots:], src[n:], slots)
}

func (k kernel) double(dst, x []int16, f *fixed) {
	if k.avx2 {
		doubleAVX2(dst, x, f.terms, f.stages, f.half, f.middle)
		return
	}
	double(dst, x, f)
}

func (k kernel) halve(dst, x []int16, f *fixed) {
	if k.avx2 {
		halveAVX2(dst, x, f.terms, f.stages, f.half)
		return
	}
	halve(dst, x, f)
}

// The arguments of these are those of the functions in kernel.go, and what is in
// a fixed. They check no bounds; lengths are multiples of lanes.

//go:noescape
func convolveAVX2(dst []int16, x, h []float32, off []int32)

//go:noescape
func foldAVX2(dst []int16, x, h []float32, off []int32)

//go:noescape
func dotAVX2(h, x []float32) float32

//go:noescape
func split1AVX2(dst []float32, src []int16)

//go:noescape
func split2AVX2(a, b []float32, src []int16)

//go:noescape
func split3AVX2(a, b, c []float32, src []int16)

//go:noescape
func weave2AVX2(dst, a, b []int16)

//go:noescape
func weave3AVX2(dst, a, b, c []int16)

//go:noescape
func doubleAVX2(dst, x []int16, terms []term, stages []stage, half int32, middle int)

//go:noescape
func halveAVX2(dst, x []int16, terms []term, stages []stage, half int32)
