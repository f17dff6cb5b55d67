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
// session.Cloud, session.RosterKeeper and session.Actor, and is safe for
// concurrent use; it holds no call state and starts no goroutine.
//
// Every method retries throttling, failures of the server and of the network
// by the rules of ClientConfig, as long as the context lets it. What it
// finally returns is a *session.Error: with Status and Code if the service
// answered, with Err if it did not, or if the request never left because an
// argument was wrong (Retryable is false then; Err is a *session.FieldError),
// or because the api-version lacks the operation (*session.UnsupportedError).
// No secret (access key, token, incomingCallContext, media URL) appears in an
// error or in the log.
//
// Parties are named by their raw ids: "8:acs:…", "4:+14250123456".
type Client struct {
	config ClientConfig
	key    []byte // nil beside a credential
	caller rest.Caller
	http   *http.Client
}

var (
	_ session.Cloud        = (*Client)(nil)
	_ session.RosterKeeper = (*Client)(nil)
	_ session.Actor        = (*Client)(nil)
)

// NewClient checks the configuration; it does no I/O.
func NewClient(config ClientConfig) (*Client, error) {
	config, key, err := config.resolve()
	if err != nil {
		return nil, err
	}
	h := *config.HTTPClient
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{config: config, key: key, http: &h, caller: rest.Caller{
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

// Operations is where the webhook must tell how operations end.
func (c *Client) Operations() *Operations { return c.config.Operations }

// String tells the client without its key.
func (c *Client) String() string {
	return fmt.Sprintf("acs(%s, %s)", c.config.Endpoint, c.config.APIVersion)
}

// old tells whether the client speaks Version2022.
func (c *Client) old() bool { return c.config.APIVersion == Version2022 }

// unsupported is the error of what the client's version lacks; version has it.
func (c *Client) unsupported(what, version string) error {
	return &session.UnsupportedError{What: what, Version: "api-version " + c.config.APIVersion, In: version}
}

// needs2026 refuses what Version2022 has no words for.
func (c *Client) needs2026(what string) error {
	if c.old() {
		return c.unsupported(what, Version2026)
	}
	return nil
}

// callPath is a call's resource, followed by what names an action of it, or
// something below it. The id is escaped as the official clients do, ':' and
// '/' too, so that no id can name another resource or an action.
func callPath(callID, then string) (string, error) {
	id, err := pathID("call id", callID, 512)
	return "/calling/callConnections/" + id + then, err
}

// pathID escapes what names a resource, of at most longest bytes.
func pathID(what, id string, longest int) (string, error) {
	if id == "" || id == "." || id == ".." {
		return "", fmt.Errorf("%s %q is not one", what, id)
	}
	if len(id) > longest {
		return "", fmt.Errorf("%s %q of %d bytes is too long", what, rest.Clip(id), len(id))
	}
	return strings.ReplaceAll(url.QueryEscape(id), "+", "%20"), nil
}

// act posts an action of a call; body may be nil.
func (c *Client) act(ctx context.Context, op, callID, action string, body any, want int) error {
	r, err := c.action(op, callID, action, body, want)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, r)
	return err
}

// action is the request of act.
func (c *Client) action(op, callID, action string, body any, want ...int) (request, error) {
	path, err := callPath(callID, action)
	if err != nil {
		return request{}, c.localError(op, err)
	}
	r := request{op: op, method: http.MethodPost, path: path, want: want}
	if body != nil {
		if r.body, err = rest.Marshal(body); err != nil {
			return request{}, c.localError(op, err)
		}
	}
	return r, nil
}

// localError is the refusal of a request that was never sent.
func (c *Client) localError(op string, err error) error {
	return &session.Error{Cloud: c.config.Name, Op: op, Err: err}
}
