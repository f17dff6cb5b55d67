package cloud

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// party is somebody in a call of Communication Services.
type party struct {
	id          identifier
	speaker     int // number on stage; -1 for the bot and whoever has no voice
	muted, held bool
}

// assemble fills the roster of a call that has been connected, the bot first.
// Targets of a call that the script has no speaker for are there, and silent.
// Called with Call.mu held.
func (c *acsCall) assemble() {
	if c.direction == Incoming {
		for _, id := range c.order.targets {
			c.people = append(c.people, &party{id: id, speaker: -1})
		}
	} else if c.order.source != nil {
		c.people = append(c.people, &party{id: *c.order.source, speaker: -1})
	}
	for i := range c.stage.actors {
		c.people = append(c.people, &party{id: identityOf(c.stage.actors[i].ID), speaker: i})
	}
	if c.direction == Incoming || len(c.order.targets) < 2 {
		return
	}
	for _, id := range c.order.targets {
		if c.party(id.rawID()) == nil {
			c.people = append(c.people, &party{id: id, speaker: -1})
		}
	}
}

// party returns who has that raw id, or nil. Called with Call.mu held.
func (c *acsCall) party(rawID string) *party {
	for _, p := range c.people {
		if p.id.rawID() == rawID {
			return p
		}
	}
	return nil
}

// others are all but the bot. Called with Call.mu held.
func (c *acsCall) others() []*party {
	bot := 1
	if c.direction == Outgoing && c.order.source == nil {
		bot = 0
	}
	return c.people[min(bot, len(c.people)):]
}

// sole returns the only other party of a call, or nil if there are more.
// Called with Call.mu held.
func (c *acsCall) sole() *party {
	if all := c.others(); len(all) == 1 {
		return all[0]
	}
	return nil
}

// model is the party as a version writes it.
func (p *party) model(version string) participantModel {
	m := participantModel{Identifier: p.id.as(version), IsMuted: p.muted}
	if version >= version2025 {
		held := p.held
		m.IsOnHold = &held
	}
	return m
}

// tellRoster tells the bot who is in the call.
func (c *acsCall) tellRoster() {
	c.rosterTurn.Lock()
	defer c.rosterTurn.Unlock()
	c.mu.Lock()
	data := eventData{}
	version := c.order.version
	if version == version2022 {
		flat := []identifier{}
		for _, p := range c.people {
			flat = append(flat, p.id.as(version))
		}
		data.Participants = flat
	} else {
		rows := []participantModel{}
		for _, p := range c.people {
			rows = append(rows, p.model(version))
		}
		c.sequence++
		data.Participants, data.SequenceNumber = rows, c.sequence
	}
	c.mu.Unlock()
	c.emit("ParticipantsUpdated", data, "")
}

// participants implements side.
func (c *acsCall) participants() (ids, rawIDs []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	others := c.others()
	for _, p := range slices.Concat(others, c.people[:len(c.people)-len(others)]) {
		ids = append(ids, p.id.rawID())
	}
	return ids, slices.Clone(ids)
}

// mute implements side.
func (c *acsCall) mute(rawID string, muted bool) bool {
	c.mu.Lock()
	p := c.party(rawID)
	if p != nil {
		p.muted = muted
		c.silence(p)
	}
	c.mu.Unlock()
	if p != nil {
		c.tellRoster()
	}
	return p != nil
}

// leave implements side. A call that all others have left is over: what the service does then is not
// documented for calls of more than two.
func (c *acsCall) leave(rawID string) bool {
	c.mu.Lock()
	p := c.party(rawID)
	if p == nil {
		c.mu.Unlock()
		return false
	}
	c.people = slices.DeleteFunc(c.people, func(o *party) bool { return o == p })
	c.leaveStage(p.speaker)
	alone := len(c.others()) == 0
	c.mu.Unlock()
	c.tellRoster()
	if alone {
		c.end(resultByOthers)
	}
	return true
}

// enter brings somebody in who says what sp says, from the next slot on.
func (c *acsCall) enter(sp Speaker) {
	c.mu.Lock()
	speaker := c.enterStage(sp)
	c.people = append(c.people, &party{id: identityOf(sp.ID), speaker: speaker})
	c.mu.Unlock()
	c.tellRoster()
}

// silence notes whether a party is muted or on hold. Called with Call.mu held.
func (c *acsCall) silence(p *party) {
	if p.speaker < 0 {
		return
	}
	if c.mutes == nil {
		c.mutes = map[int]bool{}
	}
	c.mutes[p.speaker] = p.muted || p.held
}

// Pages of participants. The service's own length of a page is not documented.
const pageLength = 100

// participantsPage is GetParticipantsResponse.
type participantsPage struct {
	Values   []participantModel `json:"values,omitempty"` // 2022
	Value    []participantModel `json:"value,omitempty"`
	NextLink string             `json:"nextLink,omitempty"`
}

func (c *acsCall) listParticipants(req *request) (*response, func()) {
	skip := 0
	if text := req.query.Get("$skip"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return refuse(badArgument("$skip", "%q is not a number of participants", text))
		}
		skip = n
	}
	c.mu.Lock()
	rows := []participantModel{}
	for _, p := range c.people {
		rows = append(rows, p.model(req.version))
	}
	c.mu.Unlock()
	page := participantsPage{}
	length := cmp.Or(c.server.PageLength, pageLength)
	rest := rows[min(skip, len(rows)):]
	if len(rest) > length {
		rest = rest[:length]
		page.NextLink = fmt.Sprintf("%s%s/%s/participants?api-version=%s&$skip=%d", req.base, connectionsPath, c.id, req.version, skip+length)
	}
	if req.version == version2022 {
		page.Values = rest
	} else {
		page.Value = rest
	}
	return newResponse(200, page), func() {}
}

func (c *acsCall) getParticipant(req *request) (*response, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.party(req.ids[1])
	if p == nil {
		return refuse(notFound(fmt.Sprintf("Participant %q", req.ids[1])))
	}
	return newResponse(200, p.model(req.version)), func() {}
}

// contextResponse is the response to operations that give their context back.
type contextResponse struct {
	OperationContext string `json:"operationContext,omitempty"`
}

// muteRequest is MuteParticipantsRequest.
type muteRequest struct {
	TargetParticipants []identifier `json:"targetParticipants"`
	OperationContext   string       `json:"operationContext"`
}

func parseMute(body []byte) (req muteRequest, bad *refusal) {
	if bad := decodeBody(body, &req); bad != nil {
		return req, bad
	}
	return req, checkAll("targetParticipants", req.TargetParticipants)
}

// checkAll judges a list of identifiers of which there must be one.
func checkAll(field string, ids []identifier) *refusal {
	if len(ids) == 0 {
		return badArgument(field, "is missing")
	}
	for i := range ids {
		if bad := ids[i].normalize(fmt.Sprintf("%s[%d]", field, i)); bad != nil {
			return bad
		}
	}
	return nil
}

// muteParticipants mutes; only the participants themselves can undo it, by
// Call.Mute. 2024-04-15 took one at a time.
func (c *acsCall) muteParticipants(req *request) (*response, func()) {
	m, bad := parseMute(req.body)
	if bad != nil {
		return refuse(bad)
	}
	if req.version < version2025 && len(m.TargetParticipants) > 1 {
		return refuse(badArgument("targetParticipants", "%d: want one", len(m.TargetParticipants)))
	}
	c.mu.Lock()
	var found []*party
	for i := range m.TargetParticipants {
		p := c.party(m.TargetParticipants[i].rawID())
		if p == nil {
			c.mu.Unlock()
			return refuse(notFound(fmt.Sprintf("Participant %q", m.TargetParticipants[i].rawID())))
		}
		found = append(found, p)
	}
	for _, p := range found {
		p.muted = true
		c.silence(p)
	}
	c.mu.Unlock()
	return newResponse(200, contextResponse{m.OperationContext}), c.tellRoster
}
