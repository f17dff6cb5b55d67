package engine

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// chunkAt is a chunk of one slot with the given wire time in ms; -1 is none.
type chunkAt struct {
	ts      int64 // ms
	arrival int64 // ms
	slot    int64 // want
	jump    int64 // want, slots
	free    bool  // want
}

func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		name   string
		chunks []chunkAt
	}{
		{"steady", []chunkAt{{1000, 0, 0, 0, false}, {1020, 20, 1, 0, false}, {1040, 40, 2, 0, false}}},
		{"jitter within slack", []chunkAt{{1000, 0, 0, 0, false}, {1030, 20, 1, 0, false}, {1030, 40, 2, 0, false}, {1069, 60, 3, 0, false}}},
		{"jump of whole slots", []chunkAt{{1000, 0, 0, 0, false}, {1100, 100, 5, 4, false}, {1120, 120, 6, 0, false}}},
		{"jump between slots moves the window", []chunkAt{{1000, 0, 0, 0, false}, {1109, 100, 5, 4, false}, {1135, 120, 6, 0, false}, {1140, 140, 7, 0, false}}},
		{"roundings of jumps do not add up", []chunkAt{{1000, 0, 0, 0, false}, {1109, 100, 5, 4, false}, {1209, 200, 10, 4, false}, {1309, 300, 15, 4, false}, {1409, 400, 20, 4, false}}},
		{"missing", []chunkAt{{1000, 0, 0, 0, false}, {-1, 20, 1, 0, true}, {-1, 40, 2, 0, true}, {1060, 60, 3, 0, false}}},
		{"repeated", []chunkAt{{1000, 0, 0, 0, false}, {1000, 20, 1, 0, true}, {1040, 40, 2, 0, false}, {1040, 60, 3, 0, true}}},
		{"back and on", []chunkAt{{1000, 0, 0, 0, false}, {1020, 20, 1, 0, false}, {980, 40, 2, 0, true}, {1060, 60, 3, 0, false}}},
		{"clock restarted", []chunkAt{{9000, 0, 0, 0, false}, {9020, 20, 1, 0, false}, {100, 40, 2, 0, true}, {120, 60, 3, 0, false}, {240, 180, 9, 5, false}}},
		{"not believed", []chunkAt{{1000, 0, 0, 0, false}, {9_000_000_000, 20, 1, 0, true}, {9_000_000_020, 40, 2, 0, false}}},
		{"no timestamps at all", []chunkAt{{-1, 0, 0, 0, false}, {-1, 20, 1, 0, true}, {-1, 500, 2, 0, true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c legClock
			p := placer{slack: int64(10 * time.Millisecond)}
			for i, k := range tt.chunks {
				got := p.place(&c, k.ts*1e6, k.ts >= 0, k.arrival*1e6)
				require.Equal(t, k.slot*320, p.pos, "chunk %d: position", i)
				require.Equal(t, k.jump*320, got.jump, "chunk %d: jump", i)
				if i > 0 {
					require.Equal(t, k.free, got.free, "chunk %d: free", i)
				}
				p.pos += 320
				c.end = max(c.end, p.pos)
			}
		})
	}
}

func TestPlaceSpeakersShareTheClock(t *testing.T) {
	var c legClock
	a, b, late := placer{slack: 1e7}, placer{slack: 1e7}, placer{slack: 1e7}
	a.place(&c, 5000e6, true, 0)
	b.place(&c, 5060e6, true, 61e6)
	require.EqualValues(t, 3*320, b.pos, "by the wire, not by arrival")
	late.place(&c, 0, false, 99e6)
	require.EqualValues(t, 5*320, late.pos, "without a timestamp, by arrival")
	var early placer
	early.place(&c, 4000e6, true, 100e6)
	require.EqualValues(t, 0, early.pos, "never before the leg's first frame")
	early.pos += 320
	require.EqualValues(t, 0, early.place(&c, 4020e6, true, 120e6).jump, "a clamped start keeps its pace")
}

// TestPlaceLateJoiners: whoever comes at minute ten with a clock of his own is
// placed by arrival, not at the beginning.
func TestPlaceLateJoiners(t *testing.T) {
	const day, joined = 86400e9, 600e9
	for name, ts := range map[string]int64{
		"two minutes ahead": day + joined + 120e9, "an hour back": day + joined - 3600e9, "right": day + joined,
	} {
		var c legClock
		a, b := placer{slack: 1e7}, placer{slack: 1e7}
		a.place(&c, day, true, 0)
		b.place(&c, ts, true, joined)
		require.EqualValues(t, 30000*320, b.pos, name)
		b.pos += 320
		require.Zero(t, b.place(&c, ts+20e6, true, joined+20e6).jump, name)
	}
	var c legClock
	a, b := placer{slack: 1e7}, placer{slack: 1e7}
	a.place(&c, 0, true, 0) // the leg's first timestamp was nonsense
	b.place(&c, day+joined, true, joined)
	require.EqualValues(t, 30000*320, b.pos)
}

func TestPlaceOutage(t *testing.T) {
	var c legClock
	a, b := placer{slack: 1e7}, placer{slack: 1e7}
	for i := range int64(10) { // a speaks in slots 0 to 9, b in 0 to 4
		a.place(&c, i*20e6, true, i*20e6)
		a.pos += 320
		if i < 5 {
			b.place(&c, i*20e6, true, i*20e6)
			b.pos += 320
		}
		c.end = max(a.pos, b.pos)
	}
	c.reconnected()
	got := a.place(&c, 30*20e6, true, 600e6)
	require.EqualValues(t, 20*320, got.jump)
	require.EqualValues(t, 20*320, got.lost, "all of it was between the connections")
	a.pos += 320
	got = b.place(&c, 35*20e6, true, 700e6)
	require.EqualValues(t, 30*320, got.jump)
	require.EqualValues(t, 20*320, got.lost, "b had stopped five slots before, and came back five after")
	b.pos += 320
	got = b.place(&c, 40*20e6, true, 800e6)
	require.EqualValues(t, 4*320, got.jump)
	require.Zero(t, got.lost, "a later jump on a live socket is no loss")
}

func TestPlaceOutageWithoutTimestamps(t *testing.T) {
	var c legClock
	p := placer{slack: 1e7}
	p.place(&c, 0, false, 0)
	p.pos += 320
	c.end = p.pos
	c.reconnected()
	got := p.place(&c, 0, false, 1000e6)
	require.EqualValues(t, 50*320, p.pos)
	require.EqualValues(t, 49*320, got.lost)
}

func TestOutagesAreBounded(t *testing.T) {
	var c legClock
	for range 10 * maxOutages {
		c.reconnected()
		c.end += 320
		c.closeOutage(c.end)
	}
	require.LessOrEqual(t, len(c.outages), maxOutages)
}

func FuzzPlace(f *testing.F) {
	f.Add(int64(0), int64(20e6), int64(40e6), true)
	f.Add(int64(1<<62), int64(-1), int64(0), false)
	f.Add(int64(math.MinInt64), int64(math.MaxInt64), int64(math.MaxInt64), true)
	f.Fuzz(func(t *testing.T, a, b, d int64, has bool) {
		var c legClock
		p := placer{slack: 1e7}
		last := int64(-1)
		for i, ts := range []int64{a, b, a, d, a} {
			p.place(&c, ts, has || i%2 == 0, int64(i)*20e6)
			require.Greater(t, p.pos, last, "positions grow")
			require.LessOrEqual(t, p.pos, int64(i)*320+leadSamples+5*320, "and stay near the arrival clock")
			last = p.pos
			p.pos += 320
			c.end = p.pos
		}
	})
}
