package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// ChangeNotifications is what one POST of a subscription holds
// (changeNotificationCollection).
type ChangeNotifications struct {
	Value []ChangeNotification `json:"value,omitzero"`
	// ValidationTokens prove where rich notifications come from: a JWT for
	// each pair of app and tenant among them.
	ValidationTokens []string `json:"validationTokens,omitzero"`
	Extra            Extra    `json:"-"`
}

// ChangeNotification tells of a change (changeNotification), or with a
// LifecycleEvent of the subscription itself.
type ChangeNotification struct {
	ID             string `json:"id,omitzero"`
	SubscriptionID string `json:"subscriptionId,omitzero"`
	// ClientState is a secret of the subscription.
	ClientState                    string   `json:"clientState,omitzero"`
	ChangeType                     Enum     `json:"changeType,omitzero"`
	LifecycleEvent                 Enum     `json:"lifecycleEvent,omitzero"`
	TenantID                       string   `json:"tenantId,omitzero"`
	OrganizationID                 string   `json:"organizationId,omitzero"`
	Resource                       string   `json:"resource,omitzero"`
	SubscriptionExpirationDateTime DateTime `json:"subscriptionExpirationDateTime,omitzero"`
	// ResourceData names what changed; in a rich notification it says no
	// more, the rest is EncryptedContent.
	ResourceData     json.RawMessage   `json:"resourceData,omitzero"`
	EncryptedContent *EncryptedContent `json:"encryptedContent,omitzero"`
	Extra            Extra             `json:"-"`
}

// String tells the notification without its secret and content.
func (n ChangeNotification) String() string {
	return fmt.Sprintf("graph.ChangeNotification{SubscriptionID:%q ChangeType:%q LifecycleEvent:%q Resource:%q}",
		clip(n.SubscriptionID), n.ChangeType, n.LifecycleEvent, clip(n.Resource))
}

// GoString is String, so that %#v tells no secret either.
func (n ChangeNotification) GoString() string { return n.String() }

type plainChangeNotifications ChangeNotifications

// UnmarshalJSON implements json.Unmarshaler.
func (c *ChangeNotifications) UnmarshalJSON(data []byte) error {
	return readOpen(data, (*plainChangeNotifications)(c))
}

// MarshalJSON implements json.Marshaler.
func (c ChangeNotifications) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainChangeNotifications(c)))
}

type plainChangeNotification ChangeNotification

// UnmarshalJSON implements json.Unmarshaler.
func (n *ChangeNotification) UnmarshalJSON(data []byte) error {
	return readOpen(data, (*plainChangeNotification)(n))
}

// MarshalJSON implements json.Marshaler.
func (n ChangeNotification) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainChangeNotification(n)))
}

// LifecycleEvent is what the service tells of a subscription itself. Source:
// "Reduce missing subscriptions and change notifications", Microsoft Graph.
type LifecycleEvent Enum

// The lifecycle events.
const (
	// LifecycleReauthorize: notifications stop unless the app renews or
	// reauthorizes the subscription.
	LifecycleReauthorize LifecycleEvent = "reauthorizationRequired"
	// LifecycleRemoved: there is no such subscription any more.
	LifecycleRemoved LifecycleEvent = "subscriptionRemoved"
	// LifecycleMissed: some notifications were not delivered.
	LifecycleMissed LifecycleEvent = "missed"
)

// lifecycleOf puts the event into the documents' spelling; others survive.
func lifecycleOf(e Enum) LifecycleEvent {
	for _, known := range []LifecycleEvent{LifecycleReauthorize, LifecycleRemoved, LifecycleMissed} {
		if e.is(string(known)) {
			return known
		}
	}
	return LifecycleEvent(e)
}

// changeBatch is what one POST holds, as far as it can be read.
type changeBatch struct {
	Items  []changeItem
	Bad    []error
	Tokens []string
}

// changeItem is a notification and its size as it came, in bytes.
type changeItem struct {
	Index        int
	Notification ChangeNotification
	Size         int
}

// parseChanges reads a POST. A notification that cannot be read is reported by
// itself; an error means that there are none. Errors hold no secret.
func parseChanges(body []byte) (changeBatch, error) {
	var envelope struct {
		Value  *[]json.RawMessage `json:"value"`
		Tokens []string           `json:"validationTokens"`
	}
	if err := unmarshal(body, &envelope); err != nil {
		return changeBatch{}, fmt.Errorf("body: %w", err)
	}
	if envelope.Value == nil {
		return changeBatch{}, errors.New("body: value is missing")
	}
	b := changeBatch{Tokens: envelope.Tokens}
	for i, raw := range *envelope.Value {
		item := changeItem{Index: i, Size: len(raw)}
		err := unmarshal(raw, &item.Notification)
		switch {
		case err != nil:
		case string(bytes.TrimSpace(raw)) == "null":
			err = errors.New("is null")
		case item.Notification.SubscriptionID == "":
			err = errors.New("subscriptionId is missing")
		}
		if err != nil {
			b.Bad = append(b.Bad, fmt.Errorf("value[%d]: %w", i, err))
			continue
		}
		b.Items = append(b.Items, item)
	}
	return b, nil
}

// ParseCaptured reads what was kept of notifications: the body of a POST, one
// of the notifications in it, or one encryptedContent alone. It checks no
// token and decrypts nothing.
func ParseCaptured(text []byte) ([]ChangeNotification, error) {
	var shape struct {
		Value            json.RawMessage `json:"value"`
		EncryptedContent json.RawMessage `json:"encryptedContent"`
		ResourceData     json.RawMessage `json:"resourceData"`
		DataKey          json.RawMessage `json:"dataKey"`
	}
	if err := unmarshal(text, &shape); err != nil {
		return nil, fmt.Errorf("graph: captured notification: %w", err)
	}
	var err error
	var all ChangeNotifications
	switch {
	case shape.Value != nil:
		err = unmarshal(text, &all)
	case shape.EncryptedContent != nil || shape.ResourceData != nil:
		all.Value = make([]ChangeNotification, 1)
		err = unmarshal(text, &all.Value[0])
	case shape.DataKey != nil:
		all.Value = []ChangeNotification{{EncryptedContent: &EncryptedContent{}}}
		err = unmarshal(text, all.Value[0].EncryptedContent)
	default:
		err = errors.New("has neither value, encryptedContent nor dataKey")
	}
	if err != nil {
		return nil, fmt.Errorf("graph: captured notification: %w", err)
	}
	return all.Value, nil
}

// resourceType is the @odata.type of resource data, "" if it has none.
func resourceType(data []byte) string {
	var head struct {
		Type string `json:"@odata.type"`
	}
	_ = json.Unmarshal(data, &head) // "" is an answer
	return strings.ToLower(kindOf(head.Type))
}

// callEventIn reads the event in a resource, nil if the resource is of another
// type: the app can subscribe to more than meetings.
func callEventIn(resource string, data []byte) (*CallEvent, error) {
	var event CallEvent
	kind := resourceType(data)
	if kind != "callevent" && !isMeetingCallEvents(resource) {
		if !json.Valid(data) {
			return nil, errors.New("is not JSON")
		}
		return nil, nil
	}
	if err := unmarshal(data, &event); err != nil {
		return nil, err
	}
	return &event, nil
}
