package acs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/uuid"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// trackedDuration is how long the service remembers a repeatable request; one
// that is older is refused with 412.
const trackedDuration = 5 * time.Minute

// request is one operation of the service.
type request struct {
	op, method, path string
	// query goes before api-version, escaped; empty for none.
	query string
	body  []byte
	// want lists the statuses of success.
	want []int
	// repeatable: the service accepts the Repeatability headers, so that the
	// request may be sent again without being executed again.
	repeatable bool
	// secrets must not appear in an error, even if the service repeats them.
	secrets []string
}

// do sends r until it succeeds, fails for good, or may not be tried again. All
// attempts carry the same headers: repeatability id and date, client request
// id, date and signature, as the official clients do. What is not repeatable
// is sent again only if it was refused for the rate of requests, for then it
// was not executed.
func (c *Client) do(ctx context.Context, r request) ([]byte, error) {
	target := c.config.Endpoint + r.path + "?"
	if r.query != "" {
		target += r.query + "&"
	}
	u, err := url.Parse(target + "api-version=" + c.config.APIVersion)
	if err != nil {
		return nil, c.localError(r.op, errors.New("request target is not a URL"))
	}
	header := c.header(&r, c.config.Now())
	secret, err := c.authorize(ctx, header, &r, u)
	if err != nil {
		return nil, c.localError(r.op, err)
	}
	resp, err := c.caller.Do(ctx, rest.Request{
		Op: r.op, Method: r.method, URL: u, Header: header, Body: r.body, Want: r.want,
		Idempotent: r.repeatable, RetryThrottled: true, Window: trackedWindow(r.repeatable),
		Secrets: append(slices.Clone(r.secrets), secret),
	})
	return resp.Body, err
}

// decode is do for a response that is JSON.
func (c *Client) decode(ctx context.Context, r request, out any) error {
	body, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	if err := rest.Unmarshal(body, out); err != nil {
		return c.badResponse(r, fmt.Errorf("response: %w", err))
	}
	return nil
}

// badResponse is the error of a success whose body cannot be used.
func (c *Client) badResponse(r request, err error) error {
	return &session.Error{Cloud: c.config.Name, Op: r.op, Status: r.want[0], Message: err.Error(), Err: err}
}

func trackedWindow(repeatable bool) time.Duration {
	if repeatable {
		return trackedDuration
	}
	return 0
}

// header builds what all attempts of r share, but for the proof of who sends
// them.
func (c *Client) header(r *request, now time.Time) http.Header {
	h := http.Header{}
	h.Set("Accept", "application/json")
	h.Set("User-Agent", "mixminus")
	h.Set("x-ms-client-request-id", uuid.NewString())
	if len(r.body) > 0 {
		h.Set("Content-Type", "application/json")
	}
	h.Set("x-ms-date", now.UTC().Format(http.TimeFormat))
	if r.repeatable {
		h.Set("Repeatability-Request-ID", uuid.NewString())
		h.Set("Repeatability-First-Sent", h.Get("x-ms-date"))
	}
	return h
}

// authorize adds the signature, or the token, which it returns since it is a
// secret. A credential keeps its tokens and fetches new ones in time.
func (c *Client) authorize(ctx context.Context, h http.Header, r *request, u *url.URL) (secret string, err error) {
	if c.config.Credential == nil {
		sign(c.key, r.method, u.RequestURI(), u.Host, h.Get("x-ms-date"), r.body).set(h)
		return "", nil
	}
	got, err := c.config.Credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{c.config.Scope}})
	if err != nil {
		return "", fmt.Errorf("sign-in: %w", err)
	}
	h.Set("Authorization", "Bearer "+got.Token)
	return got.Token, nil
}

// requestID is the id that the vendor's support asks for.
func requestID(h http.Header) string {
	return first(h.Get("x-ms-request-id"), h.Get("mscv"), h.Get("MS-CV"))
}
