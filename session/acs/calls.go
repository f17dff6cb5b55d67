package acs

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

const callsPath = "/calling/callConnections"

// Create implements session.Cloud. req.Body goes out byte for byte; where it
// has no operationContext, callbackUri and mediaStreamingOptions
// (mediaStreamingConfiguration in Version2022), those are appended from
// req.Media. It must be in the shape of the client's api-version: NewCall
// builds one. A body with a callLocator joins a call that stands, a room or a
// group: ConnectRequest, which Version2022 has not.
func (c *Client) Create(ctx context.Context, req session.CreateRequest) (session.Connection, error) {
	r := request{op: "create", method: http.MethodPost, path: callsPath, want: []int{http.StatusCreated}, repeatable: true}
	connect, err := c.checkCreate(req)
	if err != nil {
		return session.Connection{}, c.localError(r.op, err)
	}
	if connect {
		r.op, r.path, r.want = "connect", callsPath+":connect", []int{http.StatusOK}
		if err := c.needs2026(r.op); err != nil {
			return session.Connection{}, c.localError(r.op, err)
		}
	}
	if r.body, err = createBody(c.config.APIVersion, req.Body, req.Media); err != nil {
		return session.Connection{}, c.localError(r.op, err)
	}
	r.secrets = rest.URLSecrets(req.Media.URL)
	return c.connection(ctx, r)
}

// toldMedia is what a request's media property may say of an address.
type toldMedia struct {
	TransportURL string `json:"transportUrl"`
}

// checkCreate checks the addresses of a request, those in its body and those
// that go into it, and tells whether it joins a call that stands.
func (c *Client) checkCreate(req session.CreateRequest) (connect bool, err error) {
	if _, err := rest.TopKeys(req.Body); err != nil {
		return false, err
	}
	var told struct {
		CallbackURI   string          `json:"callbackUri"`
		Options       toldMedia       `json:"mediaStreamingOptions"`
		Configuration toldMedia       `json:"mediaStreamingConfiguration"`
		Locator       json.RawMessage `json:"callLocator"`
		Targets       json.RawMessage `json:"targets"`
	}
	// What is of a wrong type is left to the service to judge.
	_ = json.Unmarshal(req.Body, &told)
	connect = len(told.Locator) > 0 && len(told.Targets) == 0
	if err := c.checkMedia(first(told.CallbackURI, req.Media.CallbackURL), req.Media); err != nil {
		return connect, err
	}
	for field, raw := range map[string]string{
		"mediaStreamingOptions.transportUrl":       told.Options.TransportURL,
		"mediaStreamingConfiguration.transportUrl": told.Configuration.TransportURL,
	} {
		if raw == "" {
			continue
		}
		if err := c.mediaAddress(field, raw); err != nil {
			return connect, err
		}
	}
	return connect, nil
}

func (c *Client) checkMedia(callback string, m session.MediaRequest) error {
	if err := c.optionalWeb("callbackUri", callback); err != nil {
		return err
	}
	if m.URL == "" {
		return nil
	}
	return c.mediaAddress(mediaKey(c.config.APIVersion)+".transportUrl", m.URL)
}

// Answer implements session.Cloud. m.Answer may hold answeredBy,
// callIntelligenceOptions and transcriptionOptions: AnswerOptions builds it.
func (c *Client) Answer(ctx context.Context, in session.Incoming, m session.MediaRequest) (session.Connection, error) {
	err := c.checkMedia(m.CallbackURL, m)
	if err != nil {
		return session.Connection{}, c.localError("answer", err)
	}
	body, err := answerBody(c.config.APIVersion, in, m)
	if err != nil {
		return session.Connection{}, c.localError("answer", err)
	}
	return c.connection(ctx, request{
		op: "answer", method: http.MethodPost, path: callsPath + ":answer", body: body,
		want: []int{http.StatusOK}, repeatable: true, secrets: append(rest.URLSecrets(m.URL), in.Context),
	})
}

// Reject implements session.Cloud. reason is none, busy, forbidden or empty.
func (c *Client) Reject(ctx context.Context, in session.Incoming, reason string) error {
	body, err := rejectBody(in, reason)
	if err != nil {
		return c.localError("reject", err)
	}
	_, err = c.do(ctx, request{
		op: "reject", method: http.MethodPost, path: callsPath + ":reject", body: body,
		want: []int{http.StatusNoContent}, repeatable: true, secrets: []string{in.Context},
	})
	return err
}

// Redirect implements session.Cloud.
func (c *Client) Redirect(ctx context.Context, in session.Incoming, target session.Identity) error {
	body, err := redirectBody(c.config.APIVersion, in, target)
	if err != nil {
		return c.localError("redirect", err)
	}
	_, err = c.do(ctx, request{
		op: "redirect", method: http.MethodPost, path: callsPath + ":redirect", body: body,
		want: []int{http.StatusNoContent}, repeatable: true, secrets: []string{in.Context},
	})
	return err
}

// Get implements session.Cloud. A call that is gone has no operations left.
func (c *Client) Get(ctx context.Context, callID string) (session.Connection, error) {
	path, err := callPath(callID, "")
	if err != nil {
		return session.Connection{}, c.localError("get", err)
	}
	conn, err := c.connection(ctx, request{op: "get", method: http.MethodGet, path: path, want: []int{http.StatusOK}})
	var refused *session.Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		c.config.Operations.EndCall(callID)
	}
	return conn, err
}

// HangUp implements session.Cloud: it takes our own leg out of the call, or
// terminates the call for all. Either ends the wait for the call's operations.
func (c *Client) HangUp(ctx context.Context, callID string, forEveryone bool) error {
	if forEveryone {
		return c.Terminate(ctx, callID)
	}
	return c.end(ctx, request{op: "hang up", method: http.MethodDelete}, callID, "")
}

// Terminate ends the call for all its parties.
func (c *Client) Terminate(ctx context.Context, callID string) error {
	return c.end(ctx, request{op: "terminate", method: http.MethodPost, repeatable: true}, callID, ":terminate")
}

func (c *Client) end(ctx context.Context, r request, callID, action string) (err error) {
	if r.path, err = callPath(callID, action); err != nil {
		return c.localError(r.op, err)
	}
	r.want = []int{http.StatusNoContent}
	if _, err = c.do(ctx, r); err == nil {
		c.config.Operations.EndCall(callID)
	}
	return err
}

// connection performs an operation that answers with call properties.
func (c *Client) connection(ctx context.Context, r request) (session.Connection, error) {
	body, err := c.do(ctx, r)
	if err != nil {
		return session.Connection{}, err
	}
	conn, err := parseConnection(body)
	if err != nil {
		return session.Connection{}, c.badResponse(r, err)
	}
	return conn, nil
}
