package session

import "time"

// The call machine: everything a call does, as a function of what happens to
// it. It is driven by one goroutine (call.go), which tells it events (event.go),
// performs the actions it returns in their order, and tells it what came of
// them.
//
//	 dialled ── openMedia ── opened ─── post create ─┐
//	                                                 ├─▶ connecting ─▶ connected
//	 rang ─ decided ─ openMedia ─ opened ─ post answer ┘      │            │
//	  │ reject, redirect, deadline                            │ hang-up    │
//	  ▼                                                       ▼            ▼
//	 disconnecting ◀──────────────────────────────────────────┴────────────┘
//	  │ the cloud said so, or has taken our word, or refused it
//	  ▼
//	 disconnected ── drain the media ── close it ── finish
//
// States have ranks: a notice or response of a lower rank changes nothing,
// and disconnected is final. So notices may come late, twice, out of order,
// or before the response that they belong to.

// Limits of the machine's timers and memory.
const (
	// answerLimit is how long a cloud lets a call ring for an application.
	answerLimit = 15 * time.Second
	// endLimit is how long a hang-up that the cloud has taken may wait for
	// the event that tells the end.
	endLimit = 5 * time.Second
	// drainLimit guards against a transport that does not keep to the
	// 500 ms of transport.Endpoint.Drain.
	drainLimit = time.Second
	// probeEvery is how often a call without media is asked whether it
	// still exists: the event that told its end may have been lost.
	probeEvery = 30 * time.Second
	// seenNotices is how many message ids a call remembers.
	seenNotices = 128
)

// machine is one call. The zero value of every field but the static ones is
// its beginning. Not safe for concurrent use.
type machine struct {
	// Static.
	direction    Direction
	cloud        string
	answerWithin time.Duration // 0 means answerLimit
	keepAlive    time.Duration // between two; 0 if the cloud asks for none
	mediaWithin  time.Duration // how long a connected call may lack media; 0 means forever
	keepsRoster  bool          // the cloud can be asked for it

	state CallState
	conn  Connection // CallID empty until the cloud has told it
	err   error      // why the call ended

	ringing bool // until the app has decided or the deadline passed
	opening bool // until opened
	media   bool // openMedia was asked for and not refused
	up      bool // a connection carries the media
	over    bool // finish was returned

	asked    bool // somebody here hung up
	everyone bool // for everyone
	owed     bool // the hang-up is to be posted once the call id is known
	seen     recent[string, struct{}]

	roster  roster    // roster.go
	phase   CallPhase // phase.go
	unsure  bool      // the cloud was not asked since the phase changed
	getting bool      // it is being asked: of two answers the older may come last
	carried bool      // a connection carried the media, at some time
	tones   recent[int64, struct{}]

	now time.Time
	out []action
}

// step tells the machine what happened and returns what to do. The slice is
// valid until the next step.
func (m *machine) step(ev event, now time.Time) []action {
	m.now, m.out = now, m.out[:0]
	if m.over {
		return nil
	}
	switch ev := ev.(type) {
	case dialled:
		m.open()
	case rang:
		m.ringing = true
		m.arm(timerAnswer, orDefault(m.answerWithin, answerLimit))
	case decided:
		m.decide(ev)
	case opened:
		m.mediaOpened(ev.err)
	case succeeded:
		m.succeed(ev)
	case failed:
		m.fail(ev.cmd, ev.err)
	case noticed:
		m.notice(ev.Notice)
	case mediaTurned:
		m.turn(ev)
	case hangUpAsked:
		m.hangUp(ev)
	case fired:
		m.fire(ev.timer)
	case drained:
		m.close()
	}
	return m.out
}

// decide obeys the first decision while the call rings. The deadline stays
// armed until an answer is posted.
func (m *machine) decide(d decided) {
	switch {
	case !m.ringing:
	case d.cmd == cmdAnswer:
		m.ringing = false
		m.open()
	default:
		m.decline(d)
	}
}

func (m *machine) decline(d decided) {
	m.ringing, m.opening = false, false
	m.disarm(timerAnswer)
	m.enter(StateDisconnecting)
	m.do(post{cmd: d.cmd, reason: d.reason, target: d.target})
}

func (m *machine) open() {
	m.opening, m.media = true, true
	m.do(openMedia{})
}

// mediaOpened posts what the leg was opened for: from here on the cloud may
// dial, before its own response and before any notice.
func (m *machine) mediaOpened(err error) {
	if err != nil {
		m.media = false
	}
	switch {
	case !m.opening: // hung up meanwhile
	case err != nil && m.direction == DirectionIncoming:
		m.err = err
		m.decline(decided{cmd: cmdReject})
	case err != nil:
		m.end(err)
	default:
		m.opening = false
		m.disarm(timerAnswer)
		m.enter(StateConnecting)
		cmd := cmdCreate
		if m.direction == DirectionIncoming {
			cmd = cmdAnswer
		}
		m.do(post{cmd: cmd})
	}
}

func (m *machine) succeed(ev succeeded) {
	if m.state == StateDisconnected {
		return
	}
	conn := ev.conn
	switch ev.cmd {
	case cmdCreate, cmdAnswer:
		m.conn = conn
		m.do(bind{conn.CallID})
		if m.owed {
			m.postHangUp()
		}
		m.probe(probeEvery)
		m.keep(m.keepAlive)
		m.advance(conn.State)
		m.admitted()
		if m.roster.owed {
			m.askRoster()
		}
	case cmdKeepAlive:
		m.keep(m.keepAlive)
	case cmdRoster:
		m.resynced(ev.roster)
	case cmdReject, cmdRedirect:
		m.end(nil)
	case cmdHangUp:
		m.arm(timerEnd, endLimit)
	case cmdGet:
		m.unsure, m.getting = false, false
		m.probe(probeEvery)
		m.advance(conn.State)
		if conn.State == StateConnected {
			m.setPhase(conn.Phase)
		}
	}
}

func (m *machine) fail(cmd command, err error) {
	if cmd == cmdGet {
		m.getting = false
	}
	switch {
	case m.state == StateDisconnected:
	case cmd == cmdGet && !gone(err):
		m.probe(probeEvery)
		m.confirmPhase()
	case cmd == cmdKeepAlive && !gone(err):
		m.keep(min(m.keepAlive, keepAliveAgain))
	case cmd == cmdRoster:
		m.resyncFailed()
	case (cmd == cmdGet || cmd == cmdHangUp || cmd == cmdKeepAlive) && gone(err):
		m.end(nil)
	default:
		// A hang-up that is refused ends the call here all the same: its
		// media is closed and no other is let in.
		m.end(err)
	}
}

// notice obeys what the cloud tells, once per message id. Nothing that it
// tells before we asked it for anything can be about this call.
func (m *machine) notice(n Notice) {
	rings := m.direction == DirectionIncoming && n.Kind == EventDisconnected
	if m.state == StateNew && !rings || m.stale(n) || n.ID != "" && !m.seen.add(n.ID, struct{}{}, seenNotices) {
		m.do(ignore{n})
		return
	}
	m.do(tellNotice{n})
	switch n.Kind {
	case EventConnecting:
		m.advance(StateConnecting)
	case EventConnected, EventPhase:
		m.phased(n.Phase)
	case EventDisconnecting:
		m.advance(StateDisconnecting)
	case EventTone:
		m.do(tellTone{n.Tone})
	case EventDisconnected:
		m.endBy("call", n)
	case EventCreateFailed:
		m.endBy("create", n)
	case EventAnswerFailed:
		m.endBy("answer", n)
	case EventParticipants:
		m.rostered(n)
	case EventMediaFailed:
		m.do(tellMedia{m.up, m.errorOf("media", n)})
	}
}

// endBy ends the call as a notice says. What follows our own hang-up is no
// failure, nor is an ordinary end.
func (m *machine) endBy(op string, n Notice) {
	if m.asked || op == "call" && n.Code < 400 {
		m.end(nil)
		return
	}
	m.end(m.errorOf(op, n))
}

func (m *machine) errorOf(op string, n Notice) error {
	return &Error{Cloud: m.cloud, Op: op, Status: n.Code, Code: n.Reason, SubCode: n.SubCode, Message: n.Message}
}

// turn notes whether media flows. The loss of a connection does not end the
// call: the cloud dials again, and if it does not, the probe finds out why.
func (m *machine) turn(ev mediaTurned) {
	m.up = ev.up
	m.do(tellMedia(ev))
	if m.up {
		m.carried = true
		m.disarm(timerMedia)
		m.disarm(timerProbe)
	} else {
		m.probe(probeEvery)
	}
}

func (m *machine) hangUp(ev hangUpAsked) {
	if m.err == nil && m.state < StateDisconnected {
		m.err = ev.cause
	}
	m.asked, m.everyone = true, m.everyone || ev.forEveryone
	switch {
	case m.state >= StateDisconnecting: // asked before, or over
	case m.state == StateNew && m.direction == DirectionIncoming:
		m.decline(decided{cmd: cmdReject})
	case m.state == StateNew: // nothing was posted
		m.end(nil)
	case m.conn.CallID == "":
		m.owed = true
		m.enter(StateDisconnecting)
	default:
		m.enter(StateDisconnecting)
		m.postHangUp()
	}
}

func (m *machine) postHangUp() {
	m.owed = false
	m.do(post{cmd: cmdHangUp, callID: m.conn.CallID, forEveryone: m.everyone})
}

func (m *machine) fire(t timer) {
	switch t {
	case timerAnswer:
		m.err = ErrAnswerDeadline
		m.decline(decided{cmd: cmdReject})
	case timerProbe:
		m.get()
	case timerKeepAlive:
		m.do(post{cmd: cmdKeepAlive, callID: m.conn.CallID})
	case timerResync:
		m.askRoster()
	case timerPhase:
		m.askPhase()
	case timerMedia:
		m.lackMedia()
	case timerEnd:
		m.end(nil)
	case timerDrain:
		m.close()
	}
}

// advance follows what the cloud says the state is, upwards only.
func (m *machine) advance(s CallState) {
	switch {
	case s == StateDisconnected:
		m.end(nil)
	case s == StateDisconnecting && m.state < s:
		m.enter(s)
		m.arm(timerEnd, endLimit)
	case s > m.state:
		m.enter(s)
	}
}

// enter moves to a higher state.
func (m *machine) enter(s CallState) {
	m.state = s
	switch {
	case s == StateConnected:
		m.awaitMedia()
	case s >= StateDisconnecting:
		for _, t := range []timer{timerProbe, timerKeepAlive, timerResync, timerPhase, timerMedia} {
			m.disarm(t)
		}
	}
	m.do(tellState{s})
}

// end is the way into the final state; err is why, unless that is known.
func (m *machine) end(err error) {
	if m.state == StateDisconnected {
		return
	}
	if m.err == nil {
		m.err = err
	}
	m.ringing, m.opening = false, false
	m.disarm(timerAnswer)
	m.disarm(timerEnd)
	m.enter(StateDisconnected)
	if !m.media {
		m.finish()
		return
	}
	m.do(drainMedia{})
	m.arm(timerDrain, drainLimit)
}

func (m *machine) close() {
	m.disarm(timerDrain)
	m.do(closeMedia{})
	m.finish()
}

func (m *machine) finish() {
	m.over = true
	m.do(finish{})
}

func (m *machine) do(a action) { m.out = append(m.out, a) }

func (m *machine) arm(t timer, d time.Duration) { m.do(arm{t, m.now.Add(d)}) }

func (m *machine) disarm(t timer) { m.do(disarm{t}) }

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}
