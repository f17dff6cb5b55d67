package session

import (
	"fmt"
	"time"
)

// The words of the call machine: what can happen to a call, and what is to be
// done about it.

// Direction says who placed a call.
type Direction int

// Incoming calls were answered here, outgoing ones created here.
const (
	DirectionIncoming Direction = iota
	DirectionOutgoing
)

func (d Direction) String() string {
	if d == DirectionOutgoing {
		return "outgoing"
	}
	return "incoming"
}

// MarshalText makes the direction readable in JSON.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Direction) UnmarshalText(b []byte) error {
	switch string(b) {
	case "incoming":
		*d = DirectionIncoming
	case "outgoing":
		*d = DirectionOutgoing
	default:
		return fmt.Errorf("session: direction %q: want incoming or outgoing", b)
	}
	return nil
}

// command is a request to the cloud.
type command int

const (
	cmdCreate command = iota
	cmdAnswer
	cmdReject
	cmdRedirect
	cmdGet
	cmdHangUp
	cmdKeepAlive
	cmdRoster
)

func (c command) String() string {
	return [...]string{"create", "answer", "reject", "redirect", "get", "hang up", "keep alive", "get roster"}[c]
}

// timer names the machine's deadlines.
type timer int

const (
	timerAnswer timer = iota
	timerProbe
	timerEnd
	timerDrain
	timerKeepAlive
	timerResync // of the roster
	timerPhase  // of the phase
	timerMedia
	timers
)

// event is one of the types below: what can happen to a call.
type event any

type (
	// dialled: the app places the call.
	dialled struct{}
	// rang: the cloud brought the call.
	rang struct{}
	// decided: the app answers, rejects or redirects a ringing call.
	decided struct {
		cmd    command
		reason string
		target Identity
	}
	// opened: leg and address exist and the app has armed its taps; or
	// there is no leg because of err.
	opened struct{ err error }
	// succeeded and failed are the ends of a post.
	succeeded struct {
		cmd    command
		conn   Connection
		roster Roster // of cmdRoster
	}
	failed struct {
		cmd command
		err error
	}
	// noticed: the cloud told something.
	noticed struct{ Notice }
	// mediaTurned: a connection carries the leg, or none does any more.
	mediaTurned struct {
		up  bool
		err error
	}
	// hangUpAsked by the app, or because of cause.
	hangUpAsked struct {
		forEveryone bool
		cause       error
	}
	// fired: the deadline of an armed timer has passed.
	fired struct{ timer timer }
	// drained: no connection carries the leg, and none will.
	drained struct{}
)

// action is one of the types below: what the machine wants done.
type action any

type (
	// openMedia makes leg and address, lets the app arm; reports opened.
	openMedia struct{}
	// post sends a command; reports succeeded or failed.
	post struct {
		cmd         command
		callID      string
		reason      string
		target      Identity
		forEveryone bool
	}
	// arm sets a timer, again if it was set; disarm stops it.
	arm struct {
		timer timer
		at    time.Time
	}
	disarm struct{ timer timer }
	// bind ties the address to the call id; the machine's connection is set.
	bind struct{ callID string }
	// tellState, tellRoster, tellMedia and tellNotice inform the app.
	tellState  struct{ state CallState }
	tellRoster struct{ participants []Participant }
	tellMedia  struct {
		up  bool
		err error
	}
	tellNotice struct{ Notice }
	tellPhase  struct{ phase CallPhase }
	tellLobby  struct{ waits bool }
	tellTone   struct{ tone byte }
	// ignore counts a notice that was told before.
	ignore struct{ Notice }
	// drainMedia accepts no further connection and reports drained.
	drainMedia struct{}
	// closeMedia closes the leg.
	closeMedia struct{}
	// finish ends the call: nothing follows.
	finish struct{}
)
