package mix

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine/pcm"
)

const ms = int64(1e6)

// voice returns speaker's frame for a slot. Its samples are 1 << speaker, so
// that those of a mix tell who is in it.
func voice(speaker uint32, slot int64) *pcm.Frame {
	f := &pcm.Frame{Speaker: speaker, Timestamp: slot * pcm.TicksPerFrame, Arrival: slot * 20 * ms}
	for i := range f.Samples {
		f.Samples[i] = 1 << speaker
	}
	return f
}

// drain pops all that there is and returns it as slot:who.
func drain(t require.TestingT, a *Assembler, now int64) (got []string) {
	f := pcm.Frame{Samples: Samples{1, 2, 3}, Speaker: 9, Lost: 9, Flags: 255}
	for a.Pop(&f, now) {
		require.Zero(t, f.Speaker)
		for _, s := range f.Samples {
			require.Equal(t, f.Samples[0], s)
		}
		require.Zero(t, f.Timestamp%pcm.TicksPerFrame)
		got = append(got, fmt.Sprintf("%d:%b", f.Timestamp/pcm.TicksPerFrame, f.Samples[0]))
	}
	return got
}

// step is a frame that arrives, or nothing, and what comes out then.
type step struct {
	at      int64 // ms
	speaker uint32
	slot    int64 // -1: no frame, only time passes
	want    []string
}

func TestAssemblerSchedules(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []step
		late  uint64
	}{
		{"one speaker goes straight through", []step{
			{0, 0, 0, []string{"0:1"}},
			{20, 0, 1, []string{"1:1"}},
			{40, 0, 2, []string{"2:1"}},
		}, 0},
		{"nobody waits for a speaker not heard yet", []step{
			{0, 0, 0, []string{"0:1"}},
			{5, 1, 0, nil}, // late, but known from now on
			{20, 0, 1, nil},
			{25, 1, 1, []string{"1:11"}},
		}, 1},
		{"a slot waits 60 ms for an active speaker, not longer", []step{
			{0, 0, 0, []string{"0:1"}},
			{0, 1, 0, nil},
			{20, 0, 1, nil},
			{79, 0, -1, nil},
			{80, 0, -1, []string{"1:1"}},
			{81, 1, 1, nil},
		}, 2},
		{"a speaker who was not heard in three slots is not waited for", []step{
			{0, 0, 0, []string{"0:1"}},
			{0, 1, 0, nil},
			{20, 0, 1, nil},
			{40, 0, 2, nil},
			{60, 0, 3, nil},
			{80, 0, 4, []string{"1:1"}}, // 4 is complete, but slots close in order
			{100, 0, 5, []string{"2:1"}},
			{120, 0, 6, []string{"3:1", "4:1", "5:1", "6:1"}},
			{140, 0, 7, []string{"7:1"}},
		}, 1},
		{"a speaker who has gone ahead is not waited for", []step{
			{0, 0, 0, []string{"0:1"}},
			{0, 1, 0, nil},
			{20, 1, 2, nil},
			{21, 0, 1, []string{"1:1"}},
			{40, 0, 2, []string{"2:11"}},
		}, 1},
		{"the deadline of a later slot closes the earlier ones", []step{
			{0, 0, 0, []string{"0:1"}},
			{0, 1, 0, nil},
			{0, 2, 0, nil},
			{10, 1, 2, nil},
			{50, 0, 1, nil}, // 2 is missing in both
			{69, 0, -1, nil},
			{70, 0, -1, []string{"1:1", "2:10"}},
		}, 2},
		{"a jump emits no empty slots", []step{
			{0, 0, 5, []string{"5:1"}},
			{0, 0, 5000, []string{"5000:1"}},
			{0, 0, math.MaxInt64 / pcm.TicksPerFrame, []string{fmt.Sprintf("%d:1", int64(math.MaxInt64/pcm.TicksPerFrame))}},
			{0, 0, 5001, nil},
		}, 1},
		{"a jump beyond the window closes what it leaves behind", []step{
			{0, 0, 0, []string{"0:1"}},
			{0, 1, 0, nil},
			{1, 0, 1, nil},
			{1, 0, 2, nil},
			{1, 2, 4, nil},
			{1, 0, Window, nil}, // 1 is still waited for in slot 1
			{1, 0, Window + 1, []string{"1:1"}},
			{1, 1, 1, nil},
			{1, 0, 1e9, []string{"2:1", "4:100", "32:1", "33:1", "1000000000:1"}},
		}, 2},
		{"repeated and backward frames", []step{
			{0, 0, 3, []string{"3:1"}},
			{0, 1, 3, nil},
			{1, 0, 4, nil},
			{1, 0, 4, nil},
			{1, 0, 2, nil},
			{1, 1, 4, []string{"4:11"}},
		}, 3},
		{"a negative timestamp", []step{
			{0, 0, -2, nil},
			{0, 0, 0, []string{"0:1"}},
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := NewAssembler(0)
			for i, s := range tt.steps {
				if s.slot != -1 {
					a.Push(voice(s.speaker, s.slot), s.at*ms)
				}
				require.Equal(t, s.want, drain(t, a, s.at*ms), "step %d", i)
			}
			require.Equal(t, tt.late, a.Late())
		})
	}
}

func TestAssemblerHeader(t *testing.T) {
	a := NewAssembler(0)
	pop := func() (f pcm.Frame) {
		require.True(t, a.Pop(&f, 0))
		return f
	}
	push := func(speaker uint32, slot, arrival int64, flags pcm.Flags, lost uint32) {
		f := voice(speaker, slot)
		f.Arrival, f.Flags, f.Lost = arrival, flags, lost
		a.Push(f, 0)
	}

	push(0, 10, 100, pcm.Silence|pcm.AfterDTX, 0)
	f := pop()
	require.Equal(t, pcm.Silence, f.Flags, "nothing is known before the first frame")
	require.Zero(t, f.Seq)
	require.EqualValues(t, 100, f.Arrival)

	push(1, 10, 100, 0, 0) // late: from now on both are waited for
	push(0, 11, 130, pcm.Silence, 0)
	push(1, 11, 120, 0, 0)
	f = pop()
	require.Zero(t, f.Flags, "not all of it is silent")
	require.EqualValues(t, 130, f.Arrival, "the last one")
	require.EqualValues(t, 1, f.Seq)

	push(0, 12, 130, pcm.Silence, 0)
	push(1, 12, 120, pcm.Silence|pcm.AfterGap, 3)
	require.Equal(t, pcm.Silence, pop().Flags, "no slot is empty: the others filled it")

	push(0, 16, 0, pcm.AfterDTX, 0)
	push(1, 16, 0, pcm.AfterDTX, 0)
	f = pop()
	require.Equal(t, pcm.AfterDTX, f.Flags)
	require.Zero(t, f.Lost)
	require.EqualValues(t, 16*pcm.TicksPerFrame, f.Timestamp)
	require.EqualValues(t, 3, f.Seq)

	push(0, 20, 0, pcm.AfterDTX, 0)
	push(1, 20, 0, pcm.AfterGap, 2)
	f = pop()
	require.Equal(t, pcm.AfterGap|pcm.AfterDTX, f.Flags)
	require.EqualValues(t, 2, f.Lost)

	push(0, 22, 0, pcm.AfterGap, 50)
	push(1, 22, 0, pcm.AfterGap, 50)
	f = pop()
	require.Equal(t, pcm.AfterGap, f.Flags, "not more than what is missing")
	require.EqualValues(t, 1, f.Lost)
	require.Zero(t, a.seq-6)
}

func TestAssemblerDeadline(t *testing.T) {
	a := NewAssembler(0)
	_, ok := a.Deadline()
	require.False(t, ok)
	a.Push(voice(0, 0), 0)
	drain(t, a, 0)
	_, ok = a.Deadline()
	require.False(t, ok)
	a.Push(voice(1, 0), 1*ms)
	a.Push(voice(0, 2), 5*ms)
	drain(t, a, 5*ms)
	a.Push(voice(0, 3), 6*ms)
	a.Push(voice(1, 1), 7*ms)
	at, ok := a.Deadline()
	require.True(t, ok)
	require.Equal(t, 5*ms+int64(Hold), at)
	require.Equal(t, []string{"1:10"}, drain(t, a, at-1), "complete: 0 has gone ahead")
	require.Equal(t, []string{"2:1"}, drain(t, a, at))
	at, ok = a.Deadline()
	require.True(t, ok)
	require.Equal(t, 6*ms+int64(Hold), at)
}

// TestAssemblerUnread: a caller who does not pop loses the oldest, counted.
func TestAssemblerUnread(t *testing.T) {
	a := NewAssembler(0)
	const n = 100
	for i := range int64(n) {
		a.Push(voice(0, i), 0)
	}
	got := drain(t, a, 0)
	require.Len(t, got, Window+1)
	require.Equal(t, fmt.Sprintf("%d:1", n-1), got[Window])
	require.EqualValues(t, n-Window-1, a.Late())
}

// TestAssemblerMoreSpeakersThanRoom: they are mixed, but not waited for.
func TestAssemblerMoreSpeakersThanRoom(t *testing.T) {
	a := NewAssembler(2)
	for i := range uint32(3) {
		a.Push(voice(i, 0), 0)
	}
	require.Equal(t, []string{"0:111"}, drain(t, a, 0))
	a.Push(voice(2, 1), 0)
	a.Push(voice(0, 1), 0)
	require.Empty(t, drain(t, a, 0))
	a.Push(voice(1, 1), 0)
	require.Equal(t, []string{"1:111"}, drain(t, a, 0))
	a.Push(voice(0, 2), 0)
	a.Push(voice(1, 2), 0)
	require.Equal(t, []string{"2:11"}, drain(t, a, 0))

	a.Push(voice(2, 100), 0) // takes the place of one long gone
	require.Equal(t, []string{"100:100"}, drain(t, a, 0))
	a.Push(voice(0, 101), 0)
	require.Empty(t, drain(t, a, 0), "2 is waited for")
}

func TestAssemblerNoAllocs(t *testing.T) {
	a := NewAssembler(0)
	var f, out pcm.Frame
	slot := int64(0)
	require.Zero(t, testing.AllocsPerRun(500, func() {
		f.Timestamp = slot * pcm.TicksPerFrame
		for i := range uint32(64) {
			f.Speaker = i * 7 * uint32(slot/100)
			a.Push(&f, slot)
			a.Pop(&out, slot)
			a.Deadline()
		}
		slot++
	}))
}

// BenchmarkAssembler: ns/op is for one frame in, with its share of the frame
// out.
func BenchmarkAssembler(b *testing.B) {
	for _, n := range []uint32{1, 3, 16, 64} {
		b.Run(fmt.Sprintf("speakers-%d", n), func(b *testing.B) {
			b.ReportAllocs()
			a := NewAssembler(0)
			var f, out pcm.Frame
			for b.Loop() {
				a.Push(&f, f.Timestamp*100)
				for a.Pop(&out, f.Timestamp*100) {
				}
				if f.Speaker++; f.Speaker == n {
					f.Speaker = 0
					f.Timestamp += pcm.TicksPerFrame
				}
			}
		})
	}
}
