package graph

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEventSamplesSurvive: every decrypted event of the document is read and
// written again.
func TestEventSamplesSurvive(t *testing.T) {
	for _, name := range []string{"call-started", "call-ended", "roster-joined", "roster-inactive", "roster-left"} {
		survives[CallEvent](t, sample(t, "events-"+name))
	}
}

func callEvent(t *testing.T, text []byte) *CallEvent {
	t.Helper()
	e := new(CallEvent)
	require.NoError(t, json.Unmarshal(text, e))
	return e
}

func TestCallEvents(t *testing.T) {
	at := time.Date(2022, 2, 28, 0, 0, 0, 0, time.UTC)
	for name, want := range map[string]CallEventKind{"call-started": CallStarted, "call-ended": CallEnded, "roster-joined": RosterUpdated} {
		e := callEvent(t, sample(t, "events-"+name))
		require.Equal(t, want, e.Kind())
		require.Equal(t, e.EventType, e.Kind().String())
		require.Equal(t, at, e.EventDateTime.Time)
		require.Equal(t, "#microsoft.graph.callevent", e.ODataType)
	}
	joined := callEvent(t, sample(t, "events-roster-joined")).Roster()
	require.Len(t, joined, 2)
	require.False(t, joined[0].IsInLobby)
	require.True(t, joined[1].IsInLobby)
	require.Equal(t, "8:orgid:f3ce5e01-0724-43c7-ae4d-80ca18703a96", joined[0].Row().RawID)
	require.Equal(t, "f69f5191-20ae-4093-8dae-3ec09edeb253", joined[0].Info.Identity.User.TenantID)
	require.Equal(t, RemovalNone, joined[0].Removal())

	gone := callEvent(t, sample(t, "events-roster-inactive")).Roster()
	require.Equal(t, RemovalInactive, gone[0].Removal())
	require.Equal(t, "inactive", gone[0].Removal().String())
	gone = callEvent(t, sample(t, "events-roster-left")).Roster()
	require.Equal(t, RemovalLeft, gone[0].Removal())
	require.Equal(t, "User that is leaving the call", gone[0].Info.Identity.DisplayName())
	other := Participant{RemovedState: &RemovedState{Reason: "was removed"}}
	require.Equal(t, RemovalOther, other.Removal())
}

// TestEventsOf2021: the forms before the present one.
func TestEventsOf2021(t *testing.T) {
	const text = `{"@odata.type":"#Microsoft.Graph.onlineMeeting","eventType":"Microsoft.Communication.CallRosterUpdate","state":"active","new":[1],
		"activeParticipants@joined":[{"id":"1","identity":{"User":{"Id":"U","DisplayName":"Ann","TenantId":"T"}}},{"id":"2","AzureCommunicationServicesUser":{"Id":"8:acs:x"}}],
		"activeParticipants@exited":[{"id":"3","identity":{"User":{"Id":"V","DisplayName":"Bob","TenantId":"T"}},"hidden":false}]}`
	survivesLoosely(t, text)
	e := callEvent(t, []byte(text))
	require.Equal(t, RosterUpdated, e.Kind())
	roster := e.Roster()
	require.Len(t, roster, 3)
	require.Equal(t, "8:orgid:u", roster[0].Row().RawID)
	require.Equal(t, "8:acs:x", roster[1].Row().RawID)
	require.Equal(t, RemovalLeft, roster[2].Removal())
	require.JSONEq(t, "false", string(roster[2].Extra["hidden"]))
	for in, want := range map[string]CallEventKind{
		"Microsoft.Communication.CallStarted": CallStarted, "Microsoft.Communication.CallEnded": CallEnded,
		"CALLENDED": CallEnded, "transcriptionStarted": CallOther, "": CallOther,
	} {
		require.Equal(t, want, (&CallEvent{EventType: in}).Kind())
	}
	e = callEvent(t, []byte(`{"callEventType":"rosterUpdated","participants":[{"id":"p"}]}`))
	require.Equal(t, RosterUpdated, e.Kind())
	require.Len(t, e.Roster(), 1, "as the published type names them")
	e = callEvent(t, []byte(`{"activeParticipants@delta":[{"id":"1"}],"activeParticipants@remove":[{"id":"2"}]}`))
	require.Len(t, e.Roster(), 2)
}

// survivesLoosely: what is unknown in text is kept.
func survivesLoosely(t *testing.T, text string) {
	t.Helper()
	again, err := json.Marshal(callEvent(t, []byte(text)))
	require.NoError(t, err)
	require.Contains(t, string(again), `"new":[1]`)
	require.Contains(t, string(again), `"hidden":false`)
}

func TestDateTime(t *testing.T) {
	for in, want := range map[string]string{
		`"2026-02-01T11:00:00Z"`:               `"2026-02-01T11:00:00.0000000Z"`,
		`"2026-02-01T12:00:00.12345678+01:00"`: `"2026-02-01T11:00:00.1234567Z"`,
		`"2026-02-01T11:00:00.5"`:              `"2026-02-01T11:00:00.5000000Z"`,
	} {
		var d DateTime
		require.NoError(t, json.Unmarshal([]byte(in), &d))
		out, err := json.Marshal(d)
		require.NoError(t, err)
		require.Equal(t, want, string(out))
	}
	var d DateTime
	require.NoError(t, json.Unmarshal([]byte("null"), &d))
	require.True(t, d.IsZero())
	require.ErrorContains(t, json.Unmarshal([]byte(`"tomorrow"`), &d), `date "tomorrow"`)
	require.Error(t, json.Unmarshal([]byte(`7`), &d))
}
