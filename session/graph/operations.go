package graph

import (
	"context"
	"fmt"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/ops"
)

// Operations knows the operations that go on after the response of the request
// that began them, and hears from the webhook how they end. Its zero value is
// ready, and safe for concurrent use.
type Operations struct {
	table ops.Table[CommsOperation] // by the Keys of their calls and ids
}

// Operation is one that was begun.
type Operation struct {
	// CallID of its call, and ID, as the service wrote them.
	CallID, ID string
	// Kind is its type: "playPromptOperation".
	Kind string

	op *ops.Operation[CommsOperation]
}

// begin notes an operation that a response told of.
func (o *Operations) begin(callID string, op CommsOperation) *Operation {
	p := &Operation{CallID: callID, ID: op.ID, Kind: kindOf(op.ODataType)}
	if op.over() {
		p.op = ops.Ended(op, nil)
	} else {
		p.op = o.table.Begin(ops.Key{Call: Key(callID), ID: Key(op.ID)})
	}
	return p
}

// Complete hands in what a notification told of an operation. callKey is the
// Key of the call's id. One that is not over changes nothing.
func (o *Operations) Complete(callKey string, op CommsOperation) {
	if op.over() {
		o.table.CompleteOrKeep(ops.Key{Call: callKey, ID: Key(op.ID)}, op)
	}
}

// EndCall ends the wait for a call's operations: the call is over and no
// notification will come.
func (o *Operations) EndCall(callID string) { o.table.EndCall(Key(callID), session.ErrEnded) }

// Dropped counts operations that could not be waited for.
func (o *Operations) Dropped() int64 { return o.table.Stats().Dropped }

// Done is closed when the operation is over.
func (p *Operation) Done() <-chan struct{} { return p.op.Done() }

// Wait returns how the operation ended. One that failed is a *session.Error
// with Graph's code and subcode; one whose call ended first is
// session.ErrEnded.
func (p *Operation) Wait(ctx context.Context) (CommsOperation, error) {
	end, err := p.op.Wait(ctx)
	if err != nil {
		return CommsOperation{}, fmt.Errorf("graph: %s %s: %w", p.Kind, p.ID, err)
	}
	if !end.Status.is("failed") {
		return end, nil
	}
	e := &session.Error{Cloud: cloudName, Op: p.Kind, Code: string(end.CompletionReason)}
	if r := end.ResultInfo; r != nil {
		e.Status, e.SubCode, e.Message = int(r.Code), int(r.Subcode), r.Message
	}
	return end, e
}
