package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/mixminus/mixminus/bench/load"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// errInconclusive ends the program with status 2: a limit was broken, and the
// generator may be to blame.
var errInconclusive = errors.New("inconclusive")

type loadFlags struct {
	cfg     load.Config
	headers []string
	loss    float64
	find    bool
	most    int
	json    bool
	html    string
}

func loadCommand() *cobra.Command {
	var f loadFlags
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Place many calls at a media server, and measure every frame",
		Long: `Plays the cloud to a server of ACS audio streaming in any language: dials its
WebSocket for each call, sends 20 ms of speech on an absolute schedule, and
expects every frame back. Each frame carries its number in the lowest bits of
its samples, so that loss, doubling, order and latency are measured per frame.
Latency runs from when a frame was due, not from when it left. A bot can be rung
instead, by the emulator in this process: it answers by REST and is dialled. And
it can be plain RTP, or WebRTC: whip+http:// in front of what is behind http://
in the address of a WHIP endpoint has each call offered there, connected by ICE
and DTLS, and deleted at the end. In G.711, which is all that WebRTC is driven
with, a frame is one of sixteen tones, not speech.

"late" is the generator's own: by how much frames left after they were due, and
"read late" how long at most one that had come waited to be looked at. On the
machine of the server both need CPU: give each cores of its own (taskset), or
use two machines.

The exit status is 0 if all limits were kept, 1 if one was broken or a call
failed, and 2 if one was broken while the generator was late: then nobody knows
by whom.`,
		Example: `  # one terminal: the server, on one core
  taskset -c 0 mixminus serve --bot echo --insecure --recordings ""

  # another: a thousand calls for half a minute, and what they cost
  taskset -c 1 mixminus load --url ws://127.0.0.1:7070/media --calls 1000 \
    --duration 30s --pid $(pgrep -x mixminus) --max-p99 40ms --max-loss 0

  # how many calls it takes
  mixminus load --url ws://127.0.0.1:8080/media --find-limit --max-p99 40ms --max-loss 0

  # a bot that is rung: "mixminus serve --bot echo --insecure" printed its events URL
  ` + envKey + `=bG9jYWwtZW11bGF0b3Itc2VjcmV0 mixminus load --calls 50 --speakers 3 \
    --url http://127.0.0.1:7070/events/SECRET

  # plain RTP, at "mixminus serve --bot echo --rtp 127.0.0.1:4000"
  mixminus load --url rtp://127.0.0.1:4000?codec=PCMU --calls 200

  # WebRTC, at "mixminus serve --bot echo --webrtc 127.0.0.1:5008", which printed
  # where calls are offered
  mixminus load --url whip+http://127.0.0.1:7070/webrtc?codec=PCMU --calls 100

  # any endpoint of WHIP, with a token
  mixminus load --url whip+https://bot.example.com/whip --header "Authorization: Bearer $TOKEN"

  # a recorder, which says nothing, of four speakers each
  mixminus load --url wss://bot.example.com/media --calls 50 --speakers 4 --unmixed --echo none

  # for programs, and a page to look at
  mixminus load --url ws://127.0.0.1:8080/media --json --html load.html | jq .latency_ms.p99`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("max-loss") {
				f.cfg.Limits.Loss = &f.loss
			}
			return runLoad(cmd.Context(), f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.add(cmd.Flags())
	cobra.CheckErr(cmd.MarkFlagRequired("url"))
	return cmd
}

func (f *loadFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.cfg.URL, "url", "", "the server: ws:// or wss:// of its media, rtp://host:port?codec=PCMU (PCMA, L16), whip+http://host/path?codec=PCMU (PCMA) or whip+https:// of a WHIP endpoint, or the http:// webhook of a bot to ring")
	fl.StringVar(&f.cfg.Emulator.Addr, "listen", defaultEmulate, "address of the emulated resource, for a bot that is rung; its access key is $"+envKey)
	fl.IntVarP(&f.cfg.Calls, "calls", "n", 10, "calls at the same time; with --find-limit, at first")
	fl.IntVar(&f.cfg.Speakers, "speakers", 1, "speakers of each call")
	fl.BoolVar(&f.cfg.Unmixed, "unmixed", false, "a stream for each speaker, instead of one of all; all of them are expected back, unless --echo none")
	fl.IntVar(&f.cfg.Rate, "rate", 16000, "samples per second, 16000 or 24000")
	fl.StringVar((*string)(&f.cfg.Echo), "echo", string(load.EchoAll), "what is expected back: all or none")
	fl.DurationVarP(&f.cfg.Duration, "duration", "d", 10*time.Second, "length of the measurement, with all calls up")
	fl.DurationVar(&f.cfg.Ramp, "ramp", 0, "how long placing all calls takes (default: 2ms for each, 20ms over WebRTC)")
	fl.DurationVar(&f.cfg.Warmup, "warmup", 0, "how long all calls stand before the measurement (default: 1s, 2s over RTP and WebRTC)")
	fl.DurationVar(&f.cfg.Grace, "grace", 2*time.Second, "how long to wait for the last frames")
	fl.StringArrayVar(&f.headers, "header", nil, `header of the upgrade, or of the offer and its DELETE: "Authorization: Bearer …"; may be repeated`)
	fl.IntSliceVar(&f.cfg.PIDs, "pid", nil, "process of the server, whose CPU and memory to measure; may be repeated")
	fl.IntVar(&f.cfg.Workers, "workers", 0, "pairs of threads that drive the calls (default: one for every two cores)")
	fl.DurationVar(&f.cfg.Limits.P50, "max-p50", 0, "limit of the latency's median")
	fl.DurationVar(&f.cfg.Limits.P99, "max-p99", 0, "limit of the latency's 99th percentile")
	fl.DurationVar(&f.cfg.Limits.P999, "max-p999", 0, "limit of the latency's 99.9th percentile")
	fl.DurationVar(&f.cfg.Limits.Setup, "max-setup", 0, "limit of the 99th percentile of the time a call takes to set up")
	fl.Float64Var(&f.loss, "max-loss", 0, "limit of lost frames, in percent; 0 allows none (default: no limit)")
	fl.Float64Var(&f.cfg.Limits.CPU, "max-cpu", 0, "limit of the server's CPU, in cores; needs --pid")
	fl.DurationVar(&f.cfg.Limits.Late, "max-late", 5*time.Millisecond, "how late the generator may be, at the 99th percentile, before it blames nobody")
	fl.BoolVar(&f.find, "find-limit", false, "raise the number of calls until a limit breaks")
	fl.IntVar(&f.most, "max-calls", 5000, "where --find-limit ends")
	fl.BoolVar(&f.json, "json", false, "print one JSON document at the end and nothing else")
	fl.StringVar(&f.html, "html", "", "file to write the report to, as one page that needs nothing else")
}

func runLoad(ctx context.Context, f loadFlags, out, progress io.Writer) (err error) {
	// The threads of the generator sleep in the kernel: were there no more of
	// Go's processors than cores, they would wait for each other on waking.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 4))
	if f.cfg.Header, err = parseHeaders(f.headers); err != nil {
		return err
	}
	line := progressLine{out: progress, quiet: f.json}
	line.width, _, line.rewrite = terminalSize(progress)
	f.cfg.Progress = func(s load.Second) { line.show(s.Line()) }
	f.cfg.Emulator.Key = os.Getenv(envKey)
	if f.find {
		return findLimit(ctx, f, out, &line)
	}
	rep, err := load.Run(ctx, f.cfg)
	line.clear()
	if err != nil {
		return err
	}
	if err := errors.Join(printReport(rep, f.json, out, rep.WriteText), writePage(f.html, rep, nil)); err != nil {
		return err
	}
	return exitOf(rep.Verdict.Result)
}

func findLimit(ctx context.Context, f loadFlags, out io.Writer, line *progressLine) error {
	l := f.cfg.Limits
	if l.P50 == 0 && l.P99 == 0 && l.P999 == 0 && l.Setup == 0 && l.Loss == nil && l.CPU == 0 {
		return errors.New("--find-limit: needs a limit to find, such as --max-p99 40ms --max-loss 0")
	}
	s, err := load.FindLimit(ctx, f.cfg, f.most, func(st load.Step) {
		line.keep(fmt.Sprintf("%6d calls: %s, p99 %.2f ms, %d lost", st.Calls, st.Verdict.Result, st.Report.Latency.P99, st.Report.Frames.Lost))
	})
	line.clear()
	if err != nil {
		return err
	}
	if err := errors.Join(printReport(s, f.json, out, s.WriteText), writePage(f.html, nil, s)); err != nil {
		return err
	}
	switch {
	case s.Late != "":
		return errInconclusive
	case s.Good == 0:
		return errFailed
	}
	return nil
}

// progressLine is the line of progress: rewritten on a terminal, else one after
// the other. A screen that is gone is no reason to stop.
type progressLine struct {
	out            io.Writer
	width          int
	rewrite, quiet bool
}

func (p *progressLine) show(text string) {
	switch {
	case p.quiet:
	case p.rewrite:
		if r := []rune(text); p.width > 1 && len(r) >= p.width {
			text = string(r[:p.width-1])
		}
		_, _ = fmt.Fprint(p.out, "\r", text, "\x1b[K")
	default:
		_, _ = fmt.Fprintln(p.out, text)
	}
}

// keep writes a line that stays.
func (p *progressLine) keep(text string) {
	p.clear()
	if !p.quiet {
		_, _ = fmt.Fprintln(p.out, text)
	}
}

func (p *progressLine) clear() {
	if p.rewrite && !p.quiet {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// printReport prints a report as JSON or as text.
func printReport(rep any, asJSON bool, out io.Writer, text func(io.Writer) error) error {
	if !asJSON {
		return text(out)
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", " ")
	return enc.Encode(rep)
}

// writePage writes the HTML report to a file; an empty name writes none.
func writePage(name string, rep *load.Report, s *load.Search) error {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	return errors.Join(load.WriteHTML(f, rep, s), f.Close())
}

func exitOf(r load.Result) error {
	switch r {
	case load.Pass:
		return nil
	case load.Inconclusive:
		return errInconclusive
	}
	return errFailed
}

// parseHeaders reads "Name: value".
func parseHeaders(lines []string) (http.Header, error) {
	h := http.Header{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, fmt.Errorf(`--header %q: want "Name: value"`, line)
		}
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h, nil
}
