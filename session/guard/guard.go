// Package guard decides who may drive this host over HTTP. The control API and
// the clouds that take calls at a path of their own ask it before anything else.
package guard

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Guard decides who is served.
//
// With a token: who bears it (RFC 6750 section 2.1), from anywhere.
//
// Without one: programs of this machine. A loopback peer address is not
// enough for that, because a browser of this machine runs the pages of others:
// the Host header must name loopback (a page whose name was rebound to
// 127.0.0.1 still sends its name), no page of another origin may have sent the
// request, and no proxy may have forwarded it.
//
// Pages of other origins can be let in by name: see cors.go.
type Guard struct {
	token   *[sha256.Size]byte // nil: none
	origins []string           // lower case; "*" is any
}

// Refusal is why a request is not served.
type Refusal struct {
	// Status of HTTP: 401 or 403.
	Status int
	// Code is one word: "unauthorized", "not_loopback", …
	Code, Message string
}

// New returns the Guard of a host with that token, or without one if it is
// empty. Pages of the origins may ask too ("https://app.example"), who must bear
// the token like all others; only where there is one, "*" lets in any.
func New(token string, origins ...string) (g Guard, err error) {
	if strings.ContainsAny(token, " \t\r\n") {
		return Guard{}, errors.New("token contains white space")
	}
	if g.origins, err = checkOrigins(origins, token != ""); err != nil {
		return Guard{}, err
	}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		g.token = &sum
	}
	return g, nil
}

// CheckListen refuses an address that must not be listened on without a
// token: any that is not loopback. "localhost" counts as loopback.
func CheckListen(addr, token string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", addr, err)
	}
	if token == "" && !loopback(host) {
		return fmt.Errorf("listen address %q is not loopback: that needs a bearer token", addr)
	}
	return nil
}

// Check returns why r is not served, or nil.
func (g Guard) Check(r *http.Request) *Refusal {
	if g.token != nil {
		return g.checkToken(r)
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return forbidden("not_loopback", "without a token only this machine is served")
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return forbidden("forwarded", h+" header: a forwarded request needs a token")
		}
	}
	if !loopback(hostOf(r.Host)) {
		return forbidden("bad_host", fmt.Sprintf("Host %q is not loopback", r.Host))
	}
	if g.lets(r.Header.Get("Origin")) {
		return nil
	}
	return checkOrigin(r)
}

// checkToken compares digests: equal in length, so that the time tells
// nothing.
func (g Guard) checkToken(r *http.Request) *Refusal {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	if subtle.ConstantTimeCompare(sum[:], g.token[:]) != 1 || !strings.EqualFold(scheme, "Bearer") {
		return &Refusal{Status: http.StatusUnauthorized, Code: "unauthorized", Message: "bearer token missing or wrong"}
	}
	return nil
}

// checkOrigin refuses what a page of another origin sent: by the browser's
// own word (Fetch Metadata), or by Origin where it does not give it.
func checkOrigin(r *http.Request) *Refusal {
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "same-origin", "none":
	default:
		return forbidden("cross_origin", fmt.Sprintf("Sec-Fetch-Site %q", site))
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
		return forbidden("cross_origin", fmt.Sprintf("Origin %q", origin))
	}
	return nil
}

func forbidden(code, message string) *Refusal {
	return &Refusal{Status: http.StatusForbidden, Code: code, Message: message}
}

// hostOf is a Host header without its port.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
