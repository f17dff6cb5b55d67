package engine

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// ear is a peer that plays what it is sent.
type ear struct {
	mu    sync.Mutex
	heard []int16
}

func (e *ear) SendFrame(samples *[pcm.FrameSamples]int16) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, samples[:]...)
	return true
}

func (e *ear) SendFlush() bool { return true }

func (e *ear) samples() []int16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]int16(nil), e.heard...)
}

// hall is a room whose turns a test makes itself.
type hall struct {
	t    *testing.T
	e    *Engine
	room *Room
}

func newHall(t *testing.T) *hall {
	e := New(Config{})
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	r, err := e.NewRoom(RoomConfig{ID: "hall"})
	require.NoError(t, err)
	r.beat.Stop() // turns are ours
	t.Cleanup(r.end)
	return &hall{t: t, e: e, room: r}
}

// guest is a member, and what it says from frame to frame.
type guest struct {
	h    *hall
	leg  *Leg
	port *Port
	ear  *ear
	m    *Member
	said []int16
}

func (h *hall) guest(id string, c Channels) *guest {
	leg, err := h.e.NewLeg(LegConfig{ID: id, Channels: c, SourceLimit: time.Minute})
	require.NoError(h.t, err)
	g := &guest{h: h, leg: leg, ear: &ear{}}
	g.port, err = leg.Attach(g.ear)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { g.port.Detach(Now()) })
	g.m, err = h.room.Join(leg)
	require.NoError(h.t, err)
	return g
}

func (g *guest) say(speaker string, samples []int16) {
	r, err := g.port.Render([]byte(speaker), Now())
	require.NoError(g.h.t, err)
	r.Append(samples, Chunk{Arrival: Now()})
}

// turns lets n turns pass, in each of which every guest says its next frame.
func (h *hall) turns(n int, guests map[*guest][]int16) {
	for range n {
		for g, voice := range guests {
			at := len(g.said) % (len(voice) - pcm.FrameSamples)
			g.say("", voice[at:at+pcm.FrameSamples])
			g.said = append(g.said, voice[at:at+pcm.FrameSamples]...)
		}
		h.room.tick()
	}
}

// settled waits until all that was pushed has left the source: it runs ahead of
// nobody here, but the playout model lets 400 ms out at a time.
func (g *guest) settled(frames int) []int16 {
	require.Eventually(g.h.t, func() bool { return len(g.ear.samples()) >= frames*pcm.FrameSamples }, 10*time.Second, time.Millisecond)
	return g.ear.samples()
}

// TestMixMinus: each hears exactly the others, 40 ms late, and not itself.
func TestMixMinus(t *testing.T) {
	h := newHall(t)
	a, b, c := h.guest("a", Mixed), h.guest("b", Mixed), h.guest("c", Mixed)
	voices := map[*guest][]int16{a: signal.Noise(16000, 1, -12), b: signal.Noise(16000, 2, -6), c: signal.Noise(16000, 3, -3)}
	const frames = 30
	h.turns(frames, voices)
	for g, others := range map[*guest][2]*guest{a: {b, c}, b: {a, c}, c: {a, b}} {
		got := g.settled(memberTarget + frames)[memberTarget*pcm.FrameSamples:]
		// The first frame is mixed in the turn in which the second has come,
		// and fades in.
		const first, faded = (memberTarget - 1) * pcm.FrameSamples, pcm.FrameSamples
		for i := first + faded; i < len(got); i++ {
			want := int32(others[0].said[i-first]) + int32(others[1].said[i-first])
			require.EqualValues(t, max(-32768, min(32767, want)), got[i], "%s at %d", g.leg.ID(), i)
		}
	}
	require.EqualValues(t, frames-1, a.m.Stats().Frames)
}

// TestRoomLegHearsEachAndSpeaks: the room's own leg has a speaker for each
// member, and what its source says is heard by all.
func TestRoomLegHearsEachAndSpeaks(t *testing.T) {
	h := newHall(t)
	a, b := h.guest("a", Mixed), h.guest("b", Mixed)
	tap := h.room.Leg().Tap(256)
	voices := map[*guest][]int16{a: signal.Noise(16000, 1, -12), b: signal.Noise(16000, 2, -12)}
	h.turns(20, voices)
	heard := map[uint32][]int16{}
	for f := tap.Peek(); f != nil; f = tap.Peek() {
		heard[f.Speaker] = append(heard[f.Speaker], f.Samples[:]...)
		tap.Release()
	}
	for _, g := range []*guest{a, b} {
		var got []int16
		for _, r := range h.room.Leg().Renders() {
			if r.RawID() == g.leg.ID() {
				got = heard[r.Speaker()]
			}
		}
		require.Len(t, got, 19*pcm.FrameSamples)
		require.Equal(t, g.said[pcm.FrameSamples:19*pcm.FrameSamples], got[pcm.FrameSamples:])
	}

	h.turns(3, nil) // both fall silent
	announcement := signal.Noise(10*pcm.FrameSamples, 4, -12)
	n, err := h.room.Leg().Source().TryWrite(announcement)
	require.NoError(t, err)
	require.Equal(t, len(announcement), n)
	for range 10 {
		h.room.tick()
	}
	got := a.settled(memberTarget + 20 + 3 + 8)
	require.True(t, holds(got, announcement[:8*pcm.FrameSamples]))
}

// holds tells whether part is somewhere in all.
func holds(all, part []int16) bool {
	for i := 0; i+len(part) <= len(all); i++ {
		if slices.Equal(all[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// TestWhisperMuteGain: who hears whom, how loud.
func TestWhisperMuteGain(t *testing.T) {
	h := newHall(t)
	a, b, c := h.guest("a", Mixed), h.guest("b", Mixed), h.guest("c", Mixed)
	tone := make([]int16, 16000)
	for i := range tone {
		tone[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i)/16000))
	}
	level := func(g *guest) float64 {
		got := g.ear.samples()
		var sum float64
		for _, s := range got[len(got)-pcm.FrameSamples:] {
			sum += float64(s) * float64(s)
		}
		return math.Sqrt(sum / pcm.FrameSamples)
	}
	only := map[*guest][]int16{a: tone}
	const full = 8000 / math.Sqrt2
	h.turns(10, only)
	require.InDelta(t, full, level(b), 100)
	require.InDelta(t, full, level(c), 100)
	require.Zero(t, level(a))
	a.m.Whisper(b.m)
	h.turns(3, only)
	require.InDelta(t, full, level(b), 100)
	require.Zero(t, level(c))
	a.m.Whisper(nil)
	a.m.SetGain(0.5)
	h.turns(3, only)
	require.InDelta(t, full/2, level(b), 100)
	require.InDelta(t, full/2, level(c), 100)
	a.m.SetMuted(true)
	h.turns(3, only)
	require.Zero(t, level(b))
	a.m.SetMuted(false)
	a.m.SetGain(float32(math.NaN()))
	require.Zero(t, a.m.Gain())
}

// TestNobodyClicks: a loud low tone joins, stops, is muted and leaves; nothing
// that others hear jumps by more than its fades may.
func TestNobodyClicks(t *testing.T) {
	h := newHall(t)
	listener := h.guest("listener", Mixed)
	a := h.guest("a", Mixed)
	tone := make([]int16, 16000+7)
	for i := range tone {
		tone[i] = int16(12000 * math.Cos(2*math.Pi*100*float64(i)/16000))
	}
	speaks := map[*guest][]int16{a: tone}
	h.turns(10, speaks)
	h.turns(3, nil) // runs dry
	h.turns(10, speaks)
	a.m.SetMuted(true)
	h.turns(3, speaks)
	a.m.SetMuted(false)
	h.turns(6, speaks)
	got := listener.ear.samples()
	most := 0
	for i := 1; i < len(got); i++ {
		d := int(got[i]) - int(got[i-1])
		most = max(most, d, -d)
	}
	// The tone itself moves by 471 a sample, a fade of 5 ms by 150 more; where
	// a tone begins anew within the fade's first step it may be both twice.
	require.Less(t, most, 1300)
	require.NotZero(t, a.m.Stats().Underruns)
}

// TestUnmixedMember: the speakers of an unmixed leg are one voice in a room.
func TestUnmixedMember(t *testing.T) {
	h := newHall(t)
	a, b := h.guest("a", Unmixed), h.guest("b", Mixed)
	one, two := signal.Noise(16000, 1, -20), signal.Noise(16000, 2, -20)
	for k := range 20 {
		at := k * pcm.FrameSamples
		a.say("one", one[at:at+pcm.FrameSamples])
		a.say("two", two[at:at+pcm.FrameSamples])
		h.room.tick()
	}
	got := b.settled(20)
	sum := make([]int16, 16*pcm.FrameSamples)
	for i := range sum {
		sum[i] = one[i] + two[i]
	}
	require.True(t, holds(got, sum[pcm.FrameSamples:15*pcm.FrameSamples]))
}

// TestRoomSpeaksForItsMembers: an app's write is refused while its leg is in a
// room, and taken again after.
func TestRoomSpeaksForItsMembers(t *testing.T) {
	h := newHall(t)
	a := h.guest("a", Mixed)
	_, err := a.leg.Source().TryWrite(make([]int16, 320))
	require.ErrorIs(t, err, ErrJoined)
	_, err = h.room.Join(a.leg)
	require.ErrorIs(t, err, ErrJoined)
	_, err = h.room.Join(h.room.Leg())
	require.ErrorIs(t, err, ErrJoined)
	a.m.Leave()
	a.m.Leave()
	<-a.m.Left()
	require.Empty(t, h.room.Members())
	n, err := a.leg.Source().TryWrite(make([]int16, 320))
	require.NoError(t, err)
	require.Equal(t, 320, n)
	m, err := h.room.Join(a.leg)
	require.NoError(t, err)
	a.leg.Close()
	h.room.tick()
	<-m.Left()
	_, err = h.room.Join(a.leg)
	require.ErrorIs(t, err, ErrClosed)
}

func TestBacklogIsSkipped(t *testing.T) {
	h := newHall(t)
	a := h.guest("a", Mixed)
	for range 20 {
		a.say("", make([]int16, 320))
	}
	h.room.tick()
	require.NotZero(t, a.m.Stats().Skipped)
	require.LessOrEqual(t, a.m.queue.n, memberDepth)
}

func TestRoomBounds(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	_, err := e.NewRoom(RoomConfig{MaxMembers: -1})
	require.ErrorContains(t, err, "MaxMembers = -1")
	r, err := e.NewRoom(RoomConfig{MaxMembers: 1})
	require.NoError(t, err)
	a, err := e.NewLeg(LegConfig{})
	require.NoError(t, err)
	b, err := e.NewLeg(LegConfig{})
	require.NoError(t, err)
	_, err = r.Join(a)
	require.NoError(t, err)
	_, err = r.Join(b)
	require.ErrorIs(t, err, ErrRoomFull)
	_, err = b.Source().TryWrite(make([]int16, 320))
	require.NoError(t, err, "who was refused is as before")
	r.Close()
	r.Close()
	_, err = r.Join(b)
	require.ErrorIs(t, err, ErrClosed)
}

// TestTurnAllocatesNothing: a room is on the way of every frame.
func TestTurnAllocatesNothing(t *testing.T) {
	h := newHall(t)
	a, b := h.guest("a", Mixed), h.guest("b", Mixed)
	samples := signal.Noise(pcm.FrameSamples, 1, -12)
	ra, err := a.port.Render(nil, Now())
	require.NoError(t, err)
	rb, err := b.port.Render(nil, Now())
	require.NoError(t, err)
	a.ear.heard, b.ear.heard = make([]int16, 0, 1<<22), make([]int16, 0, 1<<22)
	turn := func() {
		ra.Append(samples, Chunk{Arrival: Now()})
		rb.Append(samples, Chunk{Arrival: Now()})
		h.room.tick()
		a.leg.source.Flush() // the test is faster than the peer plays
		b.leg.source.Flush()
	}
	for range 10 {
		turn()
	}
	require.Zero(t, testing.AllocsPerRun(200, turn))
}

// TestRoomRunsByItself: by the pacer, in real time.
func TestRoomRunsByItself(t *testing.T) {
	e := New(Config{})
	r, err := e.NewRoom(RoomConfig{ID: "live"})
	require.NoError(t, err)
	h := &hall{t: t, e: e, room: r}
	a, b := h.guest("a", Mixed), h.guest("b", Mixed)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(pcm.FrameDuration):
				a.say("", signal.Noise(pcm.FrameSamples, 1, -12))
			}
		}
	})
	require.Eventually(t, func() bool { return len(b.ear.samples()) > 16000 }, 10*time.Second, 10*time.Millisecond)
	tap := r.Leg().Tap(8)
	close(stop)
	wg.Wait()
	require.NoError(t, e.Close())
	select {
	case <-tap.done:
	case <-time.After(10 * time.Second):
		t.Fatal("the room's taps do not end with the engine")
	}
}
