package rivals_test

import (
	"sync"

	"code.hybscloud.com/lfq"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/ring"
	"github.com/puzpuzpuz/xsync/v4"
)

const slots = 64

// noise is a frame of samples in which no two words of base64 are equal.
func noise() (s [pcm.FrameSamples]int16) {
	for i := range s {
		s[i] = int16(i * 7919)
	}
	return s
}

// A queue takes frames from one goroutine to another. Neither side waits.
type queue interface {
	Push(*pcm.Frame) bool
	Pop(*pcm.Frame) bool
}

type named struct {
	name string
	queue
}

func queues() []named {
	w, r := ring.New(slots)
	return []named{
		{"ours", ours{w, r}},
		{"xsync", xsyncQueue{xsync.NewSPSCQueue[pcm.Frame](slots)}},
		{"lfq", lfqQueue{lfq.NewSPSC[pcm.Frame](slots)}},
		{"channel", channel(make(chan pcm.Frame, slots))},
		{"mutex", &mutexRing{frames: make([]pcm.Frame, slots)}},
	}
}

type ours struct {
	*ring.Writer
	*ring.Reader
}

type xsyncQueue struct{ q *xsync.SPSCQueue[pcm.Frame] }

func (x xsyncQueue) Push(f *pcm.Frame) bool { return x.q.TryEnqueue(*f) }

func (x xsyncQueue) Pop(f *pcm.Frame) (ok bool) {
	if got, ok := x.q.TryDequeue(); ok {
		*f = got
		return true
	}
	return false
}

type lfqQueue struct{ q *lfq.SPSC[pcm.Frame] }

func (l lfqQueue) Push(f *pcm.Frame) bool { return l.q.Enqueue(f) == nil }

func (l lfqQueue) Pop(f *pcm.Frame) bool {
	got, err := l.q.Dequeue()
	if err != nil {
		return false
	}
	*f = got
	return true
}

type channel chan pcm.Frame

func (c channel) Push(f *pcm.Frame) bool {
	select {
	case c <- *f:
		return true
	default:
		return false
	}
}

func (c channel) Pop(f *pcm.Frame) bool {
	select {
	case *f = <-c:
		return true
	default:
		return false
	}
}

// mutexRing is the ring that one writes first.
type mutexRing struct {
	mu         sync.Mutex
	frames     []pcm.Frame
	head, tail int
}

func (m *mutexRing) Push(f *pcm.Frame) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tail-m.head == len(m.frames) {
		return false
	}
	m.frames[m.tail%len(m.frames)] = *f
	m.tail++
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
