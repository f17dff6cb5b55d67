package session

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// orderly plays a cloud such as Graph, and the net between it and us: the cloud
// changes a call and tells of it; what it tells comes late, twice and in any
// order; its answers too, and some requests fail.
type orderly struct {
	t *rapid.T
	m *machine

	// The truth.
	state    CallState
	phase    CallPhase
	rows     []Participant
	sequence int64
	deltas   bool // the cloud tells changes, numbered; else whole rosters
	joined   int

	now      time.Time
	armed    map[timer]time.Time
	notices  []noticed // on their way to us
	lossy    []bool    // of each: it may be lost
	asks     []command // on their way to the cloud
	replies  []event   // on their way back
	finished bool

	// As the app was told.
	seen  []Participant
	told  CallPhase
	lobby bool
}

const selfRow = "me"

func newOrderly(t *rapid.T) *orderly {
	o := &orderly{
		t: t, m: kept(DirectionIncoming), now: t0, state: StateConnecting,
		armed: map[timer]time.Time{}, deltas: rapid.Bool().Draw(t, "deltas"),
	}
	o.m.mediaWithin = 0
	if rapid.Bool().Draw(t, "outgoing") {
		o.m.direction = DirectionOutgoing
		o.step(dialled{})
	} else {
		o.step(rang{})
		o.step(decided{cmd: cmdAnswer})
	}
	o.step(opened{})
	if o.m.direction == DirectionOutgoing { // the manager keeps what comes before
		o.serve(0)
		o.reply(0)
	}
	o.tell(Notice{Kind: EventConnecting})
	o.state = StateConnected
	o.tell(Notice{Kind: EventConnected})
	me := row(selfRow)
	me.InLobby = rapid.Bool().Draw(t, "lobby")
	o.changed(me)
	return o
}

func (o *orderly) step(ev event) {
	for _, a := range o.m.step(ev, o.now) {
		switch a := a.(type) {
		case post:
			o.asks = append(o.asks, a.cmd)
		case arm:
			o.armed[a.timer] = a.at
		case disarm:
			delete(o.armed, a.timer)
		case tellRoster:
			o.seen = slices.Clone(a.participants)
		case tellPhase:
			o.told = a.phase
		case tellLobby:
			o.lobby = a.waits
		case drainMedia:
			o.replies = append(o.replies, drained{})
		case finish:
			o.finished = true
		}
	}
}

// tell sends a notice on its way.
func (o *orderly) tell(n Notice) {
	o.notices = append(o.notices, noticed{n})
	o.lossy = append(o.lossy, false)
}

// changed tells that a row is new, another, or removed.
func (o *orderly) changed(p Participant) {
	o.sequence++
	p.Sequence = o.sequence
	o.rows = slices.DeleteFunc(slices.Clone(o.rows), func(q Participant) bool { return q.ID == p.ID })
	if p.Removed == "" {
		o.rows = append(o.rows, p)
	}
	if !o.deltas {
		o.tell(Notice{Kind: EventParticipants, Participants: slices.Clone(o.rows)})
		return
	}
	for i, n := range o.notices { // all but the last may be lost: a later one shows that
		o.lossy[i] = o.lossy[i] || n.Delta
	}
	o.tell(Notice{Kind: EventParticipants, Delta: true, Sequence: o.sequence, Participants: []Participant{p}})
}

// change does something at the cloud.
func (o *orderly) change() {
	if o.state != StateConnected {
		return
	}
	t := o.t
	who := rapid.IntRange(0, len(o.rows)-1).Draw(t, "who")
	switch rapid.SampledFrom([]string{"join", "join", "leave", "mute", "mute", "admit", "phase", "phase", "end"}).Draw(t, "change") {
	case "join":
		o.joined++
		o.changed(row(string(rune('a' + o.joined%26))))
	case "leave":
		if p := o.rows[who]; p.ID != selfRow {
			p.Removed = "left"
			o.changed(p)
		}
	case "mute":
		p := o.rows[who]
		p.Muted = !p.Muted
		o.changed(p)
	case "admit":
		at := slices.IndexFunc(o.rows, func(p Participant) bool { return p.ID == selfRow })
		if p := o.rows[at]; p.InLobby {
			p.InLobby = false
			o.changed(p)
		}
	case "phase":
		o.phase = rapid.SampledFrom([]CallPhase{PhaseActive, PhaseHold, PhaseTransferring}).Draw(t, "phase")
		o.tell(phaseNotice(o.phase).Notice)
	case "end":
		if rapid.IntRange(0, 3).Draw(t, "really") > 0 {
			return
		}
		o.state = StateDisconnected
		o.tell(Notice{Kind: EventDisconnecting})
		o.tell(Notice{Kind: EventDisconnected, Code: 200})
	}
}

// serve lets a request come to the cloud, which answers as things stand.
func (o *orderly) serve(i int) {
	cmd := o.asks[i]
	o.asks = slices.Delete(o.asks, i, i+1)
	conn := Connection{CallID: "c1", SelfID: selfRow, State: o.state, Phase: o.phase}
	switch {
	case cmd == cmdCreate || cmd == cmdAnswer:
		conn.State, conn.Phase = StateConnecting, PhaseActive
		o.replies = append(o.replies, succeeded{cmd: cmd, conn: conn})
	case o.state == StateDisconnected:
		o.replies = append(o.replies, failed{cmd, errGone})
	case rapid.IntRange(0, 4).Draw(o.t, "fails") == 0:
		o.replies = append(o.replies, failed{cmd, errRefused})
	case cmd == cmdRoster:
		roster := Roster{Participants: slices.Clone(o.rows)}
		for _, p := range o.rows {
			if o.deltas {
				roster.Sequence = max(roster.Sequence, p.Sequence)
			}
		}
		o.replies = append(o.replies, succeeded{cmd: cmd, roster: roster})
	default:
		o.replies = append(o.replies, succeeded{cmd: cmd, conn: conn})
	}
}

func (o *orderly) reply(i int) {
	ev := o.replies[i]
	o.replies = slices.Delete(o.replies, i, i+1)
	o.step(ev)
}

// deliver brings one of the notices, once more later, or loses it.
func (o *orderly) deliver(again bool) {
	i := rapid.IntRange(0, len(o.notices)-1).Draw(o.t, "notice")
	n, lossy := o.notices[i], o.lossy[i]
	if !again {
		o.notices, o.lossy = slices.Delete(o.notices, i, i+1), slices.Delete(o.lossy, i, i+1)
	}
	if lossy && rapid.IntRange(0, 3).Draw(o.t, "lost") == 0 {
		return
	}
	o.step(n)
}

// happen lets one thing happen. Time passes only for numbered rosters: whole
// ones are put right if they come close together.
func (o *orderly) happen() {
	kinds := []string{"change", "change"}
	if len(o.notices) > 0 {
		kinds = append(kinds, "deliver", "deliver", "again")
	}
	if len(o.asks) > 0 {
		kinds = append(kinds, "serve")
	}
	if len(o.replies) > 0 {
		kinds = append(kinds, "reply")
	}
	if o.deltas && o.next() != timers {
		kinds = append(kinds, "fire")
	}
	switch rapid.SampledFrom(kinds).Draw(o.t, "happens") {
	case "change":
		o.change()
	case "deliver":
		o.deliver(false)
	case "again":
		o.deliver(true)
	case "serve":
		o.serve(rapid.IntRange(0, len(o.asks)-1).Draw(o.t, "request"))
	case "reply":
		o.reply(rapid.IntRange(0, len(o.replies)-1).Draw(o.t, "reply"))
	case "fire":
		o.fire()
	}
}

// next is the earliest timer of those that put things right.
func (o *orderly) next() timer {
	first := timers
	for t, at := range o.armed {
		if t == timerResync || t == timerPhase || t == timerEnd || t == timerDrain {
			if first == timers || at.Before(o.armed[first]) || at.Equal(o.armed[first]) && t < first {
				first = t
			}
		}
	}
	return first
}

func (o *orderly) fire() {
	t := o.next()
	if at := o.armed[t]; at.After(o.now) {
		o.now = at
	}
	delete(o.armed, t)
	o.step(fired{t})
}

// settle lets all come that is on its way, and the resyncs run.
func (o *orderly) settle() {
	for n := 0; !o.finished; n++ {
		switch {
		case n > 10_000:
			o.t.Fatalf("does not settle: %+v", o.m)
		case len(o.notices) > 0:
			o.deliver(false)
		case len(o.asks) > 0:
			o.serve(0)
		case len(o.replies) > 0:
			o.reply(0)
		case o.next() != timers:
			o.fire()
		default:
			return
		}
	}
}

// TestNoWayMatters: whatever way its notices take, the call comes to the
// state that the cloud has it in; and once the resyncs have run, so do roster,
// mutes, lobby and phase.
func TestNoWayMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := newOrderly(t)
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			o.happen()
		}
		o.settle()
		require.Equal(t, o.state, o.m.state)
		if o.state == StateDisconnected {
			require.True(t, o.finished)
			return
		}
		byID := func(a, b Participant) int { return strings.Compare(a.ID, b.ID) }
		slices.SortFunc(o.rows, byID)
		slices.SortFunc(o.seen, byID)
		require.Equal(t, o.rows, o.seen)
		require.Equal(t, o.phase, o.told)
		require.Equal(t, slices.ContainsFunc(o.rows, func(p Participant) bool { return p.ID == selfRow && p.InLobby }), o.lobby)
	})
}
