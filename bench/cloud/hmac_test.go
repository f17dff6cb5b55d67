package cloud

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// captureKey is the key of the vector in the ACS fact sheet and of the
// captured requests of the official JavaScript client 1.6.0.
const captureKey = "bG9jYWwtZW11bGF0b3Itc2VjcmV0"

// signedRequest is a request as the server sees it.
func signedRequest(method, target, host, date, hash, authorization string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host, r.RequestURI = host, target
	for name, value := range map[string]string{"x-ms-date": date, "x-ms-content-sha256": hash, "Authorization": authorization} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	return r
}

const (
	vectorTarget = "/calling/callConnections?api-version=2022-04-07-preview"
	vectorDate   = "Sun, 06 Nov 1994 08:49:37 GMT"
	vectorHash   = "kxGVv1aNXTYGhLmpTGbY8rmbJAn1WU1cUnipt3aU0sY="
	vectorAuth   = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=INEZNy/cIrS8n2TUlmXr66km8TwpyzJiOajFyW9TYQs="
)

func vectorTime(t *testing.T) time.Time {
	at, err := http.ParseTime(vectorDate)
	require.NoError(t, err)
	return at
}

func TestSignatureVector(t *testing.T) {
	now := vectorTime(t)
	const host = "127.0.0.1:8080"
	verify := func(now time.Time, body string, r *http.Request) error {
		return verifySignature(r, []byte(body), []byte("local-emulator-secret"), now)
	}
	good := func() *http.Request {
		return signedRequest("POST", vectorTarget, host, vectorDate, vectorHash, vectorAuth)
	}
	const body = `{"hello":"acs"}`
	require.NoError(t, verify(now, body, good()))
	require.NoError(t, verify(now.Add(dateSkew), body, good()))
	require.NoError(t, verify(now.Add(-dateSkew), body, good()))

	for name, bad := range map[string]func() error{
		"too late":  func() error { return verify(now.Add(dateSkew+time.Second), body, good()) },
		"too early": func() error { return verify(now.Add(-dateSkew-time.Second), body, good()) },
		"body":      func() error { return verify(now, body+" ", good()) },
		"method":    func() error { r := good(); r.Method = "PUT"; return verify(now, body, r) },
		"host":      func() error { r := good(); r.Host = "localhost:8080"; return verify(now, body, r) },
		"port":      func() error { r := good(); r.Host = "127.0.0.1:8081"; return verify(now, body, r) },
		"query":     func() error { r := good(); r.RequestURI += "&x=1"; return verify(now, body, r) },
		"key":       func() error { return verifySignature(good(), []byte(body), []byte("other"), now) },
		"no auth":   func() error { r := good(); r.Header.Del("Authorization"); return verify(now, body, r) },
		"no date":   func() error { r := good(); r.Header.Del("x-ms-date"); return verify(now, body, r) },
		"no hash":   func() error { r := good(); r.Header.Del("x-ms-content-sha256"); return verify(now, body, r) },
		"date changed": func() error {
			r := good()
			r.Header.Set("x-ms-date", now.Add(time.Second).UTC().Format(http.TimeFormat))
			return verify(now, body, r)
		},
		"not base64": func() error {
			return verify(now, body, signedRequest("POST", vectorTarget, host, vectorDate, vectorHash, vectorAuth+"?"))
		},
		"host not signed": func() error {
			return verify(now, body, signedRequest("POST", vectorTarget, host, vectorDate, vectorHash, strings.Replace(vectorAuth, "host;", "", 1)))
		},
		"date not signed": func() error {
			return verify(now, body, signedRequest("POST", vectorTarget, host, vectorDate, vectorHash, strings.Replace(vectorAuth, "x-ms-date;", "", 1)))
		},
		"bearer": func() error {
			return verify(now, body, signedRequest("POST", vectorTarget, host, vectorDate, vectorHash, "Bearer x"))
		},
	} {
		require.Error(t, bad(), name)
	}
}

func TestSignatureOfTheCapturedClient(t *testing.T) {
	body, err := os.ReadFile("testdata/golden/create-2026.request.json")
	require.NoError(t, err)
	require.Len(t, body, 679)
	r := signedRequest("POST", "/calling/callConnections?api-version=2026-03-12", "127.0.0.1:36073",
		"Sun, 22 Nov 2026 03:47:01 GMT", "Y1KuemBEj0NaQ5pa5mTHqp7YjRgiBU5ASkAzM4sI854=",
		"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=0EY3Rx5qHZCGE9hlGjxcoM/4JFBICkUk4AQLfzla2oY=")
	at := time.Date(2026, 11, 22, 3, 47, 2, 0, time.UTC)
	require.NoError(t, verifySignature(r, body, []byte("local-emulator-secret"), at))
}

// Java signs the host without its port, .NET sends Date too, and the order of
// the signed headers is the client's.
func TestSignatureDialects(t *testing.T) {
	now := time.Now()
	for name, host := range map[string]string{"with port": "emulator.local:8080", "without port": "emulator.local"} {
		r := signedRequest("GET", "/calling/callConnections/x?api-version=2026-03-12", "emulator.local:8080", "", "", "")
		signRequest(t, r, captureKey, r.RequestURI, "", host, now)
		require.NoError(t, verifySignature(r, nil, []byte("local-emulator-secret"), now), name)
	}
	// The query may have been written anew, or the escapes undone.
	for name, target := range map[string]string{
		"JavaScript": "/c/4%3A%2B1/participants?api-version=2026-03-12&%24skip=3&q=a+b%7E*",
		"Python":     "/c/4:+1/participants?api-version=2026-03-12&$skip=3&q=a b~*",
	} {
		r := signedRequest("GET", "/c/4%3A%2B1/participants?api-version=2026-03-12&$skip=3&q=a%20b~*", "e:80", "", "", "")
		signRequest(t, r, captureKey, target, "", "e:80/", now)
		require.NoError(t, verifySignature(r, nil, []byte("local-emulator-secret"), now), name)
	}
	r := signedRequest("GET", "/x", "h", "", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "")
	r.Header.Set("Date", now.UTC().Format(http.TimeFormat))
	values := "h;" + r.Header.Get("Date") + ";47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	sum := sign([]byte("k"), "GET", "/x", values)
	r.Header.Set("Authorization", "HMAC-SHA256 SignedHeaders=host;date;x-ms-content-sha256&Signature="+base64.StdEncoding.EncodeToString(sum))
	require.NoError(t, verifySignature(r, nil, []byte("k"), now))
}
