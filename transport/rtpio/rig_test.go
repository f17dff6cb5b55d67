package rtpio

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// wait bounds what the tests wait for; nothing is measured by it.
const wait = 10 * time.Second

// rig is a server that lets in whoever rings, and echoes.
type rig struct {
	t      *testing.T
	engine *engine.Engine
	server *Server

	mu      sync.Mutex
	senders []transport.Sender
	ended   map[string]error
	ends    chan string
	downs   chan error
	eps     map[string]transport.Endpoint // by sender
	legs    map[string]*engine.Leg
	opened  []*endpoint
	legCfg  engine.LegConfig
	letIn   bool
}

func newRig(t *testing.T, cfg Config) *rig {
	if !cfg.Listen.IsValid() {
		cfg.Listen = netip.MustParseAddrPort("127.0.0.1:0")
	}
	return newPortless(t, cfg)
}

// newPortless is newRig without a shared port, unless cfg has one.
func newPortless(t *testing.T, cfg Config) *rig {
	r := &rig{
		t: t, ended: map[string]error{}, ends: make(chan string, 1000), downs: make(chan error, 1000),
		eps: map[string]transport.Endpoint{}, legs: map[string]*engine.Leg{}, letIn: true,
	}
	r.engine = engine.New(engine.Config{})
	cfg.Engine, cfg.OnSender = r.engine, r.onSender
	cfg.OnEnd = func(url string, err error) {
		r.mu.Lock()
		r.ended[url] = err
		r.mu.Unlock()
		r.ends <- url
	}
	var err error
	r.server, err = New(cfg)
	require.NoError(t, err)
	r.watch()
	t.Cleanup(func() {
		require.NoError(t, r.server.Close())
		require.NoError(t, r.engine.Close())
	})
	return r
}

func (r *rig) onSender(s transport.Sender) {
	r.mu.Lock()
	r.senders = append(r.senders, s)
	letIn := r.letIn
	r.mu.Unlock()
	if letIn {
		go r.accept(s)
	}
}

// with has legs be opened so from now on.
func (r *rig) with(cfg engine.LegConfig) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.legCfg = cfg
}

// mute has nobody be let in any more.
func (r *rig) mute() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letIn = false
}

// open makes a leg that echoes, and its address.
func (r *rig) open() (*engine.Leg, transport.Endpoint) {
	r.mu.Lock()
	cfg := r.legCfg
	r.mu.Unlock()
	leg, err := r.engine.NewLeg(cfg)
	require.NoError(r.t, err)
	leg.OnRender(func(rd *engine.Render) {
		rd.Handle(func(f *pcm.Frame) { leg.Source().TryWrite(f.Samples[:]) })
	})
	ep, err := r.server.Open(leg, transport.Stream{Bidirectional: true, OnDown: func(err error) { r.downs <- err }})
	require.NoError(r.t, err)
	r.mu.Lock()
	r.opened = append(r.opened, ep.(*endpoint))
	r.mu.Unlock()
	return leg, ep
}

func (r *rig) accept(s transport.Sender) {
	leg, ep := r.open()
	if err := r.server.Take(ep.URL(), s.ID); err != nil {
		leg.Close()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.eps[s.ID], r.legs[s.ID] = ep, leg
}

func (r *rig) rang() []transport.Sender {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]transport.Sender(nil), r.senders...)
}

// endpoint waits for the first that was let in.
func (r *rig) endpoint() (ep transport.Endpoint, leg *engine.Leg) { return r.let(0) }

// newest waits for the one of who rang last.
func (r *rig) newest() (ep transport.Endpoint, leg *engine.Leg) { return r.let(len(r.rang()) - 1) }

func (r *rig) let(i int) (ep transport.Endpoint, leg *engine.Leg) {
	soon(r.t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.senders) > i {
			ep, leg = r.eps[r.senders[i].ID], r.legs[r.senders[i].ID]
		}
		return ep != nil
	}, "nobody was let in")
	return ep, leg
}

// steady is a delay that a busy machine does not exceed, with room above, for what
// lies beyond Max is dropped: samples are the same.
var steady = rtpmedia.JitterConfig{Min: 700 * time.Millisecond, Max: 2 * time.Second}

// overPaths runs test over both ways to the kernel.
func overPaths(t *testing.T, test func(t *testing.T, cfg Config)) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		test(t, Config{Jitter: steady, listen: listen})
	})
}

// soon waits until ok.
func soon(t testing.TB, ok func() bool, args ...any) {
	t.Helper()
	require.Eventually(t, ok, wait, time.Millisecond, args...)
}

// on runs fn while the loop of the shared port waits.
func (r *rig) on(fn func(p *port)) {
	r.t.Helper()
	p := r.server.shared
	p.loop.hold(r.t, func() { fn(p) })
}

// hold runs fn while the loop waits, but not on its goroutine, with which a test
// that fails there would end the pacer.
func (l *loop) hold(t *testing.T, fn func()) {
	t.Helper()
	failed := true
	require.NoError(t, l.ask(func() error {
		done := make(chan struct{})
		go func() {
			defer close(done)
			fn()
			failed = false
		}()
		<-done
		return nil
	}))
	if failed {
		t.FailNow()
	}
}

// counts returns how many legs, and how many senders that are none, the shared
// port knows, after it has checked that its tables agree.
func (r *rig) counts() (legs, callers int) {
	r.t.Helper()
	var faults []string
	r.on(func(p *port) {
		faults = p.check()
		legs, callers = p.legs, len(p.callers.all)
	})
	require.Empty(r.t, faults)
	return legs, callers
}

// check returns how the tables do not agree with one another. It may be called
// on a loop, where no test may fail: it would take the pacer with it.
func (p *port) check() (errs []string) {
	must := func(ok bool, what string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Sprintf(what, args...))
		}
	}
	conns, held := 0, 0
	for at, s := range p.sources {
		must(len(s.conns)+len(s.callers) > 0, "nobody at %v", at)
		for _, c := range s.conns {
			must(at == c.remote && at == c.source, "%v is at %v", c.remote, at)
			must(p.streams[c.ssrc] != nil, "stream %x is not known", c.ssrc)
			must(!c.over, "stream %x is over", c.ssrc)
		}
		for _, k := range s.callers {
			must(at == k.from && s == k.hold, "caller %v is at %v", k.from, at)
			must(len(k.packets) <= kept, "%d packets are kept", len(k.packets))
		}
		conns, held = conns+len(s.conns), held+len(s.callers)
	}
	must(p.legs == conns, "%d legs, of which %d have a source", p.legs, conns)
	callers, were := len(p.callers.all), len(p.callers.were)
	must(held == callers+were, "%d callers and %d that were legs, of which %d have a source", callers, were, held)
	for ssrc, c := range p.streams {
		must(ssrc == c.ssrc, "stream %x is known as %x", c.ssrc, ssrc)
		s := p.sources[c.remote]
		must(s != nil && slices.Contains(s.conns, c), "stream %x is not at its source", ssrc)
	}
	cfg := &p.loop.server.cfg
	must(callers <= cfg.MaxSenders && were <= cfg.MaxLegs && p.legs <= cfg.MaxLegs, "%d callers, %d were legs, %d are", callers, were, p.legs)
	return errs
}

// legsUp waits for so many legs.
func (r *rig) legsUp(n int) {
	r.t.Helper()
	soon(r.t, func() bool { legs, _ := r.counts(); return legs == n }, "%d legs", n)
}

// end waits for the next end that is told.
func (r *rig) end() (url string, err error) {
	r.t.Helper()
	select {
	case url = <-r.ends:
	case <-time.After(wait):
		require.Fail(r.t, "no end was told")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return url, r.ended[url]
}

// down waits for the next end of a stream.
func (r *rig) down() error {
	r.t.Helper()
	select {
	case err := <-r.downs:
		return err
	case <-time.After(wait):
		require.Fail(r.t, "no stream went down")
		return nil
	}
}

// addresses returns how many the server knows.
func (r *rig) addresses() int {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return len(r.server.endpoints)
}

// watch notes how long the machine lets nobody here run.
func (r *rig) watch() {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // as a pacer
		defer runtime.UnlockOSThread()
		const nap = 10 * time.Millisecond
		for {
			select {
			case <-quit:
				return
			default:
			}
			before := time.Now()
			time.Sleep(nap)
			stalled(r.t, time.Since(before)-nap)
		}
	}()
	r.t.Cleanup(func() { close(quit); <-done })
}

// stalls are the longest that somebody of a test was not run, by the test.
var stalls sync.Map // of *atomic.Int64

func stalled(t *testing.T, d time.Duration) time.Duration {
	v, _ := stalls.LoadOrStore(t, new(atomic.Int64))
	n := v.(*atomic.Int64)
	for old := n.Load(); int64(d) > old && !n.CompareAndSwap(old, int64(d)); old = n.Load() {
	}
	return time.Duration(n.Load())
}

// echoed checks that what was said was heard, to the sample. It cannot be if
// the machine was too busy: a pacer that was not run for 200 ms leaves turns out
// (engine.Beat), and one who talks so unsteadily changes the delay.
func (r *rig) echoed(said, heard []int16) {
	t := r.t
	t.Helper()
	at := find(heard, said[:64])
	exact := at >= 0
	if exact {
		d := signal.Compare(heard, said, at)
		if exact = d.Exact(); !exact {
			t.Logf("at %d: %v", at, d)
		}
	}
	late := int64(0)
	if !exact {
		r.mu.Lock()
		for _, ep := range r.opened {
			if m := ep.media.Load(); m != nil {
				s := m.Stats()
				late = max(late, s.Out.Skipped)
				t.Logf("%d received, %d of the backlog dropped, %d samples shrunk, %d grown, %d turns late, %d concealed",
					s.In.Jitter.Received, s.In.Jitter.Backlog, s.In.Shrunk, s.In.Grown, s.Out.Skipped, s.In.Concealed)
			}
		}
		r.mu.Unlock()
	}
	// Whoever watches may have been run when the pacer was not.
	if stall := stalled(t, 0); !exact && (stall > 80*time.Millisecond || late > 0 && stall > 20*time.Millisecond) {
		t.Skip("the machine stood still for ", stall)
	}
	require.True(t, exact, "another was heard, in %d samples", len(heard))
}
