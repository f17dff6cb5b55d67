package acs

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// TestArgumentsThatNeverLeave: each error names the field, and no secret of an
// address.
func TestArgumentsThatNeverLeave(t *testing.T) {
	f := newFakeService(t, reply(500, ""))
	c := newTestClient(t, f, ClientConfig{})
	ctx := t.Context()
	create := func(body string, m session.MediaRequest) error {
		return failed(c.Create(ctx, session.CreateRequest{Body: json.RawMessage(body), Media: m}))
	}
	recognize := func(change func(*Recognize)) error {
		r := Recognize{Input: RecognizeDTMF, Party: partyA}
		change(&r)
		return failed(c.Recognize(ctx, "c", r))
	}
	for _, tc := range []struct {
		field string
		err   error
	}{
		{"callbackUri", create(`{}`, session.MediaRequest{CallbackURL: "http://bot.example/cb?key=s3cret"})},
		{"callbackUri", create(`{"callbackUri":"http://bot.example/s3cret"}`, session.MediaRequest{})},
		{"callbackUri", create(`{"callbackUri":"ftp://bot.example/s3cret"}`, session.MediaRequest{})},
		{"callbackUri", create(`{"callbackUri":"https://u:s3cret@bot.example/"}`, session.MediaRequest{})},
		{"callbackUri", create(`{"callbackUri":"bot.example/s3cret"}`, session.MediaRequest{})},
		{"mediaStreamingOptions.transportUrl", create(`{}`, session.MediaRequest{URL: "https://bot.example/s3cret"})},
		{"mediaStreamingOptions.transportUrl", create(`{}`, session.MediaRequest{URL: "ws://bot.example/s3cret"})},
		{"mediaStreamingOptions.transportUrl", create(`{"mediaStreamingOptions":{"transportUrl":"http://bot.example/s3cret"}}`, session.MediaRequest{})},
		{"mediaStreamingConfiguration.transportUrl", create(`{"mediaStreamingConfiguration":{"transportUrl":"ws://bot.example/s3cret"}}`, session.MediaRequest{})},
		{"callbackUri", failed(c.Answer(ctx, session.Incoming{Context: "x"}, session.MediaRequest{CallbackURL: "http://bot.example/s3cret"}))},
		{"playSources", failed(c.Play(ctx, "c", Play{}))},
		{"playSources", failed(c.Play(ctx, "c", Play{Sources: []PlaySource{{}}}))},
		{"playSources", failed(c.Play(ctx, "c", Play{Sources: []PlaySource{{File: sampleWAV, Text: "x"}}}))},
		{"playSources.file.uri", failed(c.Play(ctx, "c", Play{Sources: []PlaySource{{File: "http://bot.example/s3cret"}}}))},
		{"playTo", failed(c.Play(ctx, "c", Play{Sources: []PlaySource{{File: sampleWAV}}, To: []string{""}}))},
		{"operationCallbackUri", failed(c.Play(ctx, "c", Play{Sources: []PlaySource{{File: sampleWAV}}, Tracking: Tracking{CallbackURI: "http://bot.example/s3cret"}}))},
		{"operationContext", failed(c.StopMediaStreaming(ctx, "c", Tracking{OperationContext: strings.Repeat("x", 2000)}))},
		{"recognizeInputType", recognize(func(r *Recognize) { r.Input = "" })},
		{"recognizeOptions.targetParticipant", recognize(func(r *Recognize) { r.Party = "" })},
		{"recognizeOptions.initialSilenceTimeoutInSeconds", recognize(func(r *Recognize) { r.InitialSilence = 301 })},
		{"dtmfOptions.interToneTimeoutInSeconds", recognize(func(r *Recognize) { r.InterTone = 61 })},
		{"dtmfOptions.maxTonesToCollect", recognize(func(r *Recognize) { r.MaxTones = -1 })},
		{"dtmfOptions.stopTones", recognize(func(r *Recognize) { r.StopTones = "#x" })},
		{"speechOptions.endSilenceTimeoutInMs", recognize(func(r *Recognize) { r.EndSilence = -1 })},
		{"recognizeOptions.choices", recognize(func(r *Recognize) { r.Input = RecognizeChoices })},
		{"recognizeOptions.choices[0]", recognize(func(r *Recognize) { r.Choices = []Choice{{Label: "x"}} })},
		{"recognizeOptions.choices[0].tone", recognize(func(r *Recognize) { r.Choices = []Choice{{"x", []string{"y"}, "12"}} })},
		{"tones", failed(c.SendDTMF(ctx, "c", partyA, "", Tracking{}))},
		{"tones", failed(c.SendDTMF(ctx, "c", partyA, "1é", Tracking{}))},
		{"targetParticipant", failed(c.SendDTMF(ctx, "c", "", "1", Tracking{}))},
		{"targetParticipant", c.Hold(ctx, "c", Hold{})},
		{"targetParticipant", c.Unhold(ctx, "c", "", Tracking{})},
		{"playSourceInfo.file.uri", c.Hold(ctx, "c", Hold{Party: partyA, Music: PlaySource{File: "x"}})},
		{"participantToAdd", failed(c.AddParticipant(ctx, "c", AddParticipant{}))},
		{"invitationTimeoutInSeconds", failed(c.AddParticipant(ctx, "c", AddParticipant{Party: partyA, Timeout: 181}))},
		{"participantToRemove", failed(c.RemoveParticipant(ctx, "c", "", Tracking{}))},
		{"targetParticipants", c.MuteParticipant(ctx, "c", "", "")},
		{"targetParticipants", failed(c.MoveParticipants(ctx, "c", "d", nil, Tracking{}))},
		{"invitationId", failed(c.CancelAddParticipant(ctx, "c", "", Tracking{}))},
		{"targetParticipant", failed(c.Transfer(ctx, "c", Transfer{}))},
		{"locale", failed(c.UpdateTranscription(ctx, "c", "", "", Tracking{}))},
		{"recordingStateCallbackUri", failed(c.StartRecording(ctx, StartRecording{Call: Locator{ServerCallID: "s"}, StateCallbackURI: "http://bot.example/s3cret"}))},
		{"callConnectionId", failed(c.StartRecording(ctx, StartRecording{Call: Locator{ServerCallID: "s"}, CallID: "c"}))},
		{"channelAffinity.channel", failed(c.StartRecording(ctx, StartRecording{CallID: "c", Channel: map[string]int{partyA: 5}}))},
		{"targets", failed(c.NewCall(NewCall{}))},
		{"teamsAppSource", failed(c.NewCall(NewCall{Targets: []string{partyA}, TeamsApp: "8:acs:x"}))},
		{"transcriptionOptions.locale", failed(c.AnswerOptions("", CallOptions{Transcription: &TranscriptionOptions{}}))},
		{"location", failed(c.DownloadRecording(ctx, "https://evil.example/x", 0, nil, 1))},
		{"location", c.DeleteRecording(ctx, "https://asm.skype.com.evil.example/x")},
	} {
		var wrong *session.FieldError
		require.ErrorAs(t, tc.err, &wrong, tc.field)
		require.Equal(t, tc.field, wrong.Field, "%v", tc.err)
		require.NotContains(t, tc.err.Error(), "s3cret")
		var local *session.Error
		require.ErrorAs(t, tc.err, &local, tc.field)
		require.Zero(t, local.Status)
		require.False(t, local.Retryable)
	}
	for want, err := range map[string]error{
		`call id "" is not one`:       c.CancelAllMediaOperations(ctx, ""),
		`recording id ".." is not`:    c.StopRecording(ctx, ".."),
		"want exactly one of":         failed(c.StartRecording(ctx, StartRecording{Call: Locator{ServerCallID: "s", RoomID: "r"}})),
		"callLocator: want exactly":   failed(c.ConnectTo(Locator{}, CallOptions{})),
		`participant "" is not`:       failed(c.GetParticipant(ctx, "c", "")),
		"request body is a JSON null": create("null", session.MediaRequest{}),
	} {
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, f.requests())
	waiting, _ := c.Operations().Waiting()
	require.Zero(t, waiting)
}

func TestLoopbackAndInsecureAddresses(t *testing.T) {
	f := newFakeService(t, reply(201, okCall))
	local := session.MediaRequest{URL: "ws://127.0.0.1:7070/media/x", CallbackURL: "http://localhost:7070/cb"}
	far := session.MediaRequest{URL: "ws://bot.example/media/x", CallbackURL: "http://bot.example/cb"}
	_, err := newTestClient(t, f, ClientConfig{}).Create(t.Context(), session.CreateRequest{Body: []byte(`{}`), Media: local})
	require.NoError(t, err)
	_, err = newTestClient(t, f, ClientConfig{Insecure: true}).Create(t.Context(), session.CreateRequest{Body: []byte(`{}`), Media: far})
	require.NoError(t, err)
}

// TestUnknownWordsPassOn: an enumerated value that this client does not know
// is the service's to judge.
func TestUnknownWordsPassOn(t *testing.T) {
	f := newFakeService(t, reply(202, `{"recordingId":"r","recordingState":"resting","recordingKind":"other"}`))
	c := newTestClient(t, f, ClientConfig{})
	_, err := c.Recognize(t.Context(), "c", Recognize{Input: "gesture", Party: "9:new:kind"})
	require.NoError(t, err)
	require.Contains(t, string(f.requests()[0].body), `"recognizeInputType":"gesture"`)
	require.Contains(t, string(f.requests()[0].body), `{"kind":"unknown","rawId":"9:new:kind"}`)
	_, err = c.Play(t.Context(), "c", Play{Sources: []PlaySource{{Text: "a", VoiceKind: "robot"}}})
	require.NoError(t, err)
	require.Contains(t, string(f.requests()[1].body), `"voiceKind":"robot"`)
	r, err := c.StartRecording(t.Context(), StartRecording{CallID: "c", Format: "flac"})
	require.NoError(t, err)
	require.Equal(t, Recording{ID: "r", State: "resting", Kind: "other"}, r)
}

// TestNewCallInBothShapes: one Go value, two requests.
func TestNewCallInBothShapes(t *testing.T) {
	n := NewCall{Targets: []string{"4:+14250123456"}, Source: seedCaller, CallerID: "+18440123456", DisplayName: "Contoso"}
	for version, want := range map[string]string{
		Version2022: `{"targets":[{"kind":"phoneNumber","rawId":"4:+14250123456","phoneNumber":{"value":"+14250123456"}}],
			"source":{"callerId":{"value":"+18440123456"},"displayName":"Contoso","identifier":{"kind":"communicationUser",
			"rawId":"` + seedCaller + `","communicationUser":{"id":"` + seedCaller + `"}}}}`,
		Version2026: `{"targets":[{"kind":"phoneNumber","rawId":"4:+14250123456","phoneNumber":{"value":"+14250123456"}}],
			"sourceCallerIdNumber":{"value":"+18440123456"},"sourceDisplayName":"Contoso","source":{"id":"` + seedCaller + `"}}`,
	} {
		c, err := NewClient(ClientConfig{Endpoint: "https://x", AccessKey: testKey, APIVersion: version})
		require.NoError(t, err)
		body, err := c.NewCall(n)
		require.NoError(t, err)
		require.JSONEq(t, want, string(body))
	}
	c, err := NewClient(ClientConfig{Endpoint: "https://x", AccessKey: testKey})
	require.NoError(t, err)
	body, err := c.NewCall(NewCall{Targets: []string{seedCallee}, TeamsApp: "28:orgid:app"})
	require.NoError(t, err)
	require.Contains(t, string(body), `"teamsAppSource":{"appId":"app","cloud":"public"}`)

	answer, err := c.AnswerOptions(seedCaller, CallOptions{})
	require.NoError(t, err)
	f := newFakeService(t, reply(200, okCall))
	tc := newTestClient(t, f, ClientConfig{})
	_, err = tc.Answer(t.Context(), session.Incoming{Context: "eyJhbGciOiJub25lIn0.ctx."}, session.MediaRequest{
		URL: transportURL, CallbackURL: callbackURL, OperationContext: "ans", SampleRate: 24000, Bidirectional: true, DTMF: true, Answer: answer,
	})
	require.NoError(t, err)
	require.JSONEq(t, string(golden(t, "answer-2026-request.json")), string(f.requests()[0].body), "all that was captured")
}
