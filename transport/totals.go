package transport

import (
	"maps"
	"sync"
)

// Totals sums the counters of a transport's endpoints, those that are over
// included. The zero value is ready. Methods are safe for concurrent use.
type Totals struct {
	// Guarded by mu.
	mu   sync.Mutex
	open map[Endpoint]struct{}
	past Stats
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
	if _, open := t.open[e]; open {
		delete(t.open, e)
		t.past.add(e.Stats())
	}
}

// Sum returns the sums; Connected is false, and of RTP only what can be summed
// is there. open is how many endpoints are not over, connected of them how many
// have a connection.
func (t *Totals) Sum() (sum Stats, open, connected int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum = t.past
	sum.BadMessages = maps.Clone(t.past.BadMessages)
	if t.past.RTP != nil {
		rtp := *t.past.RTP
		sum.RTP = &rtp
	}
	for e := range t.open {
		s := e.Stats()
		if s.Connected {
			connected++
		}
		sum.add(s)
	}
	return sum, len(t.open), connected
}

func (s *Stats) add(o Stats) {
	s.Connections += o.Connections
	s.Refused += o.Refused
	s.MessagesIn += o.MessagesIn
	s.MessagesOut += o.MessagesOut
	for reason, n := range o.BadMessages {
		if s.BadMessages == nil {
			s.BadMessages = make(map[string]int64)
		}
		s.BadMessages[reason] += n
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
	s.Late += o.Late
	s.Duplicate += o.Duplicate
	s.Recovered += o.Recovered
	s.Concealed += o.Concealed
	s.Restarts += o.Restarts
	s.Keys += o.Keys
	s.Sent += o.Sent
	s.PeerLost += o.PeerLost
	s.Withheld += o.Withheld
}
