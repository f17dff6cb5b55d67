package rtc

import (
	"context"
	"crypto/subtle"
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
	path   string // of url

	// Atomic.
	sessions, refused atomic.Int64
	media             atomic.Pointer[rtpleg.Media] // the last one's

	// Guarded by mu.
	mu       sync.Mutex
	callID   string
	newest   *peer // the last that was admitted, of those that are not over
	carrying *peer // the one that has the leg
	heir     *peer // is connected, and waits until carrying has left it
	draining bool
	past     transport.Stats // of sessions that are over
	// What the app was told, and is to be: whoever is telling it goes on until
	// both agree, so that it is told in order and without the lock.
	told, up, telling bool
	down              error
}

// URL returns the address.
func (e *endpoint) URL() string { return e.url }

// Bind names the call that the address belongs to. A session of another ends.
func (e *endpoint) Bind(callID string) {
	e.mu.Lock()
	e.callID = callID
	sessions := [...]*peer{e.newest, e.carrying}
	e.mu.Unlock()
	for _, p := range sessions {
		if p != nil && !belongs(p.callID, callID) {
			p.end(errOtherCall)
		}
	}
}

// belongs reports whether an offer that names the call got may carry want.
func belongs(got, want string) bool {
	return want == "" || got == "" || subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

func (e *endpoint) speaker() string { return "webrtc" }

// request is an offer, and who made it.
type request struct {
	offer  string
	callID string // that it named, "" if none
	open   bool   // somebody else let it in
}

// session takes an offer and returns the session that it begins, with the
// answer. An older session goes on until the new one is connected. Errors are
// *OfferError, ErrTooManyPeers, errOtherCall, engine.ErrClosed and ctx's.
func (e *endpoint) session(ctx context.Context, r request) (*peer, string, error) {
	o, err := readOffer(r.offer, e.server.cfg.Codecs)
	if err != nil {
		return nil, "", err
	}
	if o.send = o.send && e.stream.Bidirectional; !o.send && !o.recv {
		return nil, "", unacceptable("a=", "recvonly", "to send: nothing is said at this address")
	}
	p, err := e.server.newPeer(e, o)
	if err != nil {
		return nil, "", err
	}
	p.callID, p.open = r.callID, r.open
	if err := e.server.enter(p); err != nil {
		p.drop()
		return nil, "", err
	}
	answer, err := p.answer(ctx)
	if err == nil {
		err = e.admit(p)
	}
	if err != nil {
		p.end(err)
		return nil, "", err
	}
	return p, answer, nil
}

// admit makes p the newest session. One that has not got as far as the leg goes.
func (e *endpoint) admit(p *peer) error {
	select {
	case <-e.leg.Done():
		return engine.ErrClosed
	default:
	}
	e.mu.Lock()
	switch {
	case e.draining:
		e.mu.Unlock()
		return engine.ErrClosed
	case !belongs(p.callID, e.callID):
		e.mu.Unlock()
		return errOtherCall
	}
	p.mu.Lock()
	if p.over { // crowded out
		p.mu.Unlock()
		e.mu.Unlock()
		return p.reason()
	}
	p.admitted = true
	p.timer = time.AfterFunc(e.server.connectsFor, p.late)
	p.mu.Unlock()
	before := e.newest
	e.newest = p
	if before == e.carrying {
		before = nil
	}
	e.mu.Unlock()
	e.sessions.Add(1)
	if before != nil {
		before.end(errSuperseded)
	}
	return nil
}

// take gives p the leg, once an older session has left it.
func (e *endpoint) take(p *peer) {
	e.mu.Lock()
	old := e.carrying
	switch {
	case e.draining:
		e.mu.Unlock()
		p.end(engine.ErrClosed)
	case e.newest != p:
		e.mu.Unlock()
		p.end(errSuperseded)
	case old == nil:
		mine := p.claim()
		if mine {
			e.carrying = p
		}
		e.mu.Unlock()
		if mine {
			p.begin()
		}
	default:
		e.heir = p
		e.mu.Unlock()
		old.end(errSuperseded) // at its next turn
	}
}

// left notes that a session is over, and why; admitted tells whether anybody
// knew of it. The leg goes to who waits for it.
func (e *endpoint) left(p *peer, why error, admitted bool) {
	e.tell(p, false, why)
	e.mu.Lock()
	if e.carrying == p {
		if m := e.media.Swap(nil); m != nil {
			e.past.Add(p.stats(m))
		}
		e.carrying = nil
	}
	if e.heir == p {
		e.heir = nil
	}
	if e.newest == p {
		e.newest = e.carrying
	}
	var heir *peer
	if e.carrying == nil && e.heir != nil {
		if e.heir.claim() {
			heir, e.carrying = e.heir, e.heir
		}
		e.heir = nil
	}
	last := e.newest == nil && !e.draining
	e.mu.Unlock()
	close(p.done)
	if heir != nil {
		heir.begin()
	}
	if fn := e.server.cfg.OnEnd; fn != nil && last && admitted && !quiet(why) {
		fn(e.url, why)
	}
}

// quiet reports whether an end is our own doing, which OnEnd does not tell of.
func quiet(err error) bool {
	for _, own := range []error{errServerClosed, errSuperseded, errLegClosed, errOtherCall, errCrowded, engine.ErrClosed} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// tell the app that the connection of the session that carries the leg stands,
// or does not.
func (e *endpoint) tell(p *peer, up bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.carrying != p {
		return
	}
	e.up, e.down = up, err
	if e.telling {
		return
	}
	e.telling = true
	for e.told != e.up {
		e.told = e.up
		fn := e.stream.OnUp
		if down, err := e.stream.OnDown, e.down; !e.up {
			fn = func() { down(err) }
			if down == nil {
				fn = nil
			}
		}
		if fn != nil {
			e.mu.Unlock()
			fn()
			e.mu.Lock()
		}
	}
	e.telling = false
}

// Drain takes no more, lets what came be heard, says good-bye, and returns when
// the session has ended, after 500 ms at most but for its own time. It must not
// be called from a handler.
func (e *endpoint) Drain() {
	e.server.forget(e)
	defer e.server.totals.End(e)
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
	defer e.mu.Unlock()
	s := transport.Stats{
		Connections: e.sessions.Load(), Refused: e.refused.Load(), Connected: e.told, BadMessages: map[string]int64{},
	}
	s.Add(e.past)
	if m := e.media.Load(); m != nil && e.carrying != nil {
		s.Add(e.carrying.stats(m))
	}
	return s
}

// stats are those of one session, which m carries.
func (p *peer) stats(m *rtpleg.Media) (s transport.Stats) {
	m.Describe(&s, map[string]int64{"queue_full": p.in.dropped.Load() + p.control.dropped.Load(), "malformed": p.malformed.Load()})
	s.MessagesIn, s.MessagesOut = s.RTP.Received, s.RTP.Sent
	return s
}
