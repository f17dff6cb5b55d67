package cloud

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// JoinDecision is what a bot decided of one more participant of its policy
// group.
type JoinDecision struct {
	Status int `json:"status"` // of the HTTP response
	// Accepted, or Reason for which it was rejected, or InviteURI of another
	// bot, at which Call rings instead.
	Accepted  bool   `json:"accepted"`
	Reason    string `json:"reason,omitempty"`
	InviteURI string `json:"invite_uri,omitempty"`
	Call      *Call  `json:"-"`
}

// Join brings one more participant of a policy group: while the call that was
// answered with a participantCapacity has room, the bot is asked
// (participantJoiningNotification) and its response decides. ErrFull: it has
// none, and the service would ring anew (RingGraph). The slots of who count
// from the entry. The item's envelope and the response's status are not public:
// the types of the documents are sent as any other notification, and any 2xx is
// taken.
func (c *Call) Join(ctx context.Context, who Speaker) (JoinDecision, error) {
	g := graphOf(c)
	if g == nil || g.policyGroup == "" {
		return JoinDecision{}, fmt.Errorf("cloud: call %s was not brought by a policy", c.id)
	}
	if !g.takeOn() {
		return JoinDecision{}, ErrFull
	}
	if who.ID == "" {
		who.ID = c.server.newGraphUser()
	}
	party := partyOf(who.ID, who.Name)
	answer := make(chan JoinDecision, 1)
	g.notify(notification{
		name: "joining", change: "updated",
		data: map[string]any{
			"@odata.type": "#microsoft.graph.participantJoiningNotification", "id": uuid.NewString(),
			"call": map[string]any{
				"@odata.type": "#microsoft.graph.call", "state": c.server.Profile.enum("incoming"), "id": c.id,
				"direction": c.server.Profile.enum("incoming"), "source": party.info("participantInfo"), "tenantId": g.tenantID,
			},
		},
		answered: func(status int, body []byte) {
			select {
			case answer <- readDecision(status, body):
			default:
			}
		},
	})
	var d JoinDecision
	select {
	case d = <-answer:
	case <-c.done:
		return JoinDecision{}, fmt.Errorf("cloud: call %s ended", c.id)
	case <-ctx.Done():
		g.letGo()
		return JoinDecision{}, fmt.Errorf("cloud: join: %w", ctx.Err())
	}
	if d.Accepted {
		g.enter(who)
		return d, nil
	}
	g.letGo()
	if d.InviteURI == "" {
		return d, nil
	}
	if bad := checkGraphURI("inviteUri", d.InviteURI, c.server.Insecure); bad != nil {
		return d, fmt.Errorf("cloud: join: %s", bad.failure.Message)
	}
	var err error
	d.Call, err = c.server.ringGraphAt(ctx, d.InviteURI, GraphRing{
		App: g.app.ID, Script: Script{HangUp: Never, Speakers: []Speaker{who}}, Policy: g.policyGroup,
	})
	return d, err
}

// takeOn gives one more participant a place, if there is one.
func (c *graphCall) takeOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handled >= c.order.capacity || c.state != stateConnected {
		return false
	}
	c.handled++
	return true
}

// letGo makes room for another participant.
func (c *graphCall) letGo() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handled--
}

func readDecision(status int, body []byte) JoinDecision {
	var m struct {
		Type      string `json:"@odata.type"`
		Reason    string `json:"reason"`
		InviteURI string `json:"inviteUri"`
	}
	d := JoinDecision{Status: status}
	if !decodeAnswer(body, &m) {
		d.Reason = "the response is not a participantJoiningResponse"
		return d
	}
	switch typeName(m.Type) {
	case "acceptjoinresponse":
		d.Accepted = true
	case "rejectjoinresponse":
		d.Reason = m.Reason
	case "invitenewbotresponse":
		d.InviteURI = m.InviteURI
	default:
		d.Reason = fmt.Sprintf("@odata.type %q is not one", m.Type)
	}
	return d
}

// enter brings somebody in who says what sp says, from the next slot on.
func (c *graphCall) enter(sp Speaker) {
	c.changeRoster(func() {
		speaker := c.enterStage(sp)
		c.members = append(c.members, member{
			id: uuid.NewString(), party: partyOf(sp.ID, sp.Name), msi: msiOf(speaker), speaker: speaker, sequence: c.sequence,
		})
	})
}

// Left tells the bot that a participant whom it records has left
// (participantLeftNotification).
func (c *Call) Left(participantID string) bool {
	g := graphOf(c)
	if g == nil || g.policyGroup == "" || !g.has(participantID) || graphKey(participantID) == graphKey(g.myID) {
		return false
	}
	g.letGo()
	g.notify(notification{
		name: "left", change: "updated",
		data: map[string]any{
			"@odata.type": "#microsoft.graph.participantLeftNotification", "id": uuid.NewString(), "participantId": participantID,
			"call": map[string]any{
				"@odata.type": "#microsoft.graph.call", "id": c.id, "resultInfo": resultInfo(graphOtherLeft),
			},
		},
	})
	return c.Leave(participantID)
}
