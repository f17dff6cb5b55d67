package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/uuid"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// Client calls Microsoft Graph as one app. It implements session.Cloud,
// session.KeepAliver, session.RosterKeeper, session.Announcer and session.Actor.
// It is safe for concurrent use and starts no goroutine.
//
// Every method retries throttling by Retry-After, and failures of the server
// and of the network where a repetition cannot do harm. What it finally
// returns is a *session.Error: with Status, Graph's Code and the request-id if
// the service answered, with Err if it did not, or if the request never left
// because an argument was wrong (Retryable is false then).
type Client struct {
	config ClientConfig
	caller rest.Caller
	http   *http.Client
}

var (
	_ session.Cloud        = (*Client)(nil)
	_ session.KeepAliver   = (*Client)(nil)
	_ session.RosterKeeper = (*Client)(nil)
	_ session.Announcer    = (*Client)(nil)
	_ session.Actor        = (*Client)(nil)
)

// NewClient checks the configuration; it does no I/O.
func NewClient(config ClientConfig) (*Client, error) {
	config, err := config.resolve()
	if err != nil {
		return nil, err
	}
	h := *config.HTTPClient
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{config: config, http: &h, caller: rest.Caller{
		Cloud: config.Name, HTTP: &h, MaxAttempts: config.MaxAttempts,
		BaseDelay: config.BaseDelay, MaxDelay: config.MaxDelay,
		ParseError: parseError, RequestID: requestID, Logger: config.Logger, Now: config.Now,
		Sleep: rest.Sleep, Jitter: rest.Jitter,
	}}, nil
}

// Name implements session.Cloud.
func (c *Client) Name() string { return c.config.Name }

// Operations is where the webhook must tell how operations end.
func (c *Client) Operations() *Operations { return c.config.Operations }

// String tells the client without its token.
func (c *Client) String() string {
	return fmt.Sprintf("graph(%s/%s)", c.config.Endpoint, c.config.Version)
}

// request is one operation of the service.
type request struct {
	op, method string
	// version overrides the client's, for what only beta has.
	version string
	// path below the version, escaped: "/communications/calls".
	path string
	body any // nil sends none; json.RawMessage goes as it is
	want []int
	// idempotent: doing it twice is doing it once.
	idempotent bool
	secrets    []string
	header     http.Header
}

// do sends r, and decodes the response into out unless that is nil or the
// response is empty.
func (c *Client) do(ctx context.Context, r request, out any) error {
	resp, err := c.send(ctx, r)
	if err != nil || out == nil || len(resp.Body) == 0 {
		return err
	}
	if err := rest.Unmarshal(resp.Body, out); err != nil {
		return &session.Error{
			Cloud: c.config.Name, Op: r.op, Status: resp.Status,
			Message: "response: " + err.Error(), Err: fmt.Errorf("response: %w", err),
		}
	}
	return nil
}

func (c *Client) send(ctx context.Context, r request) (rest.Response, error) {
	version := r.version
	if version == "" {
		version = c.config.Version
	}
	u, err := url.Parse(c.config.Endpoint + "/" + version + r.path)
	if err != nil {
		return rest.Response{}, c.localError(r.op, errors.New("request target is not a URL"))
	}
	body, err := encode(r.body)
	if err != nil {
		return rest.Response{}, c.localError(r.op, err)
	}
	header, token, err := c.header(ctx, body != nil)
	if err != nil {
		return rest.Response{}, c.localError(r.op, err)
	}
	for name, values := range r.header {
		header[name] = values
	}
	return c.caller.Do(ctx, rest.Request{
		Op: r.op, Method: r.method, URL: u, Header: header, Body: body, Want: r.want,
		Idempotent: r.idempotent, RetryThrottled: true, Secrets: append(slices.Clone(r.secrets), token),
	})
}

func encode(body any) ([]byte, error) {
	if raw, ok := body.(json.RawMessage); ok || body == nil {
		return raw, nil
	}
	return rest.Marshal(body)
}

// header builds what all attempts of a request share, and returns the token in
// it. A credential keeps its tokens and fetches new ones in time.
func (c *Client) header(ctx context.Context, body bool) (h http.Header, token string, err error) {
	h = http.Header{}
	h.Set("Accept", "application/json")
	h.Set("User-Agent", "mixminus")
	h.Set("client-request-id", uuid.NewString())
	if body {
		h.Set("Content-Type", "application/json")
	}
	token = c.config.Token
	if c.config.Credential != nil {
		got, err := c.config.Credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{c.config.Scope}})
		if err != nil {
			return nil, "", fmt.Errorf("sign-in: %w", err)
		}
		token = got.Token
	}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return h, token, nil
}

// parseError reads Graph's error envelope: {"error":{"code","message",…}}.
func parseError(body []byte) (code string, subCode int, message string) {
	var r struct {
		Error *struct {
			Code    json.RawMessage `json:"code"`
			Message string          `json:"message"`
		} `json:"error"`
	}
	switch {
	case len(body) == 0:
		return "", 0, "no error body"
	case json.Unmarshal(body, &r) != nil || r.Error == nil:
		return "", 0, "error body is not Graph's"
	}
	// A string by the documents; a bare number is let pass.
	return strings.Trim(string(r.Error.Code), `"`), 0, r.Error.Message
}

// requestID is the id that the vendor's support asks for.
func requestID(h http.Header) string { return h.Get("request-id") }

// localError is the refusal of a request that was never sent.
func (c *Client) localError(op string, err error) error {
	return &session.Error{Cloud: c.config.Name, Op: op, Err: err}
}

// KeepAliveEvery implements session.KeepAliver.
func (c *Client) KeepAliveEvery() time.Duration { return c.config.KeepAlive }
