package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mixminus/mixminus/session"
)

// Joining asks whether a call that answered with a participantCapacity takes
// in one more participant of its policy group (participantJoiningNotification,
// Microsoft Graph v1.0).
type Joining struct {
	// CallID of the call that is asked, as the service writes it, and Key as
	// in session.Connection.
	CallID, Key string
	// Call that would take place for the participant, as far as it is told:
	// its Source is who joins.
	Call Call
	// From is Call's source.
	From session.Identity
	// Arrived is when the question came.
	Arrived time.Time
	// Raw is the notification as it came.
	Raw json.RawMessage
}

// JoinDecision answers a Joining. The zero value takes the participant in.
type JoinDecision struct {
	// Reject declines, as rejecting an incoming call would: "none", "busy" or
	// "forbidden". The call is asked again for the next participant.
	Reject string
	// InviteURI has the service ring at another bot instead, whose address
	// for incoming calls this is. Plain http is for loopback addresses.
	InviteURI string
}

// joinResponse is participantJoiningResponse, which is the body of the
// response to the notification.
type joinResponse struct {
	Type      string `json:"@odata.type"`
	Reason    string `json:"reason,omitempty"`
	InviteURI string `json:"inviteUri,omitempty"`
}

// response checks d and translates it.
func (d JoinDecision) response() (joinResponse, error) {
	const prefix = "#microsoft.graph."
	switch {
	case d.Reject != "" && d.InviteURI != "":
		return joinResponse{}, fmt.Errorf("both Reject %q and InviteURI are set", clip(d.Reject))
	case d.Reject != "":
		reason := strings.ToLower(d.Reject)
		if reason != "none" && reason != "busy" && reason != "forbidden" {
			return joinResponse{}, fmt.Errorf("Reject is %q: want none, busy or forbidden", clip(d.Reject))
		}
		return joinResponse{Type: prefix + "rejectJoinResponse", Reason: reason}, nil
	case d.InviteURI != "":
		if err := checkAddress("InviteURI", d.InviteURI); err != nil {
			return joinResponse{}, err
		}
		return joinResponse{Type: prefix + "inviteNewBotResponse", InviteURI: d.InviteURI}, nil
	}
	return joinResponse{Type: prefix + "acceptJoinResponse"}, nil
}

// Reasons for which WebhookConfig.JoinDefault answers: the keys of
// WebhookStats.JoinDefaults.
const (
	defaultUnset    = "unset"    // no OnJoining
	defaultDeadline = "deadline" // it took too long, or the service hung up
	defaultPanic    = "panic"    // it panicked
	defaultInvalid  = "invalid"  // its decision is none
	defaultBusy     = "busy"     // too many are under way, or the webhook is closed
)

// maxDeciding bounds the calls of OnJoining that run, those that have
// outlived their deadline included.
const maxDeciding = 64

// answerJoining writes the decision.
func (w *Webhook) answerJoining(rw http.ResponseWriter, r *http.Request, j Joining) {
	decision, why, cause := w.decide(r.Context(), j)
	response, err := decision.response()
	if why == "" && err != nil {
		why, cause = defaultInvalid, err
	}
	if why != "" {
		response = w.joinDefault
		w.count(func(s *WebhookStats) { s.JoinDefaults[why]++ })
		if why != defaultUnset {
			w.guard.Warn(r, "joining:"+why, "default decision on a joining participant", "call", j.Key, "reason", why, "error", cause)
		}
	}
	w.count(func(s *WebhookStats) { s.Joinings++ })
	rw.Header().Set("Content-Type", "application/json")
	// A failed write is the service's loss: it decides without us.
	_ = json.NewEncoder(rw).Encode(response)
}

// decide asks OnJoining, on a goroutine of its own so that the deadline holds
// whatever it does. why is empty if the decision is its own.
func (w *Webhook) decide(ctx context.Context, j Joining) (d JoinDecision, why string, cause error) {
	if w.config.OnJoining == nil {
		return d, defaultUnset, nil
	}
	if !w.beginDeciding() {
		return d, defaultBusy, fmt.Errorf("%d are under way", maxDeciding)
	}
	ctx, cancel := context.WithTimeout(ctx, w.config.JoinDeadline)
	defer cancel()
	type answer struct {
		decision JoinDecision
		returned bool // and did not panic
		panicked any
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		defer w.deciding.Done()
		defer func() { <-w.slots }()
		defer func() {
			a.panicked = recover()
			answers <- a
		}()
		a.decision = w.config.OnJoining(ctx, j)
		a.returned = true
	}()
	select {
	case a := <-answers:
		if !a.returned {
			return d, defaultPanic, fmt.Errorf("OnJoining panicked: %v", a.panicked)
		}
		return a.decision, "", nil
	case <-ctx.Done():
		return d, defaultDeadline, context.Cause(ctx)
	}
}

// beginDeciding takes one of the slots, if there is one and the webhook is
// not closed.
func (w *Webhook) beginDeciding() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	select {
	case w.slots <- struct{}{}:
		w.deciding.Add(1)
		return true
	default:
		return false
	}
}
