package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/mixminus/mixminus/session"
)

// maxResponse bounds what the Client reads of a response, in bytes.
const maxResponse = 64 << 20

// Client calls the control API of a running program. Its methods return a
// *Error for what the API refused. Safe for concurrent use.
type Client struct {
	// URL of the API, without /v1: "http://127.0.0.1:8080".
	URL string
	// Token to bear; empty for none.
	Token string
	// HTTP to send with; nil means http.DefaultClient.
	HTTP *http.Client
}

// Create places a call and returns it once the cloud has said yes.
func (c *Client) Create(ctx context.Context, req CallRequest) (s session.Snapshot, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/calls", req, &s)
	return s, err
}

// Calls returns the live calls, oldest first.
func (c *Client) Calls(ctx context.Context) ([]session.Snapshot, error) {
	var list callList
	err := c.do(ctx, http.MethodGet, "/v1/calls", nil, &list)
	return list.Calls, err
}

// Call returns the call of that id, ours or the cloud's.
func (c *Client) Call(ctx context.Context, id string) (s session.Snapshot, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/calls/"+url.PathEscape(id), nil, &s)
	return s, err
}

// HangUp ends a call, for us or for everyone.
func (c *Client) HangUp(ctx context.Context, id string, everyone bool) error {
	path := "/v1/calls/" + url.PathEscape(id)
	if everyone {
		path += "?everyone=true"
	}
	return c.do(ctx, http.MethodDelete, path, nil, nil)
}

// Incoming returns the calls that ring, oldest first.
func (c *Client) Incoming(ctx context.Context) ([]Ring, error) {
	var list ringList
	err := c.do(ctx, http.MethodGet, "/v1/incoming", nil, &list)
	return list.Incoming, err
}

// Answer takes the call that rings under id and returns it once the cloud has
// said yes.
func (c *Client) Answer(ctx context.Context, id string, req AnswerRequest) (s session.Snapshot, err error) {
	err = c.do(ctx, http.MethodPost, ringPath(id, "answer"), req, &s)
	return s, err
}

// Reject declines the call that rings under id; reason is the cloud's own
// word, empty for its default.
func (c *Client) Reject(ctx context.Context, id, reason string) error {
	return c.do(ctx, http.MethodPost, ringPath(id, "reject"), RejectRequest{reason}, nil)
}

// Redirect sends the call that rings under id to someone else.
func (c *Client) Redirect(ctx context.Context, id string, target session.Identity) error {
	return c.do(ctx, http.MethodPost, ringPath(id, "redirect"), RedirectRequest{target}, nil)
}

// Stats returns the counters.
func (c *Client) Stats(ctx context.Context) (s Stats, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/stats", nil, &s)
	return s, err
}

func ringPath(id, verb string) string { return "/v1/incoming/" + url.PathEscape(id) + "/" + verb }

// do sends in, if it is not nil, and reads the response into out, if that is
// not nil.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("control API: %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.URL, "/")+path, body)
	if err != nil {
		return fmt.Errorf("control API: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("control API: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return fmt.Errorf("control API: %s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return readError(resp, b)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("control API: %s %s: response: %w", method, path, err)
	}
	return nil
}

// readError also understands what is no answer of this API.
func readError(resp *http.Response, body []byte) *Error {
	var e errorBody
	if err := json.Unmarshal(body, &e); err != nil || e.Error == nil || e.Error.Code == "" {
		text := strings.ToValidUTF8(string(body[:min(len(body), 200)]), "")
		e.Error = &Error{Code: "not_the_api", Message: strings.TrimSpace(text)}
	}
	e.Error.Status = resp.StatusCode
	return e.Error
}
