package cloud

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	aPhone   = `{"@odata.type":"#microsoft.graph.invitationParticipantInfo","identity":{"phone":{"@odata.type":"#microsoft.graph.identity","id":"+12345678901"}}}`
	anApp    = `{"identity":{"application":{"displayName":"test bot 2","id":"22bfd41f-550e-477d-8789-f6f7bd2a5e8b"}}}`
	byPhone  = "4:+14255550100"
	byTeams  = "8:orgid:8a34a46b-3d17-4adc-8dce-dc4e7d572698"
	instance = `"source":{"@odata.type":"#microsoft.graph.participantInfo","identity":{"applicationInstance":{"displayName":"Bot","id":"832899f8-2ea1-4604-8413-27bd2892079f"}}},`
)

// invites, transfers and redirects: what the eleven scenarios end with.
func (b *graphBot) invites(call *Call, who string, rows int) {
	b.t.Helper()
	r := b.act(call, "participants/invite", `{`+theContext+`,"participants":[`+who+`]}`)
	require.Equal(b.t, 200, r.status, r.str())
	id := b.checkOperation(call, r, "inviteParticipantsOperation", "running")
	notes := b.expect("operations", "participants")
	b.checkCompletion(call, notes[0], id, "inviteParticipantsOperation", "completed", 200, 0)
	require.Len(b.t, notes[1].rows(), rows, "%v", notes[1].item)
	identity := notes[1].rows()[rows-1].(map[string]any)["info"].(map[string]any)["identity"].(map[string]any)
	require.Equal(b.t, strings.Contains(who, "phone"), identity["phone"] != nil)
	b.finish(call)
}

func (b *graphBot) transfers(call *Call) {
	b.t.Helper()
	r := b.act(call, "transfer", `{"transferTarget":`+aPhone+`,`+theContext+`}`)
	require.Equal(b.t, 202, r.status, r.str())
	require.Empty(b.t, r.text)
	notes := b.expect("transferring", "transferAccepted", "terminating", "terminated")
	info := notes[3].data()["resultInfo"].(map[string]any)
	require.Equal(b.t, []any{0.0, 7015.0}, []any{info["code"], info["subcode"]})
	wait(b.t, call)
}

func (b *graphBot) redirects(call *Call) {
	b.t.Helper()
	r := b.act(call, "redirect", `{"targets":[`+aPhone+`],"timeout":60,"callbackUri":"`+b.http.URL+`/moved"}`)
	require.Equal(b.t, 202, r.status, r.str())
	n := b.expect("terminated")[0]
	require.Equal(b.t, "/moved", n.path, "the request's callbackUri")
	require.Equal(b.t, "deleted", n.str("changeType"))
	d := n.data()
	for _, key := range []string{"state", "direction", "callbackUri", "source", "targets", "tenantId", "myParticipantId", "id", "resultInfo"} {
		require.NotEmpty(b.t, d[key], key)
	}
	require.NotEmpty(b.t, d["answeredBy"].(map[string]any)["identity"].(map[string]any)["encrypted"].(map[string]any)["id"])
	require.Len(b.t, d["targets"], 1)
	wait(b.t, call)
}

// TestPSTN is the list of scenarios of the answer pages.
func TestPSTN(t *testing.T) {
	t.Parallel()
	person := Script{HangUp: Never, Speakers: []Speaker{{ID: byTeams, Name: "Test User"}}}
	phone := Script{HangUp: Never, Speakers: []Speaker{{ID: byPhone}}}
	number := GraphRing{Script: phone, From: byPhone, Instance: true}
	identifier := GraphRing{Script: person, From: byTeams, Instance: true}
	scheduled := GraphRing{Script: person, From: byTeams, Instance: true, Meeting: true}
	for _, tt := range []struct {
		name string
		run  func(b *graphBot)
	}{
		{"a, number, invites", func(b *graphBot) { b.invites(b.take(number, serviceHosted, ""), aPhone, 3) }},
		{"b, number, transfers", func(b *graphBot) { b.transfers(b.take(number, serviceHosted, "")) }},
		{"c, number, redirects", func(b *graphBot) {
			call, n := b.ring(number)
			source := n.data()["source"].(map[string]any)["identity"].(map[string]any)["phone"].(map[string]any)
			require.Equal(b.t, "+14255550100", source["id"])
			require.NotEmpty(b.t, n.data()["callRoutes"])
			b.redirects(call)
		}},
		{"d, instance, invites", func(b *graphBot) { b.invites(b.take(identifier, serviceHosted, ""), aPhone, 3) }},
		{"e, instance, transfers", func(b *graphBot) { b.transfers(b.take(identifier, serviceHosted, "")) }},
		{"f, instance, redirects", func(b *graphBot) { call, _ := b.ring(identifier); b.redirects(call) }},
		{"g, instance from a scheduled meeting, invites", func(b *graphBot) {
			call, n := b.ring(scheduled)
			require.Contains(b.t, n.data()["chatInfo"].(map[string]any)["threadId"], "19:meeting_")
			require.Equal(b.t, "#microsoft.graph.organizerMeetingInfo", n.data()["meetingInfo"].(map[string]any)["@odata.type"])
			require.Equal(b.t, 202, b.act(call, "answer", b.acceptance(serviceHosted, "")).status)
			b.expect("establishing", "established", "participants")
			got := b.do("GET", v1Calls+"/"+call.ID(), "")
			require.Equal(b.t, n.data()["meetingInfo"], got.body["meetingInfo"])
			b.invites(call, aPhone, 3)
		}},
		{"h, outgoing from the instance", func(b *graphBot) {
			for _, config := range []string{serviceHosted, `{"@odata.type":"#microsoft.graph.appHostedMediaConfig","blob":` + string(marshal(sampleBlob)) + `}`} {
				call := b.create(config, instance+`"targets":[`+aPhone+`]`)
				ids := call.Log().Speakers
				require.Equal(b.t, "4:+12345678901", ids[0].RawID)
				b.finish(call)
			}
		}},
		{"i, call of two, invites a telephone", func(b *graphBot) {
			b.invites(b.create(serviceHosted, `"targets":[`+oneUser+`]`), aPhone, 3)
			b.invites(b.create(serviceHosted, instance+`"targets":[`+aPhone+`]`), aPhone, 3)
		}},
		{"j, call of two, invites a user", func(b *graphBot) {
			b.invites(b.create(serviceHosted, `"targets":[`+oneUser+`]`), oneUser, 3)
			b.invites(b.create(serviceHosted, instance+`"targets":[`+aPhone+`]`), oneUser, 3)
		}},
		{"k, joins a meeting, invites a telephone", func(b *graphBot) {
			call, _ := b.meet(serviceHosted, "")
			b.invites(call, aPhone, 3)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(newGraphBot(t, &Server{Apps: []GraphApp{answerApp()}}))
		})
	}
}

// TestNotSupportedPSTN: the rows that an older revision of the page lists as
// not supported.
func TestNotSupportedPSTN(t *testing.T) {
	t.Parallel()
	invitation := `{"participants":[` + aPhone + `]}`
	for name, run := range map[string]func(b *graphBot){
		"at the application, invites": func(b *graphBot) {
			b.forbidden(b.take(GraphRing{Script: quietScript(1)}, serviceHosted, ""), "participants/invite", invitation)
		},
		"at the application, transfers": func(b *graphBot) {
			b.forbidden(b.take(GraphRing{Script: quietScript(1)}, serviceHosted, ""), "transfer", `{"transferTarget":`+aPhone+`}`)
		},
		"at the application, redirects": func(b *graphBot) {
			call, _ := b.ring(GraphRing{Script: quietScript(1)})
			b.forbidden(call, "redirect", `{"targets":[`+aPhone+`]}`)
		},
		"at the application from a scheduled meeting, invites": func(b *graphBot) {
			call := b.take(GraphRing{Script: quietScript(1), Meeting: true}, serviceHosted, "")
			b.expect("participants")
			b.forbidden(call, "participants/invite", invitation)
		},
		"joined by a token, invites": func(b *graphBot) {
			call := b.create(serviceHosted, `"meetingInfo":{"@odata.type":"#microsoft.graph.tokenMeetingInfo","token":"abc"}`)
			b.expect("participants")
			b.forbidden(call, "participants/invite", invitation)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(newGraphBot(t, &Server{Apps: []GraphApp{answerApp()}}))
		})
	}
	b := newGraphBot(t, &Server{Apps: []GraphApp{answerApp()}})
	for source, field := range map[string]string{
		``:                                     "source.identity.applicationInstance",
		strings.Replace(instance, "8", "9", 1): "source.identity.applicationInstance.id",
	} {
		r := b.do("POST", v1Calls, b.order(serviceHosted, source+`"targets":[`+aPhone+`]`))
		require.Equal(t, 400, r.status, "without an instance")
		require.True(t, strings.HasPrefix(r.says(), field), r.says())
	}
	r := b.do("POST", v1Calls, b.order(serviceHosted, instance+`"targets":[`+aPhone+`,`+oneUser+`]`))
	require.Equal(t, 400, r.status)
	require.Empty(t, b.srv.Calls())
}

func (b *graphBot) forbidden(call *Call, action, body string) {
	b.t.Helper()
	r := b.act(call, action, body)
	require.Equal(b.t, []any{403, "Forbidden"}, []any{r.status, r.code()}, r.str())
	require.Empty(b.t, b.notes)
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call, _ := b.ring(GraphRing{Script: quietScript(1)})
	many := strings.TrimSuffix(strings.Repeat(oneUser+",", 26), ",")
	for body, field := range map[string]string{
		`{"targets":[]}`: "targets", `{"targets":[` + many + `]}`: "targets", `{"targets":[{}]}`: "targets",
		`{"targets":[` + oneUser + `],"timeout":14}`: "timeout", `{"targets":[` + oneUser + `],"timeout":91}`: "timeout",
		`{"targets":[` + oneUser + `],"timeout":20.5}`: "timeout", `{"targets":[` + oneUser + `],"callbackUri":"ftp://x"}`: "callbackUri",
	} {
		r := b.act(call, "redirect", body)
		require.Equal(t, 400, r.status, body)
		require.True(t, strings.HasPrefix(r.says(), field), "%s: %s", body, r.says())
	}
	r := b.act(call, "redirect", `{"targets":[`+anApp+`,`+oneUser+`]}`)
	require.Equal(t, 202, r.status, r.str())
	n := b.expect("terminated")[0]
	require.Equal(t, "/calls", n.path, "the application's own, where the request names none")
	require.Nil(t, n.data()["answeredBy"])
	wait(t, call)
	require.Equal(t, 404, b.act(call, "answer", b.acceptance(serviceHosted, "")).status)
}

// TestReject: the notification names the call, and nothing else.
func TestReject(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	for _, reason := range []string{"none", "busy", "Forbidden"} {
		call, _ := b.ring(GraphRing{Script: quietScript(1)})
		require.Equal(t, 400, b.act(call, "reject", `{"reason":"lazy"}`).status)
		r := b.act(call, "reject", fmt.Sprintf(`{"reason":%q}`, reason))
		require.Equal(t, 202, r.status)
		n := b.expect("deleted")[0]
		require.Equal(t, "deleted", n.str("changeType"))
		require.Equal(t, map[string]any{"@odata.type": "#microsoft.graph.call", "@odata.id": "/communications/calls/" + call.ID()}, n.data())
		wait(t, call)
		require.Equal(t, 404, b.act(call, "reject", `{"reason":"busy"}`).status)
	}
}
