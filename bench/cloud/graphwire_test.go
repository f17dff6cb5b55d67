package cloud

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestGraphRefusals(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	root := v1Calls + "/" + call.ID()
	nobody := v1Calls + "/" + uuid.NewString()
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"deprecated path in v1.0", "POST", "/v1.0/app/calls", "{}", 400, "BadRequest"},
		{"unknown segment", "GET", "/v1.0/communications/phones", "", 400, "BadRequest"},
		{"unknown root", "GET", "/beta/users", "", 400, "BadRequest"},
		{"unknown action", "POST", root + "/dance", "{}", 400, "BadRequest"},
		{"too deep", "GET", root + "/participants/a/b/c", "", 400, "BadRequest"},
		{"list of calls", "GET", v1Calls, "", 405, "MethodNotAllowed"},
		{"method of a call", "PUT", root, "{}", 405, "MethodNotAllowed"},
		{"method of an action", "GET", root + "/answer", "", 405, "MethodNotAllowed"},
		{"unknown call", "GET", nobody, "", 404, "NotFound"},
		{"unknown call, delete", "DELETE", nobody, "", 404, "NotFound"},
		{"unknown call, answer", "POST", nobody + "/answer", "{}", 404, "NotFound"},
		{"unknown call, keepAlive", "POST", nobody + "/keepAlive", "", 404, "NotFound"},
		{"unknown operation", "GET", root + "/operations/" + call.ID(), "", 404, "NotFound"},
		{"answer a call that stands", "POST", root + "/answer", b.acceptance(serviceHosted, ""), 400, "BadRequest"},
		{"reject a call that stands", "POST", root + "/reject", `{"reason":"busy"}`, 400, "BadRequest"},
		{"redirect a call that stands", "POST", root + "/redirect", `{"targets":[` + oneUser + `]}`, 400, "BadRequest"},
		{"mute in a call of two", "POST", root + "/mute", "", 400, "BadRequest"},
		{"too long", "POST", v1Calls, strings.Repeat(" ", maxBody+1), 413, "RequestEntityTooLarge"},
	} {
		r := b.do(tt.method, tt.path, tt.body, "client-request-id", "it-was-"+tt.name)
		require.Equal(t, tt.status, r.status, "%s: %s", tt.name, r.str())
		require.Equal(t, tt.code, r.code(), tt.name)
		require.NotEmpty(t, r.says(), tt.name)
		inner := r.sub("error")["innerError"].(map[string]any)
		require.Equal(t, "it-was-"+tt.name, inner["client-request-id"])
		require.Equal(t, "it-was-"+tt.name, r.header.Get("client-request-id"))
		require.Equal(t, r.header.Get("request-id"), inner["request-id"])
		require.Regexp(t, `^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d$`, inner["date"])
	}
	r := b.do("GET", root, "")
	require.Equal(t, r.header.Get("request-id"), r.header.Get("client-request-id"), "its own if the client has none")
	b.finish(call)
	require.Equal(t, 404, b.do("GET", root, "").status)
}

// edit is a request with some members changed; null takes them away.
func edit(t testing.TB, body, changes string) string {
	t.Helper()
	var m, more map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &m))
	require.NoError(t, json.Unmarshal([]byte(changes), &more))
	for key, value := range more {
		if m[key] = value; value == nil {
			delete(m, key)
		}
	}
	return string(marshal(m))
}

// TestBadOrders: every 400 names the field.
func TestBadOrders(t *testing.T) {
	t.Parallel()
	b := startGraphBot(t, &Server{}, true)
	create := b.order(serviceHosted, `"targets":[`+oneUser+`]`)
	meeting := b.order(serviceHosted, theMeeting)
	app := func(blob string) string {
		return `{"mediaConfig":{"@odata.type":"#microsoft.graph.appHostedMediaConfig","blob":` + string(marshal(blob)) + `}}`
	}
	six := `{"targets":[` + strings.TrimSuffix(strings.Repeat(oneUser+",", 6), ",") + `]}`
	for _, tt := range []struct{ name, body, changes, field string }{
		{"plain http", create, `{"callbackUri":"http://bot.contoso.com/cb"}`, "callbackUri"},
		{"no URL", create, `{"callbackUri":"cb"}`, "callbackUri"},
		{"callback of a wrong type", create, `{"callbackUri":7}`, "callbackUri"},
		{"no modalities", create, `{"requestedModalities":null}`, "requestedModalities"},
		{"an unknown modality", create, `{"requestedModalities":["audio","smell"]}`, "requestedModalities[1]"},
		{"no media", create, `{"mediaConfig":null}`, "mediaConfig"},
		{"media of no type", create, `{"mediaConfig":{}}`, "mediaConfig.@odata.type"},
		{"media of another type", create, `{"mediaConfig":{"@odata.type":"#microsoft.graph.noMediaConfig"}}`, "mediaConfig.@odata.type"},
		{"media is text", create, `{"mediaConfig":"x"}`, "mediaConfig"},
		{"blob is missing", create, `{"mediaConfig":{"@odata.type":"#microsoft.graph.appHostedMediaConfig"}}`, "mediaConfig.blob"},
		{"blob is an object", create, `{"mediaConfig":{"@odata.type":"#microsoft.graph.appHostedMediaConfig","blob":{}}}`, "mediaConfig.blob"},
		{"blob is no JSON", create, app("<Media Session Configuration>"), "mediaConfig.blob"},
		{"blob without mpUri", create, app("{}"), "mediaConfig.blob: mpUri"},
		{"mpUri is a number", create, app(edit(t, sampleBlob, `{"mpUri":7}`)), "mediaConfig.blob: mpUri"},
		{"mpUri of another scheme", create, app(edit(t, sampleBlob, `{"mpUri":"ftp://x/y"}`)), "mediaConfig.blob: mpUri"},
		{"mpUri is insecure", create, app(edit(t, sampleBlob, `{"mpUri":"ws://x/y"}`)), "mediaConfig.blob: mpUri"},
		{"contexts are text", create, app(edit(t, sampleBlob, `{"audioRenderContexts":"x"}`)), "mediaConfig.blob: audioRenderContexts"},
		{"video contexts are a number", create, app(edit(t, sampleBlob, `{"videoRenderContexts":1}`)), "mediaConfig.blob: videoRenderContexts"},
		{"no render contexts", create, app(edit(t, sampleBlob, `{"mpUri":"wss://x/y","audioRenderContexts":null}`)), "mediaConfig.blob: audioRenderContexts"},
		{"two source contexts", create, app(edit(t, sampleBlob, `{"mpUri":"wss://x/y","audioSourceContexts":["a","b"]}`)), "mediaConfig.blob: audioSourceContexts"},
		{"another format", create, app(edit(t, sampleBlob, `{"mpUri":"wss://x/y","supportedAudioFormat":"Pcm44KStereo"}`)), "mediaConfig.blob: supportedAudioFormat"},
		{"nobody to call", create, `{"targets":null}`, "targets"},
		{"targets is an object", create, `{"targets":{}}`, "targets"},
		{"a target without identity", create, `{"targets":[{"identity":{}}]}`, "targets[0].identity"},
		{"a target that is null", create, `{"targets":[null]}`, "targets[0].identity"},
		{"six to call", create, six, "targets: 6"},
		{"incoming", create, `{"direction":"incoming"}`, "direction"},
		{"a meeting and targets", meeting, `{"targets":[` + oneUser + `]}`, "targets"},
		{"a meeting without chat", meeting, `{"chatInfo":null}`, "chatInfo.threadId"},
		{"a chat without message", meeting, `{"chatInfo":{"threadId":"19:x"}}`, "chatInfo.messageId"},
		{"a meeting of no type", meeting, `{"meetingInfo":{"organizer":{}}}`, "meetingInfo.@odata.type"},
		{"a meeting of nobody", meeting, `{"meetingInfo":{"@odata.type":"#microsoft.graph.organizerMeetingInfo"}}`, "meetingInfo.organizer"},
		{"a meeting without id", meeting, `{"meetingInfo":{"@odata.type":"#microsoft.graph.joinMeetingIdMeetingInfo"}}`, "meetingInfo.joinMeetingId"},
		{"a meeting without token", meeting, `{"meetingInfo":{"@odata.type":"#microsoft.graph.tokenMeetingInfo"}}`, "meetingInfo.token"},
	} {
		r := b.do("POST", v1Calls, edit(t, tt.body, tt.changes))
		require.Equal(t, 400, r.status, "%s: %s", tt.name, r.str())
		require.True(t, strings.HasPrefix(r.says(), tt.field), "%s: %s", tt.name, r.says())
	}
	for body, field := range map[string]string{``: "body", `[]`: "body", `{`: "body", `null`: "requestedModalities"} {
		r := b.do("POST", v1Calls, body)
		require.Equal(t, 400, r.status)
		require.True(t, strings.HasPrefix(r.says(), field), "%q: %s", body, r.says())
	}
	require.Empty(t, b.srv.Calls(), "nothing was half done")

	call, _ := b.ring(GraphRing{Script: quietScript(1)})
	for changes, field := range map[string]string{
		`{"callbackUri":"http://bot.contoso.com/cb"}`: "callbackUri", `{"acceptedModalities":null}`: "acceptedModalities", `{"mediaConfig":null}`: "mediaConfig",
		`{"participantCapacity":0}`: "participantCapacity", `{"participantCapacity":"many"}`: "participantCapacity", `{"callOptions":7}`: "callOptions",
	} {
		r := b.act(call, "answer", edit(t, b.acceptance(serviceHosted, ""), changes))
		require.Equal(t, 400, r.status, changes)
		require.True(t, strings.HasPrefix(r.says(), field), "%s: %s", changes, r.says())
	}
	require.Equal(t, 202, b.act(call, "answer", b.acceptance(serviceHosted, "")).status, "it still rings")
	b.expect("establishing", "established")
}

// TestBadActions: what is wrong with an action is told, and changes nothing.
func TestBadActions(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	ringing, _ := b.ring(GraphRing{Script: quietScript(1)})
	require.Equal(t, "incoming", b.do("GET", v1Calls+"/"+ringing.ID(), "").body["state"])
	peer := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	meeting, _ := b.meet(serviceHosted, "")
	ids, _ := meeting.Participants()
	long := `{"clientContext":"` + strings.Repeat("x", 257) + `"}`
	first := "participants/" + ids[0] + "/"
	for _, tt := range []struct {
		call         *Call
		action, body string
		says         string
	}{
		{ringing, "mute", "", "group calls"}, {ringing, "updateRecordingStatus", `{"status":"recording"}`, "not established"},
		{ringing, "transfer", `{"transferTarget":` + oneUser + `}`, "not established"}, {ringing, "subscribeToTone", "", "not established"},
		{peer, "addLargeGalleryView", "", "group calls"}, {peer, first + "startHoldMusic", "", "group calls"},
		{meeting, "mute", long, "clientContext"}, {meeting, "mute", "[]", "body"}, {meeting, "cancelMediaProcessing", "{", "body"},
		{meeting, "updateRecordingStatus", `{"status":"on"}`, "status"}, {meeting, "addLargeGalleryView", long, "clientContext"},
		{meeting, first + "mute", long, "clientContext"}, {meeting, first + "startHoldMusic", `{"customPrompt":{}}`, "prompts[0].mediaInfo.uri"},
		{meeting, "participants/invite", `{}`, "participants"}, {meeting, "participants/invite", `{"participants":[{}]}`, "participants[0].identity"},
		{meeting, "participants/invite", `{"participants":7}`, "participants"},
		{meeting, "changeScreenSharingRole", `{"role":"viewer"}`, "app-hosted"}, {meeting, "sendDtmfTones", `{"tones":["a"]}`, "app-hosted"},
	} {
		r := b.act(tt.call, tt.action, tt.body)
		require.Equal(t, 400, r.status, "%s %s: %s", tt.action, tt.body, r.str())
		require.Contains(t, r.says(), tt.says, tt.action)
	}
	for body, field := range map[string]string{`{"participants":["x"]}`: "participants[0]", ``: "body"} {
		require.Contains(t, b.do("POST", "/beta/communications/calls/"+meeting.ID()+"/participants/muteAll", body).says(), field)
	}
	require.Contains(t, b.do("POST", "/beta/communications/calls/"+meeting.ID()+"/participants/configureMixer", `{}`).says(), "participantMixerLevels")
	for _, action := range []string{"mute", "startHoldMusic"} {
		require.Equal(t, 404, b.act(meeting, "participants/nobody/"+action, "").status)
	}
	require.Empty(t, b.notes)
	b.finish(meeting)
	b.finish(peer)
}

// TestSpellingsOfRequests: what the documents and the SDKs write differently is
// the same to the service.
func TestSpellingsOfRequests(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	escaped := strings.ReplaceAll(sampleBlob, `"`, `\"`)
	zip := func(text string) string {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, err := w.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return z.String()
	}
	body := b.order(serviceHosted, `"targets":[`+oneUser+`]`)
	app := `{"@odata.type":"microsoft.graph.AppHostedMediaConfig","blob":` + string(marshal(escaped)) + `}`
	for name, tt := range map[string]struct{ path, body, encoding string }{
		"bare":       {v1Calls, body, ""},
		"gzip":       {v1Calls, zip(body), "gzip"},
		"keys":       {"/beta/Communications/Calls", strings.Replace(body, "callbackUri", "CallbackURI", 1), "identity"},
		"deprecated": {"/beta/app/calls/", body, ""},
		"escaped":    {v1Calls, b.order(app, `"targets":[`+oneUser+`]`), ""},
	} {
		r := b.do("POST", tt.path, tt.body, "Content-Encoding", tt.encoding)
		require.Equal(t, 201, r.status, "%s: %s", name, r.str())
		b.expect("establishing", "established")
		bare := strings.ReplaceAll(r.id(), "-", "")
		for _, id := range []string{r.id(), strings.ToUpper(r.id()), bare, strings.ToUpper(bare)} {
			got := b.do("GET", v1Calls+"/"+id, "")
			require.Equal(t, 200, got.status, id)
			require.Equal(t, r.id(), got.id())
		}
		b.finish(b.srv.Call(r.id()))
	}
	// A body that unpacks to more than is allowed is refused, not unpacked.
	bomb := b.do("POST", v1Calls, zip(strings.Repeat(" ", 64<<20)), "Content-Encoding", "gzip")
	require.Equal(t, 413, bomb.status)
	require.Equal(t, 400, b.do("POST", v1Calls, body, "Content-Encoding", "gzip").status)
	require.Equal(t, 415, b.do("POST", v1Calls, body, "Content-Encoding", "br").status)
	require.Equal(t, 415, b.do("POST", v1Calls, body, "Content-Type", "text/plain").status)
	require.Contains(t, b.do("POST", v1Calls, body, "Content-Type", "").says(), "Content-Type")
	require.Equal(t, 415, b.do("POST", v1Calls, body, "Content-Type", "application").status)
}

// TestMeetingsByOtherNames joins by a meeting's id and by a token.
func TestMeetingsByOtherNames(t *testing.T) {
	t.Parallel()
	dials := make(chan Dialled, 4)
	b := newGraphBot(t, &Server{OnCreate: func(d Dialled) Callee { dials <- d; return Callee{Script: quietScript(1)} }})
	for info, name := range map[string]string{
		`{"@odata.type":"#microsoft.graph.joinMeetingIdMeetingInfo","joinMeetingId":"1234567","passcode":"psw123"}`: "1234567",
		`{"@odata.type":"#microsoft.graph.joinMeetingIdMeetingInfo","joinMeetingId":"89","passcode":null}`:          "89",
		`{"@odata.type":"#microsoft.graph.tokenMeetingInfo","token":"abc"}`:                                         "abc",
	} {
		call := b.create(serviceHosted, `"meetingInfo":`+info)
		d := receive(t, dials)
		require.Equal(t, []string{kindMeeting, name}, []string{d.Kind, d.Meeting})
		b.expect("participants")
		var want map[string]any
		require.NoError(t, json.Unmarshal([]byte(info), &want))
		require.Equal(t, want, b.do("GET", v1Calls+"/"+call.ID(), "").sub("meetingInfo"))
		b.finish(call)
	}
}

// FuzzGraphRequests: whatever is sent, it is taken or refused with a reason.
func FuzzGraphRequests(f *testing.F) {
	files, err := filepath.Glob("../../session/graph/testdata/seeds/*request.json")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(`{"requestedModalities":["audio"],"mediaConfig":{"@odata.type":"#microsoft.graph.appHostedMediaConfig","blob":` + string(marshal(sampleBlob)) + `},"targets":[` + oneUser + `]}`))
	f.Add([]byte(`{"targets":[null],"meetingInfo":{"organizer":null}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, parse := range []func([]byte, string, bool) (graphOrder, *response){parseGraphCreate, parseGraphAnswer} {
			o, bad := parse(body, "beta", true)
			if bad != nil {
				require.Equal(t, http.StatusBadRequest, bad.status)
				require.NotEmpty(t, bad.failure.Message)
				continue
			}
			require.NotEmpty(t, o.modalities)
			require.NotEmpty(t, marshal(o.mediaConfig))
			for i := range o.targets {
				require.NotEmpty(t, o.targets[i].rawID())
				again := partyOf(o.targets[i].rawID(), "")
				require.NotEmpty(t, again.Kind)
			}
		}
	})
}

// FuzzGraphBlob: a blob is read, or refused with a reason.
func FuzzGraphBlob(f *testing.F) {
	f.Add(sampleBlob)
	f.Add(strings.ReplaceAll(sampleBlob, `"`, `\"`))
	f.Add(strings.Replace(sampleBlob, "net.tcp", "wss", 1))
	f.Add(`{"mpUri":"wss://x","audioRenderContexts":[null],"audioSourceContexts":[],"supportedAudioFormat":"Pcm16K"}`)
	f.Fuzz(func(t *testing.T, text string) {
		asked, err := readBlob(text, false)
		if err != nil {
			require.NotEmpty(t, err.Error())
			require.Nil(t, asked)
			return
		}
		if asked != nil {
			require.True(t, strings.HasPrefix(strings.ToLower(asked.url), "wss:"), asked.url)
			require.Equal(t, asked.bidirectional, asked.header.Get("X-Mixminus-Source") != "")
		}
	})
}
