package cloud

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRealProfile: values in PascalCase and both resource keys, as captures of
// the service show its notifications.
func TestRealProfile(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{Profile: ProfileReal})
	both := func(n note, change string) {
		t.Helper()
		require.Equal(t, change, n.str("changeType"))
		require.Equal(t, n.str("resourceUrl"), strings.Replace(n.str("resource"), "/app/", "/communications/", 1))
		require.True(t, strings.HasPrefix(n.str("resource"), "/app/calls/"))
	}
	call, ring := b.ring(GraphRing{Script: quietScript(2), Meeting: true})
	both(ring, "Created")
	d := ring.data()
	require.Equal(t, []any{"Incoming", "Incoming", []any{"Audio"}}, []any{d["state"], d["direction"], d["requestedModalities"]})
	require.Equal(t, b.http.URL+"/calls", d["callbackUri"], "the registered one")
	for _, key := range []string{"id", "tenantId", "myParticipantId", "callChainId", "chatInfo", "meetingInfo"} {
		require.NotEmpty(t, d[key], key)
	}
	source := d["source"].(map[string]any)
	require.NotEmpty(t, source["id"])
	require.Equal(t, "default", source["endpointType"])
	require.Equal(t, 202, b.act(call, "answer", b.acceptance(serviceHosted, "")).status)
	notes := b.expect("establishing", "established", "participants")
	for i, state := range []any{"Establishing", "Established", nil} {
		both(notes[i], "Updated")
		require.Equal(t, state, notes[i].data()["state"])
	}
	stream := notes[2].rows()[0].(map[string]any)["mediaStreams"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"Audio", "SendReceive"}, []any{stream["mediaType"], stream["direction"]})
	require.Equal(t, 200, b.act(call, "subscribeToTone", "").status)
	require.NoError(t, call.DTMF("#"))
	require.Equal(t, "Pound", b.expect("tone")[0].data()["toneInfo"].(map[string]any)["tone"])
	call.Hold(true)
	require.Equal(t, "Hold", b.expect("hold")[0].data()["state"])
	require.Equal(t, 204, b.do("DELETE", v1Calls+"/"+call.ID(), "").status)
	notes = b.expect("terminating", "terminated")
	both(notes[0], "Updated")
	both(notes[1], "Deleted")
	require.Equal(t, "Terminated", notes[1].data()["state"])

	created := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	b.finish(created)
	for key, value := range map[string]string{
		"User-Agent": "Microsoft-Skype/3.0 (Calling/1.0)", "Accept": "application/json", "Content-Type": "application/json; charset=utf-8", "X-Microsoft-Skype-Caller-Region": "amer",
	} {
		require.Equal(t, value, notes[0].header.Get(key))
	}
}

// TestOverTLS: whoever came by https is sent on by https.
func TestOverTLS(t *testing.T) {
	t.Parallel()
	b := startGraphBot(t, &Server{}, true)
	client := trusting(t, b.srv)
	for root, doc := range map[string]string{b.srv.URL(): "/v1/.well-known/OpenIdConfiguration", b.srv.TLSURL(): "/v1/.well-known/OpenIdConfiguration"} {
		resp, err := client.Get(root + doc)
		require.NoError(t, err)
		var discovery map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&discovery))
		resp.Body.Close()
		require.Equal(t, []any{"https://graph.microsoft.com", root + "/calling/keys"}, []any{discovery["issuer"], discovery["jwks_uri"]})
	}
	req, err := http.NewRequest("POST", b.srv.TLSURL()+v1Calls, strings.NewReader(b.order(serviceHosted, `"targets":[`+oneUser+`]`)))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := client.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 201, resp.StatusCode)
	require.True(t, strings.HasPrefix(resp.Header.Get("Location"), b.srv.TLSURL()+"/v1.0/communications/calls/"))
	b.expect("establishing", "established")
	_, err = plainClient.Get(b.srv.TLSURL() + "/v1.0/")
	require.ErrorContains(t, err, "certificate", "its authority is its own")
}

// TestAddressOfTheApp: callbackUri may be left out where the application has
// registered its own.
func TestAddressOfTheApp(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	order := edit(t, b.order(serviceHosted, `"targets":[`+oneUser+`]`), `{"callbackUri":null}`)
	r := b.do("POST", v1Calls, order)
	require.Equal(t, 201, r.status)
	require.Equal(t, b.http.URL+"/calls", r.body["callbackUri"])
	for _, n := range b.expect("establishing", "established") {
		require.Equal(t, "/calls", n.path)
	}
	call, _ := b.ring(GraphRing{Script: quietScript(1)})
	require.Equal(t, 202, b.act(call, "answer", edit(t, b.acceptance(serviceHosted, ""), `{"callbackUri":null}`)).status)
	require.Equal(t, "/calls", b.expect("establishing", "established")[1].path)

	alone := &Server{Insecure: true, signer: testKey()}
	require.NoError(t, alone.Start(context.Background()))
	defer alone.Close()
	nowhere := &graphBot{t: t, srv: alone}
	r = nowhere.do("POST", v1Calls, order)
	require.Equal(t, 400, r.status)
	require.True(t, strings.HasPrefix(r.says(), "callbackUri"), r.says())
	_, err := alone.RingGraph(context.Background(), GraphRing{Script: quietScript(1)})
	require.ErrorContains(t, err, "callback_url")
}

// TestTenantOfTheMeeting: a meeting's call is in its organizer's tenant.
func TestTenantOfTheMeeting(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	r := b.do("POST", v1Calls, b.order(serviceHosted, strings.Replace(theMeeting, `"id":"5810`, `"tenantId":"aa67bd4c-8475-432d-bd41-39f255720e0a","id":"5810`, 1)))
	require.Equal(t, 201, r.status, r.str())
	require.Equal(t, "aa67bd4c-8475-432d-bd41-39f255720e0a", r.body["tenantId"])
	b.expect("establishing", "established", "participants")
	b.finish(b.srv.Call(r.id()))
}

func TestBadApps(t *testing.T) {
	t.Parallel()
	for name, srv := range map[string]*Server{
		"phone":   {Apps: []GraphApp{{Phone: "+1425"}}},
		"E.164":   {Apps: []GraphApp{{Phone: "1425", InstanceID: "x"}}},
		"Apps[1]": {Apps: []GraphApp{{ID: "a"}, {ID: "A"}}},
		"Profile": {Profile: "fancy"},
	} {
		require.ErrorContains(t, srv.Start(context.Background()), name)
	}
}
