package session

import (
	"math"
	"runtime/metrics"
	"time"

	"github.com/mixminus/mixminus/engine"
)

// LatencySnapshot is in milliseconds with a resolution of 1 µs; quantiles are
// at most 6 % too high.
type LatencySnapshot struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

func latencyOf(l engine.Latency) LatencySnapshot {
	return LatencySnapshot{l.Count, inMillis(l.P50), inMillis(l.P99), inMillis(l.P999), inMillis(l.Max)}
}

func inMillis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// HostMedia is the media of all legs of the engine, those that are over and
// those of no call included.
type HostMedia struct {
	engine.Totals
	// Latency from the return of the socket read to the app's hands, and
	// SendLatency from when a frame could be sent until the connection had it.
	Latency     LatencySnapshot `json:"latency_ms"`
	SendLatency LatencySnapshot `json:"send_latency_ms"`
	// PacerLate is how late the pacers' turns began.
	PacerLate LatencySnapshot `json:"pacer_late_ms"`
	// The greatest 99th percentiles of one leg, of those that are open, in ms.
	WorstLatency     float64 `json:"worst_leg_latency_p99_ms"`
	WorstSendLatency float64 `json:"worst_leg_send_latency_p99_ms"`
}

// Media returns the media of the manager's engine. It looks at every leg.
func (m *Manager) Media() *HostMedia {
	t := m.engine.Totals()
	return &HostMedia{
		Totals:  *t,
		Latency: latencyOf(t.Latency.Summary()), SendLatency: latencyOf(t.SendLatency.Summary()), PacerLate: latencyOf(t.PacerLate.Summary()),
		WorstLatency: inMillis(t.WorstLatency), WorstSendLatency: inMillis(t.WorstSendLatency),
	}
}

// Collections is what the garbage collector did since the process began.
type Collections struct {
	Cycles int64 `json:"cycles"`
	// Pauses in which no goroutine ran.
	Pauses LatencySnapshot `json:"pause_ms"`
	// Heap in use, in bytes, when the collector last looked.
	Heap int64 `json:"heap_live_bytes"`
}

// GC asks the runtime.
func GC() Collections {
	s := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}, {Name: "/sched/pauses/total/gc:seconds"},
	}
	metrics.Read(s)
	var c Collections
	if s[0].Value.Kind() == metrics.KindUint64 {
		c.Cycles = int64(s[0].Value.Uint64())
	}
	if s[1].Value.Kind() == metrics.KindUint64 {
		c.Heap = int64(s[1].Value.Uint64())
	}
	if s[2].Value.Kind() == metrics.KindFloat64Histogram {
		c.Pauses = pauses(s[2].Value.Float64Histogram())
	}
	return c
}

// pauses takes each for the upper end of its bucket.
func pauses(h *metrics.Float64Histogram) LatencySnapshot {
	var s LatencySnapshot
	for _, n := range h.Counts {
		s.Count += int64(n)
	}
	ms := func(i int) float64 {
		end := h.Buckets[i+1]
		if math.IsInf(end, 0) {
			end = h.Buckets[i]
		}
		return math.Round(end*1e6) / 1e3
	}
	quantile := func(q float64) float64 {
		rank, seen := int64(q*float64(s.Count)), int64(0)
		for i, n := range h.Counts {
			if seen += int64(n); n > 0 && seen > min(rank, s.Count-1) {
				return ms(i)
			}
		}
		return 0
	}
	s.P50, s.P99, s.P999, s.Max = quantile(0.50), quantile(0.99), quantile(0.999), quantile(1)
	return s
}
