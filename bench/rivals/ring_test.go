package rivals_test

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"code.hybscloud.com/lfq"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/ring"
	"github.com/puzpuzpuz/xsync/v4"
	"github.com/stretchr/testify/require"
)

// Every queue hands on every frame, in order and unharmed, between two
// goroutines; so it is fair to compare what that costs.
func TestQueues(t *testing.T) {
	const frames = 20_000
	for _, q := range queues() {
		t.Run(q.name, func(t *testing.T) {
			var f pcm.Frame
			require.False(t, q.Pop(&f))
			var wg sync.WaitGroup
			wg.Go(func() { produce(q, frames, func(f *pcm.Frame) { f.Samples = noise(); f.Samples[7] = int16(f.Seq) }) })
			n := uint32(0)
			consume(q, frames, func(f *pcm.Frame) {
				want := noise()
				want[7] = int16(n)
				if f.Seq != n || f.Samples != want {
					t.Errorf("frame %d came as number %d", n, f.Seq)
				}
				n++
			})
			wg.Wait()
			require.False(t, q.Pop(&f))
			for q.Push(&f) { // none is without a bound
				n++
			}
			require.EqualValues(t, frames+slots, n)
		})
	}
}

func produce(q queue, frames int, fill func(*pcm.Frame)) {
	var f pcm.Frame
	for i := range frames {
		f.Seq = uint32(i)
		fill(&f)
		for !q.Push(&f) {
			runtime.Gosched()
		}
	}
}

func consume(q queue, frames int, look func(*pcm.Frame)) {
	var f pcm.Frame
	for range frames {
		for !q.Pop(&f) {
			runtime.Gosched()
		}
		look(&f)
	}
}

// BenchmarkPushPop is a frame in and out in one goroutine, each queue called as
// its authors mean it. All but in-place copy the frame in and out; xsync and
// lfq besides return it by value and clear the slot, for what they hold may be
// pointers.
func BenchmarkPushPop(b *testing.B) {
	in, out := pcm.Frame{Samples: noise()}, pcm.Frame{}
	w, r := ring.New(slots)
	x, l := xsync.NewSPSCQueue[pcm.Frame](slots), lfq.NewSPSC[pcm.Frame](slots)
	c, m := channel(make(chan pcm.Frame, slots)), &mutexRing{frames: make([]pcm.Frame, slots)}
	floor, i := make([]pcm.Frame, slots), 0
	for _, q := range []struct {
		name string
		step func()
	}{
		{"ours", func() { w.Push(&in); r.Pop(&out) }},
		{"xsync", func() { x.TryEnqueue(in); out, _ = x.TryDequeue() }},
		{"lfq", func() { _ = l.Enqueue(&in); out, _ = l.Dequeue() }},
		{"channel", func() { c.Push(&in); c.Pop(&out) }},
		{"mutex", func() { m.Push(&in); m.Pop(&out) }},
		{"copies-only", func() { s := &floor[i&(slots-1)]; *s = in; out = *s; i++ }},
	} {
		out = pcm.Frame{}
		b.Run(q.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				q.step()
			}
		})
		require.Equal(b, in, out)
	}
}

// BenchmarkHandOver copies no frame: ours is filled and read where it lies;
// theirs takes a pointer to one of the producer's, and a second ring brings it
// back.
func BenchmarkHandOver(b *testing.B) {
	w, r := ring.New(slots)
	there, back := xsync.NewSPSCQueue[*pcm.Frame](slots), xsync.NewSPSCQueue[*pcm.Frame](slots)
	lthere, lback := lfq.NewSPSCPtr(slots), lfq.NewSPSCPtr(slots)
	frames := make([]pcm.Frame, 2)
	back.TryEnqueue(&frames[0])
	require.NoError(b, lback.Enqueue(unsafe.Pointer(&frames[1])))
	sum := uint32(0)
	for _, q := range []struct {
		name string
		step func()
	}{
		{"ours", func() {
			w.Slot().Seq = 1
			w.Commit()
			sum += r.Peek().Seq
			r.Release()
		}},
		{"xsync", func() {
			f, _ := back.TryDequeue()
			f.Seq = 1
			there.TryEnqueue(f)
			f, _ = there.TryDequeue()
			sum += f.Seq
			back.TryEnqueue(f)
		}},
		{"lfq", func() {
			p, _ := lback.Dequeue()
			(*pcm.Frame)(p).Seq = 1
			_ = lthere.Enqueue(p)
			p, _ = lthere.Dequeue()
			sum += (*pcm.Frame)(p).Seq
			_ = lback.Enqueue(p)
		}},
	} {
		b.Run(q.name, func(b *testing.B) {
			b.ReportAllocs()
			sum = 0
			for b.Loop() {
				q.step()
			}
			require.EqualValues(b, uint32(b.N), sum)
		})
	}
}

// BenchmarkThroughput: two goroutines at full speed, each spinning when it
// cannot go on.
func BenchmarkThroughput(b *testing.B) {
	for _, q := range queues() {
		b.Run(q.name, func(b *testing.B) {
			b.ReportAllocs()
			var wg sync.WaitGroup
			wg.Go(func() { consume(q, b.N, func(*pcm.Frame) {}) })
			produce(q, b.N, func(*pcm.Frame) {})
			wg.Wait()
		})
	}
}

// BenchmarkLoaded is what two goroutines meet on a machine whose cores are all
// busy and whose collector runs. push is how long the producer was held: it
// reads a socket, and others wait behind it. transit is from before Push to
// after Pop, and mostly the scheduler's. Both are of frames that the producer
// sends one at a time; ns/op is of no interest, and allocations are those of
// the load.
func BenchmarkLoaded(b *testing.B) {
	for _, q := range queues() {
		b.Run(q.name, func(b *testing.B) {
			stop := burn()
			defer stop()
			base := time.Now()
			push, transit := make([]int64, b.N), make([]int64, 0, b.N)
			var wg sync.WaitGroup
			b.ResetTimer()
			wg.Go(func() {
				consume(q, b.N, func(f *pcm.Frame) { transit = append(transit, int64(time.Since(base))-f.Arrival) })
			})
			var f pcm.Frame
			for i := range push {
				f.Arrival = int64(time.Since(base))
				for !q.Push(&f) {
					runtime.Gosched()
					f.Arrival = int64(time.Since(base))
				}
				push[i] = int64(time.Since(base)) - f.Arrival
				if i%4 == 0 {
					runtime.Gosched()
				}
			}
			wg.Wait()
			b.StopTimer()
			report(b, "push", push)
			report(b, "transit", transit)
		})
	}
}

func report(b *testing.B, what string, ns []int64) {
	slices.Sort(ns)
	b.ReportMetric(float64(ns[len(ns)/2]), what+"-p50-ns")
	b.ReportMetric(float64(ns[len(ns)*999/1000]), what+"-p99.9-ns")
}

// burn keeps every core busy, in turns of some 20 µs, with what makes garbage.
func burn() (stop func()) {
	var ended atomic.Bool
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !ended.Load() {
				for begun := time.Now(); time.Since(begun) < 20*time.Microsecond; {
					garbage.Store(new([256]byte))
				}
				runtime.Gosched()
			}
		})
	}
	return func() { ended.Store(true); wg.Wait() }
}

var garbage atomic.Pointer[[256]byte]
