package load

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestJudge(t *testing.T) {
	none := 0.0
	good := func() *Report {
		return &Report{
			Calls: CallCounts{Asked: 2, Connected: 2}, Frames: Frames{Due: 100, Sent: 100, Back: 100},
			Latency: Quantiles{P50: 1, P99: 10, P999: 20}, Server: &ServerUse{Cores: 0.5},
		}
	}
	for _, c := range []struct {
		name   string
		limits Limits
		spoil  func(*Report)
		want   Result
		broke  string
	}{
		{"nothing asked", Limits{}, func(*Report) {}, Pass, ""},
		{"kept", Limits{P99: 10 * time.Millisecond, Loss: &none}, func(*Report) {}, Pass, ""},
		{"p99", Limits{P99: 9 * time.Millisecond}, func(*Report) {}, Fail, "latency p99 is 10ms, limit 9ms"},
		{"p99, but late", Limits{P99: 9 * time.Millisecond}, func(r *Report) { r.Generator.WriteLate.P99 = 6 }, Inconclusive, "latency p99 is 10ms, limit 9ms"},
		{"p99, but reading late", Limits{P99: 9 * time.Millisecond}, func(r *Report) { r.Generator.ReadLate.P99 = 6 }, Inconclusive, "latency p99 is 10ms, limit 9ms"},
		{"late, and nothing broke", Limits{P99: 11 * time.Millisecond}, func(r *Report) { r.Generator.WriteLate.P99 = 6 }, Pass, ""},
		{"loss", Limits{Loss: &none}, func(r *Report) { r.Frames.Lost = 1 }, Fail, "frames lost is 1 % (1), limit 0 %"},
		{"calls failed, and late", Limits{}, func(r *Report) { r.Calls.Connected, r.Generator.WriteLate.P99 = 1, 6 }, Fail, "calls not connected is 1, limit 0"},
		{"nothing back", Limits{}, func(r *Report) { r.Load.Echo, r.Frames.Back = EchoAll, 0 }, Fail, "frames back is 0, limit some"},
		{"calls lost", Limits{}, func(r *Report) { r.Calls.Dropped = 1 }, Fail, "calls lost is 1, limit 0"},
		{"cpu", Limits{CPU: 0.4}, func(*Report) {}, Fail, "CPU is 0.50 cores, limit 0.4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := good()
			c.spoil(r)
			r.Verdict = c.limits.judge(r)
			require.Equal(t, c.want, r.Verdict.Result)
			var text strings.Builder
			require.NoError(t, r.WriteText(&text))
			require.Contains(t, text.String(), "verdict   "+string(c.want)+"\n")
			require.Contains(t, text.String(), c.broke)
			if c.broke == "" {
				require.Empty(t, r.Verdict.Breaks)
			}
		})
	}
}

// A search is played against a server that breaks at a known number of calls.
func TestSearch(t *testing.T) {
	for _, c := range []struct{ first, most, breaks, late int }{
		{1, 1000, 700, 0}, {10, 1000, 5000, 0}, {10, 1000, 10, 0}, {16, 1000, 17, 0}, {10, 1000, 5000, 300}, {7, 7, 8, 0}, {1, 50000, 1, 0},
	} {
		runs := 0
		s, err := search(context.Background(), c.first, c.most, func(n int) (*Report, error) {
			runs++
			require.LessOrEqual(t, n, c.most)
			v := Verdict{Result: Pass}
			if n >= c.breaks {
				v = Verdict{Result: Fail, Breaks: []Break{{"latency p99", "2s", "1s"}}}
			} else if c.late > 0 && n >= c.late {
				v = Verdict{Result: Inconclusive, Late: "slept", Breaks: []Break{{"latency p99", "2s", "1s"}}}
			}
			return &Report{Verdict: v}, nil
		}, func(st Step) { require.NotNil(t, st.Report) })
		require.NoError(t, err)
		require.Less(t, runs, 60)
		require.Len(t, s.Steps, runs)
		limit := min(c.breaks, c.most+1)
		if c.late > 0 {
			limit = c.late
		}
		if limit > c.most {
			require.Equal(t, Search{Good: c.most, Most: c.most, Steps: s.Steps}, *s)
			continue
		}
		require.Less(t, s.Good, limit)
		require.GreaterOrEqual(t, s.Bad, limit)
		require.LessOrEqual(t, s.Bad-s.Good, max(1, s.Good/10))
		require.Equal(t, c.late > 0, s.Late != "")
		var text strings.Builder
		require.NoError(t, s.WriteText(&text))
		require.Contains(t, text.String(), "latency p99 is 2s, limit 1s")
	}
	// One bad moment is not the limit.
	runs := 0
	s, err := search(context.Background(), 1, 8, func(int) (*Report, error) {
		if runs++; runs%2 == 1 {
			return &Report{Verdict: Verdict{Result: Fail}}, nil
		}
		return &Report{Verdict: Verdict{Result: Pass}}, nil
	}, nil)
	require.NoError(t, err)
	require.Equal(t, 8, s.Good)
	require.Equal(t, 0, s.Bad)
	_, err = search(context.Background(), 2, 1, nil, nil)
	require.Error(t, err)
}
