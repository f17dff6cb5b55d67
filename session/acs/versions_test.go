package acs

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// TestWhatAVersionLacks: the error names the operation, the version in use and
// the one that has it, and nothing is sent.
func TestWhatAVersionLacks(t *testing.T) {
	f := newFakeService(t, reply(500, ""))
	c := newTestClient(t, f, ClientConfig{APIVersion: Version2022})
	for _, tc := range wireCases() {
		if !slices.Equal(tc.versions, newest) || strings.HasSuffix(tc.golden, "captured") || tc.golden == "transfer" || strings.HasPrefix(tc.golden, "start-recording") {
			continue
		}
		err := tc.do(t.Context(), c.Client)
		var lacks *session.UnsupportedError
		require.ErrorAs(t, err, &lacks, tc.golden)
		require.Equal(t, "api-version "+Version2022, lacks.Version, tc.golden)
		require.Equal(t, Version2026, lacks.In, tc.golden)
		require.NotEmpty(t, lacks.What)
		var local *session.Error
		require.ErrorAs(t, err, &local)
		require.Zero(t, local.Status)
	}
	ctx := t.Context()
	source := []PlaySource{{File: sampleWAV}}
	for what, err := range map[string]error{
		"play source of text":          failed(c.Play(ctx, "c", Play{Sources: []PlaySource{{Text: "hello"}}})),
		"several prompts at once":      failed(c.Play(ctx, "c", Play{Sources: append(source, source...)})),
		"interruptCallMediaOperation":  failed(c.Play(ctx, "c", Play{Sources: source, Interrupt: true})),
		"operationCallbackUri":         failed(c.Play(ctx, "c", Play{Sources: source, Tracking: Tracking{CallbackURI: callbackURL}})),
		"recognition of speech":        failed(c.Recognize(ctx, "c", Recognize{Input: RecognizeSpeech, Party: partyA})),
		"transferee":                   failed(c.Transfer(ctx, "c", Transfer{Target: partyA, Transferee: partyD})),
		"customCallingContext":         failed(c.Transfer(ctx, "c", Transfer{Target: partyA, Headers: Headers{SIP: map[string]string{"User-To-User": "x"}}})),
		"sourceDisplayName":            failed(c.AddParticipant(ctx, "c", AddParticipant{Party: partyA, CallerID: "+1", DisplayName: "x"})),
		"externalStorage":              failed(c.StartRecording(ctx, StartRecording{Call: Locator{ServerCallID: "s"}, Container: "https://x/y"})),
		"recording by callConnection":  failed(c.StartRecording(ctx, StartRecording{CallID: "s"})),
		"callIntelligenceOptions":      failed(c.NewCall(NewCall{Targets: []string{partyA}, Source: partyD, CallOptions: CallOptions{CognitiveServices: "https://x"}})),
		"answeredBy":                   failed(c.AnswerOptions(partyA, CallOptions{})),
		"teamsAppSource":               failed(c.NewCall(NewCall{Targets: []string{partyA}, Source: partyD, TeamsApp: "28:orgid:x"})),
		"no connect; 2026-03-12 has":   failed(c.Create(ctx, session.CreateRequest{Body: []byte(`{"callLocator":{"roomId":"1"}}`)})),
		"mute participant; 2026-03-12": c.MuteParticipant(ctx, "c", partyA, ""),
		"transcriptionOptions":         failed(c.AnswerOptions("", CallOptions{Transcription: &TranscriptionOptions{Locale: "en-US"}})),
		"start transcription; 2026-03": failed(c.StartTranscription(ctx, "c", "", "", Tracking{})),
	} {
		var lacks *session.UnsupportedError
		require.ErrorAs(t, err, &lacks, what)
		require.ErrorContains(t, err, what)
	}
	require.Empty(t, f.requests())

	now := newTestClient(t, f, ClientConfig{})
	_, err := now.Transfer(ctx, "c", Transfer{Target: partyA, UserToUser: "x"})
	require.ErrorContains(t, err, "api-version "+Version2026+" has no userToUserInformation; "+Version2022+" has")
	require.True(t, errors.As(err, new(*session.UnsupportedError)))
}
