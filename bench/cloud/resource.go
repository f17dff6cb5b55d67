package cloud

import "encoding/base64"

// What a bot must know of the emulated resource, and its apps at Graph.

// URL is the resource's endpoint, "http://127.0.0.1:port". Like the methods
// below it is for started servers.
func (s *Server) URL() string { return s.url }

// AdminURL is the root of the admin API.
func (s *Server) AdminURL() string { return s.adminURL }

// TLSURL is the endpoint for clients that refuse plain http, and CA the
// certificate, in PEM, of the authority that certified it.
func (s *Server) TLSURL() string { return s.tlsURL }

// CA is the certificate of the server's own authority, in PEM.
func (s *Server) CA() []byte { return s.ca.pem }

// GraphOIDCURL is where the OpenID configuration of the issuer of Graph's
// callbacks is.
func (s *Server) GraphOIDCURL() string { return s.url + graphDiscoveryPath }

// GraphApps are the registered apps, completed.
func (s *Server) GraphApps() []GraphApp {
	var apps []GraphApp
	for _, a := range s.apps {
		apps = append(apps, *a)
	}
	return apps
}

// AccessKey is the resource's key, in base64.
func (s *Server) AccessKey() string { return base64.StdEncoding.EncodeToString(s.key) }

// OIDCURL is where the OpenID configuration of the tokens' issuer is.
func (s *Server) OIDCURL() string { return s.url + discoveryPath }

// TokenIssuer is who signs the tokens: Issuer, or URL().
func (s *Server) TokenIssuer() string { return s.issuer.issuer }

// Audience of the tokens: the resource's immutable id.
func (s *Server) Audience() string { return s.audience }
