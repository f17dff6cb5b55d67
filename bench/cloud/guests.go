package cloud

import "slices"

// sit gives the person a place in a call, as an actor of it. Called with
// Call.mu held. False: the call is over.
func (c *Call) sit(p *person, actor int) bool {
	if c.state >= stateDisconnecting {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return false
	}
	p.call, p.actor, p.rawID = c, actor, c.stage.actors[actor].ID
	c.guests = append(c.guests, p)
	return true
}

// bereave takes a person who has left out of the call: out of its roster, where
// they still are in it. If there is none, the call ends, for they called or were
// called.
func (c *Call) bereave(p *person) {
	c.mu.Lock()
	for i, g := range c.guests {
		if g == p {
			c.guests = append(c.guests[:i:i], c.guests[i+1:]...)
			break
		}
	}
	state, id, sat := c.state, c.rosterID(p.actor), p.actor >= 0
	roster := slices.ContainsFunc(c.side.rows(), func(r liveRow) bool { return r.listed })
	c.mu.Unlock()
	switch {
	case !sat:
	case state >= stateDisconnecting:
	case !roster || state != stateConnected:
		c.HangUp()
	case id != "":
		c.side.depart(id)
	}
}

// dismiss parts with the person who was an actor that has left. Called with
// Call.mu held.
func (c *Call) dismiss(actor int) {
	for _, p := range c.guests {
		if p.actor == actor {
			c.server.wg.Go(func() { p.end("removed from the call") })
		}
	}
}

// dismissAll parts with all of a call that has ended.
func (c *Call) dismissAll() {
	c.mu.Lock()
	guests := c.guests
	c.guests = nil
	c.mu.Unlock()
	for _, p := range guests {
		p.end("the call has ended")
	}
}

// rosterID is an actor's id in the roster, empty if there is none. Called with
// Call.mu held.
func (c *Call) rosterID(actor int) string {
	for _, r := range c.side.rows() {
		if r.speaker == actor && actor >= 0 && r.listed {
			return r.ID
		}
	}
	return ""
}

// feedGuests lets everybody hear a slot: all others, and the bot.
func (c *Call) feedGuests(slot int, lines []line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.guests) == 0 {
		return
	}
	away := map[int]bool{}
	for _, r := range c.side.rows() {
		if r.speaker >= 0 && (r.OnHold || r.Lobby) {
			away[r.speaker] = true
		}
	}
	for _, p := range c.guests {
		others := []line{{samples: c.heardOf(slot-1, !away[p.actor], func(l PromptLog) bool {
			return l.hears(p.rawID, away[p.actor])
		})}}
		for _, l := range lines {
			if l.speaker != p.actor && !away[p.actor] && !c.mutes[l.speaker] && !l.off {
				others = append(others, l)
			}
		}
		p.hear(slot, sum(others))
	}
}

// hears tells whether a prompt is for somebody; who is away hears only what is
// for them alone.
func (l *PromptLog) hears(rawID string, away bool) bool {
	for _, to := range l.To {
		if to == rawID {
			return true
		}
	}
	return len(l.To) == 0 && !away
}
