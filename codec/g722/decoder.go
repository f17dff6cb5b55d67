package g722

import "math"

// Decoder holds the adaptive state of one stream. It is not safe for
// concurrent use.
type Decoder struct {
	low, high band
	// The sums and differences of the two bands, newest last, that the mirror
	// filters make samples of.
	sum, diff [taps]int32
}

// NewDecoder returns a decoder in the initial state of G.722.
func NewDecoder() *Decoder {
	return &Decoder{low: band{det: 32}, high: band{det: 8}}
}

// Decode decodes as many bytes of src as dst has room for, two samples each,
// and returns the number of samples written. What is louder than a sample can
// be is clipped.
func (d *Decoder) Decode(dst []int16, src []byte) int {
	n := min(len(src), len(dst)/SamplesPerByte)
	for i, code := range src[:n] {
		low := d.low.decodeLow(int32(code & 0x3f))
		high := d.high.decodeHigh(int32(code >> 6))
		copy(d.sum[:], d.sum[1:])
		copy(d.diff[:], d.diff[1:])
		d.sum[taps-1], d.diff[taps-1] = low+high, low-high
		dst[2*i], dst[2*i+1] = d.mirror()
	}
	return n * SamplesPerByte
}

// taps of each of the two quadrature mirror filters, table 11 of the
// Recommendation. One is the other backwards.
const taps = 12

var mirror = [taps]int32{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11}

func (d *Decoder) mirror() (first, second int16) {
	var a, b int32
	for i, m := range &mirror {
		a += m * d.diff[taps-1-i]
		b += m * d.sum[i]
	}
	return int16(clip(a>>11, math.MaxInt16)), int16(clip(b>>11, math.MaxInt16))
}

// band is the adaptive quantizer and predictor of one of the two bands. Names
// are those of section 6.2 of the Recommendation: arithmetic of 16 bits, that
// saturates.
type band struct {
	nb, det int32    // the step, as a logarithm and as it is
	a       [2]int32 // poles
	b       [6]int32 // zeros
	s, sz   int32    // what is predicted: by both, and by the zeros alone
	d       [6]int32 // twice the differences before, newest first
	r       int32    // twice the signal before
	p       [2]bool  // whether the partial signals before were negative
}

// decodeLow takes the six bits of the lower band.
func (b *band) decodeLow(code int32) int32 {
	out := clip(b.s+b.det*inverse6[code]>>15, 1<<14-1)
	index := code >> 2 // adaptation goes by the four bits that are never robbed
	d := b.det * inverse4[index] >> 15
	b.adapt(stepLow[index], 18432, 8)
	b.predict(d)
	return out
}

// decodeHigh takes the two bits of the higher band.
func (b *band) decodeHigh(code int32) int32 {
	d := b.det * inverse2[code] >> 15
	out := clip(b.s+d, 1<<14-1)
	b.adapt(stepHigh[code], 22528, 10)
	b.predict(d)
	return out
}

// adapt makes the step of the quantizer longer or shorter: blocks LOGSCL and
// SCALEL, LOGSCH and SCALEH.
func (b *band) adapt(step, most, shift int32) {
	b.nb = max(0, min(most, b.nb*127>>7+step))
	det := antilog[b.nb>>6&31]
	if shift -= b.nb >> 11; shift < 0 {
		det <<= -shift
	} else {
		det >>= shift
	}
	b.det = det << 2
}

// predict takes the quantized difference d into account for the next sample:
// block 4.
func (b *band) predict(d int32) {
	r := clip(2*clip(b.s+d, math.MaxInt16), math.MaxInt16)
	negative := b.sz+d < 0

	// UPPOL2 and UPPOL1.
	a1 := clip(b.a[0]<<2, math.MaxInt16)
	if negative == b.p[0] {
		a1 = min(-a1, math.MaxInt16)
	}
	a2 := a1>>7 + b.a[1]*32512>>15
	if negative == b.p[1] {
		a2 += 128
	} else {
		a2 -= 128
	}
	a2 = max(-12288, min(12288, a2))
	a1 = b.a[0] * 32640 >> 15
	if negative == b.p[0] {
		a1 += 192
	} else {
		a1 -= 192
	}
	b.a = [2]int32{max(a2-15360, min(15360-a2, a1)), a2}
	b.p = [2]bool{negative, b.p[0]}

	// UPZERO, DELAYA and FILTEZ.
	step := int32(128)
	if d == 0 {
		step = 0
	}
	d2 := clip(2*d, math.MaxInt16)
	b.sz = 0
	newest := d2
	for i := range b.b {
		older := b.d[i]
		// 1 if the signs are the same, else -1.
		b.b[i] = b.b[i]*32640>>15 + step*(1|(older^d)>>31)
		b.sz += b.b[i] * newest >> 15
		b.d[i], newest = newest, older
	}
	b.sz = clip(b.sz, math.MaxInt16)

	// FILTEP and PREDIC.
	sp := clip(b.a[0]*r>>15+b.a[1]*b.r>>15, math.MaxInt16)
	b.r = r
	b.s = clip(sp+b.sz, math.MaxInt16)
}

// clip bounds x by most and -most-1.
func clip(x, most int32) int32 { return max(-most-1, min(most, x)) }
