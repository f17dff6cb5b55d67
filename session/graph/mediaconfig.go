package graph

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/blob"
)

// mediaConfig says who hosts the call's media: the service, or we, at the
// address that a media session configuration names: by media streaming (wss), or
// by WebRTC, which is offered there (https).
func (c *Client) mediaConfig(m session.MediaRequest) (*MediaConfig, error) {
	if m.ServiceHosted {
		return &MediaConfig{ODataType: typeName("serviceHostedMediaConfig")}, nil
	}
	u, err := url.Parse(m.URL)
	inTheClear := err == nil && (u.Scheme == "ws" || u.Scheme == "http") && (c.config.Insecure || loopback(u.Hostname()))
	switch {
	case m.URL == "":
		return nil, errors.New("media: URL is empty and the service is not to host it")
	case err != nil || u.Host == "":
		return nil, errors.New("media: URL is not one")
	case u.Scheme != "wss" && u.Scheme != "https" && !inTheClear:
		return nil, fmt.Errorf("media: URL has scheme %q: want wss, or https for WebRTC", u.Scheme)
	case m.Contexts.CallID == "" || m.Contexts.Render == "":
		return nil, errors.New("media: contexts are missing")
	}
	blob, err := blobOf(m)
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	return &MediaConfig{ODataType: typeName("appHostedMediaConfig"), Blob: blob}, nil
}

// blobOf is the media session configuration of the media's address and
// contexts.
func blobOf(m session.MediaRequest) (string, error) {
	b, err := blob.New(blob.Config{
		MPURI: m.URL, CallID: m.Contexts.CallID, SessionID: uuid.NewString(),
		Render: m.Contexts.Render, Source: m.Contexts.Source,
	})
	if err != nil {
		return "", err
	}
	return string(b.AppendJSON(nil)), nil
}
