package engine

import (
	"github.com/mixminus/mixminus/engine/dsp"
	"github.com/mixminus/mixminus/engine/pcm"
)

// dominant watches who dominates a leg's conversation. It is owned by the
// producing goroutine.
type dominant struct {
	tell      func(*Render)
	dominance dsp.Dominance
	now       int // as dsp.Dominance has it
}

// OnDominant calls fn when another speaker of an unmixed leg dominates the
// conversation, and with nil when nobody does any more: on the goroutine that
// reads the network, so it must not block. It replaces the hook before; nil
// removes it. A leg without one does not look for its dominant speaker. The
// decision is made from the audio, some 50 ms after a speaker begins.
func (l *Leg) OnDominant(fn func(*Render)) {
	if fn == nil {
		l.dominant.Store(nil)
		return
	}
	l.dominant.Store(&dominant{tell: fn, now: dsp.Nobody})
}

// hear takes a frame of r that ends at a position on the leg's clock.
func (d *dominant) hear(r *Render, f *pcm.Frame, end int64) {
	if r.speaker == 0 { // the mix
		return
	}
	now := d.dominance.Hear(int(r.speaker)-1, &f.Samples, end)
	if now == d.now {
		return
	}
	d.now = now
	if now == dsp.Nobody {
		d.tell(nil)
		return
	}
	d.tell(r.leg.Render(uint32(now) + 1))
}
