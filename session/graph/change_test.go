package graph

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChangeNotificationsSurvive(t *testing.T) {
	survives[ChangeNotifications](t, sample(t, "events-rich-notification"))
	survives[ChangeNotifications](t, richFile(t, "notification.json"))
}

// TestEventsInPascalCase: the keys that are seen on the wire.
func TestEventsInPascalCase(t *testing.T) {
	text := richFile(t, "plain-1.json")
	e := callEvent(t, text)
	require.Equal(t, RosterUpdated, e.Kind())
	require.Equal(t, "0b5d0d2e-2", e.ID)
	roster := e.Roster()
	require.Len(t, roster, 1)
	require.Equal(t, RemovalLeft, roster[0].Removal())
	require.Equal(t, "Zoë", roster[0].Info.Identity.DisplayName())
	require.Equal(t, "e1018298-976a-4956-93e8-f58e43b0016c", roster[0].ID)
}

func FuzzChangeNotifications(f *testing.F) {
	for _, name := range []string{"events-rich-notification", "events-roster-left", "events-call-started"} {
		f.Add(sample(f, name))
	}
	f.Add(richFile(f, "notification.json"))
	f.Add(richFile(f, "plain-1.json"))
	f.Add([]byte(`{"value":[null,{},[],{"subscriptionId":"1","lifecycleEvent":"Missed","resourceData":7}],"validationTokens":null}`))
	f.Add([]byte(`{"value":[{"subscriptionId":"1","subscriptionExpirationDateTime":"0000-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := parseChanges(data); err == nil {
			for _, item := range b.Items {
				require.NotEmpty(t, item.Notification.SubscriptionID)
				again, err := json.Marshal(item.Notification)
				require.NoError(t, err)
				var n ChangeNotification
				require.NoError(t, json.Unmarshal(again, &n))
				twice, err := json.Marshal(n)
				require.NoError(t, err)
				require.JSONEq(t, string(again), string(twice))
			}
		}
		_, _ = ParseCaptured(data)
		if e, err := callEventIn(eventsPrefix+"https%3A%2F%2Fh"+eventsSuffix, data); err == nil {
			e.Kind()
			for _, p := range e.Roster() {
				p.Row()
				p.Removal()
			}
		}
	})
}
