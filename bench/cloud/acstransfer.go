package cloud

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// transferRequest is TransferToParticipantRequest of all versions.
type transferRequest struct {
	opModel
	TargetParticipant *identifier `json:"targetParticipant"`
	Transferee        *identifier `json:"transferee"` // from 2024 on
	TransfereeCaller  *phoneModel `json:"transfereeCallerId"`
	SourceCaller      *phoneModel `json:"sourceCallerIdNumber"`
}

// parseTransfer reads a transfer. An identifier of a type that cannot be
// transferred to is answered with 500 instead of 400: a quirk of the service
// that its documents own up to (call-automation.md).
func parseTransfer(version string, body []byte, insecure bool) (m transferRequest, bad *refusal) {
	if bad := decodeBody(body, &m); bad != nil {
		return m, bad
	}
	if version < version2024 {
		m.Transferee = nil
	}
	if m.TargetParticipant == nil {
		return m, badArgument("targetParticipant", "is missing")
	}
	bad = m.TargetParticipant.normalize("targetParticipant")
	kinds := []string{"communicationUser", "phoneNumber", "microsoftTeamsUser", "microsoftTeamsApp", "teamsExtensionUser"}
	if bad != nil && strings.HasSuffix(bad.target, ".kind") || bad == nil && !slices.Contains(kinds, m.TargetParticipant.Kind) {
		return m, &refusal{status: http.StatusInternalServerError, code: "500", target: "targetParticipant.kind", message: "internal server error"}
	}
	if bad != nil {
		return m, bad
	}
	if m.Transferee != nil {
		if bad := m.Transferee.normalize("transferee"); bad != nil {
			return m, bad
		}
	}
	return m, m.check(version, insecure)
}

// transfer hands the only other party, or the transferee, to somebody else.
// The call is over once that is accepted, unless others stay in it.
func (c *acsCall) transfer(req *request) (*response, func()) {
	m, bad := parseTransfer(req.version, req.body, c.server.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	who := c.sole()
	if m.Transferee != nil {
		if who = c.party(m.Transferee.rawID()); who == nil {
			return refuse(notFound("Participant " + m.Transferee.rawID()))
		}
	}
	switch {
	case who == nil:
		return refuse(wrongState("The call has several participants: the transferee must be named."))
	case c.phase == "transferring":
		return refuse(&refusal{status: http.StatusConflict, code: "8607", message: "Another transfer is under way."})
	}
	c.phase = "transferring"
	gone := who.id
	return newResponse(http.StatusAccepted, contextResponse{m.OperationContext}), func() {
		c.server.wg.Go(func() { c.handOver(gone, *m.TargetParticipant, m.opModel) })
	}
}

var resultTransferred = Result{200, 7000, "The call was transferred."}

func (c *acsCall) handOver(who, target identifier, op opModel) {
	callee := c.server.inviteeFor(Added{
		CallID: c.id, APIVersion: c.order.version, RawID: target.rawID(),
		Operation: "transferToParticipant", OperationContext: op.OperationContext,
	})
	if !sleep(c.ctx, c.server.scaled(min(callee.ring(), defaultInvitation*time.Second))) {
		return
	}
	why := c.failure("transferToParticipant")
	switch {
	case why != nil:
	case c.hasFault(FailTransfer):
		why = &Result{500, 7000, "Action failed, the transfer failed."}
	case callee.ring() >= defaultInvitation*time.Second:
		why = &resultUnavailable
	case callee.Refuse != nil:
		why = callee.Refuse
		if *why == (Result{}) {
			why = &resultDeclined
		}
	}
	c.mu.Lock()
	c.phase = ""
	if why == nil {
		c.phase = "transferAccepted"
	}
	c.mu.Unlock()
	if why != nil {
		c.tell("CallTransferFailed", op, *why, eventData{})
		return
	}
	c.tell("CallTransferAccepted", op, resultDone, eventData{TransferTarget: &target, Transferee: &who})
	c.mu.Lock()
	alone := c.sole() != nil
	c.mu.Unlock()
	if alone {
		c.end(resultTransferred)
		return
	}
	c.mu.Lock()
	c.phase = ""
	c.mu.Unlock()
	c.leave(who.rawID())
}
