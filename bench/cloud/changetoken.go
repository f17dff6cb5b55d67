package cloud

import (
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const (
	// changeTracking is the app that signs for change notifications: Microsoft
	// Graph Change Tracking. A receiver must look for it in appid.
	changeTracking = "0bf30f3b-4a52-48df-9a82-234910c4a086"

	// changeTokenLife is that of the token which the document shows decoded.
	changeTokenLife = 29100 * time.Second

	// Where the real issuer, login.microsoftonline.com, has its documents.
	changeDiscoveryPath = "/common/.well-known/openid-configuration"
	changeKeysPath      = "/common/discovery/keys"
)

// changeIssuer is who signs for a tenant.
func changeIssuer(tenant string) string { return "https://sts.windows.net/" + tenant + "/" }

// discovery is the OpenID configuration of who signs validation tokens, served
// at base. Its issuer has a placeholder where tokens name their tenant.
func (c *changes) discovery(base string) map[string]any {
	doc := c.issuer.discovery(changeIssuer("{tenantid}"), base)
	doc["jwks_uri"] = base + changeKeysPath
	return doc
}

// validationToken signs a token for an app of a tenant: v1.0 of Microsoft's
// access tokens. It returns "" if the fault leaves it out.
func (c *changes) validationToken(app changeApp, fault *ChangeFault, now time.Time) string {
	flaw := TokenFlaw("")
	if fault != nil {
		flaw = fault.Token
		if flaw == "" {
			flaw = FlawSignature
		}
	}
	tenant, audience, signer := app.TenantID, app.ID, changeTracking
	switch flaw {
	case FlawMissing:
		return ""
	case FlawExpired:
		now = now.Add(-changeTokenLife - time.Hour)
	case FlawNotYet:
		now = now.Add(time.Hour)
	case FlawTenant:
		tenant = uuid.NewString()
	case FlawAudience:
		audience = uuid.NewString()
	case FlawAppID:
		signer = uuid.NewString()
	}
	claims := jwt.MapClaims{
		"aud": audience, "iss": changeIssuer(tenant), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(changeTokenLife).Unix(),
		"appid": signer, "appidacr": "2", "idp": changeIssuer(tenant), "tid": tenant, "uti": uuid.NewString(), "ver": "1.0",
	}
	if flaw == FlawIssuer {
		claims["iss"] = "https://issuer.invalid/" + tenant + "/"
	}
	return c.issuer.signFlawed(claims, flaw)
}

// signFlawed signs claims in a way that is wrong, if the flaw is one of
// signing.
func (i *issuer) signFlawed(claims jwt.MapClaims, flaw TokenFlaw) string {
	method, key, kid := jwt.SigningMethod(jwt.SigningMethodRS256), any(i.key), i.kid
	switch flaw {
	case FlawAlgorithm:
		method, key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType
	case FlawUnknownKey:
		kid = uuid.NewString()
	}
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = kid
	text, err := token.SignedString(key)
	if err != nil {
		// The key is ours and the claims are plain: this cannot fail.
		return ""
	}
	if flaw == FlawSignature {
		text = spoil(text)
	}
	return text
}
