package cloud

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// dateSkew is how far a request's date may be from our clock. ACS does not
// state its own window; that of App Configuration, with the same scheme, is 15
// minutes.
const dateSkew = 15 * time.Minute

// verifySignature checks a request against the access key, by the scheme of
// "Sign an HTTP request" (learn.microsoft.com, ACS tutorials):
//
//	contentHash  = base64(SHA256(body))
//	stringToSign = METHOD "\n" pathAndQuery "\n" date ";" host ";" contentHash
//	signature    = base64(HMAC-SHA256(key, stringToSign))
//
// The request target and Host are taken as received, byte for byte, and as the
// official clients sign them otherwise: see signedHosts and signedTargets.
func verifySignature(r *http.Request, body, key []byte, now time.Time) error {
	signed, signature, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	digest := sha256.Sum256(body)
	hash := base64.StdEncoding.EncodeToString(digest[:])
	if got := r.Header.Get("x-ms-content-sha256"); got != hash {
		return fmt.Errorf("x-ms-content-sha256 is %q, the body's is %q", got, hash)
	}
	for _, host := range signedHosts(r.Host) {
		values, err := signedValues(r, signed, host, now)
		if err != nil {
			return err
		}
		for _, target := range signedTargets(r.RequestURI) {
			if hmac.Equal(sign(key, r.Method, target, values), signature) {
				return nil
			}
		}
	}
	return fmt.Errorf("signature does not match %q", r.Method+"\n"+r.RequestURI)
}

// signedHosts are what clients may sign for a host: itself (JavaScript, .NET),
// without its port (Java), or the endpoint as it was configured, with a slash
// behind (Python).
func signedHosts(host string) []string {
	hosts := []string{host, host + "/"}
	if bare, _, err := net.SplitHostPort(host); err == nil {
		hosts = append(hosts, bare)
	}
	return hosts
}

// signedTargets are what clients may sign for a path and query: itself (.NET,
// Java), with its query encoded anew as a form (JavaScript), or with its
// escapes undone (Python).
func signedTargets(target string) []string {
	targets := []string{target}
	if path, query, ok := strings.Cut(target, "?"); ok {
		targets = append(targets, path+"?"+formQuery(query))
	}
	if plain, err := url.PathUnescape(target); err == nil {
		targets = append(targets, plain)
	}
	return targets
}

// formQuery writes a query as URLSearchParams does: in the same order, with
// '+' for a space and all but letters, digits and *-._ escaped.
func formQuery(query string) string {
	var b strings.Builder
	for i, pair := range strings.Split(query, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		name, value, _ := strings.Cut(pair, "=")
		b.WriteString(formEncode(name) + "=" + formEncode(value))
	}
	return b.String()
}

func formEncode(s string) string {
	plain, err := url.QueryUnescape(s)
	if err != nil {
		plain = s
	}
	encoded := strings.ReplaceAll(url.QueryEscape(plain), "~", "%7E")
	return strings.ReplaceAll(encoded, "%2A", "*")
}

func sign(key []byte, method, target, values string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(method + "\n" + target + "\n" + values))
	return mac.Sum(nil)
}

// parseAuthorization splits
// "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=…".
func parseAuthorization(value string) (signed []string, signature []byte, err error) {
	scheme, rest, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "HMAC-SHA256") {
		return nil, nil, fmt.Errorf("authorization scheme is %q, want HMAC-SHA256", scheme)
	}
	names, sig, ok := strings.Cut(rest, "&Signature=")
	names, prefixed := strings.CutPrefix(names, "SignedHeaders=")
	if !ok || !prefixed {
		return nil, nil, fmt.Errorf("authorization is not of the form SignedHeaders=…&Signature=…")
	}
	signed = strings.Split(strings.ToLower(names), ";")
	for _, name := range []string{"host", "x-ms-content-sha256"} {
		if !slices.Contains(signed, name) {
			return nil, nil, fmt.Errorf("signed headers %q lack %s", names, name)
		}
	}
	if !slices.Contains(signed, "x-ms-date") && !slices.Contains(signed, "date") {
		return nil, nil, fmt.Errorf("signed headers %q lack x-ms-date", names)
	}
	signature, err = base64.StdEncoding.DecodeString(sig)
	if err != nil {
		return nil, nil, fmt.Errorf("signature %q is not base64", sig)
	}
	return signed, signature, nil
}

// signedValues joins the values of the signed headers, and checks the date.
func signedValues(r *http.Request, signed []string, host string, now time.Time) (string, error) {
	values := make([]string, len(signed))
	for i, name := range signed {
		if name == "host" {
			values[i] = host
			continue
		}
		values[i] = r.Header.Get(name)
		if name != "date" && name != "x-ms-date" {
			continue
		}
		date, err := http.ParseTime(values[i])
		if err != nil {
			return "", fmt.Errorf("%s is %q: want an RFC 1123 date", name, values[i])
		}
		if skew := now.Sub(date).Abs(); skew > dateSkew {
			return "", fmt.Errorf("%s is %q: %v from now, at most %v", name, values[i], skew.Round(time.Second), dateSkew)
		}
	}
	return strings.Join(values, ";"), nil
}
