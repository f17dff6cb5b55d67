package engine

import (
	"math"
	"sync/atomic"

	"github.com/mixminus/mixminus/engine/mix"
)

// Member is a leg in a room. Methods are safe for concurrent use.
type Member struct {
	// Static after construction.
	room  *Room
	leg   *Leg
	rawID []byte
	left  chan struct{}

	// Owned by the pacer's turns.
	feed    // what it says
	cushion // of what it hears
	context *Render

	// Atomic.
	gain    atomic.Uint32 // bits of a float32
	muted   atomic.Bool
	whisper atomic.Pointer[Member]
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
	m := &Member{room: r, leg: leg, rawID: []byte(leg.ID()), left: make(chan struct{})}
	m.open(leg, nil)
	m.gain.Store(math.Float32bits(unity))
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
		Frames: m.frames.Load(), Underruns: m.underruns.Load(), Skipped: m.skipped.Load(),
		Refused: m.refused.Load(), TapDropped: m.tap.Dropped(),
	}
}

// next takes the member's next frame into in, with its gain, and reports whether
// there is one.
func (m *Member) next() bool {
	gain := m.Gain()
	if m.muted.Load() {
		gain = 0
	}
	return m.pull(gain)
}

// hear gives the member what the room says to it.
func (m *Member) hear(samples *mix.Samples) { m.push(m.leg.source, samples) }
