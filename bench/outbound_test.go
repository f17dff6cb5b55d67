package bench_test

import (
	"encoding/json"
	"testing"

	"github.com/mixminus/mixminus/codec/l16"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/acsws"
	"github.com/stretchr/testify/require"
)

// flushEvery frames a source is flushed: it sends at most 400 ms ahead of the
// peer, who is assumed to play in real time, and a benchmark has no time to
// wait for that. Peers and floors that answer over a socket send a flush as
// often.
const flushEvery = 16

// BenchmarkOutbound takes 20 ms from the app to the text of the message that
// the socket is given. payload is the text alone, source the way of an app's
// TryWrite through queue, playout model and outlet, a 1/16 of a flush
// included. json is encoding/json's text; copy the floor, the 640 bytes.
func BenchmarkOutbound(b *testing.B) {
	b.Run("payload", func(b *testing.B) {
		b.ReportAllocs()
		// Not the first of its page: the encoder reads 4 bytes before it, and
		// a source's frame always has the source's own fields there.
		var pump [3]pcm.Frame
		frame, text := &pump[1].Samples, make([]byte, 0, 2048)
		*frame = noise()
		for b.Loop() {
			text = acsws.AppendAudio(text[:0], frame[:])
		}
		require.Len(b, text, 900)
	})
	b.Run("source", func(b *testing.B) {
		b.ReportAllocs()
		eng := engine.New(engine.Config{})
		defer eng.Close()
		leg, err := eng.NewLeg(engine.LegConfig{})
		require.NoError(b, err)
		out := &textOutlet{text: make([]byte, 0, 2048)}
		_, err = leg.Attach(out)
		require.NoError(b, err)
		source, frame := leg.Source(), noise()
		for b.Loop() {
			if n, err := source.TryWrite(frame[:]); n != len(frame) || err != nil {
				b.Fatal(n, err)
			}
			if out.frames%flushEvery == 0 {
				source.Flush()
			}
		}
		require.Equal(b, b.N, out.frames, "all of them straight out")
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		frame := noise()
		for b.Loop() {
			var m jsonReply
			m.Kind = "AudioData"
			m.AudioData.Data = make([]byte, pcm.FrameBytes)
			l16.EncodeLE(m.AudioData.Data, frame[:])
			if _, err := json.Marshal(&m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("copy", func(b *testing.B) {
		b.ReportAllocs()
		frame, out := noise(), noise()
		for b.Loop() {
			out = frame
		}
		require.Equal(b, frame, out)
	})
}

// jsonReply is the message to the cloud as the documents show it.
type jsonReply struct {
	Kind      string `json:"kind"`
	AudioData struct {
		Data []byte `json:"data"`
	} `json:"audioData"`
}

// textOutlet makes of a frame what goes on the wire, and keeps the last.
type textOutlet struct {
	text   []byte
	frames int
}

func (o *textOutlet) SendFrame(samples *[pcm.FrameSamples]int16) bool {
	o.text = acsws.AppendAudio(o.text[:0], samples[:])
	o.frames++
	return true
}

func (o *textOutlet) SendFlush() bool {
	o.text = acsws.AppendStopAudio(o.text[:0])
	return true
}
