package acs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/ops"
	"github.com/mixminus/mixminus/session/rest"
)

// maxPages bounds how many pages of a list are followed.
const maxPages = 100

// participantPage is GetParticipantsResponse; Version2022 has Values.
type participantPage struct {
	Value  []participant `json:"value"`
	Values []participant `json:"values"`
	Next   string        `json:"nextLink"`
}

// ListParticipants fetches who is in the call, page after page, as far as it is
// asked to: "Get Participants". An error ends the list.
func (c *Client) ListParticipants(ctx context.Context, callID string) iter.Seq2[session.Participant, error] {
	const op = "list participants"
	return func(yield func(session.Participant, error) bool) {
		path, err := callPath(callID, "/participants")
		if err != nil {
			yield(session.Participant{}, c.localError(op, err))
			return
		}
		r := request{op: op, method: http.MethodGet, path: path, want: []int{http.StatusOK}}
		for range maxPages {
			var page participantPage
			if err := c.decode(ctx, r, &page); err != nil {
				yield(session.Participant{}, err)
				return
			}
			for _, p := range append(page.Value, page.Values...) {
				if row := p.row(); row.RawID != "" && !yield(row, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			if r.path, r.query, err = c.follow(path, page.Next); err != nil {
				yield(session.Participant{}, c.localError(op, err))
				return
			}
		}
		yield(session.Participant{}, c.localError(op, fmt.Errorf("list has more than %d pages", maxPages)))
	}
}

// follow reads the link to the next page: absolute or below the resource. It
// must lead to the list itself: no link is worth a signature for something
// else.
func (c *Client) follow(list, link string) (path, query string, err error) {
	u, err := url.Parse(link)
	if err != nil {
		return "", "", errors.New("nextLink is not a URL")
	}
	if u.IsAbs() && u.Scheme+"://"+u.Host != c.config.Endpoint {
		return "", "", fmt.Errorf("nextLink leads to %s", rest.Clip(u.Host))
	}
	want, err := url.PathUnescape(list)
	if err != nil || u.Path != want {
		return "", "", errors.New("nextLink leads to another resource")
	}
	q := u.Query()
	q.Del("api-version") // the client's own follows
	if len(q) == 0 {
		return "", "", errors.New("nextLink leads to the same page")
	}
	return list, q.Encode(), nil
}

// Participants implements session.RosterKeeper.
func (c *Client) Participants(ctx context.Context, callID string) (session.Roster, error) {
	roster := session.Roster{Participants: []session.Participant{}}
	for p, err := range c.ListParticipants(ctx, callID) {
		if err != nil {
			return session.Roster{}, err
		}
		roster.Participants = append(roster.Participants, p)
	}
	return roster, nil
}

// GetParticipant fetches one of the call by raw id: "Get Participant".
func (c *Client) GetParticipant(ctx context.Context, callID, rawID string) (session.Participant, error) {
	const op = "get participant"
	id, err := pathID("participant", rawID, 512)
	if err != nil {
		return session.Participant{}, c.localError(op, err)
	}
	path, err := callPath(callID, "/participants/"+id)
	if err != nil {
		return session.Participant{}, c.localError(op, err)
	}
	r := request{op: op, method: http.MethodGet, path: path, want: []int{http.StatusOK}}
	var p participant
	if err := c.decode(ctx, r, &p); err != nil {
		return session.Participant{}, err
	}
	row := p.row()
	if row.RawID == "" {
		return row, c.badResponse(r, errors.New("response has no identifier"))
	}
	return row, nil
}

// AddParticipant says whom to ask into a call.
type AddParticipant struct {
	// Party by raw id.
	Party string
	// CallerID is the phone number that a telephone is shown, E.164.
	CallerID string
	// DisplayName that the party is shown. Not in Version2022.
	DisplayName string
	// Timeout of the ringing in seconds, up to 180; 0 is the service's.
	Timeout int
	// Headers go with the invitation. Not in Version2022.
	Headers Headers
	Tracking
}

// Headers is customContext: what the other side of an invitation or transfer
// is told. SIP names begin with "X-MS-Custom-"; User-To-User is one too.
type Headers struct {
	VoIP map[string]string `json:"voipHeaders,omitzero"`
	SIP  map[string]string `json:"sipHeaders,omitzero"`
}

func (h Headers) wire() *Headers {
	if len(h.VoIP) == 0 && len(h.SIP) == 0 {
		return nil
	}
	return &h
}

// Invitation is a participant who was asked in. The operation ends with
// AddParticipantSucceeded or Failed; if it is taken back, it fails with the
// CancelAddParticipantSucceeded that says so.
type Invitation struct {
	*Operation
	// ID is for CancelAddParticipant; empty in Version2022.
	ID string
}

type addRequest struct {
	CallerID    *phoneNumber `json:"sourceCallerIdNumber,omitzero"`
	DisplayName string       `json:"sourceDisplayName,omitzero"`
	Party       *identifier  `json:"participantToAdd,omitzero"`
	// The words of Version2022.
	Parties  []identifier `json:"participantsToAdd,omitempty"`
	SourceID *phoneNumber `json:"sourceCallerId,omitzero"`

	Timeout int      `json:"invitationTimeoutInSeconds,omitzero"`
	Headers *Headers `json:"customCallingContext,omitzero"`
	tracked
}

// AddParticipant asks somebody into the call: "Add Participant".
func (c *Client) AddParticipant(ctx context.Context, callID string, a AddParticipant) (*Invitation, error) {
	body, err := c.addBody(&a)
	if err != nil {
		return nil, c.localError(string(kindAdd), err)
	}
	var told struct {
		InvitationID string `json:"invitationId"`
	}
	o, err := c.one(ctx, started{
		kind: kindAdd, callID: callID, context: a.OperationContext, action: "/participants:add",
		body: body, want: accepted, repeatable: true, out: &told,
	})
	if err != nil {
		return nil, err
	}
	c.config.Operations.invite(told.InvitationID, ops.Key{Call: callID, ID: opID(kindAdd, a.OperationContext, "")})
	return &Invitation{o, told.InvitationID}, nil
}

func (c *Client) addBody(a *AddParticipant) (body addRequest, err error) {
	if a.Tracking, err = c.track(a.Tracking); err != nil {
		return body, err
	}
	if err := within("invitationTimeoutInSeconds", a.Timeout, 0, 180); err != nil {
		return body, err
	}
	id, err := c.party("participantToAdd", a.Party)
	if err != nil {
		return body, err
	}
	body = addRequest{DisplayName: a.DisplayName, Timeout: a.Timeout, Headers: a.Headers.wire(), tracked: a.members()}
	if !c.old() {
		body.Party, body.CallerID = &id, phoneOf(a.CallerID)
		return body, nil
	}
	switch {
	case a.DisplayName != "":
		return body, c.unsupported("sourceDisplayName of add participant", Version2026)
	case body.Headers != nil:
		return body, c.unsupported("customCallingContext", Version2026)
	}
	body.Parties = []identifier{id}
	// Required there, and of no meaning but for a telephone.
	if body.SourceID = phoneOf(a.CallerID); body.SourceID == nil {
		return body, &session.FieldError{Field: "sourceCallerId", Want: "want a phone number: api-version " + Version2022 + " needs one"}
	}
	return body, nil
}

// RemoveParticipant takes somebody out of the call: "Remove Participant". The
// operation ends with RemoveParticipantSucceeded or Failed; Version2022 has no
// such events, there it is over at once, with an event that has no name.
func (c *Client) RemoveParticipant(ctx context.Context, callID, party string, t Tracking) (*Operation, error) {
	const op = string(kindRemove)
	t, err := c.track(t)
	if err != nil {
		return nil, c.localError(op, err)
	}
	id, err := c.party("participantToRemove", party)
	if err != nil {
		return nil, c.localError(op, err)
	}
	body := struct {
		Party   *identifier  `json:"participantToRemove,omitzero"`
		Parties []identifier `json:"participantsToRemove,omitempty"`
		tracked
	}{Party: &id, tracked: t.members()}
	if c.old() {
		body.Party, body.Parties = nil, []identifier{id}
	}
	s := started{
		kind: kindRemove, callID: callID, context: t.OperationContext, action: "/participants:remove",
		body: body, want: accepted, repeatable: true,
	}
	if c.old() {
		return c.untold(ctx, s)
	}
	return c.one(ctx, s)
}

// MuteParticipant mutes somebody, who can unmute himself: "Mute". It is done
// when it returns. The service mutes one at a time, and only communication
// users. Not in Version2022.
func (c *Client) MuteParticipant(ctx context.Context, callID, party, operationContext string) error {
	const op = "mute participant"
	if err := c.needs2026(op); err != nil {
		return c.localError(op, err)
	}
	id, err := c.party("targetParticipants", party)
	if err != nil {
		return c.localError(op, err)
	}
	r, err := c.action(op, callID, "/participants:mute", struct {
		Targets []identifier `json:"targetParticipants"`
		tracked
	}{[]identifier{id}, tracked{OperationContext: operationContext}}, http.StatusOK)
	if err != nil {
		return err
	}
	r.repeatable = true
	_, err = c.do(ctx, r)
	return err
}

// CancelAddParticipant takes an invitation back: "Cancel Add Participant". The
// operation ends with CancelAddParticipantSucceeded or Failed; that of the
// invitation fails then. Not in Version2022.
func (c *Client) CancelAddParticipant(ctx context.Context, callID, invitationID string, t Tracking) (*Operation, error) {
	const op = string(kindCancelAdd)
	if err := c.needs2026(op); err != nil {
		return nil, c.localError(op, err)
	}
	t, err := c.track(t)
	if err != nil {
		return nil, c.localError(op, err)
	}
	if invitationID == "" {
		return nil, c.localError(op, &session.FieldError{Field: "invitationId", Want: "want an Invitation's"})
	}
	return c.one(ctx, started{
		kind: kindCancelAdd, callID: callID, context: t.OperationContext, action: "/participants:cancelAddParticipant",
		want: accepted, repeatable: true,
		body: struct {
			InvitationID string `json:"invitationId"`
			tracked
		}{invitationID, t.members()},
	})
}

// MoveParticipants takes some of another call of ours, fromCall, into this one:
// "Move Participants". There is one operation for each of them, in their order,
// which ends with MoveParticipantSucceeded or Failed. Not in Version2022.
func (c *Client) MoveParticipants(ctx context.Context, callID, fromCall string, parties []string, t Tracking) ([]*Operation, error) {
	const op = string(kindMove)
	if err := c.needs2026(op); err != nil {
		return nil, c.localError(op, err)
	}
	t, err := c.track(t)
	if err != nil {
		return nil, c.localError(op, err)
	}
	ids, err := c.parties("targetParticipants", parties)
	if err != nil {
		return nil, c.localError(op, err)
	}
	if len(ids) == 0 || fromCall == "" {
		return nil, c.localError(op, &session.FieldError{Field: "targetParticipants", Want: "want one at least, and fromCall"})
	}
	return c.begin(ctx, started{
		kind: kindMove, callID: callID, context: t.OperationContext, parties: parties, action: "/participants:moveHere",
		want: accepted, repeatable: true,
		body: struct {
			Targets []identifier `json:"targetParticipants"`
			tracked
			FromCall string `json:"fromCall"`
		}{ids, t.members(), fromCall},
	})
}
