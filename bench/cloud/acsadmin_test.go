package cloud

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// A call is played through the admin API alone.
func TestAdminOfACall(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker(), Speed: 100})
	c := b.dial(version2026, ","+b.mediaJSON("unmixed", ""))
	b.until("MediaStreamingStarted")
	path := "/v1/calls/" + c.ID()
	must := func(method, path, body string) []byte {
		t.Helper()
		status, text := admin(t, b.srv, method, path, body)
		require.Less(t, status, 300, "%s", text)
		return text
	}
	must("PUT", "/v1/invitee", `{"answer":"decline"}`)
	must("PUT", "/v1/invitee", `{"id":"4:+1","answer":"timeout"}`)
	must("PUT", "/v1/invitee", `{"id":"8:acs:ann","ring":"10ms","voice":{"voice":"allison","loops":-1}}`)
	for _, who := range []struct{ id, event string }{{"8:acs:x", "AddParticipantFailed"}, {"4:+1", "AddParticipantFailed"}, {"8:acs:ann", "AddParticipantSucceeded"}} {
		status, v := b.op(c, version2026, "/participants:add", `{"participantToAdd":{"rawId":"`+who.id+`"}}`)
		require.Equal(t, 202, status, v)
		b.expect(who.event)
	}
	b.expect("ParticipantsUpdated")
	status, v := b.op(c, version2026, ":startContinuousDtmfRecognition", `{"targetParticipant":{"communicationUser":{"id":"8:acs:ann"}}}`)
	require.Equal(t, 200, status, v)
	ann := path + "/participants/" + url.PathEscape("8:acs:ann")
	must("POST", ann+"/dtmf", `{"tone":"5"}`)
	require.Equal(t, "five", b.expect("ContinuousDtmfRecognitionToneReceived")[0].Data["tone"])
	must("POST", ann+"/mute", `{"on":true}`)
	b.expect("ParticipantsUpdated")
	var people []acsParticipant
	require.NoError(t, json.Unmarshal(must("GET", path+"/participants", ""), &people))
	require.Equal(t, []acsParticipant{{ID: "8:acs:bot"}, {ID: "8:acs:callee"}, {ID: "8:acs:ann", Muted: true}}, people)
	ids, rawIDs := c.Participants()
	require.Equal(t, []string{"8:acs:callee", "8:acs:ann", "8:acs:bot"}, ids, "speakers first, as at Graph")
	require.Equal(t, ids, rawIDs)
	for _, request := range []struct{ method, path, body string }{
		{"DELETE", "/participants/8:acs:nobody", ""}, {"POST", "/participants/8:acs:nobody/mute", `{"on":true}`},
	} {
		code, text := admin(t, b.srv, request.method, path+request.path, request.body)
		require.Equal(t, 404, code)
		require.Contains(t, string(text), "8:acs:nobody")
	}

	must("POST", path+"/speak", `{"id":"8:acs:new","name":"New","says":[{"text":"hello there"}]}`)
	require.Len(t, b.expect("ParticipantsUpdated")[0].Data["participants"], 4)
	must("DELETE", path+"/participants/8:acs:new", "")
	must("DELETE", ann, "")
	b.expect("ParticipantsUpdated", "ParticipantsUpdated")

	status, v = b.record(c, version2026, "")
	require.Equal(t, 200, status)
	rid := v["recordingId"].(string)
	var all []Recording
	require.NoError(t, json.Unmarshal(must("GET", "/v1/recordings", ""), &all))
	require.Equal(t, []string{rid, c.ID(), "active"}, []string{all[0].ID, all[0].CallID, all[0].State})
	code, _ := admin(t, b.srv, "GET", "/v1/recordings/"+rid, "")
	require.Equal(t, 409, code, "it goes on")
	must("POST", path+"/faults", `{"kind":"fail-operation","operation":"play","result":{"code":400,"subCode":8535,"message":"x"}}`)
	status, _ = b.op(c, version2026, ":play", `{"playSources":[{"kind":"text","text":{"text":"a"}}]}`)
	require.Equal(t, 202, status)
	b.until("PlayFailed")
	must("DELETE", path, "")
	wait(t, c)
	channelsOf(t, must("GET", "/v1/recordings/"+rid, ""))
}

// Whoever speaks again has said all of it, one after the other.
func TestSpeakKeepsTheTruth(t *testing.T) {
	t.Parallel()
	first, second := make([]int16, 3*320), make([]int16, 5*320)
	for i := range first {
		first[i] = 100
	}
	for i := range second {
		second[i] = 200
	}
	b := newBot(t, &Server{OnCreate: talker(Speaker{PCM: first, Loops: Forever, Pause: 1})})
	c := b.dial(version2026, ","+b.mediaJSON("unmixed", ""))
	s := b.socket()
	require.Eventually(t, func() bool { return c.Log().Slots > 9 }, deadline, 1e6)
	require.NoError(t, c.Speak(Speaker{PCM: second, Start: 2}))
	slots := c.Log().Slots
	require.Eventually(t, func() bool { return c.Log().Slots > slots+10 }, deadline, 1e6)
	c.HangUp()
	log := wait(t, c)
	said := log.Speakers[0].Expected(log.Slots)
	require.Equal(t, said, timeline(t, s.wait(t).frames("8:acs:callee"), log.Start, log.Slots))
	at := findIn(said, second)
	require.GreaterOrEqual(t, at, slots*320)
	require.Equal(t, make([]int16, 2*320), said[at-2*320:at], "it broke off, and paused")
	require.True(t, silentSamples(said[at+len(second):]))
	require.Error(t, c.Speak(Speaker{}), "it is over")
}
