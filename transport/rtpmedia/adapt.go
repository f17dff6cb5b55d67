package rtpmedia

import "github.com/mixminus/mixminus/engine/pcm"

// lag notes how far behind its timestamp a sample is. The clock that Pull is
// given may be read a little late now and then.
func (in *Inbound) lag(samples int64) {
	const little = 5 * pcm.SampleRate / 1000
	if d := samples - in.behind; d > little || d < -little {
		in.behind = samples
	} else {
		in.behind += d / 4
	}
}

// adapt brings the delay nearer to what it should be, by a pitch period at a
// time.
//
// A packet is taken from the buffer when less than a frame is left in the
// queue. What is more in the queue than whole frames when that happens is
// delay for nothing; taking it away leaves the next packet's turn where it is.
// A change that moves the turn does so by a frame's time; so much must be to
// spare, and some more, else changes would alternate.
func (in *Inbound) adapt() {
	if !in.intact || in.cfg.Bare || in.stretch.still {
		return
	}
	const enough, few = 5 * pcm.SampleRate / 1000, 2 * pcm.SampleRate / 1000
	slack, idle := in.slack()
	x := in.fifo[in.from:in.to]
	switch {
	case slack < -few:
		if n := in.stretch.period(x, periodMax, urgencyOf(-slack)); n > 0 {
			in.room(0)
			in.to = in.from + len(grow(in.fifo[in.from:in.to:len(in.fifo)], n))
			in.behind += int64(n)
			in.n.Grown, in.n.Grows = in.n.Grown+int64(n), in.n.Grows+1
		}
	case slack-pcm.FrameSamples > enough:
		idle = periodMax
		fallthrough
	case slack > enough && idle >= periodMin:
		if n := in.stretch.period(x, idle, urgencyOf(slack-pcm.FrameSamples)); n > 0 {
			in.to = in.from + len(shrink(x, n))
			in.behind -= int64(n)
			in.n.Shrunk, in.n.Shrinks = in.n.Shrunk+int64(n), in.n.Shrinks+1
		}
	}
}

// slack returns by how many samples later than it need be the next packet with
// the earliest turn will be taken from the buffer, and how many samples are in
// the queue for nothing. Packets whose length is not that of frames take turns
// of different earliness.
func (in *Inbound) slack() (slack, idle int) {
	step := in.grain.of
	idle = in.have() % step
	target := in.jitter.Target() * pcm.SampleRate / int64(in.cfg.Codec.ClockRate)
	return int(in.behind-target) - idle - (pcm.FrameSamples - step), idle
}

// grain is the length, in samples of 16 kHz, of which frames and packets are
// multiples: so the steps at which turns come. It is that of all packets of the
// last while, for a sender may mix lengths; whoever went by the last packet's
// alone would take away what the next one needs.
type grain struct {
	of, next int
	packets  int // since next began
}

// grainAge is how many packets without a length it takes to forget it, once or
// twice so many.
const grainAge = 256

func newGrain() grain { return grain{of: pcm.FrameSamples, next: pcm.FrameSamples} }

func (g *grain) add(samples int) {
	if g.packets++; g.packets > grainAge {
		*g = grain{of: g.next, next: pcm.FrameSamples, packets: 1}
	}
	g.of, g.next = gcd(g.of, samples), gcd(g.next, samples)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// urgencyOf a deviation of so many samples.
func urgencyOf(off int) urgency {
	switch {
	case off > 150*pcm.SampleRate/1000:
		return pressed
	case off > 60*pcm.SampleRate/1000:
		return needed
	}
	return wanted
}
