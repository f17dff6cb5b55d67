package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mixminus/mixminus/session/rest"
)

// Transfer says where a call goes.
type Transfer struct {
	// Target takes over. With ReplacesCallID the transfer is consultative:
	// the target is in that call already.
	Target InvitationParticipantInfo `json:"transferTarget"`
	// Transferee is who is transferred out of a group call: needed there,
	// nil for a peer-to-peer call.
	Transferee    *ParticipantInfo `json:"transferee,omitzero"`
	ClientContext string           `json:"clientContext,omitzero"`
}

// TransferCall hands a peer-to-peer call over, or a participant of a group
// call: "call: transfer". That it was accepted, and failed, is told by
// notices: PhaseTransferring, PhaseTransferAccepted and the end of the call,
// or PhaseActive.
func (c *Client) TransferCall(ctx context.Context, callID string, t Transfer) error {
	const op = "transfer"
	switch {
	case t.Target.Identity.RawID() == "":
		return c.localError(op, errors.New("transferTarget.identity: names nobody"))
	case t.Transferee != nil && t.Transferee.ParticipantID == "":
		return c.localError(op, errors.New("transferee.participantId is empty"))
	case len(t.ClientContext) > maxClientContext:
		return c.localError(op, fmt.Errorf("clientContext of %d bytes: want at most %d", len(t.ClientContext), maxClientContext))
	}
	return c.act(ctx, op, callID, "transfer", t, http.StatusAccepted)
}

// ChangeScreenSharingRole lets the bot of an app-hosted group call share its
// screen, or see that of others: role is viewer or sharer. "call:
// changeScreenSharingRole".
func (c *Client) ChangeScreenSharingRole(ctx context.Context, callID, role string) error {
	const op = "change screen sharing role"
	if role != "viewer" && role != "sharer" {
		return c.localError(op, fmt.Errorf("role %q: want viewer or sharer", rest.Clip(role)))
	}
	return c.act(ctx, op, callID, "changeScreenSharingRole", map[string]string{"role": role}, http.StatusAccepted)
}

// ContentSharingSessions lists who shares: "List contentSharingSessions".
func (c *Client) ContentSharingSessions(ctx context.Context, callID string) ([]ContentSharingSession, error) {
	const op = "list content sharing sessions"
	path, err := callPath(callID, "contentSharingSessions")
	if err != nil {
		return nil, c.localError(op, err)
	}
	return list[ContentSharingSession](ctx, c, request{op: op, path: path})
}

// ContentSharingSession fetches one: "Get contentSharingSession".
func (c *Client) ContentSharingSession(ctx context.Context, callID, id string) (*ContentSharingSession, error) {
	const op = "get content sharing session"
	return resource[ContentSharingSession](ctx, c, op, http.MethodGet, nil, http.StatusOK, callID, "contentSharingSessions", id)
}

// resource does what most requests do: send a body, take a resource.
func resource[T any](ctx context.Context, c *Client, op, method string, body any, want int, callID string, below ...string) (*T, error) {
	path, err := callPath(callID, below...)
	if err != nil {
		return nil, c.localError(op, err)
	}
	out := new(T)
	if err := c.do(ctx, request{op: op, method: method, path: path, body: body, want: []int{want}}, out); err != nil {
		return nil, err
	}
	return out, nil
}

const routingGroups = "audioRoutingGroups"

// AudioRoutingGroups lists who hears whom alone: "List audioRoutingGroups".
func (c *Client) AudioRoutingGroups(ctx context.Context, callID string) ([]AudioRoutingGroup, error) {
	const op = "list audio routing groups"
	path, err := callPath(callID, routingGroups)
	if err != nil {
		return nil, c.localError(op, err)
	}
	return list[AudioRoutingGroup](ctx, c, request{op: op, path: path})
}

// checkGroup holds a group to its mode: oneToOne and multicast have one source.
func checkGroup(g AudioRoutingGroup) error {
	switch {
	case !g.RoutingMode.is("oneToOne") && !g.RoutingMode.is("multicast"):
		return fmt.Errorf("routingMode %q: want oneToOne or multicast", rest.Clip(string(g.RoutingMode)))
	case len(g.Sources) != 1:
		return fmt.Errorf("sources: %d, want 1", len(g.Sources))
	case len(g.Receivers) == 0:
		return errors.New("receivers: none")
	}
	return nil
}

// CreateAudioRoutingGroup makes one: "Create audioRoutingGroup".
func (c *Client) CreateAudioRoutingGroup(ctx context.Context, callID string, g AudioRoutingGroup) (*AudioRoutingGroup, error) {
	const op = "create audio routing group"
	if err := checkGroup(g); err != nil {
		return nil, c.localError(op, err)
	}
	return resource[AudioRoutingGroup](ctx, c, op, http.MethodPost, g, http.StatusOK, callID, routingGroups)
}

// AudioRoutingGroup fetches one: "Get audioRoutingGroup".
func (c *Client) AudioRoutingGroup(ctx context.Context, callID, id string) (*AudioRoutingGroup, error) {
	return resource[AudioRoutingGroup](ctx, c, "get audio routing group", http.MethodGet, nil, http.StatusOK, callID, routingGroups, id)
}

// UpdateAudioRoutingGroup changes sources and receivers: "Update
// audioRoutingGroup".
func (c *Client) UpdateAudioRoutingGroup(ctx context.Context, callID, id string, g AudioRoutingGroup) (*AudioRoutingGroup, error) {
	const op = "update audio routing group"
	if err := checkGroup(g); err != nil {
		return nil, c.localError(op, err)
	}
	return resource[AudioRoutingGroup](ctx, c, op, http.MethodPatch, g, http.StatusOK, callID, routingGroups, id)
}

// DeleteAudioRoutingGroup ends one: "Delete audioRoutingGroup".
func (c *Client) DeleteAudioRoutingGroup(ctx context.Context, callID, id string) error {
	const op = "delete audio routing group"
	path, err := callPath(callID, routingGroups, id)
	if err != nil {
		return c.localError(op, err)
	}
	return c.do(ctx, request{op: op, method: http.MethodDelete, path: path, want: []int{http.StatusNoContent}}, nil)
}

// LogDeviceQuality reports the quality of a conference device: quality is a
// teleconferenceDeviceQuality. "call: logTeleconferenceDeviceQuality".
func (c *Client) LogDeviceQuality(ctx context.Context, quality any) error {
	return c.do(ctx, request{
		op: "log device quality", method: http.MethodPost, path: callsPath + "/logTeleconferenceDeviceQuality",
		body: map[string]any{"quality": quality}, want: []int{http.StatusOK},
	}, nil)
}

// GetOperation fetches an operation, whose end a notification may have failed
// to tell.
func (c *Client) GetOperation(ctx context.Context, callID, id string) (*CommsOperation, error) {
	op, err := resource[CommsOperation](ctx, c, "get operation", http.MethodGet, nil, http.StatusOK, callID, "operations", id)
	if err == nil {
		c.config.Operations.Complete(Key(callID), *op)
	}
	return op, err
}
