package ring

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

const benchFrames = 64

// The ring's forms and its peers in one goroutine: the price of the code and
// of the copies, without that of moving cache lines between cores.

func BenchmarkPushPop(b *testing.B) {
	var in, out pcm.Frame
	b.Run("ring", func(b *testing.B) {
		b.ReportAllocs()
		w, r := New(benchFrames)
		for b.Loop() {
			w.Push(&in)
			r.Pop(&out)
		}
	})
	b.Run("lazy", func(b *testing.B) {
		b.ReportAllocs()
		w, r := newLazy(benchFrames)
		for b.Loop() {
			w.Push(&in)
			r.Pop(&out)
		}
	})
	b.Run("channel", func(b *testing.B) {
		b.ReportAllocs()
		c := make(chan pcm.Frame, benchFrames)
		for b.Loop() {
			select {
			case c <- in:
			default:
			}
			select {
			case out = <-c:
			default:
			}
		}
	})
	b.Run("mutex", func(b *testing.B) {
		b.ReportAllocs()
		m := newMutexRing(benchFrames)
		for b.Loop() {
			m.Push(&in)
			m.Pop(&out)
		}
	})
	b.Run("copies-only", func(b *testing.B) { // the floor
		b.ReportAllocs()
		slots := make([]pcm.Frame, benchFrames)
		i := 0
		for b.Loop() {
			s := &slots[i&(benchFrames-1)]
			*s = in
			out = *s
			i++
		}
	})
}

func BenchmarkZeroCopy(b *testing.B) {
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		w, r := New(benchFrames)
		var sum uint32
		for b.Loop() {
			w.Slot().Seq = 1
			w.Commit()
			sum += r.Peek().Seq
			r.Release()
		}
	})
	b.Run("batch-of-16", func(b *testing.B) { // ns/op is for 16 frames
		b.ReportAllocs()
		w, r := New(benchFrames)
		var sum uint32
		for b.Loop() {
			s := w.Slots(16)
			for i := range s {
				s[i].Seq = 1
			}
			w.CommitN(len(s))
			p := r.PeekN(16)
			for i := range p {
				sum += p[i].Seq
			}
			r.ReleaseN(len(p))
		}
	})
}

// queue is what the benchmarks between goroutines need of a ring or a peer.
type queue interface {
	Push(*pcm.Frame) bool
	Pop(*pcm.Frame) bool
}

// waiter is a queue whose consumer can sleep.
type waiter interface {
	queue
	Wait(*pcm.Frame)
}

// BenchmarkThroughput: both sides at full speed, each spinning when it cannot
// go on.
func BenchmarkThroughput(b *testing.B) {
	for _, q := range queues() {
		b.Run(q.name, func(b *testing.B) {
			b.ReportAllocs()
			var wg sync.WaitGroup
			wg.Go(func() {
				var f pcm.Frame
				for range b.N {
					for !q.Pop(&f) {
						runtime.Gosched()
					}
				}
			})
			var f pcm.Frame
			for range b.N {
				for !q.Push(&f) {
					runtime.Gosched()
				}
			}
			wg.Wait()
		})
	}
}

// BenchmarkTransit: from just before Push to just after Pop in the other
// goroutine, one frame in flight at a time. ns/op is the round of both
// goroutines with two clock readings and is of no interest.
func BenchmarkTransit(b *testing.B) {
	for _, q := range queues() {
		b.Run("polling/"+q.name, func(b *testing.B) {
			transit(b, q, func(f *pcm.Frame) {
				for spin := 1; !q.Pop(f); spin++ {
					if spin%1000 == 0 {
						runtime.Gosched()
					}
				}
			})
		})
		b.Run("sleeping/"+q.name, func(b *testing.B) {
			transit(b, q, q.Wait)
		})
	}
}

func transit(b *testing.B, q queue, pop func(*pcm.Frame)) {
	b.ReportAllocs()
	base := time.Now()
	took := make([]int64, b.N)
	var read atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	wg.Go(func() {
		var f pcm.Frame
		for i := range took {
			pop(&f)
			took[i] = int64(time.Since(base)) - f.Arrival
			read.Add(1)
		}
	})
	var f pcm.Frame
	for i := range took {
		for spin := 1; read.Load() != int64(i); spin++ {
			if spin%1000 == 0 {
				runtime.Gosched()
			}
		}
		f.Arrival = int64(time.Since(base))
		q.Push(&f)
	}
	wg.Wait()
	b.StopTimer()

	var sum int64
	for _, t := range took {
		sum += t
	}
	slices.Sort(took)
	b.ReportMetric(float64(sum)/float64(len(took)), "ns-mean")
	b.ReportMetric(float64(took[len(took)/2]), "ns-p50")
	b.ReportMetric(float64(took[len(took)*999/1000]), "ns-p99.9")
}

type named struct {
	name string
	waiter
}

func queues() []named {
	w, r := New(benchFrames)
	return []named{
		{"ring", ringQueue{w, r}},
		{"channel", chanQueue(make(chan pcm.Frame, benchFrames))},
		{"mutex", newMutexRing(benchFrames)},
	}
}

type ringQueue struct {
	*Writer
	*Reader
}

func (q ringQueue) Wait(f *pcm.Frame) {
	for !q.Pop(f) {
		bell := q.Bell()
		if q.Peek() == nil {
			<-bell
		}
	}
}

type chanQueue chan pcm.Frame

func (q chanQueue) Push(f *pcm.Frame) bool {
	select {
	case q <- *f:
		return true
	default:
		return false
	}
}

func (q chanQueue) Pop(f *pcm.Frame) bool {
	select {
	case *f = <-q:
		return true
	default:
		return false
	}
}

func (q chanQueue) Wait(f *pcm.Frame) { *f = <-q }

// mutexRing is the ring that one writes first.
type mutexRing struct {
	mu         sync.Mutex
	nonEmpty   sync.Cond
	frames     []pcm.Frame
	head, tail int
}

func newMutexRing(n int) *mutexRing {
	m := &mutexRing{frames: make([]pcm.Frame, n)}
	m.nonEmpty.L = &m.mu
	return m
}

func (m *mutexRing) Push(f *pcm.Frame) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tail-m.head == len(m.frames) {
		return false
	}
	m.frames[m.tail%len(m.frames)] = *f
	m.tail++
	m.nonEmpty.Signal()
	return true
}

func (m *mutexRing) Pop(f *pcm.Frame) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tail == m.head {
		return false
	}
	*f = m.frames[m.head%len(m.frames)]
	m.head++
	return true
}

func (m *mutexRing) Wait(f *pcm.Frame) {
	m.mu.Lock()
	for m.tail == m.head {
		m.nonEmpty.Wait()
	}
	m.mu.Unlock()
	m.Pop(f)
}
