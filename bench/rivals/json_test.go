package rivals_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/bytedance/sonic"
	goccy "github.com/goccy/go-json"
	"github.com/mixminus/mixminus/codec/l16"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/acsws"
	"github.com/stretchr/testify/require"
)

const (
	speaker = "8:acs:3d20e1de-0f28-41c5-84a0-4960fde5f411_0000000b-faeb-c708-99bf-a43a0d0036b0"
	stamp   = "2026-11-22T10:00:00.020Z"
)

// text is 20 ms of audio as the cloud sends it, 1,055 bytes.
func text() []byte {
	frame := noise()
	return fmt.Appendf(nil, `{"kind":"AudioData","audioData":{"timestamp":"%s","participantRawID":"%s","data":"%s","silent":false}}`,
		stamp, speaker, base64.StdEncoding.EncodeToString(l16.AppendLE(nil, frame[:])))
}

// inbound is the message as a library is told of it, with the audio left to it
// to decode: that spares it a copy of the text.
type inbound struct {
	Kind      string `json:"kind"`
	AudioData struct {
		Timestamp        string `json:"timestamp"`
		ParticipantRawID string `json:"participantRawID"`
		Data             []byte `json:"data"`
		Silent           bool   `json:"silent"`
	} `json:"audioData"`
}

type outbound struct {
	Kind      string `json:"kind"`
	AudioData struct {
		Data []byte `json:"data"`
	} `json:"audioData"`
}

// A library reads and writes JSON.
type library struct {
	name      string
	unmarshal func([]byte, any) error
	marshal   func(any) ([]byte, error)
}

// libraries are those of the machine's Go and the fastest that we found; with
// GOEXPERIMENT=jsonv2 encoding/json/v2 besides (jsonv2_test.go).
var libraries = []library{
	{"encoding-json", json.Unmarshal, json.Marshal},
	{"sonic", sonic.ConfigFastest.Unmarshal, sonic.ConfigFastest.Marshal},
	{"goccy", goccy.Unmarshal, goccy.Marshal},
}

// read is what a bot does with a message: who speaks, and what.
func (l library) read(text []byte, m *inbound, frame *[pcm.FrameSamples]int16) error {
	m.AudioData.Data = m.AudioData.Data[:0]
	if err := l.unmarshal(text, m); err != nil {
		return err
	}
	l16.DecodeLE(frame[:], m.AudioData.Data)
	return nil
}

// write is the message of a frame.
func (l library) write(m *outbound, frame *[pcm.FrameSamples]int16) ([]byte, error) {
	m.Kind = "AudioData"
	m.AudioData.Data = l16.AppendLE(m.AudioData.Data[:0], frame[:])
	return l.marshal(m)
}

// All read the same of the same message, and what all write says the same.
func TestLibraries(t *testing.T) {
	want, in := noise(), text()
	require.Len(t, in, 1055)
	var ours acsws.Message
	require.NoError(t, acsws.Parse(in, &ours))
	require.Equal(t, speaker, string(ours.Speaker))
	for _, l := range libraries {
		t.Run(l.name, func(t *testing.T) {
			var m inbound
			var got [pcm.FrameSamples]int16
			for range 2 { // the second into what the first has left
				require.NoError(t, l.read(in, &m, &got))
				require.Equal(t, want, got)
				require.Equal(t, "AudioData", m.Kind)
				require.Equal(t, speaker, m.AudioData.ParticipantRawID)
				require.Equal(t, stamp, m.AudioData.Timestamp)
				require.False(t, m.AudioData.Silent)
			}

			var out outbound
			reply, err := l.write(&out, &want)
			require.NoError(t, err)
			var theirs, ourReply outbound
			require.NoError(t, json.Unmarshal(reply, &theirs))
			require.NoError(t, json.Unmarshal(acsws.AppendAudio(nil, want[:]), &ourReply))
			require.Equal(t, ourReply, theirs)
		})
	}
}

// BenchmarkRead takes a message to its speaker and samples.
func BenchmarkRead(b *testing.B) {
	in := text()
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		var m acsws.Message
		var frame [pcm.FrameSamples]int16
		for b.Loop() {
			if err := acsws.Parse(in, &m); err != nil {
				b.Fatal(err)
			}
			if _, err := acsws.DecodePCM(frame[:], m.Data); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, l := range libraries {
		b.Run(l.name, func(b *testing.B) {
			b.ReportAllocs()
			var m inbound
			var frame [pcm.FrameSamples]int16
			for b.Loop() {
				if err := l.read(in, &m, &frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("copy", func(b *testing.B) { // the floor
		b.ReportAllocs()
		var m [1055]byte
		var frame [pcm.FrameBytes]byte
		for b.Loop() {
			copy(m[:], in)
			copy(frame[:], m[:])
		}
		require.True(b, bytes.HasPrefix(in, frame[:]))
	})
}

// BenchmarkWrite takes samples to their message.
func BenchmarkWrite(b *testing.B) {
	frame := noise()
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		out := make([]byte, 0, 2048)
		for b.Loop() {
			out = acsws.AppendAudio(out[:0], frame[:])
		}
	})
	for _, l := range libraries {
		b.Run(l.name, func(b *testing.B) {
			b.ReportAllocs()
			var m outbound
			for b.Loop() {
				if _, err := l.write(&m, &frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
