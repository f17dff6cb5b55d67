package rtp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/offer"
	"github.com/mixminus/mixminus/session/rest"
	"github.com/mixminus/mixminus/transport"
)

// CreateRequest is the create request of this cloud: an address that was agreed
// on beforehand, and what is spoken there.
type CreateRequest struct {
	// Target is an IP address and a port: "127.0.0.1:6000".
	Target string `json:"target"`
	// Codec as an rtpmap names it: "PCMU/8000", which is the default.
	Codec string `json:"codec,omitempty"`
	// PayloadType of the codec; 0 is the static one, if it has one, else 96.
	PayloadType int `json:"payload_type,omitempty"`
	// EventType is the payload type of telephone events (RFC 4733), without
	// which no keys can be pressed; 0 sends none.
	EventType int `json:"event_type,omitempty"`
}

const (
	defaultCodec = "PCMU/8000"
	lastType     = 127 // of payloads: 7 bits (RFC 3550, section 5.1)
)

// Create implements session.Cloud: it sends to an address at once. Whoever
// listens there is not asked, so that the call is connected from the beginning.
func (c *Cloud) Create(_ context.Context, req session.CreateRequest) (session.Connection, error) {
	streams, err := c.dialler()
	if err != nil {
		return session.Connection{}, err
	}
	to, err := parseTarget(req.Body)
	if err != nil {
		return session.Connection{}, err
	}
	url := req.Media.URL
	if url == "" {
		return session.Connection{}, hosted()
	}
	c.mu.Lock()
	k := c.add(call{peer: c.peer(to.Addr)})
	k.url, k.state = url, session.StateConnecting
	c.urls[url] = k
	c.mu.Unlock()
	if err := streams.Dial(url, to); err != nil {
		c.forget(k.id)
		if no := offer.Judged(err); no != nil && no.Status == http.StatusNotAcceptable {
			return session.Connection{}, badField("codec", to.Codec, err.Error())
		}
		return session.Connection{}, c.refusal("create", err)
	}
	return c.connected(k), nil
}

// dialler returns what addresses are dialled with.
func (c *Cloud) dialler() (Streams, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.media == nil:
		return nil, &session.Error{Cloud: c.name, Op: "create", Err: errors.New("not connected yet"), Retryable: true}
	case c.streams == nil:
		return nil, &session.Error{Cloud: c.name, Op: "create", Status: http.StatusNotImplemented, Code: "no_signalling",
			Message: "peers of WebRTC call and cannot be called: they offer at " + c.path}
	}
	return c.streams, nil
}

// parseTarget reads the body of a create request.
func parseTarget(body []byte) (to transport.Target, err error) {
	r := CreateRequest{Codec: defaultCodec}
	if err := rest.Strict(body, &r); err != nil {
		var wrong *session.FieldError
		if errors.As(err, &wrong) && wrong.Field != "body" {
			return to, badField(wrong.Field, wrong.Value, wrong.Want)
		}
		return to, err
	}
	at, err := netip.ParseAddrPort(r.Target)
	switch {
	case err != nil || at.Port() == 0 || at.Addr().IsUnspecified():
		return to, badField("target", r.Target, "want an IP address and a port, such as 127.0.0.1:6000")
	case strings.TrimSpace(r.Codec) == "":
		return to, badField("codec", r.Codec, "want one such as "+defaultCodec)
	case r.PayloadType < 0 || r.PayloadType > lastType:
		return to, badField("payload_type", fmt.Sprint(r.PayloadType), fmt.Sprintf("want 0 to %d", lastType))
	case r.EventType < 0 || r.EventType > lastType:
		return to, badField("event_type", fmt.Sprint(r.EventType), fmt.Sprintf("want 1 to %d, or 0 for none", lastType))
	case r.EventType != 0 && r.EventType == r.PayloadType:
		return to, badField("event_type", fmt.Sprint(r.EventType), "want another than payload_type")
	}
	return transport.Target{
		Addr: netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), Codec: r.Codec,
		PayloadType: uint8(r.PayloadType), EventType: uint8(r.EventType),
	}, nil
}

// badField names a member of the request as the control API spells it.
func badField(name, value, want string) error {
	return &session.FieldError{Field: "request." + name, Value: rest.Clip(value), Want: want}
}
