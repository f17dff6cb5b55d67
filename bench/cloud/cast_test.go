package cloud

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Phrases are said in the slots after the speaker's start, and a call is not
// over before they are.
func TestWords(t *testing.T) {
	p := newPerformance(Script{Speakers: []Speaker{{ID: "a", Start: 2, Says: []Phrase{{Slot: 1, Slots: 3, Text: "one"}, {Slot: 10, Text: "two words"}}}}})
	said := map[int]string{}
	slot := 0
	for ; ; slot++ {
		lines, over := p.step(-1)
		if over {
			break
		}
		require.Equal(t, slot >= 3 && slot < 6 || slot >= 12 && slot < 42, lines[0].saying != nil, "slot %d", slot)
		for _, u := range lines[0].said {
			said[slot] = u.text
		}
	}
	require.Equal(t, map[int]string{5: "one", 41: "two words"}, said)
	require.Equal(t, 42, slot)
}

// What an actor has still to say is what it would have said, whenever it is
// asked.
func TestRestOfAnActor(t *testing.T) {
	clip := make([]int16, 3*320)
	for i := range clip {
		clip[i] = int16(1 + i/320)
	}
	for _, sp := range []Speaker{
		{PCM: clip}, {PCM: clip, Start: 7}, {PCM: clip, Loops: 2, Pause: 2}, {PCM: clip, Loops: Forever, Pause: 1}, {}, {PCM: clip, Gain: 2},
		{Start: 4, Says: []Phrase{{Slot: 1, Slots: 2, Text: "a"}, {Slot: 6, Slots: 2, Text: "b"}}, Keys: []Key{{3, "1"}, {9, "2"}}},
	} {
		for cut := range 20 {
			whole := newActor(sp)
			rest := newActor(whole.rest(cut))
			for slot := cut; slot < 40; slot++ {
				require.Equal(t, whole.at(slot), rest.at(slot-cut), "%+v: cut %d, slot %d", sp, cut, slot)
			}
			for _, k := range rest.Keys {
				require.Contains(t, sp.Keys, Key{k.Slot + cut, k.Tone})
			}
			for _, w := range rest.Says {
				from := rest.start + w.Slot + cut
				require.True(t, from == sp.Start+1 || from == sp.Start+6)
				require.GreaterOrEqual(t, from, cut, "what has begun is not begun anew")
			}
		}
	}
	later := newActor(Speaker{PCM: clip, AfterBot: 5, Start: 9})
	require.Equal(t, 6, later.rest(3).Start)
	require.Equal(t, 5, later.rest(3).AfterBot)
}
