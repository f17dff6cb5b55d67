package transport

import (
	"maps"
	"sync"
)

// Totals sums the counters of a transport's endpoints, those that are over
// included. The zero value is ready. Methods are safe for concurrent use, and
// Add and End wait for no sum.
type Totals struct {
	// Guarded by mu.
	mu   sync.Mutex
	open map[Endpoint]struct{}
	past Stats
	// Sums that are being made, without the lock, and what ended meanwhile: it
	// is in them.
	sums  int
	ended []Endpoint
}

// Add counts an endpoint from now on.
func (t *Totals) Add(e Endpoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(map[Endpoint]struct{})
	}
	t.open[e] = struct{}{}
}

// End keeps the counters of an endpoint that is over; what it counts later is
// not in the sum. The first time counts.
func (t *Totals) End(e Endpoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, open := t.open[e]; !open {
		return
	}
	delete(t.open, e)
	if t.sums > 0 {
		t.ended = append(t.ended, e)
		return
	}
	t.past.Add(e.Stats())
}

// Sum returns the sums; Connected is false, and of RTP only what can be summed
// is there. open is how many endpoints are not over, connected of them how many
// have a connection.
func (t *Totals) Sum() (sum Stats, open, connected int) {
	t.mu.Lock()
	t.sums++
	sum.Add(t.past)
	all := make([]Endpoint, 0, len(t.open)+len(t.ended))
	for e := range t.open {
		all = append(all, e)
	}
	open = len(all)
	all = append(all, t.ended...)
	t.mu.Unlock()
	for i, e := range all {
		s := e.Stats()
		if s.Connected && i < open {
			connected++
		}
		sum.Add(s)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sums--; t.sums == 0 {
		for _, e := range t.ended {
			t.past.Add(e.Stats())
		}
		t.ended = nil
	}
	if sum.RTP != nil {
		sum.RTP.forgetLast()
	}
	return sum, open, connected
}

// Add adds another's counters. Of RTP what cannot be summed is the other's, and
// so it is what was last.
func (s *Stats) Add(o Stats) {
	s.Connections += o.Connections
	s.Refused += o.Refused
	s.MessagesIn += o.MessagesIn
	s.MessagesOut += o.MessagesOut
	if s.BadMessages == nil && len(o.BadMessages) > 0 {
		s.BadMessages = maps.Clone(o.BadMessages)
	} else {
		for reason, n := range o.BadMessages {
			s.BadMessages[reason] += n
		}
	}
	if o.RTP != nil {
		if s.RTP == nil {
			s.RTP = new(RTPStats)
		}
		s.RTP.add(o.RTP)
	}
}

func (s *RTPStats) add(o *RTPStats) {
	s.Received += o.Received
	s.Lost += o.Lost
	s.Missing += o.Missing
	s.Found += o.Found
	s.Late += o.Late
	s.Duplicate += o.Duplicate
	s.Recovered += o.Recovered
	s.Concealed += o.Concealed
	s.Restarts += o.Restarts
	s.Keys += o.Keys
	s.Sent += o.Sent
	s.Withheld += o.Withheld
	s.Codec, s.Jitter, s.Delay, s.Target = o.Codec, o.Jitter, o.Delay, o.Target
	s.PeerLost, s.PeerJitter, s.RoundTrip = o.PeerLost, o.PeerJitter, o.RoundTrip
}

// forgetLast leaves what can be summed.
func (s *RTPStats) forgetLast() {
	s.Codec, s.Jitter, s.Delay, s.Target = "", 0, 0, 0
	s.PeerLost, s.PeerJitter, s.RoundTrip = 0, 0, 0
}
