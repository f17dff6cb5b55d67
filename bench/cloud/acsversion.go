package cloud

import "slices"

// The versions of the API that the emulator serves: the first one, and those
// of the official JavaScript client's releases 1.0.0, 1.2.0, 1.5.1 and 1.6.0,
// whose generated code is the source for what each of them knows. They are
// dates, so that they compare as strings.
const (
	version2022 = "2022-04-07-preview"
	version2023 = "2023-03-06"
	version2024 = "2024-04-15"
	version2025 = "2025-06-15"
	version2026 = "2026-03-12"
)

var versions = []string{version2022, version2023, version2024, version2025, version2026}

func knownVersion(v string) bool { return slices.Contains(versions, v) }

// eventVersions says since which version an event is sent: calls that were
// made with an older one do not get it. In 2022-04-07-preview there are no
// events of removed participants, though there is the operation.
var eventVersions = map[string]string{
	"CallConnected": version2022, "CallDisconnected": version2022, "ParticipantsUpdated": version2022,
	"AddParticipantSucceeded": version2022, "AddParticipantFailed": version2022,
	"CallTransferAccepted": version2022, "CallTransferFailed": version2022,
	"PlayCompleted": version2022, "PlayFailed": version2022, "PlayCanceled": version2022,
	"RecognizeCompleted": version2022, "RecognizeFailed": version2022, "RecognizeCanceled": version2022,
	"RecordingStateChanged":      version2022,
	"RemoveParticipantSucceeded": version2023, "RemoveParticipantFailed": version2023,
	"CancelAddParticipantSucceeded": version2024, "CancelAddParticipantFailed": version2024,
	"ContinuousDtmfRecognitionToneReceived": version2024, "ContinuousDtmfRecognitionToneFailed": version2024,
	"ContinuousDtmfRecognitionStopped": version2024,
	"SendDtmfTonesCompleted":           version2024, "SendDtmfTonesFailed": version2024,
	"CreateCallFailed": version2025, "AnswerFailed": version2025, "ConnectFailed": version2025, "HoldFailed": version2025,
	"PlayStarted": version2025, "StartRecordingFailed": version2025,
	"MediaStreamingStarted": version2025, "MediaStreamingStopped": version2025, "MediaStreamingFailed": version2025,
	"TranscriptionStarted": version2025, "TranscriptionStopped": version2025, "TranscriptionUpdated": version2025,
	"TranscriptionFailed":      version2025,
	"MoveParticipantSucceeded": version2026, "MoveParticipantFailed": version2026,
}

// eventKnown tells whether calls of a version get an event.
func eventKnown(name, version string) bool {
	since, ok := eventVersions[name]
	return ok && since <= version
}

// resultVersions says since which version an event carries its
// resultInformation; for all others that is as long as there is the event.
var resultVersions = map[string]string{
	"CallConnected": version2025, "CallDisconnected": version2025, "ParticipantsUpdated": version2025,
	"PlayCanceled": version2025, "RecognizeCanceled": version2025, "RecordingStateChanged": version2025,
	"CancelAddParticipantSucceeded": version2025,
}

// as returns id with its raw id, as a version writes it: a kind that it does
// not know is unknown to it.
func (id identifier) as(version string) identifier {
	id = id.full()
	switch {
	case id.MicrosoftTeamsApp != nil && version < version2024, id.TeamsExtensionUser != nil && version < version2025:
		return identifier{Kind: "unknown", RawID: id.RawID}
	case id.PhoneNumber != nil && version < version2025:
		id.PhoneNumber = &phoneModel{Value: id.PhoneNumber.Value}
	}
	return id
}
