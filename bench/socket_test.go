//go:build unix

package bench_test

import (
	"fmt"
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// lapFrames go to one server before the other has its turn.
const lapFrames = 500

// BenchmarkEcho sends frames over loopback TCP to a server that sends them
// back, without pauses, one frame in flight per connection. cpu-µs/frame is
// the CPU time of the whole process, kernel and client included: those are the
// same for all, so the ratio understates what the servers differ by.
//
// handler is a leg whose handler writes what it hears; portable the same where
// each connection has a goroutine; tap a leg whose app reads and writes on a
// goroutine of its own. json is what one writes first: ReadMessage,
// encoding/json both ways. The floor is gorilla with a
// buffer of our own and nothing parsed; it takes turns with the other, so that
// both meet the same minute of the machine, and x-floor is their ratio.
func BenchmarkEcho(b *testing.B) {
	for _, server := range []struct {
		name  string
		serve func(testing.TB) string
	}{{"handler", serveHandler}, {"portable", servePortable}, {"tap", serveTap}, {"json", serveJSON}} {
		for _, conns := range []int{1, 50} {
			b.Run(fmt.Sprintf("%s/conns=%d", server.name, conns), func(b *testing.B) {
				subject := dialAll(b, server.serve(b), conns)
				floor := dialAll(b, serveFloor(b), conns)
				subject.lap(b)
				floor.lap(b)
				var s, f spent
				for b.Loop() {
					s.during(b, func() { subject.lap(b) })
					f.during(b, func() { floor.lap(b) })
				}
				frames := b.N * lapFrames
				b.ReportMetric(0, "ns/op") // of two laps: means nothing
				b.ReportMetric(s.cpuPer(frames), "cpu-µs/frame")
				b.ReportMetric(f.cpuPer(frames), "floor-cpu-µs/frame")
				b.ReportMetric(float64(s.cpu)/float64(f.cpu), "x-floor")
				b.ReportMetric(s.allocsPer(frames), "allocs/frame")
				b.ReportMetric(f.allocsPer(frames), "floor-allocs/frame")
			})
		}
	}
}

// TestSocketAllocations counts on the whole way of a frame, to a fraction:
// gorilla's reader allocates once a message; our side does not, nor does
// anything on the way out.
func TestSocketAllocations(t *testing.T) {
	heard := make(chan struct{}, 1)
	legs := make(chan *engine.Leg, 1)
	url := serveLegs(t, engine.LegConfig{Channels: engine.Unmixed}, func(l *engine.Leg) {
		l.OnRender(func(r *engine.Render) { r.Handle(func(*pcm.Frame) { heard <- struct{}{} }) })
		legs <- l
	})
	c := newClient(dial(t, url, 1)[0])
	leg := <-legs
	tap := leg.Tap(8)
	in := func() {
		require.NoError(t, c.send())
		<-heard
		if tap.Peek() != nil { // the last frame may still be on its way to it
			tap.Release()
		}
	}
	source, frame, sent := leg.Source(), noise(), 0
	out := func() {
		if n, err := source.TryWrite(frame[:]); n != len(frame) || err != nil {
			t.Fatal(n, err) // require would allocate
		}
		if sent++; sent%flushEvery == 0 {
			source.Flush()
		}
		require.NoError(t, c.await())
	}
	for _, way := range []struct {
		name string
		fn   func()
		most float64
	}{{"in", in, 1.05}, {"out", out, 0.05}} {
		way.fn() // the first makes room
		const frames = 2000
		var s spent
		s.during(t, func() {
			for range frames {
				way.fn()
			}
		})
		require.LessOrEqual(t, s.allocsPer(frames), way.most, way.name)
	}
}

// fleet is connections to one server, driven by one goroutine.
type fleet []*client

func dialAll(tb testing.TB, url string, n int) fleet {
	f := make(fleet, n)
	for i, conn := range dial(tb, url, n) {
		f[i] = newClient(conn)
	}
	return f
}

// lap sends lapFrames frames and receives as many.
func (f fleet) lap(tb testing.TB) {
	for range lapFrames / len(f) {
		for _, c := range f {
			if err := c.send(); err != nil {
				tb.Fatal(err)
			}
		}
		for _, c := range f {
			if err := c.await(); err != nil {
				tb.Fatal(err)
			}
		}
	}
}
