package acsws

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// golden says what a file of testdata comes out as.
type golden struct {
	want    Message // Data and Raw in full; Timestamp from at
	at      string  // RFC 3339, empty for none
	reason  Reason  // of Parse
	fast    bool    // the scanner takes it
	samples int     // of Data, when it decodes
	first   []int16 // the first of them
	pcm     Reason  // of DecodePCM
}

const sixSamples = "5ADwAOMA6AD0AOIA"

var firstSix = []int16{228, 240, 227, 232, 244, 226}

// audio is a golden message with the usual six samples.
func audio(speaker, at string, fast bool) golden {
	g := golden{
		want: Message{Kind: KindAudioData, Data: []byte(sixSamples)}, at: at,
		fast: fast, samples: 6, first: firstSix,
	}
	if speaker != "" {
		g.want.Speaker = []byte(speaker)
	}
	return g
}

// badAudio is a golden message whose payload is no PCM.
func badAudio(data, speaker, at string, fast bool) golden {
	g := audio(speaker, at, fast)
	g.want.Data, g.samples, g.first, g.pcm = []byte(data), 0, []int16{}, ReasonOddBytes
	return g
}

func silent(g golden) golden {
	g.want.Silent = true
	return g
}

func metadata(id, encoding string, rate, channels, length int) golden {
	return golden{want: Message{Kind: KindAudioMetadata, Metadata: Metadata{id, encoding, rate, channels, length}}}
}

func dtmf(tone, speaker, at string) golden {
	g := golden{want: Message{Kind: KindDTMF, Tone: tone}, at: at}
	if speaker != "" {
		g.want.Speaker = []byte(speaker)
	}
	return g
}

func mark(id, status string) golden {
	return golden{want: Message{Kind: KindMark, Mark: Mark{id, status}}}
}

// Raw of these is filled in from the file.
var (
	stop           = golden{want: Message{Kind: KindStopAudio}}
	transcription  = golden{want: Message{Kind: KindTranscription}}
	transcriptMeta = golden{want: Message{Kind: KindTranscriptionMetadata}}
	unknown        = golden{reason: ReasonUnknownKind}
)

var goldens = map[string]golden{
	"docs-metadata":               metadata("89e8cb59-b991-48b0-b154-1db84f16a077", "PCM", 16000, 1, 640),
	"docs-audio":                  audio("8:acs:3d20e1de-0f28-41c5", "2024-11-15T19:16:12.925Z", true),
	"docs-audio-mixed":            silent(audio("", "2024-11-15T19:16:12.925Z", true)),
	"docs-2022-10-audio":          wholeFrame("8:acs:3d20e1de-0f28-41c5-84a0-4960fde5f411_0000000b-faeb-c708-99bf-a43a0d0036b0", "2022-10-03T19:16:12.925Z"),
	"docs-dtmf":                   dtmf("3", "", ""),
	"docs-transcription-metadata": transcriptMeta,
	"docs-transcription":          transcription,

	"dotnet-dtmf-full":          dtmf("5", "4:+14250123456", "2024-11-15T19:16:12.925Z"),
	"dotnet-mark-completed":     mark("greeting", "Completed"),
	"dotnet-mark-cancelled":     mark("greeting", "Cancelled"),
	"dotnet-test-metadata":      metadata("subscriptionId", "encodingType", 8, 2, 640),
	"dotnet-test-audio":         badAudio("AQIDBAU=", "participantId", "2022-08-23T11:48:05Z", true),
	"dotnet-test-audio-bare":    badAudio("AQIDBAU=", "", "2022-08-23T11:48:05Z", true),
	"dotnet-test-dtmf":          dtmf("5", "", ""),
	"dotnet-test-transcription": transcription,
	"dotnet-2022-metadata":      metadata("subscriptionId", "encodingType", 8, 2, 100),
	"dotnet-2022-audio":         badAudio("AQIDBAU=", "participantId", "2022-08-23T11:48:05Z", false),

	"js-test-metadata":             metadata("4af370df-3868-461f-8242-91f077a6f8a6", "PCM", 16000, 1, 640),
	"js-test-audio":                badAudio("test", "28:6b45c5b6-1c34-47c0-8980-11e98d47d23f", "2024-05-30T06:25:02.948Z", true),
	"js-test-dtmf":                 dtmf("test", "", ""),
	"js-test-transcription":        transcription,
	"js-test-transcription-offset": transcription,

	"java-test-audio":      badAudio("dGVzdGF1ZGlv", "participant123", "2023-08-01T10:00:00Z", false),
	"java-test-metadata":   metadata("sub123", "Pcm", 16000, 1, 1024),
	"java-test-dtmf":       dtmf("1", "participant456", "2023-08-01T10:05:00Z"),
	"java-test-unknown":    unknown,
	"java-test-empty":      unknown,
	"java-parser-audio":    badAudio("AQIDBAU=", "participantId", "2022-10-03T19:16:12.925Z", false),
	"java-parser-metadata": metadata("subscriptionId", "encodingType", 8, 2, 100),

	"out-js-audio":           audio("", "", false),
	"out-js-stop":            stop,
	"out-dotnet-audio":       audio("", "", false),
	"out-dotnet-audio-beta":  audio("", "", false),
	"out-dotnet-audio-mark":  audio("", "", false),
	"out-dotnet-mark-only":   {want: Message{Kind: KindAudioData, Data: []byte{}}, first: []int16{}},
	"out-dotnet-stop":        stop,
	"out-dotnet-stop-beta":   stop,
	"out-java-audio":         audio("", "", false),
	"out-java-stop":          stop,
	"out-python-audio":       audio("", "", false),
	"out-python-stop":        stop,
	"out-callcenterai-audio": audio("", "", true),
	"out-callcenterai-stop":  stop,
	"out-artvoice-audio":     audio("", "", false),
	"out-artvoice-stop":      stop,
}

// wholeFrame is 20 ms; its Data is filled in from the file.
func wholeFrame(speaker, at string) golden {
	g := audio(speaker, at, true)
	g.want.Data, g.samples = nil, 320
	return g
}

func readGolden(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	return b
}

func TestGoldenFilesAreListed(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	for _, f := range files {
		require.Contains(t, goldens, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	require.Len(t, files, len(goldens))
}

func TestGolden(t *testing.T) {
	for name, g := range goldens {
		t.Run(name, func(t *testing.T) {
			b := readGolden(t, name)
			want := g.want
			if g.at != "" {
				at, err := time.Parse(time.RFC3339, g.at)
				require.NoError(t, err)
				want.Timestamp, want.HasTimestamp = at.UnixNano(), true
			}
			want.Raw = rawBody(t, b, want.Kind)
			if want.Kind == KindAudioData && want.Data == nil {
				want.Data = []byte(between(string(b), `"data": "`, `"`))
			}

			var m Message
			err := Parse(b, &m)
			require.Equal(t, g.reason, ReasonOf(err), "%v", err)
			require.Equal(t, want, m)

			var scanned Message
			require.Equal(t, g.fast, scanAudio(b, &scanned), "which way it takes")
			if m.Kind != KindAudioData {
				return
			}
			pcm := make([]int16, 320)
			n, err := DecodePCM(pcm, m.Data)
			require.Equal(t, g.pcm, ReasonOf(err), "%v", err)
			require.Equal(t, g.samples, n)
			require.Equal(t, g.first, pcm[:len(g.first)])
		})
	}
}

// rawBody cuts the body of a transcription message out of its text.
func rawBody(t *testing.T, b []byte, k Kind) []byte {
	key := map[Kind]string{KindTranscription: "transcriptionData", KindTranscriptionMetadata: "transcriptionMetadata"}[k]
	if key == "" {
		return nil
	}
	var parts map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(b, &parts))
	return parts[key]
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}
