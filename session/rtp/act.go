package rtp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

const (
	toneKeys = "0123456789*#ABCD" // by event code (RFC 4733, section 3.2)
	// maxTones is how many keys one action may press: what Media queues.
	maxTones = 32
	// toneTime is how long a key is held, and toneTurn until the next: its
	// end is sent three times, and a pause follows (ITU-T Q.24).
	toneTime = 100 * time.Millisecond
	toneTurn = 200 * time.Millisecond
)

var actions = rest.Acts[*Cloud]{session.ActionDTMF: rest.ActOf(actDTMF)}

// Actions implements session.Actor.
func (c *Cloud) Actions() []string { return actions.Names() }

// Act implements session.Actor. The result is a session.ActionResult.
func (c *Cloud) Act(ctx context.Context, callID, action string, body json.RawMessage) (json.RawMessage, error) {
	return actions.Do(ctx, c, callID, action, body)
}

// actDTMF presses keys. No event tells of their end, so that waiting for it is
// waiting for as long as they take.
func actDTMF(ctx context.Context, c *Cloud, callID string, a session.DTMFAction) (r session.ActionResult, err error) {
	r.OperationContext = a.OperationContext
	keys := strings.ToUpper(a.Tones)
	if keys == "" || len(keys) > maxTones || strings.Trim(keys, toneKeys) != "" {
		return r, &session.FieldError{Field: "tones", Value: rest.Clip(a.Tones), Want: fmt.Sprintf("want 1 to %d of 0 to 9, *, #, A to D", maxTones)}
	}
	c.mu.Lock()
	k, media := c.calls[callID], c.media
	var url string
	if k != nil {
		url = k.url
	}
	c.mu.Unlock()
	switch {
	case url == "":
		return r, c.unknown(session.ActionDTMF, callID)
	case a.To != "" && a.To != k.peer.RawID:
		return r, &session.FieldError{Field: "to", Value: rest.Clip(a.To), Want: "want nobody, or the only other one: " + k.peer.RawID}
	}
	for i := range len(keys) {
		if err := media.Press(url, keys[i], toneTime); err != nil {
			return r, &session.Error{Cloud: c.name, Op: session.ActionDTMF, Status: http.StatusConflict, Code: "not_pressed",
				Message: fmt.Sprintf("%d of %d keys are pressed: %v", i, len(keys), err)}
		}
	}
	if !a.Wait {
		return r, nil
	}
	return r, k.wait(ctx, time.Duration(len(keys))*toneTurn)
}

// wait returns after d, or with an error if the call or ctx ends before.
func (k *call) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-k.done:
		return session.ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}
