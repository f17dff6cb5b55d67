package rtpio

import (
	"math"
	"sync"
)

// notices calls the app's hooks in order on a goroutine of their own, so that
// none of them holds up the media. Its length is bounded: by that of legs, each
// of which ends once, and for senders by who tells of them (try).
type notices struct {
	bell chan struct{} // holds one
	done chan struct{}

	// Guarded by mu.
	mu     sync.Mutex
	queue  []func()
	closed bool
}

func (n *notices) start() {
	n.bell, n.done = make(chan struct{}, 1), make(chan struct{})
	go n.run()
}

func (n *notices) tell(fn func()) { n.try(fn, math.MaxInt) }

// try is tell if fewer than limit are waiting.
func (n *notices) try(fn func(), limit int) bool {
	n.mu.Lock()
	ok := !n.closed && len(n.queue) < limit
	if ok {
		n.queue = append(n.queue, fn)
	}
	n.mu.Unlock()
	n.ring()
	return ok
}

func (n *notices) ring() {
	select {
	case n.bell <- struct{}{}:
	default:
	}
}

func (n *notices) run() {
	defer close(n.done)
	for range n.bell {
		n.mu.Lock()
		queue, closed := n.queue, n.closed
		n.queue = nil
		n.mu.Unlock()
		for _, fn := range queue {
			fn()
		}
		if closed {
			return
		}
	}
}

// close returns when what was told before has been.
func (n *notices) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.ring()
	<-n.done
}
