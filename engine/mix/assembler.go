package mix

import (
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

const (
	// Hold is how long a slot stays open after its first frame arrived, if
	// an active speaker keeps it waiting.
	Hold = 60 * time.Millisecond

	// Window is how many slots may be open at once, the newest included.
	// A frame beyond it closes the oldest ones.
	Window = 32

	// activeSlots: who delivered in one of that many slots before a slot is
	// waited for in it.
	activeSlots = 3

	defaultSpeakers = 64
)

// Assembler makes one live stream out of the streams of several speakers:
// frames come in as they arrive, and one mixed frame goes out per 20 ms slot
// of the leg's clock (the frame's Timestamp).
//
// A slot closes when every active speaker has delivered its frame for it or a
// later one, or Hold after its first frame arrived, or when the frames run
// Window slots ahead. A speaker is active in a slot if it delivered one of
// the three before. Slots close in order; a frame whose slot has closed is
// left out and counted. A slot for which nobody delivered a frame is not
// emitted: the next frame is flagged.
//
// It knows no clock: now is the caller's, in nanoseconds, and must not go
// back. After each Push, and when the Deadline has come, the caller calls Pop
// until it returns false. One goroutine at a time.
type Assembler struct {
	// pool holds the pending slots: those open, and those that closed and
	// wait for Pop. order indexes it: first the pending ones, by rising
	// number, then the free ones. When all that closed is popped after each
	// Push, no more than Window+1 are ever pending.
	pool    [Window + 1]slot
	order   [Window + 1]uint8
	pending int

	floor  int64 // slots below have closed
	newest int64 // the highest slot for which a frame came

	speakers []speaker

	seq     uint32
	emitted int64 // last slot that Pop returned, -1 before the first
	late    uint64
}

// slot is the mix of one slot while it is being put together.
type slot struct {
	sum      Sum
	number   int64     // Timestamp / TicksPerFrame
	deadline int64     // in ns: its first frame's arrival plus Hold
	arrival  int64     // the latest Arrival of its frames
	lost     uint32    // the largest Lost of its frames
	flags    pcm.Flags // Silence, if all its frames have it
}

// speaker is somebody who delivered lately.
type speaker struct {
	id   uint32
	last int64 // the highest slot that it delivered, late or not
}

// NewAssembler returns an assembler that waits for up to speakers of them at
// a time (less than 1: 64). The frames of more are mixed, but not waited for.
func NewAssembler(speakers int) *Assembler {
	if speakers < 1 {
		speakers = defaultSpeakers
	}
	a := &Assembler{
		newest:   -1,
		emitted:  -1,
		speakers: make([]speaker, 0, speakers),
	}
	for i := range a.order {
		a.order[i] = uint8(i)
	}
	return a
}

// Push adds a frame to its slot. It copies what it needs. A frame whose slot
// has closed, or that is not later than its speaker's last, is counted in
// Late and has no other effect than that its speaker is waited for.
func (a *Assembler) Push(f *pcm.Frame, now int64) {
	number := f.Timestamp / pcm.TicksPerFrame
	if number > a.newest {
		a.newest = number
		a.floor = max(a.floor, number-(Window-1))
	}
	if f.Timestamp < 0 || !a.deliver(f.Speaker, number) || number < a.floor {
		a.late++
		return
	}
	s := a.slot(number, now)
	s.sum.Add(&f.Samples)
	s.arrival = max(s.arrival, f.Arrival)
	s.lost = max(s.lost, f.Lost)
	s.flags &= f.Flags
}

// Pop stores the oldest slot that has closed in out and reports whether there
// was one. Of out every field is set: Speaker is 0, Seq counts the mixed
// frames, Arrival is that of the last frame mixed in. Behind slots that nobody
// filled it has AfterGap and Lost, as far as its speakers lost audio there,
// and AfterDTX otherwise.
func (a *Assembler) Pop(out *pcm.Frame, now int64) bool {
	if a.pending == 0 {
		return false
	}
	s := a.at(0)
	if s.number >= a.floor && !a.complete(s.number) && now < a.deadline() {
		return false
	}
	s.sum.Mix(&out.Samples)
	out.Timestamp = s.number * pcm.TicksPerFrame
	out.Arrival = s.arrival
	out.Seq = a.seq
	out.Speaker = 0
	out.Flags = s.flags
	out.Lost = 0
	a.markJump(out, s)

	a.seq++
	a.emitted = s.number
	a.floor = max(a.floor, s.number+1)
	a.removeOldest()
	return true
}

// markJump flags out if slots between it and the last one stayed empty.
func (a *Assembler) markJump(out *pcm.Frame, s *slot) {
	if a.emitted < 0 {
		return
	}
	empty := s.number - a.emitted - 1
	if lost := min(int64(s.lost), empty); lost > 0 {
		out.Flags |= pcm.AfterGap
		out.Lost = uint32(lost)
		empty -= lost
	}
	if empty > 0 {
		out.Flags |= pcm.AfterDTX
	}
}

// Deadline returns, after a Pop that returned false, when Pop will return
// true if no frame comes before; ok is false if nothing is pending.
func (a *Assembler) Deadline() (at int64, ok bool) {
	if a.pending == 0 {
		return 0, false
	}
	return a.deadline(), true
}

// Late returns the number of frames that missed their slot, which closed
// without them.
func (a *Assembler) Late() uint64 { return a.late }

// at returns the i-th oldest pending slot.
func (a *Assembler) at(i int) *slot { return &a.pool[a.order[i]] }

// deadline returns when the oldest slot closes whatever comes: as slots close
// in order, with the earliest deadline of all.
func (a *Assembler) deadline() int64 {
	at := a.at(0).deadline
	for i := 1; i < a.pending; i++ {
		at = min(at, a.at(i).deadline)
	}
	return at
}

// slot returns the pending slot of the given number, which it opens if need
// be.
func (a *Assembler) slot(number, now int64) *slot {
	i := a.pending
	for i > 0 && a.at(i-1).number > number {
		i--
	}
	if i > 0 && a.at(i-1).number == number {
		return a.at(i - 1)
	}
	if a.pending == len(a.order) { // the caller does not pop
		a.late += uint64(a.at(0).sum.Inputs())
		a.removeOldest()
		i--
	}
	free := a.order[a.pending]
	copy(a.order[i+1:a.pending+1], a.order[i:a.pending])
	a.order[i] = free
	a.pending++

	s := &a.pool[free]
	*s = slot{number: number, deadline: now + int64(Hold), flags: pcm.Silence}
	return s
}

// removeOldest frees the oldest pending slot.
func (a *Assembler) removeOldest() {
	freed := a.order[0]
	a.pending--
	copy(a.order[:a.pending], a.order[1:])
	a.order[a.pending] = freed
}

// complete reports whether nobody is waited for in a slot.
func (a *Assembler) complete(number int64) bool {
	for _, s := range a.speakers {
		if s.last < number && s.last >= number-activeSlots {
			return false
		}
	}
	return true
}

// deliver notes that a speaker delivered a slot, and reports false if it had
// delivered that one, or a later one, before.
func (a *Assembler) deliver(id uint32, number int64) bool {
	gone := -1
	for i := range a.speakers {
		s := &a.speakers[i]
		if s.id == id {
			if number <= s.last {
				return false
			}
			s.last = number
			return true
		}
		if s.last < a.floor-activeSlots {
			gone = i
		}
	}
	switch {
	case gone >= 0:
		a.speakers[gone] = speaker{id, number}
	case len(a.speakers) < cap(a.speakers):
		a.speakers = append(a.speakers, speaker{id, number})
	}
	return true
}
