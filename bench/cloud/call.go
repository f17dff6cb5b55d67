package cloud

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Direction of a call, as the bot sees it.
type Direction string

// Directions.
const (
	Incoming Direction = "incoming"
	Outgoing Direction = "outgoing"
)

// callState is a call's, in the order in which it goes.
type callState int

const (
	stateRinging callState = iota
	stateConnecting
	stateConnected
	stateDisconnecting
	stateEnded
)

// stateNames are CallConnectionStateModel's.
var stateNames = [...]string{"unknown", "connecting", "connected", "disconnecting", "disconnected"}

// Result is a code, a subcode and a sentence: resultInformation.
type Result struct {
	Code    int    `json:"code"`
	SubCode int    `json:"subCode"`
	Message string `json:"message"`
}

var (
	resultByBot    = Result{200, 7000, "The call was ended by the application."}
	resultByOthers = Result{200, 7000, "The call was ended by the other participants."}
	resultMissed   = Result{480, 0, "The call was not answered in time."}
	resultShutdown = Result{503, 0, "The service was shut down."}
)

// Call is one of the emulator's calls: the room where the bot meets the
// speakers of a script. Its methods are safe for concurrent use.
type Call struct {
	// Static after construction.
	server         *Server
	id             string
	direction      Direction
	subscriptionID string        // of the media
	callee         Callee        // outgoing calls
	ringFor        time.Duration // incoming calls, before Server.Speed
	missed         Result        // of one that nobody answered
	side           side
	events         *eventQueue
	ctx            context.Context // done at the end of the call
	cancel         context.CancelFunc

	// Closed once, by whoever makes it happen.
	answered   chan struct{} // asked is set
	responded  chan struct{} // the response of create or answer was sent
	mediaTried chan struct{} // the first dial has been decided
	ended      chan struct{} // result is set
	done       chan struct{} // nothing of the call runs any more

	responding sync.Once // closes responded

	// asked is the media that the bot asked for, nil if none. It is written
	// before answered is closed, and after that only by stream.begin, under mu.
	asked *mediaOptions

	mu      sync.Mutex
	state   callState
	result  Result
	faults  []Fault
	stage   *performance
	playout playout
	prompts []PromptLog  // played by the cloud
	marks   []mark       // of the bot's audio, not yet told
	keys    []keyPress   // pressed by DTMF, not yet sent
	mutes   map[int]bool // speakers whose audio does not reach the bot
	held    bool         // no audio flows, either way
	deaf    bool         // the bot's audio reaches nobody
	want    *streamWish
	media   mediaState
	guests  []*person
	live    liveState
	bad     map[string]int // messages that were not understood, by reason
	hungUp  Result         // of a call that the other side ends
}

// side is a cloud's part in a call: its signalling. The methods are called
// from the call's goroutine, but for those that say otherwise.
type side interface {
	// stands tells the bot that the call is connected, and returns when media
	// may flow: false if the call ended before.
	stands() bool
	// streaming tells the bot what became of its media.
	streaming(streamReport)
	// goodbye tells the bot how the call ended. connected: it stood before.
	goodbye(connected bool)
	// upgrade is what the media's dial carries. It may be called from any
	// goroutine.
	upgrade() http.Header
	// pressed tells of a key that the other side pressed.
	pressed(key string)
	// participants returns the ids of who is in the call, and their raw ids.
	// This and the next two may be called from any goroutine.
	participants() (ids, rawIDs []string)
	// mute makes a participant mute itself, or unmute, and leave makes it
	// leave. False: there is none of that id.
	mute(id string, muted bool) bool
	leave(id string) bool
	// depart is leave for who may be hidden from the bot.
	depart(id string) bool
	// seat brings a person in who says what sp says, into the lobby if there is
	// one, and returns who they are on stage.
	seat(sp Speaker, p *person, lobby bool) error
	// admit lets an actor in from the lobby. False: they do not wait there.
	admit(actor int) bool
	// rows are who is in the call, the bot among them, and rings what a person
	// is told of who calls. Both are called with Call.mu held.
	rows() []liveRow
	rings() ringing
	// streamID is the participantRawID of a speaker. It is called with Call.mu
	// held, from any goroutine.
	streamID(speaker int) string
	// describe adds to the call's log. It is called with Call.mu held, from
	// any goroutine.
	describe(*Log)
}

func (s *Server) newCall(id string, d Direction, script Script) *Call {
	c := &Call{
		server: s, id: id, subscriptionID: uuid.NewString(),
		direction: d, events: newEventQueue(),
		answered: make(chan struct{}), responded: make(chan struct{}), mediaTried: make(chan struct{}),
		ended: make(chan struct{}), done: make(chan struct{}),
		faults: slices.Clone(script.Faults), stage: newPerformance(script),
		playout: playout{prebuffer: samplesIn(s.jitterBuffer())},
		bad:     map[string]int{},
		ringFor: s.ringTimeout(), missed: resultMissed, hungUp: resultByOthers,
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	return c
}

// ID is the callConnectionId. An incoming call has it from the first ring,
// though the bot learns it by answering.
func (c *Call) ID() string { return c.id }

// Direction tells who called.
func (c *Call) Direction() Direction { return c.direction }

// Wait returns once the call has ended and its last event was delivered or
// given up, or with ctx's error.
func (c *Call) Wait(ctx context.Context) error {
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cloud: call %s: %w", c.id, ctx.Err())
	}
}

// Connected returns once the media flows, or it is settled that it will not,
// with an error if the call ended before or ctx was done.
func (c *Call) Connected(ctx context.Context) error {
	select {
	case <-c.mediaTried:
		return nil
	case <-c.done:
		return fmt.Errorf("cloud: call %s ended: %s", c.id, c.Log().Result.Message)
	case <-ctx.Done():
		return fmt.Errorf("cloud: call %s: %w", c.id, ctx.Err())
	}
}

// HangUp makes the other side hang up. A call that has ended stays so.
func (c *Call) HangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(c.hungUp)
}

// DTMF makes the other side press a key: 0 to 9, A to D, * or #.
func (c *Call) DTMF(tone string) error {
	if err := checkTone(tone); err != nil {
		return fmt.Errorf("cloud: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.press(keyPress{0, tone})
}

// Inject lets something go wrong. Slots that have passed stay as they are.
func (c *Call) Inject(f Fault) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := f.validate(len(c.stage.actors)); err != nil {
		return fmt.Errorf("cloud: fault: %w", err)
	}
	if len(c.faults) == maxFaults {
		return fmt.Errorf("cloud: fault: the call has %d already", maxFaults)
	}
	c.faults = append(c.faults, f)
	return nil
}

func (c *Call) hasFault(kind FaultKind) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.faults, func(f Fault) bool { return f.Kind == kind })
}

func (c *Call) faultsOf(event string) []Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.befalling(event)
}

// befalling is faultsOf, called with mu held.
func (c *Call) befalling(event string) []Fault {
	return slices.DeleteFunc(slices.Clone(c.faults), func(f Fault) bool { return !f.befalls(event) })
}

// decide answers the ringing call, of which accept makes what the answer says,
// or ends it for that reason if accept is nil. False: it does not ring.
func (c *Call) decide(accept func(), why Result) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state != stateRinging:
		return false
	case accept == nil:
		c.endLocked(why)
		return true
	}
	accept()
	c.state = stateConnecting
	close(c.answered)
	return true
}

// end ends the call; the first reason counts.
func (c *Call) end(why Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(why)
}

func (c *Call) endLocked(why Result) {
	if c.state >= stateDisconnecting {
		return
	}
	if c.state == stateRinging && c.direction == Incoming {
		c.state = stateEnded
	} else {
		c.state = stateDisconnecting
	}
	c.result = why
	close(c.ended)
	c.cancel()
}

// responseSent is called when the bot knows of the call.
func (c *Call) responseSent() { c.responding.Do(func() { close(c.responded) }) }

// run is the life of the call, on a goroutine of its own.
func (c *Call) run() {
	defer close(c.done)
	defer c.server.retire(c)
	defer c.cancel()
	var events sync.WaitGroup
	events.Go(c.eventLoop)
	connected := (c.direction == Outgoing || c.ring()) && c.connect()
	var stream *stream
	if connected && c.side.stands() {
		stream = c.perform()
		stream.hangUp()
	}
	c.dismissAll()
	c.responseSent() // whoever did not answer knows all there is to know
	c.side.goodbye(connected)
	c.events.close()
	if stream != nil {
		stream.wait()
	}
	events.Wait()
	c.mu.Lock()
	c.state = stateEnded
	c.mu.Unlock()
}

// ring waits for the bot's decision and reports whether it answered.
func (c *Call) ring() bool {
	t := time.NewTimer(c.server.scaled(c.ringFor))
	defer t.Stop()
	select {
	case <-c.answered:
		return true
	case <-c.ended:
	case <-t.C:
		if !c.decide(nil, c.missed) {
			return c.ring() // the bot decided in the last moment
		}
	}
	// Answered and ended may both have come.
	select {
	case <-c.answered:
		return true
	default:
		return false
	}
}

// connect brings the answered or created call up, and reports whether it is.
func (c *Call) connect() bool {
	if !c.hasFault(MediaFirst) {
		select {
		case <-c.responded:
		case <-c.ended:
			return false
		}
	}
	delay := c.server.scaled(connectDelay)
	if c.direction == Outgoing {
		delay = c.server.scaled(c.callee.ring())
	}
	if c.callee.Person {
		if !c.awaitPerson() {
			return false
		}
	} else if !sleep(c.ctx, delay) {
		return false
	}
	if c.callee.Refuse != nil {
		c.end(*c.callee.Refuse)
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateConnecting {
		return false
	}
	c.state = stateConnected
	return true
}
