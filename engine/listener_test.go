package engine

import (
	"context"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine/mix"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// gallery is a leg, and another from which it is heard. Its turns are made by
// the test.
type gallery struct {
	*testing.T
	e             *Engine
	heard, leg    *Leg
	port, listens *Port
	ear           *ear
	l             *Listener
	at            int64
}

func newGallery(t *testing.T, c Channels, who func(*gallery) *Render) *gallery {
	g := &gallery{T: t, e: New(Config{}), ear: &ear{}}
	t.Cleanup(func() { require.NoError(t, g.e.Close()) })
	var err error
	g.heard, err = g.e.NewLeg(LegConfig{ID: "call", Channels: c, SourceLimit: time.Minute})
	require.NoError(t, err)
	g.port, err = g.heard.Attach(&ear{})
	require.NoError(t, err)
	t.Cleanup(func() { g.port.Detach(Now()) })
	g.leg, err = g.e.NewLeg(LegConfig{ID: "listener", SourceLimit: time.Minute})
	require.NoError(t, err)
	g.listens, err = g.leg.Attach(g.ear)
	require.NoError(t, err)
	t.Cleanup(func() { g.listens.Detach(Now()) })
	var one *Render
	if who != nil {
		one = who(g)
	}
	g.l, err = g.e.Listen(g.leg, g.heard, one)
	require.NoError(t, err)
	g.l.beat.Stop() // turns are ours
	t.Cleanup(g.l.end)
	g.at = g.heard.begin(Now())
	return g
}

func (g *gallery) say(speaker string, samples []int16) *Render {
	r, err := g.port.Render([]byte(speaker), Now())
	require.NoError(g, err)
	r.Append(samples, Chunk{Arrival: Now()})
	return r
}

func (g *gallery) turn() {
	g.l.turn(g.at)
	g.at += slotNanos
}

// hears waits for so many frames behind the cushion and returns them.
func (g *gallery) hears(frames int) []int16 {
	g.Helper()
	const cushion = memberTarget * pcm.FrameSamples
	n := cushion + frames*pcm.FrameSamples
	require.Eventually(g, func() bool { return len(g.ear.samples()) >= n }, 10*time.Second, time.Millisecond)
	return g.ear.samples()[cushion:n]
}

// slot is frame i of samples.
func slot(samples []int16, i int) []int16 {
	return samples[i*pcm.FrameSamples : (i+1)*pcm.FrameSamples]
}

// TestListenerHearsEverybody: two speakers and the bot, each at its place, and
// exactly.
func TestListenerHearsEverybody(t *testing.T) {
	g := newGallery(t, Unmixed, nil)
	a, b, bot := signal.Noise(16000, 1, -9), signal.Noise(16000, 2, -9), signal.Noise(10*pcm.FrameSamples, 3, -9)
	tap := g.heard.Source().Tap(1)
	_, err := g.heard.Source().Write(context.Background(), bot) // all runs ahead: 200 ms
	require.NoError(t, err)
	var begins pcm.Frame
	require.True(t, tap.TryRead(&begins))
	const frames = 16
	for i := range frames {
		g.say("a", slot(a, i))
		g.say("b", slot(b, i))
		g.turn()
	}
	got := g.hears(frames)
	lead := int(begins.Position()) + pcm.FrameSamples*memberTarget
	want := make([]int16, len(got))
	said := func(i, late int, from []int16) int32 {
		if i < late || i-late >= len(from) {
			return 0
		}
		return int32(from[i-late])
	}
	// The first frame of speakers is passed on in the turn in which the second
	// has come, and fades in.
	for i := range want {
		want[i] = mix.Clamp(said(i, pcm.FrameSamples, a) + said(i, pcm.FrameSamples, b) + said(i, lead, bot))
	}
	first := pcm.FrameSamples + fadeSamples
	require.Equal(t, want[first:], got[first:])
	require.Equal(t, int64(frames-1), g.l.Stats().Frames)
	require.Zero(t, g.l.Stats().TapDropped+uint64(g.l.Stats().Refused))
}

// TestListenerHearsWhatWasHeard: what the bot flushed is not heard.
func TestListenerHearsWhatWasHeard(t *testing.T) {
	g := newGallery(t, Mixed, nil)
	tap := g.heard.Source().Tap(64)
	bot := signal.Noise(15*pcm.FrameSamples, 3, -9)
	_, err := g.heard.Source().Write(context.Background(), bot)
	require.NoError(t, err)
	g.heard.Source().Flush()
	var f pcm.Frame
	require.True(t, tap.TryRead(&f))
	begin := int(f.Position()) + memberTarget*pcm.FrameSamples
	for !f.Flags.Has(pcm.Cut) {
		require.True(t, tap.TryRead(&f))
	}
	for range 25 {
		g.turn()
	}
	got := g.hears(25)
	cut := int(f.Position()) + memberTarget*pcm.FrameSamples
	require.Less(t, cut, begin+len(bot))
	require.Equal(t, bot[:cut-begin], got[begin:cut])
	require.Equal(t, signal.Silence(len(got)-cut), got[cut:])
}

// TestListenerHearsOne leaves out the others and the bot.
func TestListenerHearsOne(t *testing.T) {
	a, b := signal.Noise(16000, 1, -9), signal.Noise(16000, 2, -9)
	g := newGallery(t, Unmixed, func(g *gallery) *Render {
		g.say("a", slot(a, 0))
		return g.say("b", slot(b, 0))
	})
	_, err := g.heard.Source().Write(context.Background(), signal.Noise(3200, 3, -9))
	require.NoError(t, err)
	for i := range 10 {
		g.say("a", slot(a, i))
		g.say("b", slot(b, i))
		g.turn()
	}
	got := g.hears(10)[pcm.FrameSamples:]
	require.Equal(t, b[fadeSamples:9*pcm.FrameSamples], got[fadeSamples:])
}

// TestListenerIsNotHeardLate: what is said while nobody has connected yet is
// gone.
func TestListenerIsNotHeardLate(t *testing.T) {
	g := newGallery(t, Mixed, nil)
	g.listens.Detach(Now())
	voice := signal.Noise(16000, 1, -9)
	for i := range 20 {
		g.say("", slot(voice, i))
		g.turn()
	}
	var err error
	g.listens, err = g.leg.Attach(g.ear)
	require.NoError(t, err)
	for i := range 5 {
		g.say("", slot(voice, 20+i))
		g.turn()
	}
	require.Equal(t, voice[19*pcm.FrameSamples:24*pcm.FrameSamples], g.hears(5))
}

func TestListenerEnds(t *testing.T) {
	for name, end := range map[string]func(g *gallery){
		"by Close":              func(g *gallery) { g.l.Close() },
		"with the heard leg":    func(g *gallery) { g.heard.Close() },
		"with the listener leg": func(g *gallery) { g.leg.Close() },
		"with the engine":       func(g *gallery) { require.NoError(g, g.e.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGallery(t, Unmixed, nil)
			g.l.end()
			l, err := g.e.Listen(g.leg, g.heard, nil)
			require.NoError(t, err, "one after the other")
			g.l = l
			end(g)
			select {
			case <-l.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("goes on")
			}
			require.Empty(t, g.heard.taps)
			require.Empty(t, g.heard.source.own)
			require.False(t, g.leg.source.joined.Load())
		})
	}
}

func TestListenRefuses(t *testing.T) {
	g := newGallery(t, Mixed, nil)
	_, err := g.e.Listen(g.heard, g.heard, nil)
	require.ErrorContains(t, err, "itself")
	_, err = g.e.Listen(g.leg, g.heard, nil)
	require.ErrorIs(t, err, ErrJoined)
	_, err = g.leg.Source().TryWrite(make([]int16, 320))
	require.ErrorIs(t, err, ErrJoined)
	other, err := g.e.NewLeg(LegConfig{})
	require.NoError(t, err)
	_, err = g.e.Listen(g.heard, other, g.say("", make([]int16, 320)))
	require.ErrorContains(t, err, "another leg's")
	other.Close()
	_, err = g.e.Listen(other, g.heard, nil)
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, g.e.Close())
	late, err := New(Config{}).NewLeg(LegConfig{})
	require.NoError(t, err)
	_, err = g.e.Listen(late, g.heard, nil)
	require.ErrorIs(t, err, ErrClosed)
}

// TestSaid holds said to a map.
func TestSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s said
		model := map[int64]int16{}
		at, value := int64(0), int16(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				f := pcm.Frame{Timestamp: pcm.Ticks(at + rapid.Int64Range(-500, 20000).Draw(t, "ahead"))}
				for i := range f.Samples {
					value++
					f.Samples[i] = value
					if p := f.Position() + int64(i); p >= s.from && p < s.from+saidSamples {
						model[p] = value
					}
				}
				s.put(&f)
			case 2:
				f := pcm.Frame{Timestamp: pcm.Ticks(at + rapid.Int64Range(-500, 9000).Draw(t, "cut")), Flags: pcm.Cut}
				for p := range model {
					if p >= f.Position() {
						delete(model, p)
					}
				}
				s.put(&f)
			case 3:
				at += rapid.SampledFrom([]int64{320, 320, 320, 640, 40000}).Draw(t, "turn")
				var got, want mix.Samples
				for i := range want {
					want[i] = model[at+int64(i)]
				}
				if s.take(&got, at) {
					require.Equal(t, want, got)
				} else {
					require.Zero(t, want)
				}
			}
		}
	})
}

func TestListenerDoesNotAllocate(t *testing.T) {
	g := newGallery(t, Unmixed, nil)
	voice := signal.Noise(320, 1, -9)
	r := g.say("a", voice)
	source := g.heard.Source()
	got := testing.AllocsPerRun(50, func() {
		r.Append(voice, Chunk{Arrival: Now()})
		_, _ = source.TryWrite(voice)
		g.turn()
	})
	require.LessOrEqual(t, got, 2.0, "the test's own ear")
}

// BenchmarkListener is a listener's turn, while two speak and the bot does.
func BenchmarkListener(b *testing.B) {
	e := New(Config{})
	defer e.Close()
	heard, err := e.NewLeg(LegConfig{Channels: Unmixed})
	require.NoError(b, err)
	port, err := heard.Attach(&ear{})
	require.NoError(b, err)
	defer port.Detach(0)
	leg, err := e.NewLeg(LegConfig{})
	require.NoError(b, err)
	listens, err := leg.Attach(deaf{})
	require.NoError(b, err)
	defer listens.Detach(0)
	l, err := e.Listen(leg, heard, nil)
	require.NoError(b, err)
	l.beat.Stop()
	defer l.end()
	voice := signal.Noise(320, 1, -9)
	one, err := port.Render([]byte("one"), 0)
	require.NoError(b, err)
	two, err := port.Render([]byte("two"), 0)
	require.NoError(b, err)
	at := heard.begin(Now())
	b.ReportAllocs()
	for b.Loop() {
		one.Append(voice, Chunk{})
		two.Append(voice, Chunk{})
		l.turn(at)
		at += slotNanos
	}
}

// deaf is a peer that hears nothing of what it takes.
type deaf struct{}

func (deaf) SendFrame(*[pcm.FrameSamples]int16) bool { return true }
func (deaf) SendFlush() bool                         { return true }
