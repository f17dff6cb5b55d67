package cloud

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Limits of a subscription ("subscription resource type").
const (
	maxSubscriptionLife = 3 * 24 * time.Hour
	// minSubscriptionLife is what shorter ones are raised to.
	minSubscriptionLife = 45 * time.Minute
	// maxUnwatchedLife is how long a subscription may live that has no
	// lifecycleNotificationUrl.
	maxUnwatchedLife = time.Hour
	maxClientState   = 255
)

// create serves POST. The handshake runs while the request is pending.
func (c *changes) create(r *changeRequest) (*response, *changeRefusal) {
	m, bad := decodeSubscription(r.body)
	if bad != nil {
		return nil, bad
	}
	s, bad := c.newSubscription(r, m)
	if bad != nil {
		return nil, bad
	}
	if bad := c.vacant(s); bad != nil {
		return nil, bad
	}
	for _, target := range []string{s.notificationURL, s.lifecycleURL} {
		if target == "" {
			continue
		}
		if bad := c.handshake(target); bad != nil {
			return nil, bad
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if bad := c.vacantLocked(s); bad != nil {
		return nil, bad
	}
	c.schedule(s, s.expires)
	c.subscriptions[s.id] = s
	c.wg.Go(func() { c.deliverLoop(s) })
	c.log.Info("cloud: subscription created", "id", s.id, "expires", s.expires)
	return newResponse(http.StatusCreated, s.entity()), nil
}

// newSubscription checks a request that creates one.
func (c *changes) newSubscription(r *changeRequest, m changeSubscriptionRequest) (*changeSubscription, *changeRefusal) {
	for _, f := range []struct {
		name  string
		value *string
	}{
		{"changeType", m.ChangeType}, {"notificationUrl", m.NotificationURL},
		{"resource", m.Resource}, {"expirationDateTime", m.ExpirationDateTime},
	} {
		if f.value == nil || *f.value == "" {
			return nil, invalidChange("%s is a required property for subscription creation", f.name)
		}
	}
	s := &changeSubscription{
		id: uuid.NewString(), app: r.app, resource: *m.Resource, clientState: m.ClientState,
		include: m.IncludeResourceData, notificationURL: *m.NotificationURL, bell: make(chan struct{}, 1),
	}
	if m.LifecycleNotificationURL != nil {
		s.lifecycleURL = *m.LifecycleNotificationURL
	}
	if bad := s.watch(r, *m.ChangeType); bad != nil {
		return nil, bad
	}
	if n := len(deref(m.ClientState)); n > maxClientState {
		return nil, invalidChange("clientState: %d characters: the limit is %d", n, maxClientState)
	}
	if bad := c.checkURL("notificationUrl", s.notificationURL); bad != nil {
		return nil, bad
	}
	if s.lifecycleURL != "" {
		if bad := c.checkURL("lifecycleNotificationUrl", s.lifecycleURL); bad != nil {
			return nil, bad
		}
	}
	var bad *changeRefusal
	if s.expires, bad = c.expiration("Create", *m.ExpirationDateTime, s.lifecycleURL != ""); bad != nil {
		return nil, bad
	}
	if s.rich() {
		bad = s.encryptTo(deref(m.EncryptionCertificate), deref(m.EncryptionCertificateID))
	}
	return s, bad
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (s *changeSubscription) rich() bool { return s.include != nil && *s.include }

// watch reads what the subscription is about. Meetings' call events are part
// of beta only, and the meeting must be of the app's tenant.
func (s *changeSubscription) watch(r *changeRequest, changeType string) *changeRefusal {
	var err error
	if s.events, err = parseCallEvents(s.resource); err != nil {
		return invalidChange("resource: %.300q is not supported: %v", s.resource, err)
	}
	if r.version != "beta" {
		return extensionError(http.StatusBadRequest, "Create", "meetingCallEvents are not available in %s, use beta.", r.version)
	}
	if !strings.EqualFold(changeType, "updated") {
		return invalidChange("changeType: %q: meetingCallEvents have updated only", changeType)
	}
	if t := s.events.tenant; t != "" && !strings.EqualFold(t, r.app.TenantID) {
		return extensionError(http.StatusForbidden, "Create", "The meeting tenant does not match the token tenant.")
	}
	return nil
}

// encryptTo sets the certificate. It must be called with changes.mu held if
// the subscription is live.
func (s *changeSubscription) encryptTo(certificate, id string) *changeRefusal {
	for _, f := range []struct{ name, value string }{{"encryptionCertificate", certificate}, {"encryptionCertificateId", id}} {
		if f.value == "" {
			return invalidChange("%s is a required property when includeResourceData is true", f.name)
		}
	}
	cert, err := parseChangeCertificate(certificate, id)
	if err != nil {
		return invalidChange("%v", err)
	}
	s.certificate, s.certificateID = cert, &cert.id
	return nil
}

func (c *changes) checkURL(field, text string) *changeRefusal {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return invalidChange("%s: %.300q is not a URL of a notification endpoint", field, text)
	case u.Scheme == "https" || u.Scheme == "http" && c.insecure:
		return nil
	}
	return invalidChange("%s: %.300q: want https", field, text)
}

// expiration reads an expirationDateTime. One in the past is refused; the
// document only tells that early ones are raised.
func (c *changes) expiration(operation, text string, watched bool) (time.Time, *changeRefusal) {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, invalidChange("expirationDateTime: %q is not an Internet date and time: want %s", text, graphTime)
	}
	now := c.now()
	life := at.Sub(now)
	switch {
	case life <= 0:
		return at, invalidChange("expirationDateTime: %q is in the past", text)
	case life > maxSubscriptionLife:
		return at, extensionError(http.StatusBadRequest, operation, "Expiration time '%s' ('%s' from now) is beyond allowed max '%s'.",
			text, timeSpan(life), timeSpan(maxSubscriptionLife))
	case life > maxUnwatchedLife && !watched:
		return at, invalidChange("lifecycleNotificationUrl is a required property for subscription creation on this resource when the expirationDateTime value is set to greater than 1 hour")
	case life < minSubscriptionLife:
		at = now.Add(minSubscriptionLife)
	}
	return at, nil
}

// timeSpan writes a duration as .NET does: d.hh:mm:ss.
func timeSpan(d time.Duration) string {
	s := int(d / time.Second)
	return fmt.Sprintf("%d.%02d:%02d:%02d", s/86400, s/3600%24, s/60%60, s%60)
}

func (c *changes) vacant(s *changeSubscription) *changeRefusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.vacantLocked(s)
}

// vacantLocked checks that there is room, and no subscription of the app to
// the same changes. The documents tell status and message; the code is the one
// seen with other resources.
func (c *changes) vacantLocked(s *changeSubscription) *changeRefusal {
	if c.ctx.Err() != nil {
		return &changeRefusal{status: http.StatusServiceUnavailable, code: "ServiceUnavailable", message: "The service is shutting down."}
	}
	now := time.Now()
	for _, other := range c.subscriptions {
		if other.app.ID == s.app.ID && other.app.TenantID == s.app.TenantID && other.events.meeting == s.events.meeting && now.Before(other.ends) {
			return &changeRefusal{
				status: http.StatusConflict, code: "ObjectIdentifierInUse",
				message: "Subscription Id " + other.id + " already exists for the requested combination",
			}
		}
	}
	if n := len(c.subscriptions); n >= maxChangeSubscriptions {
		return extensionError(http.StatusForbidden, "Create", "The quota of %d subscriptions is used up.", n)
	}
	return nil
}

// update serves PATCH: a new expiration, a new certificate, a new
// notificationUrl, or several of them. All or nothing of it is done.
func (c *changes) update(r *changeRequest) (*response, *changeRefusal) {
	m, bad := decodeSubscription(r.body)
	if bad != nil {
		return nil, bad
	}
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"resource", m.Resource != nil}, {"changeType", m.ChangeType != nil}, {"clientState", m.ClientState != nil},
		{"includeResourceData", m.IncludeResourceData != nil}, {"lifecycleNotificationUrl", m.LifecycleNotificationURL != nil},
	} {
		if f.given {
			return nil, invalidChange("%s cannot be updated", f.name)
		}
	}
	if cmp.Or(m.ExpirationDateTime, m.NotificationURL, m.EncryptionCertificate, m.EncryptionCertificateID) == nil {
		return nil, invalidChange("want expirationDateTime, notificationUrl, or encryptionCertificate with encryptionCertificateId")
	}
	c.mu.Lock()
	_, bad = c.owned(r)
	c.mu.Unlock()
	if bad != nil {
		return nil, bad
	}
	if m.NotificationURL != nil {
		if bad := c.checkURL("notificationUrl", *m.NotificationURL); bad != nil {
			return nil, bad
		}
		if bad := c.handshake(*m.NotificationURL); bad != nil {
			return nil, bad
		}
	}
	return c.apply(r, m)
}

// apply changes a subscription. Being renewed, it is authorized too.
func (c *changes) apply(r *changeRequest, m changeSubscriptionRequest) (*response, *changeRefusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, bad := c.owned(r)
	if bad != nil {
		return nil, bad
	}
	expires := s.expires
	if m.ExpirationDateTime != nil {
		if expires, bad = c.expiration("Update", *m.ExpirationDateTime, s.lifecycleURL != ""); bad != nil {
			return nil, bad
		}
	}
	if m.EncryptionCertificate != nil || m.EncryptionCertificateID != nil {
		if !s.rich() {
			return nil, invalidChange("encryptionCertificate: includeResourceData of the subscription is not true")
		}
		if bad := s.encryptTo(deref(m.EncryptionCertificate), deref(m.EncryptionCertificateID)); bad != nil {
			return nil, bad
		}
	}
	if m.NotificationURL != nil {
		s.notificationURL = *m.NotificationURL
	}
	if m.ExpirationDateTime != nil {
		c.schedule(s, expires)
	} else {
		c.authorize(s)
	}
	return newResponse(http.StatusOK, s.entity()), nil
}
