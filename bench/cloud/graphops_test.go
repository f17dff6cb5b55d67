package cloud

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// waveFile is a WAV file by the book: 44 bytes of header, and the samples.
func waveFile(rate, channels int, samples []int16) []byte {
	le := binary.LittleEndian
	data := PCM(samples).bytes()
	b := le.AppendUint32([]byte("RIFF"), uint32(36+len(data)))
	b = le.AppendUint32(append(b, "WAVEfmt "...), 16)
	b = le.AppendUint16(le.AppendUint16(b, 1), uint16(channels))
	b = le.AppendUint32(le.AppendUint32(b, uint32(rate)), uint32(2*rate*channels))
	b = le.AppendUint16(le.AppendUint16(b, uint16(2*channels)), 16)
	return append(le.AppendUint32(append(b, "data"...), uint32(len(data))), data...)
}

// prompt puts a file on the bot's web server and returns it as a mediaPrompt.
func (b *graphBot) prompt(name string, file []byte) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files["/"+name] = file
	return `{"@odata.type":"#microsoft.graph.mediaPrompt","mediaInfo":{"@odata.type":"#microsoft.graph.mediaInfo","uri":"` + b.http.URL + "/" + name + `","resourceId":"1D6DE2D4-CD51-4309-8DAA-70768651088E"}}`
}

const theContext = `"clientContext":"d45324c1-fcb5-430a-902c-f20af696537c"`

// checkOperation holds a response to a commsOperation's shape, fetches it from
// its Location, and returns its id.
func (b *graphBot) checkOperation(call *Call, r reply, kind, status string) string {
	b.t.Helper()
	require.Equal(b.t, "#microsoft.graph."+kind, r.body["@odata.type"], r.str())
	require.Equal(b.t, "https://graph.microsoft.com/v1.0/$metadata#"+kind, strings.Replace(r.body["@odata.context"].(string), "/beta/", "/v1.0/", 1))
	require.Equal(b.t, b.srv.Profile.enum(status), r.body["status"])
	require.Equal(b.t, "d45324c1-fcb5-430a-902c-f20af696537c", r.body["clientContext"])
	at := r.header.Get("Location")
	require.Equal(b.t, b.srv.URL()+v1Calls+"/"+call.ID()+"/operations/"+r.id(), strings.Replace(at, "/beta/", "/v1.0/", 1))
	got := b.do("GET", strings.TrimPrefix(at, b.srv.URL()), "")
	require.Equal(b.t, 200, got.status, got.str())
	require.Equal(b.t, r.id(), got.id())
	return r.id()
}

// checkCompletion holds a notification to the documents' sample of playPrompt.
func (b *graphBot) checkCompletion(call *Call, n note, id, kind, status string, code, subcode float64) map[string]any {
	b.t.Helper()
	p := b.srv.Profile
	url := "/communications/calls/" + call.ID() + "/operations/" + strings.ToUpper(strings.ReplaceAll(id, "-", ""))
	require.Equal(b.t, p.enum("deleted"), n.str("changeType"))
	require.Equal(b.t, url, n.str("resourceUrl"))
	d := n.data()
	require.Equal(b.t, "#microsoft.graph."+kind, d["@odata.type"])
	require.Equal(b.t, url, d["@odata.id"])
	require.Regexp(b.t, `^W/"\d+"$`, d["@odata.etag"])
	require.Equal(b.t, p.enum(status), d["status"])
	require.Equal(b.t, "d45324c1-fcb5-430a-902c-f20af696537c", d["clientContext"])
	info := d["resultInfo"].(map[string]any)
	require.Equal(b.t, "#microsoft.graph.resultInfo", info["@odata.type"])
	require.Equal(b.t, []any{code, subcode}, []any{info["code"], info["subcode"]}, "ints, and subcode in lower case")
	return d
}

// find returns the row of a participant.
func find(t *testing.T, n note, id string) map[string]any {
	t.Helper()
	for _, row := range n.rows() {
		if m := row.(map[string]any); strings.EqualFold(m["id"].(string), id) {
			return m
		}
	}
	require.Fail(t, "no such row", "%s in %v", id, n.item)
	return nil
}

// operationCase is one action of a meeting that answers with an operation.
type operationCase struct {
	name, path, body string
	kind             string
	status           int
	running          bool
	beta, app        bool // the media is app-hosted
	follows          []string
	check            func(t *testing.T, p Profile, notes []note)
}

func operationCases(b *graphBot, people []string, me string) []operationCase {
	first := "participants/" + people[0] + "/"
	p := b.prompt("beep.wav", waveFile(16000, 1, signal.Sine(320, 440, -12)))
	muted := func(id string, want bool) func(*testing.T, Profile, []note) {
		return func(t *testing.T, _ Profile, notes []note) { require.Equal(t, want, find(t, notes[0], id)["isMuted"]) }
	}
	return []operationCase{
		{name: "mute", path: "mute", kind: "muteParticipantOperation", status: 200, follows: []string{"participants"}, check: muted(me, true)},
		{name: "unmute", path: "unmute", kind: "unmuteParticipantOperation", status: 200, follows: []string{"participants"}, check: muted(me, false)},
		{name: "playPrompt", path: "playPrompt", body: `"prompts":[` + p + `]`, kind: "playPromptOperation", status: 200, running: true, follows: []string{"operations"}},
		{name: "subscribeToTone", path: "subscribeToTone", kind: "subscribeToToneOperation", status: 200},
		{name: "cancelMediaProcessing", path: "cancelMediaProcessing", kind: "cancelMediaProcessingOperation", status: 200},
		{
			name: "updateRecordingStatus", path: "updateRecordingStatus", body: `"status":"recording"`, kind: "updateRecordingStatusOperation", status: 200, follows: []string{"participants"},
			check: func(t *testing.T, p Profile, notes []note) {
				require.Equal(t, p.enum("recording"), find(t, notes[0], me)["recordingInfo"].(map[string]any)["recordingStatus"])
			},
		},
		{
			name: "addLargeGalleryView", path: "addLargeGalleryView", kind: "addLargeGalleryViewOperation", status: 202, running: true, follows: []string{"operations", "participants"},
			check: func(t *testing.T, p Profile, notes []note) {
				row := notes[1].rows()[len(notes[1].rows())-1].(map[string]any)
				app := row["info"].(map[string]any)["identity"].(map[string]any)["application"].(map[string]any)
				require.Equal(t, "LargeGallery-V2", app["applicationType"])
				require.Contains(t, row["metadata"], `"type":"lg"`)
				stream := row["mediaStreams"].([]any)[0].(map[string]any)
				require.Equal(t, []any{p.enum("video"), p.enum("sendReceive")}, []any{stream["mediaType"], stream["direction"]})
			},
		},
		{
			name: "sendDtmfTones", path: "sendDtmfTones", app: true, body: `"tones":["tone1","Tone0","star","pound","flash"],"delayBetweenTonesMs":2`,
			kind: "sendDtmfTonesOperation", status: 200, running: true, follows: []string{"operations"},
			check: func(t *testing.T, p Profile, notes []note) {
				require.Equal(t, p.enum("completedSuccessfully"), notes[0].data()["completionReason"])
			},
		},
		{
			name: "invite", path: "participants/invite", body: `"participants":[{"@odata.type":"#microsoft.graph.invitationParticipantInfo",` + oneUser[1:] + `]`,
			kind: "inviteParticipantsOperation", status: 200, running: true, follows: []string{"operations", "participants"},
			check: func(t *testing.T, _ Profile, notes []note) {
				told := notes[0].data()["participants"].([]any)[0].(map[string]any)
				require.Contains(t, told, "region", "with nulls")
				last := notes[1].rows()[len(notes[1].rows())-1].(map[string]any)
				require.Equal(t, "John", last["info"].(map[string]any)["identity"].(map[string]any)["user"].(map[string]any)["displayName"])
			},
		},
		{name: "mute participant", path: first + "mute", kind: "muteParticipantOperation", status: 200, follows: []string{"participants"}, check: muted(people[0], true)},
		{name: "muteAll", path: "participants/muteAll", beta: true, body: `"participants":["` + people[1] + `"]`, kind: "commsOperation", status: 200, follows: []string{"participants"}, check: muted(people[1], true)},
		{name: "configureMixer", path: "participants/configureMixer", beta: true, body: `"participantMixerLevels":[{"participant":"` + people[0] + `"}]`, kind: "commsOperation", status: 200, running: true, follows: []string{"operations"}},
		{name: "startHoldMusic", path: first + "startHoldMusic", body: `"customPrompt":` + p, kind: "startHoldMusicOperation", status: 202, running: true, follows: []string{"operations"}},
		{name: "stopHoldMusic", path: first + "stopHoldMusic", kind: "stopHoldMusicOperation", status: 202, running: true, follows: []string{"operations"}},
	}
}

// TestOperations runs every action that answers with an operation, in both
// profiles, with its bare name and with its namespace.
func TestOperations(t *testing.T) {
	t.Parallel()
	for _, profile := range []Profile{ProfileDocs, ProfileReal} {
		for _, namespace := range []string{"", "microsoft.graph."} {
			t.Run(string(profile)+" "+namespace, func(t *testing.T) {
				t.Parallel()
				b := newGraphBot(t, &Server{Profile: profile, OnCreate: func(Dialled) Callee { return Callee{Script: quietScript(2)} }})
				for _, app := range []bool{false, true} {
					config := serviceHosted
					if app {
						config = `{"@odata.type":"#microsoft.graph.appHostedMediaConfig","blob":` + string(marshal(sampleBlob)) + `}`
					}
					call, _ := b.meet(config, "")
					ids, _ := call.Participants()
					for _, tt := range operationCases(b, ids[:2], ids[2]) {
						if tt.app == app {
							b.runOperation(t, call, tt, namespace)
						}
					}
					b.checkEnd(call)
				}
			})
		}
	}
}

func (b *graphBot) runOperation(t *testing.T, call *Call, tt operationCase, namespace string) {
	t.Helper()
	body := `{` + theContext + `}`
	if tt.body != "" {
		body = `{` + theContext + `,` + tt.body + `}`
	}
	at := strings.LastIndexByte(tt.path, '/') + 1
	root := v1Calls
	if tt.beta {
		require.Equal(t, 405, b.do("POST", v1Calls+"/"+call.ID()+"/"+tt.path, body).status, "%s is in beta only: v1.0 takes it for an id", tt.name)
		root = "/beta/communications/calls"
	}
	r := b.do("POST", root+"/"+call.ID()+"/"+tt.path[:at]+namespace+tt.path[at:], body)
	require.Equal(t, tt.status, r.status, "%s: %s", tt.name, r.str())
	status := map[bool]string{true: "running", false: "completed"}[tt.running]
	id := b.checkOperation(call, r, tt.kind, status)
	notes := b.expect(tt.follows...)
	if tt.running {
		b.checkCompletion(call, notes[0], id, tt.kind, "completed", 200, 0)
		done := b.do("GET", v1Calls+"/"+call.ID()+"/operations/"+strings.ToUpper(strings.ReplaceAll(id, "-", "")), "")
		require.Equal(t, b.srv.Profile.enum("completed"), done.body["status"], "%s: by its id in upper case", tt.name)
	}
	for _, n := range notes {
		require.Equal(t, b.srv.Profile == ProfileReal, n.item["resource"] != nil, "%s: both resource keys on the real wire", tt.name)
	}
	if tt.check != nil {
		tt.check(t, b.srv.Profile, notes)
	}
}

// checkEnd gets the established call, deletes it, and looks at its end.
func (b *graphBot) checkEnd(call *Call) {
	b.t.Helper()
	p := b.srv.Profile
	got := b.do("GET", v1Calls+"/"+call.ID(), "")
	require.Equal(b.t, 200, got.status)
	require.Equal(b.t, "https://graph.microsoft.com/v1.0/$metadata#communications/calls/$entity", got.body["@odata.context"])
	require.Equal(b.t, "established", got.body["state"])
	require.Equal(b.t, "active", got.sub("mediaState")["audio"])
	require.Equal(b.t, "inactive", got.sub("transcription")["state"])
	require.Regexp(b.t, `^20\d\d-`, got.sub("transcription")["lastModifiedDateTime"])
	r := b.do("DELETE", v1Calls+"/"+call.ID(), "")
	require.Equal(b.t, 204, r.status)
	require.Empty(b.t, r.text)
	notes := b.expect("terminating", "terminated")
	require.Equal(b.t, p.enum("updated"), notes[0].str("changeType"))
	require.Equal(b.t, p.enum("deleted"), notes[1].str("changeType"))
	require.Equal(b.t, map[string]any{"@odata.type": "#microsoft.graph.resultInfo", "code": 200.0, "subcode": 5001.0, "message": graphByBot.Message}, notes[1].data()["resultInfo"])
	wait(b.t, call)
	for _, gone := range []reply{b.do("GET", v1Calls+"/"+call.ID(), ""), b.act(call, "keepAlive", "")} {
		require.Equal(b.t, 404, gone.status)
		require.Equal(b.t, "NotFound", gone.code())
	}
}

// TestPlainOperations: those that answer otherwise.
func TestPlainOperations(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: quietScript(3)} }})
	call, roster := b.meet(`{"@odata.type":"#microsoft.graph.appHostedMediaConfig","blob":`+string(marshal(sampleBlob))+`}`, "")
	ids, _ := call.Participants()
	root := v1Calls + "/" + call.ID()

	r := b.act(call, "keepAlive", "")
	require.Equal(t, 200, r.status)
	require.Empty(t, r.text)
	require.Equal(t, []string{"text/plain", "private", "0"}, []string{r.header.Get("Content-Type"), r.header.Get("Cache-Control"), r.header.Get("Content-Length")})

	list := b.do("GET", root+"/participants?$top=2", "")
	require.Equal(t, 200, list.status)
	require.Equal(t, roster.rows(), list.body["value"])
	require.Contains(t, list.body["@odata.context"], "$metadata#communications/calls")
	one := b.do("GET", root+"/participants/"+strings.ToUpper(ids[1]), "")
	require.Equal(t, list.body["value"].([]any)[1], any(one.body))
	require.Equal(t, 404, b.do("GET", root+"/participants/"+call.ID(), "").status)

	for role, sends := range map[string]bool{"Sharer": true, "viewer": false} {
		r = b.act(call, "changeScreenSharingRole", `{"role":"`+role+`"}`)
		require.Equal(t, 202, r.status, r.str())
		streams := find(t, b.expect("participants")[0], ids[3])["mediaStreams"].([]any)
		require.Len(t, streams, map[bool]int{true: 2, false: 1}[sends])
		if sends {
			screen := streams[1].(map[string]any)
			require.Equal(t, []any{"applicationsharing-video", "sendOnly"}, []any{screen["label"], screen["direction"]})
		}
	}
	require.Equal(t, 400, b.act(call, "changeScreenSharingRole", `{"role":"king"}`).status)

	r = b.do("POST", v1Calls+"/logTeleconferenceDeviceQuality", `{"quality":{"callChainId":"0622673d","deviceName":"x"}}`)
	require.Equal(t, 200, r.status)
	require.Empty(t, r.text)
	require.Equal(t, 400, b.do("POST", v1Calls+"/logTeleconferenceDeviceQuality", `{"quality":{"callChainId":"0622673d"}}`, "User-Agent", "").status)
	require.Equal(t, 400, b.do("POST", v1Calls+"/logTeleconferenceDeviceQuality", `{}`).status)

	b.routing(root, ids)

	require.Equal(t, 204, b.do("DELETE", root+"/participants/"+ids[1], "").status)
	require.Len(t, b.expect("participants")[0].rows(), 3)
	require.Equal(t, 404, b.do("DELETE", root+"/participants/"+ids[1], "").status)
	require.Equal(t, 404, b.do("DELETE", root+"/participants/"+ids[3], "").status, "the bot leaves by deleting the call")
	b.finish(call)
}

// routing walks through audio routing groups.
func (b *graphBot) routing(root string, ids []string) {
	b.t.Helper()
	group := func(id, mode string, receivers ...string) string {
		return fmt.Sprintf(`{"id":%q,"routingMode":%q,"sources":[%q],"receivers":["%s"]}`, id, mode, ids[3], strings.Join(receivers, `","`))
	}
	path := root + "/audioRoutingGroups"
	r := b.do("POST", path, group("oneToOne", "oneToOne", ids[0]))
	require.Equal(b.t, 200, r.status, "not 201: %s", r.str())
	want := map[string]any{"@odata.type": "#microsoft.graph.audioRoutingGroup", "id": "oneToOne", "routingMode": "oneToOne", "sources": []any{ids[3]}, "receivers": []any{ids[0]}}
	require.Equal(b.t, want, r.body)
	require.Equal(b.t, []any{want}, b.do("GET", path, "").body["value"])
	require.Equal(b.t, want, b.do("GET", path+"/oneToOne", "").body)
	require.Equal(b.t, 400, b.do("POST", path, group("oneToOne", "oneToOne", ids[0])).status, "taken")
	require.Equal(b.t, 400, b.do("POST", path, group("x", "sideways", ids[0])).status)
	require.Contains(b.t, b.do("POST", path, group("x", "multicast", ids[0], "nobody")).says(), "receivers[1]")
	r = b.do("PATCH", path+"/oneToOne", `{"receivers":["`+ids[0]+`","`+ids[1]+`"]}`)
	require.Equal(b.t, 200, r.status, r.str())
	want["receivers"] = []any{ids[0], ids[1]}
	require.Equal(b.t, want, b.do("GET", path+"/oneToOne", "").body)
	require.Equal(b.t, 204, b.do("DELETE", path+"/oneToOne", "").status)
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		require.Equal(b.t, 404, b.do(method, path+"/oneToOne", map[bool]string{true: `{}`}[method == http.MethodPatch]).status)
	}
	require.Equal(b.t, []any{}, b.do("GET", path, "").body["value"])
}
