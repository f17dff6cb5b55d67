package acs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// recordingHosts are where the service keeps recordings. Requests for them
// carry a signature or token, so nobody else may get them. Source: the official
// JavaScript client 1.6.0, validateRecordingUrl.
var recordingHosts = []string{".asm.skype.com", ".asyncgw.teams.microsoft.com", ".ams.gov.teams.microsoft.us"}

// DownloadRecording writes what is at a RecordingChunk's ContentLocation or
// MetadataLocation to w, at most limit bytes from the given offset on, and
// returns how many. What is longer is an error, as is what ends early; what
// came before stands in w. It is tried once: a caller who wants the rest asks
// again with another offset.
func (c *Client) DownloadRecording(ctx context.Context, location string, offset int64, w io.Writer, limit int64) (int64, error) {
	const op = "download recording"
	resp, err := c.fetch(ctx, op, http.MethodGet, location, offset)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(w, io.LimitReader(resp.Body, limit))
	if err == nil && n == limit {
		if more, _ := io.ReadFull(resp.Body, make([]byte, 1)); more > 0 {
			err = fmt.Errorf("recording is longer than %d bytes", limit)
		}
	}
	if err != nil {
		return n, c.localError(op, err)
	}
	return n, nil
}

// DeleteRecording deletes what is at a RecordingChunk's DeleteLocation.
func (c *Client) DeleteRecording(ctx context.Context, location string) error {
	resp, err := c.fetch(ctx, "delete recording", http.MethodDelete, location, 0)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// fetch asks a recording's host. The request is signed as if it went to the
// resource itself, for the path alone; x-ms-host says which that is.
func (c *Client) fetch(ctx context.Context, op, method, location string, offset int64) (*http.Response, error) {
	u, err := c.recordingURL(location)
	if err != nil {
		return nil, c.localError(op, err)
	}
	if offset < 0 {
		return nil, c.localError(op, &session.FieldError{Field: "offset", Value: fmt.Sprint(offset), Want: "want 0 or more"})
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, c.localError(op, errors.New("location is not a URL"))
	}
	resource, err := url.Parse(c.config.Endpoint + u.EscapedPath())
	if err != nil {
		return nil, c.localError(op, errors.New("location is not a URL"))
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "mixminus")
	req.Header.Set("x-ms-client-request-id", uuid.NewString())
	req.Header.Set("x-ms-host", resource.Host)
	req.Header.Set("x-ms-date", c.config.Now().UTC().Format(http.TimeFormat))
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	if _, err := c.authorize(ctx, req.Header, &request{method: method}, resource); err != nil {
		return nil, c.localError(op, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, c.localError(op, err)
	}
	want := http.StatusOK
	if offset > 0 {
		want = http.StatusPartialContent
	}
	if resp.StatusCode == want {
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil, &session.Error{
			Cloud: c.config.Name, Op: op, Status: resp.StatusCode,
			Message: fmt.Sprintf("asked from byte %d on, the host sends it from its beginning", offset),
		}
	}
	return nil, c.fetchError(op, resp)
}

// fetchError reads a refusal, whose body is that of Call Automation or the
// storage's own.
func (c *Client) fetchError(op string, resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	code, subCode, message := parseError(body)
	return &session.Error{
		Cloud: c.config.Name, Op: op, Status: resp.StatusCode, Code: rest.Clip(code), SubCode: subCode,
		Message: rest.ClipTo(message, 1024), RequestID: rest.ClipTo(requestID(resp.Header), 128),
		Retryable: resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests,
	}
}

// recordingURL checks a location. The resource's own host is let pass too: an
// emulator keeps its recordings itself.
func (c *Client) recordingURL(location string) (*url.URL, error) {
	u, err := parseURL("location", location, c.config.Insecure)
	if err != nil {
		return nil, err
	}
	host := strings.ToLower(u.Hostname())
	for _, suffix := range recordingHosts {
		if strings.HasSuffix(host, suffix) && u.Scheme == "https" {
			return u, nil
		}
	}
	if own, err := url.Parse(c.config.Endpoint); err == nil && own.Host == u.Host && own.Scheme == u.Scheme {
		return u, nil
	}
	return nil, &session.FieldError{Field: "location", Value: rest.Clip(u.Host), Want: "want a host of " + strings.Join(recordingHosts, ", ")}
}
