package signal

import (
	"fmt"
	"math"
)

// Likeness is the result of Liken.
type Likeness struct {
	// At is where the reference lies in what was got; negative if that begins
	// in its middle.
	At int
	// Score is the correlation of all whole blocks, each at its own place.
	Score float64
	// Blocks of 200 ms in which the reference speaks, and how many of them are
	// Alike: correlated by more than 0.9.
	Blocks, Alike int
	// Wander is by how many samples the places of blocks differ at most, from
	// the earliest to the latest: a jitter buffer on the way moves them.
	Wander int
	// Silence is the longest stretch, in samples, in which the reference speaks
	// and nothing is to be heard. Its own pauses do not count, and do not
	// interrupt.
	Silence int
}

// Share returns which part of the blocks is alike, 0 if there is none.
func (l Likeness) Share() float64 {
	if l.Blocks == 0 {
		return 0
	}
	return float64(l.Alike) / float64(l.Blocks)
}

func (l Likeness) String() string {
	return fmt.Sprintf("at %d, correlation %.3f, %d of %d blocks alike, wandering by %d ms, %d ms silent at most",
		l.At, l.Score, l.Alike, l.Blocks, l.Wander*1000/SampleRate, l.Silence*1000/SampleRate)
}

const (
	// alikeBlock is long enough to hold a syllable, short enough to be lost
	// whole with a few packets.
	alikeBlock = SampleRate / 5
	alikeScore = 0.9
	// A block lies near the one before it: what shortens or lengthens speech
	// does so by pitch periods. If it does not, the second that it begins is
	// looked for as far as a jitter buffer may jump.
	alikeNear = SampleRate / 50
	alikeFar  = 2 * SampleRate / 5
	// found is the correlation of a second of speech with itself after a bad
	// way, and far above that with anything else.
	found = 0.5

	// Speech is what is above speaks in dBFS; hushed is below what any codec
	// makes of the noise in a pause.
	speaks, hushed = -45, -65
	hushFrame      = SampleRate / 100

	// What is aligned at first, at most: a transform of 2^22 points.
	longRef, longGot = 60 * SampleRate, 90 * SampleRate
)

// Liken compares got with ref where samples cannot be equal: codecs, lost
// packets and a jitter buffer lie between. Every block of ref is looked for near
// the place of the one before, so that a delay that changes costs the block in
// which it does, and no other.
//
// Of signals longer than a minute, the first minute of ref is looked for in the
// first minute and a half of got.
func Liken(ref, got []int16) Likeness {
	var l Likeness
	l.At, _ = Align(ref[:min(len(ref), longRef)], got[:min(len(got), longGot)])
	at, first, last := l.At, l.At, l.At
	var ab, aa, bb float64
	hush := 0
	for i := 0; i+alikeBlock <= len(ref); i += alikeBlock {
		block := ref[i : i+alikeBlock]
		if Level(block) > speaks {
			l.Blocks++
			place, score := near(ref, got, i, at)
			if score > alikeScore {
				l.Alike++
				at = place
				first, last = min(first, at), max(last, at)
			}
		}
		part := excerpt(got, at+i, alikeBlock)
		for j, s := range block {
			x, y := float64(s), float64(part[j])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		for j := 0; j < alikeBlock; j += hushFrame {
			if Level(part[j:j+hushFrame]) > hushed {
				hush = 0
			} else if Level(block[j:j+hushFrame]) > speaks {
				hush += hushFrame
				l.Silence = max(l.Silence, hush)
			}
		}
	}
	if aa > 0 && bb > 0 {
		l.Score = ab / math.Sqrt(aa*bb)
	}
	l.Wander = last - first
	return l
}

// near finds the place of the block at ref[i], if those before it lay at at:
// got[place+i] is its first sample.
func near(ref, got []int16, i, at int) (place int, score float64) {
	block := ref[i : i+alikeBlock]
	place, score = within(block, got, at+i, alikeNear)
	if score > alikeScore {
		return place - i, score
	}
	second := ref[i:min(i+SampleRate, len(ref))]
	if far, s := within(second, got, at+i, alikeFar); s > found {
		if p, s := within(block, got, far, alikeNear); s > score {
			place, score = p, s
		}
	}
	return place - i, score
}

// within finds part in got, no further than reach from at.
func within(part, got []int16, at, reach int) (place int, score float64) {
	window := excerpt(got, at-reach, len(part)+2*reach)
	shift, _ := Align(part, window)
	shift = max(0, min(shift, 2*reach))
	return at - reach + shift, Correlate(part, window[shift:])
}

// excerpt returns n samples of pcm from at on, zeros where it has none.
func excerpt(pcm []int16, at, n int) []int16 {
	if at >= 0 && at+n <= len(pcm) {
		return pcm[at : at+n]
	}
	out := make([]int16, n)
	if from := max(at, 0); from < min(at+n, len(pcm)) {
		copy(out[from-at:], pcm[from:min(at+n, len(pcm))])
	}
	return out
}
