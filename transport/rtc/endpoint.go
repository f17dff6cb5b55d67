package rtc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpleg"
)

// endpoint is one minted address, and the sessions that come to it, one after
// the other.
type endpoint struct {
	// Static after construction.
	server *Server
	leg    *engine.Leg
	stream transport.Stream
	url    string

	// Atomic.
	sessions, refused atomic.Int64
	media             atomic.Pointer[rtpleg.Media] // the last one's

	// Guarded by mu.
	mu       sync.Mutex
	callID   string
	newest   *peer // the last that offered
	carrying *peer // the one that has the leg
	draining bool
}

// URL returns the address.
func (e *endpoint) URL() string { return e.url }

// Bind names the call that the address belongs to.
func (e *endpoint) Bind(callID string) {
	e.mu.Lock()
	e.callID = callID
	e.mu.Unlock()
}

func (e *endpoint) speaker() string { return "webrtc" }

// session takes an offer and returns the session that it begins, with the
// answer. An older session goes on until the new one is connected. Errors are
// *OfferError, ErrTooManyPeers, engine.ErrClosed and ctx's.
func (e *endpoint) session(ctx context.Context, offer string) (*peer, string, error) {
	t, err := readOffer(offer, e.server.cfg.Codecs)
	if err != nil {
		return nil, "", err
	}
	p, err := e.server.newPeer(e, offer, t)
	if err != nil {
		return nil, "", err
	}
	e.mu.Lock()
	draining := e.draining
	before := e.newest
	if !draining {
		e.newest = p
	}
	e.mu.Unlock()
	if draining {
		err = engine.ErrClosed
	} else {
		err = e.server.enter(p)
	}
	if err != nil {
		p.over = true
		_ = p.pc.Close()
		return nil, "", err
	}
	e.sessions.Add(1)
	p.mu.Lock()
	p.timer = time.AfterFunc(connectsFor, func() { p.late() })
	p.mu.Unlock()
	if before != nil {
		before.giveUp()
	}
	answer, err := p.answer(ctx)
	if err != nil {
		p.end(err)
		return nil, "", err
	}
	return p, answer, nil
}

// late ends a session that never connected.
func (p *peer) late() {
	p.mu.Lock()
	started := p.started
	p.mu.Unlock()
	if !started {
		p.end(ErrNotConnected)
	}
}

// giveUp ends a session for a newer one, unless it carries the leg: that it
// does until the newer one is connected.
func (p *peer) giveUp() {
	p.mu.Lock()
	started := p.started
	p.mu.Unlock()
	if !started {
		p.end(errSuperseded)
	}
}

// takeOver makes p the one that has the leg, once an older one has left it.
func (e *endpoint) takeOver(p *peer) error {
	for {
		e.mu.Lock()
		old := e.carrying
		switch {
		case e.draining:
			e.mu.Unlock()
			return engine.ErrClosed
		case e.newest != p:
			e.mu.Unlock()
			return errSuperseded
		case old == nil:
			e.carrying = p
			e.mu.Unlock()
			return nil
		}
		e.mu.Unlock()
		old.end(errSuperseded)
		<-old.done // at its next turn
	}
}

// left notes that a session is over.
func (e *endpoint) left(p *peer, err error) {
	e.mu.Lock()
	if e.carrying == p {
		e.carrying = nil
	}
	last := e.newest == p
	draining := e.draining
	e.mu.Unlock()
	quiet := errors.Is(err, errServerClosed) || errors.Is(err, errSuperseded) || errors.Is(err, errLegClosed)
	if fn := e.server.cfg.OnEnd; fn != nil && last && !draining && !quiet {
		fn(e.url, err)
	}
}

// Drain takes no more, lets what came be heard, says good-bye, and returns when
// the session has ended, after 500 ms at most but for its own time. It must not
// be called from a handler.
func (e *endpoint) Drain() {
	e.server.forget(e)
	e.mu.Lock()
	e.draining = true
	p, newest := e.carrying, e.newest
	e.mu.Unlock()
	if newest != nil && newest != p {
		newest.end(nil)
	}
	if p == nil {
		return
	}
	p.ending.Store(true)
	t := time.NewTimer(drainTime)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		p.end(nil)
	}
}

// Stats returns the counters.
func (e *endpoint) Stats() transport.Stats {
	e.mu.Lock()
	p := e.carrying
	e.mu.Unlock()
	s := transport.Stats{
		Connections: e.sessions.Load(), Refused: e.refused.Load(), Connected: p != nil, BadMessages: map[string]int64{},
	}
	m := e.media.Load()
	if m == nil {
		return s
	}
	all := m.Stats()
	s.RTP = all.Summary(m.Codec())
	s.MessagesIn, s.MessagesOut = all.In.Jitter.Received, all.Out.Packets
	bad := all.Bad()
	if p != nil {
		bad["queue_full"] = p.in.dropped.Load() + p.control.dropped.Load()
		bad["malformed"] = p.malformed.Load()
	}
	for reason, n := range bad {
		if n > 0 {
			s.BadMessages[reason] = n
		}
	}
	return s
}
