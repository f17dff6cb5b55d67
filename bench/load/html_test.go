package load

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shown is a report with everything in it, and text that would like to be
// markup.
func shown() *Report {
	r := &Report{
		Started: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Machine: thisMachine(),
		Load:    Load{URL: "ws://127.0.0.1:1/</script><img src=x>{{js}}", Kind: "acs", Calls: 1000, Speakers: 1, Channels: "mixed", Rate: 16000, Echo: EchoAll, Duration: 30},
		Calls:   CallCounts{Asked: 1000, Connected: 998, Failed: 2, Errors: map[string]int{"<b>refused</b>": 2}},
		Frames:  Frames{Due: 1497000, Sent: 1497000, Back: 1496000, Lost: 1000, Gaps: 12, LongestGap: 96},
		Latency: Quantiles{Count: 1496000, Min: 0.1, P50: 0.9, P90: 2, P99: 11, P999: 31, Max: 70, Mean: 1.4},
		Server:  &ServerUse{Cores: 0.7, CPUPerFrame: 14.2, RSSIdle: 14 << 20, RSS: 60 << 20, RSSPerCall: 46 << 10},
		Verdict: Verdict{Result: Fail, Breaks: []Break{{"latency p99", "11ms", "10ms"}}},
	}
	for i := range 34 {
		y := 1 + math.Sin(float64(i)/3)/2
		r.Timeline = append(r.Timeline, Second{
			At: float64(i), Calls: min(1000, i*300), Sent: 50000, Back: 49990, Measured: i > 3, Late: y / 5, CPU: 0.7 * y, RSS: int64(20+i) << 20,
			Latency: Quantiles{Count: 50000, P50: y, P90: 2 * y, P99: 10 * y, Max: 30 * y},
		})
	}
	for i := range 60 {
		r.Histogram = append(r.Histogram, Bar{0.1 * math.Pow(1.1, float64(i)), int64(30000 * math.Exp(-math.Pow(float64(i-22)/8, 2)))})
	}
	return r
}

func found() *Search {
	s := &Search{Good: 600, Bad: 650, Most: 5000, Broke: []Break{{"latency p99", "41ms", "40ms"}}}
	for _, n := range []int{100, 200, 400, 800, 600, 700, 650} {
		r := shown()
		r.Load.Calls, r.Latency.P99, r.Verdict.Result = n, float64(n)/16, Pass
		if n > 600 {
			r.Verdict.Result = Fail
		}
		s.Steps = append(s.Steps, Step{n, r.Verdict, r})
	}
	return s
}

var dataElement = regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`)

func TestPageIsSelfContained(t *testing.T) {
	var page bytes.Buffer
	require.NoError(t, WriteHTML(&page, nil, found()))
	require.NotRegexp(t, `(?i)(src|href)=|@import|url\(|fetch\(|XMLHttpRequest`, dataElement.ReplaceAllString(page.String(), ""))
	require.NotContains(t, page.String(), "<img")
	require.NotContains(t, page.String(), "<b>refused")
	var data struct {
		Report Report
		Search Search
	}
	require.NoError(t, json.Unmarshal(dataElement.FindSubmatch(page.Bytes())[1], &data))
	require.Equal(t, 600, data.Report.Load.Calls, "the run at the last good number")
	require.Len(t, data.Report.Timeline, 34)
	require.Len(t, data.Search.Steps, 7)
	require.Empty(t, data.Search.Steps[0].Report.Timeline)
	require.Error(t, WriteHTML(&page, nil, &Search{}), "nothing was measured")
}

// The page is drawn by a browser; a script that fails leaves no mark that it
// is ready.
func TestPageInChromium(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("chromium is not installed")
	}
	short := shown() // of one second, and nothing came back
	short.Timeline, short.Histogram, short.Latency, short.Server = short.Timeline[:1], nil, Quantiles{}, nil
	empty := shown()
	empty.Timeline, empty.Load.Echo = nil, EchoNone
	for name, c := range map[string]struct {
		rep   *Report
		s     *Search
		plots int
		says  []string
	}{
		"run":    {shown(), nil, 6, []string{"A limit was broken", "1,000 calls for 30 s", "&lt;b&gt;refused&lt;/b&gt;", "11 ms"}},
		"search": {nil, found(), 8, []string{"600 calls are good; at 650 broke", "How many calls it takes"}},
		"short":  {short, nil, 2, nil},
		"empty":  {empty, nil, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "load.html")
			f, err := os.Create(file)
			require.NoError(t, err)
			require.NoError(t, WriteHTML(f, c.rep, c.s))
			require.NoError(t, f.Close())
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
				"--user-data-dir="+filepath.Join(dir, "profile"), "--virtual-time-budget=5000", "--dump-dom", "file://"+file)
			cmd.WaitDelay = 5 * time.Second
			out, err := cmd.Output()
			require.NoError(t, err)
			dom := string(out)
			require.True(t, strings.Contains(dom, `data-ready="true"`), "the script failed")
			require.Equal(t, c.plots, strings.Count(dom, "<svg"))
			_, drawn, _ := strings.Cut(dom, "<main")
			drawn, _, _ = strings.Cut(drawn, "</main>")
			require.NotContains(t, drawn, "NaN")
			require.NotContains(t, drawn, "undefined")
			for _, words := range c.says {
				require.Contains(t, drawn, words)
			}
		})
	}
}
