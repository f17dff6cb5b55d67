package cloud

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The spellings of the official clients and samples, one per file:
// name.audio.json carries samples 1, -2, 3, name.stop.json stops.
func TestSpellingsOfTheClients(t *testing.T) {
	files, err := filepath.Glob("testdata/outbound/*.json")
	require.NoError(t, err)
	require.Len(t, files, 13)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		m, err := parseFromBot(text)
		require.NoError(t, err, file)
		if strings.Contains(file, ".stop.") {
			require.Equal(t, fromBot{stop: true}, m, file)
		} else {
			require.Equal(t, []int16{1, -2, 3}, m.samples, file)
			require.Equal(t, strings.Contains(file, "mark"), m.mark != "", file)
		}
	}
}

func TestMessagesThatAreNotUnderstood(t *testing.T) {
	for text, why := range map[string]string{
		``: badJSON, `nul`: badJSON, `[]`: badJSON, `{"kind":7}`: badJSON, `{"kind":"AudioData"} x`: badJSON,
		`{"kind":"AudioData","audioData":"AQI="}`:     badJSON,
		`{"kind":"AudioData","audioData":{"data":7}}`: badJSON,
		`null`:                                  badKind,
		`{}`:                                    badKind,
		`{"kind":""}`:                           badKind,
		`{"kind":"MarkData"}`:                   badKind,
		`{"audioData":{"data":"AQI="}}`:         badKind,
		`{"kind":"AudioData"}`:                  badAudio,
		`{"kind":"AudioData","stopAudio":{}}`:   badAudio,
		`{"kind":"AudioData","audioData":null}`: badAudio,
		`{"kind":"AudioData","audioData":{}}`:   badAudio,
		`{"kind":"AudioData","audioData":{"data":null}}`:   badAudio,
		`{"kind":"AudioData","audioData":{"data":"AQI"}}`:  badBase64,
		`{"kind":"AudioData","audioData":{"data":"A_I="}}`: badBase64,
		`{"kind":"AudioData","audioData":{"data":"AQID"}}`: badSamples,
	} {
		m, err := parseFromBot([]byte(text))
		require.Error(t, err, text)
		require.Equal(t, fromBot{}, m)
		require.Equal(t, why, reason(err), text)
	}
	// No audio at all is allowed: .NET sends it to carry a mark.
	m, err := parseFromBot([]byte(`{"Kind":"AudioData","AudioData":{"Data":"","Mark":{"Id":"7"}}}`))
	require.NoError(t, err)
	require.Empty(t, m.samples)
}

func FuzzParseFromBot(f *testing.F) {
	files, err := filepath.Glob("testdata/outbound/*.json")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(`{"kind":"AudioData","audioData":{"data":"AQI=\u0000"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseFromBot(text)
		if err != nil {
			require.Equal(t, fromBot{}, m)
			require.NotEmpty(t, reason(err))
			return
		}
		require.False(t, m.stop && len(m.samples) > 0)
		if m.stop {
			return
		}
		again, err := parseFromBot([]byte(`{"kind":"audiodata","AUDIODATA":{"dAtA":"` + base64.StdEncoding.EncodeToString(PCM(m.samples).bytes()) + `"}}`))
		require.NoError(t, err)
		require.Equal(t, m.samples, again.samples)
		require.Empty(t, again.mark)
	})
}
