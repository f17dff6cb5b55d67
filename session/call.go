package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
)

// ErrEnded: the call ended in good order before it came to what was waited
// for.
var ErrEnded = errors.New("session: call ended")

// Options of one call's media. The zero value is one mixed stream at 16 kHz
// that the bot only hears.
type Options struct {
	Channels engine.Channels
	// SampleRate on the wire in Hz: 16000 or 24000; 0 means 16000. The
	// engine's frames are 16 kHz in either case.
	SampleRate int
	// Bidirectional lets the bot speak.
	Bidirectional bool
	// DTMF asks for key presses on the media stream.
	DTMF bool
	// OperationContext comes back in the call's events.
	OperationContext string
	// ServiceHosted leaves the media with the cloud, where it can: the leg
	// stands, and carries nothing.
	ServiceHosted bool
	// Answer holds further members of the cloud's own answer request, a JSON
	// object (Graph: participantCapacity, callOptions); empty holds none.
	Answer json.RawMessage
	// Leg's hooks and limits; its ID and Channels are set by the call.
	Leg engine.LegConfig
}

func (o Options) check() error {
	if o.Channels != engine.Mixed && o.Channels != engine.Unmixed {
		return &FieldError{"media.channels", o.Channels.String(), "want mixed or unmixed"}
	}
	if r := o.SampleRate; r != 0 && r != 16000 && r != 24000 {
		return &FieldError{"media.sample_rate", fmt.Sprint(r), "want 16000 or 24000"}
	}
	return nil
}

// Call is one call and the leg that carries its media. Its methods are safe
// for concurrent use.
type Call struct {
	// Static after construction; options before the call is created or
	// answered.
	manager   *Manager
	cloud     Cloud
	id        string
	direction Direction
	created   time.Time
	seq       uint64          // order of the calls
	incoming  Incoming        // of an incoming call
	body      json.RawMessage // of an outgoing one
	options   Options
	log       *slog.Logger
	ctx       context.Context // of its requests; ends with the call
	cancel    context.CancelFunc
	inbox     inbox
	hooks     hooks
	ready     chan struct{} // closed when the cloud has said yes, or at the end
	hung      chan struct{} // closed when the hang-up is answered, or at the end
	done      chan struct{}

	// Owned by run.
	machine   machine
	deadlines [timers]time.Time
	legDone   <-chan struct{}
	contexts  transport.Contexts // read by requests, which follow

	// Guarded by manager.mu.
	registered string // call id under which the manager knows the call

	// Guarded by mu.
	mu        sync.Mutex
	state     CallState
	reached   CallState // greatest state below disconnecting
	changed   chan struct{}
	conn      Connection
	connected time.Time
	leg       *engine.Leg
	endpoint  transport.Endpoint
	mediaUp   bool
	mediaErr  error
	roster    []Participant
	phase     CallPhase
	lobby     bool
	names     map[string]string // by raw id, of all who ever were in the call
	err       error
	hangUpErr error
}

// ID is our name of the call, which is also its leg's.
func (c *Call) ID() string { return c.id }

// CallID is the cloud's name of the call, "" until the cloud has told it.
func (c *Call) CallID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.CallID
}

// Cloud is the name of the call's cloud.
func (c *Call) Cloud() string { return c.cloud.Name() }

// Direction says who placed the call.
func (c *Call) Direction() Direction { return c.direction }

// Incoming is what the ringing told; zero for an outgoing call.
func (c *Call) Incoming() Incoming { return c.incoming }

// Connection is what the cloud told of the call when it was placed.
func (c *Call) Connection() Connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// Options are those the call was created or answered with.
func (c *Call) Options() Options { return c.options }

// Leg carries the call's media. It exists from OnCall on and is closed when
// the call is done, after what was still on the wire has come in.
func (c *Call) Leg() *engine.Leg {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leg
}

// State returns the call's state.
func (c *Call) State() CallState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Phase is what the connected call is doing.
func (c *Call) Phase() CallPhase {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase
}

// InLobby tells whether the bot waits to be admitted.
func (c *Call) InLobby() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lobby
}

// Media tells whether a connection carries the call's audio now, and the last
// failure of one.
func (c *Call) Media() (up bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mediaUp, c.mediaErr
}

// Err is why the call ended: nil while it lives, and after an end in good
// order. It is the cloud's refusal as *Error, ErrAnswerDeadline, ErrPanic
// (also engine.ErrPanic) or what the engine or transport said.
func (c *Call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Done is closed when the call is over and its leg closed.
func (c *Call) Done() <-chan struct{} { return c.done }

// Wait returns when the call has come to state s or past it. If it ends
// without having been there the error is Err's, or ErrEnded.
func (c *Call) Wait(ctx context.Context, s CallState) error {
	for {
		c.mu.Lock()
		state, reached, changed, err := c.state, c.reached, c.changed, c.err
		c.mu.Unlock()
		switch {
		case s <= reached || s >= StateDisconnecting && s <= state:
			return nil
		case state == StateDisconnected && err != nil:
			return err
		case state == StateDisconnected:
			return ErrEnded
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("session: call %s is %v, waiting for %v: %w", c.id, state, s, context.Cause(ctx))
		}
	}
}

// HangUp asks the cloud to end the call, for us or for everyone, and returns
// when the cloud has answered that; Done tells the end. It is asked once,
// however often HangUp is called. If the cloud refuses, the call ends on our
// side all the same. The end of ctx ends the wait, not the hanging up.
func (c *Call) HangUp(ctx context.Context, forEveryone bool) error {
	c.inbox.put(hangUpAsked{forEveryone: forEveryone})
	select {
	case <-c.hung:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.hangUpErr
	case <-ctx.Done():
		return fmt.Errorf("session: hang up %s: %w", c.id, context.Cause(ctx))
	}
}

// MustAnnounce tells whether the call's cloud wants to be told before the call
// is recorded.
func (c *Call) MustAnnounce() bool {
	_, ok := c.cloud.(Announcer)
	return ok
}

// AnnounceRecording tells the call that it is recorded, or is not any more, and
// returns when the cloud has taken note: nothing may be stored before. The call
// must be connected. It does nothing where MustAnnounce is false. It waits for
// the cloud's response to create or answer, which notices may overtake.
func (c *Call) AnnounceRecording(ctx context.Context, on bool) error {
	cloud, ok := c.cloud.(Announcer)
	if !ok {
		return nil
	}
	if err := c.placed(ctx); err != nil {
		return fmt.Errorf("session: announce recording of call %s: %w", c.id, err)
	}
	return cloud.AnnounceRecording(ctx, c.CallID(), on)
}

// Participants is the roster, with the names that are known. The recorder
// takes its speakers' names from here and from OnRoster.
func (c *Call) Participants() []Participant {
	c.mu.Lock()
	defer c.mu.Unlock()
	roster := make([]Participant, len(c.roster))
	for i, p := range c.roster {
		if p.Name == "" {
			p.Name = c.names[p.RawID]
		}
		roster[i] = p
	}
	return roster
}

// Name is what is known of the name behind a raw id, of a party or of its
// audio (Participant.SpeakerID), "" if nothing: also of one that has left.
func (c *Call) Name(rawID string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[rawID]
}

// String prints the call and the pipe below it.
func (c *Call) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	media := "no media"
	if c.leg != nil {
		media = fmt.Sprintf("%v leg, connected %v", c.leg.Channels(), c.mediaUp)
	}
	return fmt.Sprintf("call %s (%s %q, %v): %v: %s", c.id, c.cloud.Name(), c.conn.CallID, c.direction, c.state, media)
}

// await returns the call once the cloud has said yes. If nobody waits any
// more it is hung up.
func (c *Call) await(ctx context.Context) (*Call, error) {
	if err := c.placed(ctx); err != nil {
		if ctx.Err() != nil {
			c.inbox.put(hangUpAsked{})
		}
		return nil, err
	}
	return c, nil
}

// placed returns when the cloud has said yes, or why it has not.
func (c *Call) placed(ctx context.Context) error {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return fmt.Errorf("session: %w", context.Cause(ctx))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.conn.CallID != "":
		return nil
	case c.err != nil:
		return c.err
	}
	return ErrEnded
}
