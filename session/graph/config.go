package graph

import (
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

// Versions of the API.
const (
	V1   = "v1.0"
	Beta = "beta"
)

// Endpoints of Microsoft's national clouds ("National cloud deployments",
// Microsoft Graph).
const (
	Global = "https://graph.microsoft.com"
	USGov  = "https://graph.microsoft.us"
	USDoD  = "https://dod-graph.microsoft.us"
	China  = "https://microsoftgraph.chinacloudapi.cn"
)

// ClientConfig says where a Client sends its requests and as which app.
// Credential or Token is needed, unless Endpoint is an emulator that asks for
// none (Insecure); all else works as zero.
type ClientConfig struct {
	// Name is what Client.Name returns; empty means "graph".
	Name string
	// Endpoint is the root of the API without its version: Global, USGov,
	// USDoD, China or an emulator's address; empty means Global. Plain http
	// is for loopback addresses, unless Insecure.
	Endpoint string
	// Version is V1 or Beta; empty means V1. What only beta has goes there.
	Version string

	// Credential signs in as the app: azidentity's client secret,
	// certificate, managed identity or any other.
	Credential azcore.TokenCredential
	// Scope of its tokens; empty means Endpoint + "/.default".
	Scope string
	// Token is a ready access token, for local work. It excludes Credential.
	Token string `json:"-"`
	// Insecure allows plain http to any address, callback and media
	// addresses that are not https or wss, and requests without a token.
	Insecure bool

	// Operations hears of what goes on after a response; the webhook that
	// hears from the service must have the same. nil means one of the
	// client's own, for which Client.Operations is.
	Operations *Operations
	// KeepAlive is how often a call is kept alive; 0 means 10 min. The
	// service ends a call of which it has not heard for 45 min.
	KeepAlive time.Duration

	// HTTPClient carries the requests; nil means one with a timeout of 10 s
	// per attempt, so that a second one fits into the time a call may ring.
	// Its redirect policy is not used: a redirect is an error.
	HTTPClient *http.Client
	// MaxAttempts of one request, the first included; 0 means 4.
	MaxAttempts int
	// BaseDelay and MaxDelay bound the pauses between them; 0 means 800 ms
	// and 30 s.
	BaseDelay, MaxDelay time.Duration
	// Logger gets retries; nil means silent.
	Logger *slog.Logger
	// Now is the clock of Retry-After and of the expiry of subscriptions; nil
	// means time.Now.
	Now func() time.Time
}

// String tells the configuration without its secrets.
func (c ClientConfig) String() string {
	return fmt.Sprintf("graph.ClientConfig{Endpoint:%q Version:%q}", c.Endpoint, c.Version)
}

// GoString is String, so that %#v tells no secret either.
func (c ClientConfig) GoString() string { return c.String() }

// resolve checks c and returns it with its defaults.
func (c ClientConfig) resolve() (ClientConfig, error) {
	if c.Endpoint == "" {
		c.Endpoint = Global
	}
	u, err := parseURL("Endpoint", c.Endpoint, c.Insecure)
	switch {
	case err != nil:
		return c, fmt.Errorf("graph: %w", err)
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
		return c, fmt.Errorf("graph: Endpoint %s: want no path, query or fragment", rest.Clip(c.Endpoint))
	}
	c.Endpoint = u.Scheme + "://" + u.Host
	switch c.Version {
	case "":
		c.Version = V1
	case V1, Beta:
	default:
		return c, fmt.Errorf("graph: Version %q: want %s or %s", rest.Clip(c.Version), V1, Beta)
	}
	switch {
	case c.Credential != nil && c.Token != "":
		return c, errors.New("graph: both Credential and Token are set")
	case c.Credential == nil && c.Token == "" && !c.Insecure:
		return c, errors.New("graph: neither Credential nor Token is set")
	case strings.ContainsAny(c.Token, "\r\n"):
		return c, errors.New("graph: Token holds a line break")
	case c.MaxAttempts < 0 || c.BaseDelay < 0 || c.MaxDelay < 0 || c.KeepAlive < 0:
		return c, fmt.Errorf("graph: negative setting: %d attempts, base %v, max %v, keep-alive %v",
			c.MaxAttempts, c.BaseDelay, c.MaxDelay, c.KeepAlive)
	}
	c.defaults()
	return c, nil
}

func (c *ClientConfig) defaults() {
	if c.Name == "" {
		c.Name = cloudName
	}
	if c.Scope == "" {
		c.Scope = c.Endpoint + "/.default"
	}
	if c.Operations == nil {
		c.Operations = new(Operations)
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = 10 * time.Minute
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

// parseURL reads an absolute https URL; plain http is for loopback unless
// insecure. Errors tell no more of it than its beginning.
func parseURL(what, raw string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s is not a URL", what)
	case u.User != nil:
		return nil, fmt.Errorf("%s holds user information", what)
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
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
