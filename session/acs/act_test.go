package acs

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// TestEveryAction: each reaches the operation of its name with what its body
// says, and refuses a member that it does not know.
func TestEveryAction(t *testing.T) {
	for _, tc := range []struct{ action, body, target, want string }{
		{"play", `{"files":["https://x/a.wav"],"text":"hi","voice":"v","language":"en-US","to":["4:+1"],"loop":true,"interrupt":true,"operation_context":"o"}`, ":play",
			`{"playSources":[{"kind":"file","file":{"uri":"https://x/a.wav"}},{"kind":"text","text":{"text":"hi","sourceLocale":"en-US","voiceName":"v"}}],
			"playTo":[{"kind":"phoneNumber","rawId":"4:+1","phoneNumber":{"value":"+1"}}],"interruptCallMediaOperation":true,"playOptions":{"loop":true},"operationContext":"o"}`},
		{"play", `{"ssml":"<speak/>","operation_context":"o"}`, ":play",
			`{"playSources":[{"kind":"ssml","ssml":{"ssmlText":"<speak/>"}}],"playTo":[],"playOptions":{"loop":false},"operationContext":"o"}`},
		{"cancel", `{}`, ":cancelAllMediaOperations", ``},
		{"dtmf", `{"tones":"1#","to":"4:+1","operation_context":"o"}`, ":sendDtmfTones",
			`{"tones":["one","pound"],"targetParticipant":{"kind":"phoneNumber","rawId":"4:+1","phoneNumber":{"value":"+1"}},"operationContext":"o"}`},
		{"add", `{"party":"4:+1","caller_id":"+2","timeout":30,"operation_context":"o"}`, "/participants:add",
			`{"sourceCallerIdNumber":{"value":"+2"},"participantToAdd":{"kind":"phoneNumber","rawId":"4:+1","phoneNumber":{"value":"+1"}},"invitationTimeoutInSeconds":30,"operationContext":"o"}`},
		{"remove", `{"party":"4:+1","operation_context":"o"}`, "/participants:remove",
			`{"participantToRemove":{"kind":"phoneNumber","rawId":"4:+1","phoneNumber":{"value":"+1"}},"operationContext":"o"}`},
		{"mute", `{"party":"8:acs:a"}`, "/participants:mute",
			`{"targetParticipants":[{"kind":"communicationUser","rawId":"8:acs:a","communicationUser":{"id":"8:acs:a"}}]}`},
		{"transfer", `{"to":"8:acs:a","party":"4:+1","caller_id":"+2","operation_context":"o"}`, ":transferToParticipant",
			`{"targetParticipant":{"kind":"communicationUser","rawId":"8:acs:a","communicationUser":{"id":"8:acs:a"}},
			"transferee":{"kind":"phoneNumber","rawId":"4:+1","phoneNumber":{"value":"+1"}},"sourceCallerIdNumber":{"value":"+2"},"operationContext":"o"}`},
		{"stream-start", `{"operation_context":"o"}`, ":startMediaStreaming", `{"operationContext":"o"}`},
		{"stream-stop", `{"operation_context":"o"}`, ":stopMediaStreaming", `{"operationContext":"o"}`},
		{"transcribe-start", `{"locale":"en-US","operation_context":"o"}`, ":startTranscription", `{"locale":"en-US","operationContext":"o"}`},
		{"transcribe-update", `{"model":"m","operation_context":"o"}`, ":updateTranscription", `{"speechModelEndpointId":"m","operationContext":"o"}`},
		{"transcribe-stop", `{"operation_context":"o"}`, ":stopTranscription", `{"operationContext":"o"}`},
		{"hold", `{"party":"8:acs:a","music":"https://x/a.wav","operation_context":"o"}`, ":hold",
			`{"targetParticipant":{"kind":"communicationUser","rawId":"8:acs:a","communicationUser":{"id":"8:acs:a"}},"playSourceInfo":{"kind":"file","file":{"uri":"https://x/a.wav"}},"operationContext":"o"}`},
		{"unhold", `{"party":"8:acs:a","operation_context":"o"}`, ":unhold",
			`{"targetParticipant":{"kind":"communicationUser","rawId":"8:acs:a","communicationUser":{"id":"8:acs:a"}},"operationContext":"o"}`},
		{"listen-start", `{"party":"8:acs:a","operation_context":"o"}`, ":startContinuousDtmfRecognition",
			`{"targetParticipant":{"kind":"communicationUser","rawId":"8:acs:a","communicationUser":{"id":"8:acs:a"}},"operationContext":"o"}`},
		{"listen-stop", `{"party":"8:acs:a","operation_context":"o"}`, ":stopContinuousDtmfRecognition",
			`{"targetParticipant":{"kind":"communicationUser","rawId":"8:acs:a","communicationUser":{"id":"8:acs:a"}},"operationContext":"o"}`},
		{"move", `{"from_call":"d","parties":["8:acs:a"],"operation_context":"o"}`, "/participants:moveHere",
			`{"targetParticipants":[{"kind":"communicationUser","rawId":"8:acs:a","communicationUser":{"id":"8:acs:a"}}],"operationContext":"o","fromCall":"d"}`},
		{"cancel-add", `{"invitation_id":"i","operation_context":"o"}`, "/participants:cancelAddParticipant", `{"invitationId":"i","operationContext":"o"}`},
		{"recognize", `{"input":"choices","party":"8:acs:a","text":"?","interrupt_prompt":true,"initial_silence":9,"choices":[{"label":"yes","phrases":["yes","sure"],"tone":"1"}],"language":"en-US","end_silence":500,"operation_context":"o"}`, ":recognize",
			`{"recognizeInputType":"choices","playPrompt":{"kind":"text","text":{"text":"?","sourceLocale":"en-US"}},"recognizeOptions":{"interruptPrompt":true,"initialSilenceTimeoutInSeconds":9,
			"targetParticipant":{"kind":"communicationUser","rawId":"8:acs:a","communicationUser":{"id":"8:acs:a"}},"speechLanguage":"en-US",
			"choices":[{"label":"yes","phrases":["yes","sure"],"tone":"one"}],"speechOptions":{"endSilenceTimeoutInMs":500}},"operationContext":"o"}`},
	} {
		status := 202
		if slices.Contains([]string{"mute", "hold", "unhold", "listen-start", "listen-stop"}, tc.action) {
			status = 200
		}
		f := newFakeService(t, reply(status, `{"invitationId":"inv"}`))
		c := newTestClient(t, f, ClientConfig{})
		result, err := c.Act(t.Context(), "c", tc.action, json.RawMessage(tc.body))
		require.NoError(t, err, tc.action)
		require.True(t, json.Valid(result))
		got := f.requests()[0]
		require.Equal(t, "/calling/callConnections/c"+tc.target+"?api-version="+Version2026, got.target)
		if tc.want == "" {
			require.Empty(t, got.body, tc.action)
		} else {
			require.JSONEq(t, tc.want, string(got.body), tc.action)
		}
		if tc.action == "add" {
			require.JSONEq(t, `{"operation_context":"o","invitation_id":"inv"}`, string(result))
		}
		_, err = c.Act(t.Context(), "c", tc.action, json.RawMessage(`{"nonsense":1}`))
		var wrong *session.FieldError
		require.ErrorAs(t, err, &wrong, tc.action)
		require.Equal(t, "nonsense", wrong.Field)
		require.Len(t, f.requests(), 1)
	}
}

func TestActThatWaits(t *testing.T) {
	f := newFakeService(t, reply(http.StatusAccepted, ""))
	c, w := following(t, f, Version2026)
	type outcome struct {
		result json.RawMessage
		err    error
	}
	act := func(name EventName, more string) outcome {
		done := make(chan outcome)
		go func() {
			r, err := c.Act(t.Context(), "c", "recognize", json.RawMessage(`{"input":"dtmf","party":"4:+1","wait":true,"operation_context":"o"}`))
			done <- outcome{r, err}
		}()
		for waiting, _ := c.Operations().Waiting(); waiting == 0; waiting, _ = c.Operations().Waiting() {
			select {
			case o := <-done:
				return o
			default:
			}
		}
		post(w, "/callbacks", ended(name, "c", "o", more))
		return <-done
	}
	o := act(RecognizeCompleted, `,"recognitionType":"dtmf","dtmfResult":{"tones":["five","pound"]}`)
	require.NoError(t, o.err)
	var told ActionResult
	require.NoError(t, json.Unmarshal(o.result, &told))
	require.Equal(t, []any{"o", "5#", "dtmf"}, []any{told.OperationContext, told.Keys, told.Recognition.Type})
	require.Contains(t, string(told.End), "RecognizeCompleted")

	o = act(RecognizeFailed, `,"resultInformation":{"code":400,"subCode":8510,"message":"silence"}`)
	var refused *session.Error
	require.ErrorAs(t, o.err, &refused)
	require.Equal(t, []any{"RecognizeFailed", 8510}, []any{refused.Code, refused.SubCode})
}

func TestActionsThatAreNone(t *testing.T) {
	c := newTestClient(t, newFakeService(t, reply(500, "")), ClientConfig{})
	_, err := c.Act(t.Context(), "c", "sing", nil)
	require.ErrorIs(t, err, session.ErrUnknownAction)
	require.ErrorContains(t, err, "want one of add, cancel, cancel-add, dtmf")
	require.True(t, slices.IsSorted(c.Actions()))
	for body, field := range map[string]string{`[]`: "body", `{"files":1}`: "files", `{`: "body", `{} {}`: "body", `{"wait":"yes"}`: "wait"} {
		_, err := c.Act(t.Context(), "c", "play", json.RawMessage(body))
		var wrong *session.FieldError
		require.ErrorAs(t, err, &wrong, body)
		require.Equal(t, field, wrong.Field, body)
	}
	_, err = c.Act(t.Context(), "c", "play", nil)
	require.ErrorContains(t, err, "playSources", "no body is an empty one")
}
