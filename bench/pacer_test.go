//go:build unix

package bench_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// paced frames of each stream, two seconds of them.
const paced = 100

// BenchmarkPacing sends from many sources whose queues are full, so that the
// pacers decide when a frame leaves, and reports how late frames left. The
// peer is what one writes first, a time.Ticker in a goroutine per stream. (At
// each tick it does nothing at all, where the engine takes a frame out of a
// queue and into its playout model.)
//
// late-p50, p99 and p99.9 are over all frames of all streams, against the
// schedule that was asked for. What is more than 20 ms late counts as less, as
// do the ticker's lost ticks.
func BenchmarkPacing(b *testing.B) {
	for _, way := range []struct {
		name string
		run  func(testing.TB, []stream, *spent)
	}{{"sources", runSources}, {"tickers", runTickers}} {
		for _, n := range []int{10, 500} {
			b.Run(fmt.Sprintf("%s/streams=%d", way.name, n), func(b *testing.B) {
				var late []int64
				var s spent
				for b.Loop() {
					streams := make([]stream, n)
					way.run(b, streams, &s)
					for i := range streams {
						late = append(late, streams[i].lateness()...)
					}
				}
				slices.Sort(late)
				us := func(q float64) float64 { return float64(late[int(q*float64(len(late)))]) / 1e3 }
				b.ReportMetric(0, "ns/op") // two seconds
				b.ReportMetric(us(0.50), "late-p50-µs")
				b.ReportMetric(us(0.99), "late-p99-µs")
				b.ReportMetric(us(0.999), "late-p99.9-µs")
				b.ReportMetric(s.cpuPer(len(late)), "cpu-µs/frame")
			})
		}
	}
}

// stream notes when its frames left. It is the outlet of a source.
type stream struct {
	begin int64 // of the schedule
	skip  int   // frames that leave at once
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

// turn returns the beginning of a schedule that a pacer may have had: of the
// whole milliseconds of its clock, the one after which most frames left.
func (s *stream) turn() int64 {
	const turns = int64(pcm.FrameDuration / time.Millisecond)
	var frames [turns]int
	for _, at := range s.at {
		frames[at/int64(time.Millisecond)%turns]++
	}
	return int64(slices.Index(frames[:], slices.Max(frames[:]))) * int64(time.Millisecond)
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
		streams[i].skip = int(ahead / pcm.FrameSamples)
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
	s.at[99] += 19e6
	s.begin = s.turn()
	late := s.lateness()
	require.EqualValues(t, 3_000_300, late[0])
	require.EqualValues(t, 300, late[1])
	require.EqualValues(t, 19_000_300, late[99])
}
