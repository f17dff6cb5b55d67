package graph

import (
	"context"
	"fmt"
	"sync"

	"github.com/mixminus/mixminus/session"
)

// Bounds of an Operations' memory.
const (
	maxWaiting = 4096
	maxEarly   = 1024
)

// Operations knows the operations that go on after the response of the request
// that began them, and hears from the webhook how they end. Its zero value is
// ready, and safe for concurrent use.
type Operations struct {
	// Guarded by mu.
	mu      sync.Mutex
	waiting map[operationKey]*Operation
	early   map[operationKey]CommsOperation // ended before begun was heard of
	order   []operationKey                  // of early, oldest first
	dropped int64
}

// operationKey names an operation: by the Keys of its ids.
type operationKey struct{ call, id string }

// Operation is one that was begun.
type Operation struct {
	// CallID of its call, and ID, as the service wrote them.
	CallID, ID string
	// Kind is its type: "playPromptOperation".
	Kind string

	done chan struct{}
	end  CommsOperation // set before done is closed
	err  error          // as end
}

// begin notes an operation that a response told of.
func (o *Operations) begin(callID string, op CommsOperation) *Operation {
	p := &Operation{CallID: callID, ID: op.ID, Kind: kindOf(op.ODataType), done: make(chan struct{})}
	if op.over() {
		p.finish(op, nil)
		return p
	}
	key := operationKey{Key(callID), Key(op.ID)}
	o.mu.Lock()
	defer o.mu.Unlock()
	if end, ok := o.early[key]; ok {
		delete(o.early, key)
		p.finish(end, nil)
		return p
	}
	if len(o.waiting) >= maxWaiting {
		o.dropped++
		p.finish(CommsOperation{}, fmt.Errorf("graph: %d operations are being waited for already", maxWaiting))
		return p
	}
	if o.waiting == nil {
		o.waiting = map[operationKey]*Operation{}
	}
	o.waiting[key] = p
	return p
}

// Complete hands in what a notification told of an operation. callKey is the
// Key of the call's id. One that is not over changes nothing.
func (o *Operations) Complete(callKey string, op CommsOperation) {
	if !op.over() {
		return
	}
	key := operationKey{callKey, Key(op.ID)}
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.waiting[key]; p != nil {
		delete(o.waiting, key)
		p.finish(op, nil)
		return
	}
	if _, ok := o.early[key]; ok {
		return
	}
	for len(o.early) >= maxEarly || len(o.order) >= 2*maxEarly {
		delete(o.early, o.order[0])
		o.order = o.order[1:]
	}
	if o.early == nil {
		o.early = map[operationKey]CommsOperation{}
	}
	o.early[key] = op
	o.order = append(o.order, key)
}

// EndCall ends the wait for a call's operations: the call is over and no
// notification will come.
func (o *Operations) EndCall(callID string) {
	call := Key(callID)
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, p := range o.waiting {
		if key.call == call {
			delete(o.waiting, key)
			p.finish(CommsOperation{}, fmt.Errorf("graph: %s %s: %w", p.Kind, p.ID, session.ErrEnded))
		}
	}
}

// Dropped counts operations that could not be waited for.
func (o *Operations) Dropped() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}

func (p *Operation) finish(end CommsOperation, err error) {
	p.end, p.err = end, err
	close(p.done)
}

// Done is closed when the operation is over.
func (p *Operation) Done() <-chan struct{} { return p.done }

// Wait returns how the operation ended. One that failed is a *session.Error
// with Graph's code and subcode; one whose call ended first is
// session.ErrEnded.
func (p *Operation) Wait(ctx context.Context) (CommsOperation, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		return CommsOperation{}, fmt.Errorf("graph: %s %s: %w", p.Kind, p.ID, context.Cause(ctx))
	}
	if p.err != nil || !p.end.Status.is("failed") {
		return p.end, p.err
	}
	e := &session.Error{Cloud: cloudName, Op: p.Kind, Code: string(p.end.CompletionReason)}
	if r := p.end.ResultInfo; r != nil {
		e.Status, e.SubCode, e.Message = int(r.Code), int(r.Subcode), r.Message
	}
	return p.end, e
}
