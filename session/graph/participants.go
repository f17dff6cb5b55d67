package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mixminus/mixminus/session"
)

// ListParticipants fetches a call's roster: "List participants". That of a
// peer-to-peer call is empty.
func (c *Client) ListParticipants(ctx context.Context, callID string) ([]Participant, error) {
	const op = "list participants"
	path, err := callPath(callID, "participants")
	if err != nil {
		return nil, c.localError(op, err)
	}
	return list[Participant](ctx, c, request{op: op, path: path})
}

// maxPages bounds how many pages of a list are followed.
const maxPages = 100

// list fetches a collection, all pages of it: r says op, version and path. It
// follows only links to its own path: a link is not worth the token.
func list[T any](ctx context.Context, c *Client, r request) ([]T, error) {
	var all []T
	path := r.path
	r.method, r.want = http.MethodGet, []int{http.StatusOK}
	for range maxPages {
		var page struct {
			Value []T    `json:"value"`
			Next  string `json:"@odata.nextLink"`
		}
		if err := c.do(ctx, r, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Value...)
		if page.Next == "" {
			return all, nil
		}
		query, err := c.queryOf(page.Next)
		if err != nil {
			return nil, c.localError(r.op, err)
		}
		r.path = path + "?" + query
	}
	return nil, c.localError(r.op, fmt.Errorf("list has more than %d pages", maxPages))
}

func (c *Client) queryOf(link string) (string, error) {
	u, err := parseURL("@odata.nextLink", link, c.config.Insecure)
	if err != nil {
		return "", err
	}
	if u.RawQuery == "" {
		return "", errors.New("@odata.nextLink has no query")
	}
	return u.RawQuery, nil
}

// Participants implements session.RosterKeeper.
func (c *Client) Participants(ctx context.Context, callID string) (session.Roster, error) {
	rows, err := c.ListParticipants(ctx, callID)
	if err != nil {
		return session.Roster{}, err
	}
	roster := session.Roster{Participants: Rows(rows)}
	for i := range rows {
		roster.Sequence = max(roster.Sequence, rows[i].RosterSequenceNumber)
	}
	return roster, nil
}

// GetParticipant fetches one row: "Get participant".
func (c *Client) GetParticipant(ctx context.Context, callID, participantID string) (*Participant, error) {
	const op = "get participant"
	path, err := callPath(callID, "participants", participantID)
	if err != nil {
		return nil, c.localError(op, err)
	}
	p := new(Participant)
	if err := c.do(ctx, request{op: op, method: http.MethodGet, path: path, want: []int{http.StatusOK}}, p); err != nil {
		return nil, err
	}
	return p, nil
}

// InviteParticipants asks up to five into a group call: "participant: invite".
// One that replaces a call (ReplacesCallID) must be the only one.
func (c *Client) InviteParticipants(ctx context.Context, callID string, who []InvitationParticipantInfo, clientContext string) (*Operation, error) {
	const op = "invite participants"
	clientContext, err := checkContext(clientContext)
	if err == nil {
		err = checkInvited(who)
	}
	if err != nil {
		return nil, c.localError(op, err)
	}
	return c.operate(ctx, op, callID, []string{"participants", "invite"}, struct {
		Participants  []InvitationParticipantInfo `json:"participants"`
		ClientContext string                      `json:"clientContext"`
	}{who, clientContext})
}

func checkInvited(who []InvitationParticipantInfo) error {
	if len(who) == 0 || len(who) > 5 {
		return fmt.Errorf("participants: %d, want 1 to 5", len(who))
	}
	for i := range who {
		if who[i].Identity.RawID() == "" {
			return fmt.Errorf("participants[%d].identity: names nobody", i)
		}
		if who[i].ReplacesCallID != "" && len(who) > 1 {
			return fmt.Errorf("participants[%d].replacesCallId: the service would ignore the other %d participants", i, len(who)-1)
		}
	}
	return nil
}

// DeleteParticipant removes somebody from a group call: "Delete participant".
// The tenant must allow it (AllowRemoveParticipantAppIds).
func (c *Client) DeleteParticipant(ctx context.Context, callID, participantID string) error {
	const op = "delete participant"
	path, err := callPath(callID, "participants", participantID)
	if err != nil {
		return c.localError(op, err)
	}
	return c.do(ctx, request{op: op, method: http.MethodDelete, path: path, want: []int{http.StatusNoContent}}, nil)
}

// MuteParticipant mutes somebody in a group call: "participant: mute".
func (c *Client) MuteParticipant(ctx context.Context, callID, participantID, clientContext string) (*Operation, error) {
	return c.contextual(ctx, "mute participant", callID, clientContext, "participants", participantID, "mute")
}

// MuteAll mutes those named: "participant: muteAll", of beta only, where it is
// deprecated in favour of MuteParticipant.
func (c *Client) MuteAll(ctx context.Context, callID string, participantIDs []string, clientContext string) (*Operation, error) {
	const op = "mute all"
	clientContext, err := checkContext(clientContext)
	if err == nil && len(participantIDs) == 0 {
		err = errors.New("participants: none")
	}
	if err != nil {
		return nil, c.localError(op, err)
	}
	return c.operateBeta(ctx, op, callID, "muteAll", struct {
		Participants  []string `json:"participants"`
		ClientContext string   `json:"clientContext"`
	}{participantIDs, clientContext})
}

// MixerLevel is participantMixerLevel: what one participant hears of others.
// Levels are 0 to 100.
type MixerLevel struct {
	Participant  string             `json:"participant"`
	Exclusive    bool               `json:"exclusive"`
	Ducking      *Ducking           `json:"ducking,omitzero"`
	SourceLevels []AudioSourceLevel `json:"sourceLevels,omitzero"`
}

// Ducking is audioDuckingConfiguration: ramps in ms, levels 0 to 100.
type Ducking struct {
	RampActive   int `json:"rampActive"`
	RampInactive int `json:"rampInactive"`
	LowerLevel   int `json:"lowerLevel"`
	UpperLevel   int `json:"upperLevel"`
}

// AudioSourceLevel is audioSourceLevel.
type AudioSourceLevel struct {
	Participant string `json:"participant"`
	Level       int    `json:"level"`
	DuckOthers  bool   `json:"duckOthers"`
}

// ConfigureMixer sets levels: "participant: configureMixer", of beta only.
func (c *Client) ConfigureMixer(ctx context.Context, callID string, levels []MixerLevel, clientContext string) (*Operation, error) {
	const op = "configure mixer"
	clientContext, err := checkContext(clientContext)
	if err == nil && len(levels) == 0 {
		err = errors.New("participantMixerLevels: none")
	}
	for i, l := range levels {
		for j, s := range l.SourceLevels {
			if err == nil && (s.Level < 0 || s.Level > 100) {
				err = fmt.Errorf("participantMixerLevels[%d].sourceLevels[%d].level = %d: want 0 to 100", i, j, s.Level)
			}
		}
	}
	if err != nil {
		return nil, c.localError(op, err)
	}
	return c.operateBeta(ctx, op, callID, "configureMixer", struct {
		ClientContext string       `json:"clientContext"`
		Levels        []MixerLevel `json:"participantMixerLevels"`
	}{clientContext, levels})
}

// operateBeta posts an action on the participants that v1.0 does not have.
func (c *Client) operateBeta(ctx context.Context, op, callID, action string, body any) (*Operation, error) {
	path, err := callPath(callID, "participants", action)
	if err != nil {
		return nil, c.localError(op, err)
	}
	return c.operation(ctx, request{
		op: op, method: http.MethodPost, version: Beta, path: path, body: body,
		want: []int{http.StatusOK, http.StatusAccepted},
	}, callID)
}

// StartHoldMusic puts a participant on hold and plays music to it: custom is
// the file, or has no URI for the service's own. Only one can be on hold.
// "participant: startHoldMusic".
func (c *Client) StartHoldMusic(ctx context.Context, callID, participantID string, custom Prompt, clientContext string) (*Operation, error) {
	const op = "start hold music"
	body := struct {
		CustomPrompt  *mediaPrompt `json:"customPrompt,omitzero"`
		ClientContext string       `json:"clientContext"`
	}{}
	var err error
	if custom.URI != "" {
		var prompts []mediaPrompt
		if prompts, err = c.prompts("customPrompt", []Prompt{custom}, 1); err == nil {
			body.CustomPrompt = &prompts[0]
		}
	}
	if body.ClientContext, err = firstError(err, clientContext); err != nil {
		return nil, c.localError(op, err)
	}
	return c.operate(ctx, op, callID, []string{"participants", participantID, "startHoldMusic"}, body)
}

// StopHoldMusic is the way back: "participant: stopHoldMusic".
func (c *Client) StopHoldMusic(ctx context.Context, callID, participantID, clientContext string) (*Operation, error) {
	return c.contextual(ctx, "stop hold music", callID, clientContext, "participants", participantID, "stopHoldMusic")
}
