package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
)

// maxNames bounds what a call remembers of who took part in it.
const maxNames = 4096

// run drives the call: it is the only goroutine that touches the machine.
//
//	inbox, timers, leg -> machine.step -> perform -> requests, hooks, media
func (c *Call) run() {
	var wake <-chan time.Time
	stop := func() bool { return false }
	defer func() { stop() }()
	var due time.Time
	for {
		for _, ev := range c.inbox.take() {
			c.handle(ev)
		}
		if c.machine.over {
			return
		}
		if next := c.nextDeadline(); next != due {
			stop()
			due, wake = next, nil
			if !due.IsZero() {
				wake, stop = c.manager.clock.NewTimer(due.Sub(c.manager.clock.Now()))
			}
		}
		select {
		case <-c.inbox.bell:
		case <-wake:
			due = time.Time{}
			c.fire()
		case <-c.legDone: // a handler panicked, or the app closed it
			c.legDone = nil
			c.inbox.put(hangUpAsked{cause: legError(c.leg)})
		}
	}
}

func legError(l *engine.Leg) error {
	if err := l.Err(); err != nil {
		return err
	}
	return engine.ErrClosed
}

// nextDeadline of the armed timers; zero if none is.
func (c *Call) nextDeadline() (next time.Time) {
	for _, at := range c.deadlines {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// fire tells the machine of every deadline that has passed. An action may
// stop a later one of them.
func (c *Call) fire() {
	now := c.manager.clock.Now()
	for t := range timers {
		if at := c.deadlines[t]; !at.IsZero() && !at.After(now) {
			c.deadlines[t] = time.Time{}
			c.handle(fired{t})
		}
	}
}

// handle takes one event through the machine.
func (c *Call) handle(ev event) {
	switch e := ev.(type) {
	case dialled, decided: // the options are known
		if !c.options.ServiceHosted {
			c.machine.mediaWithin = c.manager.mediaWithin
		}
	case succeeded:
		ev = c.noteSuccess(e)
	case failed:
		c.noteFailure(e)
	case fired:
		if e.timer == timerAnswer {
			c.manager.decide(c, ErrAnswerDeadline)
		}
	case noticed:
		if e.Kind == EventDisconnected && c.direction == DirectionIncoming {
			_ = c.manager.decide(c, ErrEnded) // if it still rings
		}
	case hangUpAsked:
		if c.direction == DirectionIncoming {
			c.manager.decide(c, ErrDecided)
		}
	}
	for _, a := range c.machine.step(ev, c.manager.clock.Now()) {
		c.perform(a)
	}
}

// noteSuccess makes the call known under its cloud's id, which brings the
// notices that came before.
func (c *Call) noteSuccess(e succeeded) event {
	n := &c.manager.counters
	switch e.cmd {
	case cmdCreate, cmdAnswer:
		if err := c.manager.register(e.conn.key(), c); err != nil {
			n.failed.Add(1)
			return failed{e.cmd, err}
		}
		if e.cmd == cmdCreate {
			n.created.Add(1)
			c.manager.settle(c)
		} else {
			n.answered.Add(1)
		}
	case cmdReject:
		n.rejected.Add(1)
	case cmdRedirect:
		n.redirected.Add(1)
	case cmdHangUp:
		c.hangUpDone(nil)
	}
	return e
}

func (c *Call) noteFailure(e failed) {
	if e.cmd == cmdHangUp && gone(e.err) {
		c.hangUpDone(nil)
		return
	}
	switch {
	case e.cmd == cmdHangUp:
		c.hangUpDone(e.err)
	case e.cmd == cmdCreate:
		c.manager.settle(c)
	case e.cmd == cmdAnswer && c.incoming.CallID != "" && doubtful(e.err):
		// It may stand.
		c.manager.mu.Lock()
		c.manager.abandon(c.cloud, c.incoming.CallID)
		c.manager.mu.Unlock()
	}
	if e.cmd != cmdGet && e.cmd != cmdRoster {
		c.manager.counters.failed.Add(1)
		c.log.Warn("request failed", "request", e.cmd.String(), "error", e.err)
	}
}

// hangUpDone lets HangUp return.
func (c *Call) hangUpDone(err error) {
	select {
	case <-c.hung:
	default:
		c.mu.Lock()
		c.hangUpErr = err
		c.mu.Unlock()
		close(c.hung)
	}
}

// perform does what the machine wants. Nothing here blocks.
func (c *Call) perform(a action) {
	switch a := a.(type) {
	case openMedia:
		c.open()
	case post:
		c.manager.wg.Go(func() { c.request(a) })
	case arm:
		c.deadlines[a.timer] = a.at
	case disarm:
		c.deadlines[a.timer] = time.Time{}
	case bind:
		c.bind()
	case tellState:
		c.entered(a.state)
	case tellRoster:
		c.setRoster(a.participants)
		c.tellRoster()
	case tellMedia:
		c.setMedia(a.up, a.err)
	case tellPhase:
		c.setPhase(a.phase)
	case tellLobby:
		c.setLobby(a.waits)
	case tellTone:
		c.tellTone(a.tone)
	case tellNotice:
		c.tellNotice(a.Notice)
	case ignore:
		c.manager.counters.duplicates.Add(1)
	case drainMedia:
		c.drain()
	case closeMedia:
		if c.leg != nil {
			c.leg.Close()
		}
	case finish:
		c.finish()
	}
}

// open makes the leg and its address and lets the app arm its taps. No I/O.
func (c *Call) open() {
	cfg := c.options.Leg
	cfg.ID, cfg.Channels = c.id, c.options.Channels
	leg, err := c.manager.engine.NewLeg(cfg)
	if errors.Is(err, engine.ErrTooManyLegs) {
		err = fmt.Errorf("%w: %w", ErrTooManyCalls, err)
	}
	if err != nil {
		c.inbox.put(opened{err})
		return
	}
	var endpoint transport.Endpoint
	if !c.options.ServiceHosted {
		endpoint, err = c.openEndpoint(leg)
	}
	if err != nil {
		leg.Close()
		c.inbox.put(opened{err})
		return
	}
	c.legDone = leg.Done()
	c.mu.Lock()
	c.leg, c.endpoint = leg, endpoint
	c.mu.Unlock()
	c.tell(func() {
		if c.manager.onCall == nil || c.guard("OnCall", func() { c.manager.onCall(c) }) {
			c.inbox.put(opened{})
		}
	})
}

// openEndpoint gives leg an address at what carries the media of its cloud.
func (c *Call) openEndpoint(leg *engine.Leg) (transport.Endpoint, error) {
	media := c.manager.media
	if own := c.manager.cloudMedia[c.cloud.Name()]; own != nil {
		media = own
	}
	if carrier, ok := c.cloud.(Carrier); ok {
		if media = carrier.Media(); media == nil {
			return nil, fmt.Errorf("session: the media of cloud %s is not ready", c.cloud.Name())
		}
	}
	c.contexts = transport.Contexts{CallID: uuid.NewString(), Render: uuid.NewString()}
	if c.options.Bidirectional {
		c.contexts.Source = uuid.NewString()
	}
	return media.Open(leg, transport.Stream{
		SampleRate:    c.options.SampleRate,
		Bidirectional: c.options.Bidirectional,
		Contexts:      c.contexts,
		OnUp:          func() { c.inbox.turn(+1, nil) },
		OnDown:        func(err error) { c.inbox.turn(-1, err) },
		OnTranscript:  c.tellTranscript,
	})
}

// bind ties the address to the call, for which the cloud may have dialled
// already.
func (c *Call) bind() {
	c.body = nil
	c.mu.Lock()
	c.conn = c.machine.conn
	c.mu.Unlock()
	for _, who := range append([]Identity{c.machine.conn.Source}, c.machine.conn.Targets...) {
		c.learn(who)
	}
	if c.endpoint != nil {
		c.endpoint.Bind(c.machine.conn.CallID)
	}
	close(c.ready)
	c.log.Info("call placed", "call_id", c.machine.conn.CallID, "direction", c.direction.String())
}

// entered makes a new state visible.
func (c *Call) entered(s CallState) {
	c.mu.Lock()
	c.state = s
	if s < StateDisconnecting {
		c.reached = s
	}
	if s == StateConnected {
		c.connected = c.manager.clock.Now().UTC()
	}
	if s == StateDisconnected {
		c.err = c.machine.err
	}
	close(c.changed)
	c.changed = make(chan struct{})
	err := c.err
	c.mu.Unlock()
	if err != nil {
		c.log.Warn("call is "+s.String(), "error", err)
	} else {
		c.log.Info("call is " + s.String())
	}
	c.tellState(s)
	if s == StateDisconnected {
		c.hangUpDone(nil)
	}
}

func (c *Call) setMedia(up bool, err error) {
	c.mu.Lock()
	c.mediaUp = up
	if up || err != nil {
		c.mediaErr = err
	}
	c.mu.Unlock()
	if err != nil {
		c.log.Warn("media", "up", up, "error", err)
	} else {
		c.log.Info("media", "up", up)
	}
	c.tellMedia()
}

func (c *Call) setRoster(ps []Participant) {
	for _, p := range ps {
		c.learn(p.Identity)
		c.learn(Identity{RawID: p.SpeakerID, Name: p.Name})
	}
	c.mu.Lock()
	c.roster = ps
	c.mu.Unlock()
}

func (c *Call) setPhase(p CallPhase) {
	c.mu.Lock()
	c.phase = p
	c.mu.Unlock()
	c.log.Info("call is in phase " + p.String())
	c.tellPhase(p)
}

func (c *Call) setLobby(waits bool) {
	c.mu.Lock()
	c.lobby = waits
	c.mu.Unlock()
	c.log.Info("lobby", "waits", waits)
	c.tellLobby(waits)
}

func (c *Call) learn(who Identity) {
	if who.RawID == "" || who.Name == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.names[who.RawID]; known || len(c.names) < maxNames {
		c.names[who.RawID] = who.Name
	}
}

// drain waits for what is still on the wire, at most 500 ms.
func (c *Call) drain() {
	c.legDone = nil
	if c.endpoint == nil {
		c.inbox.put(drained{})
		return
	}
	c.manager.wg.Go(func() {
		c.endpoint.Drain()
		c.inbox.put(drained{})
	})
}

// finish is the last that the call does.
func (c *Call) finish() {
	c.cancel()
	c.manager.forget(c)
	c.manager.counters.late.Add(int64(c.inbox.close()))
	select {
	case <-c.ready:
	default:
		close(c.ready)
	}
	close(c.done)
}
