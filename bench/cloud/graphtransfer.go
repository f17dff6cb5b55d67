package cloud

import (
	"cmp"
	"net/http"
)

// transfer serves POST …/transfer: blind, or with replacesCallId consultative;
// of a group call only of one of its participants.
func (c *graphCall) transfer(r *graphRequest) (*response, func()) {
	var m struct {
		contextModel
		Target     *graphParty `json:"transferTarget"`
		Transferee *graphParty `json:"transferee"`
	}
	bad := decodeGraph(r.body, &m)
	peer := c.peer()
	switch {
	case bad != nil:
	case m.Target == nil || m.Target.ID == "":
		bad = badRequest("transferTarget.identity", "names nobody")
	case !peer && (m.Transferee == nil || m.Transferee.ParticipantID == ""):
		bad = badRequest("transferee.participantId", "is missing: a group call transfers one of its participants")
	case !peer && !c.has(m.Transferee.ParticipantID):
		bad = badRequest("transferee.participantId", "%q: no such participant", m.Transferee.ParticipantID)
	case m.Target.Kind == "phone" && !c.mayPhone():
		bad = errPhone()
	case m.Target.ReplacesCall != "" && c.server.graphCallOf(m.Target.ReplacesCall, c.app) == nil:
		bad = badRequest("transferTarget.replacesCallId", "%q: no such call", m.Target.ReplacesCall)
	}
	if bad = firstOf(bad, clientContext(m.ClientContext), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	return newResponse(http.StatusAccepted, nil), func() {
		c.server.wg.Go(func() { c.hand(*m.Target, m.Transferee) })
	}
}

// hand takes a call over to somebody else.
func (c *graphCall) hand(target graphParty, transferee *graphParty) {
	c.enterPhase("transferring", nil)
	if !sleep(c.ctx, c.server.scaled(calleeDelay)) {
		return
	}
	if c.hasFault(FailTransfer) {
		code := 7000
		if target.ReplacesCall != "" {
			code = 7700
		}
		c.enterPhase("", map[string]any{"resultInfo": resultInfo(Result{500, code, "The transfer failed."})})
		return
	}
	c.mu.Lock()
	c.consultative = target.ReplacesCall != ""
	c.mu.Unlock()
	c.enterPhase("transferAccepted", nil)
	if other := c.server.graphCallOf(target.ReplacesCall, c.app); target.ReplacesCall != "" && other != nil {
		other.end(graphTransfer)
	}
	if transferee != nil {
		c.enterPhase("", nil)
		c.leave(transferee.ParticipantID)
		return
	}
	c.end(graphTransfer)
}

// enterPhase tells of a state between established and the end; "" is back to
// established.
func (c *graphCall) enterPhase(phase string, more map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = phase
	c.tellState(cmp.Or(phase, "established"), more)
}
