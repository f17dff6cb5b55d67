package cloud

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/engine/pcm"
)

// moveRequest is MoveParticipantsRequest.
type moveRequest struct {
	opModel
	TargetParticipants []identifier `json:"targetParticipants"`
	FromCall           string       `json:"fromCall"`
}

// moveResponse is MoveParticipantsResponse.
type moveResponse struct {
	Participants     []participantModel `json:"participants"`
	OperationContext string             `json:"operationContext,omitempty"`
	FromCall         string             `json:"fromCall"`
}

func parseMove(version string, body []byte, insecure bool) (m moveRequest, bad *refusal) {
	if bad := decodeBody(body, &m); bad != nil {
		return m, bad
	}
	if bad := checkAll("targetParticipants", m.TargetParticipants); bad != nil {
		return m, bad
	}
	if m.FromCall == "" {
		return m, badArgument("fromCall", "is missing")
	}
	return m, m.check(version, insecure)
}

// moveHere takes participants out of another call of the bot and into this
// one, where they go on with what they were saying.
func (c *acsCall) moveHere(req *request) (*response, func()) {
	m, bad := parseMove(req.version, req.body, c.server.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	from := c.server.live(m.FromCall)
	switch {
	case from == nil:
		return refuse(notFound("Call " + m.FromCall))
	case from == c:
		return refuse(badArgument("fromCall", "is this call"))
	}
	answer := moveResponse{OperationContext: m.OperationContext, FromCall: m.FromCall}
	for _, id := range m.TargetParticipants {
		answer.Participants = append(answer.Participants, (&party{id: id}).model(req.version))
	}
	return newResponse(http.StatusAccepted, answer), func() {
		for _, id := range m.TargetParticipants {
			c.move(from, id, m.opModel)
		}
	}
}

func (c *acsCall) move(from *acsCall, id identifier, op opModel) {
	data := eventData{Participant: &id, FromCall: from.id}
	why := c.failure("moveParticipants")
	from.mu.Lock()
	p := from.party(id.rawID())
	var sp Speaker
	if p != nil && p.speaker >= 0 {
		sp = from.stage.actors[p.speaker].rest(from.stage.slot)
	}
	from.mu.Unlock()
	if p == nil && why == nil {
		why = &Result{404, 8522, "Action failed, the participant is not in that call."}
	}
	if why != nil {
		c.tell("MoveParticipantFailed", op, *why, data)
		return
	}
	sp.ID = id.rawID()
	from.leave(sp.ID)
	c.tell("MoveParticipantSucceeded", op, resultDone, data)
	c.enter(sp)
}

// rest is what an actor has still to say at a slot, as a speaker whose slots
// count from there, up to ten minutes of it unless that goes on forever.
func (a *actor) rest(slot int) Speaker {
	sp := a.Speaker
	sp.Voice, sp.From, sp.Length, sp.Gain = "", 0, 0, 0
	sp.PCM, sp.Says, sp.Keys = nil, nil, nil
	for _, k := range a.Keys {
		if k.Slot >= slot {
			sp.Keys = append(sp.Keys, Key{Slot: k.Slot - slot, Tone: k.Tone})
		}
	}
	if a.start < 0 {
		sp.PCM, sp.Says, sp.Start = a.samples, a.Says, max(0, a.Start-slot)
		return sp
	}
	if a.start > slot {
		sp.PCM, sp.Says, sp.Start = a.samples, a.Says, a.start-slot
		return sp
	}
	sp.Start, sp.AfterBot = 0, 0
	for _, p := range a.Says {
		if a.start+p.Slot >= slot {
			sp.Says = append(sp.Says, Phrase{Slot: a.start + p.Slot - slot, Slots: p.Slots, Text: p.Text})
		}
	}
	length := len(a.samples) / pcm.FrameSamples
	if length == 0 {
		return sp
	}
	sp.Pause = 0
	if a.Loops == Forever {
		// Turned so that it begins where it stands.
		turned := make([]int16, (length+a.Pause)*pcm.FrameSamples)
		copy(turned, a.samples)
		cut := (slot - a.start) % (length + a.Pause) * pcm.FrameSamples
		sp.PCM = slices.Concat(turned[cut:], turned[:cut])
		return sp
	}
	sp.Loops = 0
	end := min(a.start+length+a.Loops*(length+a.Pause), slot+maxClip/pcm.FrameSamples)
	for at := slot; at < end; at++ {
		sp.PCM = append(sp.PCM, a.at(at)...)
	}
	return sp
}

// newConnected joins the bot to a call: one that is there, whose people go on
// talking to this leg of it as to the other, or a group call or room, which is
// cast as a call that the bot creates is.
func (s *Server) newConnected(o order) (*acsCall, *refusal) {
	id := uuid.NewString()
	d := o.dialled(id)
	d.Kind, d.Meeting = map[string]string{
		"groupCallLocator": "group", "roomCallLocator": "room", "serverCallLocator": "server",
	}[o.locator.Kind], o.locator.id()
	there := s.located(o.locator)
	if there == nil && o.locator.Kind == "serverCallLocator" {
		return nil, notFound("Call")
	}
	callee := Callee{}
	if there == nil {
		callee = s.calleeFor(d)
		if err := callee.Script.Validate(); err != nil {
			return nil, &refusal{status: http.StatusInternalServerError, code: "500", message: err.Error()}
		}
		callee.Script = s.cast(callee.Script, s.newUser())
	} else {
		callee.Script = there.encore()
	}
	c := s.newACSCall(id, Outgoing, callee.Script)
	c.callee, c.order, c.asked, c.state, c.meeting = callee, o, o.media, stateConnecting, o.locator
	c.gridURL = s.EventsURL
	if there != nil {
		c.serverCallID, c.correlationID = there.serverCallID, there.correlationID
		if c.meeting.Kind == "serverCallLocator" {
			c.meeting = cmp.Or(there.meeting, c.meeting)
		}
	}
	c.prepare()
	close(c.answered)
	if refused := s.admit(c.Call); refused != nil {
		return nil, refused
	}
	return c, nil
}

// encore is the script of who are on stage, from now on.
func (c *acsCall) encore() Script {
	c.mu.Lock()
	defer c.mu.Unlock()
	script := Script{Name: c.stage.script.Name, HangUp: c.stage.script.HangUp, Dominant: c.stage.script.Dominant}
	if script.HangUp > 0 {
		script.HangUp = max(1, script.HangUp-c.stage.slot)
	}
	for i := range c.stage.actors {
		if a := &c.stage.actors[i]; a.left == 0 {
			script.Speakers = append(script.Speakers, a.rest(c.stage.slot))
		}
	}
	return script
}
