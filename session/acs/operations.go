package acs

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/ops"
)

// Tracking is how an operation that goes on after its response is told of.
type Tracking struct {
	// OperationContext comes back in the operation's events, by which its end
	// is found; empty has one minted. One that two operations under way share
	// cannot tell which of them an event is about: the older one ends first.
	OperationContext string
	// CallbackURI gets the operation's events instead of the call's address;
	// Version2022 has none. A webhook there must have the client's Operations.
	CallbackURI string
}

// kind of an operation: its events belong together.
type kind string

// The kinds, as Operation.Name and session.Error.Op spell them.
const (
	kindPlay          kind = "play"
	kindRecognize     kind = "recognize"
	kindStopDTMF      kind = "stop continuous DTMF"
	kindSendDTMF      kind = "send DTMF"
	kindTransfer      kind = "transfer"
	kindAdd           kind = "add participant"
	kindRemove        kind = "remove participant"
	kindCancelAdd     kind = "cancel add participant"
	kindMove          kind = "move participant"
	kindStartMedia    kind = "start media streaming"
	kindStopMedia     kind = "stop media streaming"
	kindStartScript   kind = "start transcription"
	kindStopScript    kind = "stop transcription"
	kindUpdateScript  kind = "update transcription"
	maxOperationBytes      = 1024 // of an operationContext that is waited for
	maxSeenEnds            = 1024 // message ids of ends, against repetitions
)

// Operations knows the operations that go on after the response of the request
// that began them, and hears from the webhook how they end. Its zero value is
// ready, and safe for concurrent use.
type Operations struct {
	table ops.Table[Event] // by callConnectionId, and opID

	// Guarded by mu.
	mu    sync.Mutex
	seen  map[string]struct{} // ids of events that ended an operation
	order []string            // of seen, oldest first
	// invited are the operations of invitations by their ids, oldest first in
	// invitations: an invitation that is taken back has no end of its own.
	invited     map[string]ops.Key
	invitations []string
}

// opID names an operation within its call. party is whom it is about, where
// one request begins an operation for each of several.
func opID(k kind, operationContext, party string) string {
	return string(k) + "\x00" + operationContext + "\x00" + party
}

// Complete hands in an event. One that ends no operation that is waited for
// changes nothing, nor does one that was told before.
func (o *Operations) Complete(e Event) {
	kinds := e.Name.ends()
	if len(kinds) == 0 || e.OperationContext == "" || len(e.OperationContext) > maxOperationBytes {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, again := o.seen[e.ID]; again && e.ID != "" {
		return
	}
	if e.Name == CancelAddParticipantSucceeded {
		if key, ok := o.invited[e.InvitationID]; ok && key.Call == e.CallID {
			o.table.Complete(key, e)
		}
	}
	for _, k := range kinds {
		party := ""
		if k == kindMove && len(e.Participants) > 0 {
			party = e.Participants[0].RawID
		}
		if o.table.Complete(ops.Key{Call: e.CallID, ID: opID(k, e.OperationContext, party)}, e) {
			o.remember(e.ID)
			return
		}
	}
}

// invite notes which operation an invitation is.
func (o *Operations) invite(id string, key ops.Key) {
	if id == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.invited == nil {
		o.invited = map[string]ops.Key{}
	}
	if len(o.invitations) >= maxSeenEnds {
		delete(o.invited, o.invitations[0])
		o.invitations = o.invitations[1:]
	}
	o.invited[id] = key
	o.invitations = append(o.invitations, id)
}

func (o *Operations) remember(id string) {
	if o.seen == nil {
		o.seen = map[string]struct{}{}
	}
	if len(o.order) >= maxSeenEnds {
		delete(o.seen, o.order[0])
		o.order = o.order[1:]
	}
	o.seen[id] = struct{}{}
	o.order = append(o.order, id)
}

// EndCall ends the wait for a call's operations: the call is over and no event
// will come.
func (o *Operations) EndCall(callID string) { o.table.EndCall(callID, session.ErrEnded) }

// Waiting is how many operations are being waited for now, and Dropped how
// many could not be.
func (o *Operations) Waiting() (waiting int, dropped int64) {
	s := o.table.Stats()
	return s.Waiting, s.Dropped
}

// Operation is one that was begun.
type Operation struct {
	// CallID is the callConnectionId of its call.
	CallID string
	// Name is what it does: "play".
	Name string
	// OperationContext as it was given or minted.
	OperationContext string

	cloud string
	op    *ops.Operation[Event]
}

// Done is closed when the operation is over.
func (o *Operation) Done() <-chan struct{} { return o.op.Done() }

// Wait returns the event that ended the operation: a PlayCompleted of a play.
// An end that is a failure or a cancellation is a *session.Error beside the
// event: its Code is the event's name ("PlayFailed", "PlayCanceled"), its
// Status and SubCode are those of resultInformation. One whose call ended
// first is session.ErrEnded. The end of ctx ends the wait, not the operation.
func (o *Operation) Wait(ctx context.Context) (Event, error) {
	end, err := o.op.Wait(ctx)
	if err != nil {
		return Event{}, fmt.Errorf("acs: %s of call %s: %w", o.Name, o.CallID, err)
	}
	takenBack := o.Name == string(kindAdd) && end.Name == CancelAddParticipantSucceeded
	if !end.Name.failure() && !takenBack {
		return end, nil
	}
	return end, &session.Error{
		Cloud: o.cloud, Op: o.Name, Status: end.Result.Code, Code: string(end.Name),
		SubCode: end.Result.SubCode, Message: end.Result.Message,
	}
}

// track checks what is told of an operation, and mints its context.
func (c *Client) track(t Tracking) (Tracking, error) {
	if t.CallbackURI != "" {
		if err := c.needs2026("operationCallbackUri"); err != nil {
			return t, err
		}
		if err := c.webAddress("operationCallbackUri", t.CallbackURI); err != nil {
			return t, err
		}
	}
	if len(t.OperationContext) > maxOperationBytes {
		return t, &session.FieldError{
			Field: "operationContext", Value: t.OperationContext[:16] + "…", Want: fmt.Sprintf("want at most %d bytes", maxOperationBytes),
		}
	}
	if t.OperationContext == "" {
		t.OperationContext = uuid.NewString()
	}
	return t, nil
}

// started is a request that begins operations.
type started struct {
	kind       kind
	callID     string
	context    string   // of the operation
	parties    []string // one operation for each; none means a single one
	action     string
	body       any
	want       int
	repeatable bool
	out        any // takes the response; nil for one that is empty
}

// begin posts s. Its operations are waited for from before it is sent, since
// their end may overtake the response.
func (c *Client) begin(ctx context.Context, s started) ([]*Operation, error) {
	r, err := c.action(string(s.kind), s.callID, s.action, s.body, s.want)
	if err != nil {
		return nil, err
	}
	r.repeatable = s.repeatable
	if len(s.parties) == 0 {
		s.parties = []string{""}
	}
	var all []*Operation
	for _, party := range s.parties {
		all = append(all, &Operation{
			CallID: s.callID, Name: string(s.kind), OperationContext: s.context, cloud: c.config.Name,
			op: c.config.Operations.table.Begin(ops.Key{Call: s.callID, ID: opID(s.kind, s.context, party)}),
		})
	}
	if s.out != nil {
		err = c.decode(ctx, r, s.out)
	} else {
		_, err = c.do(ctx, r)
	}
	if err == nil {
		return all, nil
	}
	for i, o := range all {
		key := ops.Key{Call: s.callID, ID: opID(s.kind, s.context, s.parties[i])}
		c.config.Operations.table.Abandon(key, o.op, err)
	}
	return nil, err
}

// one is begin for a single operation.
func (c *Client) one(ctx context.Context, s started) (*Operation, error) {
	all, err := c.begin(ctx, s)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// tracked is what the bodies of operations have in common.
type tracked struct {
	OperationContext     string `json:"operationContext,omitzero"`
	OperationCallbackURI string `json:"operationCallbackUri,omitzero"`
}

func (t Tracking) members() tracked { return tracked{t.OperationContext, t.CallbackURI} }

// untold is one for what no event of the client's version tells the end of: the
// operation is over with the response.
func (c *Client) untold(ctx context.Context, s started) (*Operation, error) {
	r, err := c.action(string(s.kind), s.callID, s.action, s.body, s.want)
	if err != nil {
		return nil, err
	}
	r.repeatable = s.repeatable
	if _, err := c.do(ctx, r); err != nil {
		return nil, err
	}
	return &Operation{
		CallID: s.callID, Name: string(s.kind), OperationContext: s.context, cloud: c.config.Name,
		op: ops.Ended(Event{CallID: s.callID, OperationContext: s.context, FailedSource: -1}, nil),
	}, nil
}

// accepted is the status of most operations' responses.
const accepted = http.StatusAccepted
