package acs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
	"github.com/stretchr/testify/require"
)

// operation is one method of the client and what it must put on the wire.
type operation struct {
	name, method, target string
	status               int
	repeatable, body     bool
	do                   func(ctx context.Context, c *Client) error
}

func operations() []operation {
	in := session.Incoming{Context: "ctx"}
	return []operation{
		{"create", "POST", "/calling/callConnections", 201, true, true, func(ctx context.Context, c *Client) error {
			_, err := c.Create(ctx, session.CreateRequest{Body: []byte(`{"targets":[]}`)})
			return err
		}},
		{"answer", "POST", "/calling/callConnections:answer", 200, true, true, func(ctx context.Context, c *Client) error {
			_, err := c.Answer(ctx, in, session.MediaRequest{URL: transportURL})
			return err
		}},
		{"reject", "POST", "/calling/callConnections:reject", 204, true, true, func(ctx context.Context, c *Client) error {
			return c.Reject(ctx, in, "busy")
		}},
		{"redirect", "POST", "/calling/callConnections:redirect", 204, true, true, func(ctx context.Context, c *Client) error {
			return c.Redirect(ctx, in, session.Identity{RawID: "4:+1425"})
		}},
		{"get", "GET", "/calling/callConnections/a%3Ab%2Fc", 200, false, false, func(ctx context.Context, c *Client) error {
			_, err := c.Get(ctx, "a:b/c")
			return err
		}},
		{"hang up", "DELETE", "/calling/callConnections/18de%20a", 204, false, false, func(ctx context.Context, c *Client) error {
			return c.HangUp(ctx, "18de a", false)
		}},
		{"terminate", "POST", "/calling/callConnections/18de:terminate", 204, true, false, func(ctx context.Context, c *Client) error {
			return c.HangUp(ctx, "18de", true)
		}},
	}
}

// verifySignature recomputes the HMAC from what arrived, as a service does.
func verifySignature(t *testing.T, r received) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(testKey)
	require.NoError(t, err)
	s := sign(key, r.method, r.target, r.host, r.header.Get("X-Ms-Date"), r.body)
	require.Equal(t, s.authorization, r.header.Get("Authorization"))
	require.Equal(t, s.contentHash, r.header.Get("X-Ms-Content-Sha256"))
}

func TestOperationsOnTheWire(t *testing.T) {
	for _, version := range []string{Version2022, Version2026} {
		for _, op := range operations() {
			f := newFakeService(t, reply(op.status, okCall))
			c := newTestClient(t, f, ClientConfig{APIVersion: version})
			require.NoError(t, op.do(t.Context(), c.Client), op.name)
			require.Len(t, f.requests(), 1, op.name)
			r := f.requests()[0]
			require.Equal(t, op.method, r.method, op.name)
			require.Equal(t, op.target+"?api-version="+version, r.target, op.name)
			require.Equal(t, "application/json", r.header.Get("Accept"), op.name)
			require.Equal(t, "Sun, 22 Nov 2026 03:47:01 GMT", r.header.Get("X-Ms-Date"), op.name)
			verifySignature(t, r)
			if op.body {
				require.Equal(t, "application/json", r.header.Get("Content-Type"), op.name)
				require.True(t, json.Valid(r.body), op.name)
			} else {
				require.Empty(t, r.header.Get("Content-Type"), op.name)
				require.Empty(t, r.body, op.name)
			}
			id, first := r.header.Get("Repeatability-Request-Id"), r.header.Get("Repeatability-First-Sent")
			if !op.repeatable {
				require.Empty(t, id+first, op.name)
				continue
			}
			parsed, err := uuid.Parse(id)
			require.NoError(t, err, op.name)
			require.EqualValues(t, 4, parsed.Version(), op.name)
			require.Equal(t, "Sun, 22 Nov 2026 03:47:01 GMT", first, op.name)
		}
	}
}

func TestCreateSeedOverTheWire(t *testing.T) {
	f := newFakeService(t, reply(201, string(golden(t, "create-2022-response.json"))))
	c := newTestClient(t, f, ClientConfig{APIVersion: Version2022})
	seed := golden(t, "create-2022-request.json")
	conn, err := c.Create(t.Context(), session.CreateRequest{Body: seed})
	require.NoError(t, err)
	require.Equal(t, seedCallID, conn.CallID)
	require.Equal(t, session.StateConnected, conn.State)
	require.Equal(t, string(seed), string(f.requests()[0].body))
}

func TestEachCallHasItsOwnRepeatability(t *testing.T) {
	f := newFakeService(t, reply(204, ""))
	c := newTestClient(t, f, ClientConfig{})
	require.NoError(t, c.Terminate(t.Context(), "x"))
	require.NoError(t, c.Terminate(t.Context(), "x"))
	got := f.requests()
	require.NotEqual(t, got[0].header.Get("Repeatability-Request-Id"), got[1].header.Get("Repeatability-Request-Id"))
}

// TestRetriesResendUnchanged: the service tells a repetition by its headers
// and refuses one that differs.
func TestRetriesResendUnchanged(t *testing.T) {
	for _, op := range operations() {
		f := newFakeService(t, reply(503, ""), hangUpOn, reply(500, `{"error":{"code":"x","message":"m"}}`), reply(op.status, okCall))
		c := newTestClient(t, f, ClientConfig{})
		require.NoError(t, op.do(t.Context(), c.Client), op.name)
		got := f.requests()
		require.Len(t, got, 4, op.name)
		for _, again := range got[1:] {
			require.Equal(t, got[0], again, op.name)
		}
		if op.method == "GET" || op.method == "DELETE" {
			continue // net/http itself repeats those after a broken connection, without a pause
		}
		require.Equal(t, []time.Duration{800 * time.Millisecond, 1600 * time.Millisecond, 3200 * time.Millisecond}, c.pauses, op.name)
	}
}

// TestStatusTable is section 6.3 of the captures: what the official client
// makes of each answer.
func TestStatusTable(t *testing.T) {
	const errorBody = `{"error":{"code":"8523","message":"bad body","target":"targets","innererror":{"code":"Inner"}}}`
	for _, c := range []struct {
		name     string
		reply    http.HandlerFunc
		want     session.Error
		attempts int
	}{
		{"200 for 201", reply(200, okCall), session.Error{Status: 200, Message: "unexpected status, want 201"}, 1},
		{"201 without id", reply(201, `{}`), session.Error{Status: 201, Message: "call properties: callConnectionId is missing"}, 1},
		{"400", reply(400, errorBody, "x-ms-request-id", "rid"), session.Error{Status: 400, Code: "8523", SubCode: 8523, Message: "bad body", RequestID: "rid"}, 1},
		{"404 empty", reply(404, "", "mscv", "cv"), session.Error{Status: 404, Message: "no error body", RequestID: "cv"}, 1},
		{"401", reply(401, errorBody), session.Error{Status: 401, Code: "8523", SubCode: 8523, Message: "bad body"}, 1},
		{"409", reply(409, errorBody), session.Error{Status: 409, Code: "8523", SubCode: 8523, Message: "bad body"}, 1},
		{"412", reply(412, errorBody), session.Error{Status: 412, Code: "8523", SubCode: 8523, Message: "bad body"}, 1},
		{"302", reply(302, "", "Location", "http://127.0.0.1:1/"), session.Error{Status: 302, Message: "no error body"}, 1},
		{"501", reply(501, ""), session.Error{Status: 501, Message: "no error body"}, 1},
		{"603", reply(603, ""), session.Error{Status: 603, Message: "no error body"}, 1},
		{"429", reply(429, ""), session.Error{Status: 429, Message: "no error body", Retryable: true}, 4},
		{"500", reply(500, "oops"), session.Error{Status: 500, Message: "error body is not a CommunicationErrorResponse", Retryable: true}, 4},
		{"503", reply(503, ""), session.Error{Status: 503, Message: "no error body", Retryable: true}, 4},
		{"408", reply(408, ""), session.Error{Status: 408, Message: "no error body", Retryable: true}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeService(t, c.reply)
			client := newTestClient(t, f, ClientConfig{})
			_, err := client.Create(t.Context(), session.CreateRequest{Body: []byte(`{}`)})
			var got *session.Error
			require.ErrorAs(t, err, &got)
			c.want.Cloud, c.want.Op = "acs", "create"
			got.Err = nil
			require.Equal(t, c.want, *got)
			require.Len(t, f.requests(), c.attempts)
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		name   string
		header []string
		want   time.Duration
	}{
		{"seconds", []string{"Retry-After", "1"}, time.Second},
		{"date", []string{"Retry-After", "Sun, 22 Nov 2026 03:47:04 GMT"}, 3 * time.Second},
		{"capped", []string{"Retry-After", "3600"}, 30 * time.Second},
		{"capped date", []string{"Retry-After", "Sun, 22 Nov 2030 03:47:04 GMT"}, 30 * time.Second},
		{"milliseconds", []string{"x-ms-retry-after-ms", "250", "Retry-After", "1"}, 250 * time.Millisecond},
		{"zero", []string{"Retry-After", "0"}, 800 * time.Millisecond},
		{"past date", []string{"Retry-After", "Sun, 22 Nov 2020 03:47:04 GMT"}, 800 * time.Millisecond},
		{"negative", []string{"Retry-After", "-5"}, 800 * time.Millisecond},
		{"overflow", []string{"Retry-After", "99999999999999999999"}, 800 * time.Millisecond},
		{"none", nil, 800 * time.Millisecond},
	} {
		f := newFakeService(t, reply(429, "", c.header...), reply(204, ""))
		client := newTestClient(t, f, ClientConfig{})
		require.NoError(t, client.Terminate(t.Context(), "x"), c.name)
		require.Equal(t, []time.Duration{c.want}, client.pauses, c.name)
	}
}

func TestBackoffGrowsWithinBounds(t *testing.T) {
	f := newFakeService(t, reply(500, ""))
	c := newTestClient(t, f, ClientConfig{MaxAttempts: 7, BaseDelay: time.Second, MaxDelay: 10 * time.Second})
	require.Error(t, c.Terminate(t.Context(), "x"))
	s := time.Second
	require.Equal(t, []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s}, c.pauses)

	c.caller.Jitter = func() float64 { return 0.999999 }
	require.InDelta(t, float64(s), float64(c.caller.Delay(2, 0)), 1e5, "half of 2 s at most is taken off")
	require.Equal(t, 5*time.Second, c.caller.Delay(1, 5*time.Second), "what the service asks for has no jitter")
}

func TestRetriesEndInTime(t *testing.T) {
	t.Run("max attempts", func(t *testing.T) {
		f := newFakeService(t, reply(503, ""))
		c := newTestClient(t, f, ClientConfig{MaxAttempts: 1})
		require.Error(t, c.Terminate(t.Context(), "x"))
		require.Len(t, f.requests(), 1)
	})
	t.Run("deadline before the next attempt", func(t *testing.T) {
		f := newFakeService(t, reply(503, "", "Retry-After", "20"))
		c := newTestClient(t, f, ClientConfig{})
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		var got *session.Error
		require.ErrorAs(t, c.Terminate(ctx, "x"), &got)
		require.Equal(t, 503, got.Status)
		require.Empty(t, c.pauses, "no pause that cannot help")
	})
	t.Run("cancelled in the pause", func(t *testing.T) {
		f := newFakeService(t, reply(503, ""))
		c := newTestClient(t, f, ClientConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		c.caller.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
		var got *session.Error
		require.ErrorAs(t, c.Terminate(ctx, "x"), &got)
		require.Equal(t, 503, got.Status)
		require.Len(t, f.requests(), 1)
	})
	t.Run("cancelled in the attempt", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := newFakeService(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
		c := newTestClient(t, f, ClientConfig{})
		err := c.Terminate(ctx, "x")
		require.ErrorIs(t, err, context.Canceled)
		var got *session.Error
		require.ErrorAs(t, err, &got)
		require.False(t, got.Retryable)
		require.Len(t, f.requests(), 1)
	})
	t.Run("older than the service remembers", func(t *testing.T) {
		f := newFakeService(t, reply(503, "", "Retry-After", "100"))
		c := newTestClient(t, f, ClientConfig{MaxAttempts: 10, MaxDelay: time.Hour})
		require.Error(t, c.Terminate(t.Context(), "x"))
		require.Len(t, c.pauses, 2, "300 s after the first, a repetition would be refused with 412")
	})
	t.Run("real sleep", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, rest.Sleep(ctx, time.Hour), context.Canceled)
		require.NoError(t, rest.Sleep(t.Context(), time.Microsecond))
	})
}

func TestNothingUnrepeatableIsRepeated(t *testing.T) {
	f := newFakeService(t, reply(503, ""))
	c := newTestClient(t, f, ClientConfig{})
	_, err := c.do(t.Context(), request{op: "play", method: "POST", path: "/x", body: []byte(`{}`), want: []int{202}})
	require.Error(t, err)
	require.Len(t, f.requests(), 1)
}

func TestHangUpOfACallThatIsGone(t *testing.T) {
	const gone = `{"error":{"code":"8522","message":"not found"}}`
	f := newFakeService(t, reply(404, gone))
	c := newTestClient(t, f, ClientConfig{})
	var got *session.Error
	require.ErrorAs(t, c.HangUp(t.Context(), "x", false), &got)
	require.Equal(t, 8522, got.SubCode)

	f = newFakeService(t, hangUpOn, reply(404, gone))
	c = newTestClient(t, f, ClientConfig{})
	require.NoError(t, c.HangUp(t.Context(), "x", false), "the first attempt did it")

	f = newFakeService(t, reply(429, ""), reply(404, gone))
	c = newTestClient(t, f, ClientConfig{})
	require.Error(t, c.HangUp(t.Context(), "x", false), "the first attempt was turned away")
}

func TestNoService(t *testing.T) {
	f := newFakeService(t, reply(200, ""))
	c := newTestClient(t, f, ClientConfig{})
	f.Close()
	_, err := c.Get(t.Context(), "x")
	var got *session.Error
	require.ErrorAs(t, err, &got)
	require.True(t, got.Retryable)
	require.Zero(t, got.Status)
	require.Error(t, got.Err)
	require.Len(t, c.pauses, 3)
}

func TestNameOfTheClient(t *testing.T) {
	f := newFakeService(t, reply(404, ""))
	c := newTestClient(t, f, ClientConfig{Name: "acs-2022"})
	require.Equal(t, "acs-2022", c.Name())
	_, refused := c.Get(t.Context(), "x")
	_, local := c.Get(t.Context(), "")
	for _, err := range []error{refused, local} {
		var got *session.Error
		require.ErrorAs(t, err, &got)
		require.Equal(t, "acs-2022", got.Cloud)
		require.Equal(t, "get", got.Op)
	}
}

func TestHugeResponse(t *testing.T) {
	f := newFakeService(t, reply(200, strings.Repeat(" ", rest.MaxResponse+1)))
	c := newTestClient(t, f, ClientConfig{})
	_, err := c.Get(t.Context(), "x")
	require.ErrorIs(t, err, rest.ErrTooLarge)
	require.Len(t, f.requests(), 1)
}

func TestBadArgumentsNeverLeave(t *testing.T) {
	f := newFakeService(t, reply(500, ""))
	c := newTestClient(t, f, ClientConfig{})
	create := func(body string) error {
		_, err := c.Create(t.Context(), session.CreateRequest{Body: json.RawMessage(body)})
		return err
	}
	_, get := c.Get(t.Context(), "")
	_, answer := c.Answer(t.Context(), session.Incoming{}, session.MediaRequest{})
	for name, err := range map[string]error{
		"array": create(`[]`), "nothing": create(``), "get": get, "answer": answer,
		"dots":     c.HangUp(t.Context(), "..", false),
		"long":     c.HangUp(t.Context(), strings.Repeat("x", 513), true),
		"reject":   c.Reject(t.Context(), session.Incoming{}, ""),
		"redirect": c.Redirect(t.Context(), session.Incoming{}, session.Identity{}),
	} {
		var got *session.Error
		require.ErrorAs(t, err, &got, name)
		require.Error(t, got.Err, name)
		require.False(t, got.Retryable, name)
		require.Zero(t, got.Status, name)
	}
	require.Empty(t, f.requests())
}

func TestBadCertificateIsNotRetried(t *testing.T) {
	f := newFakeService(t, reply(200, okCall))
	tls := httptest.NewUnstartedServer(f)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	c := newTestClient(t, f, ClientConfig{})
	c.config.Endpoint = tls.URL
	_, err := c.Get(t.Context(), "x")
	var got *session.Error
	require.ErrorAs(t, err, &got)
	require.ErrorContains(t, err, "certificate")
	require.False(t, got.Retryable)
	require.Empty(t, c.pauses)

	trusting := newTestClient(t, f, ClientConfig{HTTPClient: tls.Client()})
	trusting.config.Endpoint = tls.URL
	_, err = trusting.Get(t.Context(), "x")
	require.NoError(t, err)
}

func TestNoSecretInErrors(t *testing.T) {
	const token, context = "0123456789abcdef0123456789abcdef", "eyJhbGciOiJub25lIn0.secret-context"
	m := session.MediaRequest{URL: "wss://bot.example/media/" + token + "?k=v"}
	for _, body := range []string{
		`{"error":{"code":"` + token + `","message":"bad transportUrl ` + m.URL + ` for ` + context + `"}}`,
		`{"error":{"code":"x","message":"` + strings.Repeat("x", 1000) + token + `"}}`,
	} {
		f := newFakeService(t, reply(400, body, "x-ms-request-id", strings.Repeat("r", 500)))
		var logged strings.Builder
		c := newTestClient(t, f, ClientConfig{Logger: textLogger(&logged)})
		_, err := c.Answer(t.Context(), session.Incoming{Context: context}, m)
		var got *session.Error
		require.ErrorAs(t, err, &got)
		all := fmt.Sprintf("%v %+v %s %#v %v", err, *got, logged.String(), c.config, c.Client)
		for _, secret := range []string{token, token[:8], context, testKey, "local-emulator-secret"} {
			require.NotContains(t, all, secret)
		}
		require.Less(t, len(got.RequestID), 140)
	}
}
