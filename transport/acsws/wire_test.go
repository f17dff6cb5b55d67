package acsws

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// frame16k is a message as the cloud sends it: 20 ms at 16 kHz, 1,055 bytes.
func frame16k() []byte {
	return cloudAudio(strings.Repeat("5ADwAOMA", 106) + "5ADwAA==")
}

func cloudAudio(data string) []byte {
	return []byte(`{"kind":"AudioData","audioData":{"timestamp":"2024-11-15T19:16:12.925Z",` +
		`"participantRawID":"8:acs:3d20e1de-0f28-41c5-84a0-4960fde5f411_0000000b-faeb-c708-99bf-a43a0d0036b0",` +
		`"data":"` + data + `","silent":false}}`)
}

// TestScanned: what the way without allocation must take.
func TestScanned(t *testing.T) {
	want := Message{
		Kind: KindAudioData, Data: []byte("AAAA"), Speaker: []byte("x"), Silent: true,
		Timestamp: 1668539772925e6, HasTimestamp: true,
	}
	for _, in := range []string{
		`{"kind":"AudioData","audioData":{"timestamp":"2022-11-15T19:16:12.925Z","participantRawID":"x","data":"AAAA","silent":true}}`,
		`{"audioData":{"silent":true,"data":"AAAA","participantRawID":"x","timestamp":"2022-11-15T19:16:12.925Z"},"kind":"AudioData"}`,
		"\n\t {\r\n \"kind\" :\t\"AudioData\" , \"audioData\"\n:\r{ \"timestamp\" : \"2022-11-15T19:16:12.925Z\" ,\"participantRawID\": \"x\",\"data\" :\"AAAA\" , \"silent\" : true } } \n",
	} {
		var m Message
		require.True(t, scanAudio([]byte(in), &m), in)
		require.Equal(t, want, m, in)
		require.NoError(t, parseAny([]byte(in), new(Message)), in)
	}
}

// TestNotScanned: surprises that must not be taken by the scanner, and what
// they come to in the end.
func TestNotScanned(t *testing.T) {
	audio := func(data string) Message { return Message{Kind: KindAudioData, Data: []byte(data)} }
	spoken := func(m Message, who string) Message { m.Speaker = []byte(who); return m }
	tests := []struct {
		name, in string
		want     Message
	}{
		{"escaped slash", `{"kind":"AudioData","audioData":{"data":"AA\/A"}}`, audio("AA/A")},
		{"escaped plus", `{"kind":"AudioData","audioData":{"data":"AA\u002BA"}}`, audio("AA+A")},
		{"escaped key", `{"k\u0069nd":"AudioData","audioData":{"data":"AAAA"}}`, audio("AAAA")},
		{"escaped kind", `{"kind":"Audio\u0044ata","audioData":{"data":"AAAA"}}`, audio("AAAA")},
		{"quote in speaker", `{"kind":"AudioData","audioData":{"participantRawID":"a\"b","data":"AAAA"}}`, spoken(audio("AAAA"), `a"b`)},
		{"quote ends in backslash", `{"kind":"AudioData","audioData":{"participantRawID":"a\\","data":"AAAA"}}`, spoken(audio("AAAA"), `a\`)},
		{"UTF-8 speaker", `{"kind":"AudioData","audioData":{"participantRawID":"é","data":"AAAA"}}`, spoken(audio("AAAA"), "é")},
		{"not UTF-8", "{\"kind\":\"AudioData\",\"audioData\":{\"participantRawID\":\"a\xff\",\"data\":\"AAAA\"}}", spoken(audio("AAAA"), "a\ufffd")},
		{"null speaker", `{"kind":"AudioData","audioData":{"participantRawID":null,"data":"AAAA"}}`, audio("AAAA")},
		{"null timestamp", `{"kind":"AudioData","audioData":{"timestamp":null,"data":"AAAA"}}`, audio("AAAA")},
		{"timestamp of another type", `{"kind":"AudioData","audioData":{"timestamp":5,"data":"AAAA"}}`, audio("AAAA")},
		{"escaped timestamp", `{"kind":"AudioData","audioData":{"timestamp":"\u00310:00","data":"AAAA"}}`, audio("AAAA")},
		{"unknown key", `{"kind":"AudioData","version":[1,{"kind":"x"}],"audioData":{"data":"AAAA","kind":7}}`, audio("AAAA")},
		{"other case", `{"KIND":"AUDIODATA","AUDIODATA":{"DATA":"AAAA"}}`, audio("AAAA")},
		{"bodies that the kind does not name", `{"kind":"AudioData","stopAudio":5,"dtmfData":"x","audioData":{"data":"AAAA"}}`, audio("AAAA")},
		{"the last key counts", `{"kind":"DtmfData","kind":"AudioData","audioData":{"data":"BBBB"},"audioData":{"data":"x","Data":"AAAA"}}`, audio("AAAA")},
		{"a second body replaces the first", `{"kind":"AudioData","audioData":{"data":"BBBB","silent":true},"AudioData":{"data":"AAAA"}}`, audio("AAAA")},
		{"also in the very same spelling", `{"kind":"AudioData","audioData":{"data":"BBBB","silent":true},"audioData":{"data":"AAAA"}}`, audio("AAAA")},
		{"no kind: a transcription before an empty stopAudio", `{"stopAudio":{},"transcriptionData":{"a":1}}`, Message{Kind: KindTranscription, Raw: []byte(`{"a":1}`)}},
		{"2022 and newer speaker", `{"kind":"AudioData","audioData":{"participantId":"old","participantRawId":"new","data":"AAAA"}}`, spoken(audio("AAAA"), "new")},
		{"empty speaker", `{"Kind":"AudioData","audioData":{"participantRawId":"","data":"AAAA"}}`, spoken(audio("AAAA"), "")},
		{"no kind: audio before the rest", `{"stopAudio":{},"dtmfData":{"data":"1"},"audioData":{"data":"AAAA"}}`, audio("AAAA")},
		{"no kind: null is absent", `{"kind":null,"audioData":null,"stopAudio":{}}`, Message{Kind: KindStopAudio}},
		{"silent decides over isSilent", `{"kind":"AudioData","audioData":{"isSilent":true,"silent":false,"data":"AAAA"}}`, audio("AAAA")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.False(t, scanAudio([]byte(tt.in), new(Message)))
			var m Message
			require.NoError(t, Parse([]byte(tt.in), &m))
			require.Equal(t, tt.want, m)
		})
	}
}

func TestSilentSpellings(t *testing.T) {
	for _, name := range []string{"silent", "Silent", "isSilent", "IsSilent", "isSilence"} {
		var m Message
		require.NoError(t, Parse([]byte(`{"kind":"AudioData","audioData":{"data":"","`+name+`":true}}`), &m))
		require.True(t, m.Silent, name)
		require.NoError(t, Parse([]byte(`{"kind":"AudioData","audioData":{"data":"","`+name+`":null}}`), &m))
		require.False(t, m.Silent, name)
	}
}

func TestBadMessages(t *testing.T) {
	deep := strings.Repeat("[", 20000)
	tests := []struct {
		in     string
		reason Reason
		field  string
	}{
		{``, ReasonBadJSON, ""},
		{`null`, ReasonBadJSON, ""},
		{`[]`, ReasonBadJSON, ""},
		{`"AudioData"`, ReasonBadJSON, ""},
		{`{"kind":"AudioData","audioData":{"data":"AAAA"}`, ReasonBadJSON, ""},
		{`{"kind":"AudioData","audioData":{"data":"AAAA"}}}`, ReasonBadJSON, ""},
		{`{"kind":"AudioData","audioData":{"data":"AAAA"}} x`, ReasonBadJSON, ""},
		{`{"kind":"AudioData","audioData":{"data":"AAAA",}}`, ReasonBadJSON, ""},
		{`{"kind":"AudioData","audioData":{"data":"AAAA"},}`, ReasonBadJSON, ""},
		{`{"kind":"AudioData" "audioData":{"data":"AAAA"}}`, ReasonBadJSON, ""},
		{`{"kind":"AudioData","audioData":{"data":"AAAA","silent":falsey}}`, ReasonBadJSON, ""},
		{`{"kind":"AudioData","audioData":{"data":"AA` + "\n" + `A"}}`, ReasonBadJSON, ""},
		{`{"kind":"AudioData","audioData":{"data":"AA` + "\x00" + `A"}}`, ReasonBadJSON, ""},
		{`{"kind":"AudioData","audioData":{"data":"AAAA\"}}`, ReasonBadJSON, ""},
		{`{"kind":"AudioData","audioData":{"timestamp":"` + "\t" + `","data":"AAAA"}}`, ReasonBadJSON, ""},
		{"\v" + `{"kind":"AudioData","audioData":{"data":"AAAA"}}`, ReasonBadJSON, ""},
		{"\ufeff" + `{"kind":"AudioData","audioData":{"data":"AAAA"}}`, ReasonBadJSON, ""},
		{`{"kind":"AudioMetadata","audioMetadata":{"sampleRate":016000}}`, ReasonBadJSON, ""},
		{`{"kind":"AudioData","audioData":{"data":"","x":` + deep + `}}`, ReasonBadJSON, ""},
		{deep, ReasonBadJSON, ""},
		{`{}`, ReasonUnknownKind, "kind"},
		{`{"kind":""}`, ReasonUnknownKind, "kind"},
		{`{"kind":"VideoData","videoData":{}}`, ReasonUnknownKind, "kind"},
		{`{"kind":"Unknown"}`, ReasonUnknownKind, "kind"},
		{`{"kind":"DtmfTone","dtmfTone":{"data":"1"}}`, ReasonUnknownKind, "kind"},
		{`{"kind":5}`, ReasonBadField, "kind"},
		{`{"kind":"AudioData"}`, ReasonMissingData, "audioData"},
		{`{"kind":"AudioData","audioData":null}`, ReasonMissingData, "audioData"},
		{`{"kind":"AudioData","data":"AAAA"}`, ReasonMissingData, "audioData"},
		{`{"kind":"AudioData","audioData":[]}`, ReasonBadField, "audioData"},
		{`{"kind":"AudioData","audioData":{}}`, ReasonMissingData, "audioData.data"},
		{`{"kind":"AudioData","audioData":{"silent":true}}`, ReasonMissingData, "audioData.data"},
		{`{"kind":"AudioData","audioData":{"data":null}}`, ReasonMissingData, "audioData.data"},
		{`{"kind":"AudioData","audioData":{"data":[1,2]}}`, ReasonBadField, "audioData.data"},
		{`{"kind":"AudioData","audioData":{"data":"AAAA","silent":"no"}}`, ReasonBadField, "audioData.silent"},
		{`{"kind":"AudioData","audioData":{"data":"AAAA","isSilent":0}}`, ReasonBadField, "audioData.isSilent"},
		{`{"kind":"AudioData","audioData":{"data":"AAAA","participantRawID":7}}`, ReasonBadField, "audioData.participantRawID"},
		{`{"kind":"AudioData","audioData":{"data":"AAAA","participantId":{}}}`, ReasonBadField, "audioData.participantId"},
		{`{"data":7}`, ReasonBadField, "data"},
		{`{"format":7}`, ReasonBadField, "format"},
		{`{"format":{},"subscriptionId":7}`, ReasonBadField, "subscriptionId"},
		{`{"kind":"AudioMetadata"}`, ReasonMissingData, "audioMetadata"},
		{`{"kind":"AudioMetadata","audioMetadata":{"encoding":1}}`, ReasonBadField, "audioMetadata.encoding"},
		{`{"kind":"AudioMetadata","audioMetadata":{"sampleRate":"16000"}}`, ReasonBadField, "audioMetadata.sampleRate"},
		{`{"kind":"AudioMetadata","audioMetadata":{"sampleRate":-1}}`, ReasonBadField, "audioMetadata.sampleRate"},
		{`{"kind":"AudioMetadata","audioMetadata":{"channels":1e400}}`, ReasonBadField, "audioMetadata.channels"},
		{`{"kind":"AudioMetadata","audioMetadata":{"length":4294967296}}`, ReasonBadField, "audioMetadata.length"},
		{`{"kind":"DtmfData"}`, ReasonMissingData, "dtmfData"},
		{`{"kind":"DtmfData","dtmfData":{}}`, ReasonMissingData, "dtmfData.data"},
		{`{"kind":"DtmfData","dtmfData":{"tone":3}}`, ReasonBadField, "dtmfData.tone"},
		{`{"kind":"MarkData","markData":{"status":"Completed"}}`, ReasonMissingData, "markData.id"},
		{`{"kind":"MarkData","markData":{"id":"a","status":1}}`, ReasonBadField, "markData.status"},
		{`{"kind":"TranscriptionData"}`, ReasonMissingData, "transcriptionData"},
		{`{"kind":"TranscriptionMetadata","transcriptionMetadata":[]}`, ReasonBadField, "transcriptionMetadata"},
	}
	for _, tt := range tests {
		m := Message{Kind: KindAudioData, Data: []byte("left over"), Tone: "1"}
		err := Parse([]byte(tt.in), &m)
		var wire *WireError
		require.ErrorAs(t, err, &wire, shorten([]byte(tt.in)))
		require.Equal(t, tt.reason, wire.Reason, shorten([]byte(tt.in)))
		require.Equal(t, tt.field, wire.Field, tt.in)
		require.Equal(t, Message{}, m, "nothing half applied")
		require.LessOrEqual(t, len(wire.Value), maxValue+len("…"))
		_, reason := oracle([]byte(tt.in))
		require.Equal(t, tt.reason, reason, "oracle: %s", shorten([]byte(tt.in)))
	}
}

func TestWireError(t *testing.T) {
	err := Parse([]byte(`{"kind":"AudioData","audioData":{"data":"AAAA","silent":"no"}}`), new(Message))
	require.EqualError(t, err, `acsws: bad_field: audioData.silent: "\"no\""`)
	err = Parse([]byte(`[`), new(Message))
	require.EqualError(t, err, `acsws: bad_json: "[": unexpected end of JSON input`)
	require.Equal(t, ReasonBadJSON, ReasonOf(fmt.Errorf("call 7: %w", err)))
	require.Equal(t, ReasonNone, ReasonOf(nil))
	require.Equal(t, ReasonNone, ReasonOf(errors.New("other")))

	seen := map[string]bool{}
	for r := ReasonNone; r < NumReasons; r++ {
		require.False(t, seen[r.String()] || r.String() == "", "reason %d needs a name of its own", r)
		seen[r.String()] = true
	}
	require.Equal(t, "Reason(200)", Reason(200).String())
	require.Equal(t, "Unknown", Kind(200).String())
}

func TestParseReuse(t *testing.T) {
	var m Message
	require.NoError(t, Parse(frame16k(), &m))
	require.NoError(t, Parse([]byte(`{"kind":"StopAudio"}`), &m))
	require.Equal(t, Message{Kind: KindStopAudio}, m, "nothing left of the message before")
	require.NoError(t, Parse(frame16k(), &m))
	require.NoError(t, Parse([]byte(`{"kind":"AudioData","audioData":{"data":"AAAA"}}`), &m))
	require.Equal(t, Message{Kind: KindAudioData, Data: []byte("AAAA")}, m)
	require.NoError(t, Parse([]byte(`{"audioData":{"data":"AAAA","silent":true},"kind":"StopAudio"}`), &m))
	require.Equal(t, Message{Kind: KindStopAudio}, m, "nothing left of the scanner's attempt")
}

func TestToneByte(t *testing.T) {
	for in, want := range map[string]byte{
		"0": '0', "9": '9', "*": '*', "#": '#', "A": 'A', "d": 'D',
		"zero": '0', "Nine": '9', "POUND": '#', "asterisk": '*',
		"": 0, "E": 0, "test": 0, "10": 0, "é": 0, "\x00": 0,
	} {
		got, ok := ToneByte(in)
		require.Equal(t, want, got, in)
		require.Equal(t, want != 0, ok, in)
	}
}

func TestMarkCancelled(t *testing.T) {
	for status, want := range map[string]bool{"Cancelled": true, "canceled": true, "Completed": false, "": false} {
		require.Equal(t, want, Mark{Status: status}.Cancelled(), status)
	}
}

func TestParseAllocs(t *testing.T) {
	b, pcm := frame16k(), make([]int16, 320)
	require.Len(t, b, 1055)
	var m Message
	var n int
	var err error
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err = Parse(b, &m); err == nil {
			n, err = DecodePCM(pcm, m.Data)
		}
	}))
	require.NoError(t, err)
	require.Equal(t, 320, n)
}

// TestParseIsLinear: ten times the input may not cost a hundred times. It
// counts no time: quadratic behaviour on a megabyte would take minutes.
func TestParseIsLinear(t *testing.T) {
	for _, unit := range []string{`"`, `\"`, `{"kind":`, `[`, `{"a":{},`, ` `, `\u00e9`, "\xff"} {
		body := strings.Repeat(unit, 1<<20/len(unit))
		var m Message
		_ = Parse([]byte(body), &m)
		_ = Parse([]byte(`{"kind":"AudioData","audioData":{"data":"`+body+`"}}`), &m)
		_ = Parse([]byte(`{"kind":"AudioData","audioData":{"timestamp":"`+body+`"}}`), &m)
	}
}

// TestIsText tries every byte at every place of the steps that isText takes.
func TestIsText(t *testing.T) {
	for n := range 75 {
		b := bytes.Repeat([]byte{' '}, n)
		require.True(t, isText(b), "%d blanks", n)
		for at := range b {
			for c := range 256 {
				b[at] = byte(c)
				if want := c >= 0x20 && c <= 0x7f; isText(b) != want {
					t.Fatalf("byte %#x at %d of %d: got %v, want %v", c, at, n, !want, want)
				}
			}
			b[at] = 0x7f // the next byte has both kinds of neighbours
		}
	}
}
