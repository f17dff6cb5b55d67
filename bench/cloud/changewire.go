package cloud

import (
	"encoding/json"
	"strings"
	"time"
)

// The documents obeyed here: "subscription resource type", "Set up change
// notifications that include resource data" and "Get change notifications for
// Microsoft Teams meeting call updates" (learn.microsoft.com/graph).

// graphTime is how Graph, Event Grid and recordings write times: UTC, in units
// of 100 ns.
const graphTime = "2006-01-02T15:04:05.0000000Z"

func graphDate(t time.Time) string { return t.UTC().Format(graphTime) }

// changeContext is @odata.context of responses. It names the real service: it
// says what the body is, not where it came from.
const changeContext = "https://graph.microsoft.com/beta/$metadata#subscriptions"

// changeSubscriptionRequest is the body of POST and PATCH. A property that is
// missing or null is nil.
type changeSubscriptionRequest struct {
	ChangeType               *string `json:"changeType"`
	NotificationURL          *string `json:"notificationUrl"`
	LifecycleNotificationURL *string `json:"lifecycleNotificationUrl"`
	Resource                 *string `json:"resource"`
	IncludeResourceData      *bool   `json:"includeResourceData"`
	EncryptionCertificate    *string `json:"encryptionCertificate"`
	EncryptionCertificateID  *string `json:"encryptionCertificateId"`
	ExpirationDateTime       *string `json:"expirationDateTime"`
	ClientState              *string `json:"clientState"`
}

// decodeSubscription reads a request. Unknown properties are ignored.
func decodeSubscription(body []byte) (r changeSubscriptionRequest, bad *changeRefusal) {
	if err := json.Unmarshal(body, &r); err != nil {
		return r, invalidChange("Could not process subscription creation payload. "+
			"Are all property names spelled and camelCased properly? Also are the datetimeoffsets in a valid internet Date and Time format? %v", err)
	}
	return r, nil
}

// changeSubscriptionModel is a subscription in a response. What the service does not
// have is null, and so is the certificate, always.
type changeSubscriptionModel struct {
	Context                   string  `json:"@odata.context,omitempty"`
	ID                        string  `json:"id"`
	Resource                  string  `json:"resource"`
	ApplicationID             string  `json:"applicationId"`
	ChangeType                string  `json:"changeType"`
	ClientState               *string `json:"clientState"`
	NotificationURL           string  `json:"notificationUrl"`
	NotificationQueryOptions  *string `json:"notificationQueryOptions"`
	LifecycleNotificationURL  *string `json:"lifecycleNotificationUrl"`
	ExpirationDateTime        string  `json:"expirationDateTime"`
	CreatorID                 string  `json:"creatorId"`
	IncludeResourceData       *bool   `json:"includeResourceData"`
	LatestSupportedTLSVersion string  `json:"latestSupportedTlsVersion"`
	EncryptionCertificate     *string `json:"encryptionCertificate"`
	EncryptionCertificateID   *string `json:"encryptionCertificateId"`
	NotificationURLAppID      *string `json:"notificationUrlAppId"`
	NotificationContentType   *string `json:"notificationContentType"`
}

// notificationBatch is the body of a delivery.
type notificationBatch struct {
	Value            []json.RawMessage `json:"value"`
	ValidationTokens []string          `json:"validationTokens,omitempty"`
}

// changeNotification tells of one event. Without EncryptedContent it is a
// basic one.
type changeNotification struct {
	SubscriptionID                 string            `json:"subscriptionId"`
	ClientState                    *string           `json:"clientState,omitempty"`
	ChangeType                     string            `json:"changeType"`
	TenantID                       string            `json:"tenantId"`
	Resource                       string            `json:"resource"`
	SubscriptionExpirationDateTime string            `json:"subscriptionExpirationDateTime"`
	ResourceData                   changeResource    `json:"resourceData"`
	OrganizationID                 string            `json:"organizationId"`
	EncryptedContent               *encryptedContent `json:"encryptedContent,omitempty"`
}

// encryptedContent is the resource data of a rich notification.
type encryptedContent struct {
	Data                            []byte `json:"data"`
	DataSignature                   []byte `json:"dataSignature"`
	DataKey                         []byte `json:"dataKey"`
	EncryptionCertificateID         string `json:"encryptionCertificateId"`
	EncryptionCertificateThumbprint string `json:"encryptionCertificateThumbprint"`
}

type changeResource struct {
	ODataID   string `json:"@odata.id"`
	ODataType string `json:"@odata.type"`
	ID        string `json:"id"`
}

// callEventType is @odata.type; the small e of event is the documents' own.
const callEventType = "#microsoft.graph.callevent"

// lifecycleNotification tells of the subscription itself.
type lifecycleNotification struct {
	SubscriptionID                 string         `json:"subscriptionId"`
	SubscriptionExpirationDateTime string         `json:"subscriptionExpirationDateTime"`
	TenantID                       string         `json:"tenantId"`
	ClientState                    *string        `json:"clientState,omitempty"`
	LifecycleEvent                 LifecycleEvent `json:"lifecycleEvent"`
}

// LifecycleEvent is what a lifecycle notification tells.
type LifecycleEvent string

// Lifecycle events ("Reduce missing subscriptions and change notifications").
// The cloud sends the latter two for other resources than meetingCallEvents;
// the emulator lets a bot see them all the same.
const (
	ReauthorizationRequired LifecycleEvent = "reauthorizationRequired"
	SubscriptionRemoved     LifecycleEvent = "subscriptionRemoved"
	Missed                  LifecycleEvent = "missed"
)

// MeetingCallEventType is eventType of a MeetingCallEvent.
type MeetingCallEventType string

// Events of a meeting's call.
const (
	CallStarted   MeetingCallEventType = "callStarted"
	CallEnded     MeetingCallEventType = "callEnded"
	RosterUpdated MeetingCallEventType = "rosterUpdated"
)

// Reasons why somebody is not in a meeting's call any more, as the documents
// have them.
const (
	RemovedLeft     = "Participant has left the meeting call."
	RemovedInactive = "Participant has entered an inactive state in the roster."
)

// MeetingCallEvent is what happened in the call of an online meeting.
type MeetingCallEvent struct {
	Type MeetingCallEventType `json:"type"`
	Time time.Time            `json:"time,omitzero"` // zero means now
	// Participants that came, changed or left; for RosterUpdated only.
	Participants []MeetingCallParticipant `json:"participants,omitempty"`
}

// MeetingCallParticipant is somebody in a meeting's call or lobby, or somebody
// who was.
type MeetingCallParticipant struct {
	ID          string `json:"id"`
	UserID      string `json:"user_id"`
	DisplayName string `json:"display_name"`
	TenantID    string `json:"tenant_id"`
	InLobby     bool   `json:"in_lobby,omitempty"`
	// RemovedReason says why the participant is gone; empty means it is there.
	RemovedReason string `json:"removed_reason,omitempty"`
}

// content is the plaintext of a rich notification: what the event is, for the
// notification with that id. The documents show its keys in camelCase. The
// cloud writes PascalCase (seen in 2026), annotations aside, if pascal is set.
func (e MeetingCallEvent) content(id, resource string, pascal bool) []byte {
	key := func(name string) string {
		if pascal {
			return strings.ToUpper(name[:1]) + name[1:]
		}
		return name
	}
	c := map[string]any{
		"@odata.type": callEventType, "@odata.id": resource, key("id"): id,
		key("eventType"): e.Type, key("eventDateTime"): graphDate(e.Time),
	}
	if e.Type == RosterUpdated {
		delta := make([]any, 0, len(e.Participants))
		for _, p := range e.Participants {
			user := map[string]any{key("id"): p.UserID, key("displayName"): p.DisplayName, key("tenantId"): p.TenantID}
			item := map[string]any{
				key("info"):      map[string]any{key("identity"): map[string]any{key("user"): user}},
				key("isInLobby"): p.InLobby, key("id"): p.ID,
			}
			if p.RemovedReason != "" {
				item[key("removedState")] = map[string]any{key("reason"): p.RemovedReason}
			}
			delta = append(delta, item)
		}
		c[key("participants@delta")] = delta
	}
	return marshal(c)
}
