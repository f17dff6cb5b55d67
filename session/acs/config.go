package acs

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/mixminus/mixminus/session/rest"
)

// Scope is what an Entra token for the service is asked for. The double slash
// is the official clients' (createCommunicationAuthPolicy).
const Scope = "https://communication.azure.com//.default"

// ClientConfig says which resource a Client speaks to. Endpoint with AccessKey
// or Credential, or a ConnectionString, is needed; all else works as zero.
type ClientConfig struct {
	// Name is what Client.Name returns; empty means "acs". A program that
	// speaks two api-versions at once has two clients of different names.
	Name string
	// Endpoint is the resource's address, "https://name.communication.azure.com".
	// It has no path. Plain http is for loopback addresses, where the
	// emulator is, unless Insecure.
	Endpoint string
	// AccessKey is the resource's key in base64.
	AccessKey string `json:"-"`
	// ConnectionString is "endpoint=https://…/;accesskey=…", as the portal
	// shows it. It excludes Endpoint and AccessKey.
	ConnectionString string `json:"-"`
	// Credential signs in as an Entra identity that may use the resource:
	// azidentity's managed identity, client secret or any other. It excludes
	// AccessKey and ConnectionString.
	Credential azcore.TokenCredential `json:"-"`
	// Scope of its tokens; empty means Scope, the constant.
	Scope string
	// Insecure allows plain http to any address, and callback and media
	// addresses that are not https or wss, as only an emulator takes.
	Insecure bool
	// APIVersion is Version2022 or Version2026; empty means Version2026.
	APIVersion string

	// Operations hears of what goes on after a response; the webhook that
	// hears from the service must have the same. nil means one of the
	// client's own, for which Client.Operations is.
	Operations *Operations `json:"-"`

	// HTTPClient carries the requests; nil means one with a timeout of 10 s
	// per attempt, so that a second one fits into the time a call may ring.
	// Its redirect policy is not used: a redirect is an error, since a
	// signature is good for one host only.
	HTTPClient *http.Client
	// MaxAttempts of one request, the first included; 0 means 4, as the
	// official clients do, 1 never retries.
	MaxAttempts int
	// BaseDelay is the pause before the first retry; it doubles from one to
	// the next, less up to half of it at random. 0 means 800 ms.
	BaseDelay time.Duration
	// MaxDelay caps every pause, also one that the service asks for by
	// Retry-After. 0 means 30 s.
	MaxDelay time.Duration

	// Logger gets retries; nil means silent.
	Logger *slog.Logger
	// Now is the clock of dates and signatures; nil means time.Now. The
	// service refuses requests dated too far from its own clock.
	Now func() time.Time
}

// String tells the configuration without its secrets.
func (c ClientConfig) String() string {
	return fmt.Sprintf("acs.ClientConfig{Endpoint:%q APIVersion:%q}", c.Endpoint, c.APIVersion)
}

// GoString is String, so that %#v tells no secret either.
func (c ClientConfig) GoString() string { return c.String() }

// ParseConnectionString reads "endpoint=…;accesskey=…": names in any case and
// order, values as they are. Errors never hold a value.
func ParseConnectionString(s string) (endpoint, accessKey string, err error) {
	for part := range strings.SplitSeq(s, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return "", "", errors.New("acs: connection string: a segment has no '='")
		}
		var to *string
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "endpoint":
			to = &endpoint
		case "accesskey":
			to = &accessKey
		default:
			return "", "", fmt.Errorf("acs: connection string: unknown name %q, want endpoint and accesskey", rest.Clip(name))
		}
		if *to != "" {
			return "", "", fmt.Errorf("acs: connection string: %s stands twice", strings.ToLower(name))
		}
		*to = strings.TrimSpace(value)
	}
	switch {
	case endpoint == "":
		return "", "", errors.New("acs: connection string: endpoint is missing")
	case accessKey == "":
		return "", "", errors.New("acs: connection string: accesskey is missing")
	}
	return endpoint, accessKey, nil
}

// resolve checks c and returns it with its defaults, the endpoint in canonical
// form, and the key.
func (c ClientConfig) resolve() (ClientConfig, []byte, error) {
	if c.ConnectionString != "" {
		if c.Endpoint != "" || c.AccessKey != "" {
			return c, nil, errors.New("acs: connection string excludes endpoint and access key")
		}
		var err error
		if c.Endpoint, c.AccessKey, err = ParseConnectionString(c.ConnectionString); err != nil {
			return c, nil, err
		}
	}
	endpoint, err := canonicalEndpoint(c.Endpoint, c.Insecure)
	if err != nil {
		return c, nil, err
	}
	c.Endpoint = endpoint
	key, err := c.accessKey()
	if err != nil {
		return c, nil, err
	}
	switch c.APIVersion {
	case "":
		c.APIVersion = Version2026
	case Version2022, Version2026:
	default:
		return c, nil, fmt.Errorf("acs: api-version %q: want %s or %s", rest.Clip(c.APIVersion), Version2022, Version2026)
	}
	if c.MaxAttempts < 0 || c.BaseDelay < 0 || c.MaxDelay < 0 {
		return c, nil, fmt.Errorf("acs: negative retry setting: %d attempts, base %v, max %v", c.MaxAttempts, c.BaseDelay, c.MaxDelay)
	}
	c.defaults()
	return c, key, nil
}

// accessKey decodes the key; there is none beside a credential.
func (c *ClientConfig) accessKey() ([]byte, error) {
	if c.Credential != nil {
		if c.AccessKey != "" {
			return nil, errors.New("acs: credential excludes access key and connection string")
		}
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(c.AccessKey))
	if err != nil || len(key) == 0 {
		// The decoder's error would tell where the key is wrong.
		return nil, fmt.Errorf("acs: access key of %d characters is not base64", len(c.AccessKey))
	}
	return key, nil
}

func (c *ClientConfig) defaults() {
	c.Scope = first(c.Scope, Scope)
	if c.Operations == nil {
		c.Operations = new(Operations)
	}
	if c.Name == "" {
		c.Name = cloudName
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Timeout: 10 * time.Second}
	}
	if c.MaxAttempts == 0 {
		c.MaxAttempts = 4
	}
	if c.BaseDelay == 0 {
		c.BaseDelay = 800 * time.Millisecond
	}
	if c.MaxDelay == 0 {
		c.MaxDelay = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// canonicalEndpoint reduces an endpoint to "scheme://host[:port]", with the
// host as it will be signed: lower case and without the scheme's own port.
func canonicalEndpoint(raw string, insecure bool) (string, error) {
	if raw == "" {
		return "", errors.New("acs: endpoint is empty")
	}
	u, err := parseURL("endpoint", raw, insecure)
	if err != nil {
		return "", fmt.Errorf("acs: %w", err)
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("acs: endpoint %s: want no path, query or fragment", rest.Clip(raw))
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host, nil
}

// parseURL reads an absolute http or https URL; plain http is for loopback
// unless insecure.
func parseURL(what, raw string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s is not a URL", what)
	case u.User != nil:
		return nil, fmt.Errorf("%s holds user information", what)
	case u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, fmt.Errorf("%s %q: want https://host", what, rest.Clip(raw))
	case u.Scheme == "http" && !insecure && !loopback(u.Hostname()):
		return nil, fmt.Errorf("%s %q: plain http is for loopback addresses only", what, rest.Clip(raw))
	}
	return u, nil
}

// loopback tells whether host is this machine. No name is looked up.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
