package acs

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// badBodies are what no service sends: a megabyte, deep nesting, what is not
// UTF-8, keys that stand twice.
var badBodies = []string{
	`[{"type":"` + strings.Repeat("x", 1<<20) + `"}]`,
	`[{"type":"Contoso.New","data":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}]`,
	strings.Repeat("[", 20000) + strings.Repeat("]", 20000),
	strings.Repeat(`{"data":`, 20000) + "1" + strings.Repeat("}", 20000),
	"[{\"type\":\"PlayCompleted\",\"data\":{\"callConnectionId\":\"c\",\"operationContext\":\"\xff\xfe\"}}]",
	"\xff\xfe[]",
	`[{"type":"PlayFailed","type":"PlayCompleted","data":{"callConnectionId":"a","callConnectionId":"b"}}]`,
	`[{"type":"PlayCompleted","Type":"","data":{"callConnectionId":"a"}}]`,
	`[{"eventType":"Microsoft.Communication.IncomingCall","data":{"incomingCallContext":"a","incomingCallContext":"b","correlationId":"c"}}]`,
}

// FuzzCallback: whatever comes, a delivery is understood whole or refused, and
// what session relies on is there.
func FuzzCallback(f *testing.F) {
	for _, name := range []string{"participants-updated", "call-connected", "recognize-completed", "play-failed",
		"recording-state-changed", "media-streaming-started"} {
		f.Add(golden(f, "event-"+name+".json"))
	}
	for _, s := range append(badBodies, `[]`, `null`, `[null]`, `[{}]`, `{"type":"ParticipantsUpdated","data":{"callConnectionId":"c","participants":[null]}}`,
		`[{"type":"CallConnected","source":"calling/callConnections/"}]`, `{"type":"x","data":{"resultInformation":{"code":1e9}}}`,
		`{"type":"AddParticipantsFailed","data":{"callConnectionId":"c","operationContext":"o","participants":[{"rawId":"4:+1"}]}}`,
		`{"type":"ContinuousDtmfRecognitionToneReceived","data":{"callConnectionId":"c","tone":"pound","sequenceId":3}}`,
		`{"type":"ContinuousDtmfRecognitionToneReceived","data":{"callConnectionId":"c","tone":"flash"}}`,
		`{"type":"RecognizeCompleted","data":{"callConnectionId":"c","choiceResult":{"confidence":"high"},"dtmfResult":{"tones":[1]}}}`,
		`{"type":"CallTransferAccepted","data":{"callConnectionId":"c","transferTarget":{"rawId":"4:+1"},"transferee":5}}`,
		`{"type":"MoveParticipantSucceeded","data":{"callConnectionId":"c","operationContext":"o","participant":{"rawId":"8:acs:a"}}}`) {
		f.Add([]byte(s))
	}
	for _, x := range eventTable {
		f.Add([]byte(`{"type":"` + typePrefix + string(x.name) + `","data":{"callConnectionId":"c","operationContext":"o","participants":[]}}`))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := ParseEvents(body)
		if err != nil {
			require.Nil(t, events)
			return
		}
		for _, e := range events {
			n := e.Notice()
			require.NotEmpty(t, n.Type)
			require.True(t, json.Valid(n.Raw))
			require.True(t, n.Kind == session.EventOther || n.CallID != "")
			require.True(t, n.Kind == session.EventParticipants || n.Participants == nil)
			for _, p := range n.Participants {
				require.NotEmpty(t, p.RawID)
			}
			require.True(t, n.Kind != session.EventTone || n.Tone != 0)
			require.True(t, utf8.Valid(n.Raw))
			again, err := EventOf(n)
			require.NoError(t, err)
			require.Equal(t, e, again, "an event alone means what it means in a batch")
			var o Operations
			o.Complete(e)
		}
	})
}

// FuzzEventGrid: a call that rings can be answered and named, and no error
// tells the context of one.
func FuzzEventGrid(f *testing.F) {
	f.Add(golden(f, "grid-incoming-call.json"))
	for _, s := range append(badBodies, `[]`, `[null]`, `{}`, `[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"c"}}]`,
		`[{"type":"Microsoft.Communication.IncomingCall","data":{"incomingCallContext":"x","correlationId":"c"}}]`,
		`[{"eventType":"x","data":7}]`, `{"eventType":"Microsoft.Communication.IncomingCall","data":{"to":{"rawId":1}}}`,
		string(golden(f, "grid-recording-file.json"))) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parseGrid(body, ringTime)
		if err != nil {
			require.Equal(t, gridDelivery{}, d)
			return
		}
		for _, in := range d.Incoming {
			require.NotEmpty(t, in.Context)
			require.NotEmpty(t, in.ID)
			require.Equal(t, ringTime, in.Arrived)
			require.True(t, json.Valid(in.Raw))
		}
		for _, r := range d.Recorded {
			require.NotEmpty(t, r.Chunks)
		}
	})
}
