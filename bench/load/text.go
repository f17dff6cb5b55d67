package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteText writes the report for people, 80 columns wide.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	r.headText(&b)
	fmt.Fprintf(&b, "\n%-10s%9s%9s%9s%9s%9s%9s   ms\n", "", "p50", "p90", "p99", "p99.9", "max", "mean")
	row := func(name string, q Quantiles) {
		if q.Count > 0 {
			fmt.Fprintf(&b, "%-10s%9.3f%9.3f%9.3f%9.3f%9.3f%9.3f\n", name, q.P50, q.P90, q.P99, q.P999, q.Max, q.Mean)
		}
	}
	row("latency", r.Latency) // from when a frame was due
	row("service", r.Service)
	row("setup", r.Setup)
	row("late", r.Generator.WriteLate)
	row("read late", r.Generator.ReadLate)
	r.useText(&b)
	r.verdictText(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) headText(b *strings.Builder) {
	l, c, f := &r.Load, &r.Calls, &r.Frames
	fmt.Fprintf(b, "%s\n%d of %d calls, %d speaker(s) %s at %d Hz, for %g s", l.URL, c.Connected, c.Asked, l.Speakers, l.Channels, l.Rate, l.Duration)
	if r.Interrupted {
		b.WriteString(" (interrupted)")
	}
	b.WriteByte('\n')
	for _, text := range slices.Sorted(maps.Keys(c.Errors)) {
		fmt.Fprintf(b, "  %d x %s\n", c.Errors[text], text)
	}
	fmt.Fprintf(b, "\nframes    %d due, %d sent, %d back", f.Due, f.Sent, f.Back)
	if l.Echo != EchoNone {
		fmt.Fprintf(b, ", %d lost (%.4g %%), %d doubled, %d out of order", f.Lost, f.LossPercent(), f.Duplicated, f.Reordered)
	}
	b.WriteByte('\n')
	if f.Gaps > 0 {
		fmt.Fprintf(b, "gaps      %d, the longest of %d frames\n", f.Gaps, f.LongestGap)
	}
	if f.Blocked+f.Unsent > 0 {
		fmt.Fprintf(b, "blocked   %d waited because the server did not read, %d never left\n", f.Blocked, f.Unsent)
	}
	if f.Altered+f.Other > 0 {
		fmt.Fprintf(b, "besides   %d samples without a mark, %d messages without audio\n", f.Altered, f.Other)
	}
}

func (r *Report) useText(b *strings.Builder) {
	if s := r.Server; s != nil && s.Error == "" {
		fmt.Fprintf(b, "\nserver    %.2f cores, %.2f µs of CPU a frame; %.1f MiB, %.1f KiB a call (%.1f MiB before the first)\n",
			s.Cores, s.CPUPerFrame, mib(s.RSS), float64(s.RSSPerCall)/1024, mib(s.RSSIdle))
	} else if s != nil {
		fmt.Fprintf(b, "\nserver    %s\n", s.Error)
	}
	fmt.Fprintf(b, "generator %.2f cores, %.2f µs of CPU a frame\n", r.Generator.Cores, r.Generator.CPUPerFrame)
}

func (r *Report) verdictText(b *strings.Builder) {
	fmt.Fprintf(b, "\nverdict   %s\n", r.Verdict.Result)
	for _, br := range r.Verdict.Breaks {
		fmt.Fprintf(b, "          %v\n", br)
	}
	if r.Verdict.Late != "" {
		fmt.Fprintf(b, "          the generator was late: %s\n", r.Verdict.Late)
	}
}

// Line is the progress of one second, in one line.
func (s *Second) Line() string {
	text := fmt.Sprintf("%6.1f s  %5d calls  %7d sent  %7d back  p50 %7.2f  p99 %7.2f  max %7.2f ms", s.At, s.Calls, s.Sent, s.Back, s.Latency.P50, s.Latency.P99, s.Latency.Max)
	if s.RSS > 0 {
		text += fmt.Sprintf("  %.2f cores  %.0f MiB", s.CPU, mib(s.RSS))
	}
	return text
}

// WriteText writes the search for people.
func (s *Search) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%8s%10s%10s%10s%10s%12s  %s\n", "calls", "p50 ms", "p99 ms", "p99.9 ms", "lost", "cpu µs/fr.", "")
	for _, st := range s.Steps {
		cpu := "-"
		if st.Report.Server != nil {
			cpu = fmt.Sprintf("%.2f", st.Report.Server.CPUPerFrame)
		}
		fmt.Fprintf(&b, "%8d%10.2f%10.2f%10.2f%10d%12s  %s\n", st.Calls, st.Report.Latency.P50, st.Report.Latency.P99, st.Report.Latency.P999, st.Report.Frames.Lost, cpu, st.Verdict.Result)
	}
	switch {
	case s.Bad == 0:
		fmt.Fprintf(&b, "\nno limit broke up to %d calls\n", s.Good)
	case s.Late != "":
		fmt.Fprintf(&b, "\n%d calls are good; at %d the generator was late and nothing is proved: %s\n", s.Good, s.Bad, s.Late)
	default:
		fmt.Fprintf(&b, "\n%d calls are good; at %d broke:\n", s.Good, s.Bad)
	}
	for _, br := range s.Broke {
		fmt.Fprintf(&b, "  %v\n", br)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
