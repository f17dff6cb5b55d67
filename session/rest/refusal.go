package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/mixminus/mixminus/session"
)

// refusal is the error of a response that is not success.
func (c *Caller) refusal(r *Request, resp *http.Response, body []byte) *session.Error {
	e := &session.Error{
		Status:    resp.StatusCode,
		RequestID: ClipTo(c.RequestID(resp.Header), 128),
		Retryable: retryableStatus(resp.StatusCode),
	}
	if resp.StatusCode < 300 {
		// The official clients refuse it too: operations have their statuses.
		e.Message = fmt.Sprintf("unexpected status, want %d", r.Want[0])
		return e
	}
	code, subCode, message := c.ParseError(body)
	// Redacted before it is clipped: half a secret is one too.
	e.Code, e.SubCode, e.Message = Clip(redact(code, r.Secrets)), subCode, ClipTo(redact(message, r.Secrets), 1024)
	return e
}

// URLSecrets lists what of a media address must not be shown: the whole, and
// each part of its path long enough to be a token.
func URLSecrets(address string) []string {
	secrets := []string{address}
	if u, err := url.Parse(address); err == nil {
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

// Clip shortens s to what an error message should carry of foreign input.
func Clip(s string) string { return ClipTo(s, 64) }

// ClipTo shortens s to n bytes, at a whole rune.
func ClipTo(s string, n int) string {
	if len(s) <= n {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.ToValidUTF8(s[:n], "\uFFFD") + "…"
}
