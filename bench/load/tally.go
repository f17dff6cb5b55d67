package load

import (
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// newHistogram is of µs, from 1 µs to a minute, to three digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 3) }

// record takes ns.
func record(h *hdrhistogram.Histogram, ns int64) {
	_ = h.RecordValue(max(1, min(60_000_000, ns/1000))) // cannot be out of range
}

// A tally is what one thread counted. The thread holds mu while it works
// through a batch; the collector takes it once a second.
type tally struct {
	mu sync.Mutex

	latency *hdrhistogram.Histogram // from when a frame was due
	service *hdrhistogram.Histogram // from when it left
	own     *hdrhistogram.Histogram // how late this thread was: a writer after the schedule, a reader after epoll
	second  *hdrhistogram.Histogram // latency of all frames, since the collector came
	late    *hdrhistogram.Histogram // own, since the collector came

	sent, back                   int64 // all frames, measured or not
	reordered, duplicated, stale int64 // measured frames
	altered                      int64 // samples of audio without a mark
	strange                      int64 // marks that were never sent
	blocked                      int64 // frames that waited because the server did not read
	other                        int64 // messages without audio
}

func newTally() *tally {
	return &tally{latency: newHistogram(), service: newHistogram(), own: newHistogram(), second: newHistogram(), late: newHistogram()}
}

// add merges what the thread measured into t.
func (t *tally) add(o *tally) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.latency.Merge(o.latency)
	t.service.Merge(o.service)
	t.sent += o.sent
	t.back += o.back
	t.reordered += o.reordered
	t.duplicated += o.duplicated
	t.stale += o.stale
	t.altered += o.altered
	t.strange += o.strange
	t.blocked += o.blocked
	t.other += o.other
}

// take moves what was measured since the last take into latency and late.
func (t *tally) take(latency, late *hdrhistogram.Histogram) (sent, back int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	latency.Merge(t.second)
	late.Merge(t.late)
	t.second.Reset()
	t.late.Reset()
	return t.sent, t.back
}
