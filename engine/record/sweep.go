package record

import (
	"sync"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

// blockFrames is how many frames of one tap travel together: what comes between
// two writes of a call that is mixed.
const blockFrames = 10

// block carries frames from a tap to the files of its recording.
type block struct {
	next   *block
	bot    bool // they are the source context's
	n      int
	frames [blockFrames]pcm.Frame
}

// blockList is a queue of blocks.
type blockList struct{ head, tail *block }

func (l *blockList) push(b *block) {
	b.next = nil
	if l.head == nil {
		l.head = b
	} else {
		l.tail.next = b
	}
	l.tail = b
}

// append moves the blocks of another list to the end.
func (l *blockList) append(m blockList) {
	if m.head == nil {
		return
	}
	if l.head == nil {
		*l = m
		return
	}
	l.tail.next, l.tail = m.head, m.tail
}

// trimEvery is how many sweeps pass between two looks at what of the buffer
// was not needed, and is given back.
const trimEvery = 16 * drains

// shard is a sweep loop and a write loop, and the buffer between them. A
// recording belongs to one shard, so its frames keep their order.
type shard struct {
	// Static after construction.
	r         *Recorder
	maxBlocks int
	wake      chan struct{} // for the sweep loop: a recording came, or the end
	work      *sync.Cond    // for the write loop, on mu

	// Owned by sweepLoop.
	recs     []*Recording
	attached int // recordings so far
	sweeps   int

	// Guarded by mu. It is never held over I/O.
	mu       sync.Mutex
	started  bool
	closing  bool
	swept    bool // sweepLoop has ended
	arrivals []*Recording
	live     int64
	ready    *Recording // list of those with something to write
	readyEnd *Recording
	free     *block
	nFree    int
	lowFree  int // the least nFree was since the last trim
	blocks   int // allocated
}

func newShard(r *Recorder, maxBlocks int) *shard {
	s := &shard{r: r, maxBlocks: maxBlocks, wake: make(chan struct{}, 1)}
	s.work = sync.NewCond(&s.mu)
	return s
}

// attach hands a recording to the sweep loop; called with Recorder.mu held.
func (s *shard) attach(rec *Recording) {
	rec.shard = s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrivals = append(s.arrivals, rec)
	s.live++
	if !s.started {
		s.started = true
		s.r.wg.Go(s.sweepLoop)
		s.r.wg.Go(s.writeLoop)
	}
	s.kick()
}

func (s *shard) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// close asks the loops to end once all recordings are drained.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	s.kick()
}

func (s *shard) liveRecordings() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

// drains is how many times the taps are emptied between two writes: so their
// rings can be small, and the writes large.
const drains = 4

// sweepLoop empties the taps of its recordings, on an absolute schedule. It
// waits for no file and for no lock that is held over I/O.
func (s *shard) sweepLoop() {
	every := s.r.cfg.Sweep / drains
	timer := time.NewTimer(every)
	defer timer.Stop()
	next := time.Now().Add(every)
	for !s.sweepAll() {
		if len(s.recs) == 0 { // asleep until a recording comes, or the end
			s.drop()
			<-s.wake
			next = time.Now()
		}
		next = next.Add(every)
		if d := time.Until(next); d > 0 {
			timer.Reset(d)
			s.pause(timer)
		} else {
			next = time.Now() // late: no sweep is made up for
		}
	}
}

// pause waits for the timer; the end cuts it short.
func (s *shard) pause(timer *time.Timer) {
	for {
		select {
		case <-timer.C:
			return
		case <-s.wake:
			s.mu.Lock()
			closing := s.closing
			s.mu.Unlock()
			if closing {
				return
			}
		}
	}
}

// sweepAll empties all taps and hands what came to the write loop, of each
// recording at its own turn of so many, so that the buffer never holds all that
// comes between two writes. It reports whether this was the end.
func (s *shard) sweepAll() (last bool) {
	s.mu.Lock()
	for _, rec := range s.arrivals {
		rec.turn = s.attached % drains
		s.attached++
	}
	s.recs = append(s.recs, s.arrivals...)
	s.arrivals = s.arrivals[:0]
	closing := s.closing
	s.mu.Unlock()
	left := s.recs[:0]
	for _, rec := range s.recs {
		if closing {
			rec.Stop()
		}
		if !s.sweep(rec, s.sweeps%drains == rec.turn || closing) {
			left = append(left, rec)
		}
	}
	clear(s.recs[len(left):])
	s.recs = left
	if s.sweeps++; s.sweeps%trimEvery == 0 {
		s.trim()
	}
	if !closing || len(left) > 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swept = true
	s.work.Signal()
	return true
}

// sweep takes what the taps of a recording hold, hands it to the write loop if
// write, and reports whether nothing will follow.
func (s *shard) sweep(rec *Recording, write bool) (ended bool) {
	room := s.drain(rec.in, &rec.got, &rec.got.in) && s.drain(rec.bot, &rec.got, &rec.got.bot)
	if !room {
		rec.n.stalls.Add(1)
		s.r.totals.stalls.Add(1)
	}
	ended = room && rec.in.Closed() && rec.bot.Closed()
	if !ended && (!write || rec.got.head == nil && !rec.dirty.Load()) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rec.queue.append(rec.got.blockList)
	rec.got = swept{}
	rec.ended = ended
	if !rec.ready {
		s.push(rec)
	}
	return ended
}

// swept is what came from the taps of a recording since the last write.
type swept struct {
	blockList
	in, bot *block // of the list, that still have room
}

// drain copies the frames of a tap into blocks until it is empty; b is the
// one at hand. It reports false when the buffer is full: the rest stays in the
// tap, whose ring counts what it cannot take.
func (s *shard) drain(tap frameTap, to *swept, b **block) bool {
	for {
		want := blockFrames
		if *b != nil && (*b).n < blockFrames {
			want -= (*b).n
		}
		frames := tap.PeekN(want)
		if len(frames) == 0 {
			return true
		}
		if *b == nil || (*b).n == blockFrames {
			if *b = s.take(); *b == nil {
				return false
			}
			(*b).bot = b == &to.bot
			to.push(*b)
		}
		(*b).n += copy((*b).frames[(*b).n:], frames)
		tap.ReleaseN(len(frames))
		s.r.totals.swept.Add(int64(len(frames)))
	}
}

// take returns an empty block, nil if the buffer is full.
func (s *shard) take() *block {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.free
	switch {
	case b != nil:
		s.free = b.next
		s.nFree--
		s.lowFree = min(s.lowFree, s.nFree)
	case s.blocks == s.maxBlocks:
		return nil
	default:
		b = new(block)
		s.blocks++
	}
	b.next, b.n = nil, 0
	return b
}

// give takes blocks back that are written.
func (s *shard) give(list *block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for list != nil {
		b := list
		list = b.next
		b.next, s.free = s.free, b
		s.nFree++
	}
}

// trim gives blocks back to the runtime that were not needed for a while:
// the buffer grows when a disk stalls, and must not stay so.
func (s *shard) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := s.lowFree - s.lowFree/4; n > minBlocks && s.free != nil; n-- {
		s.free = s.free.next
		s.nFree--
		s.blocks--
	}
	s.lowFree = s.nFree
}

// drop gives all blocks back that are free.
func (s *shard) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks -= s.nFree
	s.free, s.nFree, s.lowFree = nil, 0, 0
}

// push queues a recording for the write loop. Guarded by mu.
func (s *shard) push(rec *Recording) {
	rec.ready, rec.readyTo = true, nil
	if s.ready == nil {
		s.ready = rec
	} else {
		s.readyEnd.readyTo = rec
	}
	s.readyEnd = rec
	s.work.Signal()
}
