package cloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func changeSeed(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../session/graph/testdata/seeds/" + name)
	require.NoError(t, err)
	return text
}

func seedValue(t *testing.T, name string) (v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(changeSeed(t, name), &v))
	return v
}

var (
	placeholder = regexp.MustCompile(`\{[^}]*\}'?`)
	sampleTime  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$`)
)

// requireLike compares a value with a document's sample, field by field:
// the same keys, the same types, and the same constants. Times differ, and so
// does what the sample has a placeholder for.
func requireLike(t *testing.T, want, got any, at string) {
	t.Helper()
	require.IsType(t, want, got, at)
	switch want := want.(type) {
	case map[string]any:
		got := got.(map[string]any)
		require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)), at)
		for name := range want {
			requireLike(t, want[name], got[name], at+"."+name)
		}
	case []any:
		got := got.([]any)
		require.Len(t, got, len(want), at)
		for i := range want {
			requireLike(t, want[i], got[i], fmt.Sprintf("%s[%d]", at, i))
		}
	case string:
		if sampleTime.MatchString(want) {
			require.Regexp(t, sampleTime, got, at)
			return
		}
		pattern := "^" + strings.Join(quoteAll(placeholder.Split(want, -1)), ".+") + "$"
		require.Regexp(t, pattern, got, at)
	default:
		require.Equal(t, want, got, at)
	}
}

func quoteAll(parts []string) []string {
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return parts
}

// The documents' events: what the emulator is told, and what is decrypted.
var changeEvents = map[string]MeetingCallEvent{
	"events-call-started.json": {Type: CallStarted},
	"events-call-ended.json":   {Type: CallEnded},
	"events-roster-joined.json": {Type: RosterUpdated, Participants: []MeetingCallParticipant{
		{ID: "e1018298-976a-4956-93e8-f58e43b0016c", UserID: "f3ce5e01-0724-43c7-ae4d-80ca18703a96", DisplayName: "A user roster update in the call", TenantID: "f69f5191-20ae-4093-8dae-3ec09edeb253"},
		{ID: "a7cc3ddb-a469-410d-8057-44dba3b0c073", UserID: "e8bbbe0e-6e3d-42db-9082-213abbe8ee5c", DisplayName: "User roster update in the lobby of the call", TenantID: "f69f5191-20ae-4093-8dae-3ec09edeb253", InLobby: true},
	}},
	"events-roster-inactive.json": {Type: RosterUpdated, Participants: []MeetingCallParticipant{
		{ID: "e1018298-976a-4956-93e8-f58e43b0016c", UserID: "f3ce5e01-0724-43c7-ae4d-80ca18703a96", DisplayName: "A user change within the meeting call", TenantID: "f69f5191-20ae-4093-8dae-3ec09edeb253", RemovedReason: RemovedInactive},
	}},
	"events-roster-left.json": {Type: RosterUpdated, Participants: []MeetingCallParticipant{
		{ID: "347040dd-aa51-4ada-8a44-510c65a3a2d3", UserID: "e98eb11c-8385-445e-8b19-4a2f169ac5bc", DisplayName: "User that is leaving the call", TenantID: "f69f5191-20ae-4093-8dae-3ec09edeb253", RemovedReason: RemovedLeft},
	}},
}

func TestChangeNotificationsOfTheDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		id := b.subscribe(nil)
		for name, e := range changeEvents {
			e.Time = time.Now()
			require.Equal(t, 1, b.c.event(changeMeeting, e), name)
			synctest.Wait()
			posts := b.posts()
			require.Len(t, posts, 1, name)
			require.Equal(t, "/notify?key=1", posts[0].path)
			requireLike(t, seedValue(t, "events-rich-notification.json"), any(posts[0].body), "notification")
			item := posts[0].items()[0]
			require.Equal(t, id, item["subscriptionId"])
			require.Equal(t, "secret", item["clientState"])
			require.Equal(t, "first", item["encryptedContent"].(map[string]any)["encryptionCertificateId"])
			plain, err := decryptChange(t, item)
			require.NoError(t, err)
			requireLike(t, seedValue(t, name), any(plain), name)
			require.Equal(t, item["resourceData"].(map[string]any)["id"], plain["id"])
			require.Equal(t, graphDate(e.Time), plain["eventDateTime"])
		}
		require.Zero(t, b.c.event("https://teams.microsoft.com/meet/1", MeetingCallEvent{Type: CallStarted}))
	})
}

// A basic notification is the rich one without what is encrypted.
func TestBasicChangeNotification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		b.subscribe(map[string]any{"includeResourceData": nil, "encryptionCertificate": nil, "encryptionCertificateId": nil})
		b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted})
		synctest.Wait()
		want := seedValue(t, "events-rich-notification.json").(map[string]any)
		delete(want, "validationTokens")
		delete(want["value"].([]any)[0].(map[string]any), "encryptedContent")
		requireLike(t, any(want), any(b.posts()[0].body), "notification")
	})
}

// Seen in 2026: the content's keys are in PascalCase.
func TestRealChangeContent(t *testing.T) {
	e := changeEvents["events-roster-inactive.json"]
	e.Time = time.Date(2026, 8, 12, 9, 0, 0, 0, time.UTC)
	require.JSONEq(t, `{"@odata.type":"#microsoft.graph.callevent","@odata.id":"r","Id":"n","EventType":"rosterUpdated",
		"EventDateTime":"2026-08-12T09:00:00.0000000Z","Participants@delta":[{"Id":"e1018298-976a-4956-93e8-f58e43b0016c","IsInLobby":false,
		"Info":{"Identity":{"User":{"Id":"f3ce5e01-0724-43c7-ae4d-80ca18703a96","DisplayName":"A user change within the meeting call","TenantId":"f69f5191-20ae-4093-8dae-3ec09edeb253"}}},
		"RemovedState":{"Reason":"Participant has entered an inactive state in the roster."}}]}`, string(e.content("n", "r", true)))
	require.Contains(t, string(MeetingCallEvent{Type: RosterUpdated}.content("n", "r", true)), `"Participants@delta":[]`)
}

// The properties of the document's response, with the values of its request.
func TestCreatedSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		m := b.request(nil)
		status, v := b.do("POST", "", m)
		require.Equal(t, 201, status, v)
		require.Regexp(t, sampleTime, v["expirationDateTime"])
		want := map[string]any{
			"@odata.context": "https://graph.microsoft.com/beta/$metadata#subscriptions/$entity",
			"id":             v["id"], "creatorId": v["creatorId"], "applicationId": b.app.ID,
			"resource": m["resource"], "changeType": "updated", "clientState": "secret", "includeResourceData": true,
			"notificationUrl": m["notificationUrl"], "lifecycleNotificationUrl": m["lifecycleNotificationUrl"],
			"expirationDateTime": m["expirationDateTime"], "encryptionCertificate": nil, "encryptionCertificateId": "first",
			"latestSupportedTlsVersion": "v1_2", "notificationContentType": nil, "notificationQueryOptions": nil, "notificationUrlAppId": nil,
		}
		require.Equal(t, want, v)
		status, got := b.do("GET", "/"+v["id"].(string), nil)
		require.Equal(t, 200, status)
		require.Equal(t, want, got)
		delete(want, "@odata.context")
		status, got = b.do("GET", "", nil)
		require.Equal(t, 200, status)
		require.Equal(t, map[string]any{"@odata.context": changeContext, "value": []any{want}}, got)
	})
}
