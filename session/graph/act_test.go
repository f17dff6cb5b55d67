package graph

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

func TestEveryAction(t *testing.T) {
	const running = `{"@odata.type":"#microsoft.graph.commsOperation","id":"0fe0623f-d628-42ed-b4bd-8ac290072cc5","status":"running"}`
	const roster = `{"value":[{"id":"row-1","info":{"identity":{"user":{"id":"112f7296"}}}}]}`
	for _, tc := range []struct {
		action, body, path, want string
		status                   int
	}{
		{"play", `{"files":["https://x/a.wav"],"operation_context":"o"}`, "/playPrompt",
			`{"clientContext":"o","prompts":[{"@odata.type":"#microsoft.graph.mediaPrompt","mediaInfo":{"@odata.type":"#microsoft.graph.mediaInfo","uri":"https://x/a.wav"}}]}`, 200},
		{"cancel", `{"operation_context":"o"}`, "/cancelMediaProcessing", `{"clientContext":"o"}`, 200},
		{"dtmf", `{"tones":"1#","operation_context":"o"}`, "/sendDtmfTones", `{"tones":["tone1","pound"],"clientContext":"o"}`, 200},
		{"add", `{"party":"8:orgid:112f7296","operation_context":"o"}`, "/participants/invite",
			`{"participants":[{"@odata.type":"#microsoft.graph.invitationParticipantInfo","identity":{"user":{"id":"112f7296"}}}],"clientContext":"o"}`, 200},
		{"remove", `{"party":"8:orgid:112f7296"}`, "/participants/row-1", ``, 204},
		{"remove", `{"party":"row-2"}`, "/participants/row-2", ``, 204},
		{"mute", `{"party":"8:orgid:112f7296","operation_context":"o"}`, "/participants/row-1/mute", `{"clientContext":"o"}`, 200},
		{"mute-self", `{"operation_context":"o"}`, "/mute", `{"clientContext":"o"}`, 200},
		{"unmute-self", `{"operation_context":"o"}`, "/unmute", `{"clientContext":"o"}`, 200},
		{"transfer", `{"to":"8:orgid:112f7296","party":"row-2","operation_context":"o"}`, "/transfer",
			`{"transferTarget":{"@odata.type":"#microsoft.graph.invitationParticipantInfo","identity":{"user":{"id":"112f7296"}}},"transferee":{"participantId":"row-2"},"clientContext":"o"}`, 202},
	} {
		f := newFakeGraph(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				reply(200, roster)(w, r)
				return
			}
			reply(tc.status, running)(w, r)
		})
		c, _ := testClient(t, f, ClientConfig{})
		result, err := c.Act(t.Context(), testCall, tc.action, json.RawMessage(tc.body))
		require.NoError(t, err, tc.action)
		require.True(t, json.Valid(result))
		got := f.last(t)
		require.Equal(t, "/v1.0/communications/calls/"+testCall+tc.path, got.path)
		if tc.want != "" {
			require.JSONEq(t, tc.want, got.body, tc.action)
		}
	}
}

func TestActThatWaits(t *testing.T) {
	f := newFakeGraph(t, reply(200, `{"id":"1","status":"completed","clientContext":"o"}`))
	c, _ := testClient(t, f, ClientConfig{})
	result, err := c.Act(t.Context(), testCall, "mute-self", json.RawMessage(`{"wait":true,"operation_context":"o"}`))
	require.NoError(t, err)
	var told session.ActionResult
	require.NoError(t, json.Unmarshal(result, &told))
	require.Equal(t, "o", told.OperationContext)
	require.Contains(t, string(told.End), "completed")
}

func TestActionsThatGraphLacks(t *testing.T) {
	f := newFakeGraph(t, reply(200, `{"value":[]}`))
	c, _ := testClient(t, f, ClientConfig{})
	for _, tc := range [][2]string{
		{"play", `{"text":"hello"}`}, {"play", `{"ssml":"<speak/>"}`}, {"play", `{"files":["https://x/y"],"to":["8:orgid:x"]}`},
		{"play", `{"files":["https://x/y"],"loop":true}`}, {"dtmf", `{"tones":"1","to":"4:+1"}`},
		{"add", `{"party":"8:orgid:x","caller_id":"+1"}`}, {"add", `{"party":"8:orgid:x","timeout":5}`},
		{"transfer", `{"to":"8:orgid:x","wait":true}`}, {"transfer", `{"to":"8:orgid:x","caller_id":"+1"}`},
	} {
		_, err := c.Act(t.Context(), testCall, tc[0], json.RawMessage(tc[1]))
		var lacks *session.UnsupportedError
		require.ErrorAs(t, err, &lacks, tc)
		require.ErrorContains(t, err, "Microsoft Graph has no ")
	}
	for _, tc := range [][3]string{
		{"play", `{}`, "files"}, {"dtmf", `{"tones":"x"}`, "tones"}, {"add", `{"party":"nobody"}`, "party"},
		{"mute", `{}`, "party"}, {"remove", `{"party":"8:orgid:stranger"}`, "party"}, {"transfer", `{}`, "to"}, {"play", `{"nonsense":1}`, "nonsense"},
	} {
		_, err := c.Act(t.Context(), testCall, tc[0], json.RawMessage(tc[1]))
		var wrong *session.FieldError
		require.ErrorAs(t, err, &wrong, tc)
		require.Equal(t, tc[2], wrong.Field)
	}
	_, err := c.Act(t.Context(), testCall, "sing", nil)
	require.ErrorIs(t, err, session.ErrUnknownAction)
	require.True(t, slices.IsSorted(c.Actions()))
}
