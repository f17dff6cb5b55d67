package bench_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/mixminus/mixminus/codec/l16"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/acsws"
	"github.com/stretchr/testify/require"
)

// BenchmarkInbound takes 20 ms of one speaker from the read buffer (a message
// of 1,055 bytes) to where the app finds it, and out of there. All on one
// goroutine: what waking a reader costs is in the socket's benchmarks.
//
// tap and handler do what the connection does: parse, look the speaker up,
// decode into the ring's slot or the handler's frame, place, commit. (handler
// reads the clock besides, for the leg's latencies; a tap's reader would.) json
// is what one writes first: encoding/json and a channel. copy is the floor, the
// 640 bytes.
func BenchmarkInbound(b *testing.B) {
	b.Run("tap", func(b *testing.B) {
		leg, in := attach(b)
		tap := leg.Tap(8)
		inbound(b, leg, in, func() { tap.Peek(); tap.Release() })
		require.Zero(b, tap.Dropped())
	})
	b.Run("handler", func(b *testing.B) {
		leg, in := attach(b)
		var last int16
		leg.Renders()[0].Handle(func(f *pcm.Frame) { last = f.Samples[pcm.FrameSamples-1] })
		inbound(b, leg, in, func() {})
		require.Equal(b, noise()[pcm.FrameSamples-1], last)
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		msg := newMessage()
		bySpeaker := map[string]chan jsonFrame{speaker: make(chan jsonFrame, 8)}
		for b.Loop() {
			msg.next()
			var m jsonAudio
			if err := json.Unmarshal(msg.text, &m); err != nil {
				b.Fatal(err)
			}
			f := jsonFrame{at: m.AudioData.Timestamp}
			l16.DecodeLE(f.samples[:], m.AudioData.Data)
			ch := bySpeaker[m.AudioData.ParticipantRawID]
			ch <- f
			<-ch
		}
	})
	b.Run("copy", func(b *testing.B) {
		b.ReportAllocs()
		in, slot := noise(), noise()
		for b.Loop() {
			slot = in
		}
		require.Equal(b, in, slot)
	})
}

// jsonAudio is the message as the documents show it.
type jsonAudio struct {
	Kind      string `json:"kind"`
	AudioData struct {
		Timestamp        time.Time `json:"timestamp"`
		ParticipantRawID string    `json:"participantRawID"`
		Data             []byte    `json:"data"`
		Silent           bool      `json:"silent"`
	} `json:"audioData"`
}

type jsonFrame struct {
	samples [pcm.FrameSamples]int16
	at      time.Time
}

// connection does with a message what transport/acsws's does.
type connection struct {
	port    *engine.Port
	msg     acsws.Message
	arrival int64 // of the last socket read
}

// attach returns a leg whose speaker was heard once, and what carries it.
func attach(b *testing.B) (*engine.Leg, *connection) {
	eng := engine.New(engine.Config{})
	b.Cleanup(func() { eng.Close() })
	leg, err := eng.NewLeg(engine.LegConfig{Channels: engine.Unmixed})
	require.NoError(b, err)
	port, err := leg.Attach(nil)
	require.NoError(b, err)
	in := &connection{port: port, arrival: engine.Now()}
	_, err = port.Render([]byte(speaker), in.arrival)
	require.NoError(b, err)
	return leg, in
}

func (c *connection) take(text []byte) error {
	m := &c.msg
	if err := acsws.Parse(text, m); err != nil {
		return err
	}
	r := c.port.Lookup(m.Speaker)
	if _, err := acsws.DecodePCM(r.Slot().Samples[:], m.Data); err != nil {
		return err
	}
	r.Commit(engine.Chunk{Timestamp: m.Timestamp, HasTimestamp: m.HasTimestamp, Arrival: c.arrival, Silent: m.Silent})
	return nil
}

// inbound measures take and then drain.
func inbound(b *testing.B, leg *engine.Leg, in *connection, drain func()) {
	b.ReportAllocs()
	msg := newMessage()
	for b.Loop() {
		msg.next()
		if err := in.take(msg.text); err != nil {
			b.Fatal(err)
		}
		drain()
	}
	st := leg.Renders()[0].Stats()
	require.EqualValues(b, b.N, st.Frames)
	require.Zero(b, st.DTX+st.Lost+st.ClockFree, "each frame follows the last")
}
