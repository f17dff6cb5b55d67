package session

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// kept is a machine of a cloud such as Graph: it is kept alive, its roster can
// be asked for, its notices have no ids.
func kept(d Direction) *machine {
	return &machine{direction: d, cloud: "fake", keepAlive: 10 * time.Minute, mediaWithin: 30 * time.Second, keepsRoster: true}
}

func row(id string, change ...func(*Participant)) Participant {
	p := Participant{ID: id, Identity: Identity{RawID: "8:" + id}}
	for _, f := range change {
		f(&p)
	}
	return p
}

func muted(p *Participant)   { p.Muted = true }
func inLobby(p *Participant) { p.InLobby = true }
func removed(p *Participant) { p.Removed = "left" }

func full(rows ...Participant) noticed {
	return noticed{Notice{Kind: EventParticipants, Participants: rows}}
}

func change(sequence int64, rows ...Participant) noticed {
	return noticed{Notice{Kind: EventParticipants, Delta: true, Sequence: sequence, Participants: rows}}
}

func phaseNotice(p CallPhase) noticed {
	if p == PhaseActive {
		return noticed{Notice{Kind: EventConnected}}
	}
	return noticed{Notice{Kind: EventPhase, Phase: p}}
}

// TestKeptCall: the rules of calls whose cloud keeps rosters and must hear of
// us. Each line's event comes at after.
func TestKeptCall(t *testing.T) {
	self := Connection{CallID: "c1", SelfID: "me", State: StateConnecting}
	type line struct {
		after time.Duration
		ev    event
		want  string
	}
	begin := []line{
		{0, dialled{}, "open"},
		{0, opened{}, "connecting, post create"},
		{0, succeeded{cmd: cmdCreate, conn: self}, "bind c1, arm keep alive 10m0s"},
	}
	for _, c := range []struct {
		name  string
		lines []line
	}{
		{"kept alive until the cloud knows it no more", []line{
			{10 * time.Minute, fired{timerKeepAlive}, "post keep alive c1"},
			{10 * time.Minute, succeeded{cmd: cmdKeepAlive}, "arm keep alive 20m0s"},
			{20 * time.Minute, fired{timerKeepAlive}, "post keep alive c1"},
			{20 * time.Minute, failed{cmdKeepAlive, errRefused}, "arm keep alive 21m0s"},
			{21 * time.Minute, fired{timerKeepAlive}, "post keep alive c1"},
			{21 * time.Minute, failed{cmdKeepAlive, errGone}, "disconnected, drain, arm drain 21m1s"},
		}},
		{"established before establishing", []line{
			{0, phaseNotice(PhaseActive), "notice , arm media 30s, connected"},
			{0, noticed{Notice{Kind: EventConnecting}}, "notice "},
		}},
		{"media never comes", []line{
			{0, phaseNotice(PhaseActive), "notice , arm media 30s, connected"},
			{30 * time.Second, fired{timerMedia}, "disconnecting, post hang up c1"},
		}},
		{"media comes", []line{
			{0, phaseNotice(PhaseActive), "notice , arm media 30s, connected"},
			{1, mediaTurned{up: true}, "media up=true err=false"},
			{2, mediaTurned{}, "media up=false err=false, arm probe 30.000000002s"},
		}},
		{"the lobby stops the clock of the media", []line{
			{0, phaseNotice(PhaseActive), "notice , arm media 30s, connected"},
			{0, full(row("me", inLobby)), "notice , roster of 1, lobby true"},
			{time.Hour, full(row("me"), row("b")), "notice , roster of 2, lobby false, arm media 1h0m30s"},
		}},
		{"hold and back: the cloud is asked how it stands", []line{
			{0, phaseNotice(PhaseActive), "notice , arm media 30s, connected"},
			{time.Second, phaseNotice(PhaseHold), "notice , phase hold, arm phase 3s"},
			{2 * time.Second, phaseNotice(PhaseActive), "notice , phase active, arm media 32s, arm phase 4s"},
			{4 * time.Second, fired{timerPhase}, "post get c1"},
			{4 * time.Second, succeeded{cmd: cmdGet, conn: Connection{CallID: "c1", State: StateConnected, Phase: PhaseHold}}, "phase hold"},
		}},
		{"a transfer that fails", []line{
			{0, phaseNotice(PhaseTransferring), "notice , arm media 30s, connected, phase transferring, arm media 30s, arm phase 2s"},
			{1, phaseNotice(PhaseActive), "notice , phase active, arm media 30.000000001s, arm phase 2.000000001s"},
		}},
		{"whole rosters, two at once", []line{
			{0, full(row("a")), "notice , roster of 1"},
			{time.Second, full(row("a"), row("b")), "notice , roster of 2, arm resync 3s"},
			{3 * time.Second, fired{timerResync}, "post get roster c1"},
			{3 * time.Second, failed{cmdRoster, errRefused}, "arm resync 5s"},
			{5 * time.Second, fired{timerResync}, "post get roster c1"},
			{5 * time.Second, succeeded{cmd: cmdRoster, roster: Roster{Participants: []Participant{row("b")}}}, "roster of 1"},
			{time.Minute, full(), "notice , roster of 0"},
		}},
		{"changes in order, late and twice", []line{
			{0, change(1, row("a")), "notice , roster of 1"},
			{0, change(2, row("b"), row("a", muted)), "notice , roster of 2"},
			{0, change(1, row("z")), "ignore "},
			{0, change(2, row("z")), "ignore "},
			{0, change(3, row("a", removed), row("y", removed)), "notice , roster of 1"},
		}},
		{"a change is missing", []line{
			{0, change(1, row("a")), "notice , roster of 1"},
			{0, change(3, row("c")), "notice , post get roster c1"},
			{0, change(5, row("e")), "notice "},
			{0, change(4, row("d")), "notice "},
			{0, succeeded{cmd: cmdRoster, roster: Roster{Participants: []Participant{row("a"), row("b"), row("c")}, Sequence: 2}},
				"roster of 3, roster of 4, roster of 5"},
			{0, change(6, row("a", removed)), "notice , roster of 4"},
		}},
		{"tones once each", []line{
			{0, noticed{Notice{Kind: EventTone, Tone: '5', Sequence: 2}}, "notice , tone 5"},
			{0, noticed{Notice{Kind: EventTone, Tone: '5', Sequence: 2}}, "ignore "},
			{0, noticed{Notice{Kind: EventTone, Tone: '6', Sequence: 1}}, "notice , tone 6"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := kept(DirectionOutgoing)
			for i, l := range append(begin[:len(begin):len(begin)], c.lines...) {
				require.Equal(t, l.want, sayAll(m.step(l.ev, t0.Add(l.after))), "line %d", i)
			}
		})
	}
}

// TestRingEndsByItself: the caller gives up before anybody has decided.
func TestRingEndsByItself(t *testing.T) {
	m := kept(DirectionIncoming)
	m.answerWithin = 5 * time.Second
	require.Equal(t, "arm answer 5s", sayAll(m.step(rang{}, t0)))
	require.Equal(t, "ignore ", sayAll(m.step(full(), t0)))
	require.Equal(t, "notice , disconnected, finish", sayAll(m.step(noticed{Notice{Kind: EventDisconnected, Code: 200}}, t0)))
	require.NoError(t, m.err)
}

func TestNoMediaIsTheReason(t *testing.T) {
	m := kept(DirectionOutgoing)
	for _, ev := range []event{dialled{}, opened{}, succeeded{cmd: cmdCreate, conn: connection(StateConnected)}, fired{timerMedia}} {
		m.step(ev, t0)
	}
	require.ErrorIs(t, m.err, ErrNoMedia)
}

// truth is what a cloud knows of a call, and how it is told.
type truth struct {
	rows     []Participant
	sequence int64
	phase    CallPhase
	ended    bool
	numbered bool // rosters are told as changes
}

// turn changes something and returns the notice of it.
func (w *truth) turn(t *rapid.T) noticed {
	if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
		w.phase = rapid.SampledFrom([]CallPhase{PhaseActive, PhaseHold, PhaseTransferring}).Draw(t, "phase")
		return phaseNotice(w.phase)
	}
	id := rapid.SampledFrom([]string{"me", "a", "b", "c", "d"}).Draw(t, "who")
	w.sequence++
	p := row(id)
	p.Muted, p.InLobby = rapid.Bool().Draw(t, "muted"), id == "me" && rapid.Bool().Draw(t, "lobby")
	at := slices.IndexFunc(w.rows, func(q Participant) bool { return q.ID == id })
	w.rows = slices.Clone(w.rows)
	if w.numbered {
		p.Sequence = w.sequence
	}
	switch {
	case at >= 0 && rapid.Bool().Draw(t, "leaves"):
		w.rows = slices.Delete(w.rows, at, at+1)
		p.Removed = "left"
	case at >= 0:
		w.rows[at] = p
	default:
		w.rows = append(w.rows, p)
	}
	if w.numbered {
		return change(w.sequence, p)
	}
	return full(w.rows...)
}

// roster is what the cloud answers: its number is the greatest of its rows.
func (w *truth) roster() Roster {
	r := Roster{Participants: slices.Clone(w.rows)}
	for _, p := range w.rows {
		r.Sequence = max(r.Sequence, p.Sequence)
	}
	return r
}

func (w *truth) connection() Connection {
	if w.ended {
		return Connection{CallID: "c1", State: StateDisconnected}
	}
	return Connection{CallID: "c1", SelfID: "me", State: StateConnected, Phase: w.phase}
}

// settled runs a machine's timers and requests, which the cloud answers by the
// truth, until nothing is due within the next minute.
func settled(t *rapid.T, m *machine, w *truth, now time.Time, actions []action) {
	due := map[timer]time.Time{}
	var todo []event
	handle := func(actions []action) {
		for _, a := range actions {
			switch a := a.(type) {
			case arm:
				due[a.timer] = a.at
			case disarm:
				delete(due, a.timer)
			case post:
				switch {
				case a.cmd == cmdRoster:
					todo = append(todo, succeeded{cmd: cmdRoster, roster: w.roster()})
				case a.cmd == cmdGet && w.ended:
					todo = append(todo, failed{cmdGet, errGone})
				case a.cmd == cmdGet:
					todo = append(todo, succeeded{cmd: cmdGet, conn: w.connection()})
				}
			}
		}
	}
	handle(actions)
	for rounds := 0; ; rounds++ {
		if rounds > 1000 {
			t.Fatal("it does not settle")
		}
		if len(todo) > 0 {
			ev := todo[0]
			todo = todo[1:]
			handle(slices.Clone(m.step(ev, now)))
			continue
		}
		next := timer(-1)
		for _, k := range []timer{timerResync, timerPhase} {
			if at, ok := due[k]; ok && (next < 0 || at.Before(due[next])) {
				next = k
			}
		}
		if next < 0 {
			return
		}
		now = due[next]
		delete(due, next)
		handle(slices.Clone(m.step(fired{next}, now)))
	}
}

// TestOrderDoesNotMatter: whatever the order, delay and repetition of the
// notices, the call's state is the same, and once the cloud was asked so are
// roster, lobby and phase.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &truth{numbered: rapid.Bool().Draw(t, "numbered"), rows: []Participant{}}
		sent := []noticed{{Notice{Kind: EventConnecting}}, phaseNotice(PhaseActive)}
		for range rapid.IntRange(0, 12).Draw(t, "turns") {
			sent = append(sent, w.turn(t))
		}
		if rapid.IntRange(0, 4).Draw(t, "ends") == 0 {
			w.ended = true
			sent = append(sent, noticed{Notice{Kind: EventDisconnecting}}, noticed{Notice{Kind: EventDisconnected}})
		}
		for range rapid.IntRange(0, 4).Draw(t, "repeated") {
			sent = append(sent, rapid.SampledFrom(sent).Draw(t, "again"))
		}
		sent = rapid.Permutation(sent).Draw(t, "order")

		m := kept(DirectionOutgoing)
		for _, ev := range []event{dialled{}, opened{}, succeeded{cmd: cmdCreate, conn: Connection{CallID: "c1", SelfID: "me", State: StateConnecting}}} {
			m.step(ev, t0)
		}
		now := t0
		var out []action
		for _, n := range sent {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "ms")) * time.Millisecond)
			out = append(out, slices.Clone(m.step(n, now))...)
		}
		settled(t, m, w, now, out)
		if w.ended {
			require.Equal(t, StateDisconnected, m.state)
			return
		}
		require.Equal(t, StateConnected, m.state)
		require.Equal(t, w.phase, m.phase)
		byID := func(a, b Participant) int { return strings.Compare(a.ID, b.ID) }
		require.Equal(t, slices.SortedFunc(slices.Values(w.rows), byID), slices.SortedFunc(slices.Values(m.roster.rows), byID))
		require.Equal(t, slices.ContainsFunc(w.rows, func(p Participant) bool { return p.InLobby }), m.roster.lobby)
	})
}
