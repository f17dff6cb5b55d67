package cloud

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// acsAudience is that of tokens of Entra ID for Communication Services. The
// clients ask for "https://communication.azure.com//.default", and so get one
// with a slash behind it.
const acsAudience = "https://communication.azure.com"

func isACS(audience string) bool { return strings.TrimRight(audience, "/") == acsAudience }

// ACSToken returns a token with which an app may call the emulated resource,
// as the token endpoint would for the scope of Communication Services. The app
// is a registered one, by its id; empty means the first.
func (s *Server) ACSToken(appID string) (string, error) {
	app := s.appOf(appID)
	if app == nil {
		return "", fmt.Errorf("cloud: app %q is not registered", appID)
	}
	return s.acsToken(app, acsAudience+"/"), nil
}

func (s *Server) acsToken(app *GraphApp, audience string) string {
	claims := s.accessClaims(app, audience)
	delete(claims, "roles") // they are Graph's
	return strings.TrimPrefix(s.issuer.bearer(claims, time.Now(), accessTokenLife, false, ""), "Bearer ")
}

// serveACSToken is the token endpoint for the scope of Communication Services,
// and reports whether it was that.
func (s *Server) serveACSToken(w http.ResponseWriter, r *http.Request, tenant string) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if r.ParseForm() != nil {
		return false // the other endpoint says so
	}
	audience := ""
	for _, one := range strings.Fields(r.PostForm.Get("scope")) {
		if resource, ok := strings.CutSuffix(one, "/.default"); ok && isACS(resource) {
			audience = resource
		}
	}
	app := s.appOf(r.PostForm.Get("client_id"))
	if audience == "" || app == nil || r.PostForm.Get("client_id") == "" {
		return false
	}
	switch {
	case r.PostForm.Get("grant_type") != "client_credentials":
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", fmt.Sprintf("grant_type %q: want client_credentials", r.PostForm.Get("grant_type")))
	case !strings.EqualFold(tenant, app.TenantID):
		oauthError(w, http.StatusBadRequest, "invalid_request", "tenant: not that of the application")
	case r.PostForm.Get("client_secret") != app.Secret:
		oauthError(w, http.StatusUnauthorized, "invalid_client", "client_secret: is wrong")
	default:
		life := int(accessTokenLife / time.Second)
		newResponse(http.StatusOK, map[string]any{
			"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": s.acsToken(app, audience),
		}).write(w)
	}
	return true
}

// authorize checks who asks: by the access key, or by a token of one of the
// apps, which goes over https only, unless the server is insecure.
func (s *Server) authorize(r *http.Request, body []byte, now time.Time) *refusal {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		if err := verifySignature(r, body, s.key, now); err != nil {
			return &refusal{status: http.StatusUnauthorized, code: "7509", message: "Hmac Validation Error: " + err.Error()}
		}
		return nil
	}
	refused := func(format string, args ...any) *refusal {
		return &refusal{status: http.StatusUnauthorized, code: "7501", message: "Invalid Token: " + fmt.Sprintf(format, args...)}
	}
	if r.TLS == nil && !s.Insecure {
		return refused("it came over http")
	}
	var claims struct {
		jwt.RegisteredClaims
		AppID string `json:"appid"`
		Tid   string `json:"tid"`
	}
	_, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return &s.issuer.key.PublicKey, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return now }))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return refused("it has expired")
	case err != nil:
		return refused("%v", err)
	case len(claims.Audience) != 1 || !isACS(claims.Audience[0]):
		return refused("audience %q: want %s", claims.Audience, acsAudience)
	}
	app := s.appOf(claims.AppID)
	if claims.AppID == "" || app == nil || claims.Issuer != "https://sts.windows.net/"+app.TenantID+"/" || !strings.EqualFold(claims.Tid, app.TenantID) {
		return refused("issuer %q is not the tenant's", claims.Issuer)
	}
	return nil
}
