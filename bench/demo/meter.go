package demo

import (
	"math"
	"sync"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
)

// meter looks at a leg's frames for the table, a few times a second, by taps
// of its own: it measures nobody's latency and holds nobody up.
type meter struct {
	mu      sync.Mutex
	in, bot *engine.Tap
	level   map[uint32]float64 // dBFS by speaker
	botOut  float64
}

const floorDB = -96

func newMeter(leg *engine.Leg) *meter {
	return &meter{in: leg.Tap(256), bot: leg.Source().Tap(64), level: make(map[uint32]float64), botOut: floorDB}
}

// read returns the levels since the last read.
func (m *meter) read() (speakers map[uint32]float64, bot float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sums, counts := map[uint32]float64{}, map[uint32]int{}
	for f := m.in.Peek(); f != nil; f = m.in.Peek() {
		sums[f.Speaker] += power(f)
		counts[f.Speaker]++
		m.in.Release()
	}
	for s := range m.level {
		m.level[s] = floorDB
	}
	for s, sum := range sums {
		m.level[s] = decibels(sum / float64(counts[s]))
	}
	var out float64
	n := 0
	for f := m.bot.Peek(); f != nil; f = m.bot.Peek() {
		if !f.Flags.Has(pcm.Cut) {
			out += power(f)
			n++
		}
		m.bot.Release()
	}
	m.botOut = decibels(out / float64(max(n, 1)))
	levels := make(map[uint32]float64, len(m.level))
	for s, l := range m.level {
		levels[s] = l
	}
	return levels, m.botOut
}

func power(f *pcm.Frame) float64 {
	var sum int64
	for _, s := range f.Samples {
		sum += int64(s) * int64(s)
	}
	return float64(sum) / pcm.FrameSamples / (1 << 30)
}

func decibels(power float64) float64 {
	if power <= 0 {
		return floorDB
	}
	return max(10*math.Log10(power), floorDB)
}
