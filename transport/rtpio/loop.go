package rtpio

import (
	"sync"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport/rtpmedia"
)

const (
	// groups of legs, each with a turn of its own in the 20 ms.
	groups = 20
	// together is how many legs share a turn before another is begun: the fewer
	// turns, the fewer wake-ups, and the more packets go out in one call.
	together = 16

	batchSize  = 64
	packetSize = 2048 // bytes of the longest datagram that is read
	// bursts of batches that are read in one turn; what is left stays with the
	// kernel until the next.
	bursts = 16
	// lingers is how long a loop with nothing to do goes on.
	lingers = int64(time.Second)
)

// loop moves the packets of some sockets and their legs, one after the other: on
// the turns of a pacer, once or more in 20 ms. Everything that lives on it needs no
// lock.
//
//	commands -> read sockets -> each leg of the group: play, send -> flush
type loop struct {
	// Static after construction.
	server  *Server
	anchor  *engine.Beat // never started; others are near it
	rx, rx1 *inBatch     // of a shared port, of a leg's own
	tx      *outBatch

	// Owned by the loop.
	groups  [groups]*group
	port    *port // nil: none is shared
	busy    int64 // when it last had something to do
	packet  rtpmedia.Packet
	wire    []byte
	scratch rtpmedia.Scratch
	over    bool // it has ended: what was posted and not done is not to be

	// Guarded by mu.
	mu       sync.Mutex
	commands []func()
	running  bool // a beat is on
	ended    bool
	gone     chan struct{} // closed when it has ended
}

// group is the legs of one turn.
type group struct {
	loop  *loop
	beat  *engine.Beat
	conns []*conn
}

func newLoop(s *Server, anchor *engine.Beat) *loop {
	return &loop{
		server: s, anchor: anchor,
		rx: newInBatch(batchSize, packetSize), rx1: newInBatch(8, packetSize), tx: newOutBatch(batchSize, packetSize),
		wire: make([]byte, 0, packetSize), gone: make(chan struct{}),
	}
}

// post has fn called on the loop, which it starts if it stood still. It returns
// false if the loop has ended: fn is not called.
func (l *loop) post(fn func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.commands = append(l.commands, fn)
	if !l.running {
		l.running = true
		l.busy = engine.Now() // nobody else is at it
		if !l.begin(0) {      // the engine is closed: no turn will come any more
			l.shut()
			return false
		}
	}
	return true
}

// ask is post for who waits for the outcome. It must not be called on the loop.
func (l *loop) ask(fn func() error) error {
	answer := make(chan error, 1)
	if !l.post(func() { answer <- fn() }) {
		return engine.ErrClosed
	}
	select {
	case err := <-answer:
		return err
	case <-l.gone:
		select {
		case err := <-answer:
			return err
		default:
			return engine.ErrClosed
		}
	}
}

// begin starts the turns of a group; false if the engine is closed.
func (l *loop) begin(i int) bool {
	g := l.groups[i]
	if g == nil {
		g = &group{loop: l}
		l.groups[i] = g
	}
	g.beat = l.server.cfg.Engine.NewBeat(l.anchor, func(at int64) { l.turn(g, at) }, l.engineClosed)
	return g.beat.Start() == nil
}

// add gives a leg its turn.
func (l *loop) add(c *conn) {
	best := 0
	for i, g := range l.groups {
		n := 0
		if g != nil {
			n = len(g.conns)
		}
		if n < together {
			best = i
			break
		}
		if n < len(l.groups[best].conns) {
			best = i
		}
	}
	if g := l.groups[best]; g == nil || g.beat == nil {
		l.begin(best) // else the engine is closed, which ends the loop
	}
	l.groups[best].conns = append(l.groups[best].conns, c)
}

// turn is a group's, which was due at at.
func (l *loop) turn(g *group, at int64) {
	now, unix := engine.Now(), time.Now().UnixNano()
	l.obey()
	if l.over {
		return
	}
	if l.port != nil && l.port.read(now, unix) {
		l.busy = now
	}
	left := g.conns[:0]
	for _, c := range g.conns {
		if c.turn(at, now, unix) {
			left = append(left, c)
		}
	}
	clear(g.conns[len(left):])
	g.conns = left
	if l.port != nil {
		l.port.rtp.flush(l.tx)
	}
	if len(left) > 0 {
		l.busy = now
	} else {
		l.rest(g, now)
	}
}

// obey does what was posted. Who asked for what is behind the end learns that
// the loop is gone, and has taken back what he gave by then.
func (l *loop) obey() {
	l.mu.Lock()
	commands := l.commands
	l.commands = nil
	l.mu.Unlock()
	for _, fn := range commands {
		if l.over {
			return
		}
		fn()
	}
}

// rest ends the turns of an empty group, and the last of them when there has
// been nothing to do for a while.
func (l *loop) rest(g *group, now int64) {
	others := 0
	for _, o := range l.groups {
		if o != nil && o != g && o.beat != nil {
			others++
		}
	}
	if others == 0 && now-l.busy < lingers {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if others == 0 {
		if len(l.commands) > 0 {
			return
		}
		l.running = false
	}
	if g.beat != nil {
		g.beat.Stop()
		g.beat = nil
	}
	if others == 0 && l.port != nil {
		l.port.watch()
	}
}

// close ends the loop and returns when it has.
func (l *loop) close() {
	if l.post(l.end) {
		<-l.gone
	}
}

// end is the loop's last work.
func (l *loop) end() {
	now, unix := engine.Now(), time.Now().UnixNano()
	l.over = true
	for _, g := range l.groups {
		if g == nil {
			continue
		}
		for _, c := range g.conns {
			c.finish(now, unix, errServerClosed)
		}
		g.conns = nil
		if g.beat != nil {
			g.beat.Stop()
			g.beat = nil
		}
	}
	if l.port != nil {
		l.port.rtp.flush(l.tx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut()
}

// shut closes the shared port and tells that the loop is gone. Guarded by mu;
// nobody else is at it.
func (l *loop) shut() {
	if l.ended {
		return
	}
	l.ended = true
	if l.port != nil {
		l.port.close()
		l.port = nil
	}
	close(l.gone)
}

// engineClosed ends the loop when no turn will come any more. It is called for
// each beat, one after the other.
func (l *loop) engineClosed() {
	l.obey()
	if !l.over {
		l.end()
	}
}
