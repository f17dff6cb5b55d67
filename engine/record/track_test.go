package record

import (
	"slices"
	"testing"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// at returns a frame at a sample position.
func at(pos int64, seq uint32) *pcm.Frame {
	return &pcm.Frame{Timestamp: pcm.Ticks(pos), Seq: seq}
}

func TestTrackAccounts(t *testing.T) {
	lost := func(f *pcm.Frame, slots uint32) *pcm.Frame {
		f.Flags, f.Lost = pcm.AfterGap, slots
		return f
	}
	cut := func(f *pcm.Frame) *pcm.Frame {
		f.Flags = pcm.Cut
		return f
	}
	tests := []struct {
		name    string
		bot     bool
		joined  bool
		frames  []*pcm.Frame
		first   int64
		end     int64
		gaps    []Gap
		lost    map[Reason]int64
		refused int
	}{
		{name: "in a row", frames: []*pcm.Frame{at(0, 0), at(320, 1)}, end: 640},
		{name: "late speaker", frames: []*pcm.Frame{at(3200, 0)}, first: 3200, end: 3520},
		{name: "dtx", frames: []*pcm.Frame{at(0, 0), at(960, 1)}, end: 1280,
			gaps: []Gap{{320, 640, DTX, ""}}},
		{name: "connection", frames: []*pcm.Frame{at(0, 0), lost(at(1600, 1), 2)}, end: 1920,
			gaps: []Gap{{320, 640, DTX, ""}, {960, 640, Lost, Connection}},
			lost: map[Reason]int64{Connection: 640}},
		{name: "connection claims more than there is", frames: []*pcm.Frame{at(0, 0), lost(at(640, 1), 9)}, end: 960,
			gaps: []Gap{{320, 320, Lost, Connection}},
			lost: map[Reason]int64{Connection: 320}},
		{name: "lost before the first frame", frames: []*pcm.Frame{lost(at(1600, 0), 2)}, first: 1600, end: 1920,
			gaps: []Gap{{960, 640, Lost, Connection}},
			lost: map[Reason]int64{Connection: 640}},
		{name: "our ring", frames: []*pcm.Frame{at(0, 0), at(1280, 3)}, end: 1600,
			gaps: []Gap{{320, 640, Lost, Overrun}, {960, 320, DTX, ""}},
			lost: map[Reason]int64{Overrun: 640}},
		{name: "all three", frames: []*pcm.Frame{at(0, 0), lost(at(1600, 2), 1)}, end: 1920,
			gaps: []Gap{{320, 320, Lost, Overrun}, {640, 640, DTX, ""}, {1280, 320, Lost, Connection}},
			lost: map[Reason]int64{Overrun: 320, Connection: 320}},
		{name: "our ring, no room", frames: []*pcm.Frame{at(0, 0), at(480, 3)}, end: 800,
			gaps: []Gap{{320, 160, Lost, Overrun}},
			lost: map[Reason]int64{Overrun: 640}},
		{name: "sequence wraps", joined: true, frames: []*pcm.Frame{at(0, ^uint32(0)), at(640, 1)}, end: 960,
			gaps: []Gap{{320, 320, Lost, Overrun}},
			lost: map[Reason]int64{Overrun: 320}},
		{name: "joined late", joined: true, frames: []*pcm.Frame{at(3200, 10)}, first: 3200, end: 3520},
		{name: "first frames dropped", frames: []*pcm.Frame{at(640, 2)}, first: 640, end: 960,
			gaps: []Gap{{0, 640, Lost, Overrun}},
			lost: map[Reason]int64{Overrun: 640}},
		{name: "before the clock", frames: []*pcm.Frame{at(-320, 0), at(0, 1)}, end: 320, refused: 1,
			lost: map[Reason]int64{Position: 320}},
		{name: "years away", frames: []*pcm.Frame{at(0, 0), at(1<<50, 1), at(320, 2)}, end: 640, refused: 1,
			lost: map[Reason]int64{Position: 320}},
		{name: "cut", bot: true, frames: []*pcm.Frame{at(0, 0), at(320, 1), cut(at(400, 2)), at(1000, 3)}, end: 1320, refused: 1,
			gaps: []Gap{{400, 600, DTX, ""}}},
		{name: "cut takes gaps back", bot: true, frames: []*pcm.Frame{at(0, 0), at(1000, 1), cut(at(1000, 2)), at(2000, 3)}, end: 2320, refused: 1,
			gaps: []Gap{{320, 1680, DTX, ""}}},
		{name: "cut of all", bot: true, frames: []*pcm.Frame{at(1000, 0), cut(at(900, 1)), at(5000, 2)}, first: 5000, end: 5320, refused: 1},
		{name: "cut of what is over", bot: true, frames: []*pcm.Frame{at(0, 0), cut(at(320, 1))}, end: 320, refused: 1},
		{name: "dropped before a cut", bot: true, frames: []*pcm.Frame{at(0, 0), cut(at(2000, 3))}, end: 960, refused: 1,
			gaps: []Gap{{320, 640, Lost, Overrun}},
			lost: map[Reason]int64{Overrun: 640}},
		{name: "the cut was dropped", bot: true, frames: []*pcm.Frame{at(0, 0), at(320, 1), at(500, 3)}, end: 820,
			lost: map[Reason]int64{Overrun: 320}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := track{bot: tt.bot, joined: tt.joined}
			refused := 0
			for _, f := range tt.frames {
				p, _, ok := tr.place(f)
				require.Equal(t, f.Position(), p)
				if !ok {
					refused++
				}
			}
			require.Equal(t, tt.refused, refused)
			require.Equal(t, tt.first, tr.first)
			require.Equal(t, tt.end, tr.end)
			require.Equal(t, tt.gaps, tr.gaps.list)
			if len(tt.lost) == 0 {
				require.Empty(t, tr.gaps.lost)
			} else {
				require.Equal(t, tt.lost, tr.gaps.lost)
			}
		})
	}
}

// TestTrackSpeakerModel plays random histories of a speaker, slot by slot,
// and asks that the track tells of each slot what became of it.
func TestTrackSpeakerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const sent, dropped, dtx, lost = 'S', 'D', '_', 'L'
		var tr track
		var want []byte // by slot
		seq := uint32(0)
		for range rapid.IntRange(1, 30).Draw(t, "frames") {
			n := func(what string) int { return rapid.SampledFrom([]int{0, 0, 0, 1, 2, 5}).Draw(t, what) }
			drop, quiet, gone := n("dropped"), n("dtx"), n("lost")
			want = append(want, slices.Repeat([]byte{dropped}, drop)...)
			want = append(want, slices.Repeat([]byte{dtx}, quiet)...)
			want = append(want, slices.Repeat([]byte{lost}, gone)...)
			seq += uint32(drop)
			f := at(int64(len(want))*320, seq)
			if gone > 0 {
				f.Flags, f.Lost = pcm.AfterGap, uint32(gone)
			}
			seq++
			_, erased, ok := tr.place(f)
			require.True(t, ok)
			require.Zero(t, erased)
			want = append(want, sent)
		}
		require.EqualValues(t, len(want)*320, tr.end)
		got := slices.Repeat([]byte{sent}, len(want))
		for s := range tr.first / 320 {
			got[s] = dtx
		}
		var sum int64
		for _, g := range tr.gaps.list {
			c := byte(dtx)
			if g.Kind == Lost {
				c = map[Reason]byte{Overrun: dropped, Connection: lost}[g.Reason]
				sum += g.Samples
			}
			for s := g.At / 320; s < g.end()/320; s++ {
				got[s] = c
			}
		}
		require.Equal(t, string(want), string(got))
		require.Equal(t, sum, tr.gaps.missing())
	})
}

// TestTrackBotModel plays random speech and flushes of a bot against a list of
// who holds each sample.
func TestTrackBotModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := track{bot: true}
		var heard []uint32 // Seq+1 of the frame that holds the sample; 0 is none
		now, end := int64(0), int64(0)
		for seq := range uint32(rapid.IntRange(1, 40).Draw(t, "steps")) {
			now += rapid.Int64Range(0, 700).Draw(t, "wait")
			if rapid.IntRange(0, 3).Draw(t, "flush") == 0 && end > now {
				f := at(now, seq)
				f.Flags = pcm.Cut
				_, erased, ok := tr.place(f)
				require.False(t, ok)
				require.LessOrEqual(t, erased.from, now)
				end = now
				heard = heard[:now]
				continue
			}
			p := max(now, end)
			_, erased, ok := tr.place(at(p, seq))
			require.True(t, ok)
			require.Zero(t, erased)
			for int64(len(heard)) < p {
				heard = append(heard, 0)
			}
			heard = append(heard, slices.Repeat([]uint32{seq + 1}, 320)...)
			end = p + 320
		}
		for len(heard) > 0 && heard[len(heard)-1] == 0 {
			heard = heard[:len(heard)-1]
		}
		require.EqualValues(t, len(heard), tr.end)
		silent := make([]bool, len(heard))
		if len(heard) > 0 {
			for i := range silent[:tr.first] {
				silent[i] = true
			}
		}
		for _, g := range tr.gaps.list {
			require.Equal(t, DTX, g.Kind)
			for i := g.At; i < g.end(); i++ {
				require.False(t, silent[i], "gaps overlap")
				silent[i] = true
			}
		}
		for i, s := range silent {
			require.Equal(t, heard[i] == 0, s, "sample %d", i)
		}
	})
}

func TestGapMapIsBounded(t *testing.T) {
	var m gapMap
	for i := range int64(3 * maxGaps) {
		m.add(i*1000, 10, DTX, "")
		m.add(i*1000+500, 10, Lost, Disk)
	}
	require.Len(t, m.list, 2*maxGaps)
	require.EqualValues(t, 4*maxGaps, m.omitted)
	require.EqualValues(t, 3*maxGaps*10, m.missing())
	require.True(t, slices.IsSortedFunc(m.list, func(a, b Gap) int { return int(a.At - b.At) }))
}

func TestGapMapToldLate(t *testing.T) {
	var m gapMap
	m.add(1000, 10, DTX, "")
	m.add(500, 10, Lost, Disk)
	m.add(510, 10, Lost, Disk)
	m.add(2000, 0, Lost, Disk)
	m.add(3000, -1, Lost, Disk)
	require.Equal(t, []Gap{{500, 20, Lost, Disk}, {1000, 10, DTX, ""}}, m.list)
	require.EqualValues(t, 20, m.missing())

	require.EqualValues(t, 505, m.clip(505))
	require.Equal(t, []Gap{{500, 5, Lost, Disk}}, m.list)
	require.EqualValues(t, 5, m.missing())
	require.EqualValues(t, 500, m.clip(500))
	require.Empty(t, m.list)
	require.Empty(t, m.lost)
}

// FuzzTrack feeds frames that no engine sends: whatever comes, the gaps lie
// apart and in order inside the track, and a frame that is placed is in it.
func FuzzTrack(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 1, 1, 0, 9, 5, 2, 3}, true)
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, steps []byte, bot bool) {
		tr := track{bot: bot}
		pos := int64(0)
		for i := 0; i+4 <= len(steps); i += 4 {
			pos += int64(int8(steps[i])) * 40
			fr := at(pos, uint32(i/4)+uint32(steps[i+1]%4))
			fr.Lost, fr.Flags = uint32(steps[i+2]), pcm.Flags(steps[i+3])
			p, _, ok := tr.place(fr)
			if ok && (p < 0 || p+320 > tr.end) {
				t.Fatalf("frame at %d is not in a track that ends at %d", p, tr.end)
			}
			last := int64(0)
			for _, g := range tr.gaps.list {
				if g.At < last || g.Samples <= 0 || g.end() > tr.end {
					t.Fatalf("gap %+v behind %d in a track that ends at %d", g, last, tr.end)
				}
				last = g.end()
			}
		}
	})
}
