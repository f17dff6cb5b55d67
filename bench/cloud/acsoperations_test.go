package cloud

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const connections = "/calling/callConnections"

// dial makes the bot call somebody with a version's shape, and waits until the
// call is established.
func (b *bot) dial(version, more string) *Call {
	b.t.Helper()
	source := `{"id":"8:acs:bot"}`
	if version == version2022 {
		source = `{"identifier":{"communicationUser":{"id":"8:acs:bot"}}}`
	}
	status, v, _ := b.do("POST", connections+"?api-version="+version,
		`{"source":`+source+`,"targets":[{"communicationUser":{"id":"8:acs:callee"}}],"callbackUri":"`+b.http.URL+`/callbacks","operationContext":"made"`+more+`}`)
	require.Equal(b.t, 201, status, v)
	b.expect("CallConnected", "ParticipantsUpdated")
	return b.srv.Call(v["callConnectionId"].(string))
}

// op sends a request about a call.
func (b *bot) op(c *Call, version, action, body string) (int, map[string]any) {
	b.t.Helper()
	status, v, _ := b.do("POST", connections+"/"+c.ID()+action+"?api-version="+version, body)
	return status, v
}

// until waits for a callback of that name, and returns it; others before it
// are dropped.
func (b *bot) until(name string) callback {
	b.t.Helper()
	for {
		if e := receive(b.t, b.callbacks); e.name() == name {
			return e
		}
	}
}

func result(e callback) (code, subCode int) {
	r := e.Data["resultInformation"].(map[string]any)
	return int(r["code"].(float64)), int(r["subCode"].(float64))
}

// talker is a callee with a script that does not end by itself.
func talker(speakers ...Speaker) func(Dialled) Callee {
	return func(Dialled) Callee {
		if len(speakers) == 0 {
			speakers = []Speaker{{}}
		}
		return Callee{Ring: time.Millisecond, Script: Script{HangUp: Never, Speakers: speakers}}
	}
}

const callee = `{"communicationUser":{"id":"8:acs:callee"}}`

// acsCase is a request with which an operation succeeds, in two shapes.
type acsCase struct {
	name, method, path string
	legacy, body       string // of 2022 and later
	status             int
}

func acsCases(b *bot) []acsCase {
	play := `{"playSources":[{"kind":"file","file":{"uri":"` + b.http.URL + `/none.wav"}}],"playTo":[],"playOptions":{"loop":false}}`
	play2022 := `{"playSourceInfo":{"sourceType":"file","fileSource":{"uri":"` + b.http.URL + `/none.wav"}}}`
	recognize := `{"recognizeInputType":"dtmf","recognizeOptions":{"targetParticipant":` + callee + `,"dtmfOptions":{"maxTonesToCollect":4}}}`
	target := `{"targetParticipant":` + callee + `}`
	media := b.mediaJSON("mixed", "")
	return []acsCase{
		{"get", "GET", "", "", "", 200},
		{"getParticipants", "GET", "/participants", "", "", 200},
		{"getParticipant", "GET", "/participants/" + url.PathEscape("8:acs:callee"), "", "", 200},
		{"play", "POST", ":play", play2022, play, 202},
		{"recognize", "POST", ":recognize", recognize, recognize, 202},
		{"cancelAllMediaOperations", "POST", ":cancelAllMediaOperations", "", "", 202},
		{"startContinuousDtmfRecognition", "POST", ":startContinuousDtmfRecognition", target, target, 200},
		{"stopContinuousDtmfRecognition", "POST", ":stopContinuousDtmfRecognition", target, target, 200},
		{"sendDtmfTones", "POST", ":sendDtmfTones", target, `{"tones":["one","pound"],"targetParticipant":` + callee + `}`, 202},
		{"hold", "POST", ":hold", target, target, 200},
		{"unhold", "POST", ":unhold", target, target, 200},
		{"startTranscription", "POST", ":startTranscription", "{}", "{}", 202},
		{"updateTranscription", "POST", ":updateTranscription", "{}", `{"locale":"de-DE"}`, 202},
		{"stopTranscription", "POST", ":stopTranscription", "{}", "{}", 202},
		{"startMediaStreaming", "POST", ":startMediaStreaming", "{}", "{}", 202},
		{"addParticipant", "POST", "/participants:add", `{"participantsToAdd":[{"communicationUser":{"id":"8:acs:more"}}]}`, `{"participantToAdd":{"communicationUser":{"id":"8:acs:more"}}}`, 202},
		{"muteParticipants", "POST", "/participants:mute", `{"targetParticipants":[` + callee + `]}`, `{"targetParticipants":[` + callee + `]}`, 200},
		{"removeParticipant", "POST", "/participants:remove", `{"participantsToRemove":[{"communicationUser":{"id":"8:acs:nobody"}}]}`, `{"participantToRemove":{"communicationUser":{"id":"8:acs:nobody"}}}`, 202},
		{"transferToParticipant", "POST", ":transferToParticipant", `{"targetParticipant":{"communicationUser":{"id":"8:acs:other"}},"transfereeCallerId":{"value":"+1"},"userToUserInformation":"x"}`, `{"targetParticipant":{"communicationUser":{"id":"8:acs:other"}}}`, 202},
		{"connect", "POST", connections + ":connect", "{}", `{"callLocator":{"kind":"roomCallLocator","roomId":"room"},"callbackUri":"` + b.http.URL + `/callbacks",` + media + `}`, 200},
		{"terminate", "POST", ":terminate", "", "", 204},
	}
}

// Every operation has its status, in the versions that have it, and is not
// found in the others.
func TestOperationsByVersion(t *testing.T) {
	t.Parallel()
	since := map[string]string{}
	for _, op := range operations {
		since[op.name] = op.since
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			// Nobody picks up, so that the call stays as it is.
			b := newBot(t, &Server{OnCreate: talker(), OnAdd: func(Added) Callee { return Callee{Ring: time.Hour} }})
			more := ""
			if version >= version2025 {
				more = "," + strings.Replace(b.mediaJSON("mixed", ""), `"startMediaStreaming":true`, `"startMediaStreaming":false`, 1) +
					`,"transcriptionOptions":{"transportType":"websocket","transportUrl":"` + b.media() + `","locale":"en-US"}`
			}
			c := b.dial(version, more)
			for _, tt := range acsCases(b) {
				path := tt.path
				if !strings.HasPrefix(path, "/calling") {
					path = connections + "/" + c.ID() + path
				}
				body, want := tt.body, tt.status
				if version == version2022 {
					body = tt.legacy
				}
				if since[tt.name] > version {
					want = 404
				}
				status, v, h := b.do(tt.method, path+"?api-version="+version, body)
				require.Equal(t, want, status, "%s: %v", tt.name, v)
				if want == 404 {
					require.Equal(t, "8522", v["error"].(map[string]any)["code"])
				}
				require.NotEmpty(t, h.Get("x-ms-request-id"))
				wrong := map[string]string{"GET": "PUT", "POST": "DELETE"}[tt.method]
				if tt.name != "get" && since[tt.name] <= version && want != 204 {
					status, v, _ = b.do(wrong, path+"?api-version="+version, "")
					require.Equal(t, 405, status, "%s: %v", tt.name, v)
				}
			}
			wait(t, c)
		})
	}
}

// What a body must not hold, or must: 400/8523 with the field's name.
func TestOperationsRefuseBadBodies(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker()})
	c := b.dial(version2026, "")
	b.srv.Insecure = false // from here on https is wanted; nothing runs beside
	for _, tt := range []struct {
		version, action, body string
		status                int
		code, target          string
	}{
		{version2026, ":play", `{}`, 400, "8523", "playSources"},
		{version2026, ":play", `{"playSources":[null]}`, 400, "8523", "playSources[0]"},
		{version2026, ":play", `{"playSources":[{"kind":"video"}]}`, 400, "8523", "playSources[0].kind"},
		{version2026, ":play", `{"playSources":[{"kind":"file"}]}`, 400, "8523", "playSources[0].file"},
		{version2026, ":play", `{"playSources":[{"kind":"file","file":{"uri":"x.wav"}}]}`, 400, "8523", "playSources[0].file.uri"},
		{version2026, ":play", `{"playSources":[{"kind":"text","text":{"text":" "}}]}`, 400, "8582", "playSources[0].text"},
		{version2026, ":play", `{"playSources":[{"kind":"ssml"}]}`, 400, "8582", "playSources[0].ssml"},
		{version2026, ":play", `{"playSources":[{"kind":"text","text":{"text":"a","voiceKind":"deep"}}]}`, 400, "8523", "playSources[0].text.voiceKind"},
		{version2026, ":play", `{"playSources":[{"kind":"text","text":{"text":"a"}}],"playOptions":{}}`, 400, "8523", "playOptions.loop"},
		{version2026, ":play", `{"playSources":[{"kind":"text","text":{"text":"a"}}],"playTo":[{}]}`, 400, "8523", "playTo[0]"},
		{version2026, ":play", `{"playSources":[{"kind":"text","text":{"text":"a"}}],"playTo":[{"rawId":"4:+1"}]}`, 404, "8522", ""},
		{version2026, ":play", `{"playSources":[{"kind":"text","text":{"text":"a"}}],"operationCallbackUri":"http://a/b"}`, 400, "8523", "operationCallbackUri"},
		{version2023, ":play", `{"playSources":[{"kind":"text","text":{"text":"a"}}]}`, 400, "8523", "playSources[0].kind"},
		{version2022, ":play", `{"playSourceInfo":{"sourceType":"text"}}`, 400, "8523", "playSourceInfo[0].sourceType"},
		{version2026, ":recognize", `{}`, 400, "8523", "recognizeInputType"},
		{version2023, ":recognize", `{"recognizeInputType":"choices"}`, 400, "8523", "recognizeInputType"},
		{version2026, ":recognize", `{"recognizeInputType":"dtmf"}`, 400, "8523", "recognizeOptions"},
		{version2022, ":recognize", `{"recognizeInputType":"dtmf","recognizeOptions":{}}`, 400, "8523", "recognizeOptions.targetParticipant"},
		{version2026, ":recognize", `{"recognizeInputType":"dtmf","recognizeOptions":{"initialSilenceTimeoutInSeconds":301}}`, 400, "8523", "recognizeOptions.initialSilenceTimeoutInSeconds"},
		{version2026, ":recognize", `{"recognizeInputType":"dtmf","recognizeOptions":{"dtmfOptions":{"interToneTimeoutInSeconds":0}}}`, 400, "8523", "recognizeOptions.dtmfOptions.interToneTimeoutInSeconds"},
		{version2026, ":recognize", `{"recognizeInputType":"dtmf","recognizeOptions":{"dtmfOptions":{"maxTonesToCollect":0}}}`, 400, "8523", "recognizeOptions.dtmfOptions.maxTonesToCollect"},
		{version2026, ":recognize", `{"recognizeInputType":"dtmf","recognizeOptions":{"dtmfOptions":{"stopTones":["seven","hash"]}}}`, 400, "8523", "recognizeOptions.dtmfOptions.stopTones[1]"},
		{version2026, ":recognize", `{"recognizeInputType":"choices","recognizeOptions":{}}`, 400, "8523", "recognizeOptions.choices"},
		{version2026, ":recognize", `{"recognizeInputType":"choices","recognizeOptions":{"choices":[{"label":"a"}]}}`, 400, "8523", "recognizeOptions.choices[0].phrases"},
		{version2026, ":recognize", `{"recognizeInputType":"choices","recognizeOptions":{"choices":[{"phrases":["a"]}]}}`, 400, "8523", "recognizeOptions.choices[0].label"},
		{version2026, ":recognize", `{"recognizeInputType":"choices","recognizeOptions":{"choices":[{"label":"a","phrases":["a"],"tone":"x"}]}}`, 400, "8523", "recognizeOptions.choices[0].tone"},
		{version2026, ":recognize", `{"recognizeInputType":"dtmf","recognizeOptions":{"targetParticipant":{"rawId":"4:+1"}}}`, 404, "8522", ""},
		{version2026, ":sendDtmfTones", `{"tones":["one"]}`, 400, "8523", "targetParticipant"},
		{version2026, ":sendDtmfTones", `{"tones":[],"targetParticipant":` + callee + `}`, 400, "8523", "tones"},
		{version2026, ":sendDtmfTones", `{"tones":["` + strings.Repeat(`one","`, 18) + `one"],"targetParticipant":` + callee + `}`, 400, "8523", "tones"},
		{version2026, ":sendDtmfTones", `{"tones":["eleven"],"targetParticipant":` + callee + `}`, 400, "8523", "tones[0]"},
		{version2026, ":startContinuousDtmfRecognition", `{"targetParticipant":{"rawId":"4:+1"}}`, 404, "8522", ""},
		{version2026, ":hold", `{}`, 400, "8523", "targetParticipant"},
		{version2026, ":unhold", `{"targetParticipant":` + callee + `}`, 400, "8585", ""},
		{version2026, ":hold", `{"targetParticipant":{"rawId":"4:+1"}}`, 404, "8522", ""},
		{version2026, ":startTranscription", `{}`, 400, "8585", ""},
		{version2026, ":updateTranscription", `{}`, 400, "8523", "locale"},
		{version2026, "/participants:add", `{}`, 400, "8523", "participantToAdd"},
		{version2022, "/participants:add", `{"participantToAdd":{"rawId":"4:+1"}}`, 400, "8523", "participantsToAdd"},
		{version2026, "/participants:add", `{"participantToAdd":{"phoneNumber":{"value":"+1"}}}`, 400, "8523", "sourceCallerIdNumber"},
		{version2026, "/participants:add", `{"participantToAdd":` + callee + `}`, 400, "8523", "participantToAdd"},
		{version2026, "/participants:add", `{"participantToAdd":{"rawId":"x"},"invitationTimeoutInSeconds":181}`, 400, "8523", "invitationTimeoutInSeconds"},
		{version2026, "/participants:remove", `{}`, 400, "8523", "participantToRemove"},
		{version2022, "/participants:remove", `{}`, 400, "8523", "participantsToRemove"},
		{version2026, "/participants:mute", `{}`, 400, "8523", "targetParticipants"},
		{version2024, "/participants:mute", `{"targetParticipants":[` + callee + `,{"rawId":"4:+1"}]}`, 400, "8523", "targetParticipants"},
		{version2026, "/participants:mute", `{"targetParticipants":[{"rawId":"4:+1"}]}`, 404, "8522", ""},
		{version2026, "/participants:cancelAddParticipant", `{}`, 400, "8523", "invitationId"},
		{version2026, "/participants:cancelAddParticipant", `{"invitationId":"x"}`, 404, "8522", ""},
		{version2026, "/participants:moveHere", `{"fromCall":"x"}`, 400, "8523", "targetParticipants"},
		{version2026, "/participants:moveHere", `{"targetParticipants":[` + callee + `]}`, 400, "8523", "fromCall"},
		{version2026, "/participants:moveHere", `{"targetParticipants":[` + callee + `],"fromCall":"x"}`, 404, "8522", ""},
		{version2026, "/participants:moveHere", `{"targetParticipants":[` + callee + `],"fromCall":"` + c.ID() + `"}`, 400, "8523", "fromCall"},
		{version2026, ":transferToParticipant", `{}`, 400, "8523", "targetParticipant"},
		{version2026, ":transferToParticipant", `{"targetParticipant":{"kind":"phoneNumber","communicationUser":{"id":"8:acs:x"}}}`, 500, "500", "targetParticipant.kind"},
		{version2026, ":transferToParticipant", `{"targetParticipant":{"rawId":"x"}}`, 500, "500", "targetParticipant.kind"},
		{version2026, ":transferToParticipant", `{"targetParticipant":` + callee + `,"transferee":{"rawId":"4:+1"}}`, 404, "8522", ""},
	} {
		status, v := b.op(c, tt.version, tt.action, tt.body)
		what := fmt.Sprintf("%s %s %s: %v", tt.version, tt.action, tt.body, v)
		require.Equal(t, tt.status, status, what)
		e := v["error"].(map[string]any)
		require.Equal(t, tt.code, e["code"], what)
		if tt.target != "" {
			require.Equal(t, tt.target, e["target"], what)
		}
	}
	c.HangUp()
	wait(t, c)
}

// Operations on media need a call that is established.
func TestOperationsNeedAnEstablishedCall(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{Speed: 1, OnCreate: func(Dialled) Callee { return Callee{Script: listener(), Ring: time.Minute} }})
	status, v, _ := b.do("POST", connections+v2026, `{"targets":[{"rawId":"4:+1"}],"callbackUri":"`+b.http.URL+`/callbacks"}`)
	require.Equal(t, 201, status)
	c := b.srv.Call(v["callConnectionId"].(string))
	for _, op := range operations {
		if !op.at.ofCall() || op.name == "get" || op.name == "hangup" || op.name == "terminate" {
			continue
		}
		path := connections + "/" + c.ID()
		switch op.at {
		case atParticipants:
			path += "/participants"
		case atParticipant:
			path += "/participants/x"
		}
		if op.action != "" {
			path += ":" + op.action
		}
		status, v, _ := b.do(op.method, path+v2026, "{}")
		require.Equal(t, 400, status, op.name)
		require.Equal(t, "8501", v["error"].(map[string]any)["code"], op.name)
	}
	c.HangUp()
	wait(t, c)
}

func TestParsePath(t *testing.T) {
	for path, want := range map[string]string{
		connections:                                 "0 [] ",
		connections + ":answer":                     "0 [] answer",
		connections + "/x":                          "1 [x] ",
		connections + "/x:play":                     "1 [x] play",
		connections + "/x/participants":             "2 [x] ",
		connections + "/x/participants:add":         "2 [x] add",
		connections + "/x/participants/4%3A%2B1425": "3 [x 4:+1425] ",
		connections + "/x/participants/4:+1425":     "3 [x 4:+1425] ",
		acsRecordingsPath:                           "4 [] ",
		acsRecordingsPath + "/r":                    "5 [r] ",
		acsRecordingsPath + "/r:pause":              "5 [r] pause",
		connections + "/x/people":                   "",
		connections + "x":                           "",
		connections + "/x/participants/a/b":         "",
		acsRecordingsPath + "/r/participants":       "",
		acsRecordingsPath + "/r/participants/x":     "",
		connections + "/%zz":                        "",
		"/calling/other":                            "",
	} {
		at, ids, action, ok := parsePath(path)
		got := ""
		if ok {
			got = fmt.Sprintf("%d %v %s", at, ids, action)
		}
		require.Equal(t, want, got, path)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, path := range []string{connections, connections + ":answer", connections + "/x/participants/4%3A%2B1", acsRecordingsPath + "/r:pause", "//:"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		at, ids, _, ok := parsePath(path)
		if ok {
			require.Len(t, ids, map[resource]int{atCall: 1, atParticipants: 1, atParticipant: 2, atRecording: 1}[at])
		}
	})
}
