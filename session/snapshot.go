package session

import (
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
)

// Snapshot is a call as the control API shows it. It holds no secret.
type Snapshot struct {
	ID            string    `json:"id"`
	CallID        string    `json:"call_id,omitempty"`
	GroupID       string    `json:"group_id,omitempty"`
	CorrelationID string    `json:"correlation_id,omitempty"`
	Cloud         string    `json:"cloud"`
	Direction     Direction `json:"direction"`
	State         CallState `json:"state"`
	Phase         CallPhase `json:"phase"`
	// InLobby: the bot waits to be admitted.
	InLobby bool `json:"in_lobby,omitempty"`
	// SelfID is the bot's own Participant.ID, where the cloud tells it.
	SelfID string `json:"self_id,omitempty"`
	// Created is when the call was asked for or rang.
	Created   time.Time `json:"created"`
	Connected time.Time `json:"connected,omitzero"`
	From      Identity  `json:"from,omitzero"`
	To        Identity  `json:"to,omitzero"`
	// Error is why the call ended or is about to.
	Error        string        `json:"error,omitempty"`
	Participants []Participant `json:"participants"`
	Media        MediaSnapshot `json:"media"`
}

// MediaSnapshot is a call's media. Frames are 20 ms.
type MediaSnapshot struct {
	Channels      engine.Channels `json:"channels"`
	SampleRate    int             `json:"sample_rate"`
	Bidirectional bool            `json:"bidirectional"`
	DTMF          bool            `json:"dtmf"`
	// Connected: a connection carries the audio now.
	Connected bool `json:"connected"`
	// Error is the last failure of a connection.
	Error string `json:"error,omitempty"`
	// Start is the UTC of the leg's first sample.
	Start      time.Time `json:"start,omitzero"`
	FramesIn   int64     `json:"frames_in"`
	FramesOut  int64     `json:"frames_out"`
	FramesLost int64     `json:"frames_lost"`
	// Latency from the return of the socket read to the app's hands, and
	// SendLatency from when a frame could be sent (it was written, and the peer
	// had room) until the connection had it.
	Latency     LatencySnapshot    `json:"latency_ms"`
	SendLatency LatencySnapshot    `json:"send_latency_ms"`
	Speakers    []SpeakerSnapshot  `json:"speakers"`
	Source      engine.SourceStats `json:"source"`
	Transport   transport.Stats    `json:"transport"`
}

// SpeakerSnapshot counts one render context and names who speaks in it.
type SpeakerSnapshot struct {
	Name string `json:"name,omitempty"`
	engine.RenderStats
}

// Snapshot returns the call as it is now. It allocates: for tables and APIs.
func (c *Call) Snapshot() Snapshot {
	c.mu.Lock()
	s := Snapshot{
		ID: c.id, CallID: c.conn.CallID, GroupID: c.conn.GroupID, CorrelationID: c.conn.CorrelationID,
		Cloud: c.cloud.Name(), Direction: c.direction, State: c.state,
		Phase: c.phase, InLobby: c.lobby, SelfID: c.conn.SelfID,
		Created: c.created, Connected: c.connected,
		From: c.incoming.From, To: c.incoming.To,
		Error: errorText(c.err),
		Media: MediaSnapshot{
			Channels: c.options.Channels, SampleRate: c.options.SampleRate,
			Bidirectional: c.options.Bidirectional, DTMF: c.options.DTMF,
			Connected: c.mediaUp, Error: errorText(c.mediaErr),
		},
	}
	if c.direction == DirectionOutgoing {
		s.From = c.conn.Source
		if len(c.conn.Targets) > 0 {
			s.To = c.conn.Targets[0]
		}
	}
	leg, endpoint := c.leg, c.endpoint
	c.mu.Unlock()
	s.Participants = c.Participants()
	if s.Media.SampleRate == 0 {
		s.Media.SampleRate = 16000
	}
	s.Media.Speakers = []SpeakerSnapshot{}
	if leg != nil {
		c.addLeg(&s.Media, leg.Stats())
	}
	if endpoint != nil {
		s.Media.Transport = endpoint.Stats()
	}
	return s
}

func (c *Call) addLeg(m *MediaSnapshot, leg engine.LegStats) {
	m.Start, m.Source = leg.Start, leg.Source
	m.FramesIn, m.FramesLost = leg.Frames()
	m.FramesOut = leg.Source.Frames
	m.Latency, m.SendLatency = latencyOf(leg.Latency), latencyOf(leg.SendLatency)
	for _, r := range leg.Renders {
		m.Speakers = append(m.Speakers, SpeakerSnapshot{c.Name(r.RawID), r})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// counters of a manager. Atomic: written by whoever counts.
type counters struct {
	created, answered, rejected, redirected, failed        atomic.Int64
	notices, duplicates, unknown, late, dropped, malformed atomic.Int64
	rings, ringsRepeated, ringsRefused                     atomic.Int64
	panics, strays                                         atomic.Int64
}

// Stats counts what happened since the manager was made.
type Stats struct {
	// Live calls and undecided rings now.
	Live    int `json:"live"`
	Ringing int `json:"ringing"`
	// Requests that the clouds took, by kind, and those that failed.
	Created    int64 `json:"created"`
	Answered   int64 `json:"answered"`
	Rejected   int64 `json:"rejected"`
	Redirected int64 `json:"redirected"`
	Failed     int64 `json:"failed"`
	// Notices delivered. Of these: Duplicates told before or overtaken by a
	// newer roster; Unknown, whose call was never known; Late, whose call
	// was over; Dropped, for which a queue had no room; Malformed, without
	// a usable id; Early wait now for their call to be known.
	Notices    int64 `json:"notices"`
	Duplicates int64 `json:"duplicates"`
	Unknown    int64 `json:"unknown"`
	Late       int64 `json:"late"`
	Dropped    int64 `json:"dropped"`
	Malformed  int64 `json:"malformed"`
	Early      int   `json:"early"`
	// Rings delivered. Of these: Repeated, the same again; Refused, for an
	// unknown cloud, too many calls or after Close.
	Rings         int64 `json:"rings"`
	RingsRepeated int64 `json:"rings_repeated"`
	RingsRefused  int64 `json:"rings_refused"`
	// Panics of callbacks.
	Panics int64 `json:"panics"`
	// Strays: calls that a create made whose response was lost.
	Strays int64 `json:"strays"`
}

// Stats returns the counters.
func (m *Manager) Stats() Stats {
	n := &m.counters
	m.mu.Lock()
	n.unknown.Add(int64(m.early.sweep(m.clock.Now())))
	s := Stats{Live: len(m.calls), Ringing: len(m.rings), Early: len(m.early.queue)}
	m.mu.Unlock()
	s.Created, s.Answered = n.created.Load(), n.answered.Load()
	s.Rejected, s.Redirected, s.Failed = n.rejected.Load(), n.redirected.Load(), n.failed.Load()
	s.Notices, s.Duplicates = n.notices.Load(), n.duplicates.Load()
	s.Unknown, s.Late = n.unknown.Load(), n.late.Load()
	s.Dropped, s.Malformed = n.dropped.Load(), n.malformed.Load()
	s.Rings, s.RingsRepeated, s.RingsRefused = n.rings.Load(), n.ringsRepeated.Load(), n.ringsRefused.Load()
	s.Panics, s.Strays = n.panics.Load(), n.strays.Load()
	return s
}
