package cloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Roles of the calls API, in their newer spelling. The older one has
// "GroupCalls" for "GroupCall"; both are taken, in any case.
const (
	RoleInitiate      = "Calls.Initiate.All"
	RoleInitiateGroup = "Calls.InitiateGroupCall.All"
	RoleJoin          = "Calls.JoinGroupCall.All"
	RoleJoinAsGuest   = "Calls.JoinGroupCallAsGuest.All"
	RoleAccessMedia   = "Calls.AccessMedia.All"
	RoleMeetings      = "OnlineMeetings.Read.All"
	RoleMeetingsWrite = "OnlineMeetings.ReadWrite.All"
)

// allRoles are what an app has that was given none.
var allRoles = []string{RoleInitiate, RoleInitiateGroup, RoleJoin, RoleJoinAsGuest, RoleAccessMedia, RoleMeetings, RoleMeetingsWrite}

// GraphApp is an application that is registered in Entra ID, with a calling
// bot. Its zero value is one of a new tenant that may do everything.
type GraphApp struct {
	// ID, TenantID and Secret are minted where they are empty.
	ID       string `json:"id,omitempty"`
	TenantID string `json:"tenant_id,omitempty"`
	Secret   string `json:"secret,omitempty"`
	// Name to show; empty means "Calling Bot".
	Name string `json:"name,omitempty"`
	// Roles that an administrator consented to; nil means all.
	Roles []string `json:"roles,omitempty"`
	// CallbackURL is the bot's calling webhook: where its calls ring, and
	// where calls tell of themselves that were given no callbackUri.
	CallbackURL string `json:"callback_url,omitempty"`
	// InstanceID of the app's application instance, by which it is called and
	// calls telephones; empty means there is none. Phone is its number.
	InstanceID string `json:"instance_id,omitempty"`
	Phone      string `json:"phone,omitempty"`
}

func (a GraphApp) withDefaults() (GraphApp, error) {
	for _, id := range []*string{&a.ID, &a.TenantID, &a.Secret} {
		if *id == "" {
			*id = uuid.NewString()
		}
	}
	if a.Name == "" {
		a.Name = "Calling Bot"
	}
	if a.Roles == nil {
		a.Roles = allRoles
	}
	if a.Phone != "" && (a.InstanceID == "" || !strings.HasPrefix(a.Phone, "+")) {
		return a, fmt.Errorf("cloud: app %s: phone %q: want E.164, and an instance_id", a.ID, a.Phone)
	}
	return a, nil
}

// roleSet are an app's roles, whatever their spelling.
type roleSet struct{ names []string }

func roleKey(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "groupcalls", "groupcall")
}

func (r roleSet) any(names ...string) bool {
	return slices.ContainsFunc(r.names, func(have string) bool {
		return slices.ContainsFunc(names, func(want string) bool { return roleKey(have) == roleKey(want) })
	})
}

// Times and audiences of access tokens.
const (
	accessTokenLife = time.Hour
	graphResource   = "00000003-0000-0000-c000-000000000000"
	graphAudience   = "https://graph.microsoft.com"
	callbackIssuer  = "https://graph.microsoft.com"
)

// AccessToken returns a token with which an app may call the emulated Graph,
// as the token endpoint would. The app is a registered one, by its id; empty
// means the first.
func (s *Server) AccessToken(appID string) (string, error) {
	app := s.appOf(appID)
	if app == nil {
		return "", fmt.Errorf("cloud: app %q is not registered", appID)
	}
	return strings.TrimPrefix(s.issuer.bearer(s.accessClaims(app, graphAudience), time.Now(), accessTokenLife, false, ""), "Bearer "), nil
}

// accessClaims are those of a v1.0 token for an application.
func (s *Server) accessClaims(app *GraphApp, audience string) jwt.MapClaims {
	return jwt.MapClaims{
		"iss": "https://sts.windows.net/" + app.TenantID + "/", "aud": audience,
		"appid": app.ID, "app_displayname": app.Name, "tid": app.TenantID, "roles": app.Roles,
		"idtyp": "app", "ver": "1.0",
	}
}

// appOf returns the registered app of that id, or the first one.
func (s *Server) appOf(id string) *GraphApp {
	if id == "" {
		return s.apps[0]
	}
	for _, app := range s.apps {
		if strings.EqualFold(app.ID, id) {
			return app
		}
	}
	return nil
}

// authenticate finds the app behind a request. An insecure server takes what is
// no token of ours for the first app, which has all its roles: the JavaScript
// SDK sends no token over plain http.
func (s *Server) authenticate(header string, now time.Time) (*GraphApp, roleSet, *response) {
	scheme, text, _ := strings.Cut(header, " ")
	refused := func(message string) (*GraphApp, roleSet, *response) {
		return nil, roleSet{}, graphError(http.StatusUnauthorized, "InvalidAuthenticationToken", message)
	}
	if header == "" || !strings.EqualFold(scheme, "Bearer") || text == "" {
		if s.Insecure && header == "" {
			return s.apps[0], roleSet{s.apps[0].Roles}, nil
		}
		return refused("Access token is empty.")
	}
	var claims struct {
		jwt.RegisteredClaims
		AppID string   `json:"appid"`
		Tid   string   `json:"tid"`
		Roles []string `json:"roles"`
	}
	_, err := jwt.ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) { return &s.issuer.key.PublicKey, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return now }))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet):
		return refused("Access token has expired or is not yet valid.")
	case err != nil && s.Insecure:
		return s.apps[0], roleSet{s.apps[0].Roles}, nil
	case err != nil:
		return refused("Access token validation failure.")
	case !slices.ContainsFunc([]string(claims.Audience), s.isGraph):
		return refused("Access token validation failure. Invalid audience.")
	}
	app := s.appOf(claims.AppID)
	if claims.AppID == "" || app == nil || !strings.EqualFold(claims.Tid, app.TenantID) || claims.Issuer != "https://sts.windows.net/"+app.TenantID+"/" {
		return refused("Access token validation failure. Invalid issuer.")
	}
	return app, roleSet{claims.Roles}, nil
}

// isGraph tells the audiences of tokens for this service.
func (s *Server) isGraph(audience string) bool {
	audience = strings.TrimSuffix(audience, "/")
	return audience == graphAudience || audience == graphResource || audience == s.url || audience == s.tlsURL
}

// errPermission is the refusal of an app that has none of the roles.
func errPermission(...string) *response {
	return graphError(http.StatusForbidden, "7504", "Insufficient enterprise tenant permissions, cannot access this API.")
}

// errTenant is the refusal of a request that names another tenant.
func errTenant() *response {
	return graphError(http.StatusForbidden, "7505", "Request authorization tenant mismatch.")
}

// serveToken is the token endpoint, "OAuth 2.0 client credentials flow":
// POST /{tenant}/oauth2/v2.0/token.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, tenant string) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_request", "body: "+err.Error())
		return
	}
	app := s.appOf(r.PostForm.Get("client_id"))
	scope := resourceScope(r.PostForm.Get("scope"))
	audience := strings.TrimSuffix(scope, "/.default")
	switch {
	case r.PostForm.Get("grant_type") != "client_credentials":
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", fmt.Sprintf("grant_type %q: want client_credentials", r.PostForm.Get("grant_type")))
	case app == nil || r.PostForm.Get("client_id") == "":
		oauthError(w, http.StatusUnauthorized, "unauthorized_client", "client_id: no such application")
	case !strings.EqualFold(tenant, app.TenantID):
		oauthError(w, http.StatusBadRequest, "invalid_request", "tenant: not that of the application")
	case r.PostForm.Get("client_secret") != app.Secret:
		oauthError(w, http.StatusUnauthorized, "invalid_client", "client_secret: is wrong")
	case !s.isGraph(audience):
		oauthError(w, http.StatusBadRequest, "invalid_scope", fmt.Sprintf("scope %q: want %s/.default", scope, graphAudience))
	default:
		token := strings.TrimPrefix(s.issuer.bearer(s.accessClaims(app, audience), time.Now(), accessTokenLife, false, ""), "Bearer ")
		newResponse(http.StatusOK, map[string]any{
			"token_type": "Bearer", "expires_in": int(accessTokenLife / time.Second), "ext_expires_in": int(accessTokenLife / time.Second), "access_token": token,
		}).write(w)
	}
}

// resourceScope is what of a list of scopes is not OpenID Connect's own, which
// Microsoft's libraries ask for besides.
func resourceScope(list string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(list), func(scope string) bool {
		return slices.Contains([]string{"openid", "profile", "email", "offline_access"}, scope)
	}), " ")
}

func oauthError(w http.ResponseWriter, status int, code, text string) {
	newResponse(status, map[string]any{"error": code, "error_description": text, "correlation_id": uuid.NewString()}).write(w)
}

// tenantDiscovery is what sign-in libraries ask before the token endpoint.
func (s *Server) tenantDiscovery(tenant, base string) json.RawMessage {
	doc := s.issuer.discovery(base+"/"+tenant+"/v2.0", base)
	doc["token_endpoint"] = base + "/" + tenant + "/oauth2/v2.0/token"
	doc["authorization_endpoint"] = base + "/" + tenant + "/oauth2/v2.0/authorize"
	doc["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
	return marshal(doc)
}
