package demo

import (
	"slices"
	"testing"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/stretchr/testify/require"
)

// A mixed call of 200 slots: the callee talks from slot 40 to 140, the bot
// greets from slot 2, is cut at slot 45, and echoes slots 45 on, 3 slots late.
const (
	slots      = 200
	heardFrom  = 2 * frame
	cutSamples = 43 * frame
	echoSlot   = 45
)

func performance() *verdict {
	greeting := signal.Speech(signal.Allison)
	clip := signal.Speech(signal.June)[:100*frame]
	log := &cloud.Log{
		Media: "mixed", Slots: slots, Mix: &cloud.StreamLog{Sent: slots},
		Speakers: []cloud.SpeakerLog{{RawID: "8:acs:callee", Clip: clip, Start: 40}},
	}
	said := log.ExpectedMix()
	echo := said[echoSlot*frame : (slots-4)*frame]
	sent := slices.Concat(greeting[:60*frame], echo)
	p := &log.Playout
	p.PCM, p.Total = sent, int64(len(sent))
	for i := 0; i < len(sent); i += frame {
		p.Received = append(p.Received, cloud.Reception{At: int64(heardFrom + i), First: int64(i), Samples: frame})
	}
	cutAt := int64(heardFrom + cutSamples)
	p.Flushes = []cloud.Flush{{At: cutAt, Received: 60 * frame, Discarded: 17 * frame}}
	p.Played = []cloud.Stretch{
		{At: heardFrom, First: 0, Samples: cutSamples},
		{At: cutAt + 3*frame, First: 60 * frame, Samples: int64(len(echo))},
	}
	bot := make([]int16, heardFrom)
	bot = append(bot, greeting[:cutSamples]...)
	bot = append(bot, make([]int16, 3*frame)...)
	bot = append(bot, echo...)
	return &verdict{
		log: log, greeting: greeting,
		leg: &engine.LegStats{Renders: []engine.RenderStats{{Frames: slots}}, Source: engine.SourceStats{Frames: 1}},
		res: record.Result{State: record.StateComplete, Tracks: []record.Track{
			{Kind: record.KindMixedIn, Samples: int64(len(said))}, {Kind: record.KindBot, Samples: int64(len(bot))},
		}},
		tracks: map[string][]int16{"mixed-in": said, "bot": bot},
	}
}

func (v *verdict) all() {
	v.frames()
	v.inbound("mixed-in", v.log.ExpectedMix(), v.log.Mix)
	v.outbound()
	v.sum()
}

func TestGoodPerformance(t *testing.T) {
	v := performance()
	v.all()
	require.Empty(t, v.problems)
	require.Len(t, v.proven, 4)
}

func TestEveryFlawIsFound(t *testing.T) {
	playout := func(v *verdict) *cloud.PlayoutLog { return &v.log.Playout }
	for _, tt := range []struct {
		name string
		flaw func(*verdict)
	}{
		{"greeting: one sample changed", func(v *verdict) { playout(v).PCM[5000]++ }},
		{"greeting: a frame skipped", func(v *verdict) { p := playout(v); p.PCM = slices.Delete(p.PCM, 3200, 3520); p.Total -= frame }},
		{"greeting: a hole in what was heard", func(v *verdict) {
			p := playout(v)
			p.Played = slices.Insert(p.Played, 0, cloud.Stretch{At: 0, First: 0, Samples: 1000})
			p.Played[1].First, p.Played[1].Samples = 1000, p.Played[1].Samples-1000
		}},
		{"greeting: two frames heard after the flush", func(v *verdict) { playout(v).Flushes[0].At -= 2 * frame }},
		{"greeting: nothing was queued", func(v *verdict) { playout(v).Flushes[0].Discarded = 0 }},
		{"never flushed", func(v *verdict) { playout(v).Flushes = nil }},
		{"flushed twice", func(v *verdict) { p := playout(v); p.Flushes = append(p.Flushes, p.Flushes[0]) }},
		{"echo: a frame twice", func(v *verdict) {
			p := playout(v)
			i := 100 * frame
			p.PCM = slices.Insert(p.PCM, i, slices.Clone(p.PCM[i:i+frame])...)
			p.Total += frame
		}},
		{"echo: one sample missing", func(v *verdict) { p := playout(v); p.PCM = slices.Delete(p.PCM, 100*frame, 100*frame+1); p.Total-- }},
		{"echo: stops early", func(v *verdict) {
			p := playout(v)
			p.PCM = p.PCM[:90*frame]
			p.Total = int64(len(p.PCM))
			p.Received = p.Received[:90]
		}},
		{"echo: begins late", func(v *verdict) {
			p := playout(v)
			p.PCM = slices.Delete(p.PCM, 60*frame, 95*frame)
			p.Total = int64(len(p.PCM))
		}},
		{"echo: silent", func(v *verdict) { clear(playout(v).PCM[60*frame:]) }},
		{"log not whole", func(v *verdict) { playout(v).Total++ }},
		{"mixed-in: click", func(v *verdict) { v.tracks["mixed-in"][50*frame] ^= 0x400 }},
		{"mixed-in: beyond the end", func(v *verdict) { v.tracks["mixed-in"] = append(v.tracks["mixed-in"], 1) }},
		{"mixed-in: cut short", func(v *verdict) { v.tracks["mixed-in"] = v.tracks["mixed-in"][:100*frame] }},
		{"mixed-in: never recorded", func(v *verdict) { delete(v.tracks, "mixed-in") }},
		{"mixed-in: told missing", func(v *verdict) { v.res.Tracks[0].Missing = 1 }},
		{"bot: never recorded", func(v *verdict) { delete(v.tracks, "bot") }},
		{"bot: silent", func(v *verdict) { clear(v.tracks["bot"]) }},
		{"bot: greeting too long", func(v *verdict) {
			copy(v.tracks["bot"][heardFrom:], v.greeting[:60*frame])
		}},
		{"bot: greeting out of place", func(v *verdict) {
			v.tracks["bot"] = v.tracks["bot"][heardFrom:]
			playout(v).Played[0].At += 12 * frame
			playout(v).Received[0].At += 12 * frame
		}},
		{"bot: echo out of place", func(v *verdict) {
			at := heardFrom + cutSamples
			v.tracks["bot"] = slices.Insert(v.tracks["bot"], at, make([]int16, 15*frame)...)
		}},
		{"bot: an echo frame missing", func(v *verdict) { b := v.tracks["bot"]; v.tracks["bot"] = slices.Delete(b, 120*frame, 121*frame) }},
		{"bot: something never sent", func(v *verdict) { b := v.tracks["bot"]; v.tracks["bot"] = append(b, 7) }},
		{"a frame too many", func(v *verdict) { v.leg.Renders[0].Frames++ }},
		{"a loss not told", func(v *verdict) { v.log.Mix.Dropped = []cloud.Span{{Slot: 150, Slots: 2, Cause: cloud.ByReconnect}} }},
		{"a loss made up", func(v *verdict) { v.leg.Renders[0].Lost = 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := performance()
			tt.flaw(v)
			v.all()
			require.NotEmpty(t, v.problems)
		})
	}
}

func TestSumIsChecked(t *testing.T) {
	make := func() *verdict {
		return &verdict{leg: &engine.LegStats{Channels: engine.Unmixed}, tracks: map[string][]int16{
			"a": {1, 30000, -30000}, "b": {2, 30000, -30000}, "bot": {4}, "mixed": {7, 32767, -32768},
		}}
	}
	v := make()
	v.sum()
	require.Empty(t, v.problems)
	for i := range 3 {
		v := make()
		v.tracks["mixed"][i] ^= 1
		v.sum()
		require.Len(t, v.problems, 1)
	}
	v = make()
	delete(v.tracks, "mixed")
	v.sum()
	require.Len(t, v.problems, 1)
}
