package graph

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of subscriptions. Source: "subscription resource type" and "Create
// subscription", Microsoft Graph.
const (
	// MaxEventsLifetime is how long a subscription to a meeting's call events
	// can last before it is renewed.
	MaxEventsLifetime = 3 * 24 * time.Hour
	// maxClientState is in characters.
	maxClientState = 255
	// lifecycleAfter is the lifetime from which on a subscription to Teams'
	// resources needs a lifecycleNotificationUrl. It cannot be given later.
	lifecycleAfter = time.Hour
)

// Subscription asks the service to post changes of a resource (subscription).
type Subscription struct {
	ODataType string `json:"@odata.type,omitzero"`
	ID        string `json:"id,omitzero"`
	// ChangeType is created, updated, deleted, or several with commas;
	// "updated" for MeetingCallEvents.
	ChangeType string `json:"changeType,omitzero"`
	// NotificationURL and LifecycleNotificationURL are https; they may be
	// the same.
	NotificationURL          string `json:"notificationUrl,omitzero"`
	LifecycleNotificationURL string `json:"lifecycleNotificationUrl,omitzero"`
	// Resource, with or without a slash before it: MeetingCallEvents.
	Resource           string   `json:"resource,omitzero"`
	ExpirationDateTime DateTime `json:"expirationDateTime,omitzero"`
	// ClientState is a secret that comes back in each notification, at most
	// 255 characters. The service tells it to nobody who asks.
	ClientState string `json:"clientState,omitzero"`
	// IncludeResourceData makes notifications rich: they hold the resource,
	// encrypted for EncryptionCertificate, which is PEM or the base64 within
	// it. EncryptionCertificateID is the app's own name of that, at most 128
	// characters.
	IncludeResourceData     bool   `json:"includeResourceData,omitzero"`
	EncryptionCertificate   string `json:"encryptionCertificate,omitzero"`
	EncryptionCertificateID string `json:"encryptionCertificateId,omitzero"`

	// What the service adds.
	ApplicationID             string `json:"applicationId,omitzero"`
	CreatorID                 string `json:"creatorId,omitzero"`
	LatestSupportedTLSVersion string `json:"latestSupportedTlsVersion,omitzero"`
	NotificationContentType   string `json:"notificationContentType,omitzero"`
	NotificationQueryOptions  string `json:"notificationQueryOptions,omitzero"`
	NotificationURLAppID      string `json:"notificationUrlAppId,omitzero"`
	Extra                     Extra  `json:"-"`
}

// String tells the subscription without its secret.
func (s Subscription) String() string {
	return fmt.Sprintf("graph.Subscription{ID:%q Resource:%q ExpirationDateTime:%s}",
		s.ID, clip(s.Resource), s.ExpirationDateTime.Format(time.RFC3339))
}

// GoString is String, so that %#v tells no secret either.
func (s Subscription) GoString() string { return s.String() }

type plainSubscription Subscription

// UnmarshalJSON implements json.Unmarshaler.
func (s *Subscription) UnmarshalJSON(data []byte) error {
	return readOpen(data, (*plainSubscription)(s))
}

// MarshalJSON implements json.Marshaler.
func (s Subscription) MarshalJSON() ([]byte, error) {
	return writeOpen(reflect.ValueOf(plainSubscription(s)))
}

// check tells what the service would refuse, and puts the certificate into
// the form that it takes.
func (s *Subscription) check(now time.Time, insecure bool) error {
	if err := checkChangeType(s.ChangeType); err != nil {
		return err
	}
	if _, err := parseURL("notificationUrl", s.NotificationURL, insecure); err != nil {
		return err
	}
	if s.LifecycleNotificationURL != "" {
		if _, err := parseURL("lifecycleNotificationUrl", s.LifecycleNotificationURL, insecure); err != nil {
			return err
		}
	}
	if strings.Trim(s.Resource, "/") == "" {
		return errors.New("resource is empty")
	}
	if n := utf8.RuneCountInString(s.ClientState); n > maxClientState {
		return fmt.Errorf("clientState of %d characters: want at most %d", n, maxClientState)
	}
	if err := s.checkExpiry(now); err != nil {
		return err
	}
	if !s.IncludeResourceData {
		return nil
	}
	return checkCertificate(&s.EncryptionCertificate, s.EncryptionCertificateID)
}

func checkChangeType(list string) error {
	for one := range strings.SplitSeq(list, ",") {
		switch strings.ToLower(strings.TrimSpace(one)) {
		case "created", "updated", "deleted":
		default:
			return fmt.Errorf("changeType %q: want created, updated or deleted, several with commas", clip(list))
		}
	}
	return nil
}

func (s *Subscription) checkExpiry(now time.Time) error {
	left := s.ExpirationDateTime.Sub(now)
	switch {
	case s.ExpirationDateTime.IsZero():
		return errors.New("expirationDateTime is missing")
	case left <= 0:
		return fmt.Errorf("expirationDateTime %s: has passed, it is %s",
			s.ExpirationDateTime.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case left > MaxEventsLifetime && isMeetingCallEvents(s.Resource):
		return fmt.Errorf("expirationDateTime %s: is %v ahead, want at most %v for this resource",
			s.ExpirationDateTime.Format(time.RFC3339), left.Round(time.Second), MaxEventsLifetime)
	case left > lifecycleAfter && s.LifecycleNotificationURL == "" && ofTeams(s.Resource):
		return fmt.Errorf("lifecycleNotificationUrl is missing: this resource needs one if expirationDateTime is more than %v ahead, it is %v",
			lifecycleAfter, left.Round(time.Second))
	}
	return nil
}

// ofTeams tells the resources of Teams.
func ofTeams(resource string) bool {
	resource = strings.ToLower(strings.TrimPrefix(resource, "/"))
	for _, root := range []string{"communications/", "teams", "chats", "apps/", "apptenants/", "appcatalogs/"} {
		if strings.HasPrefix(resource, root) {
			return true
		}
	}
	return strings.Contains(resource, "/chats") || strings.Contains(resource, "/onlinemeetings")
}

func checkCertificate(text *string, id string) error {
	if *text == "" {
		return errors.New("encryptionCertificate is missing: includeResourceData needs one")
	}
	if err := checkCertificateID(id); err != nil {
		return err
	}
	plain, err := certificateText(*text)
	if err != nil {
		return err
	}
	*text = plain
	return nil
}

// SubscriptionChange is what of a subscription can be changed. What is zero
// stays as it is; a certificate needs its id and the other way round.
type SubscriptionChange struct {
	ExpirationDateTime      DateTime `json:"expirationDateTime,omitzero"`
	NotificationURL         string   `json:"notificationUrl,omitzero"`
	EncryptionCertificate   string   `json:"encryptionCertificate,omitzero"`
	EncryptionCertificateID string   `json:"encryptionCertificateId,omitzero"`
}

func (s *SubscriptionChange) check(now time.Time, insecure bool) error {
	if *s == (SubscriptionChange{}) {
		return errors.New("nothing is to be changed")
	}
	if s.NotificationURL != "" {
		if _, err := parseURL("notificationUrl", s.NotificationURL, insecure); err != nil {
			return err
		}
	}
	if e := s.ExpirationDateTime; !e.IsZero() && !e.After(now) {
		return fmt.Errorf("expirationDateTime %s: has passed, it is %s", e.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if s.EncryptionCertificate == "" && s.EncryptionCertificateID == "" {
		return nil
	}
	return checkCertificate(&s.EncryptionCertificate, s.EncryptionCertificateID)
}
