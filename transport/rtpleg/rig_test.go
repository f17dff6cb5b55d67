package rtpleg

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

const (
	ms   = int64(time.Millisecond)
	unix = int64(1_700_000_000_000_000_000) // at engine.Now 0
)

type samples = [pcm.FrameSamples]int16

func codecOf(t testing.TB, name string, clock int) codec.Codec {
	c, ok := codec.ByName(name, clock)
	require.True(t, ok, name)
	return c
}

func l16(t testing.TB) codec.Codec { return codecOf(t, "L16", 16000) }

// types that both sides of a rig use.
var types = Types{Audio: 96, Event: 101}

// fixed is a delay that does not adapt, so that audio is exact.
var fixed = rtpmedia.JitterConfig{Min: 60 * time.Millisecond, Max: 60 * time.Millisecond}

// rig is a Media and the peer that it talks to, over a network without delay,
// in virtual time: step is 20 ms.
type rig struct {
	t   testing.TB
	leg *engine.Leg
	m   *Media
	tap *engine.Tap // of what the leg hears

	out     *rtpmedia.Outbound // the peer's
	in      *rtpmedia.Inbound
	control *rtpmedia.Control
	lose    func(packet int) bool // of the peer's
	packets int                   // the peer sent
	wire    []byte

	begun, now int64
	sent       []sent           // by the Media
	heard      []int16          // by the peer
	frames     []rtpmedia.Frame // the same
}

type sent struct {
	at int64
	rtpmedia.Packet
}

func newLeg(t testing.TB, cfg engine.LegConfig) *engine.Leg {
	t.Helper()
	e := engine.New(engine.Config{})
	t.Cleanup(func() { e.Close() })
	l, err := e.NewLeg(cfg)
	require.NoError(t, err)
	return l
}

// newRig fills what cfg leaves out: L16, a leg, the types.
func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	return newTappedRig(t, 1<<12, cfg)
}

// newTappedRig is newRig with a tap of so many frames.
func newTappedRig(t testing.TB, frames int, cfg Config) *rig {
	t.Helper()
	if cfg.Leg == nil {
		cfg.Leg = newLeg(t, engine.LegConfig{})
	}
	if cfg.Codec.Name == "" {
		cfg.Codec = l16(t)
	}
	if cfg.Receive == (Types{}) {
		cfg.Receive, cfg.Send = types, types
	}
	r := &rig{t: t, leg: cfg.Leg, tap: cfg.Leg.Tap(frames), now: engine.Now(), wire: make([]byte, 0, 1500)}
	r.begun = r.now
	r.connect(cfg)
	r.peer(rtpmedia.OutboundConfig{SSRC: 7, Seq: 65500, Timestamp: 1<<32 - 3200})
	return r
}

// connect makes the Media.
func (r *rig) connect(cfg Config) {
	r.t.Helper()
	cfg.Leg = r.leg
	m, err := New(cfg)
	require.NoError(r.t, err)
	r.t.Cleanup(m.Close)
	r.m = m
}

// peer makes what the Media talks to.
func (r *rig) peer(cfg rtpmedia.OutboundConfig) {
	r.t.Helper()
	cfg.Codec, cfg.PayloadType, cfg.EventType = r.m.cfg.Codec, types.Audio, types.Event
	var err error
	r.out, err = rtpmedia.NewOutbound(cfg)
	require.NoError(r.t, err)
	r.in, err = rtpmedia.NewInbound(rtpmedia.InboundConfig{Codec: cfg.Codec, PayloadType: types.Audio, EventType: types.Event, Jitter: fixed})
	require.NoError(r.t, err)
	r.control = rtpmedia.NewControl(r.in.Reception(), r.out, "peer")
}

// say has the peer send x, nil for silence, and the network lose what it does.
func (r *rig) say(x *samples) {
	for r.out.Due() <= r.now {
		b, ok := r.out.Next(r.now, r.wire[:0], x)
		if !ok {
			continue
		}
		r.packets++
		if r.lose == nil || !r.lose(r.packets-1) {
			r.deliver(b)
		}
	}
}

func (r *rig) deliver(b []byte) {
	var p rtpmedia.Packet
	if err := p.Parse(b); err != nil {
		r.t.Fatal(err)
	}
	require.NoError(r.t, r.m.Take(r.now, &p))
}

// turn is the Media's beat. What it sends goes to the peer.
func (r *rig) turn() (packets int) {
	require.NoError(r.t, r.m.Turn(r.now))
	return r.next()
}

func (r *rig) next() (packets int) {
	for {
		b, ok := r.m.Next(r.now, nil)
		if !ok {
			return packets
		}
		packets++
		var p rtpmedia.Packet
		require.NoError(r.t, p.Parse(b))
		r.sent = append(r.sent, sent{r.now, p})
		r.in.Push(r.now, &p)
	}
}

// listen has the peer hear 20 ms.
func (r *rig) listen() {
	var f samples
	r.frames = append(r.frames, r.in.Pull(r.now, &f))
	r.heard = append(r.heard, f[:]...)
}

// step is 20 ms.
func (r *rig) step(x *samples) (packets int) {
	r.say(x)
	packets = r.turn()
	r.listen()
	r.now += slotNanos
	return packets
}

// steps says x in so many steps as it is long.
func (r *rig) steps(x []int16) {
	for ; len(x) >= pcm.FrameSamples; x = x[pcm.FrameSamples:] {
		r.step((*samples)(x))
	}
}

// idle is n steps in which the peer sends nothing.
func (r *rig) idle(n int) {
	for range n {
		r.step(nil)
	}
}

// taken are the frames that the leg heard since the last call.
func (r *rig) taken() (all []pcm.Frame) {
	var f pcm.Frame
	for r.tap.TryRead(&f) {
		all = append(all, f)
	}
	return all
}

func (r *rig) stats() engine.RenderStats {
	s := r.leg.Stats()
	require.Len(r.t, s.Renders, 1)
	return s.Renders[0]
}

// numbered says n frames, each its own number in every sample.
func numbered(n int) []int16 {
	x := make([]int16, n*pcm.FrameSamples)
	for i := range x {
		x[i] = int16(i/pcm.FrameSamples%30000 + 1)
	}
	return x
}

func audioOf(frames []pcm.Frame) (x []int16) {
	for i := range frames {
		x = append(x, frames[i].Samples[:]...)
	}
	return x
}

// virtually runs a test whose engine.Now is virtual too: the source's pump
// reads it. The pacer must not be needed, which sleeps in the kernel.
func virtually(t *testing.T, test func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour - time.Duration(engine.Now())) // a bubble begins in 2000
		test(t)
	})
}

// wait lets a step's time pass for the engine.
func wait() { time.Sleep(pcm.FrameDuration) }

// echo has the leg answer with what it hears.
func echo(l *engine.Leg) {
	l.OnRender(func(r *engine.Render) {
		r.Handle(func(f *pcm.Frame) {
			if n, err := l.Source().TryWrite(f.Samples[:]); n != len(f.Samples) || err != nil {
				panic("refused")
			}
		})
	})
}
