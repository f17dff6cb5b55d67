package rtpio

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// raced: the race detector is on, and everything is slow.
var raced bool

// files returns how many are open, -1 if that is not known.
func files() int {
	if runtime.GOOS != "linux" {
		return -1
	}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(list)
}

// noLeaks checks, when a test is over, that it left no goroutine and no file.
func noLeaks(t *testing.T) {
	ignore, before := goleak.IgnoreCurrent(), files()
	t.Cleanup(func() {
		goleak.VerifyNone(t, ignore)
		soon(t, func() bool { return files() <= before }, "%d files, now %d", before, files())
	})
}

// TestManyLegsLeaveNothing: legs that were opened and drained leave all tables,
// files and goroutines as they were before.
func TestManyLegsLeaveNothing(t *testing.T) {
	noLeaks(t)
	sockets, each := 30, 10
	if raced {
		sockets = 6
	}
	r := newRig(t, Config{})
	var phones []*phone
	var said [][]int16
	for range sockets {
		p := newL16(t, r.server.Addr()).withReports().record()
		phones = append(phones, p)
		for i := range each - 1 {
			phones = append(phones, p.sibling(uint32(i)))
		}
	}
	for range phones {
		said = append(said, noise(0.5, 1))
	}
	r.legsUp(0)
	goroutines, open := runtime.NumGoroutine(), files()
	talk(phones, said...)
	r.legsUp(len(phones))
	require.LessOrEqual(t, files(), open, "a leg of the shared port needs no file")
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines+4, "nor a goroutine")
	soon(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.eps) == len(phones) })
	var wg sync.WaitGroup
	for id, ep := range r.eps {
		wg.Go(func() { ep.Drain(); r.legs[id].Close() })
	}
	wg.Wait()
	r.legsUp(0)
	require.Zero(t, r.addresses())
	sum, known, _ := r.server.Totals().Sum()
	require.Zero(t, known)
	require.EqualValues(t, len(phones), sum.Connections)
	require.Empty(t, r.engine.Legs())
	r.on(func(p *port) {
		require.Empty(t, p.streams)
		require.Len(t, p.callers.were, len(phones), "they are not to ring again")
		p.callers.swept = 0
		p.callers.expire(engine.Now() + hangsUp + 1)
		require.Empty(t, p.sources)
		for _, g := range p.loop.groups {
			require.True(t, g == nil || len(g.conns) == 0)
		}
	})
	for _, p := range phones {
		if p.froms != nil {
			p.gotBye()
		}
	}
	require.Empty(t, r.ends, "the app ended them")
}

// TestDrainPlaysOut: what came before the end is in the tap, to the last sample.
func TestDrainPlaysOut(t *testing.T) {
	t.Parallel()
	jitter := rtpmedia.JitterConfig{Min: 350 * time.Millisecond, Max: 2 * time.Second}
	r := newRig(t, Config{Jitter: jitter})
	taps := make(chan *engine.Tap, 1)
	r.with(engine.LegConfig{OnRender: func(rd *engine.Render) { taps <- rd.Tap(1000) }})
	said := noise(0.6, 5)
	for {
		p := newL16(t, r.server.Addr()).withReports().record()
		p.talk(said)
		r.legsUp(1)
		ep, leg := r.newest()
		ep.Drain()
		leg.Close()
		p.gotBye()
		require.NoError(t, r.down())
		ep.Drain() // again does nothing
		var heard []int16
		var f pcm.Frame
		for tap := <-taps; tap.TryRead(&f); {
			heard = append(heard, f.Samples[:]...)
		}
		if ep.Stats().RTP.Concealed > 1 && !t.Failed() {
			t.Log("the machine was too busy: once more")
			continue
		}
		r.echoed(said, heard)
		break
	}
	require.Empty(t, r.ends)
}

// TestDrainedDoesNotRing while it sends on, and rings again after a silence, even
// if nothing else kept the loop awake in that time.
func TestDrainedDoesNotRing(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	p := newL16(t, r.server.Addr()).withReports().record()
	stop := p.keep(noise(1, 1))
	defer stop()
	ep, _ := r.endpoint()
	ep.Drain()
	p.gotBye()
	time.Sleep(300 * time.Millisecond)
	require.Len(t, r.rang(), 1)
	require.Positive(t, r.server.shared.strangers.Load())
	stop()
	r.sleeps()
	r.age(hangsUp + 1)
	again := p.keep(noise(1, 2))
	defer again()
	soon(t, func() bool { return len(r.rang()) == 2 })
}

// sleeps waits until the shared port's loop stands still.
func (r *rig) sleeps() {
	r.t.Helper()
	l := r.server.shared.loop
	soon(r.t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return !l.running })
}

// age makes all callers older by d, while the loop stands still.
func (r *rig) age(d int64) {
	l := r.server.shared.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	require.False(r.t, l.running)
	for _, list := range [][]*caller{l.port.callers.all, l.port.callers.were} {
		for _, k := range list {
			k.last -= d
		}
	}
	l.port.callers.swept -= d
}

// TestLoopRests when there is nothing to do, and wakes for a new sender.
func TestLoopRests(t *testing.T) {
	t.Parallel()
	overPaths(t, func(t *testing.T, cfg Config) {
		t.Parallel()
		r := newRig(t, cfg)
		l := r.server.shared.loop
		for i := range 2 {
			p := newL16(t, r.server.Addr()).record()
			said := noise(0.3, 1)
			p.talk(said)
			soon(t, func() bool { return len(p.all()) >= len(said) })
			r.echoed(said, p.all())
			p.bye()
			_, err := r.end()
			require.NoError(t, err)
			r.sleeps()
			l.mu.Lock()
			for _, g := range l.groups {
				require.True(t, g == nil || g.beat == nil, "a beat goes on")
			}
			l.mu.Unlock()
			require.Len(t, r.rang(), i+1)
		}
	})
}

// TestAppClosesLeg: its peer is told, its stream goes down, and the app is not
// told of what it did.
func TestAppClosesLeg(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	p := newL16(t, r.server.Addr()).withReports().record()
	stop := p.keep(noise(1, 1))
	defer stop()
	ep, leg := r.endpoint()
	leg.Close()
	p.gotBye()
	require.ErrorIs(t, r.down(), errLegClosed)
	r.legsUp(0)
	require.False(t, ep.Stats().Connected)
	require.Empty(t, r.ends)
	require.ErrorIs(t, r.server.Press(ep.URL(), '1', 0), ErrUnknown)
	ep.Drain()
}

// TestPanics of callbacks end their own leg only, and the app is told.
func TestPanics(t *testing.T) {
	t.Parallel()
	for name, arm := range map[string]func(*engine.LegConfig){
		"handler": func(c *engine.LegConfig) {
			c.OnRender = func(rd *engine.Render) { rd.Handle(func(*pcm.Frame) { panic("handler") }) }
		},
		"announcement": func(c *engine.LegConfig) { c.OnRender = func(*engine.Render) { panic("announcement") } },
		"key":          func(c *engine.LegConfig) { c.OnDTMF = func(byte, string) { panic("key") } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{})
			good := newL16(t, r.server.Addr()).record()
			stop := good.keep(noise(1, 1))
			defer stop()
			r.legsUp(1)
			leg, err := r.engine.NewLeg(func() (c engine.LegConfig) { arm(&c); return c }())
			require.NoError(t, err)
			downs := make(chan error, 1)
			ep, err := r.server.Open(leg, transport.Stream{Bidirectional: true, OnDown: func(err error) { downs <- err }})
			require.NoError(t, err)
			r.mute()
			bad := newL16(t, r.server.Addr()).withReports().record()
			bad.ssrc = 9
			stopBad := bad.keep(noise(1, 2))
			defer stopBad()
			soon(t, func() bool { return len(r.rang()) == 2 })
			require.NoError(t, r.server.Take(ep.URL(), r.rang()[1].ID))
			if name == "key" {
				stopBad()
				bad.write((&rtpmedia.Packet{PayloadType: usualEvent, SSRC: 9, Seq: bad.seq, Payload: []byte{5, 10, 0, 160}}).Append(nil))
			}
			url, err := r.end()
			require.Equal(t, ep.URL(), url)
			require.ErrorIs(t, err, engine.ErrPanic)
			require.ErrorContains(t, err, name)
			require.ErrorIs(t, <-downs, engine.ErrPanic)
			bad.gotBye()
			before := len(good.packets(97))
			soon(t, func() bool { return len(good.packets(97)) > before+20 })
			r.legsUp(1)
		})
	}
}

// TestEngineClosedFirst, with the loop at rest and with legs: everything ends,
// and Close finds nothing left to do.
func TestEngineClosedFirst(t *testing.T) {
	for _, legs := range []int{0, 3} {
		t.Run(fmt.Sprint(legs), func(t *testing.T) { testEngineClosedFirst(t, legs) })
	}
}

func testEngineClosedFirst(t *testing.T, legs int) {
	noLeaks(t)
	r := newRig(t, Config{})
	for i := range legs {
		p := newL16(t, r.server.Addr())
		p.ssrc = uint32(i)
		p.talk(noise(0.1, 1))
		r.legsUp(i + 1)
	}
	if legs == 0 {
		r.sleeps()
	}
	_, ep := r.open()
	offer, err := r.server.Offer(ep.URL())
	require.NoError(t, err)
	require.NotEmpty(t, offer)
	require.NoError(t, r.engine.Close())
	for range legs {
		r.down()
	}
	require.NoError(t, r.server.Close())
	require.NoError(t, r.server.Close())
	require.Empty(t, r.ends)
	require.ErrorIs(t, r.server.Take(ep.URL(), "x"), engine.ErrClosed)
	_, err = r.server.Offer(ep.URL())
	require.ErrorIs(t, err, engine.ErrClosed)
	r.server.Refuse("x")
	ep.Drain()
}

// TestCloseWhileTalking, from several goroutines at once.
func TestCloseWhileTalking(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		noLeaks(t)
		r := newRig(t, Config{listen: listen})
		n := 50
		if raced {
			n = 20
		}
		var phones []*phone
		var said [][]int16
		for range n {
			phones = append(phones, newL16(t, r.server.Addr()).withReports().record())
			said = append(said, noise(1.5, 1))
		}
		done := make(chan struct{})
		go func() { defer close(done); talk(phones, said...) }()
		defer func() { <-done }()
		r.legsUp(n)
		taken := make(chan error, 1)
		_, ep := r.open()
		go func() { // beside Answer
			for {
				if _, err := r.server.Answer(ep.URL(), []byte(offerTo("127.0.0.1", 9))); err != nil && !errors.Is(err, ErrTaken) {
					taken <- err
					return
				}
			}
		}()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { require.NoError(t, r.server.Close()) })
		}
		wg.Wait()
		require.Error(t, <-taken)
		for _, p := range phones {
			p.gotBye()
		}
		for range n {
			require.NoError(t, r.down())
		}
		require.Empty(t, r.ends, "Close is not the other side's doing")
	})
}

// TestNothingBehindTheEnd: what was posted behind the end of a loop is not done,
// for whoever asked was told that it would not be.
func TestNothingBehindTheEnd(t *testing.T) {
	noLeaks(t)
	r := newRig(t, Config{})
	l := r.server.shared.loop
	done := false
	require.True(t, l.post(func() {
		// Both are taken at once at the next turn.
		require.True(t, l.post(l.end))
		require.True(t, l.post(func() { done = true }))
	}))
	<-l.gone
	require.False(t, l.post(func() {}))
	require.NoError(t, r.server.Close())
	require.False(t, done)
}

// TestOfferWhileClosing: an offer that was made while the server closed is given
// back, with its sockets.
func TestOfferWhileClosing(t *testing.T) {
	noLeaks(t)
	r := newRig(t, Config{})
	_, ep := r.open()
	e := ep.(*endpoint)
	require.NoError(t, e.claim())
	p, err := r.server.cfg.openPair()
	require.NoError(t, err)
	require.NoError(t, r.server.Close())
	require.False(t, e.wait(&offered{pair: p}))
	p.close()
	e.release()
	require.ErrorIs(t, e.claim(), engine.ErrClosed)
}
