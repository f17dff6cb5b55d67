package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	t0         = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	timerNames = [timers]string{"answer", "probe", "end", "drain", "keep alive", "resync", "phase", "media"}
	errRefused = &Error{Cloud: "fake", Op: "x", Status: 503, Code: "Busy"}
	errGone    = &Error{Cloud: "fake", Op: "x", Status: 404, Code: "8522"}
)

// say prints an action on one line, deadlines relative to t0.
func say(a action) string {
	switch a := a.(type) {
	case openMedia:
		return "open"
	case post:
		s := "post " + a.cmd.String()
		for _, x := range []string{a.callID, a.reason, a.target.RawID} {
			if x != "" {
				s += " " + x
			}
		}
		if a.forEveryone {
			s += " everyone"
		}
		return s
	case arm:
		return fmt.Sprintf("arm %s %v", timerNames[a.timer], a.at.Sub(t0))
	case disarm:
		return "disarm " + timerNames[a.timer]
	case bind:
		return "bind " + a.callID
	case tellState:
		return a.state.String()
	case tellRoster:
		return fmt.Sprintf("roster of %d", len(a.participants))
	case tellMedia:
		return fmt.Sprintf("media up=%v err=%v", a.up, a.err != nil)
	case tellNotice:
		return "notice " + a.Type
	case tellPhase:
		return "phase " + a.phase.String()
	case tellLobby:
		return fmt.Sprintf("lobby %v", a.waits)
	case tellTone:
		return "tone " + string(a.tone)
	case ignore:
		return "ignore " + a.ID
	case drainMedia:
		return "drain"
	case closeMedia:
		return "close"
	case finish:
		return "finish"
	}
	return fmt.Sprintf("%T", a)
}

// sayAll leaves out what only stops timers: the random test checks those.
func sayAll(actions []action) string {
	var s []string
	for _, a := range actions {
		if _, ok := a.(disarm); !ok {
			s = append(s, say(a))
		}
	}
	return strings.Join(s, ", ")
}

func connection(s CallState) Connection { return Connection{CallID: "c1", State: s} }

func TestMachine(t *testing.T) {
	type line struct {
		ev   event
		want string
	}
	connecting := []line{
		{dialled{}, "open"},
		{opened{}, "connecting, post create"},
	}
	connected := append(connecting[:2:2],
		line{succeeded{cmd: cmdCreate, conn: connection(StateConnecting)}, "bind c1, arm probe 30s"},
		line{noticed{Notice{Kind: EventConnected, ID: "1", Type: "C"}}, "notice C, connected"})
	ringing := []line{{rang{}, "arm answer 15s"}}
	ended := line{drained{}, "close, finish"}

	tests := []struct {
		name  string
		in    Direction
		first []line
		rest  []line
		err   string // of the call
	}{
		{name: "outgoing, the other side hangs up", in: DirectionOutgoing, first: connected, rest: []line{
			{mediaTurned{up: true}, "media up=true err=false"},
			{noticed{Notice{Kind: EventDisconnected, ID: "2", Type: "D", Code: 200}}, "notice D, disconnected, drain, arm drain 1s"},
			{mediaTurned{}, "media up=false err=false"},
			ended,
			{noticed{Notice{Kind: EventConnected}}, ""},
		}},
		{name: "outgoing, we hang up", in: DirectionOutgoing, first: connected, rest: []line{
			{hangUpAsked{forEveryone: true}, "disconnecting, post hang up c1 everyone"},
			{hangUpAsked{}, ""},
			{succeeded{cmd: cmdHangUp}, "arm end 5s"},
			{noticed{Notice{Kind: EventDisconnected, Type: "D", Code: 487}}, "notice D, disconnected, drain, arm drain 1s"},
			ended,
		}},
		{name: "incoming answered", first: ringing, rest: []line{
			{decided{cmd: cmdAnswer}, "open"},
			{opened{}, "connecting, post answer"},
			{succeeded{cmd: cmdAnswer, conn: connection(StateConnected)}, "bind c1, arm probe 30s, connected"},
			{noticed{Notice{Kind: EventConnected, Type: "C"}}, "notice C"},
			{decided{cmd: cmdReject}, ""},
		}},
		{name: "incoming rejected", first: ringing, rest: []line{
			{decided{cmd: cmdReject, reason: "busy"}, "disconnecting, post reject busy"},
			{succeeded{cmd: cmdReject}, "disconnected, finish"},
		}},
		{name: "incoming redirected, refused", first: ringing, rest: []line{
			{decided{cmd: cmdRedirect, target: Identity{RawID: "4:+1"}}, "disconnecting, post redirect 4:+1"},
			{failed{cmdRedirect, errRefused}, "disconnected, finish"},
		}, err: errRefused.Error()},
		{name: "nobody decides", first: ringing, rest: []line{
			{fired{timerAnswer}, "disconnecting, post reject"},
			{decided{cmd: cmdAnswer}, ""},
			{failed{cmdReject, errGone}, "disconnected, finish"},
		}, err: ErrAnswerDeadline.Error()},
		{name: "deadline passes while the app arms its taps", first: ringing, rest: []line{
			{decided{cmd: cmdAnswer}, "open"},
			{fired{timerAnswer}, "disconnecting, post reject"},
			{opened{}, ""},
			{succeeded{cmd: cmdReject}, "disconnected, drain, arm drain 1s"},
			ended,
		}, err: ErrAnswerDeadline.Error()},
		{name: "no leg for an answer", first: ringing, rest: []line{
			{decided{cmd: cmdAnswer}, "open"},
			{opened{errors.New("too many legs")}, "disconnecting, post reject"},
			{succeeded{cmd: cmdReject}, "disconnected, finish"},
		}, err: "too many legs"},
		{name: "no leg for a create", in: DirectionOutgoing, first: connecting[:1], rest: []line{
			{opened{errors.New("too many legs")}, "disconnected, finish"},
		}, err: "too many legs"},
		{name: "answer refused", first: ringing, rest: []line{
			{decided{cmd: cmdAnswer}, "open"},
			{opened{}, "connecting, post answer"},
			{failed{cmdAnswer, errRefused}, "disconnected, drain, arm drain 1s"},
			ended,
		}, err: errRefused.Error()},
		{name: "hung up while it rings", first: ringing, rest: []line{
			{hangUpAsked{cause: ErrClosed}, "disconnecting, post reject"},
			{succeeded{cmd: cmdReject}, "disconnected, finish"},
		}, err: ErrClosed.Error()},
		{name: "hung up while the app arms", in: DirectionOutgoing, first: connecting[:1], rest: []line{
			{hangUpAsked{}, "disconnected, drain, arm drain 1s"},
			{opened{}, ""},
			ended,
		}},
		{name: "hung up before the response", in: DirectionOutgoing, first: connecting, rest: []line{
			{hangUpAsked{}, "disconnecting"},
			{hangUpAsked{forEveryone: true}, ""},
			{succeeded{cmd: cmdCreate, conn: connection(StateConnected)}, "bind c1, post hang up c1 everyone"},
			{succeeded{cmd: cmdHangUp}, "arm end 5s"},
			{fired{timerEnd}, "disconnected, drain, arm drain 1s"},
			{fired{timerDrain}, "close, finish"},
			{drained{}, ""},
		}},
		{name: "hung up before a refusal", in: DirectionOutgoing, first: connecting, rest: []line{
			{hangUpAsked{}, "disconnecting"},
			{failed{cmdCreate, errRefused}, "disconnected, drain, arm drain 1s"},
			ended,
		}, err: errRefused.Error()},
		{name: "hang-up refused ends the call", in: DirectionOutgoing, first: connected, rest: []line{
			{hangUpAsked{}, "disconnecting, post hang up c1"},
			{failed{cmdHangUp, errRefused}, "disconnected, drain, arm drain 1s"},
			ended,
		}, err: errRefused.Error()},
		{name: "hang-up of a call that is gone", in: DirectionOutgoing, first: connected, rest: []line{
			{hangUpAsked{}, "disconnecting, post hang up c1"},
			{failed{cmdHangUp, errGone}, "disconnected, drain, arm drain 1s"},
			ended,
		}},
		{name: "told of the end before the hang-up is answered", in: DirectionOutgoing, first: connected, rest: []line{
			{hangUpAsked{}, "disconnecting, post hang up c1"},
			{noticed{Notice{Kind: EventDisconnected, Type: "D"}}, "notice D, disconnected, drain, arm drain 1s"},
			{failed{cmdHangUp, errRefused}, ""},
			ended,
		}},
		{name: "a handler panicked", in: DirectionOutgoing, first: connected, rest: []line{
			{hangUpAsked{cause: errors.New("boom")}, "disconnecting, post hang up c1"},
			{succeeded{cmd: cmdHangUp}, "arm end 5s"},
			{noticed{Notice{Kind: EventDisconnected, Type: "D"}}, "notice D, disconnected, drain, arm drain 1s"},
			ended,
		}, err: "boom"},
		{name: "told before the response", in: DirectionOutgoing, first: connecting, rest: []line{
			{mediaTurned{up: true}, "media up=true err=false"},
			{noticed{Notice{Kind: EventConnected, ID: "1", Type: "C"}}, "notice C, connected"},
			{succeeded{cmd: cmdCreate, conn: connection(StateConnecting)}, "bind c1"},
			{noticed{Notice{Kind: EventConnected, ID: "1", Type: "C"}}, "ignore 1"},
		}},
		{name: "callee does not answer", in: DirectionOutgoing, first: connecting, rest: []line{
			{succeeded{cmd: cmdCreate, conn: connection(StateConnecting)}, "bind c1, arm probe 30s"},
			{noticed{Notice{Kind: EventCreateFailed, Type: "F", Code: 408, SubCode: 10004}}, "notice F, disconnected, drain, arm drain 1s"},
			{noticed{Notice{Kind: EventDisconnected, Type: "D", Code: 500}}, "notice D"},
			ended,
		}, err: `fake: create: HTTP 408, code "", subcode 10004: `},
		{name: "callee does not answer and we gave up", in: DirectionOutgoing, first: connecting, rest: []line{
			{succeeded{cmd: cmdCreate, conn: connection(StateConnecting)}, "bind c1, arm probe 30s"},
			{hangUpAsked{}, "disconnecting, post hang up c1"},
			{noticed{Notice{Kind: EventCreateFailed, Type: "F", Code: 487}}, "notice F, disconnected, drain, arm drain 1s"},
			ended,
		}},
		{name: "answer failed later", first: ringing, rest: []line{
			{decided{cmd: cmdAnswer}, "open"},
			{opened{}, "connecting, post answer"},
			{succeeded{cmd: cmdAnswer, conn: connection(StateConnecting)}, "bind c1, arm probe 30s"},
			{noticed{Notice{Kind: EventAnswerFailed, Type: "F", Code: 400}}, "notice F, disconnected, drain, arm drain 1s"},
			ended,
		}, err: `fake: answer: HTTP 400, code "", subcode 0: `},
		{name: "disconnected with a failure", in: DirectionOutgoing, first: connected, rest: []line{
			{noticed{Notice{Kind: EventDisconnected, Type: "D", Code: 500, Message: "lost"}}, "notice D, disconnected, drain, arm drain 1s"},
			ended,
		}, err: `fake: call: HTTP 500, code "", subcode 0: lost`},
		{name: "rosters", in: DirectionOutgoing, first: connected, rest: []line{
			{noticed{Notice{Kind: EventParticipants, Type: "P", Sequence: 2, Participants: make([]Participant, 2)}}, "notice P, roster of 2"},
			{noticed{Notice{Kind: EventParticipants, Type: "P", ID: "late", Sequence: 1, Participants: make([]Participant, 1)}}, "ignore late"},
			{noticed{Notice{Kind: EventParticipants, Type: "P"}}, "notice P, roster of 0"},
			{noticed{Notice{Kind: EventParticipants, Type: "P", ID: "late2", Sequence: 1}}, "ignore late2"},
		}},
		{name: "media comes and goes, the call lives", in: DirectionOutgoing, first: connected, rest: []line{
			{noticed{Notice{Kind: EventMediaFailed, Type: "MF", Code: 400, SubCode: 8581}}, "notice MF, media up=false err=true"},
			{mediaTurned{up: true}, "media up=true err=false"},
			{mediaTurned{up: false, err: errors.New("EOF")}, "media up=false err=true, arm probe 30s"},
			{fired{timerProbe}, "post get c1"},
			{failed{cmdGet, errRefused}, "arm probe 30s"},
			{fired{timerProbe}, "post get c1"},
			{mediaTurned{up: true}, "media up=true err=false"},
			{succeeded{cmd: cmdGet, conn: connection(StateConnected)}, ""},
			{noticed{Notice{Kind: EventMediaStarted, Type: "MS"}}, "notice MS"},
		}},
		{name: "the end was lost: 404", in: DirectionOutgoing, first: connected, rest: []line{
			{fired{timerProbe}, "post get c1"},
			{failed{cmdGet, errGone}, "disconnected, drain, arm drain 1s"},
			ended,
		}},
		{name: "the end was lost: disconnected", in: DirectionOutgoing, first: connected, rest: []line{
			{fired{timerProbe}, "post get c1"},
			{succeeded{cmd: cmdGet, conn: connection(StateDisconnected)}, "arm probe 30s, disconnected, drain, arm drain 1s"},
			ended,
		}},
		{name: "the cloud is disconnecting", in: DirectionOutgoing, first: connected, rest: []line{
			{fired{timerProbe}, "post get c1"},
			{succeeded{cmd: cmdGet, conn: connection(StateDisconnecting)}, "arm probe 30s, disconnecting, arm end 5s"},
			{hangUpAsked{}, ""},
			{noticed{Notice{Kind: EventConnected, Type: "C"}}, "notice C"},
			{fired{timerEnd}, "disconnected, drain, arm drain 1s"},
			ended,
		}},
		{name: "the create call was over at once", in: DirectionOutgoing, first: connecting, rest: []line{
			{succeeded{cmd: cmdCreate, conn: connection(StateDisconnected)}, "bind c1, arm probe 30s, disconnected, drain, arm drain 1s"},
			ended,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := machine{direction: tt.in, cloud: "fake"}
			for i, l := range append(tt.first[:len(tt.first):len(tt.first)], tt.rest...) {
				require.Equal(t, l.want, sayAll(m.step(l.ev, t0)), "event %d, %T %+v", i, l.ev, l.ev)
			}
			if tt.err == "" {
				require.NoError(t, m.err)
			} else {
				require.EqualError(t, m.err, tt.err)
			}
		})
	}
}

func TestMachineForgetsOldMessageIDs(t *testing.T) {
	m := machine{direction: DirectionOutgoing, state: StateConnecting}
	for i := range 3 * seenNotices {
		m.step(noticed{Notice{ID: fmt.Sprint(i)}}, t0)
		require.LessOrEqual(t, len(m.seen.entries), seenNotices)
	}
	last := fmt.Sprint(3*seenNotices - 1)
	require.Equal(t, "ignore "+last, sayAll(m.step(noticed{Notice{ID: last}}, t0)))
	require.Equal(t, "ignore "+fmt.Sprint(2*seenNotices), sayAll(m.step(noticed{Notice{ID: fmt.Sprint(2 * seenNotices)}}, t0)))
	require.Equal(t, "notice ", sayAll(m.step(noticed{Notice{ID: "0"}}, t0)))
}
