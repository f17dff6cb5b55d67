package load

import (
	"math"
	"regexp"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a run found. Times are in ms unless their name says
// otherwise.
type Report struct {
	Started     time.Time  `json:"started"`
	Machine     Machine    `json:"machine"`
	Load        Load       `json:"load"`
	Interrupted bool       `json:"interrupted,omitempty"`
	Calls       CallCounts `json:"calls"`
	Setup       Quantiles  `json:"setup_ms"`
	Frames      Frames     `json:"frames"`
	// Latency runs from when a frame was due, Service from when it left. They
	// differ by how late the generator was, and by how long the server did not
	// read.
	Latency   Quantiles  `json:"latency_ms"`
	Service   Quantiles  `json:"service_ms"`
	Histogram []Bar      `json:"histogram"`
	Generator Generator  `json:"generator"`
	Server    *ServerUse `json:"server,omitempty"`
	Timeline  []Second   `json:"timeline"`
	Verdict   Verdict    `json:"verdict"`
}

// Load is what was asked for.
type Load struct {
	URL      string  `json:"url"`
	Kind     string  `json:"kind"`
	Calls    int     `json:"calls"`
	Speakers int     `json:"speakers"`
	Channels string  `json:"channels"`
	Rate     int     `json:"rate_hz"`
	Echo     Echo    `json:"echo"`
	Duration float64 `json:"duration_s"`
	Ramp     float64 `json:"ramp_s"`
	Workers  int     `json:"workers"`
}

// CallCounts is what became of the calls.
type CallCounts struct {
	Asked     int `json:"asked"`
	Connected int `json:"connected"`
	Failed    int `json:"failed"`  // never connected
	Dropped   int `json:"dropped"` // lost before the end
	// Errors are the reasons of both, and how often.
	Errors map[string]int `json:"errors,omitempty"`
}

// Frames counts those that were due while it was measured.
type Frames struct {
	Due  int64 `json:"due"`
	Sent int64 `json:"sent"`
	Back int64 `json:"back"` // each counted once
	Lost int64 `json:"lost"` // due and not back, sent or not
	// Unsent never left: the server did not read, or the call was lost.
	Unsent int64 `json:"unsent"`
	// Blocked had to wait, for the server did not read.
	Blocked    int64 `json:"blocked"`
	Duplicated int64 `json:"duplicated"`
	Reordered  int64 `json:"reordered"`
	// Gaps are runs of frames of a stream that are lost.
	Gaps       int64 `json:"gaps"`
	LongestGap int64 `json:"longest_gap"`
	// Altered samples held no mark: audio of the server's own, or changed.
	Altered int64 `json:"altered_samples"`
	// Other messages had no audio.
	Other int64 `json:"other_messages"`
}

// LossPercent of the frames that were due.
func (f *Frames) LossPercent() float64 {
	if f.Due == 0 {
		return 0
	}
	return 100 * float64(f.Lost) / float64(f.Due)
}

// Quantiles of a distribution, in ms.
type Quantiles struct {
	Count int64   `json:"count"`
	Min   float64 `json:"min"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// Bar counts the frames whose latency was at most To, and more than the bar
// before.
type Bar struct {
	To    float64 `json:"to"`
	Count int64   `json:"count"`
}

// Generator is how this end did.
type Generator struct {
	// WriteLate is how late frames left that the server let leave.
	WriteLate Quantiles `json:"write_late_ms"`
	// ReadLate is how long at most a frame that had come waited to be looked
	// at.
	ReadLate    Quantiles `json:"read_late_ms"`
	Cores       float64   `json:"cores"`
	CPUPerFrame float64   `json:"cpu_us_per_frame"`
}

func (g *Generator) addCPU(cpu time.Duration, span, frames int64) {
	g.Cores = round3(float64(cpu) / float64(max(1, span)))
	g.CPUPerFrame = round3(float64(cpu.Microseconds()) / float64(max(1, frames)))
}

// ServerUse is what the server's processes used while it was measured.
type ServerUse struct {
	Cores float64 `json:"cores"`
	// CPUPerFrame is µs of CPU, user and system, for each frame that
	// it sent back meanwhile; with EchoNone, that was sent to it.
	CPUPerFrame float64 `json:"cpu_us_per_frame"`
	RSSIdle     int64   `json:"rss_idle_bytes"` // before the first call
	RSS         int64   `json:"rss_bytes"`      // at the end of the measurement
	RSSPeak     int64   `json:"rss_peak_bytes"`
	RSSPerCall  int64   `json:"rss_per_call_bytes"`
	Error       string  `json:"error,omitempty"`
}

func serverUse(idle, before, after usage, span, frames int64) *ServerUse {
	cpu := after.cpu - before.cpu
	u := &ServerUse{Cores: round3(float64(cpu) / float64(max(1, span))), RSSIdle: idle.rss, RSS: after.rss}
	if frames > 0 {
		u.CPUPerFrame = round3(float64(cpu.Microseconds()) / float64(frames))
	}
	return u
}

// Second is one second of a run.
type Second struct {
	At       float64   `json:"at_s"`
	Calls    int       `json:"calls"`
	Sent     int64     `json:"sent"`
	Back     int64     `json:"back"`
	Latency  Quantiles `json:"latency_ms"`
	Late     float64   `json:"late_p99_ms"` // of the generator
	CPU      float64   `json:"cpu_cores,omitempty"`
	RSS      int64     `json:"rss_bytes,omitempty"`
	Measured bool      `json:"measured"`
}

var addresses = regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+:\d+(->)?`)

func round3(v float64) float64 { return math.Round(v*1000) / 1000 }

func quantilesOf(h *hdrhistogram.Histogram) Quantiles {
	if h.TotalCount() == 0 {
		return Quantiles{}
	}
	ms := func(us int64) float64 { return float64(us) / 1000 }
	at := func(p float64) float64 { return ms(h.ValueAtQuantile(p)) }
	return Quantiles{
		Count: h.TotalCount(), Min: ms(h.Min()), Mean: round3(h.Mean() / 1000),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: ms(h.Max()),
	}
}

// bars cuts h into bars whose edges grow by a tenth: the same on every run, so
// that two reports can be laid over each other.
func bars(h *hdrhistogram.Histogram) (out []Bar) {
	edge := 10.0 // µs
	for _, b := range h.Distribution() {
		if b.Count == 0 {
			continue
		}
		for float64(b.To) > edge {
			edge *= 1.1
		}
		to := round3(edge / 1000)
		if n := len(out); n > 0 && out[n-1].To == to {
			out[n-1].Count += b.Count
			continue
		}
		out = append(out, Bar{to, b.Count})
	}
	return out
}

// report puts together what the threads counted. They have ended.
func (r *runner) report(begin, end int64) *Report {
	heard, wrote := newTally(), newTally()
	rep := &Report{Started: r.clock.wall(0).UTC().Truncate(time.Second), Machine: thisMachine(), Load: r.cfg.load()}
	for _, w := range r.workers {
		heard.add(w.heard)
		heard.own.Merge(w.heard.own)
		wrote.add(w.wrote)
		wrote.own.Merge(w.wrote.own)
	}
	f := &rep.Frames
	for _, c := range r.calls {
		first, last := c.seqFrom(begin), c.seqFrom(end)
		f.Due += int64(last-first) * int64(len(c.expect))
		f.Sent += max(0, min(c.sent, int64(last)*int64(len(c.expect)))-int64(first)*int64(len(c.expect)))
		for _, s := range c.expect {
			if !c.echo {
				break
			}
			s.window.finish(last - first)
			f.Back += s.window.back
			f.Gaps += s.window.gaps
			f.LongestGap = max(f.LongestGap, s.window.longest)
		}
	}
	if r.cfg.Echo != EchoNone {
		f.Lost = f.Due - f.Back
	}
	f.Unsent, f.Blocked = f.Due-f.Sent, wrote.blocked
	f.Duplicated, f.Reordered, f.Altered, f.Other = heard.duplicated, heard.reordered, heard.altered, heard.other
	rep.Calls, rep.Setup, rep.Timeline = r.counts, quantilesOf(r.setup), r.line
	rep.Latency, rep.Service, rep.Histogram = quantilesOf(heard.latency), quantilesOf(heard.service), bars(heard.latency)
	rep.Generator.WriteLate, rep.Generator.ReadLate = quantilesOf(wrote.own), quantilesOf(heard.own)
	return rep
}

func (c *Config) load() Load {
	channels := "mixed"
	switch {
	case c.Unmixed:
		channels = "unmixed"
	case c.kind == "emulator":
		channels = "as the bot asked"
	}
	address := c.url.Redacted()
	if c.kind == "emulator" || c.kind == "webrtc" {
		address = c.url.Scheme + "://" + c.url.Host + "/…" // the path of a webhook is its secret, and may be that of WHIP
	}
	return Load{
		URL: address, Kind: c.kind, Calls: c.Calls, Speakers: c.Speakers, Channels: channels, Rate: c.Rate, Echo: c.Echo,
		Duration: c.Duration.Seconds(), Ramp: c.Ramp.Seconds(), Workers: c.Workers,
	}
}
