package cloud

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// maxChangeSubscriptions bounds the live subscriptions of all apps. The cloud
// has quotas for an app and a tenant, which are larger.
const maxChangeSubscriptions = 1000

// changesConfig is what changes needs to work.
type changesConfig struct {
	// ctx ends everything once it is done; wg counts the goroutines.
	ctx context.Context
	wg  *sync.WaitGroup
	// client posts to apps. It must not follow redirects, nor have a timeout.
	client *http.Client
	// issuer has the key of the validation tokens. Its issuer and audience
	// are not used: those are of the tenant and the app.
	issuer *issuer

	// now is the clock that expiration dates are compared with; nil means
	// time.Now. Tokens have the time that it is.
	now func() time.Time
	// scaled shortens protocol timers: expiry, renewal, retries; nil leaves
	// them. How long an app may take to answer is never scaled.
	scaled func(time.Duration) time.Duration
	log    *slog.Logger // nil means silent
	// insecure accepts http where the cloud wants https.
	insecure bool
	// pascal writes the keys of decrypted content as the cloud does, instead
	// of as the documents do.
	pascal bool
	// fault uses up a RequestFault of an operation; nil means that there are
	// none.
	fault func(operation string) RequestFault
}

// changes is the change notification service of Microsoft Graph, as far as it
// is about the calls of online meetings: subscriptions, their lifecycle, and
// the delivery of notifications, which it encrypts. The zero value is ready
// once init was called. It is safe for concurrent use.
type changes struct {
	changesConfig // static after init

	mu            sync.Mutex
	subscriptions map[string]*changeSubscription // by id; live ones
	faults        []ChangeFault
	endpoints     map[string]*endpointStats // by host
	journal       changeJournal
}

func (c *changes) init(cfg changesConfig) {
	if cfg.now == nil {
		cfg.now = time.Now
	}
	if cfg.scaled == nil {
		cfg.scaled = func(d time.Duration) time.Duration { return d }
	}
	if cfg.log == nil {
		cfg.log = slog.New(slog.DiscardHandler)
	}
	if cfg.fault == nil {
		cfg.fault = func(string) RequestFault { return RequestFault{} }
	}
	c.changesConfig = cfg
	c.subscriptions = map[string]*changeSubscription{}
	c.endpoints = map[string]*endpointStats{}
}

// changeApp is who asks: an app in a tenant, as its token says.
type changeApp struct {
	ID, TenantID string
	Roles        []string
}

// changeRoles are the permissions for a meeting's call events; one will do.
var changeRoles = []string{"OnlineMeetings.Read.All", "OnlineMeetings.ReadWrite.All"}

func (a changeApp) permitted() bool {
	return slices.ContainsFunc(a.Roles, func(role string) bool {
		return slices.ContainsFunc(changeRoles, func(want string) bool { return strings.EqualFold(role, want) })
	})
}

// changeSubscription is one app's wish to hear of one meeting's call.
type changeSubscription struct {
	// Static after construction.
	id           string
	app          changeApp
	resource     string // as it was given
	events       callEvents
	clientState  *string
	lifecycleURL string // empty: none
	include      *bool  // includeResourceData
	bell         chan struct{}

	// Guarded by changes.mu.
	notificationURL string
	certificateID   *string
	certificate     *changeCertificate // nil: basic notifications
	expires         time.Time          // by the clock of expiration dates
	ends            time.Time          // the same moment, by the timer
	asks            time.Time          // when to ask for reauthorization next
	pauses          time.Time          // when delivery pauses
	gone            bool               // removed: only what tells so is delivered
	queue           []*changeDelivery  // in no particular order of due
	held            *changeDelivery    // by a fault: until the next one
	sending         *changeDelivery    // out of the queue
}

// changeRequest is one that was routed.
type changeRequest struct {
	app     changeApp
	version string
	id      string // of the subscription in the path
	body    []byte
}

type changeHandler func(*changes, *changeRequest) (*response, *changeRefusal)

// changeOperation names an operation for RequestFault, by what of the path
// stands behind /subscriptions. Its handler is nil if there is no such
// operation.
func changeOperation(method, path string) (name, id string, handler changeHandler) {
	id, action, _ := strings.Cut(strings.Trim(path, "/"), "/")
	switch {
	case action == "" && id == "" && method == http.MethodPost:
		return "createSubscription", "", (*changes).create
	case action == "" && id == "" && method == http.MethodGet:
		return "listSubscriptions", "", (*changes).list
	case id == "":
	case action == "" && method == http.MethodGet:
		return "getSubscription", id, (*changes).get
	case action == "" && method == http.MethodPatch:
		return "updateSubscription", id, (*changes).update
	case action == "" && method == http.MethodDelete:
		return "deleteSubscription", id, (*changes).remove
	case strings.TrimPrefix(action, "microsoft.graph.") == "reauthorize" && method == http.MethodPost:
		return "reauthorizeSubscription", id, (*changes).reauthorize
	}
	return "", id, nil
}

// changeOperationNames are all that changeOperation returns.
var changeOperationNames = []string{
	"createSubscription", "listSubscriptions", "getSubscription", "updateSubscription", "deleteSubscription", "reauthorizeSubscription",
}

// serve answers a request to /{version}/subscriptions and below; path may
// begin with /subscriptions. The caller has told the app by its token and
// unpacked the body. A create or update that names
// a URL blocks until the app has proved that it listens there.
func (c *changes) serve(app changeApp, version, method, path string, body []byte) *response {
	refuse := (*changeRefusal).response
	name, id, handler := changeOperation(method, strings.TrimPrefix(path, "/subscriptions"))
	if handler == nil {
		return refuse(&changeRefusal{status: http.StatusMethodNotAllowed, code: "Request_BadRequest", message: "Specified HTTP method is not allowed for the request target."})
	}
	if !app.permitted() {
		return refuse(&changeRefusal{status: http.StatusForbidden, code: "Forbidden", message: "Insufficient privileges to complete the operation: want one of the roles " +
			strings.Join(changeRoles, ", ") + "."})
	}
	fault := c.fault(name)
	if fault.Delay > 0 {
		sleep(c.ctx, fault.Delay)
	}
	if fault.Status != 0 && !fault.Executed {
		return refuse(faultRefusal(fault))
	}
	resp, bad := handler(c, &changeRequest{app: app, version: version, id: id, body: body})
	switch {
	case fault.Status != 0:
		return refuse(faultRefusal(fault))
	case bad != nil:
		c.log.Info("cloud: subscription refused", "operation", name, "error", bad)
		return refuse(bad)
	}
	return resp
}

// owned returns a request's subscription, if it lives and is the app's own. It
// must be called with mu held.
func (c *changes) owned(r *changeRequest) (*changeSubscription, *changeRefusal) {
	s := c.subscriptions[r.id]
	if s == nil || s.app.ID != r.app.ID || s.app.TenantID != r.app.TenantID || !time.Now().Before(s.ends) {
		return nil, &changeRefusal{status: http.StatusNotFound, code: "ResourceNotFound", message: "The object was not found."}
	}
	return s, nil
}

func (c *changes) list(r *changeRequest) (*response, *changeRefusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	models := []changeSubscriptionModel{}
	for _, s := range c.subscriptions {
		own := &changeRequest{app: r.app, id: s.id}
		if s, bad := c.owned(own); bad == nil {
			models = append(models, s.model())
		}
	}
	slices.SortFunc(models, func(a, b changeSubscriptionModel) int { return strings.Compare(a.ID, b.ID) })
	return newResponse(http.StatusOK, map[string]any{"@odata.context": changeContext, "value": models}), nil
}

func (c *changes) get(r *changeRequest) (*response, *changeRefusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, bad := c.owned(r)
	if bad != nil {
		return nil, bad
	}
	return newResponse(http.StatusOK, s.entity()), nil
}

func (c *changes) remove(r *changeRequest) (*response, *changeRefusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, bad := c.owned(r)
	if bad != nil {
		return nil, bad
	}
	c.end(s, dropRemoved)
	return newResponse(http.StatusNoContent, nil), nil
}

// reauthorize keeps the expiration as it is.
func (c *changes) reauthorize(r *changeRequest) (*response, *changeRefusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, bad := c.owned(r)
	if bad != nil {
		return nil, bad
	}
	c.authorize(s)
	return newResponse(http.StatusNoContent, nil), nil
}

// end removes a subscription, and drops what it has not delivered. It must be
// called with mu held.
func (c *changes) end(s *changeSubscription, why string) {
	delete(c.subscriptions, s.id)
	s.gone = true
	if s.held != nil {
		s.queue, s.held = append(s.queue, s.held), nil
	}
	for _, d := range s.queue {
		c.journal.drop(d, why)
	}
	s.queue = nil
	s.ring()
}

func (s *changeSubscription) ring() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

// model must be called with changes.mu held.
func (s *changeSubscription) model() changeSubscriptionModel {
	m := changeSubscriptionModel{
		ID: s.id, Resource: s.resource, ApplicationID: s.app.ID, ChangeType: "updated", ClientState: s.clientState,
		NotificationURL: s.notificationURL, ExpirationDateTime: graphDate(s.expires),
		// The id of the app's service principal is not told by its token's
		// roles: any will do, if it stays.
		CreatorID:           uuid.NewSHA1(uuid.NameSpaceOID, []byte(s.app.TenantID+"/"+s.app.ID)).String(),
		IncludeResourceData: s.include, EncryptionCertificateID: s.certificateID, LatestSupportedTLSVersion: "v1_2",
	}
	if s.lifecycleURL != "" {
		m.LifecycleNotificationURL = &s.lifecycleURL
	}
	return m
}

// entity is the model as the whole body of a response.
func (s *changeSubscription) entity() changeSubscriptionModel {
	m := s.model()
	m.Context = changeContext + "/$entity"
	return m
}
