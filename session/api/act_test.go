package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// Actions and Act make cloud a session.Actor.
func (c *cloud) Actions() []string { return []string{"play"} }

func (c *cloud) Act(_ context.Context, callID, action string, body json.RawMessage) (json.RawMessage, error) {
	if err := c.note("act %s %s %s", callID, action, body); err != nil {
		return nil, err
	}
	if action != "play" {
		return nil, fmt.Errorf("%w %q: want one of play", session.ErrUnknownAction, action)
	}
	return json.RawMessage(`{"operation_context":"o"}`), nil
}

func TestAct(t *testing.T) {
	w := newWorld(t, Config{}, session.Config{})
	ctx := t.Context()
	s, err := w.Create(ctx, CallRequest{Cloud: "acs", Request: json.RawMessage(`{}`)})
	require.NoError(t, err)

	result, err := w.Act(ctx, s.ID, session.ActionPlay, session.PlayAction{
		Files: []string{"https://x/y.wav"}, Await: session.Await{Wait: true},
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"operation_context":"o"}`, string(result))
	require.Contains(t, w.cloud.lines(), `act c1 play {"files":["https://x/y.wav"],"wait":true}`)
	_, err = w.Act(ctx, s.CallID, "play", nil)
	require.NoError(t, err, "without a body, by the cloud's id")
	require.Contains(t, w.cloud.lines(), `act c1 play {}`)

	_, err = w.Act(ctx, s.ID, "sing", struct{}{})
	e := code(t, err, http.StatusNotFound)
	require.Equal(t, "unknown_action", e.Code)
	require.Contains(t, e.Message, "want one of play")
	_, err = w.Act(ctx, "nobody", "play", struct{}{})
	require.Equal(t, "unknown_call", code(t, err, http.StatusNotFound).Code)
	_, err = w.Act(ctx, s.ID, "play", []int{1})
	require.Equal(t, "bad_json", code(t, err, http.StatusBadRequest).Code)

	for _, tc := range []struct {
		refusal      error
		status       int
		word, detail string
	}{
		{&session.Error{Cloud: "acs", Op: "play", Err: &session.FieldError{Field: "playSources", Want: "want one"}}, 400, "bad_field", "playSources"},
		{&session.Error{Cloud: "acs", Op: "mute", Err: &session.UnsupportedError{What: "mute", Version: "api-version 1", In: "2"}}, 501, "unsupported", "api-version 1 has no mute; 2 has"},
		{&session.Error{Cloud: "acs", Op: "play", Status: 400, Code: "PlayFailed", SubCode: 8536, Message: "no file"}, 502, "cloud_refused", "8536"},
		{fmt.Errorf("acs: play of call c1: %w", session.ErrEnded), 409, "call_ended", "play"},
		{fmt.Errorf("acs: play of call c1: %w", context.DeadlineExceeded), 504, "timeout", "play"},
	} {
		w.cloud.refuse(tc.refusal)
		_, err = w.Act(ctx, s.ID, "play", struct{}{})
		e := code(t, err, tc.status)
		require.Equal(t, tc.word, e.Code)
		require.Contains(t, e.Message, tc.detail)
	}
	w.cloud.refuse(nil)

	resp, err := w.server.Client().Get(w.server.URL + "/v1/calls/" + s.ID + "/play")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	require.Equal(t, "POST", resp.Header.Get("Allow"))
	long, err := w.server.Client().Post(w.server.URL+"/v1/calls/"+s.ID+"/play", "application/json", strings.NewReader(`{"text":"`+strings.Repeat("x", 1<<20)+`"}`))
	require.NoError(t, err)
	defer long.Body.Close()
	require.Equal(t, http.StatusRequestEntityTooLarge, long.StatusCode)
}
