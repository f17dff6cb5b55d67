package session

import (
	"math"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPauses(t *testing.T) {
	h := &metrics.Float64Histogram{
		Counts:  []uint64{0, 90, 9, 0, 1},
		Buckets: []float64{math.Inf(-1), 0, 1e-5, 1e-3, 2e-3, math.Inf(1)},
	}
	require.Equal(t, LatencySnapshot{Count: 100, P50: 0.01, P99: 2, P999: 2, Max: 2}, pauses(h))
	require.Zero(t, pauses(&metrics.Float64Histogram{Counts: []uint64{0}, Buckets: []float64{0, 1}}))
}

func TestGC(t *testing.T) {
	before := GC()
	runtime.GC()
	after := GC()
	require.Greater(t, after.Cycles, before.Cycles)
	require.Greater(t, after.Pauses.Count, before.Pauses.Count)
	require.Positive(t, after.Pauses.Max)
	require.Positive(t, after.Heap)
}
