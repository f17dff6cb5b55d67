package session

import (
	"errors"
	"time"
)

// ErrNoMedia: the cloud never brought the call's media.
var ErrNoMedia = errors.New("session: no media")

const (
	// mediaLimit is how long a connected call may lack media.
	mediaLimit = 30 * time.Second
	// keepAliveAgain is when a keep-alive that failed is tried again.
	keepAliveAgain = time.Minute
	// resyncAfter is how long notices that have no order may still come in
	// before the cloud is asked how things stand.
	resyncAfter = 2 * time.Second
	// seenTones is how many tones a call remembers.
	seenTones = 256
)

// keep says in d that the call is still wanted.
func (m *machine) keep(d time.Duration) {
	if m.keepAlive > 0 && m.state < StateDisconnecting {
		m.arm(timerKeepAlive, d)
	}
}

// probe asks after the call in d, if it is one to ask after: one that is kept
// alive is asked after by that, unless its media was lost.
func (m *machine) probe(d time.Duration) {
	if m.keepAlive > 0 && !m.carried {
		return
	}
	if m.conn.CallID != "" && !m.up && m.state < StateDisconnecting {
		m.arm(timerProbe, d)
	}
}

// phased follows a notice of what the connected call is doing. Such notices
// have no order: each is obeyed as it comes, and after one that changes
// something, or that crosses an answer, the cloud is asked what is so.
func (m *machine) phased(p CallPhase) {
	if m.state >= StateDisconnecting {
		return
	}
	m.advance(StateConnected)
	if p != m.phase || m.getting {
		m.setPhase(p)
		m.unsure = true
		m.confirmPhase()
	}
}

// get asks how the call stands, unless that was asked and not answered.
func (m *machine) get() {
	if !m.getting {
		m.getting = true
		m.do(post{cmd: cmdGet, callID: m.conn.CallID})
	}
}

// askPhase asks for the phase, or later if that cannot be done now.
func (m *machine) askPhase() {
	m.unsure = true
	if m.getting || m.conn.CallID == "" {
		m.confirmPhase()
		return
	}
	m.get()
}

// confirmPhase has the cloud asked which phase is so, if that is to be asked.
func (m *machine) confirmPhase() {
	if m.unsure && m.state < StateDisconnecting {
		m.arm(timerPhase, resyncAfter)
	}
}

func (m *machine) setPhase(p CallPhase) {
	if p == m.phase || m.state != StateConnected {
		return
	}
	m.phase = p
	m.do(tellPhase{p})
	m.awaitMedia()
}

// awaitMedia starts the time in which a connected call's media must come. It
// does not run while the call cannot have any.
func (m *machine) awaitMedia() {
	if m.mediaWithin <= 0 || m.carried || m.state != StateConnected {
		return
	}
	if m.roster.lobby || m.phase == PhaseHold {
		m.disarm(timerMedia)
		return
	}
	m.arm(timerMedia, m.mediaWithin)
}

func (m *machine) lackMedia() {
	if !m.carried && m.state == StateConnected {
		m.hangUp(hangUpAsked{cause: ErrNoMedia})
	}
}

// stale tells notices that are numbered and were overtaken or told before.
func (m *machine) stale(n Notice) bool {
	switch n.Kind {
	case EventParticipants:
		return m.roster.stale(n)
	case EventTone:
		return n.Sequence != 0 && !m.tones.add(n.Sequence, struct{}{}, seenTones)
	}
	return false
}
