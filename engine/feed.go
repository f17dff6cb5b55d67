package engine

import (
	"math"
	"sync/atomic"

	"github.com/mixminus/mixminus/engine/mix"
	"github.com/mixminus/mixminus/engine/pcm"
)

const (
	// memberTarget is how many frames of a member wait before the first is
	// mixed, and memberDepth how many may wait: more are a backlog, of which
	// the oldest are skipped.
	memberTarget = 2
	memberDepth  = 8
	// memberTap is the size of a member's ring.
	memberTap = 32
	// fadeSamples is how long audio takes to begin or to end: 5 ms.
	fadeSamples = 80
	// unity is a gain of 1.
	unity = float32(1)
)

// feed takes one frame of a leg per turn, however they come: of all its
// speakers, mixed, or of one. Turns are the pacer's.
type feed struct {
	// Static after construction.
	tap *Tap
	asm *mix.Assembler // of all speakers of an unmixed leg, else nil

	// Owned by the pacer's turns.
	queue   memberQueue
	in      mix.Samples // what is said in this turn
	spoke   bool        // in holds something
	playing bool        // enough was queued to begin
	level   float32     // gain at the end of the last frame
	last    int16       // last sample, before the gain
	scratch pcm.Frame

	// Atomic.
	frames, underruns, skipped atomic.Int64
}

// open taps a leg, or the one speaker of it that who is, if that is not nil.
func (f *feed) open(leg *Leg, who *Render) {
	switch {
	case who != nil:
		f.tap = who.Tap(memberTap)
	case leg.Channels() == Unmixed:
		f.asm = mix.NewAssembler(leg.cfg.MaxSpeakers)
		fallthrough
	default:
		f.tap = leg.Tap(memberTap)
	}
	f.tap.lat = nil // it is no consumer whose latency an app sees
}

// pull takes the next frame into in, multiplied by gain, and reports whether
// there is one.
func (f *feed) pull(gain float32) bool {
	f.spoke = false
	f.drain()
	if !f.playing && f.queue.n < memberTarget {
		return false
	}
	if !f.queue.pop(&f.in) {
		return f.runDry()
	}
	if !f.playing {
		f.playing = true
		f.level = 0 // so that it fades in
	}
	f.frames.Add(1)
	f.last = f.in[pcm.FrameSamples-1]
	f.scale(gain)
	f.spoke = true
	return true
}

// drain moves what came into the queue.
func (f *feed) drain() {
	now := Now()
	for in := f.tap.Peek(); in != nil; in = f.tap.Peek() {
		if f.asm == nil {
			f.enqueue(&in.Samples)
		} else {
			f.asm.Push(in, now)
		}
		f.tap.Release()
	}
	for f.asm != nil && f.asm.Pop(&f.scratch, now) {
		f.enqueue(&f.scratch.Samples)
	}
}

func (f *feed) enqueue(samples *mix.Samples) {
	if f.queue.n == memberDepth {
		f.queue.skip(memberDepth - memberTarget)
		f.skipped.Add(memberDepth - memberTarget)
	}
	f.queue.push(samples)
}

// runDry lets the last sample fade out.
func (f *feed) runDry() bool {
	f.playing = false
	f.underruns.Add(1)
	if f.last == 0 || f.level == 0 {
		return false
	}
	clear(f.in[:])
	for i := range fadeSamples {
		f.in[i] = int16(float32(f.last) * f.level * float32(fadeSamples-i) / fadeSamples)
	}
	f.last, f.level = 0, 0
	f.spoke = true
	return true
}

// scale multiplies in by the gain; where that changes, and where audio begins,
// it gets there step by step.
func (f *feed) scale(target float32) {
	switch {
	case f.level == target && target == unity:
		return
	case f.level == target && target == 0:
		clear(f.in[:])
		return
	}
	step := (target - f.level) / fadeSamples
	for i := range f.in {
		g := target
		if i < fadeSamples {
			g = f.level + step*float32(i)
		}
		f.in[i] = mix.Clamp(int32(math.Round(float64(g * float32(f.in[i])))))
	}
	f.level = target
}

// cushion lets a source that is written once in a turn not run dry between two.
type cushion struct {
	primed bool // owned by the pacer's turns

	refused atomic.Int64
}

// push writes a frame. The first is preceded by some silence, and so is one that
// finds nothing left to play.
func (c *cushion) push(s *Source, samples *mix.Samples) {
	if !c.primed || s.Depth() == 0 {
		c.primed = true
		s.roomWrite(silence[:])
	}
	if n := s.roomWrite(samples[:]); n < pcm.FrameSamples {
		c.refused.Add(1)
	}
}

var silence [memberTarget * pcm.FrameSamples]int16

// memberQueue is a short queue of frames. The zero value is empty.
type memberQueue struct {
	frames  [memberDepth]mix.Samples
	head, n int
}

func (q *memberQueue) push(f *mix.Samples) {
	q.frames[(q.head+q.n)%memberDepth] = *f
	q.n++
}

func (q *memberQueue) pop(f *mix.Samples) bool {
	if q.n == 0 {
		return false
	}
	*f = q.frames[q.head]
	q.skip(1)
	return true
}

func (q *memberQueue) skip(k int) {
	q.head = (q.head + k) % memberDepth
	q.n -= k
}
