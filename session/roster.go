package session

import (
	"slices"
	"time"
)

// Bounds of a roster's memory.
const (
	maxRows   = 4096
	maxDeltas = 64 // that wait for a resync
)

// roster is who is in a call, as far as the machine knows. Whole rosters of a
// cloud that numbers none are applied as they come, and two within resyncAfter
// have the cloud asked once. Numbered changes are applied in their order; a
// gap has the cloud asked, and changes wait until it has answered.
type roster struct {
	rows     []Participant
	sequence int64     // greatest that was applied
	told     time.Time // when the last whole one without a number came
	lobby    bool      // our own row waits in the lobby

	owed     bool     // the cloud is to be asked once the call id is known
	asking   bool     // the cloud is being asked
	asked    int64    // greatest sequence that came before it was
	greatest int64    // greatest sequence that came
	deltas   []Notice // that came meanwhile
}

func (r *roster) stale(n Notice) bool {
	if n.Sequence == 0 {
		return false
	}
	if n.Delta {
		return n.Sequence <= r.sequence
	}
	return n.Sequence < r.sequence
}

// rostered follows a notice of who is in the call.
func (m *machine) rostered(n Notice) {
	r := &m.roster
	r.greatest = max(r.greatest, n.Sequence)
	switch {
	case n.Delta:
		m.delta(n)
	case n.Sequence != 0:
		r.sequence = n.Sequence
		m.setRows(n.Participants)
	default:
		m.setRows(n.Participants)
		if !r.told.IsZero() && m.now.Sub(r.told) < resyncAfter && m.keepsRoster {
			m.arm(timerResync, resyncAfter)
		}
		r.told = m.now
	}
}

// delta applies a change, or has the cloud asked if others are missing.
func (m *machine) delta(n Notice) {
	r := &m.roster
	switch {
	case n.Sequence == 0:
		m.apply(n.Participants)
	case r.asking:
		r.deltas = append(r.deltas[max(0, len(r.deltas)+1-maxDeltas):], n)
	case n.Sequence != r.sequence+1 && m.keepsRoster:
		m.askRoster()
	default: // the next one, or there is nobody to ask for those before
		r.sequence = n.Sequence
		m.apply(n.Participants)
	}
}

// askRoster asks the cloud who is in the call. The answer contains all changes
// that were told before.
func (m *machine) askRoster() {
	r := &m.roster
	if m.conn.CallID == "" {
		r.owed = true // what overtook the response of the answer
		return
	}
	if r.asking || m.state >= StateDisconnecting {
		return
	}
	r.owed, r.asking, r.asked, r.deltas = false, true, r.greatest, nil
	m.do(post{cmd: cmdRoster, callID: m.conn.CallID})
}

func (m *machine) resynced(told Roster) {
	r := &m.roster
	r.asking = false
	r.sequence = max(r.sequence, r.asked, told.Sequence)
	m.setRows(told.Participants)
	waiting := r.deltas
	r.deltas = nil
	slices.SortStableFunc(waiting, func(a, b Notice) int { return int(min(1, max(-1, a.Sequence-b.Sequence))) })
	for _, n := range waiting {
		if !r.stale(n) {
			m.delta(n)
		}
	}
}

// resyncFailed tries again: until then the roster is out of date.
func (m *machine) resyncFailed() {
	m.roster.asking = false
	if m.state < StateDisconnecting {
		m.arm(timerResync, resyncAfter)
	}
}

// apply changes rows, adds those that are new and takes out those removed.
func (m *machine) apply(changed []Participant) {
	rows := slices.Clone(m.roster.rows)
	for _, p := range changed {
		at := slices.IndexFunc(rows, func(q Participant) bool { return q.key() == p.key() })
		switch {
		case p.Removed != "" && at >= 0:
			rows = slices.Delete(rows, at, at+1)
		case p.Removed != "":
		case at >= 0:
			rows[at] = p
		default:
			rows = append(rows, p)
		}
	}
	m.setRows(rows)
}

// key names a row.
func (p *Participant) key() string {
	if p.ID != "" {
		return p.ID
	}
	return p.RawID
}

func (m *machine) setRows(rows []Participant) {
	m.roster.rows = rows[:min(len(rows), maxRows)]
	m.do(tellRoster{m.roster.rows})
	m.admitted()
}

// admitted sees whether we are still in the lobby.
func (m *machine) admitted() {
	self := m.conn.SelfID
	waits := self != "" && slices.ContainsFunc(m.roster.rows, func(p Participant) bool { return p.ID == self && p.InLobby })
	if waits != m.roster.lobby {
		m.roster.lobby = waits
		m.do(tellLobby{waits})
		m.awaitMedia()
	}
}
