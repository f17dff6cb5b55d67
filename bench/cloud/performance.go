package cloud

import (
	"math"

	"github.com/mixminus/mixminus/engine/pcm"
)

// performance plays a script, slot after slot. Like the script it is sans-IO:
// what the bot does comes in as an argument, what the speakers do goes out as
// lines.
type performance struct {
	script Script
	actors []actor
	slot   int
}

// actor is a speaker on stage.
type actor struct {
	Speaker
	samples []int16 // the clip, whole slots
	start   int     // slot of the first frame, -1 until known
	left    int     // slot from which on the actor is off stage; 0: not
	// Of a person: what the microphone brought of late, and the slot behind
	// it. The clip has it too, as long as it has room.
	recent [recentSlots][]int16
	fed    int
}

// line is what one speaker says in one slot.
type line struct {
	speaker int
	// samples are pcm.FrameSamples long and shared: not to be written to.
	samples []int16
	// omitIfSilent: a silent frame is not sent.
	omitIfSilent bool
	keys         []string
	// saying is the phrase that the slot is part of, nil if there is none;
	// said are those that end with the slot.
	saying *utterance
	said   []utterance
	// off: the speaker has left.
	off bool
}

// utterance is a phrase of a speaker, in slots of the call's clock.
type utterance struct {
	text  string
	from  int // its first slot
	slots int
}

var quiet [pcm.FrameSamples]int16

// newPerformance expects a valid script in which every speaker has an ID.
func newPerformance(s Script) *performance {
	p := &performance{script: s}
	for _, sp := range s.Speakers {
		p.actors = append(p.actors, newActor(sp))
	}
	return p
}

// add puts one more speaker on stage, whose Start counts from the next slot,
// and returns its number.
func (p *performance) add(sp Speaker) int {
	sp.Start += p.slot
	p.actors = append(p.actors, newActor(sp))
	return len(p.actors) - 1
}

func newActor(sp Speaker) actor {
	a := actor{Speaker: sp, samples: sp.clip(), start: sp.Start}
	if sp.AfterBot > 0 {
		a.start = -1
	}
	return a
}

// step plays the next slot. botSlot is the slot in which the bot began to be
// heard, -1 if it has not. over means that the other side hangs up instead.
func (p *performance) step(botSlot int) (lines []line, over bool) {
	if p.over() {
		return nil, true
	}
	lines = make([]line, len(p.actors))
	for i := range p.actors {
		a := &p.actors[i]
		if a.start < 0 && botSlot >= 0 && p.slot >= max(a.Start, botSlot+a.AfterBot) {
			a.start = p.slot
		}
		if a.mic != nil && a.left == 0 {
			a.feed(p.slot)
		}
		lines[i] = line{speaker: i, samples: a.at(p.slot), omitIfSilent: a.Silence == SilenceOmitted}
		if a.left > 0 && p.slot >= a.left {
			lines[i].omitIfSilent, lines[i].off = true, true
			continue
		}
		lines[i].saying, lines[i].said = a.words(p.slot)
		for _, k := range a.Keys {
			if k.Slot == p.slot {
				lines[i].keys = append(lines[i].keys, k.Tone)
			}
		}
	}
	p.slot++
	return lines, false
}

func (p *performance) over() bool {
	switch {
	case p.script.HangUp == Never:
		return false
	case p.script.HangUp > 0:
		return p.slot >= p.script.HangUp
	}
	for i := range p.actors {
		if !p.actors[i].done(p.slot) {
			return false
		}
	}
	return len(p.actors) > 0
}

// at returns what a says in a slot.
func (a *actor) at(slot int) []int16 {
	if frame, ok := a.live(slot); ok && (a.left == 0 || slot < a.left) {
		return frame
	}
	offset, ok := a.place(slot)
	if !ok || a.left > 0 && slot >= a.left {
		return quiet[:]
	}
	return a.samples[offset*pcm.FrameSamples:][:pcm.FrameSamples]
}

// place returns which frame of its clip a says in a slot.
func (a *actor) place(slot int) (offset int, ok bool) {
	return placeIn(slot, a.start, len(a.samples)/pcm.FrameSamples, a.Loops, a.Pause)
}

// placeIn finds the frame of a clip that is length slots long, begins at start
// and is repeated loops times (Forever: always), with pauses between.
func placeIn(slot, start, length, loops, pause int) (offset int, ok bool) {
	if start < 0 || slot < start || length == 0 {
		return 0, false
	}
	round := (slot - start) / (length + pause)
	offset = (slot - start) % (length + pause)
	return offset, offset < length && (loops == Forever || round <= loops)
}

// done reports whether a says nothing at slot and later.
func (a *actor) done(slot int) bool {
	length := len(a.samples) / pcm.FrameSamples
	switch {
	case a.left > 0:
		return true
	case a.mic != nil:
		return false
	case !a.saidAll(slot):
		return false
	case length == 0:
		return a.keysDone(slot)
	case a.start < 0, a.Loops == Forever:
		return false
	}
	return slot >= a.start+length+a.Loops*(length+a.Pause) && a.keysDone(slot)
}

// words returns what of a's phrases a slot is part of, and what ends with it.
func (a *actor) words(slot int) (saying *utterance, said []utterance) {
	if a.start < 0 {
		return nil, nil
	}
	for _, p := range a.Says {
		u := utterance{text: p.Text, from: a.start + p.Slot, slots: p.length()}
		if slot >= u.from && slot < u.from+u.slots {
			saying = &u
		}
		if slot == u.from+u.slots-1 {
			said = append(said, u)
		}
	}
	return saying, said
}

func (a *actor) saidAll(slot int) bool {
	for _, p := range a.Says {
		if a.start < 0 || a.start+p.Slot+p.length() > slot {
			return false
		}
	}
	return true
}

func (a *actor) keysDone(slot int) bool {
	for _, k := range a.Keys {
		if k.Slot >= slot {
			return false
		}
	}
	return true
}

// sum mixes lines: each sample is the sum of all, clipped once at the end.
func sum(lines []line) []int16 {
	out := make([]int16, pcm.FrameSamples)
	for i := range out {
		var total int32
		for _, l := range lines {
			total += int32(l.samples[i])
		}
		out[i] = int16(max(math.MinInt16, min(math.MaxInt16, total)))
	}
	return out
}

func silentSamples(samples []int16) bool {
	for _, s := range samples {
		if s != 0 {
			return false
		}
	}
	return true
}
