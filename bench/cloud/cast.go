package cloud

import (
	"fmt"
	"slices"

	"github.com/mixminus/mixminus/engine/pcm"
)

// enterStage puts one more speaker on stage, whose slots count from the next
// one, and returns its number. Called with Call.mu held.
func (c *Call) enterStage(sp Speaker) int {
	sp.Keys = laterKeys(sp.Keys, c.stage.slot)
	speaker := c.stage.add(sp)
	if c.asked != nil && !c.asked.mixed && c.media.streams != nil {
		before := StreamLog{}
		if c.media.slots > 0 {
			before.NotSent = []Span{{Slot: 0, Slots: c.media.slots}}
		}
		c.media.streams = append(c.media.streams, before)
	}
	return speaker
}

func laterKeys(keys []Key, slots int) []Key {
	later := slices.Clone(keys)
	for i := range later {
		later[i].Slot += slots
	}
	return later
}

// leaveStage takes a speaker off stage: nothing more is said or sent. Called
// with Call.mu held.
func (c *Call) leaveStage(speaker int) {
	if speaker >= 0 {
		c.stage.actors[speaker].leave(c.stage.slot)
		c.dismiss(speaker)
	}
}

// voices are what all speakers say in a slot whose audio reaches the bot. Called
// with Call.mu held.
func (c *Call) voices(slot int) (lines []line) {
	for i := range c.stage.actors {
		if !c.held && !c.mutes[i] {
			lines = append(lines, line{speaker: i, samples: c.stage.actors[i].at(slot)})
		}
	}
	return lines
}

// Speak lets somebody speak in a live call, from the next slot on: sp's clip,
// words and keys, whose slots count from there. Whoever is in the call by that
// ID says it after all they have said before; somebody new joins the call. In
// Graph's calls people join by Join, so that there sp.ID must be known.
func (c *Call) Speak(sp Speaker) error {
	if err := sp.validate(); err != nil {
		return fmt.Errorf("cloud: speaker.%w", err)
	}
	c.mu.Lock()
	if c.state != stateConnected {
		c.mu.Unlock()
		return fmt.Errorf("cloud: call %s is %s", c.id, stateNames[c.state])
	}
	if sp.ID == "" && len(c.stage.actors) > 0 {
		sp.ID = c.stage.actors[0].ID
	}
	for i := range c.stage.actors {
		a := &c.stage.actors[i]
		if a.ID != sp.ID || a.left > 0 {
			continue
		}
		err := a.goOn(sp, c.stage.slot)
		c.mu.Unlock()
		return err
	}
	c.mu.Unlock()
	side, ok := c.side.(*acsCall)
	if !ok {
		return fmt.Errorf("cloud: speaker.id: %q is not in the call", sp.ID)
	}
	if sp.ID == "" {
		sp.ID = c.server.newUser()
	}
	side.mu.Lock()
	there := side.party(sp.ID)
	if there != nil {
		there.speaker = side.enterStage(sp)
		side.silence(there)
	}
	side.mu.Unlock()
	if there == nil {
		side.enter(sp)
	}
	return nil
}

// Press makes somebody in the call press a key. DTMF is that for the first
// speaker.
func (c *Call) Press(rawID, tone string) error {
	if err := checkTone(tone); err != nil {
		return fmt.Errorf("cloud: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.stage.actors {
		if c.stage.actors[i].ID == rawID {
			return c.press(keyPress{i, tone})
		}
	}
	return fmt.Errorf("cloud: id: %q is not in the call", rawID)
}

// keyPress is a key and who pressed it.
type keyPress struct {
	speaker int
	tone    string
}

// press queues a key. Called with Call.mu held.
func (c *Call) press(k keyPress) error {
	if len(c.keys) == maxKeys {
		return fmt.Errorf("cloud: tone: %d wait already", len(c.keys))
	}
	c.keys = append(c.keys, k)
	return nil
}

// Participants returns the ids of the call's roster and the raw ids of who they
// are, the script's speakers first, in their order. At Communication Services
// both are the same.
func (c *Call) Participants() (ids, rawIDs []string) { return c.side.participants() }

// Mute makes a participant mute itself, or unmute. False: there is none of that
// id.
func (c *Call) Mute(participantID string, muted bool) (found bool) {
	return c.side.mute(participantID, muted)
}

// Leave makes a participant leave. When nobody but the bot is left, the call
// ends; so it does when the bot is made to leave one of Graph's.
func (c *Call) Leave(participantID string) (found bool) { return c.side.leave(participantID) }

// SetMuted is Mute, and Depart is Leave, by what ids are called at
// Communication Services.
func (c *Call) SetMuted(rawID string, muted bool) bool { return c.Mute(rawID, muted) }

// Depart is Leave.
func (c *Call) Depart(rawID string) bool { return c.Leave(rawID) }

// leave takes the actor off stage.
func (a *actor) leave(slot int) {
	if a.left == 0 {
		a.left = max(1, slot)
	}
}

// goOn lets an actor say sp after all that it has said, from a slot on. What
// it said before becomes part of its clip, so that the log still tells the
// truth; what it had left to say is not said.
func (a *actor) goOn(sp Speaker, slot int) error {
	clip := sp.clip()
	if a.mic != nil {
		if len(clip) > 0 {
			return fmt.Errorf("cloud: speaker.id: %s is a person, who speaks for themselves", a.ID)
		}
		for _, p := range sp.Says {
			p.Slot += slot + sp.Start - max(0, a.start)
			a.Says = append(a.Says, p)
		}
		a.Keys = slices.Concat(a.Keys, laterKeys(sp.Keys, slot))
		return nil
	}
	start := slot + sp.Start
	if (start*pcm.FrameSamples + len(clip)) > 2*maxClip {
		return fmt.Errorf("cloud: speaker: %s has spoken for %d slots: a clip holds %d", a.ID, start, 2*maxClip/pcm.FrameSamples)
	}
	whole := make([]int16, start*pcm.FrameSamples, start*pcm.FrameSamples+len(clip))
	for i := range slot {
		copy(whole[i*pcm.FrameSamples:], a.at(i))
	}
	var said []Phrase
	for _, p := range a.Says {
		if a.start >= 0 && a.start+p.Slot < slot {
			p.Slot += a.start
			said = append(said, p)
		}
	}
	for _, p := range sp.Says {
		p.Slot += start
		said = append(said, p)
	}
	a.Keys = slices.Concat(a.Keys, laterKeys(sp.Keys, slot))
	a.samples, a.start, a.Says = append(whole, clip...), 0, said
	a.Loops, a.Pause, a.AfterBot = 0, 0, 0
	return nil
}
