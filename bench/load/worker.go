package load

import (
	"errors"
	"math"
	"net"
	"sync"
	"sync/atomic"
)

const (
	// slot is the grain of the schedule: all calls of a slot are due at the
	// same time, and the writer sleeps once for all of them.
	slot  = 250_000 // ns
	slots = int(frameTime) / slot
	// maxSleep bounds how many empty slots the writer sleeps over, and
	// joinAhead is when a new call is first due: later than that.
	maxSleep  = 8
	joinAhead = 2 * maxSleep
	// spread is prime to slots and near their golden section, so that however
	// many calls there are, they lie evenly.
	spread = 31
)

// A worker is a writer and a reader, and the calls that they drive.
type worker struct {
	run    *runner
	reader *poller
	heard  *tally // the reader's
	wrote  *tally // the writer's
	stop   atomic.Bool
	wg     sync.WaitGroup // of slow pipes too

	// Guarded by wrote.mu.
	due    [slots][]*call
	joined int
	now    int64 // number of the slot that the writer is in
}

func newWorker(r *runner) (*worker, error) {
	w := &worker{run: r, heard: newTally(), wrote: newTally()}
	var err error
	w.reader, err = newPoller(r, w.heard)
	return w, err
}

func (w *worker) start() {
	w.wg.Go(func() { w.reader.loop(&w.stop) })
	w.wg.Go(w.writeLoop)
}

// writeLoop sends what is due, slot by slot. It never leaves one out: a slot
// that it is late for it makes up for.
func (w *worker) writeLoop() {
	sleep := newSleeper(w.run.clock)
	w.wrote.mu.Lock()
	w.now = w.run.clock.now() / slot
	for !w.stop.Load() {
		at := w.now * slot
		if w.run.clock.now() < at {
			w.wrote.mu.Unlock()
			sleep.until(at)
			w.wrote.mu.Lock()
		}
		end := w.run.end.Load()
		if end < math.MaxInt64 {
			end += w.run.cfg.tail()
		}
		for _, c := range w.due[w.now%int64(slots)] {
			if at >= c.first && at < end {
				c.due = ((at-c.first)/int64(frameTime) + 1) * int64(len(c.expect))
			}
			c.write()
		}
		for range maxSleep {
			if w.now++; len(w.due[w.now%int64(slots)]) > 0 {
				break
			}
		}
	}
	w.wrote.mu.Unlock()
}

// join takes a connection as call n: sent is what the server sent already.
func (w *worker) join(conn net.Conn, n int, sent []byte) (*call, error) {
	raw, err := newRawPipe(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c, place := w.newCall()
	if w.run.cfg.kind == "rtp" {
		c.wire = newRTPWire(w.run, n)
	} else {
		wire := newACSWire(w.run, n, c.first)
		c.wire, c.rest = wire, wire.hello(w.run.cfg.Rate)
	}
	if raw == nil {
		slow := newSlowPipe(conn)
		c.pipe = slow
		w.wg.Go(slow.writeLoop)
		w.wg.Go(func() { slow.readLoop(c, sent) })
	} else {
		c.pipe = raw
		if err = w.early(c, sent); err == nil {
			err = w.reader.add(c, raw.fd)
		}
	}
	if err != nil {
		c.pipe.close()
		return nil, err
	}
	w.schedule(c, place)
	return c, nil
}

// joinPeer takes a connection of WebRTC as call n.
func (w *worker) joinPeer(p *peer, n int) *call {
	c, place := w.newCall()
	c.wire, c.pipe = newRTPWire(w.run, n), p
	p.join(c)
	w.schedule(c, place)
	return c
}

// newCall makes a call and finds it a place in the schedule.
func (w *worker) newCall() (c *call, place int64) {
	c = &call{run: w.run, tally: w.heard, wrote: w.wrote, echo: w.run.cfg.Echo == EchoAll}
	for range w.run.cfg.streams() {
		c.expect = append(c.expect, &stream{})
	}
	return c, w.place(c)
}

// schedule has a call written from now on.
func (w *worker) schedule(c *call, place int64) {
	w.wrote.mu.Lock()
	defer w.wrote.mu.Unlock()
	w.due[place] = append(w.due[place], c)
}

// place finds c a place in the schedule.
func (w *worker) place(c *call) (place int64) {
	w.wrote.mu.Lock()
	defer w.wrote.mu.Unlock()
	place = int64(w.joined * spread % slots)
	w.joined++
	next := max(w.now, w.run.clock.now()/slot) + joinAhead
	next += (place - next%int64(slots) + int64(slots)) % int64(slots)
	c.first = next * slot
	return place
}

// early takes what came with the upgrade.
func (w *worker) early(c *call, sent []byte) error {
	w.heard.mu.Lock()
	defer w.heard.mu.Unlock()
	if len(sent) == 0 {
		return nil
	}
	return c.wire.heard(c, sent, w.run.clock.now())
}

// close ends all connections and waits for the threads.
func (w *worker) close() {
	w.stop.Store(true)
	w.wrote.mu.Lock()
	for _, calls := range w.due {
		for _, c := range calls {
			if bye, ok := c.wire.(interface{ bye() []byte }); ok && c.lost.Load() == nil && len(c.rest) == 0 {
				_, _ = c.pipe.write(bye.bye()) // who does not read misses it
			}
		}
	}
	w.wrote.mu.Unlock()
	for _, calls := range w.due {
		for _, c := range calls {
			if slow, ok := c.pipe.(*slowPipe); ok {
				slow.close()
			}
		}
	}
	w.wg.Wait()
	var closing sync.WaitGroup
	free := make(chan struct{}, maxDials)
	for _, calls := range w.due {
		for _, c := range calls {
			free <- struct{}{}
			closing.Go(func() { // a peer waits for the server's response
				c.pipe.close()
				<-free
			})
		}
	}
	closing.Wait()
}
