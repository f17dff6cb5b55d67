package cloud

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// transcripts returns the transcription's messages of a socket.
func transcripts(t *testing.T, s *socket) (metadata []map[string]any, data []map[string]any) {
	t.Helper()
	for _, m := range s.messages {
		var v struct {
			Metadata map[string]any `json:"transcriptionMetadata"`
			Data     map[string]any `json:"transcriptionData"`
		}
		require.NoError(t, json.Unmarshal([]byte(m.text), &v))
		switch m.Kind {
		case "TranscriptionMetadata":
			metadata = append(metadata, v.Metadata)
		case "TranscriptionData":
			data = append(data, v.Data)
		}
	}
	return metadata, data
}

func (b *bot) transcriptionJSON(path, more string) string {
	return `,"transcriptionOptions":{"transportType":"websocket","transportUrl":"` + strings.TrimSuffix(b.media(), "/media") + path + `","locale":"en-US"` + more + `}`
}

func TestTranscriptionOnTheMediaSocket(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: func(Dialled) Callee {
		return Callee{Ring: time.Millisecond, Script: Script{HangUp: 60, Speakers: []Speaker{
			{Says: []Phrase{{Slot: 10, Slots: 20, Text: "Hello, everyone."}}, Start: 5},
			{ID: "4:+1425", Says: []Phrase{{Slot: 3, Text: "Hi"}}},
		}}}
	}})
	c := b.dial(version2026, ","+b.mediaJSON("mixed", "")+b.transcriptionJSON("/media", `,"startTranscription":true,"enableIntermediateResults":true,"speechModelEndpointId":"model"`))
	e := b.until("TranscriptionStarted")
	require.Equal(t, map[string]any{"transcriptionStatus": "transcriptionStarted", "transcriptionStatusDetails": "subscriptionStarted"}, e.Data["transcriptionUpdate"])
	require.Equal(t, "made", e.Data["operationContext"])
	_, v, _ := b.do("GET", connections+"/"+c.ID()+v2026, "")
	require.Equal(t, map[string]any{
		"id": v["transcriptionSubscription"].(map[string]any)["id"], "state": "active", "locale": "en-US",
		"subscribedResultTypes": []any{"final", "intermediate"},
	}, v["transcriptionSubscription"])
	log := wait(t, c)
	metadata, data := transcripts(t, b.socket().wait(t))
	require.Equal(t, []map[string]any{{
		"subscriptionId": v["transcriptionSubscription"].(map[string]any)["id"], "locale": "en-US", "callConnectionId": c.ID(),
		"correlationId": log.CorrelationID, "speechRecognitionModelEndpointId": "model",
	}}, metadata)
	require.Len(t, data, 3)
	require.Equal(t, "Hi", data[0]["text"])
	require.Equal(t, "4:+1425", data[0]["participantRawID"])
	require.Equal(t, []any{"Hello,", "Intermediate"}, []any{data[1]["text"], data[1]["resultStatus"]})
	require.Equal(t, map[string]any{
		"text": "Hello, everyone.", "format": "display", "confidence": 0.95, "offset": 3000000.0, "duration": 4000000.0,
		"words": []any{
			map[string]any{"text": "hello", "offset": 3000000.0, "duration": 2000000.0},
			map[string]any{"text": "everyone", "offset": 5000000.0, "duration": 2000000.0},
		},
		"participantRawID": "8:acs:callee", "resultStatus": "Final",
	}, data[2])
}

// On a socket of its own, started and stopped, with another language.
func TestTranscriptionOnItsOwnSocket(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker()})
	c := b.dial(version2025, b.transcriptionJSON("/media", ""))
	for _, tt := range []struct{ action, body, event, details string }{
		{":startTranscription", `{"locale":"de-DE","operationContext":"1"}`, "TranscriptionStarted", "subscriptionStarted"},
		{":updateTranscription", `{"locale":"fr-FR","operationContext":"2"}`, "TranscriptionUpdated", "transcriptionLocaleUpdated"},
		{":stopTranscription", `{"operationContext":"3"}`, "TranscriptionStopped", "subscriptionStopped"},
	} {
		if tt.event == "TranscriptionStopped" {
			require.NoError(t, c.Speak(Speaker{Says: []Phrase{{Text: "Bonjour", Slots: 2}, {Slot: 4, Slots: 2, Text: "salut"}}}))
			slots := c.Log().Slots
			require.Eventually(t, func() bool { return c.Log().Slots > slots+8 }, deadline, 5*time.Millisecond)
		}
		status, v := b.op(c, version2025, tt.action, tt.body)
		require.Equal(t, 202, status, v)
		e := b.expect(tt.event)[0]
		require.Equal(t, tt.details, e.Data["transcriptionUpdate"].(map[string]any)["transcriptionStatusDetails"])
		var sent struct{ OperationContext string }
		require.NoError(t, json.Unmarshal([]byte(tt.body), &sent))
		require.Equal(t, sent.OperationContext, e.Data["operationContext"])
		if tt.event == "TranscriptionStarted" {
			status, v = b.op(c, version2025, tt.action, tt.body)
			require.Equal(t, 400, status, v)
		}
	}
	metadata, data := transcripts(t, b.socket().wait(t))
	require.Equal(t, "de-DE", metadata[0]["locale"])
	require.Len(t, data, 2)
	require.Equal(t, "Bonjour", data[0]["text"])
	status, _ := b.op(c, version2025, ":stopTranscription", "")
	require.Equal(t, 400, status)
	require.NoError(t, c.Inject(Fault{Kind: FailOperation, Operation: "startTranscription", Result: &Result{500, 8580, "down"}}))
	status, _ = b.op(c, version2025, ":startTranscription", "{}")
	require.Equal(t, 202, status)
	_, sub := result(b.expect("TranscriptionFailed")[0])
	require.Equal(t, 8580, sub)
	c.HangUp()
	wait(t, c)
}

func TestTranscriptionThatIsLost(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker()})
	b.refuse = func(r *http.Request) int {
		if r.URL.Path == "/refused" {
			return 404
		}
		return 0
	}
	c := b.dial(version2026, b.transcriptionJSON("/refused", `,"startTranscription":true`))
	e := b.expect("TranscriptionFailed")[0]
	_, sub := result(e)
	require.Equal(t, 8581, sub)
	require.Equal(t, "streamConnectionUnsuccessful", e.Data["transcriptionUpdate"].(map[string]any)["transcriptionStatusDetails"])
	c.HangUp()
	wait(t, c)
	b.expect("CallDisconnected")

	c = b.dial(version2026, b.transcriptionJSON("/media", `,"startTranscription":true`))
	b.expect("TranscriptionStarted")
	require.NoError(t, c.Inject(Fault{Kind: BreakTranscription, Slot: c.Log().Slots + 3}))
	require.Equal(t, "streamConnectionInterrupted", b.expect("TranscriptionFailed")[0].Data["transcriptionUpdate"].(map[string]any)["transcriptionStatusDetails"])
	b.socket().wait(t)
	status, _ := b.op(c, version2026, ":startTranscription", "{}")
	require.Equal(t, 202, status, "anew")
	b.expect("TranscriptionStarted")
	require.NoError(t, b.socket().ws.Close())
	e = b.expect("TranscriptionFailed")[0]
	require.Equal(t, "streamConnectionInterrupted", e.Data["transcriptionUpdate"].(map[string]any)["transcriptionStatusDetails"])
	c.HangUp()
	wait(t, c)
}
