package cloud

import (
	"context"
	"encoding/base64"
	"fmt"
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
	serverCallID   string
	correlationID  string
	subscriptionID string
	incomingToken  string // incomingCallContext; empty for outgoing calls
	direction      Direction
	caller         identifier // incoming calls
	callerName     string
	bot            identifier
	callee         Callee // outgoing calls
	events         *eventQueue
	ctx            context.Context // done at the end of the call
	cancel         context.CancelFunc

	// Closed once, by whoever makes it happen.
	answered   chan struct{} // order is set
	responded  chan struct{} // the response of create or answer was sent
	mediaTried chan struct{} // the first dial has been decided
	ended      chan struct{} // result is set
	done       chan struct{} // nothing of the call runs any more

	// order is written before answered is closed, and not after.
	order order

	// Owned by the call's goroutine.
	sequence int // of ParticipantsUpdated

	mu      sync.Mutex
	state   callState
	result  Result
	faults  []Fault
	stage   *performance
	playout playout
	keys    []string // pressed by DTMF, not yet sent
	want    *streamWish
	media   mediaState
	bad     map[string]int // messages that were not understood, by reason
}

func (s *Server) newCall(id string, d Direction, script Script) *Call {
	c := &Call{
		server: s, id: id, correlationID: uuid.NewString(), subscriptionID: uuid.NewString(),
		direction: d, events: newEventQueue(),
		answered: make(chan struct{}), responded: make(chan struct{}), mediaTried: make(chan struct{}),
		ended: make(chan struct{}), done: make(chan struct{}),
		faults: slices.Clone(script.Faults), stage: newPerformance(script),
		playout: playout{prebuffer: samplesIn(s.jitterBuffer())},
		bad:     map[string]int{},
	}
	c.serverCallID = base64.RawURLEncoding.EncodeToString([]byte(s.URL() + "/conversations/" + uuid.NewString()))
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
func (c *Call) HangUp() { c.end(resultByOthers) }

// DTMF makes the other side press a key: 0 to 9, A to D, * or #.
func (c *Call) DTMF(tone string) error {
	if err := checkTone(tone); err != nil {
		return fmt.Errorf("cloud: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.keys) == maxKeys {
		return fmt.Errorf("cloud: tone: %d wait already", len(c.keys))
	}
	c.keys = append(c.keys, tone)
	return nil
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
	return slices.DeleteFunc(slices.Clone(c.faults), func(f Fault) bool { return !f.befalls(event) })
}

// decide answers the ringing call (o is not nil), or ends it for that reason.
func (c *Call) decide(o *order, why Result) *refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == stateEnded:
		return notFound("Incoming call")
	case c.state != stateRinging:
		return wrongState("The incoming call was answered already.")
	case o == nil:
		c.endLocked(why)
		return nil
	}
	c.order = *o
	c.order.source, c.order.targets, c.order.displayName = &c.caller, []identifier{c.bot}, c.callerName
	if o.answeredBy == nil && c.bot.CommunicationUser != nil {
		c.order.answeredBy = c.bot.CommunicationUser
	}
	c.state = stateConnecting
	close(c.answered)
	return nil
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
func (c *Call) responseSent() { close(c.responded) }

// properties are the call's at this moment.
func (c *Call) properties() properties {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := properties{
		callConnectionID: c.id, serverCallID: c.serverCallID, correlationID: c.correlationID,
		source: c.order.source, callerID: c.order.callerID, displayName: c.order.displayName,
		targets: c.order.targets, state: stateNames[c.state], callbackURI: c.order.callbackURI,
		streaming: c.media.up,
	}
	if c.order.answeredBy != nil {
		p.answeredBy = c.order.answeredBy.ID
	}
	if c.order.media != nil {
		p.subscriptionID = c.subscriptionID
	}
	return p
}

// run is the life of the call, on a goroutine of its own.
func (c *Call) run() {
	defer close(c.done)
	defer c.server.retire(c)
	defer c.cancel()
	if c.direction == Incoming && !c.ring() {
		return
	}
	var events sync.WaitGroup
	events.Go(c.eventLoop)
	connected := c.connect()
	var stream *stream
	if connected {
		stream = c.perform()
		stream.hangUp()
	}
	c.sayGoodbye(connected)
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
	t := time.NewTimer(c.server.scaled(c.server.ringTimeout()))
	defer t.Stop()
	select {
	case <-c.answered:
		return true
	case <-c.ended:
	case <-t.C:
		if c.decide(nil, resultMissed) != nil {
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
	if !sleep(c.ctx, delay) {
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

// sayGoodbye tells the bot how the call ended. After CallDisconnected a call
// has no more events.
func (c *Call) sayGoodbye(connected bool) {
	c.mu.Lock()
	result := c.result
	c.mu.Unlock()
	data := eventData{OperationContext: c.order.operationContext, ResultInformation: &result}
	switch {
	case connected:
	case c.direction == Incoming:
		c.emit("AnswerFailed", data, "")
	default:
		c.emit("CreateCallFailed", data, "")
	}
	c.emit("CallDisconnected", data, "")
}

// parties are all who are in the call, the bot first.
func (c *Call) parties() []identifier {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []identifier
	if c.direction == Incoming {
		ids = append(ids, c.order.targets...)
	} else if c.order.source != nil {
		ids = append(ids, *c.order.source)
	}
	for _, a := range c.stage.actors {
		ids = append(ids, identityOf(a.ID))
	}
	return ids
}
