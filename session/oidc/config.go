package oidc

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says which tokens to accept. DocumentURL and Audience are needed; all
// else works as zero.
type Config struct {
	// DocumentURL is the OpenID configuration document, which names the
	// issuer and the address of the keys. Plain http is for loopback
	// addresses unless Insecure.
	DocumentURL string
	// DocumentIssuer that the document must name; empty accepts what it names.
	DocumentIssuer string
	// Insecure allows plain http to any address.
	Insecure bool

	// Issuers of which a token must name one; empty means the one that the
	// document names. "{tenantid}" in an issuer, of the document too, stands
	// for the token's own claim tid, as it does in Microsoft's documents.
	Issuers []string
	// Audience: the token must be for one of these. There is no default,
	// since a service signs tokens for every customer with the same keys.
	Audience []string
	// TenantRequired refuses tokens without a claim tid.
	TenantRequired bool
	// Tenants of which the claim tid must name one, whatever the case of its
	// letters; empty allows any.
	Tenants []string
	// Leeway for the clocks of both sides; 0 means 30 s, negative none.
	Leeway time.Duration

	// HTTPClient fetches the document and the keys; nil means a new one.
	// Redirects are not followed.
	HTTPClient *http.Client
	// FetchTimeout bounds one fetch of document and keys; 0 means 5 s.
	FetchTimeout time.Duration
	// RefreshInterval is how often the keys are fetched anew in the
	// background; 0 means 1 h. Keys that could not be refreshed for 24
	// times as long are not trusted any more.
	RefreshInterval time.Duration
	// UnknownKeyInterval is how often, in the long run, a token with an
	// unknown key id may cause a fetch; three may come at once. 0 means 30 s.
	UnknownKeyInterval time.Duration
	// CacheSize is how many verified tokens are remembered until they
	// expire; 0 means 1024, negative none.
	CacheSize int

	// Logger gets failed fetches and changes of keys; nil means silent.
	Logger *slog.Logger
	// Now is the clock that expiry is measured with; nil means time.Now.
	Now func() time.Time
}

// resolve checks c and returns it with its defaults.
func (c Config) resolve() (Config, error) {
	if len(c.Audience) == 0 {
		return c, errors.New("audience is empty, want whom the tokens are for")
	}
	for _, list := range []struct {
		name   string
		values []string
	}{{"audience", c.Audience}, {"issuer", c.Issuers}, {"tenant", c.Tenants}} {
		for i, v := range list.values {
			if v == "" {
				return c, fmt.Errorf("%s %d of %d is empty", list.name, i, len(list.values))
			}
		}
	}
	if err := checkURL("OpenID URL", c.DocumentURL, c.Insecure); err != nil {
		return c, err
	}
	c.TenantRequired = c.TenantRequired || len(c.Tenants) > 0
	c.defaults()
	return c, nil
}

func (c *Config) defaults() {
	if c.Leeway == 0 {
		c.Leeway = 30 * time.Second
	}
	c.Leeway = max(c.Leeway, 0)
	if c.FetchTimeout <= 0 {
		c.FetchTimeout = 5 * time.Second
	}
	if c.RefreshInterval <= 0 {
		c.RefreshInterval = time.Hour
	}
	if c.UnknownKeyInterval <= 0 {
		c.UnknownKeyInterval = 30 * time.Second
	}
	if c.CacheSize == 0 {
		c.CacheSize = 1024
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// checkURL accepts an absolute https URL; plain http is for loopback unless
// insecure.
func checkURL(what, raw string, insecure bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not a URL", what)
	case u.User != nil:
		return fmt.Errorf("%s holds user information", what)
	case u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Errorf("%s %q: want https://host", what, clip(raw))
	case u.Scheme == "http" && !insecure && !loopback(u.Hostname()):
		return fmt.Errorf("%s %q: plain http is for loopback addresses only", what, clip(raw))
	}
	return nil
}

// loopback tells whether host is this machine. No name is looked up.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// clip shortens s to what an error message should carry of foreign input.
func clip(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
