package acs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// Client calls one Azure Communication Services resource. It implements
// session.Cloud and is safe for concurrent use; it holds no call state and
// starts no goroutine.
//
// Every method retries throttling, failures of the server and of the network
// by the rules of ClientConfig, as long as the context lets it. What it
// finally returns is a *session.Error: with Status and Code if the service
// answered, with Err if it did not, or if the request never left because an
// argument was wrong (Retryable is false then). No secret (access key,
// incomingCallContext, media URL) appears in an error or in the log.
type Client struct {
	config ClientConfig
	key    []byte
	caller rest.Caller
}

var _ session.Cloud = (*Client)(nil)

// NewClient checks the configuration; it does no I/O.
func NewClient(config ClientConfig) (*Client, error) {
	config, key, err := config.resolve()
	if err != nil {
		return nil, err
	}
	h := *config.HTTPClient
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{config: config, key: key, caller: rest.Caller{
		Cloud: config.Name, HTTP: &h, MaxAttempts: config.MaxAttempts,
		BaseDelay: config.BaseDelay, MaxDelay: config.MaxDelay,
		ParseError: parseError, RequestID: requestID, Logger: config.Logger, Now: config.Now,
		Sleep: rest.Sleep, Jitter: rest.Jitter,
	}}, nil
}

// Name implements session.Cloud.
func (c *Client) Name() string { return c.config.Name }

// APIVersion is the version of the API in use.
func (c *Client) APIVersion() string { return c.config.APIVersion }

// String tells the client without its key.
func (c *Client) String() string {
	return fmt.Sprintf("acs(%s, %s)", c.config.Endpoint, c.config.APIVersion)
}

// Create implements session.Cloud. req.Body goes out byte for byte; where it
// has no operationContext, callbackUri and mediaStreamingOptions
// (mediaStreamingConfiguration in Version2022), those are appended from
// req.Media. It must be in the shape of the client's api-version.
func (c *Client) Create(ctx context.Context, req session.CreateRequest) (session.Connection, error) {
	body, err := createBody(c.config.APIVersion, req.Body, req.Media)
	if err != nil {
		return session.Connection{}, c.localError("create", err)
	}
	return c.connection(ctx, request{
		op: "create", method: http.MethodPost, path: "/calling/callConnections",
		body: body, want: http.StatusCreated, repeatable: true, secrets: rest.URLSecrets(req.Media.URL),
	})
}

// Answer implements session.Cloud.
func (c *Client) Answer(ctx context.Context, in session.Incoming, m session.MediaRequest) (session.Connection, error) {
	body, err := answerBody(c.config.APIVersion, in, m)
	if err != nil {
		return session.Connection{}, c.localError("answer", err)
	}
	return c.connection(ctx, request{
		op: "answer", method: http.MethodPost, path: "/calling/callConnections:answer",
		body: body, want: http.StatusOK, repeatable: true, secrets: append(rest.URLSecrets(m.URL), in.Context),
	})
}

// Reject implements session.Cloud. reason is none, busy, forbidden or empty.
func (c *Client) Reject(ctx context.Context, in session.Incoming, reason string) error {
	body, err := rejectBody(in, reason)
	if err != nil {
		return c.localError("reject", err)
	}
	_, err = c.do(ctx, request{
		op: "reject", method: http.MethodPost, path: "/calling/callConnections:reject",
		body: body, want: http.StatusNoContent, repeatable: true, secrets: []string{in.Context},
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
		op: "redirect", method: http.MethodPost, path: "/calling/callConnections:redirect",
		body: body, want: http.StatusNoContent, repeatable: true, secrets: []string{in.Context},
	})
	return err
}

// Get implements session.Cloud.
func (c *Client) Get(ctx context.Context, callID string) (session.Connection, error) {
	path, err := callPath(callID)
	if err != nil {
		return session.Connection{}, c.localError("get", err)
	}
	return c.connection(ctx, request{op: "get", method: http.MethodGet, path: path, want: http.StatusOK})
}

// HangUp implements session.Cloud: it takes our own leg out of the call, or
// terminates the call for all.
func (c *Client) HangUp(ctx context.Context, callID string, forEveryone bool) error {
	if forEveryone {
		return c.Terminate(ctx, callID)
	}
	path, err := callPath(callID)
	if err != nil {
		return c.localError("hang up", err)
	}
	_, err = c.do(ctx, request{
		op: "hang up", method: http.MethodDelete, path: path, want: http.StatusNoContent,
	})
	return err
}

// Terminate ends the call for all its parties.
func (c *Client) Terminate(ctx context.Context, callID string) error {
	path, err := callPath(callID)
	if err != nil {
		return c.localError("terminate", err)
	}
	_, err = c.do(ctx, request{
		op: "terminate", method: http.MethodPost, path: path + ":terminate",
		want: http.StatusNoContent, repeatable: true,
	})
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
		return session.Connection{}, &session.Error{
			Cloud: c.config.Name, Op: r.op, Status: r.want, Message: err.Error(), Err: err,
		}
	}
	return conn, nil
}

// callPath is a call's resource. The id is escaped as the official clients do,
// ':' and '/' too, so that no id can name another resource or an action.
func callPath(callID string) (string, error) {
	if callID == "" || callID == "." || callID == ".." {
		return "", fmt.Errorf("call id %q is not one", callID)
	}
	if len(callID) > 512 {
		return "", fmt.Errorf("call id %q of %d bytes is too long", rest.Clip(callID), len(callID))
	}
	return "/calling/callConnections/" + strings.ReplaceAll(url.QueryEscape(callID), "+", "%20"), nil
}

// localError is the refusal of a request that was never sent.
func (c *Client) localError(op string, err error) error {
	return &session.Error{Cloud: c.config.Name, Op: op, Err: err}
}
