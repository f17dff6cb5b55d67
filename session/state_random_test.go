package session

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// simulation plays the driver: it knows which timers are armed and which
// commands are under way, and checks on every action what must always hold.
type simulation struct {
	t        *rapid.T
	m        machine
	now      time.Time
	armed    map[timer]time.Time
	flying   []command
	posted   map[command]int
	opens    int
	opening  bool
	draining bool
	closed   int
	finished int
	state    CallState
}

func (s *simulation) step(ev event) {
	for _, a := range s.m.step(ev, s.now) {
		if s.finished > 0 {
			s.t.Fatalf("%s after finish", say(a))
		}
		s.perform(a)
	}
	if s.m.state != s.state {
		s.t.Fatalf("state %v was not told", s.m.state)
	}
}

func (s *simulation) perform(a action) {
	switch a := a.(type) {
	case tellState:
		if a.state <= s.state {
			s.t.Fatalf("state %v after %v", a.state, s.state)
		}
		s.state = a.state
	case post:
		if s.state == StateDisconnected {
			s.t.Fatalf("post %v of a call that is over", a.cmd)
		}
		if (a.cmd == cmdGet || a.cmd == cmdHangUp) && a.callID == "" {
			s.t.Fatalf("post %v without a call id", a.cmd)
		}
		if (a.cmd == cmdCreate || a.cmd == cmdAnswer) && (s.opens != 1 || s.opening) {
			s.t.Fatalf("post %v before the leg stands", a.cmd)
		}
		s.posted[a.cmd]++
		s.flying = append(s.flying, a.cmd)
	case arm:
		if !a.at.After(s.now) {
			s.t.Fatalf("%s at %v", say(a), s.now)
		}
		s.armed[a.timer] = a.at
	case disarm:
		delete(s.armed, a.timer)
	case openMedia:
		s.opens++
		s.opening = true
	case drainMedia:
		s.draining = true
	case closeMedia:
		s.closed++
	case finish:
		s.finished++
		if len(s.armed) > 0 {
			s.t.Fatalf("finished with timers %v", s.armed)
		}
	}
}

// random makes an event that the driver could bring now.
func (s *simulation) random() event {
	kinds := []string{"notice", "media", "hang up"}
	if s.opening {
		kinds = append(kinds, "opened", "opened")
	}
	if len(s.flying) > 0 {
		kinds = append(kinds, "result", "result")
	}
	if len(s.armed) > 0 {
		kinds = append(kinds, "fire")
	}
	if s.draining {
		kinds = append(kinds, "drained")
	}
	if s.m.direction == DirectionIncoming {
		kinds = append(kinds, "decide", "decide")
	}
	t := s.t
	switch rapid.SampledFrom(kinds).Draw(t, "event") {
	case "opened":
		s.opening = false
		if rapid.IntRange(0, 5).Draw(t, "refused") == 0 {
			return opened{errRefused}
		}
		return opened{}
	case "result":
		return s.result(rapid.Bool().Draw(t, "ok"))
	case "fire":
		return s.fire()
	case "drained":
		s.draining = false
		return drained{}
	case "decide":
		return decided{cmd: rapid.SampledFrom([]command{cmdAnswer, cmdAnswer, cmdReject, cmdRedirect}).Draw(t, "decision")}
	case "media":
		return mediaTurned{up: rapid.Bool().Draw(t, "up")}
	case "hang up":
		return hangUpAsked{forEveryone: rapid.Bool().Draw(t, "everyone")}
	}
	return noticed{Notice{
		Kind:     EventKind(rapid.IntRange(int(EventOther), int(EventAnswerFailed)).Draw(t, "kind")),
		ID:       rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "id"),
		Code:     rapid.SampledFrom([]int{0, 200, 487, 500}).Draw(t, "code"),
		Sequence: rapid.Int64Range(0, 3).Draw(t, "sequence"),
	}}
}

func (s *simulation) result(ok bool) event {
	i := rapid.IntRange(0, len(s.flying)-1).Draw(s.t, "command")
	cmd := s.flying[i]
	s.flying = append(s.flying[:i], s.flying[i+1:]...)
	if ok {
		return succeeded{cmd: cmd, conn: connection(CallState(rapid.IntRange(int(StateNew), int(StateDisconnected)).Draw(s.t, "state")))}
	}
	return failed{cmd, rapid.SampledFrom([]error{errRefused, errGone, errors.New("reset")}).Draw(s.t, "err")}
}

// fire passes the earliest deadline.
func (s *simulation) fire() event {
	first := timers
	for t, at := range s.armed {
		if first == timers || at.Before(s.armed[first]) || at.Equal(s.armed[first]) && t < first {
			first = t
		}
	}
	s.now = s.armed[first]
	delete(s.armed, first)
	return fired{first}
}

// TestMachineRandom throws every event that can happen, in any order, at a
// call, then hangs it up and lets everything under way come to its end.
func TestMachineRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &simulation{t: t, now: t0, armed: map[timer]time.Time{}, posted: map[command]int{}}
		s.m.direction = rapid.SampledFrom([]Direction{DirectionIncoming, DirectionOutgoing}).Draw(t, "direction")
		if s.m.direction == DirectionIncoming {
			s.step(rang{})
		} else {
			s.step(dialled{})
		}
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			s.step(s.random())
		}
		s.step(hangUpAsked{})
		for n := 0; s.finished == 0; n++ {
			switch {
			case n > 20:
				t.Fatalf("does not end: %+v", s.m)
			case len(s.flying) > 0:
				s.step(s.result(rapid.Bool().Draw(t, "ok")))
			case len(s.armed) > 0:
				s.step(s.fire())
			default:
				t.Fatalf("hangs: %+v", s.m)
			}
		}
		s.step(s.random())

		require.Equal(t, 1, s.finished)
		require.Equal(t, StateDisconnected, s.m.state)
		require.LessOrEqual(t, s.opens, 1)
		if s.m.media {
			require.Equal(t, 1, s.closed, "leg closed")
		}
		for _, cmd := range []command{cmdCreate, cmdAnswer, cmdReject, cmdRedirect, cmdHangUp} {
			require.LessOrEqual(t, s.posted[cmd], 1, "%v posted", cmd)
		}
		require.LessOrEqual(t, s.posted[cmdReject]+s.posted[cmdRedirect]+s.posted[cmdAnswer], 1)
	})
}
