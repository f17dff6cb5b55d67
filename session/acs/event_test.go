package acs

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// parsed is the only event of a body.
func parsed(t *testing.T, body string) Event {
	t.Helper()
	events, err := ParseEvents([]byte(body))
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.NotEmpty(t, events[0].Raw)
	return events[0]
}

func TestEventsAreTyped(t *testing.T) {
	of := func(name, data string) Event {
		return parsed(t, `{"type":"Microsoft.Communication.`+name+`","data":{"callConnectionId":"c","serverCallId":"s","correlationId":"k",`+data+`}}`)
	}
	who := func(raw string) session.Participant {
		return session.Participant{Identity: session.Identity{RawID: raw}}
	}

	e := of("RecognizeCompleted", `"recognitionType":"choices","choiceResult":{"label":"yes","recognizedPhrase":"sure","confidence":0.75}`)
	require.Equal(t, Recognition{Type: "choices", Label: "yes", Phrase: "sure", Confidence: 0.75}, e.Recognition)
	require.Equal(t, []string{"s", "k"}, []string{e.ServerCallID, e.CorrelationID})
	e = of("RecognizeCompleted", `"recognitionType":"speech","speechResult":{"speech":"hello","confidence":0.5}`)
	require.Equal(t, Recognition{Type: "speech", Speech: "hello", Confidence: 0.5}, e.Recognition)
	e = of("RecognizeCompleted", `"recognitionType":"dtmf","collectTonesResult":{"tones":["five","pound","asterisk","flash"]}`)
	require.Equal(t, []string{"five", "pound", "asterisk", "flash"}, e.Recognition.Tones, "2022's name; unknown words are kept")
	require.Equal(t, "5#*", Keys(e.Recognition.Tones))
	require.Equal(t, "56#", Keys(parsed(t, string(golden(t, "event-recognize-completed.json"))).Recognition.Tones))

	e = of("AddParticipantFailed", `"participant":{"phoneNumber":{"value":"+1"}},"resultInformation":{"code":487,"subCode":560487,"message":"m","sipDetails":{"code":487,"message":"Terminated"},"q850Details":{"code":16,"message":"Normal"}}`)
	require.Equal(t, []session.Participant{who("4:+1")}, e.Participants)
	require.Equal(t, Result{487, 560487, "m", Diagnostic{487, "Terminated"}, Diagnostic{16, "Normal"}}, e.Result)
	e = of("AddParticipantsSucceeded", `"participants":[{"rawId":"8:acs:a"},{"rawId":"8:acs:b"},{}]`)
	require.Equal(t, AddParticipantSucceeded, e.Name)
	require.Equal(t, []session.Participant{who("8:acs:a"), who("8:acs:b")}, e.Participants)
	e = of("CancelAddParticipantSucceeded", `"invitationId":"i"`)
	require.Equal(t, "i", e.InvitationID)
	e = of("MoveParticipantSucceeded", `"fromCall":"d","participant":{"rawId":"8:acs:a"}`)
	require.Equal(t, "d", e.FromCall)
	e = of("CallTransferAccepted", `"transferTarget":{"rawId":"8:acs:t"},"transferee":{"rawId":"4:+1"}`)
	require.Equal(t, []string{"8:acs:t", "4:+1"}, []string{e.Target.RawID, e.Transferee.RawID})
	e = of("PlayFailed", `"failedPlaySourceIndex":2`)
	require.Equal(t, 2, e.FailedSource)
	require.Equal(t, -1, parsed(t, string(golden(t, "event-play-failed.json"))).FailedSource)
	e = of("TranscriptionUpdated", `"transcriptionUpdate":{"transcriptionStatus":"transcriptionLocaleUpdated","transcriptionStatusDetails":"subscriptionStarted"}`)
	require.Equal(t, StreamUpdate{Status: "transcriptionLocaleUpdated", Details: "subscriptionStarted"}, e.Transcription)
	e = parsed(t, string(golden(t, "event-media-streaming-started.json")))
	require.Equal(t, StreamUpdate{"Audio", "mediaStreamingStarted", "subscriptionStarted"}, e.Media)
	e = of("RecordingStateChanged", `"recordingId":"r","state":"active","startDateTime":"2022-08-11T23:42:45.4394211+00:00","recordingKind":"somethingNew"`)
	require.Equal(t, Recording{"r", "active", "somethingNew", time.Date(2022, 8, 11, 23, 42, 45, 439421100, time.UTC)}, e.Recording)
	require.Equal(t, "recordingId", parsed(t, string(golden(t, "event-recording-state-changed.json"))).Recording.ID)

	e = of("RecognizeFailed", `"recognitionType":7,"failedPlaySourceIndex":"x","resultInformation":{"code":400,"subCode":8510}`)
	require.Equal(t, Result{Code: 400, SubCode: 8510}, e.Result, "an ornament of a wrong type does not lose the event")
	e = of("BrandNew", `"operationContext":"o"`)
	require.Equal(t, []any{EventName("BrandNew"), "o", session.EventOther}, []any{e.Name, e.OperationContext, e.Notice().Kind})
}

func TestTonesBecomeNotices(t *testing.T) {
	tone := func(id, word string) session.Notice {
		e := parsed(t, `{"id":"`+id+`","type":"Microsoft.Communication.ContinuousDtmfRecognitionToneReceived","data":{"callConnectionId":"c","tone":"`+word+`","sequenceId":3}}`)
		return e.Notice()
	}
	for i, word := range toneWords {
		n := tone("x", strings.ToUpper(word))
		require.Equal(t, session.EventTone, n.Kind)
		require.Equal(t, toneKeys[i], n.Tone)
		require.Zero(t, n.Sequence, "an id tells more: numbers begin anew with each recognition")
	}
	require.EqualValues(t, 3, tone("", "one").Sequence)
	n := tone("x", "flash")
	require.Equal(t, session.EventOther, n.Kind, "a key that has no letter is passed on")
	require.Contains(t, string(n.Raw), "flash")
}

func TestEveryEventHasItsMeaning(t *testing.T) {
	seen := map[EventName]bool{}
	for _, row := range eventTable {
		require.False(t, seen[row.name], row.name)
		seen[row.name] = true
		for _, spelled := range []string{typePrefix + string(row.name), string(row.name), strings.ToUpper(typePrefix + string(row.name))} {
			require.Equal(t, row.name, eventOf(spelled).name)
		}
	}
	require.Len(t, seen, 38)
	require.Equal(t, session.EventCreateFailed, eventOf("ConnectFailed").kind, "a call that could not be joined does not stand")
	for _, plural := range []string{"AddParticipantsSucceeded", "AddParticipantsFailed", "RemoveParticipantsSucceeded", "RemoveParticipantsFailed"} {
		require.Equal(t, strings.Replace(plural, "Participants", "Participant", 1), string(eventOf(plural).name))
	}
	require.Equal(t, ParticipantsUpdated, eventOf("ParticipantsUpdated").name)
}

// TestBadBodies: what no service sends is read as far as it means something,
// or refused whole; nothing of it panics, and what is passed on is JSON.
func TestBadBodies(t *testing.T) {
	for i, body := range badBodies {
		w, sink := newTestWebhook(t, nil)
		rec := post(w, "/callbacks", body)
		switch i {
		case 0:
			require.Equal(t, http.StatusRequestEntityTooLarge, rec.Code)
		case 2, 3, 5:
			require.Equal(t, http.StatusBadRequest, rec.Code, i)
		case 7, 8:
			require.Equal(t, http.StatusBadRequest, rec.Code, "%d: %s", i, rec.Body)
		default:
			require.Equal(t, http.StatusOK, rec.Code, "%d: %s", i, rec.Body)
		}
		for _, n := range sink.notices {
			require.True(t, strings.ToValidUTF8(string(n.Raw), "") == string(n.Raw))
		}
		if i == 6 {
			require.Equal(t, "b", sink.notices[0].CallID, "of a key that stands twice the last counts")
		}
	}
}

func TestRecordingFiles(t *testing.T) {
	var files []RecordingFile
	w, _ := newTestWebhook(t, func(c *WebhookConfig) {
		c.OnRecording = func(f RecordingFile) { files = append(files, f) }
	})
	body := string(golden(t, "grid-recording-file.json"))
	require.Equal(t, http.StatusOK, post(w, w.EventPath(), body).Code)
	require.Len(t, files, 1)
	f := files[0]
	require.Equal(t, []any{"aHR0cHM6Ly9jb252", "eyJQbGF0Zm9ybSJ9", "CallEnded", 6620 * time.Millisecond, "wav"},
		[]any{f.ServerCallID, f.RecordingID, f.EndReason, f.Duration, f.Format})
	require.Equal(t, time.Date(2021, 7, 27, 15, 20, 23, 608975500, time.UTC), f.Start)
	require.Equal(t, []string{"0-eus-d2-a", "0-eus-d2-b"}, []string{f.Chunks[0].DocumentID, f.Chunks[1].DocumentID}, "in their order")
	require.Equal(t, "https://us-prod.asyncgw.teams.microsoft.com/v1/objects/a", f.Chunks[0].DeleteLocation)
	require.EqualValues(t, 1, w.Stats().Recorded)

	silent, _ := newTestWebhook(t, nil)
	require.Equal(t, http.StatusOK, post(silent, silent.EventPath(), body).Code)
	rec := post(w, w.EventPath(), `[{"eventType":"Microsoft.Communication.RecordingFileStatusUpdated","data":{}}]`)
	require.Equal(t, http.StatusBadRequest, rec.Code)
	require.Contains(t, rec.Body.String(), "recordingChunks is missing")
}

// TestCloudEventsOfEventGrid: the other schema that a subscription may choose.
func TestCloudEventsOfEventGrid(t *testing.T) {
	w, sink := newTestWebhook(t, nil)
	rec := post(w, w.EventPath(), `{"id":"1","source":"/subscriptions/s","subject":"/caller/4:+1/recipient/8:acs:bot","specversion":"1.0",
		"type":"Microsoft.Communication.IncomingCall","time":"2022-08-25T19:27:24.2415391Z",
		"data":{"incomingCallContext":"ctx","correlationId":"k","from":{"rawId":"4:+1"},"to":{"rawId":"8:acs:bot"},
		"customContext":{"sipHeaders":{"User-To-User":"abc"}}}}`, "Content-Type", "application/cloudevents+json; charset=utf-8")
	require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
	require.Equal(t, "k", sink.rung[0].ID)
	require.Contains(t, string(sink.rung[0].Raw), `"User-To-User":"abc"`)

	r := httptest.NewRequest(http.MethodOptions, w.EventPath(), nil)
	r.Header.Set("WebHook-Request-Origin", "eventgrid.azure.net")
	r.Header.Set("WebHook-Request-Rate", "120")
	out := httptest.NewRecorder()
	w.ServeHTTP(out, r)
	require.Equal(t, http.StatusOK, out.Code)
	require.Equal(t, "eventgrid.azure.net", out.Header().Get("WebHook-Allowed-Origin"))
}

func TestPropertiesInBothShapes(t *testing.T) {
	x := exchangeOf(t, Version2026, "connect")
	c := newTestClient(t, newFakeService(t, reply(200, string(x.Response))), ClientConfig{})
	p, err := c.Properties(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, Subscription{ID: "23dea47f-b081-4107-9a5c-4300819d2caa", State: "active", Types: []string{"audio"}}, p.Media)
	require.Equal(t, Subscription{ID: "45dea47f-b081-4107-9a5c-4300819d2caa", State: "active", Types: []string{"final"}}, p.Transcription)
	require.Equal(t, []any{"+11234567890", session.StateConnecting, "https://contoso.communications.azure.com/callback"},
		[]any{p.AnsweredFor, p.State, p.CallbackURI})

	c = newTestClient(t, newFakeService(t, reply(200, string(golden(t, "create-2022-response.json")))), ClientConfig{APIVersion: Version2022})
	p, err = c.Properties(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, "6431f20a-1235-4a74-j632-asas8h6f999s", p.Media.ID)
	require.Equal(t, seedCaller, p.Source.RawID)
	for state, phase := range map[string]session.CallPhase{"Transferring": session.PhaseTransferring, "transferAccepted": session.PhaseTransferAccepted} {
		conn, err := parseConnection([]byte(`{"callConnectionId":"c","callConnectionState":"` + state + `"}`))
		require.NoError(t, err)
		require.Equal(t, []any{session.StateConnected, phase}, []any{conn.State, conn.Phase})
	}
}
