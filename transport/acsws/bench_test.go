package acsws

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// The benchmarks measure one message of 20 ms at 16 kHz (1,055 bytes) and its
// way in and out of text. JSON is encoding/json doing the same, Copy the floor:
// reading the message once and writing the samples.

func benchFrame(b *testing.B) []byte {
	in := frame16k()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	return in
}

func BenchmarkParse(b *testing.B) {
	in := benchFrame(b)
	var m Message
	for b.Loop() {
		if err := Parse(in, &m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseDecode(b *testing.B) {
	in := benchFrame(b)
	var m Message
	var slot [320]int16
	for b.Loop() {
		if err := Parse(in, &m); err != nil {
			b.Fatal(err)
		}
		if n, err := DecodePCM(slot[:], m.Data); err != nil || n != 320 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkParseDecodeJSON(b *testing.B) {
	in := benchFrame(b)
	var slot [640]byte
	for b.Loop() {
		var m struct {
			Kind      string
			AudioData struct {
				Timestamp        string
				ParticipantRawID string
				Data             string
				Silent           bool
			}
		}
		if err := json.Unmarshal(in, &m); err != nil {
			b.Fatal(err)
		}
		if n, err := base64.StdEncoding.Decode(slot[:], []byte(m.AudioData.Data)); err != nil || n != 640 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkParseDecodeCopy(b *testing.B) {
	in := benchFrame(b)
	var read [1055]byte
	var slot [640]byte
	for b.Loop() {
		copy(read[:], in)
		copy(slot[:], read[:])
	}
}

// BenchmarkParseFallback is the same message with a key too many, and with an
// escape in the audio.
func BenchmarkParseFallback(b *testing.B) {
	in := string(frame16k())
	for name, in := range map[string]string{
		"key":    strings.Replace(in, "{", `{"version":1,`, 1),
		"escape": strings.Replace(in, "AA==", `\u0041A==`, 1),
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(in)
			b.ReportAllocs()
			var m Message
			for b.Loop() {
				if err := Parse(in, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodePCM(b *testing.B) {
	var m Message
	if err := Parse(benchFrame(b), &m); err != nil {
		b.Fatal(err)
	}
	var slot [320]int16
	for b.Loop() {
		if n, err := DecodePCM(slot[:], m.Data); err != nil || n != 320 {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkDecodePCMStdlib is what encoding/base64 needs for the text alone.
func BenchmarkDecodePCMStdlib(b *testing.B) {
	var m Message
	if err := Parse(benchFrame(b), &m); err != nil {
		b.Fatal(err)
	}
	var slot [640]byte
	for b.Loop() {
		if n, err := base64.StdEncoding.Decode(slot[:], m.Data); err != nil || n != 640 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkAppendAudio(b *testing.B) {
	for _, bb := range []struct {
		name    string
		samples int
	}{{"16k", 320}, {"24k", 480}} {
		b.Run(bb.name, func(b *testing.B) {
			pcm, buf := make([]int16, bb.samples), make([]byte, 0, 2048)
			b.ReportAllocs()
			for b.Loop() {
				buf = AppendAudio(buf[:0], pcm)
			}
		})
	}
}

// BenchmarkAppendAudioStdlib is what encoding/base64 needs for the text alone.
func BenchmarkAppendAudioStdlib(b *testing.B) {
	raw, buf := make([]byte, 640), make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		buf = base64.StdEncoding.AppendEncode(buf[:0], raw)
	}
}

func BenchmarkAppendAudioJSON(b *testing.B) {
	type audioData struct {
		Data []byte `json:"data"`
	}
	type message struct {
		Kind      string    `json:"kind"`
		AudioData audioData `json:"audioData"`
	}
	raw := make([]byte, 640)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(message{"AudioData", audioData{raw}}); err != nil {
			b.Fatal(err)
		}
	}
}
