package acs

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/session/rest"
)

// trackedDuration is how long the service remembers a repeatable request; one
// that is older is refused with 412.
const trackedDuration = 5 * time.Minute

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

// do sends r until it succeeds, fails for good, or may not be tried again. All
// attempts carry the same headers: repeatability id and date, client request
// id, date and signature, as the official clients do.
func (c *Client) do(ctx context.Context, r request) ([]byte, error) {
	u, err := url.Parse(c.config.Endpoint + r.path + "?api-version=" + c.config.APIVersion)
	if err != nil {
		return nil, c.localError(r.op, errors.New("request target is not a URL"))
	}
	resp, err := c.caller.Do(ctx, rest.Request{
		Op: r.op, Method: r.method, URL: u, Header: c.header(&r, u, c.config.Now()), Body: r.body,
		Want: []int{r.want}, Idempotent: r.repeatable, Window: trackedWindow(r.repeatable), Secrets: r.secrets,
	})
	return resp.Body, err
}

func trackedWindow(repeatable bool) time.Duration {
	if repeatable {
		return trackedDuration
	}
	return 0
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

// requestID is the id that the vendor's support asks for.
func requestID(h http.Header) string {
	return first(h.Get("x-ms-request-id"), h.Get("mscv"), h.Get("MS-CV"))
}
