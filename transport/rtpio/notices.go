package rtpio

import "sync"

// notices calls the app's hooks in order on a goroutine of their own, so that
// none of them holds up the media. Its length is bounded by what it tells of:
// senders and legs, of which there are so many and no more.
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

func (n *notices) tell(fn func()) {
	n.mu.Lock()
	if !n.closed {
		n.queue = append(n.queue, fn)
	}
	n.mu.Unlock()
	n.ring()
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
