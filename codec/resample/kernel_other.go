//go:build !amd64 || purego

package resample

func best() kernel { return kernel{} }

func (kernel) convolve(dst []int16, x, h []float32, off []int32) { convolve(dst, x, h, off) }

func (kernel) fold(dst []int16, x, h []float32, off []int32) { fold(dst, x, h, off) }

func (kernel) dot(h, x []float32) float32 { return dot(h, x) }

func (kernel) split(dst []float32, stride int, src []int16, arrays int) {
	split(dst, stride, src, arrays)
}

func (kernel) weave(dst, src []int16, slots int) { weave(dst, src, slots) }

func (kernel) double(dst, x []int16, f *fixed) { double(dst, x, f) }

func (kernel) halve(dst, x []int16, f *fixed) { halve(dst, x, f) }
