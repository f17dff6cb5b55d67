package cloud

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// handshakeTimeout is how long an app has to prove that it listens.
const handshakeTimeout = 10 * time.Second

// maxHandshake bounds what is read of an answer, in bytes.
const maxHandshake = 4 << 10

// handshake checks that whoever asks for notifications listens where they are
// to go: a POST with the query parameter validationToken must be answered with
// 200, text/plain and the decoded token within 10 s ("Receive change
// notifications through webhooks"). The token has what tells whether it was
// decoded once, and exactly once.
func (c *changes) handshake(target string) *changeRefusal {
	ctx, cancel := context.WithTimeout(c.ctx, handshakeTimeout)
	defer cancel()
	token := "Validation: Testing client application reachability for subscription Request-Id: " + uuid.NewString() + " %2B+<&>"
	refused := func(text string) *changeRefusal {
		return &changeRefusal{status: http.StatusBadRequest, code: "ValidationError", message: "Subscription validation request failed. " + text}
	}
	const want200 = "Notification endpoint must respond with 200 OK to validation request."
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, withToken(target, token), nil)
	if err != nil {
		return refused(want200)
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := c.client.Do(req)
	if err == nil {
		defer resp.Body.Close()
	}
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxHandshake))
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return invalidChange("Subscription validation request timed out.")
	case err != nil:
		c.log.Info("cloud: handshake failed", "url", target, "error", err)
		return refused(want200)
	case resp.StatusCode != http.StatusOK:
		return refused("HTTP status code is '" + statusName(resp.StatusCode) + "'. " + want200)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return refused("Content type of the response must be text/plain.")
	}
	if string(body) != token {
		return refused("Response must exactly match validationToken query parameter.")
	}
	return nil
}

// withToken keeps the query that the URL has.
func withToken(target, token string) string {
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	return target + separator + "validationToken=" + url.QueryEscape(token)
}
