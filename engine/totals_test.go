package engine

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

func TestHistogram(t *testing.T) {
	var a, b latency
	for i := range 1000 {
		a.record(int64(i) * int64(time.Microsecond))
	}
	b.record(int64(40 * time.Millisecond))
	b.record(-5)
	var h Histogram
	require.Zero(t, h.Summary())
	h.add(&a)
	var o Histogram
	o.add(&b)
	h.Merge(&o)
	require.EqualValues(t, 1002, h.Count())
	s := h.Summary()
	require.InEpsilon(t, 500*time.Microsecond, s.P50, 0.07)
	require.InEpsilon(t, 990*time.Microsecond, s.P99, 0.07)
	require.Equal(t, 40*time.Millisecond, s.Max)
	require.Equal(t, 40*time.Millisecond, h.Quantile(1))
	require.Equal(t, 40*time.Millisecond, h.Quantile(0.9999))
	require.InEpsilon(t, 1000*999/2*time.Microsecond+40*time.Millisecond, h.Sum(), 0.03)
	// Never more than there are, and at most one bucket fewer.
	within := h.Within(500 * time.Microsecond)
	require.LessOrEqual(t, within, int64(502))
	require.GreaterOrEqual(t, within, int64(502*15/16))
	require.EqualValues(t, 1001, h.Within(time.Millisecond+70*time.Microsecond))
	require.EqualValues(t, 1002, h.Within(time.Minute))
	require.EqualValues(t, 2, h.Within(0))
}

// TestTotalsOutliveLegs: sums only grow, whichever of a leg and its connection
// ends first, and count each leg once.
func TestTotalsOutliveLegs(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	var want Totals
	for _, end := range []func(*Leg, *Port){
		func(l *Leg, p *Port) { l.Close(); p.Detach(Now()); l.Close() },
		func(l *Leg, p *Port) { p.Detach(Now()); l.Close() },
		func(l *Leg, p *Port) {
			p.Detach(Now())
			_, err := l.Attach(nil)
			require.NoError(t, err)
			l.Close()
		},
	} {
		l, err := e.NewLeg(LegConfig{Channels: Unmixed, MaxSpeakers: 1})
		require.NoError(t, err)
		p, err := l.Attach(&fakeOutlet{})
		require.NoError(t, err)
		_, err = l.Source().TryWrite(ramp(640, 0))
		require.NoError(t, err)
		r, err := p.Render([]byte("a"), Now())
		require.NoError(t, err)
		_, err = p.Render([]byte("b"), Now())
		require.ErrorIs(t, err, ErrTooManySpeakers)
		r.Handle(func(*pcm.Frame) {})
		r.Tap(1)
		for range 3 {
			r.Append(ramp(320, 0), Chunk{Arrival: Now(), Silent: true})
		}
		p.DTMF('1', "")
		want.FramesIn += 3
		want.FramesOut += 2
		got := e.Totals()
		require.Equal(t, 1, got.Legs)
		require.Equal(t, want.FramesIn, got.FramesIn, "while it lives")
		end(l, p)
		got = e.Totals()
		require.Zero(t, got.Legs)
		require.Equal(t, want.FramesIn, got.FramesIn)
		require.Equal(t, want.FramesIn, got.Silent)
		require.Equal(t, want.FramesOut, got.FramesOut)
		require.Equal(t, want.FramesIn/3, got.Keys)
		require.Equal(t, want.FramesIn/3, got.Refused)
		require.Equal(t, uint64(want.FramesIn/3), got.TapDropped, "the least ring takes two of three")
		require.Equal(t, want.FramesIn, got.Latency.Count())
		require.Equal(t, want.FramesOut, got.SendLatency.Count())
	}
	require.EqualValues(t, 3, e.Totals().Opened)
}

// TestTotalsWhileLegsEnd: scrapes at any moment see no frame twice, and none
// less.
func TestTotalsWhileLegsEnd(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	const legs, frames = 200, 5
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() {
		for last := int64(0); ; {
			n := e.Totals().FramesIn
			if n < last || n > legs*frames {
				t.Errorf("%d frames after %d, of %d", n, last, legs*frames)
			}
			last = n
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	var calls sync.WaitGroup
	for range legs {
		calls.Go(func() {
			l, err := e.NewLeg(LegConfig{})
			require.NoError(t, err)
			p, err := l.Attach(nil)
			require.NoError(t, err)
			r, err := p.Render(nil, Now())
			require.NoError(t, err)
			for range frames {
				r.Append(ramp(320, 0), Chunk{Arrival: Now()})
			}
			var two sync.WaitGroup
			two.Go(l.Close)
			two.Go(func() { p.Detach(Now()) })
			two.Wait()
		})
	}
	calls.Wait()
	close(stop)
	all.Wait()
	require.EqualValues(t, legs*frames, e.Totals().FramesIn)
	require.Empty(t, e.ending)
}

// TestTotalsOfARoom: members' frames count, the room's own leg does not.
func TestTotalsOfARoom(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	room, err := e.NewRoom(RoomConfig{ID: "room"})
	require.NoError(t, err)
	l, err := e.NewLeg(LegConfig{ID: "a"})
	require.NoError(t, err)
	p, err := l.Attach(&fakeOutlet{})
	require.NoError(t, err)
	_, err = room.Join(l)
	require.NoError(t, err)
	r, err := p.Render(nil, Now())
	require.NoError(t, err)
	heard := room.Leg().Tap(16)
	for range 4 {
		r.Append(ramp(320, 0), Chunk{Arrival: Now()})
	}
	var f pcm.Frame
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, heard.Read(ctx, &f))
	got := e.Totals()
	require.EqualValues(t, 4, got.FramesIn)
	require.Positive(t, got.PacerLate.Count(), "the room's turns")
	p.Detach(Now())
	l.Close()
	room.Close()
	require.EqualValues(t, 4, e.Totals().FramesIn)
}

// TestSendLatency: from when a frame could be sent until it was; neither waiting
// for a connection nor for the peer to play counts, a stalled peer does.
func TestSendLatency(t *testing.T) {
	l := newTestLeg(t, LegConfig{})
	s := l.Source()
	sent := func() Latency { return l.Stats().SendLatency }
	_, err := s.TryWrite(ramp(320, 0))
	require.NoError(t, err)
	time.Sleep(50 * time.Millisecond)
	o := &fakeOutlet{event: make(chan struct{}, 1)}
	begun := Now()
	p, err := l.Attach(o)
	require.NoError(t, err)
	defer p.Detach(0)
	require.EqualValues(t, 1, sent().Count)
	require.LessOrEqual(t, int64(sent().Max), Now()-begun, "nobody was there to send to")

	o.mu.Lock()
	o.stuck = true
	o.mu.Unlock()
	time.Sleep(s.Depth()) // all was played
	_, err = s.TryWrite(ramp(320, 0))
	require.NoError(t, err)
	time.Sleep(70 * time.Millisecond)
	o.mu.Lock()
	o.stuck = false
	o.mu.Unlock()
	require.Eventually(t, func() bool { return sent().Count == 2 }, 10*time.Second, time.Millisecond)
	require.GreaterOrEqual(t, sent().Max, 70*time.Millisecond, "the peer did not take it")
	// The rest of a frame is waited for on purpose.
	_, err = s.TryWrite(ramp(100, 0))
	require.NoError(t, err)
	o.await(t, func(f [][]int16) bool { return len(f) == 3 })
	require.EqualValues(t, 2, sent().Count)
}

// TestReady: a frame may be sent once it is written, there is a connection, and
// the peer has room: the last of these counts.
func TestReady(t *testing.T) {
	s := newTestLeg(t, LegConfig{}).Source()
	before := Now()
	_, err := s.TryWrite(ramp(640, 0))
	require.NoError(t, err)
	written := s.ready(319)
	require.GreaterOrEqual(t, written, before)
	require.LessOrEqual(t, written, Now())
	require.Equal(t, written, s.ready(639), "one write")
	s.since.Store(written + 5)
	require.Equal(t, written+5, s.ready(319))
	s.playEnd.Store(written + int64(RunAhead) - slotNanos + 7)
	require.Equal(t, written+7, s.ready(319))
}
