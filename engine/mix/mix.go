// Package mix adds audio up: the sum of many inputs, the sum for each
// listener of everybody else (a mix-minus), and one live stream out of the
// streams of several speakers.
//
// Sums are exact until the end: only what leaves is clamped to 16 bits, so a
// mix-minus equals the mix without that member even where the mix of all
// clips. N mix-minuses cost N additions and N subtractions of a frame.
//
// The package never reads a clock, starts a goroutine or allocates after
// construction, and never scales, fades or delays a sample.
package mix

import "github.com/mixminus/mixminus/engine/pcm"

// Samples are those of one frame.
type Samples = [pcm.FrameSamples]int16

// MaxInputs is how many inputs a Sum holds exactly.
const MaxInputs = 1<<16 - 2

// Sum is the sum of the inputs added to it. The zero Sum is empty and ready.
//
// It works on four samples at a time, as Go's compiler does not vectorise: a
// word of four samples is split into two words of two 32-bit lanes, the
// samples 0 and 2 (even) and 1 and 3 (odd). Samples are biased by 32,768 to
// 0…65,535, so that no addition of one lane ever carries or borrows into the
// other; 65,534 inputs cannot overflow a lane.
type Sum struct {
	even, odd [pcm.FrameSamples / 4]uint64
	n         int
}

const (
	ones  = 1<<32 | 1      // one in both lanes
	low   = 0xffff * ones  // the 16 bits of a sample in both lanes
	top   = 1 << 31 * ones // the top bit of both lanes
	signs = 0x8000_8000_8000_8000
)

// Reset empties the sum.
func (s *Sum) Reset() { *s = Sum{} }

// Inputs returns how many inputs were added.
func (s *Sum) Inputs() int { return s.n }

// Add adds an input. More than MaxInputs of them overflow.
func (s *Sum) Add(in *Samples) {
	for i := range s.even {
		x := load((*[4]int16)(in[4*i:])) ^ signs
		s.even[i] += x & low
		s.odd[i] += x >> 16 & low
	}
	s.n++
}

// Mix stores the sum of all inputs in dst, clamped.
func (s *Sum) Mix(dst *Samples) {
	base := s.base(s.n)
	for i := range s.even {
		even, odd := s.even[i]+base, s.odd[i]+base
		if clips(even, odd) {
			even, odd = clampLanes(even), clampLanes(odd)
		}
		store((*[4]int16)(dst[4*i:]), even, odd)
	}
}

// MixMinus stores the sum of all inputs but in, which must be one of them, in
// dst, clamped. dst may be in itself.
func (s *Sum) MixMinus(dst, in *Samples) {
	base := s.base(s.n - 1)
	for i := range s.even {
		x := load((*[4]int16)(in[4*i:])) ^ signs
		even, odd := s.even[i]+base-x&low, s.odd[i]+base-x>>16&low
		if clips(even, odd) {
			even, odd = clampLanes(even), clampLanes(odd)
		}
		store((*[4]int16)(dst[4*i:]), even, odd)
	}
}

// base returns what turns a sum of n biased samples into the sum biased once,
// plus 2³¹: the top bit of a lane then says that the value is not negative.
func (s *Sum) base(n int) uint64 { return uint64(1<<31-int64(n-1)<<15) * ones }

// load returns four samples as one word; the compiler makes it one load.
func load(p *[4]int16) uint64 {
	return uint64(uint16(p[0])) | uint64(uint16(p[1]))<<16 | uint64(uint16(p[2]))<<32 | uint64(uint16(p[3]))<<48
}

// store stores the low 16 bits of the lanes as four samples; the compiler
// makes it one store.
func store(p *[4]int16, even, odd uint64) {
	x := (even&low | odd<<16&^low) ^ signs
	p[0], p[1], p[2], p[3] = int16(x), int16(x>>16), int16(x>>32), int16(x>>48)
}

// clips reports whether a lane, biased by 2³¹, lies outside 0…65,535: one
// test for four samples, which hardly ever clip.
func clips(even, odd uint64) bool { return ((even^top)|(odd^top))&^low != 0 }

// clampLanes clamps both lanes of x, biased by 2³¹, to 0…65,535.
func clampLanes(x uint64) uint64 {
	positive := x >> 31 & ones                 // 1 in a lane that is not negative
	above := x >> 16 & (0x7fff * ones)         // not 0 in a lane above 65,535,
	above = (above + 0x7fff*ones) >> 15 & ones // now 1
	return (x | (above<<16 - above)) & (positive<<16 - positive)
}

// Clamp limits v to 16 bits.
func Clamp(v int32) int16 { return int16(min(max(v, -1<<15), 1<<15-1)) }
