package engine

import (
	"slices"
	"sync/atomic"

	"github.com/mixminus/mixminus/engine/pcm"
)

// Render is a render context: audio from the call that the app renders, of
// one speaker, or the mix of all.
type Render struct {
	// Static after construction.
	leg     *Leg
	speaker uint32
	rawID   string

	// Owned by the producing goroutine.
	place   placer
	scratch pcm.Frame  // a frame being filled, or one that no ring had room for
	slot    *pcm.Frame // what Slot returned
	direct  *Tap       // whose ring slot lies in, or was too full for it
	fill    int        // samples of scratch that are filled
	seq     uint32
	loud    bool  // a part of scratch was not declared silent
	lostAcc int64 // lost samples that no frame has told of yet
	flags   pcm.Flags

	// Atomic.
	handler atomic.Pointer[func(*pcm.Frame)]
	taps    atomic.Pointer[[]*Tap]
	n       renderCounters

	// Guarded by leg.mu.
	own     []*Tap
	dropped uint64 // by taps that are closed
}

// renderCounters have one writer, the producing goroutine.
type renderCounters struct {
	frames, silent, concealed, lost, network, found, late, dtx, clockFree, padded, deviation atomic.Int64
}

// RenderStats counts a render context's frames of 20 ms.
type RenderStats struct {
	Speaker uint32 `json:"speaker"`
	RawID   string `json:"raw_id,omitempty"`
	// Frames handed to the handler and the taps.
	Frames int64 `json:"frames"`
	// Silent frames of these, by the sender's own word.
	Silent int64 `json:"silent"`
	// Concealed frames of these: a part was made up for what did not come in
	// time.
	Concealed int64 `json:"concealed"`
	// Lost slots: due between two connections; where packets are numbered,
	// also those that the network lost. Late ones came after their time, and
	// Found ones had been taken for lost, and are not among them any more.
	Lost  int64 `json:"lost"`
	Late  int64 `json:"late"`
	Found int64 `json:"found"`
	// DTX slots: not sent by the sender's choice.
	DTX int64 `json:"dtx"`
	// ClockFree chunks had no usable timestamp and were counted on.
	ClockFree int64 `json:"clock_free"`
	// Padded samples completed a frame before a jump.
	Padded int64 `json:"padded"`
	// MaxDeviation of a wire timestamp from the expected one, in ns, among
	// chunks that were taken as the next.
	MaxDeviation int64 `json:"max_deviation_ns"`
	// TapDropped frames found the ring of a tap of this context full.
	TapDropped uint64 `json:"tap_dropped"`
}

// Speaker returns the numeric id that the frames carry; 0 is the mix.
func (r *Render) Speaker() uint32 { return r.speaker }

// RawID returns the cloud's identifier of the speaker, "" for the mix.
func (r *Render) RawID() string { return r.rawID }

// Leg returns the leg that the context belongs to.
func (r *Render) Leg() *Leg { return r.leg }

// Handle calls fn for each frame from now on, on the goroutine that reads the
// network: no wake-up lies between them. fn must not block nor keep the
// frame. nil removes it. A panic in fn closes the leg.
func (r *Render) Handle(fn func(*pcm.Frame)) {
	if fn == nil {
		r.handler.Store(nil)
		return
	}
	r.handler.Store(&fn)
}

// Tap attaches a ring of at least the given number of frames. Attached in
// OnRender it gets the speaker's first frame.
func (r *Render) Tap(frames int) *Tap {
	t := newTap(frames, &r.leg.lat, r.drop)
	l := r.leg
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		t.end()
		return t
	}
	r.own = append(r.own, t)
	r.publish()
	return t
}

func (r *Render) drop(t *Tap) {
	r.leg.mu.Lock()
	defer r.leg.mu.Unlock()
	if slices.Contains(r.own, t) {
		r.own, r.dropped = without(r.own, t), r.dropped+t.Dropped()
		r.publish()
	}
}

// publish makes the producer see the current taps. Guarded by leg.mu.
func (r *Render) publish() {
	all := make([]*Tap, 0, len(r.leg.taps)+len(r.own))
	all = append(append(all, r.leg.taps...), r.own...)
	r.taps.Store(&all)
}

// Stats returns the counters.
func (r *Render) Stats() RenderStats {
	s := RenderStats{
		Speaker: r.speaker, RawID: r.rawID,
		Frames: r.n.frames.Load(), Silent: r.n.silent.Load(),
		Concealed: r.n.concealed.Load(), Found: r.n.found.Load(), Late: r.n.late.Load(), DTX: r.n.dtx.Load(),
		ClockFree: r.n.clockFree.Load(), Padded: r.n.padded.Load(),
		MaxDeviation: r.n.deviation.Load(),
	}
	s.Lost = r.n.lost.Load() + r.n.network.Load() - s.Found
	r.leg.mu.Lock()
	defer r.leg.mu.Unlock()
	s.TapDropped = dropped(r.dropped, r.own)
	return s
}

// Chunk describes audio that arrived.
type Chunk struct {
	// Timestamp of the first sample on the sender's clock, in ns since the
	// Unix epoch; ignored unless HasTimestamp.
	Timestamp    int64
	HasTimestamp bool
	// Arrival is Now when the socket read returned.
	Arrival int64
	// Silent: the sender declared the chunk silent.
	Silent bool
	// Concealed: a part of it was made up.
	Concealed bool
}

// Slot returns the frame into which the next 20 ms may be decoded directly,
// nil when a frame is partly filled and Append must be used. It is valid
// until Commit; without Commit nothing happens to it. It must only be called
// from the producing goroutine, as must Commit and Append.
func (r *Render) Slot() *pcm.Frame {
	if r.fill > 0 {
		return nil
	}
	r.slot, r.direct = &r.scratch, nil
	if taps := *r.taps.Load(); len(taps) > 0 {
		r.direct = taps[0]
		if f := r.direct.w.Slot(); f != nil {
			r.slot = f
		}
	}
	return r.slot
}

// Commit takes the frame that Slot returned, filled with 320 samples.
func (r *Render) Commit(c Chunk) {
	r.jump(c)
	r.place.pos += pcm.FrameSamples
	r.emit(r.slot, c, r.direct)
	if r.slot != &r.scratch {
		r.direct.w.Commit()
	}
}

// Missed tells how many packets more the network lost, and how many more came
// too late to be heard, where packets are numbered: both were made up for in the
// frames. A packet that was taken for lost and comes late makes lost negative.
// Same goroutine as Commit.
func (r *Render) Missed(lost, late int64) {
	switch {
	case lost > 0:
		r.n.network.Add(lost)
	case lost < 0:
		r.n.found.Add(-lost)
	}
	if late != 0 {
		r.n.late.Add(late)
	}
}

// Append takes any number of samples and frames them anew.
func (r *Render) Append(samples []int16, c Chunk) {
	if len(samples) == 0 {
		return
	}
	r.jump(c)
	for len(samples) > 0 {
		n := copy(r.scratch.Samples[r.fill:], samples)
		samples = samples[n:]
		r.fill += n
		r.loud = r.loud || !c.Silent
		r.place.pos += int64(n)
		if r.fill == pcm.FrameSamples {
			r.fill = 0
			r.emit(&r.scratch, Chunk{Arrival: c.Arrival, Silent: !r.loud}, nil)
			r.loud = false
		}
	}
}

// Follows reports whether c would be placed directly behind what came before:
// for transports whose decoders keep state that must not cross a gap. Same
// goroutine as Slot.
func (r *Render) Follows(c Chunk) bool {
	p := r.place
	if !p.started || p.reopened < r.leg.clock.reopened {
		return false
	}
	if !c.HasTimestamp || !usable(c.Timestamp) {
		return true
	}
	to, _, _ := p.follow(c.Timestamp)
	return to == p.pos
}

// end completes a frame that is partly filled, with zeros: the connection is
// over and nothing will follow soon.
func (r *Render) end(arrival int64) {
	if r.fill == 0 {
		return
	}
	pad := pcm.FrameSamples - r.fill
	clear(r.scratch.Samples[r.fill:])
	r.n.padded.Add(int64(pad))
	r.fill = 0
	r.place.pos += int64(pad)
	r.emit(&r.scratch, Chunk{Arrival: arrival, Silent: !r.loud}, nil)
	r.loud = false
}

// jump places the chunk and accounts for what lies between it and the last.
func (r *Render) jump(c Chunk) {
	before := r.place.pos
	p := r.place.place(&r.leg.clock, c.Timestamp, c.HasTimestamp, c.Arrival)
	if p.free {
		r.n.clockFree.Add(1)
	} else if d := max(p.deviation, -p.deviation); p.jump == 0 && d > r.n.deviation.Load() {
		r.n.deviation.Store(d)
	}
	if p.jump == 0 {
		return
	}
	if r.fill > 0 {
		to := r.place.pos
		r.place.pos = before
		r.end(c.Arrival)
		p.jump -= r.place.pos - before
		r.place.pos = to
	}
	r.lostAcc += min(p.lost, p.jump)
	lost := r.lostAcc / pcm.FrameSamples
	if lost > 0 {
		r.n.lost.Add(lost)
		r.flags |= pcm.AfterGap
	}
	if dtx := p.jump/pcm.FrameSamples - lost; dtx > 0 {
		r.n.dtx.Add(dtx)
		r.flags |= pcm.AfterDTX
	}
}

// emit finishes the frame that ends at place.pos and hands it out: to the
// handler, and by copy to every tap but the one whose ring holds it.
func (r *Render) emit(f *pcm.Frame, c Chunk, held *Tap) {
	r.header(f, c)
	l := r.leg
	l.clock.end = max(l.clock.end, r.place.pos)
	r.n.frames.Add(1)
	if d := l.dominant.Load(); d != nil {
		d.hear(r, f, r.place.pos)
	}
	if h := r.handler.Load(); h != nil {
		l.lat.since(f.Arrival)
		(*h)(f)
	}
	for _, t := range *r.taps.Load() {
		if t != held {
			t.w.Push(f)
		}
	}
}

func (r *Render) header(f *pcm.Frame, c Chunk) {
	f.Timestamp = pcm.Ticks(r.place.pos - pcm.FrameSamples)
	f.Arrival = c.Arrival
	f.Seq = r.seq
	f.Speaker = r.speaker
	f.Flags = r.flags
	f.Lost = 0
	if r.flags != 0 {
		if r.flags.Has(pcm.AfterGap) {
			f.Lost = uint32(min(r.lostAcc/pcm.FrameSamples, 1<<31))
			r.lostAcc = 0
		}
		r.flags = 0
	}
	if c.Silent {
		f.Flags |= pcm.Silence
		r.n.silent.Add(1)
	}
	if c.Concealed {
		f.Flags |= pcm.Concealed
		r.n.concealed.Add(1)
	}
	r.seq++
}
