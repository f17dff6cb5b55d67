package rtpio

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpleg"
)

// endpoint is one minted address, and the peer at its other end.
type endpoint struct {
	// Static after construction.
	server *Server
	leg    *engine.Leg
	stream transport.Stream
	url    string

	// Atomic.
	connections, in, out, withheld, strangers, malformed atomic.Int64

	media atomic.Pointer[rtpleg.Media] // the last one

	// Guarded by mu.
	mu       sync.Mutex
	busy     bool     // somebody says who is at the other end
	offer    *offered // what waits for its answer
	conn     *conn
	draining bool
	over     bool // it ended, or its server did: it carries nothing any more
}

// URL returns the address.
func (e *endpoint) URL() string { return e.url }

// Bind does nothing: a peer of RTP names no call.
func (e *endpoint) Bind(string) {}

// speaker is the raw id of who is heard on an unmixed leg.
func (e *endpoint) speaker(remote netip.AddrPort) string {
	if !remote.IsValid() {
		return "rtp"
	}
	return "rtp:" + remote.String()
}

// claim lets one caller say who is at the other end.
func (e *endpoint) claim() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.draining || e.over:
		return engine.ErrClosed
	case e.busy || e.conn != nil:
		return ErrTaken
	}
	e.busy = true
	return nil
}

// release gives the claim back, which came to nothing.
func (e *endpoint) release() {
	e.mu.Lock()
	e.busy = false
	e.mu.Unlock()
}

// offered is what was offered to a peer that has not answered.
type offered struct {
	pair  *pair
	local local
}

// wait keeps an offer until its answer comes, with the claim; false if the
// address is given up.
func (e *endpoint) wait(o *offered) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining || e.over {
		return false
	}
	e.offer = o
	return true
}

// giveUp is waiting for good: the server is being closed.
func (e *endpoint) giveUp() *offered {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.offer
	e.offer, e.over = nil, true
	return o
}

// waiting takes the offer that waits, nil if there is none.
func (e *endpoint) waiting() *offered {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.offer
	e.offer = nil
	return o
}

// carried notes that c carries the leg.
func (e *endpoint) carried(c *conn, m *rtpleg.Media) {
	e.media.Store(m)
	e.connections.Add(1)
	e.mu.Lock()
	e.conn, e.busy = c, false
	c.drain = e.draining
	e.mu.Unlock()
}

// ended notes that c does not any more.
func (e *endpoint) ended(c *conn, err error) {
	e.mu.Lock()
	e.conn, e.over = nil, true
	ours := e.draining || errors.Is(err, errLegClosed) || errors.Is(err, errServerClosed)
	e.mu.Unlock()
	e.server.forget(e)
	e.server.totals.End(e)
	if errors.Is(err, errServerClosed) {
		err = nil
	}
	if fn := e.stream.OnDown; fn != nil {
		fn(err)
	}
	if fn := e.server.cfg.OnEnd; fn != nil && !ours {
		e.server.told.tell(func() { fn(e.url, err) })
	}
}

// Drain takes no more, lets what came be heard, says good-bye, and returns when
// the peer's time has ended, after 500 ms at most but for the loop's own time.
// It must not be called from a handler.
func (e *endpoint) Drain() {
	e.server.forget(e)
	defer e.server.totals.End(e)
	if o := e.waiting(); o != nil {
		o.pair.close()
	}
	e.mu.Lock()
	e.draining = true
	c := e.conn
	e.mu.Unlock()
	if c == nil || !c.loop.post(func() { c.drain = true }) {
		return
	}
	t := time.NewTimer(drainTime)
	defer t.Stop()
	select {
	case <-c.done:
	case <-t.C: // a handler holds the loop up
	case <-c.loop.gone:
	}
}

// Stats returns the counters.
func (e *endpoint) Stats() transport.Stats {
	e.mu.Lock()
	connected := e.conn != nil
	e.mu.Unlock()
	s := transport.Stats{
		Connections: e.connections.Load(), MessagesIn: e.in.Load(), MessagesOut: e.out.Load(),
		Refused: e.strangers.Load(), Connected: connected, BadMessages: map[string]int64{},
	}
	m := e.media.Load()
	if m == nil {
		return s
	}
	m.Describe(&s, map[string]int64{"malformed": e.malformed.Load()})
	s.RTP.Withheld = e.withheld.Load()
	return s
}
