package acs

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

var ringTime = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

func newTestWebhook(t testing.TB, change func(*WebhookConfig)) (*Webhook, *sinkLog) {
	t.Helper()
	sink := &sinkLog{}
	config := WebhookConfig{Sink: sink, Insecure: true, Now: func() time.Time { return ringTime }}
	if change != nil {
		change(&config)
	}
	w, err := NewWebhook(config)
	require.NoError(t, err)
	return w, sink
}

// post sends body to the webhook; header is pairs of name and value.
func post(w http.Handler, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

func TestCallbackSamples(t *testing.T) {
	const call = "401f3500-62bd-46a9-8c09-9e1b06caca01"
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		require.NoError(t, err)
		return v.UTC()
	}
	for file, want := range map[string]session.Notice{
		"participants-updated": {
			Kind: session.EventParticipants, Type: "Microsoft.Communication.ParticipantsUpdated",
			ID: "61069ef9-5ca9-457f-ac36-e2bb5e8400ca", CallID: call, Time: at("2022-08-12T03:35:07.9129474Z"),
			Participants: []session.Participant{{Identity: session.Identity{
				RawID: "8:acs:816df1ca-971b-44d7-b8b1-8fba90748500_00000013-2ff6-dd51-54b7-a43a0d001998"}}},
		},
		"call-connected": {
			Kind: session.EventConnected, Type: "Microsoft.Communication.CallConnected",
			ID: "46116fb7-27e0-4a99-9478-a659c8fd4815", CallID: call, Time: at("2022-08-12T03:35:07.8174402Z"),
		},
		"recognize-completed": {
			Kind: session.EventOperation, Type: "Microsoft.Communication.RecognizeCompleted", ID: "ac2cb537-2d62-48bf-909e-cc93534c4258",
			CallID: "401f7000-c1c0-41e2-962d-85d0dc1d6f01", Time: at("2022-11-22T01:41:44.5582769Z"),
			Code: 200, SubCode: 8533, Message: "Action completed, DTMF option matched.",
			OperationContext: "OperationalContextValue-1118-1049",
		},
		"play-failed": {
			Kind: session.EventOperation, Type: "Microsoft.Communication.PlayFailed", ID: "704a7a96-4d74-4ebe-9cd0-b7cc39c3d7b1",
			CallID: "callConnectionId", Time: at("2022-08-12T03:13:25.0252763Z"),
			Code: 400, SubCode: 8536, Message: "Action failed, file could not be downloaded.",
		},
		"recording-state-changed": {
			Type: "Microsoft.Communication.RecordingStateChanged", ID: "bf59843a-888f-47ca-8d1c-885c1f5e71dc",
			CallID: "callConnectionId", Time: at("2022-08-11T23:42:45.5346632Z"),
		},
		"media-streaming-started": {
			Kind: session.EventMediaStarted, Type: "Microsoft.Communication.MediaStreamingStarted",
			ID: "c3220fa3-79bd-473e-96a2-3ecb5be7d71f", CallID: "18dea47f", Time: at("2024-10-22T21:36:18.1234567Z"),
			Code: 200, Reason: "subscriptionStarted", OperationContext: "startMediaStreamingContext",
		},
	} {
		w, sink := newTestWebhook(t, nil)
		body := string(golden(t, "event-"+file+".json"))
		rec := post(w, "/callbacks", body)
		require.Equal(t, http.StatusOK, rec.Code, file+": "+rec.Body.String())
		require.Len(t, sink.notices, 1, file)
		require.JSONEq(t, strings.Trim(strings.TrimSpace(body), "[]"), string(sink.notices[0].Raw), file)
		sink.notices[0].Raw = nil
		require.Equal(t, want, sink.notices[0], file)
	}
}

func TestCallbackVariants(t *testing.T) {
	const failed = `{"type":"Microsoft.Communication.MediaStreamingFailed","source":"calling/callConnections/c1",
		"data":{"resultInformation":{"code":"400","subCode":8581,"message":"Action failed"}}}`
	for _, c := range []struct {
		name, body string
		want       []session.Notice
	}{
		{"id from source, code as string", failed, []session.Notice{{
			Kind: session.EventMediaFailed, CallID: "c1", Code: 400, SubCode: 8581, Message: "Action failed"}}},
		{"id from subject with event name", `[{"type":"Microsoft.Communication.CallConnected","subject":"/Calling/CallConnections/c2/CallConnected"}]`,
			[]session.Notice{{Kind: session.EventConnected, CallID: "c2"}}},
		{"case of everything", `[{"TYPE":"microsoft.communication.CALLDISCONNECTED","Data":{"CallConnectionId":"c","ResultInformation":{"Code":200,"subcode":7000}}}]`,
			[]session.Notice{{Kind: session.EventDisconnected, CallID: "c", Code: 200, SubCode: 7000}}},
		{"no prefix", `[{"type":"CallConnected","data":{"callConnectionId":"c"}}]`,
			[]session.Notice{{Kind: session.EventConnected, CallID: "c"}}},
		{"many, in order", `[{"type":"Microsoft.Communication.CallConnected","data":{"callConnectionId":"a"}},
			{"type":"Microsoft.Communication.MediaStreamingStopped","data":{"callConnectionId":"b"}},
			{"type":"Microsoft.Communication.CreateCallFailed","data":{"callConnectionId":"c"}},
			{"type":"Microsoft.Communication.AnswerFailed","data":{"callConnectionId":"d"}}]`,
			[]session.Notice{{Kind: session.EventConnected, CallID: "a"}, {Kind: session.EventMediaStopped, CallID: "b"},
				{Kind: session.EventCreateFailed, CallID: "c"}, {Kind: session.EventAnswerFailed, CallID: "d"}}},
		{"2022: plural", `[{"type":"Microsoft.Communication.AddParticipantsSucceeded","data":{"callConnectionId":"c","participants":[]}}]`,
			[]session.Notice{{Kind: session.EventOperation, CallID: "c"}}},
		{"2022: roster of bare identifiers", `[{"type":"Microsoft.Communication.ParticipantsUpdated","data":{"callConnectionId":"c",
			"participants":[{"rawId":"8:acs:a","kind":"communicationUser"},{"phoneNumber":{"value":"+1"}}]}}]`,
			[]session.Notice{{Kind: session.EventParticipants, CallID: "c", Participants: []session.Participant{
				{Identity: session.Identity{RawID: "8:acs:a"}}, {Identity: session.Identity{RawID: "4:+1"}}}}}},
		{"roster with states", `[{"type":"Microsoft.Communication.ParticipantsUpdated","data":{"callConnectionId":"c","sequenceNumber":3,
			"participants":[{"identifier":{"rawId":"8:acs:a"},"isMuted":true,"isOnHold":true}]}}]`,
			[]session.Notice{{Kind: session.EventParticipants, CallID: "c", Sequence: 3, Participants: []session.Participant{
				{Identity: session.Identity{RawID: "8:acs:a"}, Muted: true, OnHold: true}}}}},
		{"empty roster", `[{"type":"Microsoft.Communication.ParticipantsUpdated","data":{"callConnectionId":"c","participants":[]}}]`,
			[]session.Notice{{Kind: session.EventParticipants, CallID: "c", Participants: []session.Participant{}}}},
		{"unknown type with data of any kind", `[{"type":"Contoso.New","id":"i","data":[1]},{"type":"Contoso.Null","data":null}]`,
			[]session.Notice{{ID: "i"}, {}}},
		{"time that is none", `[{"type":"Microsoft.Communication.CallConnected","time":"yesterday","data":{"callConnectionId":"c"}}]`,
			[]session.Notice{{Kind: session.EventConnected, CallID: "c"}}},
		{"no events", `[]`, nil},
	} {
		w, sink := newTestWebhook(t, nil)
		rec := post(w, "/callbacks/any/thing", c.body, "Content-Type", "application/cloudevents-batch+json; charset=utf-8")
		require.Equal(t, http.StatusOK, rec.Code, c.name+": "+rec.Body.String())
		for i := range sink.notices {
			require.NotEmpty(t, sink.notices[i].Type, c.name)
			require.True(t, json.Valid(sink.notices[i].Raw), c.name)
			sink.notices[i].Type, sink.notices[i].Raw = "", nil
		}
		require.Equal(t, c.want, sink.notices, c.name)
		require.EqualValues(t, 1, w.Stats().Callbacks, c.name)
		require.EqualValues(t, len(c.want), w.Stats().Notices, c.name)
	}
}

func TestCallbackRefusals(t *testing.T) {
	ok := `{"type":"Microsoft.Communication.CallConnected","data":{"callConnectionId":"c"}}`
	for _, c := range []struct {
		name, body, want string
	}{
		{"empty", ``, "body is empty"},
		{"null", `null`, "body is null"},
		{"text", `hello`, "body: invalid character"},
		{"number", `5`, "body: cannot be number"},
		{"cut", `[{"type":`, "body: unexpected end of JSON input"},
		{"cut object", `{"type":"x"`, "body: unexpected end of JSON input"},
		{"element", `[` + ok + `,7]`, "event 1: cannot be number"},
		{"no type", `[` + ok + `,{"data":{}}]`, "event 1: type is missing"},
		{"type of wrong type", `[{"type":5}]`, "event 0: type: cannot be number"},
		{"no call", `[{"type":"Microsoft.Communication.CallConnected","data":{}}]`, "data.callConnectionId is missing"},
		{"call of wrong type", `[{"type":"CallConnected","data":{"callConnectionId":[]}}]`, "data.callConnectionId: cannot be array"},
		{"code", `[{"type":"CallConnected","data":{"callConnectionId":"c","resultInformation":{"code":"many"}}}]`, `data.resultInformation.code: cannot be "many"`},
		{"no roster", `[{"type":"ParticipantsUpdated","data":{"callConnectionId":"c"}}]`, "data.participants is missing"},
		{"roster of wrong type", `[{"type":"ParticipantsUpdated","data":{"callConnectionId":"c","participants":"x"}}]`, "data.participants: cannot be string"},
		{"nobody", `[{"type":"ParticipantsUpdated","data":{"callConnectionId":"c","participants":[{"identifier":{}}]}}]`, "data.participants[0]: identifier is missing"},
	} {
		w, sink := newTestWebhook(t, nil)
		rec := post(w, "/callbacks", c.body)
		require.Equal(t, http.StatusBadRequest, rec.Code, c.name)
		require.Contains(t, rec.Body.String(), c.want, c.name)
		require.Empty(t, sink.notices, c.name+": nothing is half applied")
		require.Equal(t, map[string]int64{"decode": 1}, w.Stats().Bad, c.name)
	}
}

func TestWebhookRefusesBeforeReading(t *testing.T) {
	w, sink := newTestWebhook(t, func(c *WebhookConfig) { c.MaxBody = 100 })
	events := w.EventPath()
	for _, path := range []string{"/callbacks", events} {
		require.Equal(t, http.StatusUnsupportedMediaType, post(w, path, `[]`, "Content-Type", "text/plain").Code)
		require.Equal(t, http.StatusUnsupportedMediaType, post(w, path, `[]`, "Content-Type", ";;").Code)
		require.Equal(t, http.StatusRequestEntityTooLarge, post(w, path, strings.Repeat(" ", 101)).Code)
		require.Equal(t, http.StatusOK, post(w, path, `[]`+strings.Repeat(" ", 98)).Code)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
		require.Contains(t, rec.Header().Get("Allow"), "POST")
	}
	require.Equal(t, map[string]int64{"content_type": 4, "too_large": 2, "method": 2}, w.Stats().Bad)

	secret := strings.TrimPrefix(events, "/events/")
	require.Len(t, secret, 32)
	for _, path := range []string{"/", "/callbacksx", "/events", "/events/", "/events/" + secret[:31], "/events/" + secret + "x",
		"/events/" + secret + "/", "/events/" + strings.ToUpper(secret) + "X", "/other"} {
		require.Equal(t, http.StatusNotFound, post(w, path, `[]`).Code, path)
	}
	require.EqualValues(t, 9, w.Stats().NotFound)
	require.Empty(t, sink.notices)
}

func TestCallbackToken(t *testing.T) {
	var refuse error
	w, sink := newTestWebhook(t, func(c *WebhookConfig) {
		c.Insecure = false
		c.Verify = func(*http.Request) error { return refuse }
	})
	body := string(golden(t, "event-call-connected.json"))
	require.Equal(t, 200, post(w, "/callbacks", body).Code)
	refuse = &TokenError{Reason: RefusedExpired, Err: errors.New("detail")}
	rec := post(w, "/callbacks", body)
	require.Equal(t, http.StatusUnauthorized, rec.Code)
	require.Equal(t, "Bearer", rec.Header().Get("WWW-Authenticate"))
	require.Equal(t, "token refused: expired\n", rec.Body.String(), "details are not for strangers")
	refuse = fmt.Errorf("wrapped: %w", &TokenError{Reason: RefusedUnavailable, Err: errors.New("detail")})
	require.Equal(t, http.StatusServiceUnavailable, post(w, "/callbacks", body).Code)
	refuse = errors.New("some other check")
	require.Equal(t, http.StatusUnauthorized, post(w, "/callbacks", body).Code)
	require.Equal(t, map[string]int64{"expired": 1, "keys_unavailable": 1, "refused": 1}, w.Stats().Unauthorized)
	require.Len(t, sink.notices, 1)
	require.Equal(t, 200, post(w, w.EventPath(), string(golden(t, "grid-incoming-call.json"))).Code,
		"Event Grid carries no token but knows the path")
}

func TestIncomingCall(t *testing.T) {
	w, sink := newTestWebhook(t, nil)
	rec := post(w, w.EventPath(), string(golden(t, "grid-incoming-call.json")), "aeg-event-type", "Notification")
	require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
	require.Contains(t, string(sink.rung[0].Raw), `"callerDisplayName":"John Doe"`)
	sink.rung[0].Raw = nil
	require.Equal(t, []session.Incoming{{
		Cloud: "acs", ID: "d732db64-4803-462d-be9c-518943ea2b7a",
		Context: "eyJhbGciOiJub25lIiwidHliSldUIn0.eyJjYyI6Ikg0c0lB….",
		From:    session.Identity{RawID: "8:acs:98e4…6e10", Name: "John Doe"},
		To:      session.Identity{RawID: "8:acs:98e4…61f3"},
		Arrived: ringTime,
	}}, sink.rung)

	sink.rung = nil
	rec = post(w, w.EventPath(), `[{"type":"microsoft.communication.incomingcall","time":"2022-08-25T19:27:24Z","data":{
		"incomingCallContext":"ctx","serverCallId":"s","from":{"kind":"phoneNumber","phoneNumber":{"value":"+1"}},"to":{"rawId":"4:+2"}}},
		{"eventType":"Microsoft.Communication.CallEnded","data":{"anything":[]}}]`)
	require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
	sink.rung[0].Raw = nil
	require.Equal(t, []session.Incoming{{Cloud: "acs", ID: "s", Context: "ctx", Arrived: ringTime,
		From: session.Identity{RawID: "4:+1"}, To: session.Identity{RawID: "4:+2"}}}, sink.rung)
	s := w.Stats()
	require.Equal(t, []int64{2, 2, 1}, []int64{s.Events, s.Incoming, s.Ignored})
}

func TestIncomingCallRefusals(t *testing.T) {
	for body, want := range map[string]string{
		`[{"data":{}}]`: "event 0: eventType is missing",
		`[{"eventType":"Microsoft.Communication.IncomingCall","data":{"correlationId":"c"}}]`:                           "data.incomingCallContext is missing",
		`[{"eventType":"Microsoft.Communication.IncomingCall","data":{"incomingCallContext":"secretcontext"}}]`:         "data.correlationId is missing",
		`[{"eventType":"Microsoft.Communication.IncomingCall","data":{"incomingCallContext":"secretcontext","to":[]}}]`: "data.to: cannot be array",
		`[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationUrl":"https://x"}}]`:        "data.validationCode is missing",
		`"secretcontext"`: "body: cannot be string",
	} {
		w, sink := newTestWebhook(t, nil)
		rec := post(w, w.EventPath(), body)
		require.Equal(t, http.StatusBadRequest, rec.Code, body)
		require.Contains(t, rec.Body.String(), want)
		require.NotContains(t, rec.Body.String(), "secretcontext")
		require.Empty(t, sink.rung)
	}
}

func TestEventGridHandshakes(t *testing.T) {
	w, sink := newTestWebhook(t, nil)
	rec := post(w, w.EventPath(), `[{"id":"1","topic":"/t","subject":"","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent",
		"data":{"validationCode":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6","validationUrl":"https://rp-eastus2.eventgrid.azure.net:553/"},
		"eventTime":"2022-08-25T19:27:24Z","metadataVersion":"1","dataVersion":"1"}]`, "aeg-event-type", "SubscriptionValidation")
	require.Equal(t, http.StatusOK, rec.Code)
	require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	require.JSONEq(t, `{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}`, rec.Body.String())

	options := func(path, origin string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodOptions, path, nil)
		if origin != "" {
			r.Header.Set("WebHook-Request-Origin", origin)
		}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		return rec
	}
	rec = options(w.EventPath(), "eventgrid.azure.net")
	require.Equal(t, http.StatusOK, rec.Code)
	require.Equal(t, "eventgrid.azure.net", rec.Header().Get("WebHook-Allowed-Origin"))
	require.Equal(t, "*", rec.Header().Get("WebHook-Allowed-Rate"))
	require.Equal(t, http.StatusBadRequest, options(w.EventPath(), "").Code)
	require.Equal(t, http.StatusNotFound, options("/events/guess", "eventgrid.azure.net").Code)
	require.EqualValues(t, 2, w.Stats().Validations)
	require.Empty(t, sink.rung)
}

func TestNewWebhookChecks(t *testing.T) {
	verify := func(*http.Request) error { return nil }
	for want, c := range map[string]WebhookConfig{
		"sink is nil":      {Insecure: true},
		"neither Verify":   {Sink: &sinkLog{}},
		"both Verify":      {Sink: &sinkLog{}, Verify: verify, Insecure: true},
		"below the root":   {Sink: &sinkLog{}, Verify: verify, CallbackPath: "callbacks"},
		`path ""`:          {Sink: &sinkLog{}, Verify: verify, EventPath: "/"},
		"overlap":          {Sink: &sinkLog{}, Verify: verify, CallbackPath: "/a", EventPath: "/a/b"},
		"special in a URL": {Sink: &sinkLog{}, Verify: verify, EventSecret: "a/b"},
	} {
		_, err := NewWebhook(c)
		require.ErrorContains(t, err, want)
	}
	for _, secret := range []string{"a b", "a%20b", "ä", "a?b", "#", "..", "a\nb"} {
		_, err := NewWebhook(WebhookConfig{Sink: &sinkLog{}, Verify: verify, EventSecret: secret})
		require.ErrorContains(t, err, "special in a URL", secret)
	}
	named, sink := newTestWebhook(t, func(c *WebhookConfig) { c.Cloud = "acs-west" })
	post(named, named.EventPath(), string(golden(t, "grid-incoming-call.json")))
	require.Equal(t, "acs-west", sink.rung[0].Cloud)
	a, _ := newTestWebhook(t, nil)
	b, _ := newTestWebhook(t, nil)
	require.NotEqual(t, a.EventPath(), b.EventPath(), "minted anew")
	c, _ := newTestWebhook(t, func(c *WebhookConfig) { c.CallbackPath, c.EventPath, c.EventSecret = "/x/acs/", "/x/grid", "s" })
	require.Equal(t, "/x/acs", c.CallbackPath())
	require.Equal(t, "/x/grid/s", c.EventPath())
	require.Equal(t, http.StatusOK, post(c, "/x/grid/s", `[]`).Code)
}
