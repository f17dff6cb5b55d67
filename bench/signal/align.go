package signal

import (
	"math"
	"math/cmplx"
)

// Correlate returns the normalised correlation of a and b, laid one upon the
// other, over the length of the shorter: 1 for the same shape at any level, -1
// for its inverse, near 0 for signals that have nothing to do with each other,
// 0 if either is silent.
func Correlate(a, b []int16) float64 {
	n := min(len(a), len(b))
	var ab, aa, bb float64
	for i := range n {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// Align finds ref inside got, to the sample, whatever its level: got[at] is
// where ref[0] lies best. at is negative if got begins in the middle of ref.
// score is the correlation there, 1 for a faithful copy; where got and ref
// overlap only in part it counts what hangs out as not alike. Where samples are
// missing on the way, it finds the place of the larger part. The first place
// wins among equals, so a looped signal is found at its first round. If either
// is silent or empty, at and score are 0.
//
// The signal must be alike itself in one place only: speech, noise or a chirp,
// not a steady tone or a ramp.
func Align(ref, got []int16) (at int, score float64) {
	if len(got) < len(ref) {
		at, score = align(got, ref)
		return -at, score
	}
	return align(ref, got)
}

// align slides the shorter signal, in all its energy, over the longer one.
// Only the part of the longer one that lies under it counts for the level:
// else a louder place would beat the right one.
func align(short, long []int16) (at int, score float64) {
	total, under := energy(short), energy(long)
	whole := total[len(short)]
	if whole == 0 || under[len(long)] == 0 {
		return 0, 0
	}
	r := crossCorrelation(short, long)
	best := math.Inf(-1)
	for lag := -len(short) + 1; lag < len(long); lag++ {
		e := under[min(lag+len(short), len(long))] - under[max(lag, 0)]
		if e == 0 {
			continue
		}
		s := real(r[(lag+len(r))%len(r)]) / math.Sqrt(whole*e)
		if s > best+tie {
			best, at = s, lag
		}
	}
	return at, math.Min(best, 1)
}

// tie is more than the rounding of the transforms, and less than one sample's
// displacement costs any signal that may be aligned.
const tie = 1e-7

// energy returns the running sum of squares: e[j]-e[i] is that of pcm[i:j].
func energy(pcm []int16) []float64 {
	e := make([]float64, len(pcm)+1)
	for i, s := range pcm {
		e[i+1] = e[i] + float64(s)*float64(s)
	}
	return e
}

// crossCorrelation returns r with r[k mod len(r)] = sum of a[i]*b[i+k].
func crossCorrelation(a, b []int16) []complex128 {
	n := 1
	for n < len(a)+len(b) {
		n *= 2
	}
	fa, fb := make([]complex128, n), make([]complex128, n)
	for i, s := range a {
		fa[i] = complex(float64(s), 0)
	}
	for i, s := range b {
		fb[i] = complex(float64(s), 0)
	}
	transform(fa)
	transform(fb)
	// The inverse transform is the conjugate of the transform of the conjugate.
	for i := range fa {
		fa[i] = cmplx.Conj(cmplx.Conj(fa[i])*fb[i]) / complex(float64(n), 0)
	}
	transform(fa)
	return fa
}

// transform is the discrete Fourier transform in place; len(x) is a power of
// two (Cooley and Tukey, radix 2).
func transform(x []complex128) {
	n := len(x)
	for i, j := 1, 0; i < n; i++ { // bit reversal
		bit := n >> 1
		for ; j&bit != 0; bit >>= 1 {
			j ^= bit
		}
		j ^= bit
		if i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	root := make([]complex128, n/2)
	for i := range root {
		root[i] = cmplx.Rect(1, -2*math.Pi*float64(i)/float64(n))
	}
	for size := 2; size <= n; size *= 2 {
		half, step := size/2, n/size
		for lo := 0; lo < n; lo += size {
			for k := range half {
				a, b := x[lo+k], x[lo+k+half]*root[k*step]
				x[lo+k], x[lo+k+half] = a+b, a-b
			}
		}
	}
}
