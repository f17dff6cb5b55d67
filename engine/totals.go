package engine

import "time"

// Totals sums the legs of an engine, those that are over included: counters
// only grow. What rooms do within is not in it, but what their members hear and
// say is.
type Totals struct {
	// Legs open now, and Opened ever; rooms have one too.
	Legs   int   `json:"legs"`
	Opened int64 `json:"legs_opened"`
	// Frames of 20 ms from the calls, and of these: see RenderStats.
	FramesIn  int64 `json:"frames_in"`
	Silent    int64 `json:"silent"`
	Concealed int64 `json:"concealed"`
	// Slots without audio, and frames that had to be placed by counting.
	Lost      int64 `json:"lost"`
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

// Totals returns the sums. It looks at every leg, with no lock that frames take:
// for scrapes and tables.
func (e *Engine) Totals() *Totals {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.past
	t.Legs = len(e.legs)
	for l := range e.legs {
		t.add(l)
		if !l.cfg.inner {
			t.WorstLatency = max(t.WorstLatency, l.lat.summary().P99)
			t.WorstSendLatency = max(t.WorstSendLatency, l.source.lat.summary().P99)
		}
	}
	for l := range e.ending {
		t.add(l)
	}
	for _, p := range e.pacers {
		t.PacerLate.add(&p.late)
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

// spent keeps the sums of a leg that is closed and forgotten, and into which
// nothing more will come: once.
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
	e.past.add(l)
}

func (t *Totals) add(l *Leg) {
	if l.cfg.inner {
		return
	}
	for _, r := range *l.renders.Load() {
		s := r.Stats()
		t.FramesIn += s.Frames
		t.Silent += s.Silent
		t.Concealed += s.Concealed
		t.Lost += s.Lost
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
	t.Latency.add(&l.lat)
	t.SendLatency.add(&l.source.lat)
}
