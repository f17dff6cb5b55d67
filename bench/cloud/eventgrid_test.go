package cloud

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIncomingCallEvent(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	script := Script{Speakers: []Speaker{{ID: "4:+14255550100", Name: "Ann"}}, HangUp: Never}
	call, err := b.srv.Ring(context.Background(), Ring{Script: script, To: "8:acs:me"})
	require.NoError(t, err)
	data := receive(t, b.incoming)
	token := data["incomingCallContext"].(string)
	require.Equal(t, map[string]any{
		"from":         map[string]any{"kind": "phoneNumber", "rawId": "4:+14255550100", "phoneNumber": map[string]any{"value": "+14255550100"}},
		"to":           map[string]any{"kind": "communicationUser", "rawId": "8:acs:me", "communicationUser": map[string]any{"id": "8:acs:me"}},
		"serverCallId": call.Log().ServerCallID, "callerDisplayName": "Ann", "incomingCallContext": token, "correlationId": call.Log().CorrelationID,
	}, data)
	require.Greater(t, len(token), 2000)
	require.Len(t, strings.Split(token, "."), 3, "looks like a JWT")

	call, err = b.srv.Ring(context.Background(), Ring{Script: script, From: "8:acs:secretary", DisplayName: "Bea"})
	require.NoError(t, err)
	data = receive(t, b.incoming)
	require.Equal(t, "8:acs:secretary", data["from"].(map[string]any)["rawId"])
	require.Equal(t, "Bea", data["callerDisplayName"])
	require.Equal(t, "4:+14255550100", call.Log().Speakers[0].RawID)
	require.Equal(t, 1, b.validations, "the handshake is made once")
}

// webhook is a bot's endpoint that answers as a test wants.
func webhook(t *testing.T, answer func(w http.ResponseWriter, kind string, event map[string]any)) (*Server, chan http.Header) {
	t.Helper()
	headers := make(chan http.Header, 100)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var events []map[string]any
		if json.NewDecoder(r.Body).Decode(&events) != nil || len(events) != 1 {
			w.WriteHeader(400)
			return
		}
		headers <- r.Header
		answer(w, r.Header.Get("aeg-event-type"), events[0])
	}))
	srv := &Server{EventsURL: web.URL, Speed: 100, signer: testKey()}
	require.NoError(t, srv.Start(context.Background()))
	t.Cleanup(func() {
		require.NoError(t, srv.Close())
		web.Close()
	})
	return srv, headers
}

func TestHandshakeByResponse(t *testing.T) {
	t.Parallel()
	var event map[string]any
	srv, headers := webhook(t, func(w http.ResponseWriter, _ string, e map[string]any) {
		event = e
		_ = json.NewEncoder(w).Encode(map[string]any{"validationResponse": e["data"].(map[string]any)["validationCode"]})
	})
	require.NoError(t, srv.Subscribe(context.Background()))
	require.NoError(t, srv.Subscribe(context.Background()))
	require.Len(t, headers, 1)
	h := <-headers
	require.Equal(t, "SubscriptionValidation", h.Get("aeg-event-type"))
	require.NotEmpty(t, h.Get("aeg-subscription-name"))
	require.Equal(t, "Microsoft.EventGrid.SubscriptionValidationEvent", event["eventType"])
	for _, field := range []string{"id", "topic", "subject", "eventTime", "dataVersion", "metadataVersion"} {
		require.Contains(t, event, field)
	}
}

func TestHandshakeByGet(t *testing.T) {
	t.Parallel()
	srv, _ := webhook(t, func(w http.ResponseWriter, _ string, e map[string]any) {
		where := e["data"].(map[string]any)["validationUrl"].(string)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get(where + "0")
		if err == nil {
			resp.Body.Close()
		}
		if err != nil || resp.StatusCode != 404 {
			return
		}
		resp, err = client.Get(where)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
	require.NoError(t, srv.Subscribe(context.Background()))
}

func TestHandshakeRefused(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter, code string){
		"202":        func(w http.ResponseWriter, code string) { w.WriteHeader(202); echoCode(w, code) },
		"wrong code": func(w http.ResponseWriter, code string) { echoCode(w, code+"x") },
		"nothing":    func(http.ResponseWriter, string) {},
		"404":        func(w http.ResponseWriter, _ string) { w.WriteHeader(404) },
	} {
		srv, _ := webhook(t, func(w http.ResponseWriter, _ string, e map[string]any) {
			answer(w, e["data"].(map[string]any)["validationCode"].(string))
		})
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		require.Error(t, srv.Subscribe(ctx), name)
		_, err := srv.Ring(ctx, Ring{Script: listener()})
		require.Error(t, err, name)
		require.Empty(t, srv.Calls(), name)
		cancel()
	}
}

func echoCode(w io.Writer, code string) {
	_, _ = io.WriteString(w, `{"validationResponse":"`+code+`"}`)
}

func TestDeliveryIsRetried(t *testing.T) {
	t.Parallel()
	refusals := 0
	srv, headers := webhook(t, func(w http.ResponseWriter, kind string, e map[string]any) {
		if kind == "SubscriptionValidation" {
			echoCode(w, e["data"].(map[string]any)["validationCode"].(string))
			return
		}
		if refusals > 0 {
			refusals--
			w.WriteHeader(500)
		}
	})
	refusals = gridAttempts - 1
	_, err := srv.Ring(context.Background(), Ring{Script: listener()})
	require.NoError(t, err)
	<-headers
	for i := range gridAttempts {
		h := <-headers
		require.Equal(t, "Notification", h.Get("aeg-event-type"))
		require.Equal(t, string(rune('0'+i)), h.Get("aeg-delivery-count"))
	}
	refusals = gridAttempts
	_, err = srv.Ring(context.Background(), Ring{Script: listener()})
	require.ErrorContains(t, err, "HTTP 500")
}

func TestRingNeedsABot(t *testing.T) {
	t.Parallel()
	srv := &Server{signer: testKey()}
	require.NoError(t, srv.Start(context.Background()))
	defer srv.Close()
	_, err := srv.Ring(context.Background(), Ring{Script: listener()})
	require.ErrorContains(t, err, "EventsURL")
	require.ErrorContains(t, srv.Subscribe(context.Background()), "EventsURL")
	_, err = srv.Ring(context.Background(), Ring{Script: Script{HangUp: -2}})
	require.ErrorContains(t, err, "hang_up")
}
