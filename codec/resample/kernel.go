package resample

// lanes is how many samples a vector holds.
const lanes = 8

// A kernel is the arithmetic on many samples at once. The zero value is plain
// Go and runs anywhere; best finds the one to use. All give the same result to
// the bit: each product and each sum is rounded to float32 by itself (that is
// what the conversions below are for: without them a compiler may fuse the
// two, and does on arm64), and the order of the sums is fixed.
type kernel struct{ avx2 bool }

// convolve writes len(dst) outputs of one phase: the one at k is the sum of
// h[t]*x[off[t]+k] over all taps t, in their order. len(dst) is a multiple of
// lanes, len(off) == len(h).
func convolve(dst []int16, x, h []float32, off []int32) {
	off = off[:len(h)]
	for len(dst) >= lanes {
		var a, b, c, d, e, f, g, k float32
		for t, h := range h {
			p := (*[lanes]float32)(x[off[t]:])
			a += float32(h * p[0])
			b += float32(h * p[1])
			c += float32(h * p[2])
			d += float32(h * p[3])
			e += float32(h * p[4])
			f += float32(h * p[5])
			g += float32(h * p[6])
			k += float32(h * p[7])
		}
		for i, sum := range [lanes]float32{a, b, c, d, e, f, g, k} {
			dst[i] = round(sum)
		}
		dst, x = dst[lanes:], x[lanes:]
	}
}

// fold is convolve for a phase that reads the same from both ends. h is its
// first half: a tap is multiplied with the sum of two samples, which is exact,
// one as far from the first of off as the other from the last.
func fold(dst []int16, x, h []float32, off []int32) {
	last := len(off) - 1
	for len(dst) >= lanes {
		var a, b, c, d, e, f, g, k float32
		for t, h := range h {
			p, q := (*[lanes]float32)(x[off[t]:]), (*[lanes]float32)(x[off[last-t]:])
			a += float32(h * (p[0] + q[0]))
			b += float32(h * (p[1] + q[1]))
			c += float32(h * (p[2] + q[2]))
			d += float32(h * (p[3] + q[3]))
			e += float32(h * (p[4] + q[4]))
			f += float32(h * (p[5] + q[5]))
			g += float32(h * (p[6] + q[6]))
			k += float32(h * (p[7] + q[7]))
		}
		for i, sum := range [lanes]float32{a, b, c, d, e, f, g, k} {
			dst[i] = round(sum)
		}
		dst, x = dst[lanes:], x[lanes:]
	}
}

// dot is a single output, for rates that do not bring the same phase back soon
// enough for convolve. It has one sum for each lane. len(h) == len(x) is a
// multiple of lanes.
func dot(h, x []float32) float32 {
	var a, b, c, d, e, f, g, k float32
	for len(h) >= lanes && len(x) >= lanes {
		a += float32(h[0] * x[0])
		b += float32(h[1] * x[1])
		c += float32(h[2] * x[2])
		d += float32(h[3] * x[3])
		e += float32(h[4] * x[4])
		f += float32(h[5] * x[5])
		g += float32(h[6] * x[6])
		k += float32(h[7] * x[7])
		h, x = h[lanes:], x[lanes:]
	}
	return ((a + b) + (c + d)) + ((e + f) + (g + k))
}

// round rounds halves away from zero, and keeps within what an int16 can hold.
func round(x float32) int16 {
	switch {
	case x >= 32766.5:
		return 32767
	case x <= -32767.5:
		return -32768
	case x < 0:
		return int16(x - 0.5)
	}
	return int16(x + 0.5)
}

// split deals src out to a number of arrays, which begin a stride apart in
// dst: the first sample to the first array, and so on in turn.
func split(dst []float32, stride int, src []int16, arrays int) {
	if arrays == 1 {
		dst = dst[:len(src)]
		for i, s := range src {
			dst[i] = float32(s)
		}
		return
	}
	for m := range min(arrays, len(src)) {
		to := dst[m*stride:]
		for i, k := m, 0; i < len(src); i, k = i+arrays, k+1 {
			to[k] = float32(src[i])
		}
	}
}

// weave is the way back: it takes a sample of each slot in turn. The slots
// begin columns apart in src.
func weave(dst, src []int16, slots int) {
	if slots == 1 {
		copy(dst, src)
		return
	}
	for s := range min(slots, len(dst)) {
		from := src[s*columns:]
		for i, k := s, 0; i < len(dst); i, k = i+slots, k+1 {
			dst[i] = from[k]
		}
	}
}
