package engine

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTestLeg(t testing.TB, cfg LegConfig) *Leg {
	t.Helper()
	e := New(Config{})
	t.Cleanup(func() { e.Close() })
	l, err := e.NewLeg(cfg)
	require.NoError(t, err)
	return l
}

// ramp fills samples with a count that goes on over calls, so that every
// sample tells its place.
func ramp(n int, from int64) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16((from + int64(i)) % 30000)
	}
	return s
}

// speak brings a slot of a speaker's ramp to the leg.
func speak(t testing.TB, p *Port, id string, slot int64) {
	t.Helper()
	arrival := slot*int64(pcm.FrameDuration) + 1
	r, err := p.Render([]byte(id), arrival)
	require.NoError(t, err)
	r.Append(ramp(320, slot*320), Chunk{Timestamp: slot * 20e6, HasTimestamp: true, Arrival: arrival})
}

func TestAnnouncedBeforeFirstFrame(t *testing.T) {
	var got []pcm.Frame
	l := newTestLeg(t, LegConfig{Channels: Unmixed, OnRender: func(r *Render) {
		require.Equal(t, "8:acs:a", r.RawID())
		r.Handle(func(f *pcm.Frame) { got = append(got, *f) })
	}})
	p, err := l.Attach(nil)
	require.NoError(t, err)
	speak(t, p, "8:acs:a", 0)
	speak(t, p, "8:acs:a", 1)
	require.Len(t, got, 2)
	require.EqualValues(t, 1, got[1].Seq)
	require.EqualValues(t, 320, got[1].Position())
	require.EqualValues(t, 320, got[1].Samples[0])
	require.EqualValues(t, 1, got[1].Speaker)
}

func TestAnySizeIsFramedAnew(t *testing.T) {
	for _, size := range []int{1, 7, 160, 319, 320, 321, 640, 1000, 5000} {
		l := newTestLeg(t, LegConfig{})
		tap := l.Tap(64)
		p, err := l.Attach(nil)
		require.NoError(t, err)
		r, err := p.Render(nil, 1)
		require.NoError(t, err)
		for pos := 0; pos < 9600; pos += size {
			n := min(size, 9600-pos)
			r.Append(ramp(n, int64(pos)), Chunk{Timestamp: int64(pos) * sampleNanos, HasTimestamp: true, Arrival: int64(pos)*sampleNanos + 1})
		}
		var f pcm.Frame
		for i := range int64(30) {
			require.True(t, tap.TryRead(&f), "size %d frame %d", size, i)
			require.Equal(t, i*320, f.Position())
			require.Equal(t, ramp(320, i*320), f.Samples[:], "size %d frame %d", size, i)
			require.Zero(t, f.Flags)
		}
		require.False(t, tap.TryRead(&f))
		p.Detach(0)
	}
}

func TestJumpPadsAndFlags(t *testing.T) {
	l := newTestLeg(t, LegConfig{})
	tap := l.Tap(16)
	p, _ := l.Attach(nil)
	r, _ := p.Render(nil, 1)
	r.Append(ramp(400, 0), Chunk{HasTimestamp: true, Arrival: 1})
	r.Append(ramp(320, 0), Chunk{Timestamp: 100e6, HasTimestamp: true, Arrival: 100e6})
	var f pcm.Frame
	require.True(t, tap.TryRead(&f))
	require.True(t, tap.TryRead(&f))
	require.Equal(t, ramp(80, 320), f.Samples[:80])
	require.Equal(t, make([]int16, 240), f.Samples[80:], "completed with zeros")
	require.True(t, tap.TryRead(&f))
	require.EqualValues(t, 5*320, f.Position())
	require.Equal(t, pcm.AfterDTX, f.Flags)
	s := r.Stats()
	require.EqualValues(t, 240, s.Padded)
	require.EqualValues(t, 3, s.DTX)
	require.Zero(t, s.Lost)
}

func TestReconnectMarksTheGap(t *testing.T) {
	l := newTestLeg(t, LegConfig{Channels: Unmixed})
	tap := l.Tap(64)
	p, _ := l.Attach(nil)
	for i := range int64(5) {
		speak(t, p, "a", i)
	}
	_, err := l.Attach(nil)
	require.ErrorIs(t, err, ErrAttached)
	p.Detach(100e6)
	p, err = l.Attach(nil)
	require.NoError(t, err)
	speak(t, p, "a", 12)
	var f pcm.Frame
	for range 6 {
		require.True(t, tap.TryRead(&f))
	}
	require.Equal(t, pcm.AfterGap, f.Flags)
	require.EqualValues(t, 7, f.Lost)
	require.EqualValues(t, 12*320, f.Position())
	st := l.Stats()
	in, lost := st.Frames()
	require.EqualValues(t, 6, in)
	require.EqualValues(t, 7, lost)
	p.Detach(0)
}

func TestTooManySpeakers(t *testing.T) {
	l := newTestLeg(t, LegConfig{Channels: Unmixed, MaxSpeakers: 2})
	p, _ := l.Attach(nil)
	speak(t, p, "a", 0)
	speak(t, p, "b", 0)
	_, err := p.Render([]byte("c"), 5)
	require.ErrorIs(t, err, ErrTooManySpeakers)
	speak(t, p, "a", 1)
	require.EqualValues(t, 1, l.Stats().Refused)
}

func TestSlotIsInTheRing(t *testing.T) {
	l := newTestLeg(t, LegConfig{})
	p, _ := l.Attach(nil)
	r, _ := p.Render(nil, 1)
	first, second := r.Tap(2), r.Tap(8)
	for i := range int64(5) {
		f := r.Slot()
		copy(f.Samples[:], ramp(320, i*320))
		r.Commit(Chunk{Timestamp: i * 20e6, HasTimestamp: true, Arrival: 1})
	}
	require.EqualValues(t, 3, first.Dropped(), "a full tap drops the newest, once each")
	require.Zero(t, second.Dropped(), "and hurts nobody else")
	var f pcm.Frame
	for i := range int64(5) {
		require.True(t, second.TryRead(&f))
		require.Equal(t, ramp(320, i*320), f.Samples[:])
		if i < 2 {
			require.True(t, first.TryRead(&f))
			require.EqualValues(t, i, f.Seq)
			require.Equal(t, ramp(320, i*320), f.Samples[:])
		}
	}
	require.EqualValues(t, 3, r.Stats().TapDropped)
}

func TestSlotWithoutCommitCostsNothing(t *testing.T) {
	l := newTestLeg(t, LegConfig{})
	first, second := l.Tap(8), l.Tap(8)
	p, _ := l.Attach(nil)
	r, _ := p.Render(nil, 1)
	r.Slot() // what should have filled it was not audio
	r.Append(ramp(640, 0), Chunk{HasTimestamp: true, Arrival: 1})
	require.Equal(t, 2, first.Len())
	require.Equal(t, 2, second.Len())
}

func TestSilenceIsOfTheWholeFrame(t *testing.T) {
	l := newTestLeg(t, LegConfig{})
	tap := l.Tap(8)
	p, _ := l.Attach(nil)
	r, _ := p.Render(nil, 1)
	half := int64(pcm.FrameDuration) / 2
	for i, silent := range []bool{false, true, true, true} {
		r.Append(make([]int16, 160), Chunk{Timestamp: int64(i) * half, HasTimestamp: true, Arrival: 1, Silent: silent})
	}
	var f pcm.Frame
	require.True(t, tap.TryRead(&f))
	require.False(t, f.Flags.Has(pcm.Silence))
	require.True(t, tap.TryRead(&f))
	require.True(t, f.Flags.Has(pcm.Silence))
}

func TestTapDropsAreCountedOnce(t *testing.T) {
	l := newTestLeg(t, LegConfig{Channels: Unmixed})
	all := l.Tap(2)
	p, _ := l.Attach(nil)
	own := func() *Tap { speak(t, p, "a", 0); return l.Renders()[0].Tap(2) }()
	speak(t, p, "b", 0)
	for i := int64(1); i < 5; i++ {
		speak(t, p, "a", i)
	}
	for range 2 {
		s := l.Stats()
		require.EqualValues(t, 4, s.TapDropped)
		require.EqualValues(t, 2, s.Renders[0].TapDropped)
		require.Zero(t, s.Renders[1].TapDropped)
		all.Close()
		own.Close()
	}
}

func TestTapEnds(t *testing.T) {
	l := newTestLeg(t, LegConfig{})
	tap := l.Tap(8)
	p, _ := l.Attach(nil)
	speak(t, p, "", 0)
	l.Close()
	select {
	case <-l.Done():
	default:
		t.Fatal("not done")
	}
	speak(t, p, "", 1) // what was under way is still heard
	require.False(t, tap.Closed())
	p.Detach(0)
	var f pcm.Frame
	require.NoError(t, tap.Read(context.Background(), &f))
	require.NoError(t, tap.Read(context.Background(), &f))
	require.ErrorIs(t, tap.Read(context.Background(), &f), io.EOF)
	_, err := l.Attach(nil)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, l.Tap(4).Read(context.Background(), &f), io.EOF)
}

func TestTapReadWaits(t *testing.T) {
	l := newTestLeg(t, LegConfig{})
	tap := l.Tap(8)
	p, _ := l.Attach(nil)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	const frames = 2000
	room := make(chan struct{}, 8)
	go func() {
		for i := range int64(frames) {
			room <- struct{}{}
			speak(t, p, "", i)
		}
	}()
	var f pcm.Frame
	for i := range int64(frames) {
		require.NoError(t, tap.Read(ctx, &f))
		require.Equal(t, i*320, f.Position())
		<-room
	}
	short, stop := context.WithCancel(ctx)
	stop()
	require.ErrorIs(t, tap.Read(short, &f), context.Canceled)
	require.EqualValues(t, frames, l.Stats().Latency.Count)
}

func TestIngestAllocatesNothing(t *testing.T) {
	l := newTestLeg(t, LegConfig{Channels: Unmixed})
	p, _ := l.Attach(nil)
	id := []byte("8:acs:a")
	r, _ := p.Render(id, 1)
	taps := []*Tap{l.Tap(8), r.Tap(8)}
	r.Handle(func(*pcm.Frame) {})
	ts := int64(0)
	var f pcm.Frame
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		r := p.Lookup(id)
		r.Slot()
		r.Commit(Chunk{Timestamp: ts, HasTimestamp: true, Arrival: ts + 1})
		ts += 20e6
		for _, tap := range taps {
			tap.TryRead(&f)
		}
	}))
}

// TestTenThousandLegs opens and closes legs with everything attached; goleak
// in TestMain sees what stays.
func TestTenThousandLegs(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	for range 10_000 {
		l, err := e.NewLeg(LegConfig{})
		require.NoError(t, err)
		tap := l.Tap(2)
		p, err := l.Attach(&fakeOutlet{})
		require.NoError(t, err)
		speak(t, p, "", 0)
		_, err = l.Source().TryWrite(make([]int16, 400))
		require.NoError(t, err)
		p.Detach(0)
		l.Close()
		require.False(t, tap.Closed())
		tap.Close()
	}
	require.Empty(t, e.Legs())
	for _, p := range e.pacers {
		for _, s := range p.sources {
			require.Empty(t, s)
		}
	}
}

func TestMaxLegs(t *testing.T) {
	e := New(Config{MaxLegs: 1})
	defer e.Close()
	l, err := e.NewLeg(LegConfig{})
	require.NoError(t, err)
	_, err = e.NewLeg(LegConfig{})
	require.ErrorIs(t, err, ErrTooManyLegs)
	l.Close()
	_, err = e.NewLeg(LegConfig{})
	require.NoError(t, err)
}

func TestLegConfigIsChecked(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	for _, cfg := range []LegConfig{
		{Channels: 2}, {MaxSpeakers: -1}, {Slack: -1}, {Slack: time.Second}, {SourceLimit: -1}, {SourceLimit: 2 * time.Hour},
	} {
		_, err := e.NewLeg(cfg)
		require.ErrorContains(t, err, "LegConfig.")
	}
}

func TestLatencyBuckets(t *testing.T) {
	for _, d := range []int64{0, 1, 15, 16, 17, 31, 32, 1000, 999_999, 1 << 30, 1 << 34} {
		b := bucketOf(d)
		require.GreaterOrEqual(t, upper(b), d, "%d", d)
		require.LessOrEqual(t, float64(upper(b)), float64(d)*1.07+1, "%d", d)
		if b > 0 {
			require.Less(t, upper(b-1), d)
		}
	}
	require.Equal(t, latBuckets-1, bucketOf(1<<62))
}
