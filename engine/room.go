package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mixminus/mixminus/engine/mix"
	"github.com/mixminus/mixminus/engine/pcm"
)

// Errors on which a caller can act.
var (
	// ErrJoined: the leg is in a room, which speaks for it.
	ErrJoined = errors.New("engine: leg is in a room")
	// ErrRoomFull: the room has RoomConfig.MaxMembers members.
	ErrRoomFull = errors.New("engine: room is full")
)

// RoomConfig of a Room. The zero value works.
type RoomConfig struct {
	// ID names the room; it is the ID of its leg too.
	ID string
	// MaxMembers at once; 0 means 256.
	MaxMembers int
}

// DefaultMaxMembers of a room.
const DefaultMaxMembers = 256

// Room lets legs of any transport hear each other: each member hears the sum
// of all others, without itself (its mix-minus). Sums are exact and clamped
// once; a frame of a member whose gain is 1 passes unchanged, but for ramps of
// some milliseconds where it begins and ends.
//
// The way of a frame, once in 20 ms on the pacer's turns:
//
//	taps of all members -> one frame each -> sum -> mix-minus -> their sources
//
// A member's audio waits 40 ms in the room, so that its jitter is not heard.
// Methods are safe for concurrent use.
type Room struct {
	// Static after construction.
	engine *Engine
	cfg    RoomConfig
	beat   *Beat
	leg    *Leg
	port   *Port
	voice  *roomVoice // what the leg's source says

	// Owned by the pacer's turns.
	sum, whispers mix.Sum
	out           mix.Samples
	ticks         int64
	ended         bool

	// Atomic; the slice is copied when it changes.
	members atomic.Pointer[[]*Member]

	// Guarded by mu.
	mu     sync.Mutex
	closed bool
}

// NewRoom opens a room. It has a leg of its own, unmixed, with one speaker for
// each member (the member's leg ID): a bot that hears, speaks or records in the
// room uses that. Closing the leg closes the room.
func (e *Engine) NewRoom(cfg RoomConfig) (*Room, error) {
	if cfg.MaxMembers < 0 || cfg.MaxMembers >= mix.MaxInputs {
		return nil, fmt.Errorf("engine: RoomConfig.MaxMembers = %d, want 0 to %d", cfg.MaxMembers, mix.MaxInputs-1)
	}
	if cfg.MaxMembers == 0 {
		cfg.MaxMembers = DefaultMaxMembers
	}
	// Members come and go, and each that ever was is a speaker.
	leg, err := e.NewLeg(LegConfig{ID: cfg.ID, Channels: Unmixed, MaxSpeakers: 16 * cfg.MaxMembers, inner: true})
	if err != nil {
		return nil, err
	}
	r := &Room{engine: e, cfg: cfg, leg: leg, voice: newRoomVoice()}
	r.members.Store(&[]*Member{})
	if r.port, err = leg.Attach(r.voice); err != nil {
		leg.Close()
		return nil, err
	}
	r.beat = leg.source.pacer.newBeat(func(int64) { r.tick() }, r.end)
	if err := r.beat.Start(); err != nil {
		r.port.Detach(Now())
		leg.Close()
		return nil, err
	}
	return r, nil
}

// ID returns RoomConfig.ID.
func (r *Room) ID() string { return r.cfg.ID }

// Leg is the room's own: see NewRoom.
func (r *Room) Leg() *Leg { return r.leg }

// Members returns who is in the room, in the order in which they joined.
func (r *Room) Members() []*Member { return slices.Clone(*r.members.Load()) }

// Join lets a leg hear and speak in the room until it leaves or is closed. What
// the app had queued in its source is flushed, and the app's writes fail with
// ErrJoined from then on: the room speaks for it. It fails with ErrJoined if
// the leg is in a room, with ErrRoomFull and with ErrClosed.
func (r *Room) Join(leg *Leg) (*Member, error) {
	m, err := r.enter(leg)
	if err == nil {
		leg.source.Flush()
	}
	return m, err
}

func (r *Room) enter(leg *Leg) (*Member, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := *r.members.Load()
	switch {
	case r.closed || isDone(leg) || isDone(r.leg):
		return nil, ErrClosed
	case leg == r.leg || !leg.source.joined.CompareAndSwap(false, true):
		return nil, fmt.Errorf("%w: %s", ErrJoined, leg.ID())
	case len(members) >= r.cfg.MaxMembers:
		leg.source.joined.Store(false)
		return nil, fmt.Errorf("%w: %d members", ErrRoomFull, len(members))
	}
	m := newMember(r, leg)
	all := append(slices.Clone(members), m)
	r.members.Store(&all)
	return m, nil
}

func isDone(l *Leg) bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// remove takes a member out.
func (r *Room) remove(m *Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := *r.members.Load()
	i := slices.Index(members, m)
	if i < 0 {
		return
	}
	all := slices.Delete(slices.Clone(members), i, i+1)
	r.members.Store(&all)
	m.tap.Close()
	m.leg.source.joined.Store(false)
	close(m.left)
}

// Close lets everybody leave and closes the room's leg. It does not wait for the
// room's last turn. Idempotent.
func (r *Room) Close() {
	r.empty()
	r.leg.Close()
}

func (r *Room) empty() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, m := range r.Members() {
		r.remove(m)
	}
}

// end is the room's last turn, or after the pacer's end: the
// leg was closed.
func (r *Room) end() {
	if r.ended {
		return
	}
	r.ended = true
	r.empty()
	r.port.Detach(Now())
	r.beat.Stop()
}

// tick is the room's turn, one of the pacer's, every 20 ms.
func (r *Room) tick() {
	members := *r.members.Load()
	if isDone(r.leg) {
		r.end()
		return
	}
	r.sum.Reset()
	for _, m := range members {
		if isDone(m.leg) {
			r.remove(m) // and it says its last frame
		}
		if m.next() && m.whisper.Load() == nil {
			r.sum.Add(&m.in)
		}
	}
	if r.voice.pull() {
		r.sum.Add(&r.voice.in)
	}
	for _, m := range members {
		r.hear(m, members)
	}
	r.render(members)
	r.ticks++
}

// hear gives a member its mix-minus, and what is whispered to it.
func (r *Room) hear(m *Member, members []*Member) {
	sum := &r.sum
	for _, w := range members {
		if w.spoke && w.whisper.Load() == m {
			if sum == &r.sum {
				r.whispers = r.sum
				sum = &r.whispers
			}
			sum.Add(&w.in)
		}
	}
	if m.spoke && m.whisper.Load() == nil {
		sum.MixMinus(&r.out, &m.in)
	} else {
		sum.Mix(&r.out)
	}
	m.hear(&r.out)
}

// render hands the members' audio to the room's own leg.
func (r *Room) render(members []*Member) {
	now := Now()
	for _, m := range members {
		if !m.spoke || m.whisper.Load() != nil {
			continue
		}
		if m.context == nil {
			var err error
			if m.context, err = r.port.Render(m.rawID, now); err != nil {
				continue // counted by the leg
			}
		}
		f := m.context.Slot()
		if f == nil {
			continue
		}
		f.Samples = m.in
		m.context.Commit(Chunk{Timestamp: r.ticks*slotNanos + 1, HasTimestamp: true, Arrival: now})
	}
}

// roomVoice is the outlet of the room's own source: it queues what a bot says
// to the room, which takes a frame each tick.
type roomVoice struct {
	queue memberQueue
	in    mix.Samples

	mu sync.Mutex
}

func newRoomVoice() *roomVoice { return &roomVoice{} }

// SendFrame implements Outlet.
func (v *roomVoice) SendFrame(samples *[pcm.FrameSamples]int16) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.queue.n == len(v.queue.frames) {
		return false
	}
	v.queue.push(samples)
	return true
}

// SendFlush implements Outlet.
func (v *roomVoice) SendFlush() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.queue = memberQueue{}
	return true
}

// Paced implements PacedOutlet: the room takes a frame in each tick.
func (v *roomVoice) Paced() {}

func (v *roomVoice) pull() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.queue.pop(&v.in)
}
