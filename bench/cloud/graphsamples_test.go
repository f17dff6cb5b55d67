package cloud

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The application of the page "Create call".
var sampleApp = GraphApp{ID: "2891555a-92ff-42e6-80fa-6e1300c6b5c6", TenantID: "aa67bd4c-8475-432d-bd41-39f255720e0a"}

// sample is a request of the documents, with the bot's address and the page's
// own blob where they have placeholders.
func (b *graphBot) sample(name string) string {
	b.t.Helper()
	var m map[string]any
	require.NoError(b.t, json.Unmarshal(seed(b.t, name), &m))
	m["callbackUri"] = b.callback()
	if config := m["mediaConfig"].(map[string]any); config["blob"] != nil {
		config["blob"] = sampleBlob
	}
	return string(marshal(m))
}

// TestCreateSamples sends the eight examples of "Create call", and compares the
// response and the notifications with the page's.
func TestCreateSamples(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		example  string
		path     string
		response string // of which example
		role     string
		appMedia bool
		notes    []string // samples of the notifications
		kind     string
		roster   int
	}{
		{"ex1", "communications", "ex1", RoleInitiate, false, []string{"ex1-establishing", "ex1-established"}, kindPeer, 0},
		{"ex1", "app", "ex1", RoleInitiate, false, []string{"ex1-establishing", "ex1-established"}, kindPeer, 0},
		{"ex2", "communications", "ex2", RoleInitiate, true, []string{"ex1-establishing", "ex1-established"}, kindPeer, 0},
		{"ex3", "communications", "", RoleInitiateGroup, false, []string{"ex1-establishing", "ex1-established"}, kindGroup, 3},
		{"ex4", "communications", "", RoleInitiateGroup, true, []string{"ex1-establishing", "ex1-established"}, kindGroup, 3},
		{"ex5", "communications", "ex5", RoleJoin, false, []string{"ex5-establishing", "ex5-established"}, kindMeeting, 2},
		{"ex6", "app", "", RoleJoin, true, []string{"ex5-establishing", "ex5-established"}, kindMeeting, 2},
		{"ex7", "communications", "", RoleJoin, false, nil, kindMeeting, 2},
		{"ex8", "communications", "", RoleJoinAsGuest, false, nil, kindMeeting, 1},
	} {
		t.Run(tt.example+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			app := sampleApp
			app.Roles = []string{tt.role}
			if tt.appMedia {
				app.Roles = append(app.Roles, RoleAccessMedia)
			}
			dials := make(chan Dialled, 1)
			b := newGraphBot(t, &Server{Apps: []GraphApp{app}, OnCreate: func(d Dialled) Callee {
				dials <- d
				script := quietScript(1)
				if d.Kind == kindMeeting {
					script.Speakers[0] = Speaker{ID: "8:orgid:112f7296-5fa4-42ca-bae8-6a692b15d4b8", Name: "John"}
				}
				return Callee{Script: script, Lobby: tt.example == "ex8"}
			}})
			request := b.sample("create-" + tt.example + "-request")
			r := b.do("POST", "/beta/"+tt.path+"/calls", request)
			require.Equal(t, 201, r.status, r.str())
			require.Equal(t, b.srv.URL()+"/beta/communications/calls/"+r.id(), r.header.Get("Location"))
			require.Contains(t, r.header.Get("Content-Type"), "application/json; odata.metadata=minimal")
			call := b.srv.Call(r.id())
			d := receive(t, dials)
			require.Equal(t, tt.kind, d.Kind)
			require.Equal(t, "beta", d.APIVersion)
			b.compareCreated(tt.example, tt.response, request, r)

			notes := b.expect("establishing", "established")
			for i, name := range tt.notes {
				likeSeed(t, "create-"+name, notes[i].envelope)
			}
			for _, n := range notes {
				require.Equal(t, "/callback", n.path)
				require.Equal(t, "/communications/calls/"+r.id(), n.str("resourceUrl"))
				require.Equal(t, b.callback(), n.str("callbackUri"))
				require.Equal(t, r.id(), n.data()["id"])
			}
			b.compareRoster(call, tt.example, tt.roster, r)
			b.finish(call)
		})
	}
}

// compareCreated holds a response to the page's, and to the request that it
// echoes.
func (b *graphBot) compareCreated(example, sample, request string, r reply) {
	b.t.Helper()
	var sent map[string]any
	require.NoError(b.t, json.Unmarshal([]byte(request), &sent))
	if sample == "" { // the page shows none
		sample = "ex1"
	}
	var want map[string]any
	require.NoError(b.t, json.Unmarshal(seed(b.t, "create-"+sample+"-response"), &want))
	// What the response echoes is the request's: the first example shows a
	// preFetchMedia that its request has not.
	want["mediaConfig"] = sent["mediaConfig"]
	for _, key := range []string{"subject", "chatInfo", "meetingInfo", "targets"} {
		if sent[key] != nil {
			want[key] = sent[key]
		}
	}
	switch example {
	case "ex3", "ex4":
		like(b.t, "source", sent["source"], r.body["source"], "*")
		delete(want, "source")
	case "ex8":
		like(b.t, "source", sent["source"], r.body["source"], "*")
		delete(want, "source")
		want["targets"] = []any{}
	case "ex5", "ex6", "ex7":
		want["targets"] = []any{}
		require.Contains(b.t, r.sub("chatInfo"), "replyChainMessageId")
		require.Nil(b.t, r.sub("chatInfo")["replyChainMessageId"])
	}
	// "The response object shown here might be shortened."
	like(b.t, "", any(want), any(r.body), "*")
	require.Equal(b.t, sampleApp.TenantID, r.body["tenantId"])
	require.NotEmpty(b.t, r.body["myParticipantId"])
	require.NotEqual(b.t, r.id(), r.body["myParticipantId"])
}

func (b *graphBot) compareRoster(call *Call, example string, rows int, created reply) {
	b.t.Helper()
	if rows == 0 {
		// "For P2P calls the only notifications are call-state changes."
		r := b.do("GET", v1Calls+"/"+call.ID()+"/participants", "")
		require.Equal(b.t, []any{}, r.body["value"])
		return
	}
	n := b.expect("participants")[0]
	require.Len(b.t, n.rows(), rows)
	mine := slices.ContainsFunc(n.rows(), func(row any) bool { return row.(map[string]any)["id"] == created.body["myParticipantId"] })
	require.True(b.t, mine, "the bot is in its own roster by the id that the response told")
	switch example {
	case "ex5", "ex6":
		// The page's John is muted.
		ids, raw := call.Participants()
		require.Equal(b.t, "8:orgid:112f7296-5fa4-42ca-bae8-6a692b15d4b8", raw[0])
		require.True(b.t, call.Mute(ids[0], true))
		likeSeed(b.t, "create-ex5-roster", b.expect("participants")[0].envelope)
	case "ex8":
		likeSeed(b.t, "create-ex8-roster", n.envelope)
		call.Admit()
		full := b.expect("participants")[0]
		require.Len(b.t, full.rows(), 2, "the roster of the meeting, once it is admitted")
		require.Equal(b.t, false, full.rows()[1].(map[string]any)["isInLobby"])
	}
}

// answerApp is that of the answer pages, with a number by which it is found.
func answerApp() GraphApp {
	return GraphApp{
		ID: "8A34A46B-3D17-4ADC-8DCE-DC4E7D572698", Name: "Test BOT", Phone: "+14258828080",
		InstanceID: "832899f8-2ea1-4604-8413-27bd2892079f", TenantID: "932899f8-2ea1-4604-8413-27bd2892079f",
	}
}

// The annotations of types that the pages leave out in some of their samples
// and show in others.
var annotations = []string{
	"value.resourceData.source.@odata.type", "value.resourceData.source.identity.@odata.type", "value.resourceData.source.identity.user.@odata.type",
	"value.resourceData.targets.@odata.type", "value.resourceData.targets.identity.@odata.type", "value.resourceData.targets.identity.application.@odata.type",
}

// TestAnswerSamples rings as both answer pages do, answers with their requests,
// and compares all notifications.
func TestAnswerSamples(t *testing.T) {
	t.Parallel()
	caller := Speaker{ID: "8:orgid:8a34a46b-3d17-4adc-8dce-dc4e7d572698", Name: "Test User"}
	for _, page := range []struct{ files, version, path string }{
		{"answer-v1", "v1.0", "/v1.0/communications/calls/"},
		{"answer-beta", "beta", "/beta/communications/calls/"},
		{"answer-beta", "beta", "/beta/app/calls/"},
	} {
		for _, example := range []string{"ex1", "ex2", "generic"} {
			t.Run(page.path+example, func(t *testing.T) {
				t.Parallel()
				app := answerApp()
				if example != "ex1" {
					// The second example's call came by no number.
					app.Phone, app.InstanceID = "", ""
				}
				b := newGraphBot(t, &Server{Apps: []GraphApp{app}})
				call, ring := b.ring(GraphRing{Script: Script{HangUp: Never, Speakers: []Speaker{caller}}, APIVersion: page.version})
				require.Equal(t, "/calls", ring.path)
				request := b.sample(page.files + "-request")
				if example != "generic" {
					allowed := annotations
					if page.version == "beta" && example == "ex1" {
						allowed = append(slices.Clone(annotations), "value.resourceData.targets.region", "value.resourceData.callRoutes.@odata.type",
							"value.resourceData.callRoutes.final.@odata.type", "value.resourceData.callRoutes.final.application")
						b.compareRoutes(ring)
					}
					b.compareIncoming(page.files+"-"+example+"-incoming", ring, allowed)
					request = b.sample(page.files + "-" + example + "-request")
				}
				// The samples' ids are in upper case, without dashes.
				id := strings.ToUpper(strings.ReplaceAll(call.ID(), "-", ""))
				r := b.do("POST", page.path+id+"/answer", request)
				require.Equal(t, 202, r.status, r.str())
				require.Empty(t, r.text)
				require.Equal(t, "0", r.header.Get("Content-Length"))
				notes := b.expect("establishing", "established")
				for i, state := range []string{"establishing", "established"} {
					likeSeed(t, page.files+"-ex1-"+state, notes[i].envelope)
					require.Equal(t, "/callback", notes[i].path)
				}
				if example == "generic" {
					b.compareSharing(call, page.files)
				}
				b.finish(call)
			})
		}
	}
}

// compareIncoming compares a ringing notification; the samples' displayNames
// are the test's own.
func (b *graphBot) compareIncoming(name string, ring note, allowed []string) {
	b.t.Helper()
	var want map[string]any
	require.NoError(b.t, json.Unmarshal(seed(b.t, name), &want))
	data := want["value"].([]any)[0].(map[string]any)["resourceData"].(map[string]any)
	if routes, ok := data["callRoutes"].([]any); ok {
		// The sample's route ends at a person; this call's at the bot.
		delete(routes[0].(map[string]any), "final")
		allowed = append(slices.Clone(allowed), "value.resourceData.callRoutes.final")
	}
	like(b.t, "", any(want), any(ring.envelope), allowed...)
}

func (b *graphBot) compareRoutes(ring note) {
	b.t.Helper()
	route := ring.data()["callRoutes"].([]any)[0].(map[string]any)
	require.Equal(b.t, "lookup", route["routingType"])
	require.Equal(b.t, map[string]any{"phone": map[string]any{"id": "+14258828080"}}, route["original"])
	require.Contains(b.t, route["final"], "application")
}

// compareSharing: what the answer pages show of content that is shared, for a
// bot that asked to be told.
func (b *graphBot) compareSharing(call *Call, files string) {
	b.t.Helper()
	call.ShareContent(true)
	n := b.expect("contentsharingsessions")[0]
	likeSeed(b.t, files+"-ex2-content-sharing-started", n.envelope)
	list := b.do("GET", v1Calls+"/"+call.ID()+"/contentSharingSessions", "")
	require.Equal(b.t, 200, list.status)
	session := list.body["value"].([]any)[0].(map[string]any)
	require.True(b.t, strings.HasSuffix(n.str("resourceUrl"), "/"+session["id"].(string)))
	one := b.do("GET", v1Calls+"/"+call.ID()+"/contentSharingSessions/"+session["id"].(string), "")
	require.Equal(b.t, session, one.body)
	call.ShareContent(false)
	likeSeed(b.t, files+"-ex2-content-sharing-ended", b.expect("contentsharingsessions")[0].envelope)
	require.Equal(b.t, 404, b.do("GET", v1Calls+"/"+call.ID()+"/contentSharingSessions/"+session["id"].(string), "").status)
}

// TestSharingOfCreatedCalls: the current "Create call" tells the collection's
// address and an array.
func TestSharingOfCreatedCalls(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call := b.create(serviceHosted, `"targets":[`+oneUser+`],"callOptions":{"@odata.type":"#microsoft.graph.outgoingCallOptions","isContentSharingNotificationEnabled":true}`)
	for _, begin := range []bool{true, false} {
		call.ShareContent(begin)
		n := b.expect("contentsharingsessions")[0]
		require.Equal(t, map[bool]string{true: "created", false: "deleted"}[begin], n.str("changeType"))
		require.Equal(t, "/communications/calls/"+call.ID()+"/contentsharingsessions", n.str("resourceUrl"))
		require.Len(t, n.rows(), 1)
		require.Equal(t, "#microsoft.graph.contentSharingSession", n.rows()[0].(map[string]any)["@odata.type"])
	}
	b.finish(call)
	deaf := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	deaf.ShareContent(true)
	b.finish(deaf) // and nothing was told between
}
