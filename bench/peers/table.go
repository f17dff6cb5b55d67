package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mixminus/mixminus/bench/load"
)

// medians keeps of each server and number of calls the round whose CPU is the
// median, and compares it with the floor's.
func medians(rows []row, rounds int) (out []row) {
	for i := range rows[:len(rows)/max(1, rounds)] {
		var same []row
		for _, r := range rows {
			if r.Server == rows[i].Server && r.Calls == rows[i].Calls {
				same = append(same, r)
			}
		}
		slices.SortStableFunc(same, func(a, b row) int { return cmp.Compare(cpuOf(a.Report), cpuOf(b.Report)) })
		out = append(out, same[len(same)/2])
	}
	for i := range out {
		for _, floor := range out {
			if floor.Server == "floor" && floor.Calls == out[i].Calls && cpuOf(floor.Report) > 0 {
				out[i].Ratio = cpuOf(out[i].Report) / cpuOf(floor.Report)
			}
		}
	}
	return out
}

// cpuOf is µs of CPU for each frame, 0 if it was not measured.
func cpuOf(r *load.Report) float64 {
	if r.Server == nil {
		return 0
	}
	return r.Server.CPUPerFrame
}

// table writes Markdown, as docs/PERFORMANCE.md has it.
func table(w io.Writer, rows []row, servers []server) error {
	if len(rows) == 0 {
		return nil
	}
	var b strings.Builder
	m := rows[0].Report.Machine
	fmt.Fprintf(&b, "%s, %s, %d CPUs, Linux %s, %s\n\n    %s\n\n", time.Now().UTC().Format(time.DateOnly), m.CPU, m.CPUs, m.Kernel, m.Go, command())
	for _, s := range servers {
		fmt.Fprintf(&b, "- %s: %s\n", s.name, s.what)
	}
	b.WriteString("\n| calls | server | CPU µs/frame | to floor | p50 ms | p99 ms | p99.9 ms | lost | KiB/call | generator late p99 ms |\n|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		rep := r.Report
		kib := 0.0
		if rep.Server != nil {
			kib = float64(rep.Server.RSSPerCall) / 1024
		}
		ratio := "-"
		if r.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", r.Ratio)
		}
		lost := fmt.Sprintf("%.3g %%", rep.Frames.LossPercent())
		if bad := rep.Calls.Failed + rep.Calls.Dropped; bad > 0 {
			lost += fmt.Sprintf(", %d calls", bad)
		}
		fmt.Fprintf(&b, "| %d | %s | %.1f | %s | %.2f | %.2f | %.2f | %s | %.1f | %.2f |\n", r.Calls, r.Server, cpuOf(rep), ratio,
			rep.Latency.P50, rep.Latency.P99, rep.Latency.P999, lost, kib, rep.Generator.WriteLate.P99)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func command() string {
	return strings.Join(append([]string{"go run ./bench/peers"}, os.Args[1:]...), " ")
}
