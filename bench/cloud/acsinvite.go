package cloud

import (
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// Added is somebody whom the bot adds to a call, or transfers it to.
type Added struct {
	CallID, APIVersion string
	RawID              string
	Operation          string // "addParticipant" or "transferToParticipant"
	OperationContext   string
}

// inviteeFor says how somebody takes it: by OnAdd, by what the admin API said
// for that id or for all, or else by answering and saying nothing.
func (s *Server) inviteeFor(a Added) Callee {
	if s.OnAdd != nil {
		return s.OnAdd(a)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if callee, ok := s.invitees[a.RawID]; ok {
		return callee
	}
	return s.invitees[""]
}

// voice is what an invitee says: the script's first speaker.
func (c Callee) voice(rawID string) Speaker {
	sp := Speaker{}
	if len(c.Script.Speakers) > 0 {
		sp = c.Script.Speakers[0]
	}
	sp.ID = rawID
	return sp
}

// addRequest is AddParticipant(s)Request of all versions.
type addRequest struct {
	opModel
	ParticipantToAdd    *identifier  `json:"participantToAdd"`
	ParticipantsToAdd   []identifier `json:"participantsToAdd"` // 2022
	SourceCallerID      *phoneModel  `json:"sourceCallerId"`    // 2022
	SourceCallerNumber  *phoneModel  `json:"sourceCallerIdNumber"`
	InvitationTimeout   *int         `json:"invitationTimeoutInSeconds"`
	SourceDisplayName   string       `json:"sourceDisplayName"`
	invitationTimeoutIn time.Duration
}

// Bounds of an invitation, in seconds. The default is not documented.
const (
	defaultInvitation = 60
	longestInvitation = 180
)

func parseAdd(version string, body []byte, insecure bool) (m addRequest, bad *refusal) {
	if bad := decodeBody(body, &m); bad != nil {
		return m, bad
	}
	if bad := m.check(version, insecure); bad != nil {
		return m, bad
	}
	caller := m.SourceCallerNumber
	if version == version2022 {
		caller = m.SourceCallerID
		if bad := checkAll("participantsToAdd", m.ParticipantsToAdd); bad != nil {
			return m, bad
		}
	} else {
		if m.ParticipantToAdd == nil {
			return m, badArgument("participantToAdd", "is missing")
		}
		if bad := m.ParticipantToAdd.normalize("participantToAdd"); bad != nil {
			return m, bad
		}
		m.ParticipantsToAdd = []identifier{*m.ParticipantToAdd}
	}
	for _, id := range m.ParticipantsToAdd {
		if id.PhoneNumber != nil && (caller == nil || caller.Value == "") {
			// "For actions on PSTN endpoints you need to set the caller id."
			return m, badArgument("sourceCallerIdNumber", "is missing: a phone number is called")
		}
	}
	seconds := defaultInvitation
	if bad := between("invitationTimeoutInSeconds", m.InvitationTimeout, 0, longestInvitation, 1, &seconds); bad != nil {
		return m, bad
	}
	if seconds == 0 {
		seconds = defaultInvitation
	}
	m.invitationTimeoutIn = time.Duration(seconds) * time.Second
	return m, nil
}

// addResponse is AddParticipant(s)Response of all versions.
type addResponse struct {
	Participant      *participantModel  `json:"participant,omitempty"`
	Participants     []participantModel `json:"participants,omitempty"` // 2022
	OperationContext string             `json:"operationContext,omitempty"`
	InvitationID     string             `json:"invitationId,omitempty"` // from 2024 on
}

// invitation is one under way, or settled. It is guarded by Call.mu.
type invitation struct {
	id        string
	who       identifier
	op        opModel
	cancelled chan struct{}
	settled   bool
}

// maxInvitations bounds those of a call, settled or not.
const maxInvitations = 1000

func (c *acsCall) addParticipant(req *request) (*response, func()) {
	m, bad := parseAdd(req.version, req.body, c.server.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.invitations) >= maxInvitations {
		return refuse(&refusal{status: http.StatusTooManyRequests, code: "8516", message: fmt.Sprintf("%d invitations.", maxInvitations), retryAfter: 1})
	}
	answer := addResponse{OperationContext: m.OperationContext}
	var all []*invitation
	for _, id := range m.ParticipantsToAdd {
		if c.party(id.rawID()) != nil {
			return refuse(badArgument("participantToAdd", "%q is in the call already", id.rawID()))
		}
		all = append(all, &invitation{id: uuid.NewString(), who: id, op: m.opModel, cancelled: make(chan struct{})})
		answer.Participants = append(answer.Participants, (&party{id: id, speaker: -1}).model(req.version))
	}
	if req.version != version2022 {
		answer.Participant, answer.Participants = &answer.Participants[0], nil
	}
	for _, i := range all {
		c.invitations[i.id] = i
		if req.version >= version2024 {
			answer.InvitationID = i.id
		}
	}
	return newResponse(http.StatusAccepted, answer), func() {
		for _, i := range all {
			c.server.wg.Go(func() { c.invite(i, m.invitationTimeoutIn) })
		}
	}
}

// Results of invitations. The page of codes has the subcodes; which code goes
// with each is not documented.
var (
	resultDeclined    = Result{603, 8538, "The participant declined the call."}
	resultUnavailable = Result{480, 8541, "The participant did not answer in time."}
)

// invite rings somebody, and tells what came of it.
func (c *acsCall) invite(i *invitation, timeout time.Duration) {
	raw := i.who.rawID()
	why := c.failure("addParticipant")
	callee := c.server.inviteeFor(Added{
		CallID: c.id, APIVersion: c.order.version, RawID: raw, Operation: "addParticipant", OperationContext: i.op.OperationContext,
	})
	var guest *person
	if why == nil {
		var over bool
		if guest, why, over = c.ringInvitee(i, callee, timeout); over {
			return
		}
	}
	c.mu.Lock()
	settled := i.settled
	i.settled = true
	c.mu.Unlock()
	if settled {
		if guest != nil {
			guest.end("the invitation was taken back")
		}
		return
	}
	who := i.who
	if why != nil {
		c.tell("AddParticipantFailed", i.op, *why, eventData{Participant: &who})
		return
	}
	c.tell("AddParticipantSucceeded", i.op, resultDone, eventData{Participant: &who})
	if guest == nil {
		c.enter(callee.voice(raw))
	} else if err := c.seat(Speaker{ID: raw, Name: guest.name, mic: guest.mic}, guest, false); err != nil {
		guest.end(err.Error())
	}
}

// ringInvitee lets it ring, and returns the person who answered, if one was to,
// or why nobody did. over: it does not matter any more, for the invitation was
// taken back, which is told by who did so, or the call has ended.
func (c *acsCall) ringInvitee(i *invitation, callee Callee, timeout time.Duration) (guest *person, why *Result, over bool) {
	rings := min(callee.ring(), timeout)
	if callee.Person {
		r := c.rings()
		r.Operation, r.To, r.From, r.Context = "addParticipant", i.who.rawID(), c.botRawID(), i.op.OperationContext
		guest, answered := c.ringPeople(r, rings, i.cancelled)
		switch {
		case guest != nil:
			return guest, nil, false
		case answered:
			return nil, &resultDeclined, false
		}
		return nil, &resultUnavailable, isClosed(i.cancelled) || c.ctx.Err() != nil
	}
	t := time.NewTimer(c.server.scaled(rings))
	defer t.Stop()
	select {
	case <-t.C:
	case <-i.cancelled:
		return nil, nil, true
	case <-c.ctx.Done():
		return nil, nil, true
	}
	switch {
	case callee.ring() >= timeout:
		why = &resultUnavailable
	case callee.Refuse != nil:
		why = callee.Refuse
		if *why == (Result{}) {
			why = &resultDeclined
		}
	}
	return nil, why, false
}

// cancelRequest is CancelAddParticipantRequest.
type cancelRequest struct {
	opModel
	InvitationID string `json:"invitationId"`
}

type cancelResponse struct {
	InvitationID     string `json:"invitationId"`
	OperationContext string `json:"operationContext,omitempty"`
}

func parseCancel(version string, body []byte, insecure bool) (m cancelRequest, bad *refusal) {
	if bad := decodeBody(body, &m); bad != nil {
		return m, bad
	}
	if m.InvitationID == "" {
		return m, badArgument("invitationId", "is missing")
	}
	return m, m.check(version, insecure)
}

// cancelAdd takes an invitation back. One that was answered or declined cannot
// be: an event tells so. One that never was is not found.
func (c *acsCall) cancelAdd(req *request) (*response, func()) {
	m, bad := parseCancel(req.version, req.body, c.server.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	why := c.failure("cancelAddParticipant")
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.invitations[m.InvitationID]
	if i == nil {
		return refuse(notFound("Invitation"))
	}
	if i.settled && why == nil {
		why = &Result{400, 8585, "Action failed, the invitation has been answered."}
	}
	if why == nil {
		i.settled = true
		close(i.cancelled)
	}
	return newResponse(http.StatusAccepted, cancelResponse{m.InvitationID, m.OperationContext}), func() {
		data := eventData{InvitationID: m.InvitationID}
		if why != nil {
			c.tell("CancelAddParticipantFailed", m.opModel, *why, data)
			return
		}
		c.tell("CancelAddParticipantSucceeded", m.opModel, resultDone, data)
	}
}

// removeRequest is RemoveParticipant(s)Request of all versions.
type removeRequest struct {
	opModel
	ParticipantToRemove  *identifier  `json:"participantToRemove"`
	ParticipantsToRemove []identifier `json:"participantsToRemove"` // 2022
}

func parseRemove(version string, body []byte, insecure bool) (m removeRequest, bad *refusal) {
	if bad := decodeBody(body, &m); bad != nil {
		return m, bad
	}
	if bad := m.check(version, insecure); bad != nil {
		return m, bad
	}
	if version == version2022 {
		return m, checkAll("participantsToRemove", m.ParticipantsToRemove)
	}
	if m.ParticipantToRemove == nil {
		return m, badArgument("participantToRemove", "is missing")
	}
	m.ParticipantsToRemove = []identifier{*m.ParticipantToRemove}
	return m, m.ParticipantsToRemove[0].normalize("participantToRemove")
}

// removeParticipant takes somebody out. That they are not there is told by
// the event, as all that can go wrong with a participant is.
func (c *acsCall) removeParticipant(req *request) (*response, func()) {
	m, bad := parseRemove(req.version, req.body, c.server.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	return newResponse(http.StatusAccepted, contextResponse{m.OperationContext}), func() {
		for _, id := range m.ParticipantsToRemove {
			c.remove(id, m.opModel)
		}
	}
}

func (c *acsCall) remove(id identifier, op opModel) {
	data := eventData{Participant: &id}
	if why := c.failure("removeParticipant"); why != nil {
		c.tell("RemoveParticipantFailed", op, *why, data)
		return
	}
	if c.present(id.rawID()) != nil {
		c.tell("RemoveParticipantFailed", op, Result{404, 8522, "Action failed, the participant is not in the call."}, data)
		return
	}
	c.tell("RemoveParticipantSucceeded", op, resultDone, data)
	c.leave(id.rawID())
}
