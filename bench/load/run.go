package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxDials bounds how many connections are being set up at a time.
const maxDials = 256

// runner is one run.
type runner struct {
	cfg     Config
	clip    *clip
	clock   *clock
	workers []*worker
	probes  *tally // how late this process is, where no worker tells; else nil
	peers   *peers // of WebRTC; else nil

	// Atomic: the measured span of the run's clock. What is due at end, or at
	// the tail behind it, or later is not sent.
	begin, end atomic.Int64
	over       atomic.Bool // connections are being closed by us

	// Guarded by mu.
	mu     sync.Mutex
	calls  []*call
	setup  *hdrhistogram.Histogram
	counts CallCounts
	line   []Second
	peak   int64 // resident memory of the server
}

// Run places the calls, measures, and hangs up. What the server does wrong
// stands in the report; an error is one of the Config or of this machine. When
// ctx ends, Run returns what was measured until then.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := raiseFiles(cfg.Calls); err != nil {
		return nil, err
	}
	r := &runner{cfg: cfg, clock: newClock(), setup: newHistogram(), counts: CallCounts{Asked: cfg.Calls, Errors: map[string]int{}}}
	r.begin.Store(math.MaxInt64)
	r.end.Store(math.MaxInt64)
	if cfg.kind == "emulator" {
		return r.runRung(ctx)
	}
	people := cfg.Speakers
	if cfg.Unmixed {
		people = 1
	}
	if r.clip, err = newClip(people, cfg.Rate); err != nil {
		return nil, err
	}
	if cfg.kind == "webrtc" {
		if r.peers, err = newPeers(&cfg, r.clock); err != nil {
			return nil, err
		}
		defer r.peers.close()
	}
	for range cfg.Workers {
		w, err := newWorker(r)
		if err != nil {
			return nil, err
		}
		r.workers = append(r.workers, w)
	}
	return r.run(ctx)
}

func (r *runner) run(ctx context.Context) (*Report, error) {
	idle, err := usageOf(r.cfg.PIDs)
	if err != nil {
		return nil, err
	}
	for _, w := range r.workers {
		w.start()
	}
	done := make(chan struct{})
	var collector sync.WaitGroup
	collector.Go(func() { r.collect(done) })
	r.dialAll(ctx)
	if !r.anyUp() { // there is nothing to measure
		var cancel func()
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
	begin := r.beginAfter(ctx, r.cfg.Warmup)
	before, errBefore := usageOf(r.cfg.PIDs)
	_, backBefore := r.counted()
	ownBefore := ownCPU()
	interrupted := wait(ctx, r.cfg.Duration) != nil
	end := min(r.clock.now(), r.end.Load())
	r.end.Store(end)
	after, errAfter := usageOf(r.cfg.PIDs)
	_, backAfter := r.counted()
	own := ownCPU() - ownBefore
	r.drain()
	close(done)
	collector.Wait()
	r.noteSilent()
	r.over.Store(true)
	for _, w := range r.workers {
		w.close()
	}
	rep := r.report(begin, end)
	rep.Interrupted = interrupted && rep.Calls.Connected > 0
	rep.Generator.addCPU(own, end-begin, rep.Frames.Sent)
	if len(r.cfg.PIDs) > 0 && errors.Join(errBefore, errAfter) == nil {
		handled := rep.Frames.Sent
		if r.cfg.Echo == EchoAll { // a server that lags behind did not work on all
			handled = backAfter - backBefore
		}
		rep.Server = serverUse(idle, before, after, end-begin, handled)
		rep.Server.RSSPeak = max(r.peak, after.rss)
		rep.Server.RSSPerCall = (after.rss - idle.rss) / int64(max(1, rep.Calls.Connected))
	} else if err := errors.Join(errBefore, errAfter); err != nil {
		rep.Server = &ServerUse{Error: err.Error()}
	}
	rep.Verdict = r.cfg.Limits.judge(rep)
	return rep, nil
}

// announced is how long before it begins the threads are told of the measured
// span: this one may lose its CPU between reading the clock and telling them.
const announced = 250 * time.Millisecond

// beginAfter waits for the warm-up, and returns when the measured span begins,
// which is then. The end of ctx ends the warm-up.
func (r *runner) beginAfter(ctx context.Context, warmup time.Duration) (begin int64) {
	_ = wait(ctx, warmup-announced)
	begin = r.clock.now() + int64(announced)
	r.end.Store(begin + int64(r.cfg.Duration))
	r.begin.Store(begin)
	_ = wait(context.WithoutCancel(ctx), time.Duration(begin-r.clock.now()))
	return begin
}

func (r *runner) anyUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts.Connected > 0
}

// wait waits, and returns why it ended sooner.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dialAll places the calls along the ramp and returns when all stand or
// failed.
func (r *runner) dialAll(ctx context.Context) {
	var wg sync.WaitGroup
	free := make(chan struct{}, maxDials)
	start := r.clock.now()
	for n := range r.cfg.Calls {
		due := start + int64(r.cfg.Ramp)/int64(r.cfg.Calls)*int64(n)
		if wait(ctx, time.Duration(due-r.clock.now())) != nil {
			break
		}
		free <- struct{}{}
		wg.Go(func() {
			r.place(ctx, n, due)
			<-free
		})
	}
	wg.Wait()
}

// place sets up call n. Its time runs from when it was due.
func (r *runner) place(ctx context.Context, n int, due int64) {
	join, err := r.dial(ctx, n)
	took := r.clock.now() - due
	var c *call
	if err == nil {
		c, err = join()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.counts.Failed++
		r.note(err)
		return
	}
	r.counts.Connected++
	record(r.setup, took)
	r.calls = append(r.calls, c)
}

// dial connects call n, and returns what has it join its worker.
func (r *runner) dial(ctx context.Context, n int) (join func() (*call, error), err error) {
	w := r.workers[n%len(r.workers)]
	if r.cfg.kind == "webrtc" {
		p, err := r.peers.dial(ctx, n)
		return func() (*call, error) { return w.joinPeer(p, n), nil }, err
	}
	var conn net.Conn
	var sent []byte
	if r.cfg.kind == "rtp" {
		conn, err = dialRTP(ctx, &r.cfg, n)
	} else {
		conn, sent, err = dialWS(ctx, &r.cfg, n)
	}
	return func() (*call, error) { return w.join(conn, n, sent) }, err
}

// maxErrors bounds the kinds of errors that a report lists.
const maxErrors = 16

// note counts an error by its text. r.mu is held.
func (r *runner) note(err error) {
	text := errorText(err)
	if _, known := r.counts.Errors[text]; !known && len(r.counts.Errors) >= maxErrors {
		text = "others"
	}
	r.counts.Errors[text]++
}

// failed notes that a call was lost.
func (r *runner) failed(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.Dropped++
	r.note(*c.lost.Load())
}

// noteSilent counts as lost the calls whose peer has fallen silent at the end.
func (r *runner) noteSilent() {
	for _, c := range r.calls {
		if p, ok := c.pipe.(*peer); ok && p.silent() {
			c.fail(errPeerLost)
		}
	}
}

// drain waits until all was sent and is back, or grace is over.
func (r *runner) drain() {
	limit := r.clock.now() + int64(r.cfg.Grace)
	for last := int64(-1); r.clock.now() < limit; {
		sent, back := r.counted()
		if (back >= sent && back == last || r.cfg.Echo == EchoNone) && r.allDue() {
			return // frames that came twice may stand for some that have not come
		}
		last = back
		time.Sleep(50 * time.Millisecond)
	}
}

// allDue reports whether the writers are through with what was due: they may
// be late.
func (r *runner) allDue() bool {
	for _, w := range r.workers {
		w.wrote.mu.Lock()
		at := w.now * slot
		w.wrote.mu.Unlock()
		if at < r.end.Load()+r.cfg.tail() {
			return false
		}
	}
	return true
}

// counted is how many frames went, and came back, since the run began.
func (r *runner) counted() (sent, back int64) {
	for _, w := range r.workers {
		w.wrote.mu.Lock()
		sent += w.wrote.sent
		w.wrote.mu.Unlock()
		w.heard.mu.Lock()
		back += w.heard.back
		w.heard.mu.Unlock()
	}
	return sent, back
}

func (r *runner) span() (begin, end int64) { return r.begin.Load(), r.end.Load() }

func (r *runner) measured(due int64) bool {
	begin, end := r.span()
	return due >= begin && due < end
}

// collect makes the line of seconds.
func (r *runner) collect(done <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	var last collected
	last.at = r.clock.now()
	last.use, _ = usageOf(r.cfg.PIDs) // its errors are told at the end
	for {
		select {
		case <-done:
			return
		case <-t.C:
		}
		s := r.second(&last)
		r.mu.Lock()
		if len(r.line) < int(maxRun/time.Second) {
			r.line = append(r.line, s)
		}
		r.peak = max(r.peak, s.RSS)
		r.mu.Unlock()
		if r.cfg.Progress != nil {
			r.cfg.Progress(s)
		}
	}
}

// collected is what there was a second ago.
type collected struct {
	at, sent, back int64
	use            usage
}

func (r *runner) second(last *collected) Second {
	latency, late := newHistogram(), newHistogram()
	var sent, back int64
	for _, w := range r.workers {
		n, _ := w.wrote.take(latency, late)
		_, m := w.heard.take(latency, late)
		sent, back = sent+n, back+m
	}
	if r.probes != nil {
		r.probes.take(latency, late)
	}
	now := r.clock.now()
	took := float64(now-last.at) / 1e9
	s := Second{At: round3(float64(now) / 1e9), Sent: sent - last.sent, Back: back - last.back, Latency: quantilesOf(latency), Late: quantilesOf(late).P99}
	r.mu.Lock()
	s.Calls = r.counts.Connected - r.counts.Dropped
	r.mu.Unlock()
	if use, err := usageOf(r.cfg.PIDs); err == nil && len(r.cfg.PIDs) > 0 {
		s.CPU, s.RSS = round3((use.cpu-last.use.cpu).Seconds()/took), use.rss
		last.use = use
	}
	begin, end := r.span()
	s.Measured = now > begin && now <= end+int64(time.Second)
	last.at, last.sent, last.back = now, sent, back
	return s
}

// errorText is what errors of one kind have in common: not their addresses.
func errorText(err error) string {
	return addresses.ReplaceAllString(fmt.Sprintf("%.300v", err), "")
}
