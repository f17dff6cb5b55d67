package session

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
)

// TestRooms lets two calls hear each other. Rooms keep the kernel's time, so
// this is no bubble of its own.
func TestRooms(t *testing.T) {
	w := &world{T: t, media: &fakeMedia{endpoints: map[string]*fakeEndpoint{}}}
	w.cloud = &fakeCloud{name: "fake", media: w.media, calls: map[string]CallState{}, urls: map[string]string{}}
	eng := engine.New(engine.Config{})
	opened := make(chan *engine.Room, 4)
	m, err := New(Config{
		Engine: eng, Media: w.media, Clouds: []Cloud{w.cloud}, CallbackURL: "https://bot/events",
		OnRoom: func(r *engine.Room) { opened <- r },
	})
	require.NoError(t, err)
	w.Manager, w.cloud.tell = m, m.Deliver
	defer w.end(eng)

	a, b := w.create(), w.create()
	conn, err := w.endpoint(a).dial()
	require.NoError(t, err)
	heard := b.Leg().Source().Tap(256)
	ear, err := b.Leg().Attach(&roomEar{})
	require.NoError(t, err)
	defer ear.Detach(engine.Now())

	_, err = m.Join("", a)
	require.ErrorContains(t, err, "room")
	_, err = m.Join(strings.Repeat("x", maxRoomName+1), a)
	require.ErrorContains(t, err, "want 1 to 256 bytes")
	for _, c := range []*Call{a, b} {
		_, err := m.Join("hall", c)
		require.NoError(t, err)
	}
	require.Equal(t, "hall", (<-opened).ID())
	_, err = m.Join("hall", a)
	require.ErrorIs(t, err, ErrJoined)
	require.Len(t, m.Rooms(), 1)
	require.Len(t, m.Rooms()[0].Members, 2)

	deadline := time.Now().Add(10 * time.Second)
	for loud := false; !loud; {
		require.True(t, time.Now().Before(deadline), "b does not hear a")
		conn.speak(t, "", 1000)
		time.Sleep(pcm.FrameDuration)
		for f := heard.Peek(); f != nil; f = heard.Peek() {
			loud = loud || f.Samples[0] == 1000
			heard.Release()
		}
	}
	half, muted, nobody, other := float32(0.5), true, "", b.ID()
	require.NoError(t, m.SetMember("hall", a, MemberChange{Gain: &half, Muted: &muted, WhisperTo: &other}))
	require.Equal(t, half, m.Rooms()[0].Members[0].Gain)
	require.True(t, m.Rooms()[0].Members[0].Muted)
	require.NoError(t, m.SetMember("hall", a, MemberChange{WhisperTo: &nobody}))
	loud := float32(17)
	require.ErrorContains(t, m.SetMember("hall", a, MemberChange{Gain: &loud, Muted: &muted}), `gain = "17"`)
	stranger := "stranger"
	require.ErrorIs(t, m.SetMember("hall", a, MemberChange{WhisperTo: &stranger}), ErrUnknownCall)
	member, err := m.Member("hall", a)
	require.NoError(t, err)
	member.Leave()
	_, err = m.Member("nowhere", a)
	require.ErrorIs(t, err, ErrUnknownRoom)
	require.NoError(t, b.HangUp(t.Context(), false))
	require.Eventually(t, func() bool { return m.Room("hall") == nil }, 10*time.Second, time.Millisecond, "the last has left")
	_, err = m.Member("hall", a)
	require.ErrorIs(t, err, ErrUnknownRoom)
	require.NoError(t, a.HangUp(t.Context(), false))
}

// roomEar plays all that it is sent.
type roomEar struct{}

func (*roomEar) SendFrame(*[pcm.FrameSamples]int16) bool { return true }
func (*roomEar) SendFlush() bool                         { return true }
