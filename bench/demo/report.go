package demo

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/transport"
)

// Report is what a performance came to.
type Report struct {
	OK    bool         `json:"ok"`
	Calls []CallReport `json:"calls"`
}

// CallReport is one call. Frames are 20 ms.
type CallReport struct {
	ID        string `json:"id"`
	Cloud     string `json:"cloud"`
	Direction string `json:"direction"`
	Media     string `json:"media"`
	FramesIn  int64  `json:"frames_in"`
	FramesOut int64  `json:"frames_out"`
	// FramesLost by the host's own count, and how many the script kept back: of
	// the emulator, or of the phone.
	FramesLost            int64 `json:"frames_lost"`
	FramesDroppedByScript int64 `json:"frames_dropped_by_script"`
	// RTP is the network, of a call over RTP.
	RTP *transport.RTPStats `json:"rtp,omitempty"`
	// Underruns of the bot's audio at the emulator.
	Underruns  int               `json:"underruns"`
	LatencyMS  Latency           `json:"latency_ms"`
	Recordings []RecordingReport `json:"recordings"`
	// Proven says what was compared and found equal; Problems what was not.
	Proven   []string `json:"proven"`
	Problems []string `json:"problems,omitempty"`
}

// Latency from the return of the socket read to the frame in the app's hands,
// in ms with a resolution of 1 µs.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// RecordingReport is one file.
type RecordingReport struct {
	Path string `json:"path"`
	// Speaker is the cloud's id of the voice: at Graph the media source id
	// (MSI); or bot, mixed, mixed-in.
	Speaker string `json:"speaker"`
	Name    string `json:"name,omitempty"`
	Samples int64  `json:"samples"`
	Missing int64  `json:"missing"`
	SHA256  string `json:"sha256"`
}

func millis(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }

// judge compares every call with the emulator's log.
func (d *Demo) judge() (*Report, error) {
	r := &Report{OK: true}
	for _, w := range d.calls() {
		if w.leg == nil {
			return nil, fmt.Errorf("demo: call %s is not over", w.call.ID())
		}
		var res record.Result
		if w.rec != nil {
			res = w.rec.Result()
		}
		var c CallReport
		var v *verdict
		if w.phone != nil {
			c, v = d.judgePhone(w, res)
		} else if call := d.cfg.Emulator.Call(w.call.CallID()); call != nil {
			c, v = d.judgeCloud(w, call.Log(), res)
		} else {
			return nil, fmt.Errorf("demo: nobody knows call %s", w.call.ID())
		}
		c.ID, c.Cloud, c.Direction, c.Media = w.call.ID(), w.call.Cloud(), w.call.Direction().String(), w.leg.Channels.String()
		c.FramesOut = w.leg.Source.Frames
		c.LatencyMS = Latency{millis(w.leg.Latency.P50), millis(w.leg.Latency.P99), millis(w.leg.Latency.Max)}
		for i := range res.Tracks {
			t := &res.Tracks[i]
			c.Recordings = append(c.Recordings, RecordingReport{Path: t.Path, Speaker: t.Label(), Name: t.Name, Samples: t.Samples, Missing: t.Missing, SHA256: t.SHA256})
		}
		c.Proven, c.Problems = v.proven, v.problems
		r.OK = r.OK && len(v.problems) == 0
		r.Calls = append(r.Calls, c)
	}
	slices.SortFunc(r.Calls, func(a, b CallReport) int {
		return cmp.Or(cmp.Compare(a.Cloud, b.Cloud), cmp.Compare(a.Direction, b.Direction))
	})
	return r, nil
}

// judgeCloud judges a call of the emulator's.
func (d *Demo) judgeCloud(w *watched, log *cloud.Log, res record.Result) (CallReport, *verdict) {
	c := CallReport{FramesDroppedByScript: dropped(log), Underruns: len(log.Playout.Underruns)}
	c.FramesIn, c.FramesLost = w.leg.Frames()
	v := judge(log, w.leg, res, d.cfg.Greeting)
	v.meetingFacts(w.lobby)
	return c, v
}

// dropped counts the frames that were due and that the emulator kept back.
func dropped(log *cloud.Log) (n int64) {
	for _, s := range streams(log) {
		for _, span := range s.Dropped {
			n += int64(span.Slots)
		}
	}
	return n
}

// streams returns the streams that the call's socket carried.
func streams(log *cloud.Log) (all []*cloud.StreamLog) {
	if log.Mix != nil {
		return append(all, log.Mix)
	}
	for i := range log.Speakers {
		if s := log.Speakers[i].Stream; s != nil {
			all = append(all, s)
		}
	}
	return all
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) {
	for _, c := range r.Calls {
		fmt.Fprintf(w, "\n%s, %s call, %s: frames %d in, %d lost, %d out; latency ms p50 %.3f p99 %.3f max %.3f\n",
			c.Cloud, c.Direction, c.Media, c.FramesIn, c.FramesLost, c.FramesOut, c.LatencyMS.P50, c.LatencyMS.P99, c.LatencyMS.Max)
		if n := c.RTP; n != nil {
			fmt.Fprintf(w, "  %s, jitter %.1f ms, delay %.0f ms, %d packets lost, %d late, %d frames concealed\n",
				n.Codec, n.Jitter, n.Delay, n.Lost, n.Late, n.Concealed)
		}
		for i, f := range c.Recordings {
			if i == 0 {
				fmt.Fprintf(w, "  in %s:\n", filepath.Dir(f.Path))
			}
			fmt.Fprintf(w, "  %6.2f s  %s\n", float64(f.Samples)/pcm.SampleRate, filepath.Base(f.Path))
		}
		for _, p := range c.Proven {
			fmt.Fprintf(w, "  ok    %s\n", p)
		}
		for _, p := range c.Problems {
			fmt.Fprintf(w, "  FAIL  %s\n", p)
		}
	}
	if r.OK {
		fmt.Fprintln(w, "\nVerdict: every sample is where it belongs.")
	} else {
		fmt.Fprintln(w, "\nVerdict: FAILED.")
	}
}

// short makes a raw id fit a table.
func short(id string) string {
	id = strings.TrimPrefix(id, "8:acs:")
	if len(id) > 16 {
		return "…" + id[len(id)-12:]
	}
	return id
}
