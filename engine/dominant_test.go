package engine_test

import (
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// TestDominantSpeaker: two talk one after the other, then nobody does.
func TestDominantSpeaker(t *testing.T) {
	e := engine.New(engine.Config{})
	defer e.Close()
	leg, err := e.NewLeg(engine.LegConfig{Channels: engine.Unmixed})
	require.NoError(t, err)
	var told []string
	leg.OnDominant(func(r *engine.Render) {
		if r == nil {
			told = append(told, "nobody")
			return
		}
		told = append(told, r.RawID())
	})
	port, err := leg.Attach(nil)
	require.NoError(t, err)
	defer port.Detach(engine.Now())
	loud := make([]int16, pcm.FrameSamples)
	for i := range loud {
		loud[i] = int16(4000 * (i%2*2 - 1))
	}
	quiet := make([]int16, pcm.FrameSamples)
	say := func(frames int, who string) {
		for range frames {
			for _, id := range []string{"101", "111"} {
				r, err := port.Render([]byte(id), engine.Now())
				require.NoError(t, err)
				samples := quiet
				if id == who {
					samples = loud
				}
				r.Append(samples, engine.Chunk{Arrival: engine.Now()})
			}
		}
	}
	say(50, "101")
	say(50, "111")
	say(150, "")
	require.Equal(t, []string{"101", "111", "nobody"}, told)
}

// TestDominantAllocatesNothing: watching is on the way of every frame.
func TestDominantAllocatesNothing(t *testing.T) {
	e := engine.New(engine.Config{})
	defer e.Close()
	leg, err := e.NewLeg(engine.LegConfig{Channels: engine.Unmixed})
	require.NoError(t, err)
	leg.OnDominant(func(*engine.Render) {})
	port, err := leg.Attach(nil)
	require.NoError(t, err)
	defer port.Detach(engine.Now())
	r, err := port.Render([]byte("101"), engine.Now())
	require.NoError(t, err)
	samples := make([]int16, pcm.FrameSamples)
	for i := range samples {
		samples[i] = int16(i * 20)
	}
	r.Append(samples, engine.Chunk{Arrival: engine.Now()})
	require.Zero(t, testing.AllocsPerRun(1000, func() { r.Append(samples, engine.Chunk{Arrival: engine.Now()}) }))
}
