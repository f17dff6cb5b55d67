package rtpleg

import (
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpmedia"
)

// Stats of a Media.
type Stats struct {
	In      rtpmedia.InboundStats  `json:"in"`
	Out     rtpmedia.OutboundStats `json:"out"`
	Control rtpmedia.ControlStats  `json:"control"`
	// Flooded packets were more than 1,000 a second, and ReportsFlooded
	// reports more than 20: they were not looked at.
	Flooded        int64 `json:"flooded"`
	ReportsFlooded int64 `json:"reports_flooded"`
	// Queued frames wait to be sent. Refused ones found no room and stayed
	// with the source, and Flushed ones were dropped unsent.
	Queued  int64 `json:"queued"`
	Refused int64 `json:"refused"`
	Flushed int64 `json:"flushed"`
}

func (m *Media) publish() {
	m.dirty = 0
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats = Stats{
		In: m.in.Stats(), Out: m.out.Stats(), Control: m.control.Stats(),
		Flooded: m.n.flooded, ReportsFlooded: m.n.reportsFlooded,
		Queued: int64(m.queue.len()), Refused: m.queue.refused.Load(), Flushed: m.n.flushed,
	}
}

// Stats returns the counters, at most 200 ms old. From any goroutine.
func (m *Media) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Answered reports whether the peer has told how it hears our stream, whose SSRC
// only its receiver knows. On the beat's goroutine.
func (m *Media) Answered() bool { return m.control.Stats().Answers > 0 }

// Describe adds to a transport's counters what its media tells: the network, and
// by reason what was not heard. bad holds the transport's own such counts.
func (m *Media) Describe(to *transport.Stats, bad map[string]int64) {
	s := m.Stats()
	to.RTP = s.summary(m.Codec())
	if to.BadMessages == nil {
		to.BadMessages = map[string]int64{}
	}
	for _, counts := range []map[string]int64{s.bad(), bad} {
		for reason, n := range counts {
			if n > 0 {
				to.BadMessages[reason] += n
			}
		}
	}
}

func (s *Stats) summary(codec string) *transport.RTPStats {
	j, ms := &s.In.Jitter, func(ns int64) float64 { return float64(ns/1000) / 1000 }
	return &transport.RTPStats{
		Codec: codec, Received: j.Received, Lost: max(0, j.Missing-j.Found), Missing: j.Missing, Found: j.Found, Late: j.Late, Duplicate: j.Duplicate,
		Recovered: s.In.Recovered, Concealed: s.In.Concealed, Restarts: j.Restarts,
		Jitter: ms(s.In.NetworkJitter), Delay: ms(s.In.Delay), Target: ms(j.Target),
		Sent: s.Out.Packets, Keys: s.In.Tones.Presses,
		PeerLost: s.Control.PeerLost, PeerJitter: ms(s.Control.PeerJitter), RoundTrip: ms(s.Control.RoundTrip),
	}
}

func (s *Stats) bad() map[string]int64 {
	return map[string]int64{
		"payload_type": s.In.WrongType, "undecodable": s.In.Undecodable, "flooded": s.Flooded,
		"reports_flooded": s.ReportsFlooded, "malformed_report": s.Control.Malformed,
		"discarded": s.In.Jitter.Discarded, "bad_event": s.In.Tones.Malformed + s.In.Tones.Unknown,
	}
}
