package graph

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mixminus/mixminus/session/oidc"
)

// ChangeOpenIDURL is where the issuer of validationTokens publishes the
// address of its keys, for all tenants. ChangePublisher is the application for
// which it issues them: Microsoft Graph Change Tracking. Source: "Set up change
// notifications that include resource data", Microsoft Graph.
const (
	ChangeOpenIDURL = "https://login.microsoftonline.com/common/.well-known/openid-configuration"
	ChangePublisher = "0bf30f3b-4a52-48df-9a82-234910c4a086"
)

// Issuers of validationTokens, of version 1.0 and 2.0.
const (
	issuerSTS   = "https://sts.windows.net/{tenantid}/"
	issuerLogin = "https://login.microsoftonline.com/{tenantid}/v2.0"
)

// ChangeVerifierConfig says which validationTokens of change notifications to
// accept. AppIDs is needed; all else works as zero.
type ChangeVerifierConfig struct {
	// AppIDs: a token must be for one of these applications.
	AppIDs []string
	// Tenants of which the token must name one; empty allows any. A token
	// that names none is refused.
	Tenants []string
	// Publisher is the application that must have got the token: its claim
	// appid or azp. Empty means ChangePublisher.
	Publisher string
	// OpenIDURL is the OpenID configuration document; empty means
	// ChangeOpenIDURL. Plain http is for loopback addresses unless Insecure.
	OpenIDURL string
	// Issuers of which a token must name one, "{tenantid}" in them standing
	// for its tenant; empty means https://sts.windows.net/{tenantid}/ and
	// https://login.microsoftonline.com/{tenantid}/v2.0.
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

// ChangeVerifier checks validationTokens. It is safe for concurrent use.
type ChangeVerifier struct {
	tokens    *oidc.Verifier
	publisher string
}

// NewChangeVerifier returns what ChangeWebhookConfig.Verify asks; it does no
// I/O.
func NewChangeVerifier(config ChangeVerifierConfig) (*ChangeVerifier, error) {
	if config.Publisher == "" {
		config.Publisher = ChangePublisher
	}
	if config.OpenIDURL == "" {
		config.OpenIDURL = ChangeOpenIDURL
	}
	if len(config.Issuers) == 0 {
		config.Issuers = []string{issuerSTS, issuerLogin}
	}
	tokens, err := oidc.New(oidc.Config{
		DocumentURL: config.OpenIDURL, Insecure: config.Insecure,
		Issuers: slices.Clone(config.Issuers), Audience: slices.Clone(config.AppIDs),
		TenantRequired: true, Tenants: config.Tenants, Leeway: config.Leeway,
		HTTPClient: config.HTTPClient, FetchTimeout: config.FetchTimeout,
		RefreshInterval: config.RefreshInterval, UnknownKeyInterval: config.UnknownKeyInterval,
		Logger: config.Logger, Now: config.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("graph: change verifier: %w", err)
	}
	return &ChangeVerifier{tokens: tokens, publisher: config.Publisher}, nil
}

// refusedPublisher is the reason of a token that another application got.
const refusedPublisher = "publisher"

// Verify checks one token and returns nil or an *oidc.TokenError. It may wait
// for a fetch of keys.
func (v *ChangeVerifier) Verify(ctx context.Context, token string) error {
	claims, err := v.tokens.VerifyToken(ctx, token)
	if err != nil {
		return err
	}
	// Version 1.0 of the tokens says appid, version 2.0 azp.
	got := claims.AppID
	if got == "" {
		got = claims.AuthorizedParty
	}
	if !strings.EqualFold(got, v.publisher) {
		return &oidc.TokenError{Reason: refusedPublisher, Err: fmt.Errorf("appid or azp %q, want %q", clip(got), v.publisher)}
	}
	return nil
}

// Stats returns the counters so far. Tokens of another publisher are among the
// accepted there.
func (v *ChangeVerifier) Stats() oidc.Stats { return v.tokens.Stats() }

// Ready fetches the keys if there are none yet, so that a wrong address shows
// at start and not with the first notification.
func (v *ChangeVerifier) Ready(ctx context.Context) error { return v.tokens.Ready(ctx) }

// Close stops the background refresh and waits for it. From then on every
// token is refused.
func (v *ChangeVerifier) Close() error { return v.tokens.Close() }
