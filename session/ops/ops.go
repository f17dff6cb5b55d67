// Package ops keeps the operations that go on after the response of the
// request that began them, until the cloud tells how they ended: it ties the
// two ends together, whichever comes first. It knows no cloud's operations,
// sends nothing and starts no goroutine.
package ops

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Bounds of a Table's memory.
const (
	MaxWaiting = 4096
	MaxKept    = 1024
)

// ErrTooMany: MaxWaiting operations are being waited for already.
var ErrTooMany = errors.New("too many operations are being waited for")

// Key names an operation within its call.
type Key struct{ Call, ID string }

// Operation is one that was begun; E is what its end tells.
type Operation[E any] struct {
	done chan struct{}
	end  E     // set before done is closed
	err  error // as end
}

// Done is closed when the operation is over.
func (o *Operation[E]) Done() <-chan struct{} { return o.done }

// Wait returns how the operation ended, or why that will never be told. The
// end of ctx ends the wait and not the operation.
func (o *Operation[E]) Wait(ctx context.Context) (E, error) {
	select {
	case <-o.done:
		return o.end, o.err
	default:
	}
	select {
	case <-o.done:
		return o.end, o.err
	case <-ctx.Done():
		var none E
		return none, context.Cause(ctx)
	}
}

// Ended is an operation that was over before anybody could wait.
func Ended[E any](end E, err error) *Operation[E] {
	o := &Operation[E]{done: make(chan struct{})}
	o.finish(end, err)
	return o
}

func (o *Operation[E]) finish(end E, err error) {
	o.end, o.err = end, err
	close(o.done)
}

// Table is the operations that are being waited for. Its zero value is ready,
// and safe for concurrent use.
type Table[E any] struct {
	// Guarded by mu.
	mu      sync.Mutex
	waiting map[Key][]*Operation[E] // of one key, oldest first
	count   int                     // of waiting
	kept    map[Key]E               // ended before Begin was called
	order   []Key                   // of kept, oldest first
	dropped int64
}

// Begin waits for the operation of key, beside others of the same key that
// were begun before. If its end was kept it is over at once; if the table is
// full it is too, with ErrTooMany.
func (t *Table[E]) Begin(key Key) *Operation[E] {
	t.mu.Lock()
	defer t.mu.Unlock()
	if end, ok := t.kept[key]; ok {
		delete(t.kept, key)
		return Ended(end, nil)
	}
	if t.count >= MaxWaiting {
		t.dropped++
		var none E
		return Ended(none, fmt.Errorf("%w: %d", ErrTooMany, MaxWaiting))
	}
	o := &Operation[E]{done: make(chan struct{})}
	if t.waiting == nil {
		t.waiting = map[Key][]*Operation[E]{}
	}
	t.waiting[key] = append(t.waiting[key], o)
	t.count++
	return o
}

// Abandon ends the wait for an operation that never began.
func (t *Table[E]) Abandon(key Key, o *Operation[E], err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, other := range t.waiting[key] {
		if other == o {
			t.remove(key, i)
			var none E
			o.finish(none, err)
			return
		}
	}
}

// Complete tells how the oldest operation of key ended, and reports whether
// one was waited for.
func (t *Table[E]) Complete(key Key, end E) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.complete(key, end)
}

// CompleteOrKeep is Complete, for clouds whose response names the operation:
// an end that nobody waits for is kept, for it may have overtaken the response.
// Of what is kept for one key the first counts.
func (t *Table[E]) CompleteOrKeep(key Key, end E) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.complete(key, end) {
		return
	}
	if _, ok := t.kept[key]; ok {
		return
	}
	for len(t.kept) >= MaxKept || len(t.order) >= 2*MaxKept {
		delete(t.kept, t.order[0])
		t.order = t.order[1:]
	}
	if t.kept == nil {
		t.kept = map[Key]E{}
	}
	t.kept[key] = end
	t.order = append(t.order, key)
}

func (t *Table[E]) complete(key Key, end E) bool {
	if len(t.waiting[key]) == 0 {
		return false
	}
	t.remove(key, 0).finish(end, nil)
	return true
}

// remove takes the i-th operation of key out. Called with mu held.
func (t *Table[E]) remove(key Key, i int) *Operation[E] {
	list := t.waiting[key]
	o := list[i]
	t.count--
	if len(list) == 1 {
		delete(t.waiting, key)
		return o
	}
	t.waiting[key] = append(list[:i:i], list[i+1:]...)
	return o
}

// EndCall ends the wait for all operations of a call with err: no more will be
// told of them.
func (t *Table[E]) EndCall(call string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, list := range t.waiting {
		if key.Call != call {
			continue
		}
		delete(t.waiting, key)
		t.count -= len(list)
		var none E
		for _, o := range list {
			o.finish(none, err)
		}
	}
}

// Stats of a Table.
type Stats struct {
	// Waiting operations and ends that are kept now.
	Waiting int
	Kept    int
	// Dropped counts operations that could not be waited for.
	Dropped int64
}

// Stats returns the counters.
func (t *Table[E]) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{Waiting: t.count, Kept: len(t.kept), Dropped: t.dropped}
}
