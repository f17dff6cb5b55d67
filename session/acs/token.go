package acs

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/mixminus/mixminus/session/oidc"
)

// OpenIDURL is where Call Automation publishes the issuer of its tokens and
// the address of its keys. Source: "How to secure webhook endpoint", Azure
// Communication Services.
const OpenIDURL = "https://acscallautomation.communication.azure.com/calling/.well-known/acsopenidconfiguration"

// VerifierConfig says which tokens to accept. Audience is needed; all else
// works as zero.
type VerifierConfig struct {
	// Audience: the token must be for one of these: the resource's immutable
	// id, a GUID. There is no default, since the service signs tokens for
	// every customer with the same keys.
	Audience []string
	// OpenIDURL is the OpenID configuration document; empty means OpenIDURL,
	// the constant. Plain http is for loopback addresses unless Insecure.
	OpenIDURL string
	// Issuer that the document must name; empty accepts what it names.
	Issuer string
	// Insecure allows plain http to any address.
	Insecure bool
	// Leeway for the clocks of both sides; 0 means 30 s, negative none.
	Leeway time.Duration

	// HTTPClient, FetchTimeout, RefreshInterval, UnknownKeyInterval and
	// CacheSize are as in oidc.Config.
	HTTPClient         *http.Client
	FetchTimeout       time.Duration
	RefreshInterval    time.Duration
	UnknownKeyInterval time.Duration
	CacheSize          int

	// Logger gets failed fetches and changes of keys; nil means silent.
	Logger *slog.Logger
	// Now is the clock that expiry is measured with; nil means time.Now.
	Now func() time.Time
}

// Verifier checks the bearer tokens that Call Automation puts on its callbacks
// and on the upgrade of its media WebSockets.
type Verifier = oidc.Verifier

// VerifierStats counts what a Verifier decided.
type VerifierStats = oidc.Stats

// TokenError says why a request was refused.
type TokenError = oidc.TokenError

// Reasons for which a token is refused: TokenError.Reason and the keys of
// VerifierStats.Refused.
const (
	RefusedMissing     = oidc.RefusedMissing
	RefusedMalformed   = oidc.RefusedMalformed
	RefusedAlgorithm   = oidc.RefusedAlgorithm
	RefusedKey         = oidc.RefusedKey
	RefusedSignature   = oidc.RefusedSignature
	RefusedClaim       = oidc.RefusedClaim
	RefusedExpired     = oidc.RefusedExpired
	RefusedNotYet      = oidc.RefusedNotYet
	RefusedIssuer      = oidc.RefusedIssuer
	RefusedAudience    = oidc.RefusedAudience
	RefusedUnavailable = oidc.RefusedUnavailable
	RefusedClosed      = oidc.RefusedClosed
)

// NewVerifier checks the configuration; it does no I/O.
func NewVerifier(config VerifierConfig) (*Verifier, error) {
	v, err := oidc.New(oidc.Config{
		DocumentURL: first(config.OpenIDURL, OpenIDURL), DocumentIssuer: config.Issuer,
		Audience: config.Audience, Insecure: config.Insecure, Leeway: config.Leeway,
		HTTPClient: config.HTTPClient, FetchTimeout: config.FetchTimeout,
		RefreshInterval: config.RefreshInterval, UnknownKeyInterval: config.UnknownKeyInterval,
		CacheSize: config.CacheSize, Logger: config.Logger, Now: config.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("acs: verifier: %w", err)
	}
	return v, nil
}
