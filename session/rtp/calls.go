package rtp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/offer"
	"github.com/mixminus/mixminus/session/rest"
	"github.com/mixminus/mixminus/transport"
)

// Busy is the reason of Reject that asks the caller to come again; any other
// only declines.
const Busy = "busy"

// peer is who sends from, or is dialled at, an address.
func (c *Cloud) peer(at netip.AddrPort) session.Identity {
	return session.Identity{RawID: c.name + ":" + at.String()}
}

// incoming is what the ringing of k tells. Its id is known from the beginning,
// so that a caller who gives up ends it; and it is new each time, for the same
// sender may ring again after its call.
func (c *Cloud) incoming(k *call, id string, raw json.RawMessage) session.Incoming {
	return session.Incoming{
		Cloud: c.name, ID: id, Context: k.id, CallID: k.id, From: k.peer,
		Arrived: time.Now().UTC(), AnswerWithin: c.within, Raw: raw,
	}
}

// rawSender is what was told of a sender.
func rawSender(s transport.Sender) json.RawMessage {
	return object(struct {
		Address     string `json:"address"`
		SSRC        uint32 `json:"ssrc"`
		PayloadType uint8  `json:"payload_type"`
		Codec       string `json:"codec,omitempty"`
	}{s.Addr.String(), s.SSRC, s.PayloadType, s.Codec})
}

// object is v as JSON, which it always can be.
func object(v any) json.RawMessage {
	raw, err := rest.Marshal(v)
	if err != nil {
		return json.RawMessage("{}")
	}
	return raw
}

// Answer implements session.Cloud: the sender flows, or the offer is answered.
func (c *Cloud) Answer(ctx context.Context, in session.Incoming, m session.MediaRequest) (session.Connection, error) {
	const op = "answer"
	if m.URL == "" {
		c.decline(in.CallID, "")
		return session.Connection{}, hosted()
	}
	streams, k := c.bind(in.CallID, m.URL)
	if k == nil {
		return session.Connection{}, c.gone(op)
	}
	is := agreed{url: m.URL}
	switch {
	case k.web:
		return c.answerWeb(ctx, k, m.URL)
	case k.offer != nil:
		is.answer, is.err = streams.Answer(m.URL, k.offer)
	default:
		is.err = streams.Take(m.URL, k.stream)
	}
	if is.err != nil {
		is.err = c.refusal(op, is.err)
		k.agreed <- is
		c.dismiss(c.forget(k.id))
		return session.Connection{}, is.err
	}
	conn := c.connected(k)
	k.agreed <- is
	return conn, nil
}

// bind ties the call that is answered to its media; nil if it is over.
func (c *Cloud) bind(id, url string) (Streams, *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.calls[id]
	if k == nil {
		return nil, nil
	}
	k.url, k.state = url, session.StateConnecting
	c.urls[url] = k
	return c.streams, k
}

func (c *Cloud) gone(op string) error {
	return &session.Error{Cloud: c.name, Op: op, Status: http.StatusGone, Code: "gone", Message: "the caller has given up"}
}

// hosted is the error of a call whose media is to be left with the cloud.
func hosted() error {
	return &session.UnsupportedError{What: "media hosted by the service", Version: "RTP"}
}

// connected notes that the streams of k flow, unless they have ended already.
func (c *Cloud) connected(k *call) session.Connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.state < session.StateConnected {
		k.state = session.StateConnected
	}
	return k.connection(session.StateConnected)
}

// dialled reports whether the call was made here.
func (k *call) dialled() bool { return k.stream == "" && k.offer == nil }

func (k *call) connection(s session.CallState) session.Connection {
	conn := session.Connection{CallID: k.id, State: s}
	if k.dialled() {
		conn.Targets = []session.Identity{k.peer}
	} else {
		conn.Source = k.peer
	}
	return conn
}

// dismiss turns away the sender of a call that is over, if it has one.
func (c *Cloud) dismiss(k *call) {
	if k == nil || k.stream == "" {
		return
	}
	c.mu.Lock()
	streams := c.streams
	c.mu.Unlock()
	streams.Refuse(k.stream)
}

// decline ends a call that rings.
func (c *Cloud) decline(id, reason string) {
	c.mu.Lock()
	if k := c.calls[id]; k != nil {
		k.declined, k.reason = true, reason
	}
	c.mu.Unlock()
	c.dismiss(c.forget(id))
}

// Reject implements session.Cloud: a sender is ignored until it has been silent
// for a while, an offer is refused. See Busy for reason.
func (c *Cloud) Reject(_ context.Context, in session.Incoming, reason string) error {
	c.decline(in.CallID, reason)
	return nil
}

// Redirect implements session.Cloud. It declines the call, which is decided on,
// and fails.
func (c *Cloud) Redirect(_ context.Context, in session.Incoming, _ session.Identity) error {
	c.decline(in.CallID, "")
	return &session.Error{Cloud: c.name, Op: "redirect", Status: http.StatusNotImplemented, Code: "no_signalling",
		Message: "RTP has no signalling to redirect a call with: the call is declined"}
}

// Get implements session.Cloud.
func (c *Cloud) Get(_ context.Context, callID string) (session.Connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.calls[callID]
	if k == nil {
		return session.Connection{}, c.unknown("get", callID)
	}
	return k.connection(k.state), nil
}

// HangUp implements session.Cloud. Nobody is left whom it could end the call
// for, so forEveryone changes nothing. The session drains the media, which says
// BYE.
func (c *Cloud) HangUp(_ context.Context, callID string, _ bool) error {
	return c.hangUp(callID, "hung up here")
}

func (c *Cloud) hangUp(callID, how string) error {
	k := c.forget(callID)
	if k == nil {
		return c.unknown("hang up", callID)
	}
	// While its stream still has the endpoint, so that it does not ring again.
	c.dismiss(k)
	c.end(k, session.Notice{Type: "HungUp", Code: 200, Message: how})
	return nil
}

func (c *Cloud) unknown(op, callID string) error {
	return &session.Error{Cloud: c.name, Op: op, Status: http.StatusNotFound, Code: "unknown_call",
		Message: fmt.Sprintf("no call %q", rest.Clip(callID))}
}

// refusal is the error of what Media did not do.
func (c *Cloud) refusal(op string, err error) *session.Error {
	e := &session.Error{Cloud: c.name, Op: op, Err: err}
	if refused := offer.Judged(err); refused != nil {
		e.Err, e.Status, e.Code, e.Message = nil, refused.Status, refused.Code, refused.Message
	}
	return e
}
