// Package netem is a bad network: it loses, delays, disorders and repeats
// packets by a seed, so that what it did can be done again.
//
// It is arithmetic: time is an argument, in nanoseconds on any clock, and
// nothing happens by itself. Package proxy puts it between two sockets.
package netem

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Shape is the distribution of jitter.
type Shape uint8

// The shapes of jitter.
const (
	// Uniform: anything from 0 to Jitter.
	Uniform Shape = iota
	// Normal: a bell around Jitter/2 whose deviation is Jitter/6, cut at both
	// ends.
	Normal
	// Pareto: mostly little, seldom up to Jitter, as on a queue that
	// others use.
	Pareto
)

// Burst loses packets in bursts: a chain of two states (Gilbert and Elliott).
type Burst struct {
	// Enter is the probability per packet to go into the bad state, Leave that
	// to leave it: 1/Leave packets last in it on average.
	Enter, Leave float64
	// Loss in the bad state; 0 means all are lost.
	Loss float64
}

// Config says what a link does. The zero value does nothing to a packet.
type Config struct {
	Seed uint64
	// Loss is the probability of a packet to be lost, besides bursts.
	Loss  float64
	Burst Burst
	// Delay of every packet, and Jitter at most in addition.
	Delay, Jitter time.Duration
	Shape         Shape
	// InOrder lets no packet overtake another for its jitter.
	InOrder bool
	// Reorder is the probability of a packet to be held back by ReorderBy.
	Reorder   float64
	ReorderBy time.Duration
	// Duplicate is the probability of a packet to come twice, the second
	// time with a jitter of its own.
	Duplicate float64
	// Rate in bits/s that the link carries, 0 is any; Queue is how many bytes
	// may wait for it, 0 means a quarter of a second's.
	Rate  int64
	Queue int64
}

func (c Config) String() string {
	return fmt.Sprintf("seed %d: loss %.3g, burst %.3g/%.3g, delay %v+%v, reorder %.3g, duplicate %.3g, rate %d",
		c.Seed, c.Loss, c.Burst.Enter, c.Burst.Leave, c.Delay, c.Jitter, c.Reorder, c.Duplicate, c.Rate)
}

// Stats count what a link did.
type Stats struct {
	// Sent packets, Lost by chance, Dropped for the queue being full, second
	// copies in addition (Duplicated), held back (Reordered), Delivered ones:
	//
	//	Sent + Duplicated = Lost + Dropped + Delivered + under way
	Sent, Lost, Dropped, Duplicated, Reordered, Delivered int64
}

// Link is one direction of a network. It is not safe for concurrent use.
type Link struct {
	cfg   Config
	rng   *rand.Rand
	bad   bool
	free  [][]byte
	last  int64 // latest delivery so far
	clear int64 // when the queue will be empty
	order uint64
	under flight
	n     Stats
}

// New returns a link.
func New(cfg Config) *Link {
	if cfg.Rate > 0 && cfg.Queue == 0 {
		cfg.Queue = cfg.Rate / 8 / 4
	}
	return &Link{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x6d69786d696e7573))}
}

// Send puts a packet on the link. It keeps a copy. It reports whether at
// least one will be delivered.
func (l *Link) Send(now int64, packet []byte) bool {
	l.n.Sent++
	// All dice are thrown for every packet, so that one knob does not change
	// what another does to the same seed.
	lost, burst, stays := l.rng.Float64(), l.rng.Float64(), l.rng.Float64()
	held, twice := l.rng.Float64(), l.rng.Float64()
	jitter, again := l.jitter(), l.jitter()
	if l.bad {
		l.bad = stays >= l.cfg.Burst.Leave
	} else {
		l.bad = stays < l.cfg.Burst.Enter
	}
	loss := l.cfg.Burst.Loss
	if loss == 0 {
		loss = 1
	}
	if lost < l.cfg.Loss || l.bad && burst < loss {
		l.n.Lost++
		return false
	}
	at, ok := l.through(now, len(packet))
	if !ok {
		l.n.Dropped++
		return false
	}
	at += int64(l.cfg.Delay)
	first := at + jitter
	if held < l.cfg.Reorder {
		l.n.Reordered++
		first += int64(l.cfg.ReorderBy)
	} else if l.cfg.InOrder {
		first = max(first, l.last)
		l.last = first
	}
	l.push(first, packet)
	if twice < l.cfg.Duplicate {
		l.n.Duplicated++
		l.push(at+again, packet)
	}
	return true
}

// through returns when a packet has passed the queue.
func (l *Link) through(now int64, size int) (at int64, ok bool) {
	if l.cfg.Rate <= 0 {
		return now, true
	}
	l.clear = max(l.clear, now)
	waiting := (l.clear - now) / 1000 * l.cfg.Rate / 8 / 1e6
	if waiting+int64(size) > l.cfg.Queue {
		return 0, false
	}
	l.clear += int64(size) * 8 * 1e9 / l.cfg.Rate
	return l.clear, true
}

func (l *Link) jitter() int64 {
	u, v := l.rng.Float64(), l.rng.Float64()
	most := float64(l.cfg.Jitter)
	switch l.cfg.Shape {
	case Normal:
		z := math.Sqrt(-2*math.Log(1-u)) * math.Cos(2*math.Pi*v)
		return int64(max(0, min(most, most/2+z*most/6)))
	case Pareto:
		// Alpha 3, from 1 on, of which 1 to 11 are Jitter's ten tenths.
		x := math.Pow(1-u, -1.0/3) - 1
		return int64(min(most, most*x/10))
	}
	return int64(u * most)
}

func (l *Link) push(at int64, packet []byte) {
	var b []byte
	if n := len(l.free); n > 0 {
		b, l.free = l.free[n-1], l.free[:n-1]
	}
	l.order++
	heap.Push(&l.under, parcel{at: at, order: l.order, data: append(b[:0], packet...)})
}

// Next returns when the next packet arrives; ok is false if none is under
// way.
func (l *Link) Next() (at int64, ok bool) {
	if len(l.under) == 0 {
		return 0, false
	}
	return l.under[0].at, true
}

// Receive returns the next packet that has arrived at now, and when it did; ok
// is false if none has. The packet is valid until the next Send.
func (l *Link) Receive(now int64) (packet []byte, at int64, ok bool) {
	if len(l.under) == 0 || l.under[0].at > now {
		return nil, 0, false
	}
	p := heap.Pop(&l.under).(parcel)
	l.free = append(l.free, p.data)
	l.n.Delivered++
	return p.data, p.at, true
}

// Pending returns how many packets are under way.
func (l *Link) Pending() int { return len(l.under) }

// Stats returns the counters.
func (l *Link) Stats() Stats { return l.n }

// parcel is a packet under way; those of the same time keep their order.
type parcel struct {
	at    int64
	order uint64
	data  []byte
}

type flight []parcel

func (f flight) Len() int      { return len(f) }
func (f flight) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flight) Push(x any)   { *f = append(*f, x.(parcel)) }
func (f flight) Less(i, j int) bool {
	return f[i].at < f[j].at || f[i].at == f[j].at && f[i].order < f[j].order
}
func (f *flight) Pop() any {
	last := len(*f) - 1
	p := (*f)[last]
	(*f)[last] = parcel{}
	*f = (*f)[:last]
	return p
}
