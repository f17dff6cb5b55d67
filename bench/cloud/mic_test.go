package cloud

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// TestMic: a microphone is heard whole after its delay, runs dry, and makes up
// for what is too much: where nothing is said, or else by a cut.
func TestMic(t *testing.T) {
	t.Parallel()
	loud := signal.Noise(40*320, 1, -20)
	m := &mic{}
	m.write(loud[:2*320])
	require.Equal(t, quiet[:], m.frame())
	m.write(loud[2*320 : 3*320])
	for i := range 3 {
		require.Equal(t, loud[i*320:][:320], m.frame())
	}
	require.Equal(t, quiet[:], m.frame())
	m.write(loud[:320])
	require.Equal(t, quiet[:], m.frame(), "it waits again")

	m = &mic{}
	m.write(make([]int16, 8*320))
	m.write(loud[:2*320])
	for range 5 { // of eight
		m.frame()
	}
	require.Equal(t, loud[:320], m.frame(), "silence was left out")

	m = &mic{}
	m.write(loud)
	require.Equal(t, loud[37*320:][:320], m.frame())
}

// TestLiveActor: what a person says has its place in the log, and is forgotten
// by none who asks soon.
func TestLiveActor(t *testing.T) {
	t.Parallel()
	loud := signal.Noise(10*320, 1, -20)
	p := newPerformance(Script{})
	m := &mic{}
	m.write(loud)
	for range 5 {
		_, over := p.step(-1)
		require.False(t, over)
	}
	p.add(Speaker{ID: "x", mic: m})
	for i := range 5 {
		lines, over := p.step(-1)
		require.False(t, over, "who may still speak")
		require.Equal(t, loud[i*320:][:320], lines[0].samples)
		require.Equal(t, lines[0].samples, p.actors[0].at(5+i))
	}
	a := &p.actors[0]
	require.Equal(t, quiet[:], a.at(4))
	require.Equal(t, loud[:320], a.at(5))
	require.ErrorContains(t, a.goOn(Speaker{PCM: loud}, 10), "is a person")
	require.NoError(t, a.goOn(Speaker{Says: []Phrase{{Text: "yes please"}}}, 10))
	saying, _ := a.words(10)
	require.Equal(t, &utterance{text: "yes please", from: 10, slots: 30}, saying)

	a.samples = make([]int16, maxClip) // the log is full
	lines, _ := p.step(-1)
	require.Equal(t, loud[5*320:][:320], lines[0].samples)
	require.Equal(t, loud[5*320:][:320], a.at(10))
	a.leave(11)
	lines, over := p.step(-1)
	require.True(t, over)
	require.Empty(t, lines)
}

// TestPlayoutTail: a bot that has said more than a log keeps is heard all the
// same.
func TestPlayoutTail(t *testing.T) {
	t.Parallel()
	const minute = 60 * 16000
	said := signal.Noise(minute, 2, -20)
	p := playout{}
	for i := range 14 {
		p.write(int64(i)*minute, said)
	}
	require.Len(t, p.kept, maxKept)
	first, got := p.pick(5*minute+100, 320)
	require.Equal(t, int64(5*minute+100), first)
	require.Equal(t, said[100:420], got)
	first, got = p.pick(13*minute+700, 320)
	require.Equal(t, int64(13*minute+700), first)
	require.Equal(t, said[700:1020], got)
	_, got = p.pick(10*minute, 320)
	require.Len(t, got, 320)
	for i := 14; i < 20; i++ {
		p.write(int64(i)*minute, said)
	}
	_, got = p.pick(12*minute, 320)
	require.Empty(t, got, "forgotten")
	c := &Call{playout: p}
	require.Equal(t, said[320:640], c.heardIn(19*minute/320+1))
}
