package acsws

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecodePCM(t *testing.T) {
	a := func(n int) string { return strings.Repeat("A", n) }
	tests := []struct {
		name, data string
		room, want int
		reason     Reason
		value      string // in the error
	}{
		{"nothing", "", 0, 0, ReasonNone, ""},
		{"six samples", sixSamples, 6, 6, ReasonNone, ""},
		{"room to spare", sixSamples, 320, 6, ReasonNone, ""},
		{"no room", sixSamples, 5, 0, ReasonTooLong, sixSamples},
		{"one padded twice", "AAAAAA==", 2, 2, ReasonNone, ""},
		{"stray bits under the padding", "AAA/", 2, 0, ReasonOddBytes, "AAA/"},
		{"odd", "AQID", 320, 0, ReasonOddBytes, "AQID"},
		{"odd and too long", "AQID", 0, 0, ReasonOddBytes, "AQID"},
		{"cut short", sixSamples + "AA", 320, 0, ReasonBadBase64, "AA"},
		{"cut short, odd too", "AAAAA", 320, 0, ReasonBadBase64, "A"},
		{"no padding", "AAA", 320, 0, ReasonBadBase64, "AAA"},
		{"URL alphabet", "AA-_AA==", 320, 0, ReasonBadBase64, "-_AA=="},
		{"line break", "AA\nAAAAA" + sixSamples[:12], 320, 0, ReasonOddBytes, ""},
		{"line breaks in the place of a quantum", "AAAAAAAA\r\n\r\nAAAA", 320, 0, ReasonBadBase64, "\r\n\r\nAAAA"},
		{"line break at the end", "AAAAAA=\n", 320, 0, ReasonBadBase64, "=\n"},
		{"padding inside", "AA==" + "AAA=", 320, 0, ReasonOddBytes, "AA==AAA="},
		{"padding inside, even", "AAA=" + "AA==", 320, 0, ReasonBadBase64, "=AA=="},
		{"only padding", "====" + "====", 320, 0, ReasonBadBase64, "========"},
		{"one character", "A===", 320, 0, ReasonOddBytes, ""},
		{"not ASCII", "AAAAAA\xc3\xa9", 320, 0, ReasonBadBase64, "\xc3\xa9"},
		{"long value is shortened", "*" + a(855), 320, 0, ReasonTooLong, "*" + a(31) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := DecodePCM(make([]int16, tt.room), []byte(tt.data))
			require.Equal(t, tt.reason, ReasonOf(err), "%v", err)
			require.Equal(t, tt.want, n)
			if tt.value != "" {
				var wire *WireError
				require.ErrorAs(t, err, &wire)
				require.Equal(t, tt.value, wire.Value)
				require.Equal(t, "audioData.data", wire.Field)
			}
		})
	}
}

// TestDecodePCMEveryLength goes through every tail of the vector code, with
// not one sample more room than is needed, and a wrong character everywhere.
func TestDecodePCMEveryLength(t *testing.T) {
	const guard = 12345
	memory := make([]int16, 340)
	for n := range 325 {
		raw := make([]byte, 2*n)
		for i := range raw {
			raw[i] = byte(i*37 + n)
		}
		data := []byte(base64.StdEncoding.EncodeToString(raw))
		for i := range memory {
			memory[i] = guard
		}
		got, err := DecodePCM(memory[:n:n], data)
		require.NoError(t, err)
		require.Equal(t, n, got)
		for i, s := range memory[:n] {
			if want := int16(binary.LittleEndian.Uint16(raw[2*i:])); s != want {
				t.Fatalf("%d samples: [%d] = %d, want %d", n, i, s, want)
			}
		}
		for i := 0; i < len(data); i += 1 + n/16 {
			bad := append([]byte(nil), data...)
			bad[i] = '*'
			_, err := DecodePCM(memory[:n], bad)
			require.Error(t, err, "%d samples, * at %d", n, i)
		}
		for cut := 1; cut < 4 && cut < len(data); cut++ {
			_, err := DecodePCM(memory[:n-1], data[:len(data)-cut])
			require.Equal(t, ReasonBadBase64, ReasonOf(err), "%d samples, cut %d", n, cut)
		}
		for _, s := range memory[n:] {
			require.EqualValues(t, guard, s, "%d samples: written beyond dst", n)
		}
	}
}

func TestAppendAudio(t *testing.T) {
	require.Equal(t, `{"kind":"AudioData","audioData":{"data":""}}`, string(AppendAudio(nil, nil)))
	require.Equal(t, `{"kind":"AudioData","audioData":{"data":"`+sixSamples+`"}}`, string(AppendAudio(nil, firstSix)))
	require.Equal(t, `x{"kind":"StopAudio","stopAudio":{}}`, string(AppendStopAudio([]byte("x"))))
	// The spelling is that of a producer in the field, byte for byte.
	require.Equal(t, string(readGolden(t, "out-callcenterai-audio")), string(AppendAudio(nil, firstSix)))
	require.Equal(t, string(readGolden(t, "out-callcenterai-stop")), string(AppendStopAudio(nil)))

	loud := make([]int16, 480)
	for i := range loud {
		loud[i] = math.MinInt16
	}
	require.Len(t, AppendAudio(nil, loud[:320]), 900)
	require.Len(t, AppendAudio(nil, loud), 1324)
	for n := range 400 { // the two encoders agree
		pcm := make([]int16, n)
		for i := range pcm {
			pcm[i] = int16(i*7919 + n)
		}
		out := string(AppendAudio(nil, pcm))
		require.Equal(t, audioHead+string(appendBase64(nil, pcm))+audioTail, out)
	}
}

func TestAppendAllocs(t *testing.T) {
	pcm := make([]int16, 480)
	buf := make([]byte, 0, 2048)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		buf = AppendAudio(buf[:0], pcm)
		buf = AppendStopAudio(buf[:0])
		buf = appendBase64(buf[:0], pcm)
	}))
}

// TestOutboundConsumers holds what we send against the rules of everyone who
// may read it. Maps are used since, unlike structs, they tell case apart.
func TestOutboundConsumers(t *testing.T) {
	out := AppendAudio(nil, firstSix)
	require.Less(t, len(AppendAudio(nil, make([]int16, 480))), 2048, ".NET sample: a buffer of 2,048 bytes, one read")
	for name, read := range map[string]func(*testing.T, []byte) []byte{
		"JavaScript SDK": readJS, ".NET SDK": readDotnet, "Java SDK": readJava, "ACS": readAnyCase,
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, sixSamples, string(read(t, out))) })
	}
	stop := object1(t, AppendStopAudio(nil))
	require.Equal(t, `"StopAudio"`, string(stop["kind"]))
	require.Equal(t, `{}`, string(stop["stopAudio"]))
}

// readJS: the kind exactly, keys exactly, a participantRawID of null throws,
// whatever else is missing does not matter.
func readJS(t *testing.T, b []byte) []byte {
	top := object1(t, b)
	require.Equal(t, `"AudioData"`, string(top["kind"]))
	audio := object1(t, top["audioData"])
	require.NotEqual(t, "null", string(audio["participantRawID"]))
	return string1(t, audio["data"])
}

// readDotnet: the kind by the name of the enum, keys exactly; data into a byte
// array and timestamp, if there is one, into a DateTime, neither of which
// takes null.
func readDotnet(t *testing.T, b []byte) []byte {
	top := object1(t, b)
	require.Equal(t, `"AudioData"`, string(top["kind"]))
	audio := object1(t, top["audioData"])
	require.NotEqual(t, "null", string(audio["timestamp"]))
	_, err := base64.StdEncoding.Strict().DecodeString(string(string1(t, audio["data"])))
	require.NoError(t, err)
	return string1(t, audio["data"])
}

// readJava: by the first property known, without a look at the kind; data must
// be there.
func readJava(t *testing.T, b []byte) []byte {
	return string1(t, object1(t, object1(t, b)["audioData"])["data"])
}

// readAnyCase: the cloud takes all that the official producers send, which
// share nothing but the kind and the names, in any case.
func readAnyCase(t *testing.T, b []byte) []byte {
	list, ok := members(b)
	require.True(t, ok)
	require.True(t, strings.EqualFold(`"audiodata"`, string(find(list, "kind"))))
	list, ok = members(find(list, "audiodata"))
	require.True(t, ok)
	return string1(t, find(list, "data"))
}

func object1(t *testing.T, b []byte) (m map[string]json.RawMessage) {
	require.NoError(t, json.Unmarshal(b, &m))
	return m
}

func string1(t *testing.T, b []byte) []byte {
	var s *string
	require.NoError(t, json.Unmarshal(b, &s))
	require.NotNil(t, s)
	return []byte(*s)
}
