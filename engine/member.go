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

// Member is a leg in a room. Methods are safe for concurrent use.
type Member struct {
	// Static after construction.
	room  *Room
	leg   *Leg
	rawID []byte
	tap   *Tap
	asm   *mix.Assembler // of an unmixed leg, else nil
	left  chan struct{}

	// Owned by the pacer's goroutine.
	queue   memberQueue
	in      mix.Samples // what it says in this tick
	spoke   bool        // in holds something
	playing bool        // enough was queued to begin
	level   float32     // gain at the end of the last frame
	last    int16       // last sample, before the gain
	scratch pcm.Frame
	context *Render
	primed  bool // its source has a cushion

	// Atomic.
	gain    atomic.Uint32 // bits of a float32
	muted   atomic.Bool
	whisper atomic.Pointer[Member]
	n       memberCounters
}

type memberCounters struct {
	frames, underruns, skipped, refused atomic.Int64
}

// MemberStats counts a member's frames of 20 ms in its room.
type MemberStats struct {
	// Frames that were mixed.
	Frames int64 `json:"frames"`
	// Underruns: audio stopped for a tick or more.
	Underruns int64 `json:"underruns"`
	// Skipped frames of a backlog.
	Skipped int64 `json:"skipped"`
	// Refused frames that the member's source had no room for.
	Refused int64 `json:"refused"`
	// TapDropped frames found the member's ring full.
	TapDropped uint64 `json:"tap_dropped"`
}

func newMember(r *Room, leg *Leg) *Member {
	m := &Member{room: r, leg: leg, rawID: []byte(leg.ID()), tap: leg.Tap(memberTap), left: make(chan struct{})}
	m.tap.lat = nil // a room is no consumer whose latency an app sees
	m.gain.Store(math.Float32bits(unity))
	if leg.Channels() == Unmixed {
		m.asm = mix.NewAssembler(leg.cfg.MaxSpeakers)
	}
	return m
}

// Leg that is in the room.
func (m *Member) Leg() *Leg { return m.leg }

// Room in which it is, or was.
func (m *Member) Room() *Room { return m.room }

// Left is closed when the member has left the room.
func (m *Member) Left() <-chan struct{} { return m.left }

// Leave takes the leg out of the room. The app may write its source again.
// Idempotent.
func (m *Member) Leave() { m.room.remove(m) }

// SetGain sets by what the member's samples are multiplied before they are
// mixed: 1 as they are, 0 nothing. Values that are not between 0 and 16 are
// taken for the nearest of them. It takes 20 ms to be reached.
func (m *Member) SetGain(gain float32) {
	if !(gain >= 0) { // also NaN
		gain = 0
	}
	m.gain.Store(math.Float32bits(min(gain, 16)))
}

// Gain returns what SetGain set.
func (m *Member) Gain() float32 { return math.Float32frombits(m.gain.Load()) }

// SetMuted keeps the member from being heard, or lets it be heard again.
func (m *Member) SetMuted(muted bool) { m.muted.Store(muted) }

// Muted returns what SetMuted set.
func (m *Member) Muted() bool { return m.muted.Load() }

// Whisper lets the member be heard by one other only; nil lets it be heard by
// all again. It hears the room in either case.
func (m *Member) Whisper(to *Member) {
	if to == m {
		to = nil
	}
	m.whisper.Store(to)
}

// Stats returns the counters.
func (m *Member) Stats() MemberStats {
	return MemberStats{
		Frames: m.n.frames.Load(), Underruns: m.n.underruns.Load(), Skipped: m.n.skipped.Load(),
		Refused: m.n.refused.Load(), TapDropped: m.tap.Dropped(),
	}
}

// pull takes the member's next frame into in, with its gain, and reports
// whether there is one.
func (m *Member) pull() bool {
	m.spoke = false
	m.drain()
	if !m.playing && m.queue.n < memberTarget {
		return false
	}
	if !m.queue.pop(&m.in) {
		return m.runDry()
	}
	if !m.playing {
		m.playing = true
		m.level = 0 // so that it fades in
	}
	m.n.frames.Add(1)
	m.last = m.in[pcm.FrameSamples-1]
	m.scale()
	m.spoke = true
	return true
}

// drain moves what came into the queue.
func (m *Member) drain() {
	now := Now()
	for f := m.tap.Peek(); f != nil; f = m.tap.Peek() {
		if m.asm == nil {
			m.enqueue(&f.Samples)
		} else {
			m.asm.Push(f, now)
		}
		m.tap.Release()
	}
	for m.asm != nil && m.asm.Pop(&m.scratch, now) {
		m.enqueue(&m.scratch.Samples)
	}
}

func (m *Member) enqueue(samples *mix.Samples) {
	if m.queue.n == memberDepth {
		m.queue.skip(memberDepth - memberTarget)
		m.n.skipped.Add(memberDepth - memberTarget)
	}
	m.queue.push(samples)
}

// runDry lets the last sample fade out.
func (m *Member) runDry() bool {
	m.playing = false
	m.n.underruns.Add(1)
	if m.last == 0 || m.level == 0 {
		return false
	}
	clear(m.in[:])
	for i := range fadeSamples {
		m.in[i] = int16(float32(m.last) * m.level * float32(fadeSamples-i) / fadeSamples)
	}
	m.last, m.level = 0, 0
	m.spoke = true
	return true
}

// scale multiplies in by the gain; where that changes, and where audio begins,
// it gets there step by step.
func (m *Member) scale() {
	target := m.Gain()
	if m.muted.Load() {
		target = 0
	}
	switch {
	case m.level == target && target == unity:
		return
	case m.level == target && target == 0:
		clear(m.in[:])
		return
	}
	step := (target - m.level) / fadeSamples
	for i := range m.in {
		g := target
		if i < fadeSamples {
			g = m.level + step*float32(i)
		}
		m.in[i] = mix.Clamp(int32(math.Round(float64(g * float32(m.in[i])))))
	}
	m.level = target
}

// push gives the member what it hears. The first frames are preceded by some
// silence, so that the peer does not run dry between two ticks.
func (m *Member) push(samples *mix.Samples) {
	if !m.primed || m.leg.source.Depth() == 0 {
		m.primed = true
		m.leg.source.roomWrite(silence[:])
	}
	if n := m.leg.source.roomWrite(samples[:]); n < pcm.FrameSamples {
		m.n.refused.Add(1)
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
