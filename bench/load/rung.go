package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/codec/l16"
)

// maxRung bounds a run through the emulator: what it keeps of a call.
const maxRung = 9 * time.Minute

// rung is a run through the emulator: it rings the bot, which answers by REST
// and is dialled, and keeps what each call was sent and sent back, by which
// the frames are matched when all is over.
type rung struct {
	*runner
	server *cloud.Server

	placed []placed // guarded by runner.mu
}

type placed struct {
	call *cloud.Call
	due  time.Time // when it was to be placed
}

// runRung is Run for bots that are rung.
func (r *runner) runRung(ctx context.Context) (_ *Report, err error) {
	if d := r.cfg.Ramp + r.cfg.Warmup + r.cfg.Duration + r.cfg.Grace; d > maxRung {
		return nil, errConfig("ramp, warm-up, duration and grace are %v: want at most %v with the emulator", d, maxRung)
	}
	e := r.cfg.Emulator
	r.probes = newTally() // of this process's timers, by which calls are paced
	g := &rung{runner: r, server: &cloud.Server{
		Addr: e.Addr, Key: e.Key, EventsURL: r.cfg.URL, Insecure: true, JitterBuffer: -1, Dominant: -1, MaxCalls: r.cfg.Calls, TLS: r.cfg.TLS,
	}}
	idle, err := usageOf(r.cfg.PIDs)
	if err != nil {
		return nil, err
	}
	if err := g.server.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.server.Close()) }()
	script, err := g.script()
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	var side sync.WaitGroup
	side.Go(func() { r.collect(done) })
	side.Go(func() { g.probe(done) })
	g.ringAll(ctx, script)
	begin := r.beginAfter(ctx, r.cfg.Warmup)
	before, errBefore := usageOf(r.cfg.PIDs)
	own := ownCPU()
	interrupted := wait(ctx, r.cfg.Duration) != nil
	end := min(r.clock.now(), r.end.Load())
	after, errAfter := usageOf(r.cfg.PIDs)
	own = ownCPU() - own
	_ = wait(ctx, r.cfg.Grace)
	close(done)
	side.Wait()

	rep := g.report(begin, end)
	rep.Interrupted = interrupted
	rep.Generator.addCPU(own, end-begin, rep.Frames.Sent)
	if err := errors.Join(errBefore, errAfter); err != nil {
		rep.Server = &ServerUse{Error: err.Error()}
	} else if len(r.cfg.PIDs) > 0 {
		rep.Server = serverUse(idle, before, after, end-begin, rep.Frames.Sent)
		rep.Server.RSSPeak = max(r.peak, after.rss)
		rep.Server.RSSPerCall = (after.rss - idle.rss) / int64(max(1, rep.Calls.Connected))
	}
	rep.Verdict = r.cfg.Limits.judge(rep)
	return rep, nil
}

// script has a first speaker whose every frame is marked by its slot, and
// others whose lowest bits are 0, so that the mark survives their sum.
func (g *rung) script() (cloud.Script, error) {
	s := cloud.Script{HangUp: cloud.Never, Dominant: -1}
	frames := int((g.cfg.Ramp + g.cfg.Warmup + g.cfg.Duration + g.cfg.Grace) / frameTime)
	for p := range g.cfg.Speakers {
		c, err := newClip(1, 16000)
		if err != nil {
			return s, err
		}
		var pcm []int16
		for i := range frames {
			b := make([]byte, c.bytes)
			at := (i + 101*p) % c.frames * c.bytes
			copy(b, c.pcm[at:at+c.bytes])
			samples := make([]int16, c.bytes/2)
			if p == 0 {
				mark{seq: uint32(i)}.put(b)
			}
			l16.DecodeLE(samples, b)
			for j := range samples {
				if p > 0 {
					samples[j] = samples[j] >> 3 &^ 1
				} else if g.cfg.Speakers > 1 {
					samples[j] = samples[j]>>1&^1 | samples[j]&1 // room for the sum
				}
			}
			pcm = append(pcm, samples...)
		}
		s.Speakers = append(s.Speakers, cloud.Speaker{Name: fmt.Sprintf("Speaker %d", p+1), PCM: pcm})
	}
	return s, nil
}

// ringAll rings along the ramp, and returns when the last bot was rung.
func (g *rung) ringAll(ctx context.Context, script cloud.Script) {
	var wg sync.WaitGroup
	free := make(chan struct{}, maxDials)
	start := g.clock.now()
	for n := range g.cfg.Calls {
		due := start + int64(g.cfg.Ramp)/int64(g.cfg.Calls)*int64(n)
		if wait(ctx, time.Duration(due-g.clock.now())) != nil {
			break
		}
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			call, err := g.server.Ring(ctx, cloud.Ring{Script: script})
			g.mu.Lock()
			defer g.mu.Unlock()
			if err != nil {
				g.counts.Failed++
				g.note(err)
				return
			}
			g.counts.Connected++ // until its log says otherwise
			g.placed = append(g.placed, placed{call, g.clock.wall(due)})
		})
	}
	wg.Wait()
}

// probe measures how late a timer of this process is, every 5 ms.
func (g *rung) probe(done <-chan struct{}) {
	const step = int64(5 * time.Millisecond)
	for at := g.clock.now()/step*step + step; ; at += step {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(at - g.clock.now())):
		}
		late := g.clock.now() - at
		g.probes.mu.Lock()
		if g.measured(at) {
			record(g.probes.own, late)
		}
		record(g.probes.late, late)
		g.probes.mu.Unlock()
	}
}

// report reads the calls' logs.
func (g *rung) report(begin, end int64) *Report {
	rep := g.runner.report(begin, end)
	latency, seconds, sent := newHistogram(), map[int]*hdrhistogram.Histogram{}, map[int]int64{}
	g.counts.Connected = 0
	for _, p := range g.placed {
		log := p.call.Log()
		switch {
		case len(log.Connections) == 0:
			g.counts.Failed++
			g.note(fmt.Errorf("rung, but no media: %s, %d %s", log.State, log.Result.Code, log.Result.Message))
			continue
		case log.Ended:
			g.counts.Dropped++
			g.note(fmt.Errorf("ended: %d %s", log.Result.Code, log.Result.Message))
		}
		g.counts.Connected++
		record(g.setup, int64(log.Start.Sub(p.due)))
		g.read(log, begin, end, &rep.Frames, latency, seconds)
		for i := range log.Slots {
			sent[int((int64(log.Start.Sub(g.clock.wall(0)))+int64(i)*int64(frameTime))/int64(time.Second))+1]++
		}
	}
	f := &rep.Frames
	if f.Unsent = f.Due - f.Sent; g.cfg.Echo != EchoNone {
		f.Lost = f.Due - f.Back
	}
	rep.Calls, rep.Setup = g.counts, quantilesOf(g.setup)
	rep.Latency, rep.Service, rep.Histogram = quantilesOf(latency), quantilesOf(latency), bars(latency)
	rep.Generator.WriteLate = quantilesOf(g.probes.own)
	for i := range rep.Timeline {
		s := &rep.Timeline[i]
		s.Measured = int64(s.At*1e9) > begin && int64(s.At*1e9) <= end+int64(time.Second)
		second := int(math.Round(s.At))
		s.Sent = sent[second]
		if h := seconds[second]; h != nil {
			s.Latency, s.Back = quantilesOf(h), h.TotalCount()
		}
	}
	return rep
}

// read matches what one call sent back with what it was sent: the frames of
// slots that were due from begin to end.
func (g *rung) read(log *cloud.Log, begin, end int64, f *Frames, latency *hdrhistogram.Histogram, seconds map[int]*hdrhistogram.Histogram) {
	zero := int64(log.Start.Sub(g.clock.wall(0))) // when slot 0 was due, to the ms
	slotAt := func(t int64) uint32 { return uint32(max(0, (t-zero+int64(frameTime)-1)/int64(frameTime))) }
	first, last := slotAt(begin), slotAt(end)
	f.Due += int64(last - first)
	f.Sent += max(0, min(int64(log.Slots), int64(last))-int64(first))
	var w window
	marks := markReader{frameBytes: 640}
	for _, in := range log.Playout.Received {
		if in.First+in.Samples > int64(len(log.Playout.PCM)) {
			break // more than the emulator keeps
		}
		at := zero + in.At*int64(time.Second)/16000
		f.Altered += int64(marks.samples(l16.AppendLE(nil, log.Playout.PCM[in.First:in.First+in.Samples]), func(m mark) {
			due := zero + int64(m.seq)*int64(frameTime)
			second := int(at/int64(time.Second)) + 1
			if seconds[second] == nil {
				seconds[second] = newHistogram()
			}
			record(seconds[second], at-due)
			if m.speaker != 0 || m.seq < first || m.seq >= last {
				return
			}
			switch w.take(m.seq - first) {
			case duplicate:
				f.Duplicated++
				return
			case stale:
				return
			case reordered:
				f.Reordered++
			}
			record(latency, at-due)
		}))
	}
	w.finish(last - first)
	f.Back += w.back
	f.Gaps += w.gaps
	f.LongestGap = max(f.LongestGap, w.longest)
}
