package demo

import (
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/dsp"
	"github.com/mixminus/mixminus/engine/pcm"
)

// meter looks at a leg's frames for the table, a few times a second, by taps
// of its own: it measures nobody's latency and holds nobody up. Only the
// table reads it.
type meter struct{ in, bot *engine.Tap }

func newMeter(leg *engine.Leg) *meter {
	return &meter{in: leg.Tap(256), bot: leg.Source().Tap(64)}
}

// read returns the levels since the last read, in dBFS, of the speakers that
// were heard and of the bot.
func (m *meter) read() (speakers map[uint32]float64, bot float64) {
	heard := map[uint32][]int16{}
	for f := m.in.Peek(); f != nil; f = m.in.Peek() {
		heard[f.Speaker] = append(heard[f.Speaker], f.Samples[:]...)
		m.in.Release()
	}
	speakers = make(map[uint32]float64, len(heard))
	for s, samples := range heard {
		speakers[s] = dsp.Measure(samples).RMS
	}
	var said []int16
	for f := m.bot.Peek(); f != nil; f = m.bot.Peek() {
		if !f.Flags.Has(pcm.Cut) {
			said = append(said, f.Samples[:]...)
		}
		m.bot.Release()
	}
	return speakers, dsp.Measure(said).RMS
}
