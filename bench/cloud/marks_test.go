package cloud

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// A mark is told of once what was said before it has been heard, or flushed;
// a bot that sets none never gets such a message.
func TestMarks(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{JitterBuffer: -1, OnCreate: talker()})
	said := make(chan struct{})
	b.onMessage = func(s *socket, m wireMessage) {
		if m.Kind != "AudioMetadata" {
			return
		}
		say := func(slots int, mark string) {
			data := base64.StdEncoding.EncodeToString(PCM(make([]int16, slots*320)).bytes())
			text, _ := json.Marshal(map[string]any{"Kind": "AudioData", "AudioData": map[string]any{"Data": data, "Mark": map[string]any{"Id": mark}}})
			_ = s.ws.WriteMessage(websocket.TextMessage, text)
		}
		say(5, "first")
		say(0, "same time")
		say(500, "flushed")
		say(500, "flushed too")
		close(said)
	}
	c := b.dial(version2026, ","+b.mediaJSON("unmixed", `,"enableBidirectional":true`))
	s := b.socket()
	receive(t, said)
	require.Eventually(t, func() bool { return c.Log().Slots > 12 }, deadline, 1e6)
	s.stop()
	require.Eventually(t, func() bool { return len(c.Log().Playout.Flushes) == 1 }, deadline, 1e6)
	slots := c.Log().Slots
	require.Eventually(t, func() bool { return c.Log().Slots > slots+3 }, deadline, 1e6)
	c.HangUp()
	wait(t, c)
	var got [][2]string
	for _, m := range s.wait(t).messages {
		var v struct {
			MarkData *struct{ ID, Status string }
		}
		require.NoError(t, json.Unmarshal([]byte(m.text), &v))
		if v.MarkData != nil {
			require.Equal(t, "MarkData", m.Kind)
			got = append(got, [2]string{v.MarkData.ID, v.MarkData.Status})
		}
	}
	require.Equal(t, [][2]string{{"first", "Completed"}, {"same time", "Completed"}, {"flushed", "Cancelled"}, {"flushed too", "Cancelled"}}, got)
}

func TestMarksAreBounded(t *testing.T) {
	c := &Call{bad: map[string]int{}}
	for range maxMarks + 3 {
		c.setMark("m", 0)
	}
	require.Len(t, c.marks, maxMarks)
	require.Equal(t, 3, c.bad[badMarks])
}

// An unmixed stream carries the four loudest, unless the script or the server
// says otherwise.
func TestDominantSpeakers(t *testing.T) {
	t.Parallel()
	const slots = 10
	script := Script{HangUp: slots, Speakers: []Speaker{{ID: "8:acs:0"}}}
	for i := 1; i < 7; i++ {
		script.Speakers = append(script.Speakers, Speaker{ID: "8:acs:" + string(rune('0'+i)), PCM: signal.Noise(slots*320, uint64(i), float64(-30+i))})
	}
	for _, tt := range []struct {
		server, script, want int
	}{{0, 0, 4}, {-1, 0, 7}, {2, 0, 2}, {2, -1, 7}, {0, 5, 5}} {
		b := newBot(t, &Server{Dominant: tt.server})
		script.Dominant = tt.script
		c := b.take(script, "unmixed", "")
		s := b.socket()
		log := wait(t, c)
		s.wait(t)
		heard := 0
		for i, sp := range log.Speakers {
			if n := len(s.frames(sp.RawID)); n > 0 {
				require.Equal(t, slots, n)
				require.GreaterOrEqual(t, i, 7-tt.want, "the loudest")
				heard++
			} else {
				require.Equal(t, []Span{{0, slots, ByDominance}}, sp.Stream.Dropped)
			}
		}
		require.Equal(t, tt.want, heard)
	}
	// A mix has them all.
	script.Dominant = 0
	b := newBot(t, &Server{})
	c := b.take(script, "mixed", "")
	s := b.socket()
	log := wait(t, c)
	require.Equal(t, log.ExpectedMix(), timeline(t, s.wait(t).frames(""), log.Start, slots))
}

// Whoever stops talking keeps the place for a moment, and then loses it.
func TestDominanceChanges(t *testing.T) {
	var d dominance
	loud, soft := signal.Noise(320, 1, -10), signal.Noise(320, 2, -40)
	lines := func(a, b []int16) []line { return []line{{speaker: 0, samples: a}, {speaker: 1, samples: b}} }
	require.Nil(t, d.lesser(lines(loud, soft), 0))
	require.Nil(t, d.lesser(lines(loud, soft), 2))
	require.Equal(t, map[int]bool{1: true}, d.lesser(lines(loud, soft), 1))
	require.Equal(t, map[int]bool{1: true}, d.lesser(lines(quiet[:], soft), 1))
	n := 0
	for ; d.lesser(lines(quiet[:], soft), 1)[1]; n++ {
		require.Less(t, n, 500)
	}
	require.Greater(t, n, 25)
	off := lines(loud, soft)
	off[0].off = true
	require.Empty(t, d.lesser(off, 1), "who has left takes no place")
}
