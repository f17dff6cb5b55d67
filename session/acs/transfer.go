package acs

import (
	"context"
)

// Transfer says where a call goes.
type Transfer struct {
	// Target takes over, by raw id.
	Target string
	// Transferee is who is handed over, of a call with several; empty means
	// the only other one. Not in Version2022.
	Transferee string
	// CallerID is the phone number that a telephone is shown, E.164.
	CallerID string
	// UserToUser is passed on by Version2022. Version2026 has Headers.
	UserToUser string
	Headers    Headers
	Tracking
}

type transferRequest struct {
	Target     identifier   `json:"targetParticipant"`
	Transferee *identifier  `json:"transferee,omitzero"`
	CallerID   *phoneNumber `json:"sourceCallerIdNumber,omitzero"`
	Headers    *Headers     `json:"customCallingContext,omitzero"`
	// The words of Version2022.
	TransfereeID *phoneNumber `json:"transfereeCallerId,omitzero"`
	UserToUser   string       `json:"userToUserInformation,omitzero"`
	tracked
}

// Transfer hands the call over: "Transfer To Participant". The operation ends
// with CallTransferAccepted or Failed; once a call of two was handed over it
// ends for us.
func (c *Client) Transfer(ctx context.Context, callID string, t Transfer) (*Operation, error) {
	body, err := c.transferBody(&t)
	if err != nil {
		return nil, c.localError(string(kindTransfer), err)
	}
	return c.one(ctx, started{
		kind: kindTransfer, callID: callID, context: t.OperationContext, action: ":transferToParticipant",
		body: body, want: accepted, repeatable: true,
	})
}

func (c *Client) transferBody(t *Transfer) (body transferRequest, err error) {
	if t.Tracking, err = c.track(t.Tracking); err != nil {
		return body, err
	}
	body = transferRequest{UserToUser: t.UserToUser, Headers: t.Headers.wire(), tracked: t.members()}
	if body.Target, err = c.party("targetParticipant", t.Target); err != nil {
		return body, err
	}
	if t.Transferee != "" {
		id := identifierOf(c.config.APIVersion, t.Transferee)
		body.Transferee = &id
	}
	switch {
	case c.old() && body.Transferee != nil:
		return body, c.unsupported("transferee", Version2026)
	case c.old() && body.Headers != nil:
		return body, c.unsupported("customCallingContext", Version2026)
	case !c.old() && t.UserToUser != "":
		return body, c.unsupported("userToUserInformation", Version2022)
	case c.old():
		body.TransfereeID = phoneOf(t.CallerID)
	default:
		body.CallerID = phoneOf(t.CallerID)
	}
	return body, nil
}
