package cloud

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

const (
	// defaultPeople is how many may be there at once, connected or not.
	defaultPeople = 32
	// halfOpenLimit is how long an offer may take to connect.
	halfOpenLimit = 15 * time.Second
	// personRing is how long it rings for a person.
	personRing = 30 * time.Second
	// maxLeft bounds those who have left and are still told of.
	maxLeft = 64
)

// people are a server's persons, and what rings for one.
type people struct {
	// Guarded by mu.
	mu    sync.Mutex
	shut  bool
	mux   ice.UDPMux
	all   map[string]*person // by id, and those who left of late
	here  int
	gone  []string // ids, oldest first
	rings []*ringing
}

// Errors on which a client can act.
var (
	errCrowd   = errors.New("cloud: too many people")
	errClosing = errors.New("cloud: the server is closing")
	errNoRing  = errors.New("cloud: rid: it does not ring any more")
)

// reserve makes room for one more, if there is any: at most for so many, 0
// means 32. Whoever has it leaves it by leave.
func (a *people) reserve(most int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.shut:
		return errClosing
	case a.here >= cmp.Or(most, defaultPeople):
		return fmt.Errorf("%w: %d", errCrowd, a.here)
	}
	a.here++
	return nil
}

// enter lets it be known who has a place. False: nobody is let in any more.
func (a *people) enter(p *person) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[string]*person{}
	}
	a.all[p.id] = p
	return !a.shut
}

// leave notes that a person has left, or never came.
func (a *people) leave(p *person) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.here--
	a.gone = append(a.gone, p.id)
	if len(a.gone) > maxLeft {
		delete(a.all, a.gone[0])
		a.gone = a.gone[1:]
	}
}

func (a *people) byID(id string) *person {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all[id]
}

// port opens the one UDP port of all, when the first needs it.
func (a *people) port(addr string) (ice.UDPMux, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mux != nil || a.shut {
		return a.mux, nil
	}
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	at, err := net.ResolveUDPAddr("udp4", addr)
	if err != nil {
		return nil, fmt.Errorf("cloud: UDPAddr: %w", err)
	}
	conn, err := net.ListenUDP("udp4", at)
	if err != nil {
		return nil, fmt.Errorf("cloud: UDPAddr: %w", err)
	}
	a.mux = webrtc.NewICEUDPMux(rtcSilent{}, conn)
	return a.mux, nil
}

// shutOut lets nobody in any more, and ends all who are there. Their
// goroutines are the server's, which waits for them before close.
func (a *people) shutOut() {
	a.mu.Lock()
	a.shut = true
	var all []*person
	for _, p := range a.all {
		all = append(all, p)
	}
	a.mu.Unlock()
	for _, p := range all {
		p.end("the server is closing")
	}
}

func (a *people) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mux != nil {
		_ = a.mux.Close()
		a.mux = nil
	}
}

// ringing is a call that rings for a person.
type ringing struct {
	ID        string `json:"id"`
	Call      string `json:"call"`
	Cloud     string `json:"cloud"`
	Operation string `json:"operation"`
	To        string `json:"to"`
	From      string `json:"from"`
	Context   string `json:"context"`
	Until     string `json:"until"`

	call   *Call
	answer chan *person // nil: declined
}

// ring lets it ring for d, and returns who answers: nil with answered if it was
// declined, and else if nobody did, or stop or the call's end came before.
func (c *Call) ringPeople(r ringing, d time.Duration, stop <-chan struct{}) (p *person, answered bool) {
	a := &c.server.people
	d = c.server.scaled(d)
	r.ID, r.Call, r.call, r.answer = uuid.NewString(), c.id, c, make(chan *person, 1)
	r.Until = time.Now().Add(d).UTC().Format("2006-01-02T15:04:05.000Z")
	a.mu.Lock()
	a.rings = append(a.rings, &r)
	a.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case p := <-r.answer:
		return p, true
	case <-t.C:
	case <-stop:
	case <-c.ctx.Done():
	}
	if a.strike(r.ID) != nil {
		return nil, false
	}
	return <-r.answer, true // in the last moment
}

// strike takes a ring off the list, and returns it if it was there.
func (a *people) strike(id string) *ringing {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.rings, func(r *ringing) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	r := a.rings[i]
	a.rings = slices.Delete(a.rings, i, i+1)
	return r
}

// rung are the rings there are.
func (a *people) rung() []ringing {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := []ringing{}
	for _, r := range a.rings {
		all = append(all, *r)
	}
	return all
}

// awaitPerson lets a call of the bot ring for a person, who then is its first
// actor.
func (c *Call) awaitPerson() bool {
	c.mu.Lock()
	r := c.side.rings()
	r.To = c.stage.actors[0].ID
	c.mu.Unlock()
	p, answered := c.ringPeople(r, c.callee.ring(), nil)
	switch {
	case p == nil && answered:
		c.end(resultDeclined)
		return false
	case p == nil:
		c.end(resultUnavailable) // unless it has ended before
		return false
	}
	c.mu.Lock()
	first := &c.stage.actors[0]
	if first.mic = p.mic; first.Name == "" {
		first.Name = p.name
	}
	sits := c.sit(p, 0)
	c.mu.Unlock()
	if !sits {
		p.end("the call has ended")
		c.HangUp()
	}
	return sits
}

// peopled is a callee's script that a person can take over.
func (c Callee) peopled() Callee {
	if c.Person {
		c.Script.Speakers = slices.Clone(c.Script.Speakers)
		if len(c.Script.Speakers) == 0 {
			c.Script.Speakers, c.Script.HangUp = []Speaker{{}}, Never
		}
		first := c.Script.Speakers[0]
		c.Script.Speakers[0] = Speaker{ID: first.ID, Name: first.Name}
	}
	return c
}
