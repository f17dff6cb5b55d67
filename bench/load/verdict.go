package load

import (
	"cmp"
	"fmt"
	"time"
)

// Limits that a run must keep. A zero time and a nil loss are no limit. Calls
// that fail or are lost, and a server that sends nothing back, break the
// verdict whatever the limits are.
type Limits struct {
	// P50, P99 and P999 of the latency.
	P50, P99, P999 time.Duration
	// Setup is for the 99th percentile of the time a call takes to set up.
	Setup time.Duration
	// Loss in percent of the frames; a pointer, for 0 is a limit too.
	Loss *float64
	// CPU of the server, in cores. Needs Config.PIDs.
	CPU float64
	// Late is how late the generator may be, at the 99th percentile, before it
	// blames nobody; 0 means 5 ms.
	Late time.Duration
}

const defaultLate = 5 * time.Millisecond

func (l *Limits) check() error {
	for _, d := range []time.Duration{l.P50, l.P99, l.P999, l.Setup, l.Late} {
		if d < 0 {
			return errConfig("Limits: %v: want 0 or more", d)
		}
	}
	if l.CPU < 0 || (l.Loss != nil && (*l.Loss < 0 || *l.Loss > 100)) {
		return errConfig("Limits: want Loss of 0 to 100 %% and CPU of 0 or more")
	}
	return nil
}

// Result of a run.
type Result string

// Results.
const (
	Pass Result = "pass"
	Fail Result = "fail"
	// Inconclusive: a limit was broken, but the generator was late, so that
	// nobody can say by whom.
	Inconclusive Result = "inconclusive"
)

// Verdict is whether the limits were kept.
type Verdict struct {
	Result Result  `json:"result"`
	Breaks []Break `json:"breaks,omitempty"`
	// Late is why the generator is to be doubted; empty if it is not.
	Late string `json:"late,omitempty"`
}

// Break is one limit that was broken.
type Break struct {
	Limit string `json:"limit"`
	Found string `json:"found"`
	Asked string `json:"asked"`
}

func (b Break) String() string { return fmt.Sprintf("%s is %s, limit %s", b.Limit, b.Found, b.Asked) }

func (l *Limits) judge(r *Report) Verdict {
	v := Verdict{Result: Pass, Late: l.late(&r.Generator)}
	sure := false // whatever the generator did
	if bad := r.Calls.Asked - r.Calls.Connected; bad > 0 {
		sure = true
		v.Breaks = append(v.Breaks, Break{"calls not connected", fmt.Sprint(bad), "0"})
	}
	if r.Calls.Dropped > 0 {
		sure = true
		v.Breaks = append(v.Breaks, Break{"calls lost", fmt.Sprint(r.Calls.Dropped), "0"})
	}
	if r.Load.Echo == EchoAll && r.Frames.Due > 0 && r.Frames.Back == 0 {
		sure = true // no limit of latency would notice
		v.Breaks = append(v.Breaks, Break{"frames back", "0", "some"})
	}
	if l.Loss != nil && r.Frames.LossPercent() > *l.Loss {
		v.Breaks = append(v.Breaks, Break{"frames lost", fmt.Sprintf("%.4g %% (%d)", r.Frames.LossPercent(), r.Frames.Lost), fmt.Sprintf("%g %%", *l.Loss)})
	}
	for _, q := range []struct {
		name  string
		limit time.Duration
		found float64
	}{
		{"latency p50", l.P50, r.Latency.P50},
		{"latency p99", l.P99, r.Latency.P99},
		{"latency p99.9", l.P999, r.Latency.P999},
		{"setup p99", l.Setup, r.Setup.P99},
	} {
		if found := time.Duration(q.found * float64(time.Millisecond)); q.limit > 0 && found > q.limit {
			v.Breaks = append(v.Breaks, Break{q.name, found.String(), q.limit.String()})
		}
	}
	if l.CPU > 0 && r.Server != nil && r.Server.Cores > l.CPU {
		sure = true
		v.Breaks = append(v.Breaks, Break{"CPU", fmt.Sprintf("%.2f cores", r.Server.Cores), fmt.Sprintf("%g", l.CPU)})
	}
	switch {
	case len(v.Breaks) == 0:
	case v.Late != "" && !sure:
		v.Result = Inconclusive
	default:
		v.Result = Fail
	}
	return v
}

// late is why the generator is to be doubted.
func (l *Limits) late(g *Generator) string {
	limit := cmp.Or(l.Late, defaultLate)
	ms := float64(limit) / float64(time.Millisecond)
	switch {
	case g.WriteLate.P99 > ms:
		return fmt.Sprintf("1 %% of the frames left more than %.1f ms after they were due, limit %v", g.WriteLate.P99, limit)
	case g.ReadLate.P99 > ms:
		return fmt.Sprintf("1 %% of the reads took more than %.1f ms, limit %v", g.ReadLate.P99, limit)
	}
	return ""
}
