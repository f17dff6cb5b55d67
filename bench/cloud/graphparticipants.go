package cloud

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"
)

// listParticipants serves GET …/participants. Query options of OData that cut
// or order the list are taken and not obeyed.
func (c *graphCall) listParticipants(r *graphRequest) (*response, func()) {
	return newResponse(http.StatusOK, map[string]any{
		"@odata.context": "https://graph.microsoft.com/" + r.version + "/$metadata#communications/calls('" + c.id + "')/participants",
		"value":          c.roster(),
	}), func() {}
}

func errParticipant() *response {
	return graphError(http.StatusNotFound, "NotFound", "Participant not found.")
}

func (c *graphCall) getParticipant(r *graphRequest) (*response, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.visible() {
		if graphKey(m.id) == graphKey(r.ids[0]) && c.kind != kindPeer {
			return newResponse(http.StatusOK, m.rowAs(ProfileDocs, c)), func() {}
		}
	}
	return refuseGraph(errParticipant())
}

// removeParticipant takes somebody out, who is not told before or after.
func (c *graphCall) removeParticipant(r *graphRequest) (*response, func()) {
	if !c.has(r.ids[0]) || graphKey(r.ids[0]) == graphKey(c.myID) {
		return refuseGraph(errParticipant())
	}
	return newResponse(http.StatusNoContent, nil), func() { c.leave(r.ids[0]) }
}

func (c *graphCall) muteParticipant(r *graphRequest) (*response, func()) {
	context, bad := optionalContext(r.body)
	if bad = firstOf(bad, c.groupOnly(), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	if !c.has(r.ids[0]) {
		return refuseGraph(errParticipant())
	}
	op := c.begin("muteParticipantOperation", context, "completed")
	return c.reply(r, op, http.StatusOK, func() { c.mute(r.ids[0], true) })
}

func (c *graphCall) muteAll(r *graphRequest) (*response, func()) {
	var m struct {
		contextModel
		Participants []string `json:"participants"`
	}
	bad := decodeGraph(r.body, &m)
	if bad = firstOf(bad, clientContext(m.ClientContext), c.groupOnly(), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	for i, id := range m.Participants {
		if !c.has(id) {
			return refuseGraph(badRequest(fmt.Sprintf("participants[%d]", i), "%q: no such participant", id))
		}
	}
	op := c.begin("commsOperation", m.ClientContext, "completed")
	return c.reply(r, op, http.StatusOK, func() {
		c.changeRoster(func() {
			for _, id := range m.Participants {
				c.change(id, func(m *member) { m.muted = true })
			}
		})
	})
}

// configureMixer is of beta as it was in 2021. What it sets is taken and not
// obeyed: the emulator's mix has no levels.
func (c *graphCall) configureMixer(r *graphRequest) (*response, func()) {
	var m struct {
		contextModel
		Levels []struct {
			Participant string `json:"participant"`
		} `json:"participantMixerLevels"`
	}
	bad := decodeGraph(r.body, &m)
	if bad == nil && len(m.Levels) == 0 {
		bad = badRequest("participantMixerLevels", "is missing")
	}
	if bad = firstOf(bad, clientContext(m.ClientContext), c.groupOnly(), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	op := c.begin("commsOperation", m.ClientContext, "running")
	return c.reply(r, op, http.StatusOK, c.afterwards(op, c.server.scaled(connectDelay), nil))
}

// invite serves POST …/participants/invite. With replacesCallId only the first
// is invited, and the call that is replaced ends.
func (c *graphCall) invite(r *graphRequest) (*response, func()) {
	var m struct {
		contextModel
		Participants []graphParty `json:"participants"`
	}
	bad := decodeGraph(r.body, &m)
	if bad == nil && (len(m.Participants) == 0 || len(m.Participants) > maxGroup) {
		bad = badRequest("participants", "%d: want 1 to %d", len(m.Participants), maxGroup)
	}
	if bad = firstOf(bad, clientContext(m.ClientContext), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	for i := range m.Participants {
		switch p := &m.Participants[i]; {
		case p.ID == "":
			return refuseGraph(badRequest(fmt.Sprintf("participants[%d].identity", i), "names nobody"))
		case p.Kind == "phone" && !c.mayPhone():
			return refuseGraph(errPhone())
		}
	}
	replaced := ""
	for i := range m.Participants {
		if m.Participants[i].ReplacesCall != "" {
			replaced = m.Participants[i].ReplacesCall
			m.Participants = m.Participants[i : i+1]
			break
		}
	}
	if replaced != "" && c.server.graphCallOf(replaced, c.app) == nil {
		return refuseGraph(badRequest("participants[0].replacesCallId", "%q: no such call", replaced))
	}
	op := c.begin("inviteParticipantsOperation", m.ClientContext, "running")
	var told []any
	for i := range m.Participants {
		told = append(told, m.Participants[i].info("invitationParticipantInfo"))
	}
	op.more["participants"] = told
	return c.reply(r, op, http.StatusOK, c.afterwards(op, c.server.scaled(calleeDelay), func() { c.join(m.Participants, replaced) }))
}

// join lets the invited in. They listen.
func (c *graphCall) join(parties []graphParty, replaced string) {
	c.changeRoster(func() {
		c.grow()
		for _, p := range parties {
			if len(c.members) < maxMembers {
				c.members = append(c.members, member{
					id: uuid.NewString(), party: p, msi: c.extraMSI(), speaker: -1, sequence: c.sequence,
				})
			}
		}
	})
	if other := c.server.graphCallOf(replaced, c.app); replaced != "" && other != nil {
		other.end(graphTransfer)
	}
}

// grow makes a call of two one of many, whose roster the bot is told from then
// on: somebody else comes in. It is for changeRoster.
func (c *graphCall) grow() {
	if c.kind == kindPeer {
		c.kind, c.hungUp = kindGroup, graphByOthers
		c.members = append(c.members, c.firstMembers()...)
	}
}

func (c *graphCall) startHoldMusic(r *graphRequest) (*response, func()) {
	return c.holdMusic(r, "startHoldMusicOperation", true)
}

func (c *graphCall) stopHoldMusic(r *graphRequest) (*response, func()) {
	return c.holdMusic(r, "stopHoldMusicOperation", false)
}

// holdMusic keeps one participant at a time apart from the call, who does not
// hear the bot and is not heard.
func (c *graphCall) holdMusic(r *graphRequest, kind string, on bool) (*response, func()) {
	var m struct {
		contextModel
		CustomPrompt *promptModel `json:"customPrompt"`
	}
	var bad *response
	if len(r.body) > 0 {
		bad = decodeGraph(r.body, &m)
	}
	if bad == nil && m.CustomPrompt != nil {
		_, bad = c.server.checkPrompts([]promptModel{*m.CustomPrompt}, 1)
	}
	if bad = firstOf(bad, clientContext(m.ClientContext), c.groupOnly(), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	id := graphKey(r.ids[0])
	if !c.has(r.ids[0]) {
		return refuseGraph(errParticipant())
	}
	if bad := c.setHold(id, on); bad != nil {
		return refuseGraph(bad)
	}
	op := c.begin(kind, m.ClientContext, "running")
	return c.reply(r, op, http.StatusAccepted, c.afterwards(op, c.server.scaled(connectDelay), nil))
}

// setHold puts a member on hold, one at a time, or takes it off.
func (c *graphCall) setHold(id string, on bool) *response {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.members, func(m member) bool { return graphKey(m.id) == id })
	switch {
	case i < 0:
		return errParticipant() // has just left
	case on && c.onHold != "" && c.onHold != id:
		return graphError(http.StatusBadRequest, "BadRequest", "Another participant is on hold.")
	case !on && c.onHold != id:
		return graphError(http.StatusBadRequest, "BadRequest", "The participant is not on hold.")
	}
	c.onHold = map[bool]string{true: id}[on]
	c.hush(&c.members[i])
	return nil
}

func (c *graphCall) listSharing(*graphRequest) (*response, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []any{}
	for _, id := range c.sharing {
		all = append(all, sharingOf(id))
	}
	return newResponse(http.StatusOK, map[string]any{"value": all}), func() {}
}

func sharingOf(id string) map[string]any {
	return map[string]any{"@odata.type": "#microsoft.graph.contentSharingSession", "id": id}
}

func (c *graphCall) getSharing(r *graphRequest) (*response, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range c.sharing {
		if graphKey(id) == graphKey(r.ids[0]) {
			return newResponse(http.StatusOK, sharingOf(id)), func() {}
		}
	}
	return refuseGraph(graphError(http.StatusNotFound, "NotFound", "Content sharing session not found."))
}
