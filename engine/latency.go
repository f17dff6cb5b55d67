package engine

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

const (
	subBits    = 4 // 16 steps an octave: a quantile is at most 6 % too high
	latBuckets = (36 - subBits) << subBits
)

// latency is a histogram of how long frames took, in ns up to 34 s. Many
// goroutines record; nobody waits.
type latency struct {
	buckets [latBuckets]atomic.Uint32
	max     atomic.Int64
}

// record takes ns; less than none counts as none.
func (h *latency) record(d int64) {
	d = max(d, 0)
	h.buckets[bucketOf(d)].Add(1)
	for m := h.max.Load(); d > m && !h.max.CompareAndSwap(m, d); m = h.max.Load() {
	}
}

// since records the time since at, unless that is not known.
func (h *latency) since(at int64) {
	if h != nil && at != 0 {
		h.record(Now() - at)
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

// Latency summarises a Histogram. Quantiles are at most 6 % too high.
type Latency struct {
	Count               int64
	P50, P99, P999, Max time.Duration
}

// Histogram is of durations up to 34 s, in buckets of 6 %, as they were when it
// was filled. The zero value is empty.
type Histogram struct {
	counts [latBuckets]int64
	count  int64
	max    int64
}

// add adds what h has now.
func (t *Histogram) add(h *latency) {
	for i := range h.buckets {
		n := int64(h.buckets[i].Load())
		t.counts[i] += n
		t.count += n
	}
	t.max = max(t.max, h.max.Load())
}

// lateness is a Histogram of a pacer's turns, a thousand a second at most, for as
// long as the process lives.
type lateness struct {
	mu sync.Mutex
	h  Histogram
}

func (l *lateness) since(at int64) {
	d := max(Now()-at, 0)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.h.counts[bucketOf(d)]++
	l.h.count++
	l.h.max = max(l.h.max, d)
}

func (l *lateness) addTo(t *Histogram) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Merge(&l.h)
}

// Merge adds what another has.
func (t *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		t.counts[i] += n
	}
	t.count += o.count
	t.max = max(t.max, o.max)
}

// Count returns how many durations there are.
func (t *Histogram) Count() int64 { return t.count }

// Max returns the longest.
func (t *Histogram) Max() time.Duration { return time.Duration(t.max) }

// Quantile returns the duration that the part q of all are below, 0 to 1.
func (t *Histogram) Quantile(q float64) time.Duration {
	rank, seen := int64(q*float64(t.count)), int64(0)
	for i, n := range t.counts {
		if seen += n; n > 0 && seen > rank {
			return time.Duration(min(upper(i), t.max))
		}
	}
	return time.Duration(t.max)
}

// Within returns how many are surely no longer than d: those of the bucket in
// which d lies are not counted.
func (t *Histogram) Within(d time.Duration) (n int64) {
	for i, k := range t.counts {
		if upper(i) > int64(d) {
			break
		}
		n += k
	}
	return n
}

// Sum returns the sum, each taken for the middle of its bucket: 3 % off at most.
func (t *Histogram) Sum() time.Duration {
	sum, below := int64(0), int64(-1)
	for i, n := range t.counts {
		most := upper(i)
		sum += n * ((below + 1 + most) / 2)
		below = most
	}
	return time.Duration(sum)
}

// Summary returns the quantiles that snapshots show.
func (t *Histogram) Summary() Latency {
	return Latency{Count: t.count, P50: t.Quantile(0.50), P99: t.Quantile(0.99), P999: t.Quantile(0.999), Max: t.Max()}
}

func (h *latency) summary() Latency {
	var t Histogram
	t.add(h)
	return t.Summary()
}
