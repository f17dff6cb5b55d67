package engine

import "fmt"

// Outlet is where the frames of a source leave: the sending half of a
// connection. The source calls it from one goroutine at a time, whichever
// that is; it must not block.
type Outlet interface {
	// SendFrame takes 20 ms of audio. It returns false when the peer is not
	// reading: the frame stays queued and is offered again within 20 ms.
	SendFrame(samples *[320]int16) bool
	// SendFlush tells the peer to drop what it has not played. False as
	// above.
	SendFlush() bool
}

// PacedOutlet is an Outlet that sends a frame every 20 ms by itself, however
// they are given to it: what the peer plays lies on that grid.
type PacedOutlet interface {
	Outlet
	// Paced does nothing.
	Paced()
}

// Port is the right of one connection to produce into a leg. Its methods must
// only be called from the connection's reading goroutine.
type Port struct {
	leg *Leg
}

// Attach gives a connection the leg: out takes what the source sends (nil:
// nothing may be sent). It fails with ErrAttached while another connection
// holds it and ErrClosed after Close. The caller must Detach.
func (l *Leg) Attach(out Outlet) (*Port, error) {
	p := &Port{leg: l}
	if err := l.take(p); err != nil {
		return nil, err
	}
	if l.clock.end > 0 {
		l.clock.reconnected()
	}
	l.source.attach(out)
	return p, nil
}

func (l *Leg) take(p *Port) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return ErrClosed
	case l.port != nil:
		return ErrAttached
	}
	l.port = p
	return nil
}

// Detach gives the leg back; nothing may be produced after it. arrival is Now
// when the connection ended.
func (p *Port) Detach(arrival int64) {
	l := p.leg
	defer l.detached() // also when a handler panics
	l.source.attach(nil)
	for _, r := range *l.renders.Load() {
		r.end(arrival)
	}
}

func (l *Leg) detached() {
	l.mu.Lock()
	l.port = nil
	spent := l.ended
	if spent {
		l.endTaps()
	}
	l.mu.Unlock()
	if spent {
		l.engine.spent(l)
	}
}

// Lookup returns the render context of a speaker that was announced, nil for
// any other.
func (p *Port) Lookup(rawID []byte) *Render { return p.leg.byRawID[string(rawID)] }

// Render returns the render context of a speaker, announcing a new one; an
// empty id is the mix. It does not keep rawID. It fails with ErrTooManySpeakers.
func (p *Port) Render(rawID []byte, arrival int64) (*Render, error) {
	l := p.leg
	if r := l.byRawID[string(rawID)]; r != nil {
		return r, nil
	}
	if n := len(l.byRawID); n >= l.cfg.MaxSpeakers {
		l.refused.Add(1)
		return nil, fmt.Errorf("%w: %d", ErrTooManySpeakers, n)
	}
	l.clock.arrival = l.begin(arrival)
	return l.announce(string(rawID)), nil
}

// DTMF tells the app of a key.
func (p *Port) DTMF(tone byte, speaker string) {
	p.leg.dtmf.Add(1)
	if fn := p.leg.cfg.OnDTMF; fn != nil {
		fn(tone, speaker)
	}
}
