package engine

import (
	"math"

	"github.com/mixminus/mixminus/engine/pcm"
)

// States of Source.pumping. Whoever wants the source moved runs the pump; if
// it is running, its holder is asked to run once more. So nobody waits, and
// the pump's state has one owner at a time, which the compare-and-swaps hand
// from one to the next.
const (
	pumpIdle = iota
	pumpRunning
	pumpAgain
)

// pumpState is owned by the holder of the pump.
type pumpState struct {
	epoch    uint64
	flushDue bool // the peer must be told to flush
	sent     bool // something was sent since the peer was last told
	frame    pcm.Frame
	seq      uint32
}

// run moves what can be moved to the outlet, on this goroutine or on the one
// that is at it. now is the time.
func (s *Source) run(now int64) {
	for {
		if s.pumping.CompareAndSwap(pumpIdle, pumpRunning) {
			break
		}
		if s.pumping.Load() == pumpAgain || s.pumping.CompareAndSwap(pumpRunning, pumpAgain) {
			return
		}
	}
	for {
		s.move(now, s.tick.Swap(false))
		if s.pumping.CompareAndSwap(pumpRunning, pumpIdle) {
			return
		}
		s.pumping.Store(pumpRunning)
		now = Now()
	}
}

// move is one run of the pump. tick: a pacer's, at which the rest of a frame
// that would come too late is padded.
func (s *Source) move(now int64, tick bool) {
	if s.closed.Load() {
		s.finish(now)
		return
	}
	// The tail is loaded before the writer's epoch: what lies below it is no
	// newer than that epoch.
	tail := s.queue.tail.Load()
	writing, epoch := s.writeEpoch.Load(), s.epoch.Load()
	if epoch != s.pump.epoch {
		s.pump.epoch = epoch
		s.cut(now, epoch)
	}
	head := s.queue.head.Load()
	valid := tail // first position that may be sent
	if writing == epoch {
		valid = s.epochPos.Load()
	}
	if head < valid {
		s.n.flushed.Add(valid - head)
		head = valid
		s.took(head)
	}
	out := s.out.Load()
	if out != nil && s.pump.flushDue && (*out).SendFlush() {
		s.pump.flushDue = false
	}
	for out != nil && !s.pump.flushDue && s.due(head, tail, now, tick) {
		n := min(tail-head, pcm.FrameSamples)
		s.queue.copyOut(s.pump.frame.Samples[:n], head)
		if n < pcm.FrameSamples {
			clear(s.pump.frame.Samples[n:])
		}
		ready := s.ready(head + n - 1)
		if !(*out).SendFrame(&s.pump.frame.Samples) {
			s.n.stalls.Add(1)
			break
		}
		if n < pcm.FrameSamples {
			s.n.padded.Add(pcm.FrameSamples - n) // it waited for the rest
		} else {
			s.lat.since(ready)
		}
		head += n
		s.took(head)
		s.played(now)
		s.marks.sent(head, s.playEnd.Load())
		if s.epoch.Load() != epoch || s.closed.Load() {
			break // run again: Flush or Close asked for it
		}
	}
	s.marks.settle(head, tail, s.playEnd.Load())
	if out != nil && (head < tail || s.pump.flushDue) || s.marks.waiting() {
		s.pacer.arm(s)
	}
}

// due says whether a frame should be sent now.
func (s *Source) due(head, tail, now int64, tick bool) bool {
	ahead := s.playEnd.Load() - now
	switch n := tail - head; {
	case n <= 0:
		return false
	case n < pcm.FrameSamples:
		// Held back for the rest of the frame as long as the peer has
		// something to play until the next tick.
		return tick && ahead < slotNanos+slotNanos/2
	default:
		return ahead+slotNanos <= int64(RunAhead)
	}
}

// ready returns since when the frame whose last sample is at pos may be sent:
// it was written, there is a connection, and the peer has room for it.
func (s *Source) ready(pos int64) int64 {
	return max(s.queue.written(pos), s.since.Load(), s.playEnd.Load()+slotNanos-int64(RunAhead))
}

func (s *Source) took(head int64) {
	s.queue.take(head)
	if s.waiting.Load() {
		s.wake()
	}
}

// played places the frame that was just sent behind what the peer has to
// play, and hands it to the taps.
func (s *Source) played(now int64) {
	zero := s.leg.begin(now)
	start := s.playEnd.Load()
	if late := now - start; late > 0 {
		if s.pump.seq > 0 {
			if s.paced.Load() {
				late -= late % slotNanos // within its slot it is sent in it
			}
			if late > 0 && late < int64(RunAhead) {
				s.n.underruns.Add(1)
			}
		}
		start += late
	}
	s.playEnd.Store(start + slotNanos)
	s.pump.sent = true
	s.n.frames.Add(1)
	f := &s.pump.frame
	f.Timestamp = pcm.Ticks((start - zero) / sampleNanos)
	f.Seq, f.Flags = s.pump.seq, 0
	s.pump.seq++
	for _, t := range *s.taps.Load() {
		t.w.Push(f)
	}
}

// cut is the flush of what was sent: the playout model ends now.
func (s *Source) cut(now int64, epoch uint64) {
	s.marks.cancel(now, epoch)
	if s.pump.sent {
		s.pump.flushDue, s.pump.sent = true, false
	}
	if s.playEnd.Load() <= now {
		return
	}
	s.playEnd.Store(now)
	f := &s.pump.frame
	f.Timestamp = pcm.Ticks((now - s.leg.begin(now)) / sampleNanos)
	f.Seq, f.Flags = s.pump.seq, pcm.Cut
	s.pump.seq++
	for _, t := range *s.taps.Load() {
		t.w.Push(f)
	}
}

// finish is the run of a closed source. There may be more than one: for what
// was set while it closed.
func (s *Source) finish(now int64) {
	s.took(s.queue.tail.Load())
	s.cut(now, math.MaxUint64) // what the peer has not played, nobody hears
	s.fireMarks(math.MaxInt64)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.own {
		t.end()
	}
}
