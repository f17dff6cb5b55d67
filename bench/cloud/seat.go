package cloud

import (
	"fmt"

	"github.com/google/uuid"
)

// liveRow is somebody in a call, as who watches it sees them.
type liveRow struct {
	ID     string  `json:"id"`
	RawID  string  `json:"raw_id"`
	Name   string  `json:"name"`
	Bot    bool    `json:"bot"`
	PID    string  `json:"pid"`
	Muted  bool    `json:"muted"`
	OnHold bool    `json:"on_hold"`
	Lobby  bool    `json:"lobby"`
	Level  float64 `json:"level"`

	speaker int  // on stage, -1: none
	listed  bool // in the roster, by ID
}

// rowOf is that of an actor, with no ID if there is none. Called with Call.mu
// held.
func (c *Call) rowOf(actor int) liveRow {
	for _, r := range c.side.rows() {
		if r.speaker == actor && actor >= 0 {
			return r
		}
	}
	return liveRow{speaker: actor}
}

// unlisted are the actors of a call that has no roster, or none yet.
func (c *Call) unlisted() (rows []liveRow) {
	for i := range c.stage.actors {
		a := &c.stage.actors[i]
		if a.left == 0 {
			rows = append(rows, liveRow{ID: a.ID, RawID: a.ID, Name: a.Name, Muted: c.mutes[i], speaker: i})
		}
	}
	return rows
}

// rows implements side.
func (c *acsCall) rows() (rows []liveRow) {
	if len(c.people) == 0 {
		return c.unlisted()
	}
	bots := len(c.people) - len(c.others())
	for i, p := range c.people {
		id := p.id.rawID()
		r := liveRow{ID: id, RawID: id, Bot: i < bots, Muted: p.muted, OnHold: p.held, speaker: p.speaker, listed: true}
		if p.speaker >= 0 {
			r.Name = c.stage.actors[p.speaker].Name
		}
		rows = append(rows, r)
	}
	return rows
}

// rings implements side.
func (c *acsCall) rings() ringing {
	return ringing{Cloud: "acs", Operation: "createCall", From: c.botRawID(), Context: c.order.operationContext}
}

func (c *acsCall) botRawID() string {
	if c.order.source == nil {
		return ""
	}
	return c.order.source.rawID()
}

// depart implements side.
func (c *acsCall) depart(rawID string) bool { return c.leave(rawID) }

// admit implements side: there are no lobbies.
func (c *acsCall) admit(int) bool { return false }

// errNoSeat: a person cannot come into a call that is not connected.
func errNoSeat(c *Call, why string) error { return fmt.Errorf("cloud: call %s: %s", c.id, why) }

// seat implements side.
func (c *acsCall) seat(sp Speaker, p *person, lobby bool) error {
	if lobby {
		return errNoSeat(c.Call, "lobby: calls of Communication Services have none")
	}
	sits, err := c.place(sp, p)
	if err != nil {
		return err
	}
	c.tellRoster()
	if !sits { // has left meanwhile
		c.leave(sp.ID)
		return errNotIn
	}
	return nil
}

func (c *acsCall) place(sp Speaker, p *person) (sits bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state != stateConnected || len(c.people) == 0:
		return false, errNoSeat(c.Call, "it is not connected")
	case c.party(sp.ID) != nil:
		return false, errNoSeat(c.Call, sp.ID+" is in it already")
	}
	speaker := c.enterStage(sp)
	c.people = append(c.people, &party{id: identityOf(sp.ID), speaker: speaker})
	return c.sit(p, speaker), nil
}

// rows implements side.
func (c *graphCall) rows() (rows []liveRow) {
	if len(c.members) == 0 {
		return c.unlisted()
	}
	for i := range c.members {
		m := &c.members[i]
		if m.removed == "" {
			rows = append(rows, liveRow{
				ID: m.id, RawID: m.party.rawID(), Name: m.party.Name, Bot: m.id == c.myID, Muted: m.muted, Lobby: m.lobby,
				OnHold: c.onHold == graphKey(m.id), speaker: m.speaker, listed: true,
			})
		}
	}
	return rows
}

// rings implements side.
func (c *graphCall) rings() ringing {
	return ringing{Cloud: "graph", Operation: "createCall", From: c.source.rawID()}
}

// seat implements side. Whoever comes into a call of two makes it one of many.
func (c *graphCall) seat(sp Speaker, p *person, lobby bool) error {
	m := member{id: uuid.NewString(), party: partyOf(sp.ID, sp.Name), lobby: lobby}
	sits, err := c.place(sp, p, m)
	if err == nil && !sits { // has left meanwhile
		c.depart(m.id)
		err = errNotIn
	}
	return err
}

func (c *graphCall) place(sp Speaker, p *person, m member) (sits bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state != stateConnected || c.since.IsZero() || c.kind != kindPeer && len(c.members) == 0:
		return false, errNoSeat(c.Call, "it is not connected")
	case len(c.members) >= maxMembers:
		return false, errNoSeat(c.Call, "its roster is full")
	}
	for _, r := range c.rows() {
		if r.RawID == sp.ID {
			return false, errNoSeat(c.Call, sp.ID+" is in it already")
		}
	}
	c.changeRosterLocked(func() {
		c.grow()
		m.speaker = c.enterStage(sp)
		m.msi, m.sequence = msiOf(m.speaker), c.sequence
		c.members = append(c.members, m)
		sits = c.sit(p, m.speaker)
	})
	return sits, nil
}

// admit implements side.
func (c *graphCall) admit(actor int) (found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rowOf(actor)
	if !r.Lobby {
		return false
	}
	c.changeRosterLocked(func() {
		found = c.change(r.ID, func(m *member) { m.lobby = false })
	})
	return found
}
