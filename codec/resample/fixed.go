package resample

import (
	"math"
	"slices"
)

const (
	// group is how many sums the kernels of a fixed make at a time.
	group = 16
	// widest is the longest window of a fixed.
	widest = 2 * tapsDown
)

// places are the binary places of the coefficients of each stage. Of those of
// the last, the remainders are terms of the first.
var places = [...]int{19, 17, 14}

// A fixed is the filter of a rate that doubles or halves, in 32 bit integers:
// no sum depends on its order, and samples need not become anything else first.
//
// When the rate doubles it is a half-band filter: every other output is an
// input sample as it is, and sums are made for the others only.
type fixed struct {
	window int     // samples that a sum is of
	step   int     // from the window of one sum to the next: 1 or 2 samples
	middle int     // the sample of a window that is passed on, if step is 1
	terms  []term  // in the order of stages
	stages []stage // from the finest to the coarsest
	half   int32   // half a step of the output, at the first stage
	work   []int16 // history and a block
}

// A term is two coefficients, and where in the window their samples are.
type term struct {
	at int32
	h  [2]int16
}

// A stage is terms of as many binary places, which the sum loses after them by
// shifting to have those of the next. So small coefficients are as exact as
// large ones, and yet the sum never leaves 32 bits: only at the last stage may
// it be as large as the filter can make it.
type stage struct{ terms, shift int32 }

// newFixed makes one of the phases of design, for blocks of so many samples.
func newFixed(up int, phases []phase, block int) *fixed {
	h := phases[0].h
	// Vectors read beyond the last window by what is left of a group.
	f := &fixed{window: len(h), step: 1, middle: len(h) / 2, work: make([]int16, len(h)+block+2*group)}
	if up == 1 {
		f.step = 2
	}
	f.quantize(h)
	return f
}

// quantize makes terms and stages of the coefficients, whose sum stays 1. It
// goes from the ends of the filter, where they are small, to its middle.
func (f *fixed) quantize(h []float32) {
	var fine []term // what coarse terms leave out
	var most float64
	left, finest, coarsest := 1.0, places[0], places[len(places)-1]
	f.half = 1 << (finest - 1)
	f.stages = make([]stage, len(places))
	s := 0
	for _, at := range outsideIn(h) {
		a, b := float64(h[at]), float64(h[at+1])
		most += math.Abs(a) + math.Abs(b)
		for math.Ldexp(max(most, 2*math.Abs(a), 2*math.Abs(b))+1e-3, places[s]) > 1<<16 {
			s++ // else the loudest samples overflow the sum, or a coefficient 16 bits
		}
		t := newTerm(at, a, b, places[s])
		f.terms = append(f.terms, t)
		f.stages[s].terms++
		a, b = a-t.value(0, places[s]), b-t.value(1, places[s])
		left -= t.value(0, places[s]) + t.value(1, places[s])
		if places[s] == coarsest {
			t = newTerm(at, a, b, finest)
			fine = append(fine, t)
			left -= t.value(0, finest) + t.value(1, finest)
		}
	}
	// What is missing in the sum goes to the middle.
	fine[len(fine)-1].h[1] += newTerm(0, 0, left, finest).h[1]
	f.terms = slices.Insert(f.terms, int(f.stages[0].terms), fine...)
	f.stages[0].terms += int32(len(fine))
	for s := range f.stages {
		next := 0
		if s+1 < len(places) {
			next = places[s+1]
		}
		f.stages[s].shift = int32(places[s] - next)
	}
}

// newTerm rounds two coefficients to so many binary places.
func newTerm(at int32, a, b float64, places int) term {
	q := func(h float64) int16 { return int16(math.Round(math.Ldexp(h, places))) }
	return term{at, [2]int16{q(a), q(b)}}
}

func (t term) value(i, places int) float64 { return math.Ldexp(float64(t.h[i]), -places) }

// outsideIn returns where the pairs of h begin: first, last, second, last but
// one, and so on. Zeros of the oldest samples are not among them, else the
// middle would not come last.
func outsideIn(h []float32) (at []int32) {
	a, b := 0, len(h)-2
	for h[a] == 0 && h[a+1] == 0 {
		a += 2
	}
	for ; a <= b; a, b = a+2, b-2 {
		at = append(at, int32(a))
		if a < b {
			at = append(at, int32(b))
		}
	}
	return at
}

// filter writes the outputs from the window on that begins at x.
func (f *fixed) filter(k kernel, dst, x []int16) {
	outputs := 2 * group / f.step
	whole := len(dst) - len(dst)%outputs
	f.groups(k, dst[:whole], x)
	if whole < len(dst) {
		var last [2 * group]int16
		f.groups(k, last[:outputs], x[whole/outputs*group*f.step:])
		copy(dst[whole:], last[:])
	}
}

func (f *fixed) groups(k kernel, dst, x []int16) {
	if f.step == 1 {
		k.double(dst, x, f)
	} else {
		k.halve(dst, x, f)
	}
}

// double writes a sum and a sample that is passed on, by turns. len(dst) is a
// multiple of two groups.
func double(dst, x []int16, f *fixed) {
	var twins [widest + group/2]int64
	for len(dst) >= 2*group {
		pair(twins[:f.window+group/2-1], x, x[group/2:])
		for k := 0; k < group/2; k += 4 {
			a, b, c, d := f.begin()
			terms := f.terms
			for _, s := range f.stages {
				for _, t := range terms[:s.terms] {
					p, h, g := (*[5]int64)(twins[k+int(t.at):]), int64(t.h[0]), int64(t.h[1])
					a += h*p[0] + g*p[1]
					b += h*p[1] + g*p[2]
					c += h*p[2] + g*p[3]
					d += h*p[3] + g*p[4]
				}
				terms = terms[s.terms:]
				a, b, c, d = shift(a, s.shift), shift(b, s.shift), shift(c, s.shift), shift(d, s.shift)
			}
			for i, sum := range [4]int64{a, b, c, d} {
				i += k
				dst[2*i], dst[2*i+group] = part(sum)
				dst[2*i+1], dst[2*i+1+group] = x[f.middle+i], x[f.middle+i+group/2]
			}
		}
		dst, x = dst[2*group:], x[group:]
	}
}

// halve writes the sums of every other window. len(dst) is a multiple of a
// group.
func halve(dst, x []int16, f *fixed) {
	var twins [widest + group]int64
	for len(dst) >= group {
		pair(twins[:f.window+group-2], x, x[group:])
		for k := 0; k < group/2; k += 4 {
			a, b, c, d := f.begin()
			terms := f.terms
			for _, s := range f.stages {
				for _, t := range terms[:s.terms] {
					p, h, g := (*[8]int64)(twins[2*k+int(t.at):]), int64(t.h[0]), int64(t.h[1])
					a += h*p[0] + g*p[1]
					b += h*p[2] + g*p[3]
					c += h*p[4] + g*p[5]
					d += h*p[6] + g*p[7]
				}
				terms = terms[s.terms:]
				a, b, c, d = shift(a, s.shift), shift(b, s.shift), shift(c, s.shift), shift(d, s.shift)
			}
			for i, sum := range [4]int64{a, b, c, d} {
				dst[k+i], dst[k+i+group/2] = part(sum)
			}
		}
		dst, x = dst[group:], x[2*group:]
	}
}

// pair puts two samples into one integer, so that plain Go makes two sums with
// one multiplication.
func pair(twins []int64, x, y []int16) {
	x, y = x[:len(twins)], y[:len(twins)]
	for i := range twins {
		twins[i] = int64(x[i]) + int64(y[i])<<32
	}
}

// begin returns half a step in both sums of each.
func (f *fixed) begin() (a, b, c, d int64) {
	half := int64(f.half) + int64(f.half)<<32
	return half, half, half, half
}

// shift cuts places off both sums.
func shift(sum int64, places int32) int64 {
	low := int64(int32(sum))
	return low>>places + (sum-low)>>32>>places<<32
}

// part returns both sums as samples.
func part(sum int64) (low, high int16) {
	l := int32(sum)
	return clamp(int64(l)), clamp((sum - int64(l)) >> 32)
}

func clamp(x int64) int16 { return int16(max(-32768, min(32767, x))) }
