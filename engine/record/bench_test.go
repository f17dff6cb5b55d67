package record

import (
	"fmt"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// endless is a tap in which every sweep finds ten slots of its speakers.
type endless struct {
	frames []pcm.Frame
	left   int
}

const sweptSlots = 10 // 200 ms

func newEndless(speakers int) *endless {
	e := &endless{frames: make([]pcm.Frame, sweptSlots*speakers)}
	for i := range e.frames {
		f := &e.frames[i]
		slot := i/speakers - sweptSlots // refill comes before the first sweep
		f.Speaker, f.Seq = uint32(i%speakers+1), uint32(slot)
		f.Timestamp = int64(slot) * pcm.TicksPerFrame
		for j := range f.Samples {
			f.Samples[j] = voice(fmt.Sprint(f.Speaker), int64(i*320+j))
		}
	}
	return e
}

func (e *endless) refill() {
	e.left = len(e.frames)
	for i := range e.frames {
		e.frames[i].Seq += sweptSlots
		e.frames[i].Timestamp += sweptSlots * pcm.TicksPerFrame
	}
}

func (e *endless) PeekN(n int) []pcm.Frame {
	from := len(e.frames) - e.left
	return e.frames[from:min(len(e.frames), from+n)]
}

func (e *endless) ReleaseN(n int)  { e.left -= n }
func (e *endless) Dropped() uint64 { return 0 }
func (e *endless) Closed() bool    { return false }
func (e *endless) Close()          {}

// bare is a recording whose loops the test turns itself.
func bare(tb testing.TB, channels engine.Channels, speakers int) (*shard, *Recording, *endless) {
	r, err := New(Config{Dir: tb.TempDir()})
	require.NoError(tb, err)
	tb.Cleanup(func() { r.Close() })
	e := engine.New(engine.Config{})
	tb.Cleanup(func() { e.Close() })
	leg, err := e.NewLeg(engine.LegConfig{Channels: channels})
	require.NoError(tb, err)
	rec := newRecording(r, leg, Meta{CallID: "bench"})
	tap := newEndless(speakers)
	rec.in, rec.bot = tap, &endless{}
	rec.shard = r.shards[0]
	tb.Cleanup(func() {
		for _, t := range rec.folder.files {
			t.wave.close()
		}
	})
	return r.shards[0], rec, tap
}

// turn makes one sweep and takes its blocks.
func turn(s *shard, rec *Recording, tap *endless) *block {
	tap.refill()
	s.sweep(rec, true)
	_, list, _ := s.next()
	return list
}

func TestSweepDoesNotAllocate(t *testing.T) {
	s, rec, tap := bare(t, engine.Unmixed, 8)
	s.give(turn(s, rec, tap))
	require.Zero(t, testing.AllocsPerRun(100, func() { s.give(turn(s, rec, tap)) }))
}

func TestWriteDoesNotAllocate(t *testing.T) {
	s, rec, tap := bare(t, engine.Unmixed, 8)
	sc := newScratch()
	now := time.Now()
	step := func() {
		list := turn(s, rec, tap)
		rec.folder.write(list, now, sc)
		s.give(list)
	}
	for range 20 {
		step()
	}
	require.Zero(t, testing.AllocsPerRun(50, step))
}

// BenchmarkSweep is what a core pays to take a frame from a tap and hand it to
// the write loop.
func BenchmarkSweep(b *testing.B) {
	s, rec, tap := bare(b, engine.Unmixed, 3)
	b.ReportAllocs()
	for b.Loop() {
		s.give(turn(s, rec, tap))
	}
	perFrame(b, len(tap.frames))
}

// BenchmarkRecord is all of it, from the tap to files of the operating
// system, on one goroutine: sweep, placement, write, header, and for unmixed
// calls the sum. The floor only writes the same bytes to as many files.
func BenchmarkRecord(b *testing.B) {
	for _, speakers := range []int{1, 3, 16} {
		b.Run(fmt.Sprintf("unmixed/speakers=%d", speakers), func(b *testing.B) { benchRecord(b, engine.Unmixed, speakers) })
	}
	b.Run("mixed", func(b *testing.B) { benchRecord(b, engine.Mixed, 1) })
	b.Run("floor/speakers=3", func(b *testing.B) { benchFloor(b, 3) })
}

func benchRecord(b *testing.B, channels engine.Channels, speakers int) {
	s, rec, tap := bare(b, channels, speakers)
	sc := newScratch()
	b.ReportAllocs()
	for b.Loop() {
		list := turn(s, rec, tap)
		rec.folder.write(list, time.Now(), sc)
		s.give(list)
	}
	perFrame(b, len(tap.frames))
	require.Empty(b, rec.Stats().Lost)
}

func benchFloor(b *testing.B, files int) {
	data := make([]byte, sweptSlots*pcm.FrameBytes)
	var open []File
	for i := range files {
		f, err := osFS{}.Create(fmt.Sprintf("%s/%d", b.TempDir(), i))
		require.NoError(b, err)
		defer f.Close()
		open = append(open, f)
	}
	b.ReportAllocs()
	at := int64(0)
	for b.Loop() {
		for _, f := range open {
			if _, err := f.WriteAt(data, at); err != nil {
				b.Fatal(err)
			}
		}
		at += int64(len(data))
	}
	perFrame(b, files*sweptSlots)
}

func perFrame(b *testing.B, frames int) {
	perOp := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	b.ReportMetric(perOp/float64(frames), "ns/frame")
	b.ReportMetric(float64(frames)/perOp*1e9, "frames/s")
	b.ReportMetric(0, "ns/op")
}
