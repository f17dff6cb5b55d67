package cloud

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func admin(t *testing.T, srv *Server, method, path, body string, header ...string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, srv.AdminURL()+path, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, text
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	status, text := admin(t, b.srv, "POST", "/v1/incoming", `{"script":"three-speakers","duration":"1s","from":"4:+1425"}`)
	require.Equal(t, 201, status, "%s", text)
	var made struct{ ID string }
	require.NoError(t, json.Unmarshal(text, &made))
	call := b.srv.Call(made.ID)
	require.NotNil(t, call)
	incoming := receive(t, b.incoming)["incomingCallContext"].(string)
	status, _, _ = b.do("POST", "/calling/callConnections:answer"+v2026,
		`{"incomingCallContext":"`+incoming+`","callbackUri":"`+b.http.URL+`/callbacks",`+b.mediaJSON("unmixed", `,"enableDtmfTones":true`)+`}`)
	require.Equal(t, 200, status)
	s := b.socket()
	for path, body := range map[string]string{"dtmf": `{"tone":"7"}`, "faults": `{"kind":"drop","speaker":2,"slot":45}`} {
		status, text := admin(t, b.srv, "POST", "/v1/calls/"+made.ID+"/"+path, body)
		require.Equal(t, 204, status, "%s", text)
	}
	want := wait(t, call)
	s.wait(t)
	require.Equal(t, "4:+1425", want.Speakers[0].RawID)

	var got Log
	status, text = admin(t, b.srv, "GET", "/v1/calls/"+made.ID+"/log", "")
	require.Equal(t, 200, status)
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, want.Speakers, got.Speakers, "the truth, by HTTP")
	require.Equal(t, want.Slots, got.Slots)
	require.True(t, want.Start.Equal(got.Start))
	require.Equal(t, "7", got.Keys[0].Tone)
	require.Equal(t, []Span{{45, 1, ByDrop}}, got.Speakers[2].Stream.Dropped)
	status, text = admin(t, b.srv, "GET", "/v1/calls/"+made.ID+"/log?pcm=false", "")
	require.Equal(t, 200, status)
	require.Less(t, len(text), 10000)

	var rows []callSummary
	_, text = admin(t, b.srv, "GET", "/v1/calls", "")
	require.NoError(t, json.Unmarshal(text, &rows))
	require.Equal(t, []callSummary{{
		ID: made.ID, Cloud: "acs", Direction: Incoming, State: "disconnected", Ended: true, Result: resultByOthers, Script: "three-speakers",
		Media: "unmixed", Slots: 50, Speakers: []string{want.Speakers[0].RawID, want.Speakers[1].RawID, want.Speakers[2].RawID},
	}}, rows)
	var row callSummary
	_, text = admin(t, b.srv, "GET", "/v1/calls/"+made.ID, "")
	require.NoError(t, json.Unmarshal(text, &row))
	require.Equal(t, rows[0], row)
	var resource resourceSummary
	_, text = admin(t, b.srv, "GET", "/v1/resource", "")
	require.NoError(t, json.Unmarshal(text, &resource))
	require.Equal(t, resourceSummary{b.srv.URL(), b.srv.OIDCURL(), b.srv.URL(), b.srv.Audience(), b.srv.EventsURL}, resource)
}

func TestAdminCallee(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	status, text := admin(t, b.srv, "PUT", "/v1/callee", `{"refuse":{"code":486,"subCode":1,"message":"busy"}}`)
	require.Equal(t, 204, status, "%s", text)
	call, _ := b.place("mixed")
	require.Equal(t, Result{486, 1, "busy"}, wait(t, call).Result)
	b.expect("CallDisconnected")

	status, text = admin(t, b.srv, "PUT", "/v1/callee", `{"script":{"speakers":[{"id":"8:acs:x"}],"hang_up":-1},"ring":"10ms"}`)
	require.Equal(t, 204, status, "%s", text)
	call, _ = b.place("mixed")
	b.expect("CallConnected", "ParticipantsUpdated")
	status, _ = admin(t, b.srv, "DELETE", "/v1/calls/"+call.ID(), "")
	require.Equal(t, 204, status)
	require.Equal(t, resultByOthers, wait(t, call).Result)

	status, _ = admin(t, b.srv, "POST", "/v1/faults", `{"operation":"create","status":503,"retry_after":2,"delay":"1ms"}`)
	require.Equal(t, 204, status)
	code, _, h := b.do("POST", "/calling/callConnections"+v2026, "{}")
	require.Equal(t, 503, code)
	require.Equal(t, "2", h.Get("Retry-After"))
}

func TestAdminErrors(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	call, _ := b.ring(listener())
	id := "/v1/calls/" + call.ID()
	for _, tt := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/v1/incoming", ``, 400, "body"},
		{"POST", "/v1/incoming", `{"script":"three-speakers"`, 400, "body"},
		{"POST", "/v1/incoming", `{"skript":"x"}`, 400, "skript"},
		{"POST", "/v1/incoming", `{}`, 400, "script: is missing"},
		{"POST", "/v1/incoming", `{"script":"opera"}`, 400, "opera"},
		{"POST", "/v1/incoming", `{"script":7}`, 400, "script"},
		{"POST", "/v1/incoming", `{"script":{"hang_up":-7}}`, 400, "hang_up"},
		{"POST", "/v1/incoming", `{"script":{},"duration":"1s"}`, 400, "duration"},
		{"POST", "/v1/incoming", `{"script":"three-speakers","duration":"soon"}`, 400, "duration"},
		{"POST", "/v1/incoming", `{"script":"three-speakers","duration":"1ms"}`, 400, "duration"},
		{"POST", "/v1/incoming", `{"script":"three-speakers","events_url":"http://127.0.0.1:1/"}`, 502, "event grid"},
		{"PUT", "/v1/callee", `{"ring":"1s"}`, 400, "script"},
		{"PUT", "/v1/callee", `{"script":"one-callee","ring":"-1s"}`, 400, "ring"},
		{"POST", "/v1/faults", `{"status":200}`, 400, "status"},
		{"POST", "/v1/faults", `{"delay":"x"}`, 400, "delay"},
		{"POST", id + "/dtmf", `{"tone":"12"}`, 400, "tone"},
		{"POST", id + "/faults", `{"kind":"boom"}`, 400, "kind"},
		{"GET", id + "/log?pcm=maybe", ``, 400, "pcm"},
		{"PUT", "/v1/invitee", `{"answer":"perhaps"}`, 400, "answer"},
		{"PUT", "/v1/invitee", `{"ring":"soon"}`, 400, "ring"},
		{"PUT", "/v1/invitee", `{"voice":{"gain":-1}}`, 400, "gain"},
		{"GET", "/v1/recordings/nope", ``, 404, "recording"},
		{"POST", id + "/speak", `{"says":[{"text":""}]}`, 400, "says[0].text"},
		{"POST", id + "/speak", `{"loud":1}`, 400, "loud"},
		{"POST", id + "/speak", `{}`, 400, "unknown"},
		{"DELETE", id + "/participants/x", ``, 404, "pid"},
		{"POST", id + "/participants/x/mute", `{"on":true}`, 404, "pid"},
		{"POST", id + "/participants/x/dtmf", `{"tone":"1"}`, 400, "id"},
		{"POST", id + "/faults", `{"kind":"fail-operation","operation":"fly"}`, 400, "operation"},
		{"GET", "/v1/calls/nope/participants", ``, 404, "nope"},
		{"GET", "/v1/calls/nope", ``, 404, "nope"},
		{"GET", "/v1/calls/nope/log", ``, 404, "id"},
		{"DELETE", "/v1/calls/nope", ``, 404, "id"},
	} {
		status, text := admin(t, b.srv, tt.method, tt.path, tt.body)
		require.Equal(t, tt.status, status, "%s %s: %s", tt.path, tt.body, text)
		var v struct{ Error string }
		require.NoError(t, json.Unmarshal(text, &v))
		require.Contains(t, v.Error, tt.says)
	}
	// Not for other machines' names, and not for pages in a browser.
	status, _ := admin(t, b.srv, "GET", "/v1/calls", "", "Host", "evil.example:80")
	require.Equal(t, 403, status)
	status, _ = admin(t, b.srv, "GET", "/v1/calls", "", "Host", "localhost:80")
	require.Equal(t, 200, status)
	status, _ = admin(t, b.srv, "DELETE", id, "", "Origin", "https://evil.example")
	require.Equal(t, 403, status)
	require.Error(t, (&Server{AdminAddr: "0.0.0.0:0", signer: testKey()}).Start(t.Context()))
}
