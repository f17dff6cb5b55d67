package cloud

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

func TestThreeSpeakers(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 2 * time.Second, 15 * time.Second, time.Minute, 10 * time.Minute} {
		s, err := Named("Three-Speakers", d)
		require.NoError(t, err)
		require.NoError(t, s.Validate())
		p := newPerformance(s)
		voices := map[string]bool{}
		said := make([]int, 3)
		atOnce, last, all := 0, 0, 0
		for slot := 0; ; slot++ {
			lines, over := p.step(-1)
			if over {
				require.Equal(t, Slots(d), slot)
				break
			}
			talking := 0
			for i, l := range lines {
				voices[p.actors[i].Voice] = true
				if !silentSamples(l.samples) {
					talking++
					said[i]++
					last = slot
				}
			}
			if talking > 1 {
				atOnce++
			}
			if talking == 3 {
				all++
			}
		}
		require.Len(t, voices, 3)
		require.Positive(t, all, "%v: all three at once", d)
		require.Greater(t, atOnce, Slots(d)/5)
		for i := range said {
			require.Greater(t, said[i], Slots(d)/5, "%v: speaker %d", d, i)
		}
		require.LessOrEqual(t, last, Slots(d)-min(Slots(d)/10, 50), "%v: the end is quiet", d)
		require.True(t, slices.ContainsFunc(s.Speakers, func(sp Speaker) bool { return sp.Silence == SilenceOmitted }))
		require.True(t, slices.ContainsFunc(s.Speakers, func(sp Speaker) bool { return sp.Silence == SilenceSent }))
	}
	for _, d := range []time.Duration{0, -time.Second, time.Second - 1, 25 * time.Hour} {
		_, err := Named(ThreeSpeakers, d)
		require.ErrorContains(t, err, "duration")
	}
	_, err := Named("four-speakers", time.Minute)
	require.ErrorContains(t, err, "four-speakers")
}

func TestClip(t *testing.T) {
	src := signal.Ramp(10*320+100, -500)
	require.Equal(t, src[:10*320], Speaker{PCM: src}.clip())
	require.Equal(t, src[2*320:5*320], Speaker{PCM: src, From: 2, Length: 3}.clip())
	require.Equal(t, src[8*320:10*320], Speaker{PCM: src, From: 8, Length: 3}.clip())
	require.Nil(t, Speaker{PCM: src[:319]}.clip())
	require.Nil(t, Speaker{}.clip())
	require.Equal(t, signal.Speech(signal.Carlo), Speaker{Voice: "CARLO"}.clip())

	loud := make([]int16, 320)
	copy(loud, []int16{1, 2, 3, -3, 30000, -30000, math.MinInt16})
	require.Equal(t, []int16{2, 3, 5, -5, 32767, -32768, -32768}, Speaker{PCM: loud, Gain: 1.5}.clip()[:7])
	require.Equal(t, []int16{1, 2, 3, -3, 30000, -30000, math.MinInt16}, loud[:7], "the source is not touched")
}

func TestLoopsAndPauses(t *testing.T) {
	frame := func(v int16) []int16 { return slices.Repeat([]int16{v}, 320) }
	a := Speaker{PCM: append(frame(1), frame(2)...), Start: 3, Loops: 1, Pause: 2}
	say := func(sp Speaker, hangUp, slots int) string {
		p := newPerformance(Script{Speakers: []Speaker{sp}, HangUp: hangUp})
		out := ""
		for range slots {
			lines, over := p.step(-1)
			if over {
				return out + "|"
			}
			out += fmt.Sprint(lines[0].samples[0])
		}
		return out
	}
	require.Equal(t, "000120012|", say(a, 0, 20))
	require.Equal(t, "00012001200000000000", say(a, Never, 20))
	require.Equal(t, "00012|", say(a, 5, 20))
	a.Loops = Forever
	require.Equal(t, "00012001200120012001", say(a, 0, 20))
	a.Keys = []Key{{12, "1"}}
	a.Loops = 0
	require.Equal(t, "0001200000000|", say(a, 0, 20), "waits for the key")
	require.Equal(t, "|", say(Speaker{}, 0, 3), "says nothing")
	log := SpeakerLog{Clip: a.PCM, Start: 3, Loops: 1, Pause: 2}
	require.Equal(t, int16(2), log.Expected(9)[8*320])
	require.Equal(t, int16(0), log.Expected(9)[7*320-1])
}

func TestBargeIn(t *testing.T) {
	p := newPerformance(Script{HangUp: Never, Speakers: []Speaker{
		{PCM: signal.Ramp(320, 1), AfterBot: 3}, {PCM: signal.Ramp(320, 1), AfterBot: 1, Start: 9},
	}})
	var talked [2][]int
	for slot := range 15 {
		bot := -1
		if slot >= 4 {
			bot = 4
		}
		lines, _ := p.step(bot)
		for i, l := range lines {
			if !silentSamples(l.samples) {
				talked[i] = append(talked[i], slot)
			}
		}
	}
	require.Equal(t, [2][]int{{7}, {9}}, talked)
	require.Equal(t, 7, p.actors[0].start)
}

func TestScriptErrorsNameTheField(t *testing.T) {
	for field, text := range map[string]string{
		"hang_up":                      `{"hang_up":-2}`,
		"speakers[1].start":            `{"speakers":[{},{"start":-1}]}`,
		"speakers[0].from":             `{"speakers":[{"from":-1}]}`,
		"speakers[0].from: slot 600":   `{"speakers":[{"voice":"carlo","from":600}]}`,
		"speakers[0].length":           `{"speakers":[{"length":-1}]}`,
		"speakers[0].after_bot":        `{"speakers":[{"after_bot":-1}]}`,
		"speakers[0].loops":            `{"speakers":[{"loops":-2}]}`,
		"speakers[0].pause":            `{"speakers":[{"pause":-1}]}`,
		"speakers[0].voice":            `{"speakers":[{"voice":"bob"}]}`,
		"speakers[0].voice: \"carlo\"": `{"speakers":[{"voice":"carlo","pcm":"AQA="}]}`,
		"speakers[0].gain":             `{"speakers":[{"gain":-1}]}`,
		"speakers[0].silence":          `{"speakers":[{"silence":"golden"}]}`,
		"speakers[0].keys[1].slot":     `{"speakers":[{"keys":[{"slot":1,"tone":"1"},{"slot":-1,"tone":"1"}]}]}`,
		"speakers[0].keys[0].tone":     `{"speakers":[{"keys":[{"slot":1,"tone":"x"}]}]}`,
		"speakers[1].id":               `{"speakers":[{"id":"a"},{"id":"a"}]}`,
		"faults[0].kind":               `{"faults":[{"kind":"boom"}]}`,
		"faults[0].speaker":            `{"faults":[{"kind":"drop"}]}`,
		"faults[0].other":              `{"speakers":[{}],"faults":[{"kind":"swap"}]}`,
		"pcm: 1 bytes":                 `{"speakers":[{"pcm":"AQ=="}]}`,
		"pcm: illegal base64":          `{"speakers":[{"pcm":"?"}]}`,
		"pcm: want base64":             `{"speakers":[{"pcm":[1,2]}]}`,
		"says[0].text":                 `{"speakers":[{"says":[{"text":" "}]}]}`,
		"says[0].slot":                 `{"speakers":[{"says":[{"text":"a","slot":-1}]}]}`,
		"says[1].slots":                `{"speakers":[{"says":[{"text":"a"},{"text":"a","slots":-1}]}]}`,
		"operation":                    `{"faults":[{"kind":"fail-operation","operation":"fly"}]}`,
		"speeker":                      `{"speeker":[]}`,
		"after the JSON":               `{} {}`,
		"unexpected end":               `{"speakers":`,
	} {
		if field == "unexpected end" {
			field = "EOF"
		}
		_, err := ParseScript([]byte(text))
		require.ErrorContains(t, err, field, text)
	}
	for _, s := range []Script{
		{Speakers: make([]Speaker, maxSpeakers+1)},
		{Faults: make([]Fault, maxFaults+1)},
		{Speakers: []Speaker{{PCM: make([]int16, maxClip+1)}}},
		{Speakers: []Speaker{{Gain: math.NaN()}}},
		{Speakers: []Speaker{{Keys: make([]Key, maxKeys+1)}}},
		{Speakers: []Speaker{{Says: make([]Phrase, maxKeys+1)}}},
	} {
		require.Error(t, s.Validate())
	}
}

func TestScriptRoundTrip(t *testing.T) {
	s := Script{
		Name: "x", HangUp: 100,
		Speakers: []Speaker{
			{ID: "a", Name: "A", PCM: signal.Noise(640, 1, -20), Gain: 2, Start: 3, Loops: Forever, Pause: 4, Silence: SilenceOmitted},
			{Voice: "june", From: 3, Length: 5, AfterBot: 6, Keys: []Key{{7, "#"}}, Says: []Phrase{{1, 2, "three"}}},
		},
		Dominant: 5,
		Faults:   []Fault{{Kind: FailOperation, Operation: "play", Result: &Result{400, 8535, "x"}}, {Kind: Swap, Other: 1, Slot: 3, Slots: 4}, {Kind: BadEventToken, Event: "CallConnected", Token: FlawExpired}},
	}
	text, err := json.Marshal(s)
	require.NoError(t, err)
	got, err := ParseScript(text)
	require.NoError(t, err)
	require.Equal(t, s, got)
}

func FuzzScript(f *testing.F) {
	for _, s := range []Script{threeSpeakers(100), oneCallee(100), pair(3, Fault{Kind: Shift, Slot: 1})} {
		text, err := json.Marshal(s)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(`{"hang_up":-1,"speakers":[{"pcm":null,"loops":-1,"gain":1e3}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseScript(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		require.NoError(t, err)
		_, err = ParseScript(again)
		require.NoError(t, err)
		p := newPerformance(s)
		var faults audioFaults
		faults.pending = s.Faults
		for slot := range 10 {
			lines, over := p.step(slot / 2)
			if over {
				break
			}
			var frames []outbound
			for _, l := range lines {
				require.Len(t, l.samples, 320)
				frames = append(frames, outbound{stream: l.speaker, name: l.speaker, samples: l.samples, copies: 1})
			}
			faults.apply(slot, frames, false)
			require.Len(t, sum(lines), 320)
		}
	})
}
