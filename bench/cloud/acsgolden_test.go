package cloud

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// compare holds what we write to a golden file.
func compare(t *testing.T, name string, got any) {
	t.Helper()
	text, err := json.MarshalIndent(got, "", "  ")
	require.NoError(t, err)
	text = append(text, '\n')
	path := filepath.Join("testdata", "golden", name)
	if *update {
		require.NoError(t, os.WriteFile(path, text, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(text), name)
}

// Every event in every version that has it, and none in the others.
func TestEventGoldens(t *testing.T) {
	at := time.Date(2026, 11, 22, 3, 47, 2, 123456700, time.UTC)
	for _, version := range versions {
		c := &acsCall{Call: &Call{id: "401f3500-62bd-46a9-8c09-9e1b06caca01"}, serverCallID: "serverCallId", correlationID: "correlationId"}
		c.order.version = version
		all := map[string]json.RawMessage{}
		for _, name := range slices.Sorted(maps.Keys(eventVersions)) {
			if !eventKnown(name, version) {
				continue
			}
			e := c.event(name, fullData(name, version), at)
			e.ID = "61069ef9-5ca9-457f-ac36-e2bb5e8400ca"
			all[name] = marshal(e)
		}
		compare(t, "events/"+version+".json", all)
	}
}

// fullData has everything that an event may have.
func fullData(name, version string) eventData {
	phone, user := identityOf("4:+14255550100"), identityOf("8:acs:a_b")
	yes := true
	phone.PhoneNumber.IsAnonymous = &yes
	d := eventData{OperationContext: "context", ResultInformation: &Result{200, 0, "Action completed successfully."}}
	index := 1
	switch name {
	case "ParticipantsUpdated":
		d.OperationContext = ""
		if version == version2022 {
			d.Participants = []identifier{user.as(version), phone.as(version)}
			break
		}
		d.SequenceNumber = 7
		d.Participants = []participantModel{(&party{id: user, muted: true}).model(version), (&party{id: phone, held: true}).model(version)}
	case "AddParticipantSucceeded", "AddParticipantFailed", "RemoveParticipantSucceeded", "RemoveParticipantFailed":
		d.Participant = &phone
	case "MoveParticipantSucceeded", "MoveParticipantFailed":
		d.Participant, d.FromCall = &phone, "fromCall"
	case "CancelAddParticipantSucceeded", "CancelAddParticipantFailed":
		d.InvitationID = "invitation"
	case "CallTransferAccepted":
		d.TransferTarget, d.Transferee = &phone, &user
	case "PlayFailed", "RecognizeFailed":
		d.FailedPlaySourceIndex = &index
		d.ResultInformation = &Result{400, 8536, "Action failed, file could not be downloaded."}
	case "RecognizeCompleted":
		d.RecognitionType, d.DtmfResult = "dtmf", &tonesModel{Tones: []string{"five", "six", "pound"}}
		if version >= version2024 {
			d.ChoiceResult, d.SpeechResult = &choiceResult{"label", "phrase", 0.5}, &speechResult{"speech", 0.5}
		}
	case "ContinuousDtmfRecognitionToneReceived":
		d.SequenceID, d.Tone = 1, "one"
	case "RecordingStateChanged":
		d.OperationContext = ""
		d.RecordingID, d.State, d.StartDateTime, d.RecordingKind = "recordingId", "active", "2026-11-22T03:47:02.0000000+00:00", "azureCommunicationServices"
	case "StartRecordingFailed":
		d.RecordingID = "recordingId"
	case "MediaStreamingStarted", "MediaStreamingStopped", "MediaStreamingFailed":
		d.MediaStreamingUpdate = &mediaUpdate{"Audio", "mediaStreamingStarted", "subscriptionStarted"}
	case "TranscriptionStarted", "TranscriptionStopped", "TranscriptionUpdated", "TranscriptionFailed":
		d.TranscriptionUpdate = &transcriptionUpdate{"transcriptionStarted", "subscriptionStarted"}
	}
	return d
}

// The responses, as each version writes them.
func TestResponseGoldens(t *testing.T) {
	user, phone, app := identityOf(goldenSource), identityOf("4:+14250123456"), identityOf("28:orgid:app")
	extension := identityOf("8:acs:resource_tenant_user")
	yes := true
	phone.PhoneNumber.IsAnonymous = &yes
	for _, version := range versions {
		p := properties{
			callConnectionID: "18dea47f-b081-4107-9a5c-4300819d2c6c", serverCallID: "aHR0cHM6Ly9jb252ZXJzYXRpb251cmwvdGVzdA",
			correlationID: "d732db64-4803-462d-be9c-518943ea2b7a", source: &user, callerID: &phoneModel{Value: "+18440123456"},
			displayName: "Contoso", targets: []identifier{phone, app, extension}, answeredBy: goldenTarget, state: "connected",
			callbackURI: "https://app.contoso.com/callback", subscriptionID: "23dea47f-0000-0000-0000-000000000000", streaming: true,
			transcription: &transcriptionState{id: "33dea47f-0000-0000-0000-000000000000", locale: "en-US"},
			answeredFor:   &phoneModel{Value: "+11234567890"},
		}
		muted := (&party{id: phone, muted: true, held: true}).model(version)
		add := addResponse{OperationContext: "adding participant"}
		page := participantsPage{NextLink: "next"}
		if version == version2022 {
			add.Participants, page.Values = []participantModel{muted}, []participantModel{muted}
		} else {
			add.Participant, page.Value = &muted, []participantModel{muted}
		}
		if version >= version2024 {
			add.InvitationID = "invitation"
		}
		compare(t, "responses/"+version+".json", map[string]any{
			"call": p.shape(version), "participants": page, "add": add, "participant": muted,
			"recording": (&recordingTake{id: "recordingId"}).model(version),
			"error":     json.RawMessage(badArgument("targets", "is missing").response().body),
		})
	}
}

// Requests of the documents, and of the official JavaScript client, verbatim.
func TestRequestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/requests/*.json")
	require.NoError(t, err)
	require.Len(t, files, 12)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		name, version, _ := bytes.Cut([]byte(filepath.Base(file)), []byte("."))
		v := string(bytes.TrimSuffix(version, []byte(".json")))
		require.True(t, knownVersion(v), file)
		switch string(name) {
		case "play-file":
			o, bad := parsePlay(v, body, false)
			require.Nil(t, bad)
			require.Equal(t, []promptSource{{kind: "file", uri: "https://x/y.wav"}}, o.sources)
			require.Equal(t, "79db31b5-1be2-4c98-af20-f177d414bd56", o.op.OperationContext)
		case "recognize-dtmf":
			o, bad := parseRecognize(v, body, false)
			require.Nil(t, bad)
			require.Equal(t, []any{"dtmf", "4:+1425", 250, 100, 4}, []any{o.input, o.target, o.initialSilence, o.interTone, o.maxTones})
		case "send-dtmf":
			o, bad := parseTones(v, body, false)
			require.Nil(t, bad)
			require.Equal(t, "4:+1425", o.TargetParticipant.rawID())
			require.Equal(t, "phoneNumber", o.TargetParticipant.Kind, "which they left out")
		case "add":
			o, bad := parseAdd(v, body, false)
			require.Nil(t, bad)
			require.Len(t, o.ParticipantsToAdd, 1)
			require.NotEmpty(t, o.OperationContext)
		case "start-recording":
			o, bad := parseRecording(v, body, false)
			require.Nil(t, bad)
			require.Equal(t, "srv1", o.CallLocator.id())
		case "start-streaming", "stop-streaming":
			_, bad := parseStream(body, false)
			require.Nil(t, bad)
		case "answer":
			o, bad := parseAnswer(v, body, false)
			require.Nil(t, bad)
			require.Equal(t, 24000, o.media.rate)
		case "create-pstn":
			o, bad := parseCreate(v, body, false)
			require.Nil(t, bad)
			require.Equal(t, "4:+14250123456", o.targets[0].rawID())
		case "redirect":
			_, bad := parseRedirect(body)
			require.Nil(t, bad)
		case "reject":
			_, bad := parseReject(body)
			require.Nil(t, bad)
		default:
			t.Fatal(file)
		}
	}
}
