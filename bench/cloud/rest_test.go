package cloud

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	v2022 = "?api-version=2022-04-07-preview"
	v2026 = "?api-version=2026-03-12"
)

// listener is a script in which nobody says anything, for as long as the bot
// likes.
func listener() Script { return Script{HangUp: Never, Speakers: []Speaker{{ID: "8:acs:caller"}}} }

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	const create = "/calling/callConnections"
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
		code                       string
	}{
		{"no version", "POST", create, "{}", 400, "UnsupportedApiVersion"},
		{"unknown version", "POST", create + "?api-version=2020-01-01", "{}", 400, "UnsupportedApiVersion"},
		{"unknown call", "GET", create + "/nope" + v2026, "", 404, "8522"},
		{"unknown call, hang up", "DELETE", create + "/nope" + v2022, "", 404, "8522"},
		{"unknown call, terminate", "POST", create + "/nope:terminate" + v2026, "", 404, "8522"},
		{"unknown context", "POST", create + ":answer" + v2026, `{"incomingCallContext":"x","callbackUri":"https://a/b"}`, 404, "8522"},
		{"unknown context, reject", "POST", create + ":reject" + v2026, `{"incomingCallContext":"x"}`, 404, "8522"},
		{"unknown context, redirect", "POST", create + ":redirect" + v2022, `{"incomingCallContext":"x","target":{"rawId":"4:+1"}}`, 404, "8522"},
		{"reject reason", "POST", create + ":reject" + v2026, `{"incomingCallContext":"x","callRejectReason":"lazy"}`, 400, "8523"},
		{"redirect to nobody", "POST", create + ":redirect" + v2026, `{"incomingCallContext":"x"}`, 400, "8523"},
		{"reject nothing", "POST", create + ":reject" + v2026, `{}`, 400, "8523"},
		{"empty body", "POST", create + v2026, "", 400, "8523"},
		{"wrong method", "PUT", create + v2026, "", 405, "8520"},
		{"wrong method of a call", "PATCH", create + "/x" + v2026, "", 405, "8520"},
		{"no such action", "POST", create + ":dance" + v2026, "", 404, "8522"},
		{"no such path", "GET", create + "/a/b" + v2026, "", 404, "8522"},
		{"not in that version", "POST", create + "/x:startMediaStreaming" + v2022, "", 404, "8522"},
		{"too long", "POST", create + v2026, strings.Repeat(" ", maxBody+1), 413, "413"},
	} {
		status, v, h := b.do(tt.method, tt.target, tt.body)
		require.Equal(t, tt.status, status, "%s: %v", tt.name, v)
		require.Equal(t, tt.code, v["error"].(map[string]any)["code"], tt.name)
		require.NotEmpty(t, v["error"].(map[string]any)["message"], tt.name)
		require.NotEmpty(t, h.Get("x-ms-request-id"), tt.name)
	}
	status, v, _ := b.do("GET", create+"/x"+v2026, "", "x-ms-date", vectorDate)
	require.Equal(t, 401, status)
	require.Equal(t, "7509", v["error"].(map[string]any)["code"])
	require.Contains(t, v["error"].(map[string]any)["message"], "Hmac Validation Error")
	require.Empty(t, b.srv.Calls())

	resp, err := http.Get(b.srv.URL() + "/other")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 404, resp.StatusCode)
}

func TestCallGoesThroughItsStates(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	for _, how := range []string{"DELETE", "POST"} {
		call, incoming := b.ring(listener())
		path := "/calling/callConnections/" + call.ID()
		status, _, _ := b.do("GET", path+v2026, "")
		require.Equal(t, 404, status, "the bot does not know it yet")
		answer := `{"incomingCallContext":"` + incoming + `","callbackUri":"` + b.http.URL + `/callbacks","operationContext":"mine"}`
		status, v, _ := b.do("POST", "/calling/callConnections:answer"+v2026, answer)
		require.Equal(t, 200, status)
		require.Equal(t, "connecting", v["callConnectionState"])
		require.Equal(t, map[string]any{
			"kind": "communicationUser", "rawId": "8:acs:caller", "communicationUser": map[string]any{"id": "8:acs:caller"},
		}, v["source"])
		require.Equal(t, v["targets"].([]any)[0].(map[string]any)["rawId"], v["answeredBy"].(map[string]any)["id"])

		status, v, _ = b.do("POST", "/calling/callConnections:answer"+v2026, answer)
		require.Equal(t, 400, status)
		require.Equal(t, "8585", v["error"].(map[string]any)["code"])

		events := b.expect("CallConnected", "ParticipantsUpdated")
		require.Equal(t, "mine", events[0].Data["operationContext"])
		status, v, _ = b.do("GET", path+v2022, "")
		require.Equal(t, 200, status)
		require.Equal(t, "connected", v["callConnectionState"])
		require.Contains(t, v["source"], "identifier", "each version has its own shape")
		status, _, _ = b.do("POST", path+":stopMediaStreaming"+v2022, "")
		require.Equal(t, 404, status, "2022 has no such operation")

		target := path + v2026
		if how == "POST" {
			target = path + ":terminate" + v2026
		}
		status, v, _ = b.do(how, target, "")
		require.Equal(t, 204, status)
		require.Nil(t, v)
		b.expect("CallDisconnected")
		status, _, _ = b.do("GET", path+v2026, "")
		require.Equal(t, 404, status)
		status, _, _ = b.do(how, target, "")
		require.Equal(t, 404, status)
		require.Equal(t, resultByBot, wait(t, call).Result)
	}
}

func TestRejectAndRedirect(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	for action, body := range map[string]string{
		"reject":   `"callRejectReason":"Busy"`,
		"redirect": `"target":{"kind":"communicationUser","communicationUser":{"id":"8:acs:t"}}`,
	} {
		for _, version := range []string{v2022, v2026} {
			call, incoming := b.ring(listener())
			body := `{"incomingCallContext":"` + incoming + `",` + body + `}`
			status, v, _ := b.do("POST", "/calling/callConnections:"+action+version, body)
			require.Equal(t, 204, status, v)
			log := wait(t, call)
			require.Empty(t, log.Events)
			require.NotZero(t, log.Result.Code)
			status, _, _ = b.do("POST", "/calling/callConnections:"+action+version, body)
			require.Equal(t, 404, status)
			// The quirk: what was redirected can be answered and rejected, and
			// nothing comes of it.
			want := map[string]int{"reject": 404, "redirect": 200}[action]
			status, v, _ = b.do("POST", "/calling/callConnections:answer"+version, `{"incomingCallContext":"`+incoming+`","callbackUri":"`+b.http.URL+`/callbacks"}`)
			require.Equal(t, want, status, v)
			want = map[string]int{"reject": 404, "redirect": 204}[action]
			status, v, _ = b.do("POST", "/calling/callConnections:reject"+version, `{"incomingCallContext":"`+incoming+`"}`)
			require.Equal(t, want, status, v)
			require.Empty(t, b.callbacks)
		}
	}
}

func TestUnansweredCalls(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{RingTimeout: 200 * time.Millisecond})
	missed, incoming := b.ring(listener())
	require.Equal(t, resultMissed, wait(t, missed).Result)
	status, _, _ := b.do("POST", "/calling/callConnections:answer"+v2026, `{"incomingCallContext":"`+incoming+`","callbackUri":"https://a/b"}`)
	require.Equal(t, 404, status)

	b.srv.RingTimeout = time.Hour // read when a call begins to ring
	given, _ := b.ring(listener())
	given.HangUp()
	require.Equal(t, resultByOthers, wait(t, given).Result)
}

func TestRefusedOutgoingCall(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: func(Dialled) Callee {
		return Callee{Refuse: &Result{Code: 486, Message: "busy"}}
	}})
	call, _ := b.place("mixed")
	b.expect("CallDisconnected") // all that 2022 knows
	require.Equal(t, 486, wait(t, call).Result.Code)

	status, _, _ := b.do("POST", "/calling/callConnections"+v2026,
		`{"targets":[{"rawId":"4:+1425","phoneNumber":{"value":"+1425"}}],"callbackUri":"`+b.http.URL+`/callbacks","operationContext":"x",`+b.mediaJSON("mixed", "")+`}`)
	require.Equal(t, 201, status)
	events := b.expect("CreateCallFailed", "CallDisconnected")
	for _, e := range events {
		require.Equal(t, map[string]any{"code": 486.0, "subCode": 0.0, "message": "busy"}, e.Data["resultInformation"])
		require.Equal(t, "x", e.Data["operationContext"])
	}
	require.Empty(t, b.sockets)
}

func TestCancelledBeforeItConnects(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{Speed: 0.001}) // connecting takes a minute
	call, _ := b.place("mixed")
	status, _, _ := b.do("DELETE", "/calling/callConnections/"+call.ID()+v2022, "")
	require.Equal(t, 204, status)
	b.expect("CallDisconnected")
	wait(t, call)

	call = b.take(listener(), "mixed", "")
	call.HangUp()
	b.expect("AnswerFailed", "CallDisconnected")
}

func TestTooManyCalls(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{MaxCalls: 1})
	b.ring(listener())
	status, v, h := b.do("POST", "/calling/callConnections"+v2026,
		`{"targets":[{"rawId":"4:+1425","phoneNumber":{"value":"+1425"}}],"callbackUri":"`+b.http.URL+`/callbacks"}`)
	require.Equal(t, 429, status)
	require.Equal(t, "8516", v["error"].(map[string]any)["code"])
	require.Equal(t, "1", h.Get("Retry-After"))
	_, err := b.srv.Ring(context.Background(), Ring{Script: listener()})
	require.ErrorContains(t, err, "429")
}

func TestEndedCallsAreForgottenInTime(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	var first *Call
	for i := range maxEndedCalls + 1 {
		call, _ := b.ring(listener())
		call.HangUp()
		wait(t, call)
		if i == 0 {
			first = call
		}
	}
	require.Eventually(t, func() bool { return len(b.srv.Calls()) == maxEndedCalls }, deadline, time.Millisecond)
	require.Nil(t, b.srv.Call(first.ID()))
	require.Empty(t, b.srv.tokens)
}

func TestSlowResponse(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	require.NoError(t, b.srv.Break(RequestFault{Operation: "create", Delay: 100 * time.Millisecond}))
	before := time.Now()
	b.place("mixed")
	require.GreaterOrEqual(t, time.Since(before), 100*time.Millisecond)

	require.NoError(t, b.srv.Break(RequestFault{Operation: "get", Status: 429, RetryAfter: 7}))
	call, _ := b.place("mixed")
	status, _, h := b.do("GET", "/calling/callConnections/"+call.ID()+v2022, "")
	require.Equal(t, 429, status)
	require.Equal(t, "7", h.Get("Retry-After"))
	status, _, _ = b.do("GET", "/calling/callConnections/"+call.ID()+v2022, "")
	require.Equal(t, 200, status)

	for _, bad := range []RequestFault{{Operation: "fly"}, {Status: 200}, {Count: -1}, {Delay: -1}, {RetryAfter: -1}} {
		require.Error(t, b.srv.Break(bad))
	}
	require.Len(t, operations, len(operationNames))
	for _, op := range operations {
		require.NoError(t, RequestFault{Operation: op.name}.validate())
	}
}
