package acsws

import (
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

// TestTranscripts: what the official clients' tests read, on the media's own
// connection; a message that cannot be read is counted, and no more.
func TestTranscripts(t *testing.T) {
	heard := make(chan transport.Transcript, 8)
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{OnTranscript: func(tr transport.Transcript) { heard <- tr }})
	c := r.dial(nil)
	send(t, c, `{"kind":"TranscriptionData","transcriptionData":{"text":"store hours","format":"display","offset":49876484,"duration":9200000,"participantRawID":"abc12345","resultStatus":"Intermediate"}}`)
	send(t, c, `{"kind":"TranscriptionMetadata","transcriptionMetadata":{"subscriptionId":"s","locale":"en-US","callConnectionId":"c","correlationId":"d"}}`)
	send(t, c, `{"kind":"TranscriptionData","transcriptionData":{"text":7}}`)
	send(t, c, `{"kind":"TranscriptionData","transcriptionData":{"offset":7}}`)
	send(t, c, `{"kind":"TranscriptionData","transcriptionData":{"text":"Hello everyone.","confidence":0.9226,"offset":2516933652456984600,"duration":9600000,"words":[{"text":"hello"}],"participantRawID":"4:+000000000000","resultStatus":"Final"}}`)
	first, second := <-heard, <-heard
	require.Equal(t, "store hours", first.Text)
	require.Equal(t, "abc12345", first.Speaker)
	require.False(t, first.Final)
	require.Empty(t, first.Locale)
	require.Contains(t, string(second.Raw), `"words"`)
	second.Raw = nil
	require.Equal(t, transport.Transcript{
		Speaker: "4:+000000000000", Text: "Hello everyone.", Locale: "en-US", Confidence: 0.9226,
		Offset: 2516933652456984600, Duration: 9600000, Final: true,
	}, second)
	require.Equal(t, map[string]int64{"bad_transcript": 2}, r.ep.Stats().BadMessages)
}
