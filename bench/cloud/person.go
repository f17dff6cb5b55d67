package cloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/pion/rtp"
)

// personQueue is how many frames may wait to be sent to a person: a second, after
// which whoever holds up this machine is heard.
const personQueue = 50

// person is somebody who takes part in a call over WebRTC: an actor of it whose
// clip is a microphone, and who hears all others.
type person struct {
	// Static after construction.
	server *Server
	id     string
	name   string
	mic    *mic
	peer   *rtcPeer // set by connect, before the person is shared
	frames chan slotFrame
	timer  *time.Timer // ends a half-open offer

	// Atomic.
	sent, dropped atomic.Int64

	over sync.Once

	// Guarded by mu, which is taken after Call.mu if both are.
	mu     sync.Mutex
	call   *Call // nil until the person has a place
	rawID  string
	actor  int  // number on the call's stage
	muted  bool // in a call that has no roster
	up     bool
	left   bool // takes no part any more
	out    bool // is out of the call's roster too: only now it is told
	reason string
	counts RTPLog
}

// slotFrame is what a person is to hear in a slot.
type slotFrame struct {
	slot    int
	samples []int16
}

// personView is a person as the admin API tells of them.
type personView struct {
	PID      string `json:"pid"`
	Call     string `json:"call"`
	ID       string `json:"id"`
	RawID    string `json:"raw_id"`
	Name     string `json:"name"`
	State    string `json:"state"`
	Reason   string `json:"reason,omitempty"`
	Muted    bool   `json:"muted"`
	Codec    string `json:"codec,omitempty"`
	Received int64  `json:"received"`
	Lost     int64  `json:"lost"`
	Late     int64  `json:"late"`
	Sent     int64  `json:"sent"`
	Dropped  int64  `json:"dropped"`
}

// errOffer is an offer that cannot be answered.
var errOffer = errors.New("cloud: offer")

// newPerson answers an offer. The person has no place yet.
func (s *Server) newPerson(ctx context.Context, name, offer string) (p *person, answer string, err error) {
	p = &person{server: s, id: uuid.NewString(), name: name, mic: &mic{}, frames: make(chan slotFrame, personQueue), actor: -1}
	if err := s.people.reserve(s.MaxPeople); err != nil {
		return nil, "", err
	}
	if answer, err = p.connect(ctx, offer); err != nil {
		p.end("no answer")
		if p.peer != nil {
			p.peer.close()
		}
		return nil, "", err
	}
	s.wg.Go(p.talk)
	if !s.people.enter(p) {
		p.end(errClosing.Error())
		return nil, "", errClosing
	}
	return p, answer, nil
}

func (p *person) connect(ctx context.Context, offer string) (answer string, err error) {
	mux, err := p.server.people.port(p.server.UDPAddr)
	if err != nil {
		return "", err
	}
	lost := cmp.Or(p.server.personLost, rtcLost)
	p.peer, err = newRTCPeer(rtcSettings{
		mux: mux, codecs: rtcCodecs(mediaCodecs...), quiet: min(lost, rtcSilence), after: lost,
		track: p.listen, up: p.connected, down: func(why error) { p.end(why.Error()) },
	})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if answer, err = p.peer.answer(ctx, offer); err == nil && p.peer.out.sender() == nil {
		err = errors.New("want one audio m-line, sendrecv, of opus, G722, PCMU or PCMA")
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", errOffer, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(cmp.Or(p.server.halfOpen, halfOpenLimit), func() {
		if !isClosed(p.peer.ready) {
			p.end("did not connect")
		}
	})
	return answer, nil
}

func (p *person) connected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = true
}

// listen takes the packets of the microphone.
func (p *person) listen(in *rtpIn) func(*rtp.Packet) {
	return func(packet *rtp.Packet) {
		h := in.push(packet)
		if len(h.samples) > 0 {
			p.mic.write(h.samples)
		}
		p.mu.Lock()
		p.counts.add(in.drain())
		p.mu.Unlock()
		for _, key := range h.keys {
			// Keys of who is not in the call yet reach nobody.
			_ = p.press(key)
		}
	}
}

// talk sends what the person hears, until they are gone.
func (p *person) talk() {
	var out *rtpOut
	select {
	case <-p.peer.ready:
	case <-p.peer.gone:
	}
	for {
		select {
		case f := <-p.frames:
			if out == nil {
				if out = p.peer.out.sender(); out == nil {
					continue
				}
			}
			if p.peer.out.send(out.slot(f.slot, f.samples)) == nil {
				p.sent.Add(1)
			}
		case <-p.peer.gone:
			p.end("gone")
			p.peer.close()
			return
		}
	}
}

// hear has the person hear a frame. It does not wait for them.
func (p *person) hear(slot int, samples []int16) {
	select {
	case p.frames <- slotFrame{slot, samples}:
	default:
		p.dropped.Add(1)
	}
}

// end is the person's leaving, by whatever reason: the first counts. It waits
// for nothing, and may be called with Call.mu held by no one.
func (p *person) end(reason string) {
	p.over.Do(func() {
		p.mu.Lock()
		p.left = true
		if p.timer != nil {
			p.timer.Stop()
		}
		c := p.call
		p.mu.Unlock()
		p.server.people.leave(p)
		if p.peer != nil {
			p.peer.lose(errHungUp)
		}
		if c != nil {
			c.bereave(p)
		}
		p.mu.Lock()
		p.out, p.reason = true, reason
		p.mu.Unlock()
	})
}

// place returns where the person is, and whether they still are.
func (p *person) place() (c *Call, actor int, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.call, p.actor, !p.left && p.call != nil
}

// press presses a key.
func (p *person) press(key string) error {
	c, actor, there := p.place()
	if !there {
		return errNotIn
	}
	if err := checkTone(key); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateConnected || c.rowOf(actor).Lobby {
		return errNotIn
	}
	return c.press(keyPress{actor, key})
}

// errNotIn: what is asked for is for who is in the call.
var errNotIn = errors.New("cloud: the person is not in the call")

// mute mutes a person, or not any more.
func (p *person) mute(on bool) error {
	c, actor, there := p.place()
	if !there {
		return errNotIn
	}
	c.mu.Lock()
	id := c.rosterID(actor)
	if id == "" { // there is nobody to be told
		if c.mutes == nil {
			c.mutes = map[int]bool{}
		}
		c.mutes[actor] = on
		p.mu.Lock()
		p.muted = on
		p.mu.Unlock()
	}
	c.mu.Unlock()
	if id != "" && !c.side.mute(id, on) {
		return errNotIn
	}
	return nil
}

// view is the person as they are now.
func (p *person) view() personView {
	p.mu.Lock()
	v := personView{
		PID: p.id, RawID: p.rawID, Name: p.name, Reason: p.reason, Muted: p.muted,
		Received: p.counts.Received, Lost: p.counts.Lost, Late: p.counts.Late, Sent: p.sent.Load(), Dropped: p.dropped.Load(),
	}
	c, actor, up, out := p.call, p.actor, p.up, p.out
	p.mu.Unlock()
	if b := p.peer.out.bound.Load(); b != nil {
		v.Codec = b.codec.Name
	}
	v.State = "in"
	if c != nil {
		v.Call = c.id
		c.mu.Lock()
		r, state := c.rowOf(actor), c.state
		c.mu.Unlock()
		v.ID, v.Muted = r.ID, v.Muted || r.Muted
		switch {
		case state < stateConnected:
			v.State, v.ID = "calling", ""
		case r.Lobby:
			v.State = "lobby"
		}
	}
	switch {
	case out:
		v.State = "left"
	case !up:
		v.State = "connecting"
	}
	return v
}

// says has recognition and transcription understand words from now on.
func (p *person) says(text string) error {
	c, actor, there := p.place()
	if !there {
		return errNotIn
	}
	sp := Speaker{Says: []Phrase{{Text: text}}}
	if err := sp.validate(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateConnected {
		return errNotIn
	}
	return c.stage.actors[actor].goOn(sp, c.stage.slot)
}
