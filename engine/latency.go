package engine

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

const (
	subBits    = 4 // 16 steps an octave: a quantile is at most 6 % too high
	latBuckets = (36 - subBits) << subBits
)

// latency is a histogram of how long frames took from the return of the
// socket read to the app's hands, in ns up to 34 s. Many goroutines record;
// nobody waits.
type latency struct {
	buckets [latBuckets]atomic.Uint32
	max     atomic.Int64
}

// Latency summarises a leg's latencies.
type Latency struct {
	Count         int64
	P50, P99, Max time.Duration
}

func (h *latency) record(f *pcm.Frame) {
	if h == nil || f.Arrival == 0 {
		return
	}
	d := max(Now()-f.Arrival, 0)
	h.buckets[bucketOf(d)].Add(1)
	for m := h.max.Load(); d > m && !h.max.CompareAndSwap(m, d); m = h.max.Load() {
	}
}

func bucketOf(d int64) int {
	exp := bits.Len64(uint64(d)>>subBits) - 1 // octave above the linear part
	if exp < 0 {
		return int(d)
	}
	return min((exp+1)<<subBits|int(d>>exp)&(1<<subBits-1), latBuckets-1)
}

// upper is the greatest value of a bucket.
func upper(b int) int64 {
	exp := b>>subBits - 1
	if exp < 0 {
		return int64(b)
	}
	return (int64(b&(1<<subBits-1)|1<<subBits)+1)<<exp - 1
}

func (h *latency) summary() Latency {
	var counts [latBuckets]uint32
	s := Latency{Max: time.Duration(h.max.Load())}
	for i := range counts {
		counts[i] = h.buckets[i].Load()
		s.Count += int64(counts[i])
	}
	quantile := func(q float64) time.Duration {
		rank, seen := int64(q*float64(s.Count)), int64(0)
		for i, n := range counts {
			if seen += int64(n); n > 0 && seen > rank {
				return min(time.Duration(upper(i)), s.Max)
			}
		}
		return s.Max
	}
	s.P50, s.P99 = quantile(0.50), quantile(0.99)
	return s
}
