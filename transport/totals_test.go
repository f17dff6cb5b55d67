package transport

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// counter is an endpoint of which only the counters are there.
type counter struct {
	Endpoint
	stats Stats
}

func (c *counter) Stats() Stats { return c.stats }

func TestTotals(t *testing.T) {
	var total Totals
	sum, open, connected := total.Sum()
	require.Zero(t, sum)
	require.Zero(t, open+connected)
	a := &counter{stats: Stats{Connections: 2, MessagesIn: 5, BadMessages: map[string]int64{"json": 1}, Connected: true}}
	b := &counter{stats: Stats{Refused: 1, MessagesOut: 7, BadMessages: map[string]int64{"json": 2, "rate": 3}, RTP: &RTPStats{Codec: "PCMU/8000", Lost: 4, PeerLost: -1, Jitter: 3}}}
	total.Add(a)
	total.Add(b)
	want := Stats{
		Connections: 2, Refused: 1, MessagesIn: 5, MessagesOut: 7,
		BadMessages: map[string]int64{"json": 3, "rate": 3}, RTP: &RTPStats{Lost: 4},
	}
	sum, open, connected = total.Sum()
	require.Equal(t, want, sum)
	require.Equal(t, [2]int{2, 1}, [2]int{open, connected})
	total.End(b)
	total.End(b)
	b.stats.MessagesOut = 100
	sum, open, connected = total.Sum()
	require.Equal(t, want, sum, "kept, once")
	require.Equal(t, [2]int{1, 1}, [2]int{open, connected})
	sum.BadMessages["json"]++
	sum.RTP.Lost++
	again, _, _ := total.Sum()
	require.Equal(t, want, again, "the caller's own")
	total.End(a)
	require.Empty(t, total.open)
}

func TestTotalsConcurrently(t *testing.T) {
	var total Totals
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			c := &counter{stats: Stats{MessagesIn: 1}}
			total.Add(c)
			_, _, _ = total.Sum()
			total.End(c)
		})
	}
	all.Wait()
	sum, open, _ := total.Sum()
	require.EqualValues(t, 100, sum.MessagesIn)
	require.Zero(t, open)
}
