package engine

import (
	"context"
	"io"
	"math"
	"time"

	"github.com/mixminus/mixminus/engine/mix"
	"github.com/mixminus/mixminus/engine/pcm"
)

// Mix is a live mixed context of an unmixed leg, beside its speakers' own: one
// frame per slot in which anybody was heard. The mixing is done by whoever
// reads, so it costs the network's goroutine one more copy and no more. One
// goroutine at a time reads it.
type Mix struct {
	leg   *Leg
	tap   *Tap
	asm   *mix.Assembler
	timer *time.Timer
	ahead uint64
}

// mixLead is how far a speaker's clock may run ahead of the arrival clock and
// still be mixed live: nobody else is to wait for it.
const mixLead = 5 * time.Second

// Mix attaches a live mix: a slot is out when every active speaker has
// delivered, or 60 ms after its first frame. frames is the size of the ring
// that all speakers share. (A recording's mixed file is not this: it is summed
// later, from everything.)
func (l *Leg) Mix(frames int) *Mix {
	t := l.Tap(frames)
	t.lat = nil // measured when the mixed frame is out
	return &Mix{leg: l, tap: t, asm: mix.NewAssembler(l.cfg.MaxSpeakers), timer: time.NewTimer(math.MaxInt64)}
}

// Read copies the next mixed frame into f, waiting for it. It returns io.EOF
// once the leg is closed and all was read, or ctx's error. Arrival is that of
// the frame that completed it.
func (m *Mix) Read(ctx context.Context, f *pcm.Frame) error {
	for {
		now := Now()
		if m.asm.Pop(f, now) {
			m.leg.lat.since(f.Arrival)
			return nil
		}
		if in := m.tap.Peek(); in != nil {
			if pcm.Duration(in.Position())-time.Duration(in.Arrival-m.leg.begin(now)) > mixLead {
				m.ahead++
			} else {
				m.asm.Push(in, now)
			}
			m.tap.Release()
			continue
		}
		if err := m.wait(ctx, now); err == io.EOF && m.asm.Pop(f, math.MaxInt64) {
			return nil // nobody is waited for any more
		} else if err != nil {
			return err
		}
	}
}

// wait returns nil when a frame may have come or the oldest slot is due.
func (m *Mix) wait(ctx context.Context, now int64) error {
	var due <-chan time.Time
	if at, ok := m.asm.Deadline(); ok {
		m.timer.Reset(time.Duration(max(at-now, 1)))
		due = m.timer.C
	}
	bell := m.tap.r.Bell()
	if m.tap.Peek() != nil {
		return nil
	}
	select {
	case <-bell:
		return nil
	case <-due:
		return nil
	case <-m.tap.done:
		if m.tap.Peek() != nil {
			return nil
		}
		return io.EOF
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Late counts frames that missed their slot, or are far ahead of the others'.
// From the reading goroutine.
func (m *Mix) Late() uint64 { return m.asm.Late() + m.ahead }

// Dropped counts frames that found the ring full.
func (m *Mix) Dropped() uint64 { return m.tap.Dropped() }

// Close detaches the mix.
func (m *Mix) Close() {
	m.tap.Close()
	m.timer.Stop()
}
