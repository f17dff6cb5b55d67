package session

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// actingCloud is a fakeCloud that can do one thing.
type actingCloud struct{ *fakeCloud }

func (actingCloud) Actions() []string { return []string{"play"} }

func (actingCloud) Act(_ context.Context, callID, action string, body json.RawMessage) (json.RawMessage, error) {
	return json.Marshal([]string{callID, action, string(body)})
}

func TestActionsGoToTheCallsCloud(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.create()
		require.Nil(w, c.Actions())
		_, err := c.Act(w.Context(), "play", nil)
		require.ErrorIs(w, err, ErrUnknownAction)
		require.ErrorContains(w, err, "has none")

		acting := &Call{cloud: actingCloud{w.cloud}, id: "mine"}
		require.Equal(w, []string{"play"}, acting.Actions())
		_, err = acting.Act(w.Context(), "play", nil)
		require.ErrorContains(w, err, "has not told its id yet")
		acting.conn.CallID = "c1"
		got, err := acting.Act(w.Context(), "play", json.RawMessage(`{}`))
		require.NoError(w, err)
		require.JSONEq(w, `["c1","play","{}"]`, string(got))
	})
	require.EqualError(t, &UnsupportedError{What: "mute", Version: "api-version 1", In: "2"}, "api-version 1 has no mute; 2 has")
	require.EqualError(t, &UnsupportedError{What: "mute", Version: "X"}, "X has no mute")
}
