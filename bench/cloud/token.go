package cloud

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Lifetimes of the tokens that ACS signs ("Secure webhook endpoint" and
// "Secure WebSocket" in the ACS how-tos).
const (
	eventTokenLife = 5 * time.Minute
	mediaTokenLife = 24 * time.Hour
)

// issuer signs the tokens of callbacks and of the media's upgrade. It is
// immutable, and safe for concurrent use.
type issuer struct {
	key              *rsa.PrivateKey
	kid              string
	issuer, audience string
	jwks             json.RawMessage
}

// newIssuer makes a key of its own if key is nil, which takes a moment.
func newIssuer(key *rsa.PrivateKey, iss, audience string) (*issuer, error) {
	if key == nil {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, fmt.Errorf("cloud: token key: %w", err)
		}
	}
	print := sha256.Sum256(key.N.Bytes())
	i := &issuer{
		key: key, issuer: iss, audience: audience,
		kid: base64.RawURLEncoding.EncodeToString(print[:15]),
	}
	jwk, err := jwkset.NewJWKFromKey(&key.PublicKey, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{
		ALG: jwkset.AlgRS256, KID: i.kid, USE: jwkset.UseSig,
	}})
	if err != nil {
		return nil, fmt.Errorf("cloud: token key: %w", err)
	}
	store := jwkset.NewMemoryStorage()
	if err := store.KeyWrite(context.Background(), jwk); err != nil {
		return nil, fmt.Errorf("cloud: token key: %w", err)
	}
	if i.jwks, err = store.JSONPublic(context.Background()); err != nil {
		return nil, fmt.Errorf("cloud: token key: %w", err)
	}
	return i, nil
}

// authorization returns the value of an Authorization header with a new token
// of the resource, "" if flaw is FlawMissing.
func (i *issuer) authorization(now time.Time, life time.Duration, flawed bool, flaw TokenFlaw) string {
	return i.bearer(jwt.MapClaims{"iss": i.issuer, "aud": i.audience}, now, life, flawed, flaw)
}

// bearer is authorization for a token that claims that, besides its times.
func (i *issuer) bearer(claims jwt.MapClaims, now time.Time, life time.Duration, flawed bool, flaw TokenFlaw) string {
	claims["jti"] = uuid.NewString()
	claims["iat"], claims["nbf"], claims["exp"] = now.Unix(), now.Unix(), now.Add(life).Unix()
	if flawed {
		switch flaw {
		case FlawMissing:
			return ""
		case FlawExpired:
			then := now.Add(-life - time.Hour)
			claims["iat"], claims["nbf"], claims["exp"] = then.Unix(), then.Unix(), then.Add(life).Unix()
		case FlawAudience:
			claims["aud"] = uuid.NewString()
		case FlawIssuer:
			claims["iss"] = "https://issuer.invalid"
		}
	}
	if flawed && flaw == "" {
		flaw = FlawSignature
	}
	if !flawed {
		flaw = ""
	}
	return "Bearer " + i.signFlawed(claims, flaw)
}

// sign returns claims as a signed token.
func (i *issuer) sign(claims jwt.MapClaims) string { return i.signFlawed(claims, "") }

// spoil turns a byte in the middle of a token's signature.
func spoil(token string) string {
	at := strings.LastIndexByte(token, '.') + 20
	wrong := byte('A')
	if token[at] == wrong {
		wrong = 'B'
	}
	return token[:at] + string(wrong) + token[at+1:]
}

// discovery is the OpenID configuration of who signs as iss with this key,
// served at base.
func (i *issuer) discovery(iss, base string) map[string]any {
	return map[string]any{
		"issuer":                                iss,
		"jwks_uri":                              base + keysPath,
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
	}
}
