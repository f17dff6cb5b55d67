package acs

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/session"
)

const (
	// maxResponse bounds what is read of a response, in bytes.
	maxResponse = 1 << 20
	// trackedDuration is how long the service remembers a repeatable request;
	// one that is older is refused with 412.
	trackedDuration = 5 * time.Minute
)

// request is one operation of the service.
type request struct {
	op, method, path string
	body             []byte
	// want is the one status of success.
	want int
	// repeatable: the service accepts the Repeatability headers, so that the
	// request may be sent again without being executed again.
	repeatable bool
	// secrets must not appear in an error, even if the service repeats them.
	secrets []string
}

// idempotent tells whether r may be sent again after an attempt whose fate is
// unknown.
func (r *request) idempotent() bool {
	return r.repeatable || r.method == http.MethodGet || r.method == http.MethodDelete
}

// timing is the part of retrying that tests replace.
type timing struct {
	sleep  func(ctx context.Context, d time.Duration) error
	jitter func() float64
}

func realTiming() timing {
	return timing{
		jitter: rand.Float64,
		sleep: func(ctx context.Context, d time.Duration) error {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-t.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
}

// do sends r until it succeeds, fails for good, or may not be tried again. All
// attempts carry the same headers: repeatability id and date, client request
// id, date and signature, as the official clients do.
func (c *Client) do(ctx context.Context, r request) ([]byte, error) {
	target := r.path + "?api-version=" + c.config.APIVersion
	u, err := url.Parse(c.config.Endpoint + target)
	if err != nil {
		return nil, c.localError(r.op, errors.New("request target is not a URL"))
	}
	start := c.config.Now()
	header := c.header(&r, u, start)
	ambiguous := false // an earlier attempt may have taken effect
	for attempt := 1; ; attempt++ {
		body, pause, failure := c.attempt(ctx, &r, u, header)
		if failure == nil {
			return body, nil
		}
		failure.Cloud, failure.Op = c.config.Name, r.op
		if ambiguous && r.method == http.MethodDelete && failure.Status == http.StatusNotFound {
			return nil, nil // gone, as we asked
		}
		ambiguous = ambiguous || failure.Status != http.StatusTooManyRequests
		if !failure.Retryable || attempt >= c.config.MaxAttempts || !r.idempotent() {
			return nil, failure
		}
		delay := c.delay(attempt, pause)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < delay {
			return nil, failure
		}
		if r.repeatable && c.config.Now().Sub(start)+delay >= trackedDuration {
			return nil, failure
		}
		c.config.Logger.WarnContext(ctx, "acs: will retry", "op", r.op, "attempt", attempt, "delay", delay,
			"status", failure.Status, "code", failure.Code, "request_id", failure.RequestID, "error", failure.Err)
		if c.timing.sleep(ctx, delay) != nil {
			return nil, failure
		}
	}
}

// header builds what all attempts of r share.
func (c *Client) header(r *request, u *url.URL, now time.Time) http.Header {
	date := now.UTC().Format(http.TimeFormat)
	h := http.Header{}
	h.Set("Accept", "application/json")
	h.Set("User-Agent", "mixminus")
	h.Set("x-ms-client-request-id", uuid.NewString())
	if len(r.body) > 0 {
		h.Set("Content-Type", "application/json")
	}
	if r.repeatable {
		h.Set("Repeatability-Request-ID", uuid.NewString())
		h.Set("Repeatability-First-Sent", date)
	}
	sign(c.key, r.method, u.RequestURI(), u.Host, date, r.body).set(h)
	return h
}

// attempt sends r once. The failure lacks the names of cloud and operation;
// pause is what the service asked to wait for, 0 if it did not say.
func (c *Client) attempt(ctx context.Context, r *request, u *url.URL, h http.Header) (body []byte, pause time.Duration, failure *session.Error) {
	var payload io.Reader
	if len(r.body) > 0 {
		payload = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), payload)
	if err != nil {
		return nil, 0, &session.Error{Err: err}
	}
	req.Header = h.Clone()
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, 0, networkError(ctx, 0, err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		return nil, 0, networkError(ctx, resp.StatusCode, err)
	case len(body) > maxResponse:
		return nil, 0, &session.Error{Status: resp.StatusCode, Err: errTooLarge}
	case resp.StatusCode == r.want:
		return body, 0, nil
	}
	return nil, retryAfter(resp.Header, c.config.Now()), refusal(r, resp, body)
}

// refusal is the error of a response that is not success.
func refusal(r *request, resp *http.Response, body []byte) *session.Error {
	e := &session.Error{
		Status:    resp.StatusCode,
		RequestID: clipTo(first(resp.Header.Get("x-ms-request-id"), resp.Header.Get("mscv"), resp.Header.Get("MS-CV")), 128),
		Retryable: retryableStatus(resp.StatusCode),
	}
	if resp.StatusCode < 300 {
		// The official clients refuse it too: each operation has one status.
		e.Message = fmt.Sprintf("unexpected status, want %d", r.want)
		return e
	}
	code, subCode, message := parseError(body)
	// Redacted before it is clipped: half a secret is one too.
	e.Code, e.SubCode, e.Message = clip(redact(code, r.secrets)), subCode, clipTo(redact(message, r.secrets), 1024)
	return e
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

// delay is the pause after the given attempt, from 1: what the service asked
// for, else exponential with jitter; both within MaxDelay.
func (c *Client) delay(attempt int, asked time.Duration) time.Duration {
	if asked > 0 {
		return min(asked, c.config.MaxDelay)
	}
	d := c.config.BaseDelay
	for i := 1; i < attempt && d < c.config.MaxDelay; i++ {
		d *= 2
	}
	d = min(d, c.config.MaxDelay)
	return d - time.Duration(c.timing.jitter()*float64(d)/2)
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

// mediaSecrets lists what of a media address must not be shown: the whole, and
// each part of its path long enough to be a token.
func mediaSecrets(m session.MediaRequest) []string {
	secrets := []string{m.URL}
	if u, err := url.Parse(m.URL); err == nil {
		for part := range strings.SplitSeq(u.Path, "/") {
			if len(part) >= 16 {
				secrets = append(secrets, part)
			}
		}
		if u.RawQuery != "" {
			secrets = append(secrets, u.RawQuery)
		}
	}
	return secrets
}

// redact hides secrets in a text that came from the service.
func redact(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "[redacted]")
		}
	}
	return s
}
