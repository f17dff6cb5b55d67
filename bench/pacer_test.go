//go:build unix

package bench_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// paced frames of each stream, one second of them.
const paced = 50

// BenchmarkPacing sends from many sources whose queues are full, so that the
// pacers decide when a frame leaves, and reports how late frames left. The
// peer is what one writes first, a time.Ticker in a goroutine per stream. (At
// each tick it does nothing at all, where the engine takes a frame out of a
// queue and into its playout model.) The floor is a thread that wakes every
// millisecond, as a pacer's does, and only looks at the clock: what is left
// there is the kernel's and the machine's. All three are measured in turn, so
// that the ratios hold where the figures do not.
//
// p50, p99 and p99.9 are over all frames of all streams, against the schedule
// that was asked for. In all three what is more than 20 ms late counts as less,
// as do the ticker's lost ticks.
func BenchmarkPacing(b *testing.B) {
	for _, n := range []int{10, 1000, 5000} {
		b.Run(fmt.Sprintf("streams=%d", n), func(b *testing.B) {
			var sources, tickers, floor lateness
			for b.Loop() {
				sources.add(b, n, runSources)
				tickers.add(b, n, runTickers)
				floor.addFloor()
			}
			b.ReportMetric(0, "ns/op") // three seconds
			b.ReportMetric(sources.used.allocsPer(sources.frames), "allocs/frame")
			b.ReportMetric(sources.used.cpuPer(sources.frames), "cpu-µs/frame")
			b.ReportMetric(tickers.used.cpuPer(tickers.frames), "ticker-cpu-µs/frame")
			for _, q := range []struct {
				name string
				part float64
			}{{"p50", 0.50}, {"p99", 0.99}, {"p99.9", 0.999}} {
				ours, theirs, least := sources.quantile(q.part), tickers.quantile(q.part), floor.quantile(q.part)
				b.ReportMetric(ours, q.name+"-µs")
				b.ReportMetric(theirs, "ticker-"+q.name+"-µs")
				b.ReportMetric(least, "floor-"+q.name+"-µs")
				b.ReportMetric(ours/theirs, q.name+"/ticker")
				b.ReportMetric(ours/least, q.name+"/floor")
			}
		})
	}
}

// BenchmarkBusyPacing is pacing in a process whose other goroutines keep every
// processor of the runtime busy, as an app's own work does on a full machine. A
// turn of the engine, a goroutine in time.Sleep and a thread that sleeps in the
// kernel (a pacer without its understudy) are due every 20 ms, all in the same
// seconds.
func BenchmarkBusyPacing(b *testing.B) {
	var turn, timer, thread lateness
	for b.Loop() {
		stop := keepBusy()
		var all sync.WaitGroup
		all.Go(func() { turn.addTurns(b) })
		all.Go(func() {
			timer.addWakes(busyTurns, pcm.FrameDuration, func(at int64) { time.Sleep(time.Duration(at - engine.Now())) })
		})
		all.Go(func() { thread.addThread(busyTurns, pcm.FrameDuration) })
		all.Wait()
		stop()
	}
	b.ReportMetric(0, "ns/op") // two seconds
	for _, l := range []struct {
		name string
		of   *lateness
	}{{"", &turn}, {"timer-", &timer}, {"thread-", &thread}} {
		b.ReportMetric(l.of.quantile(0.5), l.name+"p50-µs")
		b.ReportMetric(l.of.quantile(0.99), l.name+"p99-µs")
	}
}

// busyTurns of each, in a run of BenchmarkBusyPacing.
const busyTurns = 100

// keepBusy has pairs of goroutines hand work to each other until stop is called.
func keepBusy() (stop func()) {
	var over atomic.Bool
	var all sync.WaitGroup
	work := func(d time.Duration) {
		for at := time.Now(); time.Since(at) < d; {
		}
	}
	for range 4 * runtime.GOMAXPROCS(0) {
		to, from := make(chan bool), make(chan bool)
		all.Go(func() {
			for range to {
				work(300 * time.Microsecond)
				from <- true
			}
		})
		all.Go(func() {
			defer close(to)
			for !over.Load() {
				to <- true
				work(100 * time.Microsecond)
				<-from
			}
		})
	}
	return func() { over.Store(true); all.Wait() }
}

func (l *lateness) addTurns(tb testing.TB) {
	eng := engine.New(engine.Config{})
	defer eng.Close()
	done := make(chan struct{})
	n := 0
	beat := eng.NewBeat(nil, func(at int64) {
		if n++; n <= busyTurns {
			l.ns = append(l.ns, engine.Now()-at)
		}
		if n == busyTurns {
			close(done)
		}
	}, func() {})
	require.NoError(tb, beat.Start())
	<-done
	beat.Stop()
}

// addWakes adds by how much n sleeps were late.
func (l *lateness) addWakes(n int, every time.Duration, sleep func(until int64)) {
	at := engine.Now()
	for range n {
		at += int64(every)
		sleep(at)
		l.ns = append(l.ns, engine.Now()-at)
	}
}

// addThread is addWakes of a thread that sleeps in the kernel, as a pacer's does.
func (l *lateness) addThread(n int, every time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.addWakes(n, every, sleepUntil)
}

// lateness is that of many frames, and what they took.
type lateness struct {
	ns     []int64
	used   spent
	frames int
}

func (l *lateness) add(tb testing.TB, n int, run func(testing.TB, []stream, *spent)) {
	streams := make([]stream, n)
	run(tb, streams, &l.used)
	for i := range streams {
		l.ns = append(l.ns, streams[i].lateness()...)
		l.frames += streams[i].early + paced
	}
}

func (l *lateness) addFloor() {
	from := len(l.ns)
	l.addThread(paced*int(pcm.FrameDuration/time.Millisecond), time.Millisecond)
	for i := range l.ns[from:] {
		l.ns[from+i] %= int64(pcm.FrameDuration)
	}
}

// quantile returns µs.
func (l *lateness) quantile(q float64) float64 {
	slices.Sort(l.ns)
	return float64(l.ns[int(q*float64(len(l.ns)))]) / 1e3
}

// stream notes when its frames left. It is the outlet of a source.
type stream struct {
	begin int64 // of the schedule
	early int   // frames that leave at once
	skip  int   // those that have not yet
	n     int
	at    [paced]int64
	done  func()
}

func (s *stream) SendFrame(*[pcm.FrameSamples]int16) bool {
	if s.skip > 0 {
		s.skip--
		return true
	}
	if s.n < paced {
		s.at[s.n] = engine.Now()
		if s.n++; s.n == paced {
			s.done()
		}
	}
	return true
}

func (s *stream) SendFlush() bool { return true }

// lateness returns by how much each frame missed the schedule.
func (s *stream) lateness() []int64 {
	late := s.at
	for i := range late {
		late[i] = (late[i] - s.begin) % int64(pcm.FrameDuration)
	}
	return late[:]
}

// turn returns the beginning of the schedule that a pacer had: of the whole
// milliseconds of its clock, the one by which the frames were least late. (A
// frame is not early; what a wrong turn takes for early counts as 20 ms late.)
func (s *stream) turn() int64 {
	const turns = int64(pcm.FrameDuration / time.Millisecond)
	var total [turns]int64
	for i := range total {
		for _, at := range s.at {
			total[i] += (at - int64(i)*int64(time.Millisecond)) % int64(pcm.FrameDuration)
		}
	}
	return int64(slices.Index(total[:], slices.Min(total[:]))) * int64(time.Millisecond)
}

// runSources returns when every stream has had its frames from a source, and
// adds to used what sending them took.
func runSources(tb testing.TB, streams []stream, used *spent) {
	eng := engine.New(engine.Config{})
	defer eng.Close()
	ahead := pcm.Samples(engine.RunAhead)
	audio := make([]int16, ahead+paced*pcm.FrameSamples)
	legs := make([]*engine.Leg, len(streams))
	var running sync.WaitGroup
	running.Add(len(streams))
	for i := range legs {
		leg, err := eng.NewLeg(engine.LegConfig{SourceLimit: pcm.Duration(int64(len(audio)))})
		require.NoError(tb, err)
		_, err = leg.Source().TryWrite(audio)
		require.NoError(tb, err)
		streams[i].early = int(ahead / pcm.FrameSamples)
		streams[i].skip = streams[i].early
		streams[i].done = running.Done
		legs[i] = leg
	}
	used.during(tb, func() {
		for i, leg := range legs {
			_, err := leg.Attach(&streams[i])
			require.NoError(tb, err)
		}
		running.Wait()
	})
	for i := range streams {
		streams[i].begin = streams[i].turn()
	}
}

// runTickers returns when every stream has had as many ticks. They start over
// 20 ms, as the pacers spread sources.
func runTickers(tb testing.TB, streams []stream, used *spent) {
	used.during(tb, func() {
		var running sync.WaitGroup
		for i := range streams {
			running.Go(func() {
				time.Sleep(time.Duration(i) * pcm.FrameDuration / time.Duration(len(streams)))
				streams[i].tick()
			})
		}
		running.Wait()
	})
}

func (s *stream) tick() {
	s.done = func() {}
	s.begin = engine.Now()
	t := time.NewTicker(pcm.FrameDuration)
	defer t.Stop()
	for s.n < paced {
		<-t.C
		s.SendFrame(nil)
	}
}

func TestLateness(t *testing.T) {
	s := stream{n: paced}
	for i := range s.at {
		s.at[i] = 7_000_300 + int64(i)*20e6
	}
	s.at[0] += 3e6
	s.at[paced-1] += 19e6
	s.begin = s.turn()
	late := s.lateness()
	require.EqualValues(t, 3_000_300, late[0])
	require.EqualValues(t, 300, late[1])
	require.EqualValues(t, 19_000_300, late[paced-1])
}
