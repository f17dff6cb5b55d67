package engine

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// fakeOutlet keeps what it is sent; a flush is a nil frame.
type fakeOutlet struct {
	mu     sync.Mutex
	frames [][]int16
	stuck  bool
	event  chan struct{}
}

func (o *fakeOutlet) SendFrame(s *[320]int16) bool { return o.keep(slices.Clone(s[:])) }
func (o *fakeOutlet) SendFlush() bool              { return o.keep(nil) }

func (o *fakeOutlet) keep(f []int16) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stuck {
		return false
	}
	o.frames = append(o.frames, f)
	select {
	case o.event <- struct{}{}:
	default:
	}
	return true
}

func (o *fakeOutlet) sent() [][]int16 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.frames)
}

// await waits until ok is true of what was sent.
func (o *fakeOutlet) await(t *testing.T, ok func([][]int16) bool) [][]int16 {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		got := o.sent()
		if ok(got) {
			return got
		}
		select {
		case <-o.event:
		case <-deadline:
			t.Fatalf("not sent: have %d frames", len(got))
		}
	}
}

func sourceLeg(t *testing.T, cfg LegConfig) (*Leg, *fakeOutlet) {
	l := newTestLeg(t, cfg)
	o := &fakeOutlet{event: make(chan struct{}, 1)}
	p, err := l.Attach(o)
	require.NoError(t, err)
	t.Cleanup(func() { p.Detach(0) })
	return l, o
}

func TestWriteGoesStraightOut(t *testing.T) {
	l, o := sourceLeg(t, LegConfig{})
	n, err := l.Source().TryWrite(ramp(320, 0))
	require.NoError(t, err)
	require.Equal(t, 320, n)
	require.Equal(t, [][]int16{ramp(320, 0)}, o.sent(), "on the writer's goroutine, before it returns")
	require.Greater(t, l.Source().Depth(), 10*time.Millisecond, "sent and not yet played")
}

func TestRunAheadIsBounded(t *testing.T) {
	l, o := sourceLeg(t, LegConfig{})
	n, err := l.Source().TryWrite(ramp(16000, 0))
	require.NoError(t, err)
	sent := len(o.sent())
	require.InDelta(t, 20, sent, 2, "400 ms are ahead")
	require.InDelta(t, 12800, n, 640, "and 400 ms are queued")
	o.await(t, func(f [][]int16) bool { return len(f) >= n/320 })
	var all []int16
	for _, f := range o.sent() {
		all = append(all, f...)
	}
	require.Equal(t, ramp(n, 0), all[:n], "the pacer sends the rest, in order")
}

func TestWriteNeverDrops(t *testing.T) {
	l, o := sourceLeg(t, LegConfig{})
	tap := l.Source().Tap(256)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	const total = 16000 + 100
	for pos := 0; pos < total; {
		n := min(777, total-pos)
		k, err := l.Source().Write(ctx, ramp(n, int64(pos)))
		require.NoError(t, err)
		require.Equal(t, n, k)
		pos += n
	}
	got := o.await(t, func(f [][]int16) bool { return len(f) == total/320+1 })
	require.Equal(t, ramp(total, 0), slices.Concat(got...)[:total])
	require.EqualValues(t, 320-total%320, l.Source().Stats().Padded, "the last frame was completed")
	var f, prev pcm.Frame
	for i := range len(got) {
		require.True(t, tap.TryRead(&f))
		require.Equal(t, got[i], f.Samples[:])
		if i > 0 && i < len(got)-1 {
			require.Equal(t, prev.Timestamp+pcm.TicksPerFrame, f.Timestamp, "played back to back")
		}
		prev = f
	}
}

func TestLongWriteIsHeardWhole(t *testing.T) {
	l, _ := sourceLeg(t, LegConfig{SourceLimit: 2 * time.Minute})
	n, err := l.Source().TryWrite(make([]int16, 60*16000))
	require.NoError(t, err)
	require.Equal(t, 60*16000, n)
	require.InDelta(t, 60, l.Source().Depth().Seconds(), 0.1)
}

func TestFlush(t *testing.T) {
	var marks []Mark
	var mu sync.Mutex
	l, o := sourceLeg(t, LegConfig{OnMark: func(m Mark) { mu.Lock(); marks = append(marks, m); mu.Unlock() }})
	s := l.Source()
	tap := s.Tap(64)
	_, err := s.TryWrite(ramp(12800, 0))
	require.NoError(t, err)
	require.NoError(t, s.Mark("end"))
	before := len(o.sent())
	s.Flush()
	require.Less(t, s.Depth(), 25*time.Millisecond)
	_, err = s.TryWrite(ramp(320, 20000))
	require.NoError(t, err)
	got := o.sent()
	require.Nil(t, got[before], "the wire's flush follows the last old frame")
	require.Equal(t, ramp(320, 20000), got[before+1], "and new audio follows the flush")
	require.Len(t, got, before+2)
	require.Equal(t, []Mark{{Name: "end", Cancelled: true, Estimated: true}}, marks)

	var f pcm.Frame
	var cutAt int64 = -1
	for tap.TryRead(&f) {
		if f.Flags.Has(pcm.Cut) {
			cutAt = f.Timestamp
		} else if cutAt >= 0 {
			require.GreaterOrEqual(t, f.Timestamp, cutAt, "new audio is placed behind the cut")
		}
	}
	require.GreaterOrEqual(t, cutAt, int64(0))
}

func TestFlushOvertakesWrite(t *testing.T) {
	l, _ := sourceLeg(t, LegConfig{})
	s := l.Source()
	done := make(chan error, 1)
	go func() {
		_, err := s.Write(context.Background(), make([]int16, 16000*30))
		done <- err
	}()
	require.Eventually(t, s.waiting.Load, 10*time.Second, time.Millisecond)
	_, err := s.TryWrite([]int16{1})
	require.ErrorIs(t, err, ErrConcurrentWrite)
	s.Flush()
	select {
	case err := <-done:
		require.ErrorIs(t, err, ErrFlushed)
	case <-time.After(10 * time.Second):
		t.Fatal("write still waits")
	}
}

func TestMarksAreOrdered(t *testing.T) {
	marks := make(chan Mark, 2*MaxMarks)
	l, _ := sourceLeg(t, LegConfig{OnMark: func(m Mark) { marks <- m }})
	s := l.Source()
	start := Now()
	require.NoError(t, s.Mark("now"))
	s.TryWrite(ramp(1600, 0))
	require.NoError(t, s.Mark("100ms"))
	s.TryWrite(ramp(1700, 0))
	require.NoError(t, s.Mark("end"))
	for _, want := range []string{"now", "100ms", "end"} {
		select {
		case m := <-marks:
			require.Equal(t, Mark{Name: want, Estimated: true}, m)
		case <-time.After(10 * time.Second):
			t.Fatalf("mark %s did not fire", want)
		}
	}
	require.GreaterOrEqual(t, Now()-start, int64(200*time.Millisecond))
	for range MaxMarks {
		require.NoError(t, l.Source().marks.add("x", 0, 1<<40))
	}
	require.ErrorIs(t, s.Mark("one too many"), ErrTooManyMarks)
}

func TestPanickingMarkEndsItsLegOnly(t *testing.T) {
	e := New(Config{})
	defer e.Close()
	bad, err := e.NewLeg(LegConfig{OnMark: func(Mark) { panic("app") }})
	require.NoError(t, err)
	good, err := e.NewLeg(LegConfig{})
	require.NoError(t, err)
	require.NoError(t, bad.Source().Mark("m"))
	select {
	case <-bad.Done():
		require.ErrorIs(t, bad.Err(), ErrPanic)
	case <-time.After(10 * time.Second):
		t.Fatal("leg lives on")
	}
	require.NoError(t, good.Err())
	require.Len(t, e.Legs(), 1)
}

func TestStuckPeerKeepsAudioQueued(t *testing.T) {
	l, o := sourceLeg(t, LegConfig{})
	o.mu.Lock()
	o.stuck = true
	o.mu.Unlock()
	n, err := l.Source().TryWrite(ramp(9600, 0))
	require.NoError(t, err)
	require.Equal(t, 6400, n, "bounded by the queue")
	o.mu.Lock()
	o.stuck = false
	o.mu.Unlock()
	got := o.await(t, func(f [][]int16) bool { return len(f) == 20 })
	require.Equal(t, ramp(6400, 0), slices.Concat(got...))
	require.NotZero(t, l.Source().Stats().Stalls)
}

func TestClosedSource(t *testing.T) {
	l, _ := sourceLeg(t, LegConfig{})
	errs := make(chan error, 1)
	go func() {
		_, err := l.Source().Write(context.Background(), make([]int16, 160000))
		errs <- err
	}()
	require.Eventually(t, l.Source().waiting.Load, 10*time.Second, time.Millisecond)
	l.Close()
	require.ErrorIs(t, <-errs, ErrClosed)
	_, err := l.Source().TryWrite([]int16{1})
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, l.Source().Mark("m"), ErrClosed)
}

// TestManyHands writes, flushes and marks from several goroutines under the
// race detector: whatever is heard is in order, and of one epoch at a time.
func TestManyHands(t *testing.T) {
	l, o := sourceLeg(t, LegConfig{})
	s := l.Source()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Add(3)
	go func() {
		defer wg.Done()
		// Every write carries its number in all samples.
		for k := int16(1); ctx.Err() == nil; k = k%30000 + 1 {
			s.Write(ctx, slices.Repeat([]int16{k}, 320*3))
		}
	}()
	go func() {
		defer wg.Done()
		for ctx.Err() == nil {
			s.Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}()
	go func() {
		defer wg.Done()
		for ctx.Err() == nil {
			s.Mark("m")
			s.Depth()
			s.Stats()
			time.Sleep(time.Millisecond)
		}
	}()
	wg.Wait()
	last := int16(0)
	for i, f := range o.sent() {
		if f == nil {
			continue
		}
		for _, v := range f {
			if v == 0 {
				continue // padding
			}
			require.GreaterOrEqual(t, v, last, "frame %d", i)
			last = v
		}
	}
	require.Greater(t, last, int16(10))
}

func TestEchoAllocatesNothing(t *testing.T) {
	l := newTestLeg(t, LegConfig{})
	p, err := l.Attach(discard{})
	require.NoError(t, err)
	defer p.Detach(0)
	s := l.Source()
	tap := s.Tap(8)
	frame := make([]int16, 320)
	var f pcm.Frame
	require.Zero(t, testing.AllocsPerRun(5000, func() {
		s.playEnd.Store(0) // as if the peer had played all
		s.TryWrite(frame)
		tap.TryRead(&f)
	}))
}

type discard struct{}

func (discard) SendFrame(*[320]int16) bool { return true }
func (discard) SendFlush() bool            { return true }

func BenchmarkSourceDirect(b *testing.B) {
	b.ReportAllocs()
	l := newTestLeg(b, LegConfig{})
	p, _ := l.Attach(discard{})
	defer p.Detach(0)
	s := l.Source()
	frame := make([]int16, 320)
	for b.Loop() {
		s.playEnd.Store(0)
		s.TryWrite(frame)
	}
}

func BenchmarkIngest(b *testing.B) {
	b.ReportAllocs()
	l := newTestLeg(b, LegConfig{Channels: Unmixed})
	p, _ := l.Attach(nil)
	id := []byte("8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_da7be3a9-8788-42a6-85c6-56b2cf784fce")
	_, _ = p.Render(id, 1)
	tap := l.Tap(4)
	ts := int64(0)
	for b.Loop() {
		r := p.Lookup(id)
		r.Slot()
		r.Commit(Chunk{Timestamp: ts, HasTimestamp: true, Arrival: ts + 1})
		ts += 20e6
		tap.Peek()
		tap.Release()
	}
}

type pacedOutlet struct{ fakeOutlet }

func (*pacedOutlet) Paced() {}

// TestPlayoutOfPacedOutlet: what a transport sends on a grid of its own is
// placed on it, however unevenly it was written.
func TestPlayoutOfPacedOutlet(t *testing.T) {
	for _, paced := range []bool{false, true} {
		l := newTestLeg(t, LegConfig{})
		o := &pacedOutlet{fakeOutlet{event: make(chan struct{}, 1)}}
		var out Outlet = o
		if !paced {
			out = &o.fakeOutlet
		}
		p, err := l.Attach(out)
		require.NoError(t, err)
		tap := l.Source().Tap(16)
		const ms = int64(time.Millisecond)
		t0 := Now() + 1000*ms
		for _, after := range []int64{0, 21, 41, 59, 101, 120, 700} {
			l.source.played(t0 + after*ms)
		}
		var at []int64
		var f pcm.Frame
		for tap.TryRead(&f) {
			at = append(at, f.Timestamp/10000)
		}
		if paced {
			require.Equal(t, []int64{0, 20, 40, 60, 100, 120, 700}, at)
			require.EqualValues(t, 1, l.Source().Stats().Underruns)
		} else {
			require.Equal(t, []int64{0, 21, 41, 61, 101, 121, 700}, at)
			require.EqualValues(t, 2, l.Source().Stats().Underruns)
		}
		p.Detach(Now())
	}
}
