package graph

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/mixminus/mixminus/session/oidc"
)

// OpenIDURL is where the service that posts the notifications of calls
// publishes the address of its keys. Source: "Authenticating the callback",
// Register Calls and Meetings bot for Microsoft Teams.
const OpenIDURL = "https://api.aps.skype.com/v1/.well-known/OpenIdConfiguration"

// Issuers of the tokens of those notifications; the document names neither.
const (
	issuerGraph = "https://graph.microsoft.com"
	issuerBot   = "https://api.botframework.com"
)

// VerifierConfig says which tokens of notifications to accept. AppID is
// needed; all else works as zero.
type VerifierConfig struct {
	// AppID: the token must be for this application, whose id is a GUID. The
	// service signs tokens for all of them with the same keys.
	AppID string
	// Tenants of which the token must name one; empty allows any. A token
	// that names none is refused.
	Tenants []string
	// OpenIDURL is the OpenID configuration document; empty means OpenIDURL,
	// the constant. Plain http is for loopback addresses unless Insecure.
	OpenIDURL string
	// Issuers of which a token must name one; empty means
	// https://graph.microsoft.com and https://api.botframework.com.
	Issuers []string
	// Insecure allows plain http to any address.
	Insecure bool
	// Leeway for the clocks of both sides; 0 means 30 s, negative none.
	Leeway time.Duration

	// HTTPClient, FetchTimeout, RefreshInterval and UnknownKeyInterval are
	// as in oidc.Config.
	HTTPClient         *http.Client
	FetchTimeout       time.Duration
	RefreshInterval    time.Duration
	UnknownKeyInterval time.Duration

	// Logger gets failed fetches and changes of keys; nil means silent.
	Logger *slog.Logger
	// Now is the clock that expiry is measured with; nil means time.Now.
	Now func() time.Time
}

// NewVerifier returns what WebhookConfig.Verify asks; it does no I/O.
func NewVerifier(config VerifierConfig) (*oidc.Verifier, error) {
	if config.OpenIDURL == "" {
		config.OpenIDURL = OpenIDURL
	}
	if len(config.Issuers) == 0 {
		config.Issuers = []string{issuerGraph, issuerBot}
	}
	v, err := oidc.New(oidc.Config{
		DocumentURL: config.OpenIDURL, Insecure: config.Insecure,
		Issuers: config.Issuers, Audience: []string{config.AppID},
		TenantRequired: true, Tenants: config.Tenants, Leeway: config.Leeway,
		HTTPClient: config.HTTPClient, FetchTimeout: config.FetchTimeout,
		RefreshInterval: config.RefreshInterval, UnknownKeyInterval: config.UnknownKeyInterval,
		Logger: config.Logger, Now: config.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("graph: verifier: %w", err)
	}
	return v, nil
}
