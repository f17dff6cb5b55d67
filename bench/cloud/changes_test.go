package cloud

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func requireGraphError(t *testing.T, status int, code, message string, gotStatus int, got map[string]any) {
	t.Helper()
	require.Equal(t, status, gotStatus, got)
	e := got["error"].(map[string]any)
	require.Equal(t, code, e["code"], got)
	require.Contains(t, e["message"], message)
	inner := e["innerError"].(map[string]any)
	require.Len(t, inner, 3)
	_, err := time.Parse("2006-01-02T15:04:05", inner["date"].(string))
	require.NoError(t, err)
	for _, name := range []string{"request-id", "client-request-id"} {
		_, err := uuid.Parse(inner[name].(string))
		require.NoError(t, err)
	}
}

type refusedSubscription struct {
	property      string
	value         any
	status        int
	code, message string
}

// refusedSubscriptions are requests with one property that is wrong.
func refusedSubscriptions(t *testing.T) []refusedSubscription {
	t.Helper()
	in := func(d time.Duration) string { return graphDate(time.Now().Add(d)) }
	resource := func(joinWebURL string) string {
		return "communications/onlineMeetings(joinWebUrl='" + joinWebURL + "')/meetingCallEvents"
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	certificate := func(key any) string {
		der, err := certify(testKey(), key)
		require.NoError(t, err)
		return base64.StdEncoding.EncodeToString(der)
	}
	const invalid, extension = "InvalidRequest", "ExtensionError"
	return []refusedSubscription{
		{"changeType", nil, 400, invalid, "changeType is a required property"},
		{"notificationUrl", nil, 400, invalid, "notificationUrl is a required property"},
		{"resource", "", 400, invalid, "resource is a required property"},
		{"expirationDateTime", nil, 400, invalid, "expirationDateTime is a required property for subscription creation"},
		{"changeType", 3, 400, invalid, "changeType"},
		{"changeType", "created", 400, invalid, "updated only"},
		{"notificationUrl", "http://bot.test/", 400, invalid, "notificationUrl: \"http://bot.test/\": want https"},
		{"notificationUrl", "bot", 400, invalid, "notificationUrl"},
		{"lifecycleNotificationUrl", "http://bot.test/", 400, invalid, "lifecycleNotificationUrl"},
		{"lifecycleNotificationUrl", nil, 400, invalid, "lifecycleNotificationUrl is a required property for subscription creation on this resource when the expirationDateTime value is set to greater than 1 hour"},
		{"expirationDateTime", in(72*time.Hour + time.Minute), 400, extension, "'3.00:01:00' from now) is beyond allowed max '3.00:00:00'."},
		{"expirationDateTime", in(-time.Second), 400, invalid, "in the past"},
		{"expirationDateTime", "2026-02-01 11:00", 400, invalid, "expirationDateTime"},
		{"clientState", strings.Repeat("s", 256), 400, invalid, "clientState: 256"},
		{"encryptionCertificateId", strings.Repeat("i", 129), 400, invalid, "encryptionCertificateId: 129"},
		{"encryptionCertificateId", nil, 400, invalid, "encryptionCertificateId is a required property"},
		{"encryptionCertificate", nil, 400, invalid, "encryptionCertificate is a required property"},
		{"encryptionCertificate", "-----BEGIN CERTIFICATE-----\n", 400, invalid, "PEM"},
		{"encryptionCertificate", "?", 400, invalid, "base64"},
		{"encryptionCertificate", "MIIB", 400, invalid, "X.509"},
		{"encryptionCertificate", certificate(&short.PublicKey), 400, invalid, "1024 bits"},
		{"encryptionCertificate", certificate(&curve.PublicKey), 400, invalid, "ECDSA"},
		{"resource", "communications/onlineMeetings/?$filter=JoinWebUrl eq 'x'", 400, invalid, "resource"},
		{"resource", resource(changeMeeting), 400, invalid, "not URL-encoded"},
		{"resource", resource(url.QueryEscape("https://teams.microsoft.com/l/meetup-join/19:meeting_x@thread.v2/0")), 400, invalid, "not percent-encoded"},
		{"resource", resource(url.QueryEscape(strings.Replace(changeMeeting, "teams.microsoft.com", "teams.example", 1))), 400, invalid, "no join link"},
		{"resource", resource("https%3A%2F%2Fteams.microsoft.com%2Fl%2Fchat"), 400, invalid, "no join link"},
		{"resource", resource("%zz"), 400, invalid, "joinWebUrl"},
		{"resource", resource(url.QueryEscape(strings.Replace(changeMeeting, changeTenant, uuid.NewString(), 1))), 403, extension, "Operation: Create; Exception: [Status Code: Forbidden; Reason: The meeting tenant does not match the token tenant.]"},
	}
}

func TestRefusedSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		for _, tt := range refusedSubscriptions(t) {
			status, v := b.do("POST", "", b.request(map[string]any{tt.property: tt.value}))
			requireGraphError(t, tt.status, tt.code, tt.message, status, v)
		}
		status, v := b.do("POST", "", `{"changeType"`)
		requireGraphError(t, 400, "InvalidRequest", "Could not process subscription creation payload.", status, v)
		status, v = b.doAs(b.app, "v1.0", "POST", "", b.request(nil))
		requireGraphError(t, 400, "ExtensionError", "beta", status, v)
		nobody := b.app
		nobody.Roles = []string{"OnlineMeetings.Read"}
		status, v = b.doAs(nobody, "beta", "POST", "", b.request(nil))
		requireGraphError(t, 403, "Forbidden", "OnlineMeetings.Read.All", status, v)
		status, v = b.do("PUT", "/x", nil)
		requireGraphError(t, 405, "Request_BadRequest", "method", status, v)
		_, v = b.do("GET", "", nil)
		require.Empty(t, v["value"])
	})
}

// What the documents allow and a naive service might not.
func TestAcceptedSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		for name, m := range map[string]map[string]any{
			"slash":     {"resource": "/" + b.request(nil)["resource"].(string)},
			"upper hex": {"resource": "communications/onlineMeetings(joinWebUrl='" + strings.ReplaceAll(url.QueryEscape(changeMeeting), "%253a", "%253A") + "')/meetingCallEvents"},
			"short":     {"resource": "communications/onlineMeetings(joinWebUrl='https%3A%2F%2Fteams.microsoft.com%2Fmeet%2F1%3Fp%3Dx')/meetingCallEvents"},
			"limits":    {"clientState": strings.Repeat("s", 255), "encryptionCertificateId": strings.Repeat("i", 128)},
			"unwatched": {"lifecycleNotificationUrl": nil, "expirationDateTime": time.Now().Add(time.Hour).Format(time.RFC3339)},
		} {
			id := b.subscribe(m)
			status, v := b.do("POST", "", b.request(m))
			requireGraphError(t, 409, "ObjectIdentifierInUse", "Subscription Id "+id+" already exists for the requested combination", status, v)
			status, _ = b.do("DELETE", "/"+id, nil)
			require.Equal(t, 204, status, name)
		}
		id := b.subscribe(map[string]any{"lifecycleNotificationUrl": nil, "expirationDateTime": graphDate(time.Now().Add(time.Minute))})
		_, v := b.do("GET", "/"+id, nil)
		require.Equal(t, graphDate(time.Now().Add(45*time.Minute)), v["expirationDateTime"], "raised")
	})
}

func TestHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		plain := func(body string) func(w http.ResponseWriter, _ *http.Request) {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
				_, _ = io.WriteString(w, body)
			}
		}
		const failed = "Subscription validation request failed. "
		for _, tt := range []struct {
			code, message string
			prove         http.HandlerFunc
		}{
			{"InvalidRequest", "Subscription validation request timed out.", func(http.ResponseWriter, *http.Request) { time.Sleep(handshakeTimeout + time.Second) }},
			{"ValidationError", failed + "HTTP status code is 'Forbidden'. Notification endpoint must respond with 200 OK to validation request.", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }},
			{"ValidationError", failed + "HTTP status code is 'Accepted'.", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(202); echoToken(w, r) }},
			{"ValidationError", failed + "Response must exactly match validationToken query parameter.", plain("")},
			{"ValidationError", failed + "Response must exactly match", func(w http.ResponseWriter, r *http.Request) {
				_, raw, _ := strings.Cut(r.URL.RawQuery, "validationToken=")
				plain(raw)(w, r)
			}},
			{"ValidationError", failed + "Content type", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, r.URL.Query().Get("validationToken"))
			}},
		} {
			for _, path := range []string{"/notify", "/lifecycle"} {
				b.proveBy(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == path {
						tt.prove(w, r)
						return
					}
					echoToken(w, r)
				})
				status, v := b.do("POST", "", b.request(nil))
				requireGraphError(t, 400, tt.code, tt.message, status, v)
			}
		}
		var asked []*http.Request
		b.proveBy(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r)
			echoToken(w, r)
		})
		b.subscribe(nil)
		require.Len(t, asked, 2)
		require.Equal(t, "1", asked[0].URL.Query().Get("key"), "the URL's own query stays")
		require.Equal(t, "POST", asked[0].Method)
		require.Equal(t, "text/plain; charset=utf-8", asked[0].Header.Get("Content-Type"))
		time.Sleep(handshakeTimeout)
	})
}

func TestUpdateAndReauthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		id := b.subscribe(nil)
		time.Sleep(time.Hour)
		later := graphDate(time.Now().Add(72 * time.Hour))
		status, v := b.do("PATCH", "/"+id, map[string]any{"expirationDateTime": later, "encryptionCertificate": testCertificate(t), "encryptionCertificateId": "second"})
		require.Equal(t, 200, status, v)
		require.Equal(t, later, v["expirationDateTime"])
		require.Equal(t, "second", v["encryptionCertificateId"])
		status, v = b.do("PATCH", "/"+id, map[string]any{"notificationUrl": "https://bot.test/other"})
		require.Equal(t, 200, status, v)
		synctest.Wait() // what the hour brought about is posted, and left aside
		b.posts()
		b.c.event(meetingOf(changeMeeting), MeetingCallEvent{Type: CallStarted})
		synctest.Wait()
		posts := b.posts()
		require.Equal(t, "/other", posts[0].path)
		require.Equal(t, "second", posts[0].items()[0]["encryptedContent"].(map[string]any)["encryptionCertificateId"])

		for property, value := range map[string]any{
			"resource": "x", "clientState": "x", "changeType": "updated", "includeResourceData": true, "lifecycleNotificationUrl": "https://bot.test/l",
			"encryptionCertificate": testCertificate(t), "encryptionCertificateId": "third", "notificationUrl": "http://bot.test/",
			"expirationDateTime": graphDate(time.Now().Add(73 * time.Hour)), "unknown": 1,
		} {
			status, v := b.do("PATCH", "/"+id, map[string]any{property: value})
			require.Equal(t, 400, status, v)
		}
		status, v = b.do("PATCH", "/"+id, map[string]any{"expirationDateTime": graphDate(time.Now().Add(73 * time.Hour))})
		requireGraphError(t, 400, "ExtensionError", "Operation: Update;", status, v)
		_, v = b.do("GET", "/"+id, nil)
		require.Equal(t, later, v["expirationDateTime"], "nothing is half done")

		stranger := b.app
		stranger.ID = uuid.NewString()
		for _, tt := range []struct{ method, path string }{{"GET", ""}, {"PATCH", ""}, {"DELETE", ""}, {"POST", "/reauthorize"}} {
			body := `{"expirationDateTime":"` + later + `"}`
			status, v = b.doAs(stranger, "beta", tt.method, "/"+id+tt.path, body)
			requireGraphError(t, 404, "ResourceNotFound", "not found", status, v)
			status, v = b.do(tt.method, "/"+uuid.NewString()+tt.path, body)
			requireGraphError(t, 404, "ResourceNotFound", "not found", status, v)
		}
		_, v = b.doAs(stranger, "beta", "GET", "", nil)
		require.Empty(t, v["value"])
		status, _ = b.do("POST", "/"+id+"/reauthorize", nil)
		require.Equal(t, 204, status)
		status, _ = b.doAs(b.app, "v1.0", "DELETE", "/"+id, nil)
		require.Equal(t, 204, status, "deleting works in v1.0 too")
		status, _ = b.do("GET", "/"+id, nil)
		require.Equal(t, 404, status)
		require.Zero(t, b.c.event(changeMeeting, MeetingCallEvent{Type: CallEnded}))
	})
}

func TestRequestFaultsOfSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := map[string]RequestFault{}
		b := newChangeBot(t, func(cfg *changesConfig) {
			cfg.fault = func(operation string) RequestFault {
				f := faults[operation]
				delete(faults, operation)
				return f
			}
		})
		defer b.close()
		id := b.subscribe(nil)
		for _, tt := range []struct{ operation, method, path string }{
			{"createSubscription", "POST", ""}, {"listSubscriptions", "GET", ""}, {"getSubscription", "GET", "/" + id},
			{"updateSubscription", "PATCH", "/" + id}, {"reauthorizeSubscription", "POST", "/" + id + "/reauthorize"},
			{"deleteSubscription", "DELETE", "/" + id},
		} {
			require.Contains(t, changeOperationNames, tt.operation)
			faults[tt.operation] = RequestFault{Status: 429, RetryAfter: 7, Delay: time.Second}
			start := time.Now()
			resp := b.c.serve(b.app, "beta", tt.method, "/subscriptions"+tt.path, nil)
			require.Equal(t, "7", resp.header.Get("Retry-After"))
			require.Equal(t, time.Second, time.Since(start))
			requireGraphError(t, 429, "TooManyRequests", "script", resp.status, b.written(resp))
		}
		faults["deleteSubscription"] = RequestFault{Status: 503, Executed: true}
		status, v := b.do("DELETE", "/"+id, nil)
		requireGraphError(t, 503, "ServiceUnavailable", "script", status, v)
		status, _ = b.do("DELETE", "/"+id, nil)
		require.Equal(t, 404, status, "only the response was lost")
	})
}

// An app on a real socket, with a certificate that only the client knows.
func TestChangesOverTLS(t *testing.T) {
	t.Parallel()
	posts := make(chan changePost, 10)
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("validationToken") {
			echoToken(w, r)
			return
		}
		p := changePost{path: r.URL.RequestURI()}
		if json.NewDecoder(r.Body).Decode(&p.body) == nil {
			posts <- p
		}
	}))
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	b := newChangeBot(t, func(cfg *changesConfig) { cfg.client, cfg.pascal = client, true })
	defer client.CloseIdleConnections()
	defer b.close()
	id := b.subscribe(map[string]any{"notificationUrl": web.URL + "/n", "lifecycleNotificationUrl": web.URL + "/l"})
	require.Equal(t, 1, b.c.event(changeMeeting, changeEvents["events-roster-left.json"]))
	p := receive(t, posts)
	plain, err := decryptChange(t, p.items()[0])
	require.NoError(t, err)
	require.Equal(t, "rosterUpdated", plain["EventType"])
	require.NoError(t, b.c.lifecycle(id, SubscriptionRemoved))
	require.Equal(t, "/l", receive(t, posts).path)
}
