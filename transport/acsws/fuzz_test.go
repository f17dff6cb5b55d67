package acsws

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzParse(f *testing.F) {
	for name := range goldens {
		f.Add(readGolden(f, name))
	}
	for _, s := range []string{
		`{"kind":"AudioData","audioData":{"data":"AA\/A","Data":"AAAA","silent":null}}`,
		`{"audioData":{"silent":true,"timestamp":"2022-11-15T19:16:12.925+02:00","data":""},"kind":"AudioData","kind":"audiodata"}`,
		`{"kind":"MarkData","markData":{"id":"a"},"x":[1,-0.5e3,null,{"y":"\ud800"}]}`,
		`{"\u017ftopAudio":{},"format":{"length":1e2},"data":""}`,
		`{"kind":"AudioMetadata","audioMetadata":{"sampleRate":2147483647,"channels":-0,"length":01}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, slow Message
		input := bytes.Clone(b)
		err := Parse(b, &m)
		want, reason := oracle(b)
		require.Equal(t, reason, ReasonOf(err), "%v", err)
		require.Equal(t, want, m)
		require.Equal(t, reason == ReasonNone, err == nil)
		for _, scan := range []func([]byte, *Message) bool{scanUsual, scanAudio} {
			var scanned Message
			if scan(b, &scanned) {
				require.NoError(t, parseAny(b, &slow))
				require.Equal(t, slow, scanned)
			}
		}
		require.Equal(t, input, b, "the input is only read")
		if m.Kind == KindAudioData {
			_, _ = DecodePCM(make([]int16, 64), m.Data)
		}
	})
}

// FuzzAudioFields builds messages around the strings, where random bytes alone
// seldom make one that is valid.
func FuzzAudioFields(f *testing.F) {
	f.Add(sixSamples, "8:acs:x", "2024-11-15T19:16:12.925Z", "false", uint8(0))
	f.Add(`\u0041AAA`, `a\"b`, "0001-01-01T00:00:00+00:00", "null", uint8(1))
	f.Add("", "\xff", "2024-02-30T00:00:00Z", "true", uint8(2))
	f.Fuzz(func(t *testing.T, data, speaker, at, silent string, order uint8) {
		fields := []string{`"data":"` + data + `"`, `"participantRawID":"` + speaker + `"`, `"timestamp":"` + at + `"`, `"silent":` + silent}
		body := "{"
		for i := range fields {
			if i > 0 {
				body += ","
			}
			body += fields[(i+int(order))%len(fields)]
		}
		b := []byte(`{"kind":"AudioData","audioData":` + body + "}}")
		var m Message
		err := Parse(b, &m)
		want, reason := oracle(b)
		require.Equal(t, reason, ReasonOf(err), "%s: %v", b, err)
		require.Equal(t, want, m, "%s", b)
	})
}

func FuzzTimestamp(f *testing.F) {
	for _, tt := range timestamps {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, wantOK := oracleTime(s)
		got, ok := parseTimestamp([]byte(s))
		require.Equal(t, wantOK, ok, "%q", s)
		require.Equal(t, want, got, "%q", s)
		if ns, ok := parseUTC([]byte(s)); ok {
			require.Equal(t, want, ns, "%q", s)
			require.True(t, wantOK, "%q", s)
		}
	})
}

func FuzzDecodePCM(f *testing.F) {
	f.Add([]byte(sixSamples), 6)
	f.Add([]byte("AQIDBAU="), 3)
	f.Add([]byte("AA=="), 1)
	f.Add([]byte("AAA="), 0)
	f.Add([]byte("AA=\n="), 8)
	f.Add([]byte("AAAAAAAA\r\n\r\nAAAA"), 8)
	f.Add(bytes.Repeat([]byte("5ADw+/8A"), 107), 321)
	f.Add(append(bytes.Repeat([]byte("A"), 44), "A==="...), 320)
	f.Fuzz(func(t *testing.T, data []byte, room int) {
		const guard = 64
		room = min(max(room, 0), 4096)
		memory := slices.Repeat([]int16{-21555}, room+guard)
		n, err := DecodePCM(memory[:room], data)
		free := room // beyond dst, or beyond the samples
		if err == nil {
			free = n
		}
		for _, s := range memory[free:] {
			if s != -21555 {
				t.Fatal("written beyond the samples")
			}
		}
		want, reason := oraclePCM(data, room)
		require.Equal(t, reason, ReasonOf(err), "%v", err)
		require.Equal(t, len(want), n)
		if n > 0 {
			require.Equal(t, want, memory[:n])
		}
	})
}

// oraclePCM is what DecodePCM must give, by way of encoding/base64.
func oraclePCM(data []byte, room int) ([]int16, Reason) {
	padding := min(2, len(data)-len(bytes.TrimRight(data, "=")))
	size := base64.RawStdEncoding.DecodedLen(len(data) - padding)
	switch {
	case len(data)%4 != 0:
		return nil, ReasonBadBase64
	case size%2 != 0:
		return nil, ReasonOddBytes
	case size/2 > room:
		return nil, ReasonTooLong
	case bytes.ContainsAny(data, "\r\n"):
		return nil, ReasonBadBase64
	}
	raw, err := base64.StdEncoding.DecodeString(string(data))
	if err != nil {
		return nil, ReasonBadBase64
	}
	pcm := make([]int16, len(raw)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	return pcm, ReasonNone
}

func FuzzAppendAudio(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add([]byte{1, 2, 3, 4}, uint8(3))
	f.Add(bytes.Repeat([]byte{0xfb, 0xff}, 480), uint8(200))
	f.Fuzz(func(t *testing.T, raw []byte, before uint8) {
		pcm := make([]int16, len(raw)/2)
		for i := range pcm {
			pcm[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		prefix := bytes.Repeat([]byte("x"), int(before))
		out := AppendAudio(prefix, pcm)
		require.Equal(t, string(prefix), string(out[:before]))
		out = out[before:]
		require.Len(t, out, audioLen(len(pcm)))
		require.Equal(t, appendBase64([]byte{}, pcm), bytes.TrimSuffix(bytes.TrimPrefix(out, []byte(audioHead)), []byte(audioTail)))

		var m Message
		require.True(t, scanAudio(out, &m), "our own spelling takes the fast way")
		back := make([]int16, len(pcm))
		n, err := DecodePCM(back, m.Data)
		require.NoError(t, err)
		require.Equal(t, pcm, back[:n])
	})
}
