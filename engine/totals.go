package engine

import (
	"maps"
	"slices"
	"time"
)

// Totals sums the legs of an engine, those that are over included: but for Lost,
// counters only grow. What rooms do within is not in it, but what their members
// hear and say is.
type Totals struct {
	// Legs open now, and Opened ever; rooms have one too.
	Legs   int   `json:"legs"`
	Opened int64 `json:"legs_opened"`
	// Frames of 20 ms from the calls, and of these: see RenderStats.
	FramesIn  int64 `json:"frames_in"`
	Silent    int64 `json:"silent"`
	Concealed int64 `json:"concealed"`
	// Slots without audio (Lost may fall: see Found), and frames that had to be
	// placed by counting.
	Lost      int64 `json:"lost"`
	Found     int64 `json:"found"`
	Late      int64 `json:"late"`
	DTX       int64 `json:"dtx"`
	ClockFree int64 `json:"clock_free"`
	// Refused chunks of speakers over MaxSpeakers, and frames that found a
	// tap's ring full.
	Refused    int64  `json:"refused"`
	TapDropped uint64 `json:"tap_dropped"`
	Keys       int64  `json:"keys"`
	// Frames into the calls: see SourceStats.
	FramesOut        int64  `json:"frames_out"`
	Underruns        int64  `json:"underruns"`
	Stalls           int64  `json:"stalls"`
	Flushes          int64  `json:"flushes"`
	FlushedSamples   int64  `json:"flushed_samples"`
	PaddedSamples    int64  `json:"padded_samples"`
	SourceTapDropped uint64 `json:"source_tap_dropped"`
	// Latency and SendLatency are LegStats's, PacerLate how late the turns of
	// the pacers began.
	Latency     Histogram `json:"-"`
	SendLatency Histogram `json:"-"`
	PacerLate   Histogram `json:"-"`
	// The greatest 99th percentiles of one leg, of those that are open.
	WorstLatency     time.Duration `json:"-"`
	WorstSendLatency time.Duration `json:"-"`
}

// Totals returns the sums. It looks at every leg, and holds up neither frames nor
// legs that begin or end: for scrapes and tables.
func (e *Engine) Totals() *Totals {
	e.mu.Lock()
	e.sums++
	t := e.past
	t.Legs = len(e.legs)
	all := make([]*Leg, 0, len(e.legs)+len(e.ending)+len(e.ended))
	all = slices.AppendSeq(all, maps.Keys(e.legs))
	open := len(all)
	all = slices.AppendSeq(all, maps.Keys(e.ending))
	all = append(all, e.ended...)
	e.mu.Unlock()
	for i, l := range all {
		p99, sendP99 := t.add(l)
		if i < open {
			t.WorstLatency, t.WorstSendLatency = max(t.WorstLatency, p99), max(t.WorstSendLatency, sendP99)
		}
	}
	for _, p := range e.pacers {
		p.late.addTo(&t.PacerLate)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sums--; e.sums == 0 {
		for _, l := range e.ended {
			e.past.add(l)
		}
		e.ended = nil
	}
	return &t
}

// forget takes a closed leg out of those that are open. Until it is spent, it
// counts on.
func (e *Engine) forget(l *Leg) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.legs[l]; open {
		delete(e.legs, l)
		e.ending[l] = struct{}{}
	}
}

// spent keeps the sums of a leg that is closed, and into which nothing more will
// come: once.
func (e *Engine) spent(l *Leg) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ending := e.ending[l]
	_, open := e.legs[l]
	if !ending && !open {
		return
	}
	delete(e.ending, l)
	delete(e.legs, l)
	if e.sums > 0 {
		e.ended = append(e.ended, l)
		return
	}
	e.past.add(l)
}

// add adds a leg, and returns the 99th percentiles of its latencies.
func (t *Totals) add(l *Leg) (p99, sendP99 time.Duration) {
	if l.cfg.inner {
		return 0, 0
	}
	for _, r := range *l.renders.Load() {
		s := r.Stats()
		t.FramesIn += s.Frames
		t.Silent += s.Silent
		t.Concealed += s.Concealed
		t.Lost += s.Lost
		t.Found += s.Found
		t.Late += s.Late
		t.DTX += s.DTX
		t.ClockFree += s.ClockFree
		t.TapDropped += s.TapDropped
	}
	l.mu.Lock()
	t.TapDropped += dropped(l.dropped, l.taps)
	l.mu.Unlock()
	t.Refused += l.refused.Load()
	t.Keys += l.dtmf.Load()
	s := l.source.Stats()
	t.FramesOut += s.Frames
	t.Underruns += s.Underruns
	t.Stalls += s.Stalls
	t.Flushes += s.Flushes
	t.FlushedSamples += s.Flushed
	t.PaddedSamples += s.Padded
	t.SourceTapDropped += s.TapDropped
	var in, out Histogram
	in.add(&l.lat)
	out.add(&l.source.lat)
	t.Latency.Merge(&in)
	t.SendLatency.Merge(&out)
	return in.Quantile(0.99), out.Quantile(0.99)
}
