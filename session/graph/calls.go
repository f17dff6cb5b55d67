package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

const callsPath = "/communications/calls"

// callPath is a call's resource, or one below it. Ids are escaped, so that
// none can name another resource or an action.
func callPath(callID string, below ...string) (string, error) {
	path := callsPath
	for i, part := range append([]string{callID}, below...) {
		switch {
		case part == "" || part == "." || part == "..":
			return "", fmt.Errorf("%s %q is not one", idName(i), part)
		case len(part) > 512:
			return "", fmt.Errorf("%s %q of %d bytes is too long", idName(i), rest.Clip(part), len(part))
		}
		path += "/" + url.PathEscape(part)
	}
	return path, nil
}

func idName(i int) string {
	if i == 0 {
		return "call id"
	}
	return "id"
}

// callback checks where notifications are to go: the service takes https only.
func (c *Client) callback(raw string) error {
	if raw == "" {
		return nil // the app's registered address is used
	}
	_, err := parseURL("callbackUri", raw, c.config.Insecure)
	return err
}

// withRef puts ref below the callback address, where the webhook finds it in
// every notification of the call.
func withRef(callback, ref string) string {
	u, err := url.Parse(callback)
	if err != nil || callback == "" || ref == "" {
		return callback
	}
	return u.JoinPath(ref).String()
}

// Create implements session.Cloud: "Create call", Microsoft Graph. req.Body is
// a call; what it has goes out byte for byte. Where it has no callbackUri,
// requestedModalities and mediaConfig those are appended from req.Media.
//
// The service does not know a request that it has seen before. So one is only
// sent again if it was refused unread: 429, or 503 with a Retry-After. One whose
// fate is unknown may have made a call all the same. session.Manager hangs that
// up when it tells of itself, which it does below callbackUri if that was
// appended; others end 45 min later, for nobody keeps them alive.
func (c *Client) Create(ctx context.Context, req session.CreateRequest) (session.Connection, error) {
	const op = "create"
	body, secrets, err := c.createBody(req)
	if err != nil {
		return session.Connection{}, c.localError(op, err)
	}
	var call Call
	if err := c.do(ctx, request{
		op: op, method: http.MethodPost, path: callsPath, body: json.RawMessage(body),
		want: []int{http.StatusCreated}, secrets: secrets,
	}, &call); err != nil {
		return session.Connection{}, err
	}
	if call.ID == "" {
		return session.Connection{}, &session.Error{Cloud: c.config.Name, Op: op, Status: http.StatusCreated, Message: "response has no id"}
	}
	return call.Connection(), nil
}

func (c *Client) createBody(req session.CreateRequest) (body []byte, secrets []string, err error) {
	var told struct {
		CallbackURI string       `json:"callbackUri"`
		MediaConfig *MediaConfig `json:"mediaConfig"`
		MeetingInfo *MeetingInfo `json:"meetingInfo"`
	}
	if err := rest.Unmarshal(req.Body, &told); err != nil {
		return nil, nil, err
	}
	secrets = rest.URLSecrets(req.Media.URL)
	if told.MeetingInfo != nil {
		secrets = append(secrets, told.MeetingInfo.Token, told.MeetingInfo.Passcode)
	}
	if told.CallbackURI == "" {
		told.CallbackURI = withRef(req.Media.CallbackURL, req.Media.Ref)
	}
	if err := c.callback(told.CallbackURI); err != nil {
		return nil, nil, err
	}
	add := []rest.Member{
		{Key: "@odata.type", Value: typeName("call")},
		{Key: "callbackUri", Value: told.CallbackURI},
		{Key: "requestedModalities", Value: []string{"audio"}},
	}
	if told.MediaConfig == nil {
		config, err := c.mediaConfig(req.Media)
		if err != nil {
			return nil, nil, err
		}
		add = append(add, rest.Member{Key: "mediaConfig", Value: config})
	}
	body, err = rest.Splice(req.Body, add)
	return body, secrets, err
}

// Answer implements session.Cloud: "call: answer", Microsoft Graph. m.Answer
// may hold participantCapacity, callOptions and acceptedModalities.
func (c *Client) Answer(ctx context.Context, in session.Incoming, m session.MediaRequest) (session.Connection, error) {
	const op = "answer"
	path, err := callPath(in.CallID, "answer")
	if err != nil {
		return session.Connection{}, c.localError(op, err)
	}
	body, err := c.answerBody(m)
	if err != nil {
		return session.Connection{}, c.localError(op, err)
	}
	if err := c.do(ctx, request{
		op: op, method: http.MethodPost, path: path, body: json.RawMessage(body),
		want: []int{http.StatusAccepted}, secrets: rest.URLSecrets(m.URL),
	}, nil); err != nil {
		return session.Connection{}, err
	}
	return connectionOf(in), nil
}

// connectionOf is what an incoming call told of itself: the response of answer
// is empty.
func connectionOf(in session.Incoming) session.Connection {
	conn := session.Connection{
		CallID: in.CallID, Key: in.Key, State: session.StateConnecting, Source: in.From, Targets: []session.Identity{in.To},
	}
	var call Call
	if json.Unmarshal(in.Raw, &call) == nil {
		conn.SelfID, conn.GroupID, conn.CorrelationID = call.MyParticipantID, call.CallChainID, call.CallChainID
	}
	return conn
}

func (c *Client) answerBody(m session.MediaRequest) ([]byte, error) {
	body := m.Answer
	if len(body) == 0 {
		body = json.RawMessage("{}")
	}
	if err := c.callback(m.CallbackURL); err != nil {
		return nil, err
	}
	config, err := c.mediaConfig(m)
	if err != nil {
		return nil, err
	}
	return rest.Splice(body, []rest.Member{
		{Key: "callbackUri", Value: m.CallbackURL},
		{Key: "mediaConfig", Value: config},
		{Key: "acceptedModalities", Value: []string{"audio"}},
	})
}

// Reject implements session.Cloud: "call: reject". reason is none, busy or
// forbidden, in any case; empty means none.
func (c *Client) Reject(ctx context.Context, in session.Incoming, reason string) error {
	const op = "reject"
	reason = strings.ToLower(reason)
	switch reason {
	case "":
		reason = "none"
	case "none", "busy", "forbidden":
	default:
		return c.localError(op, fmt.Errorf("reason %q: want none, busy or forbidden", rest.Clip(reason)))
	}
	return c.act(ctx, op, in.CallID, "reject", map[string]string{"reason": reason}, http.StatusAccepted)
}

// Redirect implements session.Cloud: to one target, for the service's default
// of 55 s. RedirectTo has more.
func (c *Client) Redirect(ctx context.Context, in session.Incoming, target session.Identity) error {
	set := identitySetOf(target)
	if set.RawID() == "" {
		return c.localError("redirect", fmt.Errorf("target %q: want a raw id such as 8:orgid:GUID or 4:+14255550100", rest.Clip(target.RawID)))
	}
	return c.RedirectTo(ctx, in.CallID, Redirection{Targets: []InvitationParticipantInfo{{
		ODataType: typeName("invitationParticipantInfo"), Identity: &set,
	}}})
}

// Redirection is where an incoming call is sent.
type Redirection struct {
	// Targets that ring together, 25 at most.
	Targets []InvitationParticipantInfo `json:"targets"`
	// Timeout in seconds, 15 to 90; 0 is the service's default: 55 for one
	// target, 60 for several.
	Timeout int `json:"timeout,omitzero"`
	// CallbackURI gets the call's end; empty means the registered address.
	CallbackURI string `json:"callbackUri,omitzero"`
}

// RedirectTo sends an incoming call that was not answered to others: "call:
// redirect", Microsoft Graph.
func (c *Client) RedirectTo(ctx context.Context, callID string, r Redirection) error {
	const op = "redirect"
	switch {
	case len(r.Targets) == 0 || len(r.Targets) > 25:
		return c.localError(op, fmt.Errorf("targets: %d, want 1 to 25", len(r.Targets)))
	case r.Timeout != 0 && (r.Timeout < 15 || r.Timeout > 90):
		return c.localError(op, fmt.Errorf("timeout %d: want 15 to 90 seconds", r.Timeout))
	}
	if err := c.callback(r.CallbackURI); err != nil {
		return c.localError(op, err)
	}
	return c.act(ctx, op, callID, "redirect", r, http.StatusAccepted)
}

// act posts an action of a call that answers with nothing.
func (c *Client) act(ctx context.Context, op, callID, action string, body any, want int) error {
	path, err := callPath(callID, action)
	if err != nil {
		return c.localError(op, err)
	}
	return c.do(ctx, request{op: op, method: http.MethodPost, path: path, body: body, want: []int{want}}, nil)
}

// GetCall fetches a call: "Get call", Microsoft Graph.
func (c *Client) GetCall(ctx context.Context, callID string) (*Call, error) {
	path, err := callPath(callID)
	if err != nil {
		return nil, c.localError("get", err)
	}
	call := new(Call)
	if err := c.do(ctx, request{op: "get", method: http.MethodGet, path: path, want: []int{http.StatusOK}}, call); err != nil {
		return nil, err
	}
	return call, nil
}

// Get implements session.Cloud.
func (c *Client) Get(ctx context.Context, callID string) (session.Connection, error) {
	call, err := c.GetCall(ctx, callID)
	if err != nil {
		return session.Connection{}, err
	}
	conn := call.Connection()
	if conn.CallID == "" {
		conn.CallID, conn.Key = callID, Key(callID)
	}
	return conn, nil
}

// HangUp implements session.Cloud: "Delete call", Microsoft Graph. It ends a
// peer-to-peer call, and takes only the bot out of a group call or meeting:
// Graph has no way to end those for everyone, so forEveryone changes nothing.
func (c *Client) HangUp(ctx context.Context, callID string, _ bool) error {
	const op = "hang up"
	path, err := callPath(callID)
	if err != nil {
		return c.localError(op, err)
	}
	return c.do(ctx, request{op: op, method: http.MethodDelete, path: path, want: []int{http.StatusNoContent}}, nil)
}

// KeepAlive implements session.KeepAliver: "call: keepAlive", Microsoft Graph.
func (c *Client) KeepAlive(ctx context.Context, callID string) error {
	path, err := callPath(callID, "keepAlive")
	if err != nil {
		return c.localError("keep alive", err)
	}
	return c.do(ctx, request{
		op: "keep alive", method: http.MethodPost, path: path,
		want: []int{http.StatusOK, http.StatusNoContent}, idempotent: true,
	}, nil)
}
