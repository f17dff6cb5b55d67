// Package rest is how the clients of all clouds send a request: bounded in
// size and time, tried again as the official clients do, without a secret in
// an error or log line. It knows no cloud's operations and holds no state.
package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mixminus/mixminus/session"
)

// MaxResponse bounds what is read of a response, in bytes.
const MaxResponse = 1 << 20

// ErrTooLarge: the response was longer than any that a service gives.
var ErrTooLarge = errors.New("response is longer than 1 MiB")

// Caller sends requests. It is safe for concurrent use as long as its fields
// are not changed; all of them are needed.
type Caller struct {
	// Cloud's name in errors and log lines.
	Cloud string
	HTTP  *http.Client
	// MaxAttempts of one request, the first included.
	MaxAttempts int
	// BaseDelay is the pause before the first retry; it doubles from one to
	// the next, less up to half of it at random. MaxDelay caps every pause,
	// also one that the service asks for.
	BaseDelay, MaxDelay time.Duration
	// ParseError reads a refusal's body.
	ParseError func(body []byte) (code string, subCode int, message string)
	// RequestID finds the id that the vendor's support asks for.
	RequestID func(http.Header) string
	Logger    *slog.Logger
	Now       func() time.Time
	// Sleep pauses, Jitter is a random number in [0, 1); Sleep and
	// rand.Float64 but in tests.
	Sleep  func(ctx context.Context, d time.Duration) error
	Jitter func() float64
}

// Sleep waits for d, or for the end of ctx, whose error it returns.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Jitter is rand.Float64.
func Jitter() float64 { return rand.Float64() }

// Request is one operation of a service.
type Request struct {
	// Op names it in errors and log lines: "hang up".
	Op, Method string
	URL        *url.URL
	// Header goes with every attempt as it is.
	Header http.Header
	Body   []byte
	// Want lists the statuses of success.
	Want []int
	// Idempotent: it may be sent again after an attempt whose fate is
	// unknown. One that is not is still sent again when the service refused
	// it unread, if RetryThrottled: with 429, or with 503 and a Retry-After.
	// GET and DELETE are idempotent anyway.
	Idempotent     bool
	RetryThrottled bool
	// Window is how long after the first attempt the service still knows the
	// request for the same one; 0 means forever.
	Window time.Duration
	// Secrets must not appear in an error, even if the service repeats them.
	Secrets []string
}

func (r *Request) idempotent() bool {
	return r.Idempotent || r.Method == http.MethodGet || r.Method == http.MethodDelete
}

// mayRepeat tells whether r may be sent again after failure, for which the
// service asked for a pause.
func (r *Request) mayRepeat(failure *session.Error, pause time.Duration) bool {
	unread := failure.Status == http.StatusTooManyRequests || failure.Status == http.StatusServiceUnavailable && pause > 0
	return failure.Retryable && (r.idempotent() || r.RetryThrottled && unread)
}

// Response is a success.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends r until it succeeds, fails for good, or may not be tried again. The
// error is a *session.Error. A DELETE that finds nothing after an attempt that
// may have taken effect is a success of status 404.
func (c *Caller) Do(ctx context.Context, r Request) (Response, error) {
	start := c.Now()
	ambiguous := false // an earlier attempt may have taken effect
	for attempt := 1; ; attempt++ {
		resp, pause, failure := c.attempt(ctx, &r)
		if failure == nil {
			return resp, nil
		}
		failure.Cloud, failure.Op = c.Cloud, r.Op
		if ambiguous && r.Method == http.MethodDelete && failure.Status == http.StatusNotFound {
			return Response{Status: failure.Status}, nil // gone, as we asked
		}
		ambiguous = ambiguous || failure.Status != http.StatusTooManyRequests
		if attempt >= c.MaxAttempts || !r.mayRepeat(failure, pause) {
			return Response{}, failure
		}
		delay := c.Delay(attempt, pause)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < delay {
			return Response{}, failure
		}
		if r.Window > 0 && c.Now().Sub(start)+delay >= r.Window {
			return Response{}, failure
		}
		c.Logger.WarnContext(ctx, c.Cloud+": will retry", "op", r.Op, "attempt", attempt, "delay", delay,
			"status", failure.Status, "code", failure.Code, "request_id", failure.RequestID, "error", failure.Err)
		if c.Sleep(ctx, delay) != nil {
			return Response{}, failure
		}
	}
}

// attempt sends r once. The failure lacks the names of cloud and operation;
// pause is what the service asked to wait for, 0 if it did not say.
func (c *Caller) attempt(ctx context.Context, r *Request) (ok Response, pause time.Duration, failure *session.Error) {
	var payload io.Reader
	if len(r.Body) > 0 {
		payload = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), payload)
	if err != nil {
		return ok, 0, &session.Error{Err: err}
	}
	req.Header = r.Header.Clone()
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return ok, 0, networkError(ctx, 0, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxResponse+1))
	switch {
	case err != nil:
		return ok, 0, networkError(ctx, resp.StatusCode, err)
	case len(body) > MaxResponse:
		return ok, 0, &session.Error{Status: resp.StatusCode, Err: ErrTooLarge}
	case wanted(r.Want, resp.StatusCode):
		return Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, 0, nil
	}
	return ok, retryAfter(resp.Header, c.Now()), c.refusal(r, resp, body)
}

func wanted(want []int, status int) bool {
	for _, w := range want {
		if w == status {
			return true
		}
	}
	return false
}

// retryableStatus follows the retry policy of the official clients
// (core-rest-pipeline: exponential and throttling).
func retryableStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500 && status < 600
}

// networkError is the failure of an attempt that got no whole response. It is
// worth another try unless the caller gave up or the peer's certificate is bad.
func networkError(ctx context.Context, status int, err error) *session.Error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // the URL around it tells nothing that op does not
	}
	var certificate *tls.CertificateVerificationError
	return &session.Error{
		Status: status, Err: err,
		Retryable: ctx.Err() == nil && !errors.As(err, &certificate),
	}
}

// Delay is the pause after the given attempt, from 1: what the service asked
// for, else exponential with jitter; both within MaxDelay.
func (c *Caller) Delay(attempt int, asked time.Duration) time.Duration {
	if asked > 0 {
		return min(asked, c.MaxDelay)
	}
	d := c.BaseDelay
	for i := 1; i < attempt && d < c.MaxDelay; i++ {
		d *= 2
	}
	d = min(d, c.MaxDelay)
	return d - time.Duration(c.Jitter()*float64(d)/2)
}

// retryAfter reads the pause that a response asks for: Retry-After in seconds
// or as a date (RFC 9110 section 10.2.3), or Azure's variants in milliseconds.
func retryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if ms, err := strconv.ParseUint(strings.TrimSpace(h.Get(name)), 10, 31); err == nil {
			return time.Duration(ms) * time.Millisecond
		}
	}
	value := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(value); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
