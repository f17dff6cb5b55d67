package cloud

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// TestAnswerDeadlines: 15 s, and 5 s for what a policy brings, of the scaled
// clock; then the id is unknown.
func TestAnswerDeadlines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		ring  GraphRing
		limit time.Duration
	}{
		{"regular", GraphRing{Script: quietScript(1)}, 15 * time.Second},
		{"policy", GraphRing{Script: quietScript(1), Policy: "p"}, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const speed = 5 // 3 s, and 1 s
			b := newGraphBot(t, &Server{Speed: speed})
			began := time.Now()
			call, _ := b.ring(tt.ring)
			n := b.expect("deleted")[0]
			took := n.arrival.Sub(began)
			require.GreaterOrEqual(t, took, tt.limit/speed)
			require.Less(t, took, tt.limit/speed*5/2)
			require.Equal(t, "deleted", n.str("changeType"))
			r := b.act(call, "answer", b.acceptance(serviceHosted, ""))
			require.Equal(t, []any{404, "NotFound"}, []any{r.status, r.code()})
			require.Equal(t, graphMissed, wait(t, call).Result)
		})
	}
}

// TestKeepAlive: 45 min after the last keepAlive, or the start, the call ends.
// Other requests do not keep it.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	const speed = 1800 // 45 min are 1.5 s
	limit := 45 * time.Minute / speed
	b := newGraphBot(t, &Server{Speed: speed})
	call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	began := time.Now()
	kept := began
	for time.Since(began) < 3*limit/2 {
		passes(t, call, 5)
		require.Equal(t, 200, b.act(call, "keepAlive", "").status)
		kept = time.Now()
	}
	for range 5 { // these do not count
		require.Equal(t, 200, b.do("GET", v1Calls+"/"+call.ID(), "").status)
	}
	notes := b.expect("terminating", "terminated")
	after := notes[0].arrival.Sub(kept)
	require.Greater(t, after, limit*9/10)
	require.Less(t, after, 2*limit)
	info := notes[1].data()["resultInfo"].(map[string]any)
	require.Equal(t, []any{408.0, 8537.0}, []any{info["code"], info["subcode"]})
	wait(t, call)
	require.Equal(t, 404, b.act(call, "keepAlive", "").status)
}

// TestLobby: the bot sees itself alone, until it is admitted, or is not.
func TestLobby(t *testing.T) {
	t.Parallel()
	for _, delta := range []bool{false, true} {
		b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: quietScript(3), Lobby: true} }})
		more := ""
		if delta {
			more = `,"callOptions":{"isDeltaRosterEnabled":true}`
		}
		call, n := b.meet(serviceHosted, more)
		rows := func(n note) []any {
			if !delta {
				return n.rows()
			}
			require.Equal(t, "#microsoft.graph.deltaParticipants", n.data()["@odata.type"])
			return n.data()["participants"].([]any)
		}
		require.Len(t, rows(n), 1)
		me := rows(n)[0].(map[string]any)
		require.Equal(t, true, me["isInLobby"])
		root := v1Calls + "/" + call.ID()
		require.Equal(t, me["id"], b.do("GET", root, "").body["myParticipantId"])
		require.Len(t, b.do("GET", root+"/participants", "").body["value"], 1)
		ids, _ := call.Participants()
		require.Equal(t, 404, b.do("GET", root+"/participants/"+ids[0], "").status, "nobody else is seen")
		require.Equal(t, 404, b.do("DELETE", root+"/participants/"+ids[0], "").status)
		require.False(t, call.Mute(ids[0], true))
		call.Admit()
		call.Admit()
		n = b.expect("participants")[0]
		require.Len(t, rows(n), 4)
		require.Len(t, b.do("GET", root+"/participants", "").body["value"], 4)
		b.finish(call)
	}
	// 30 min in the lobby are 1.8 s; without keepAlive it would end after 2.7 s.
	b := newGraphBot(t, &Server{Speed: 1000, OnCreate: func(Dialled) Callee { return Callee{Script: quietScript(1), Lobby: true} }})
	call, _ := b.meet(serviceHosted, "")
	notes := b.expect("terminating", "terminated")
	info := notes[1].data()["resultInfo"].(map[string]any)
	require.Equal(t, []any{200.0, 5855.0}, []any{info["code"], info["subcode"]})
	wait(t, call)
}

// TestGroups: up to five, who are all in the roster, whoever of them has lines.
func TestGroups(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	var targets []string
	for range 5 {
		targets = append(targets, `{"identity":{"user":{"id":"`+uuid.NewString()+`"}}}`)
	}
	call := b.create(serviceHosted, `"targets":[`+strings.Join(targets, ",")+`]`)
	n := b.expect("participants")[0]
	require.Len(t, n.rows(), 6)
	msis := map[string]bool{}
	for _, row := range n.rows() {
		msis[row.(map[string]any)["mediaStreams"].([]any)[0].(map[string]any)["sourceId"].(string)] = true
	}
	require.Len(t, msis, 6)
	// One more, one less, one more: an MSI is given once.
	for i := range 3 {
		body := `{"participants":[{"identity":{"user":{"id":"` + uuid.NewString() + `"}}}]}`
		require.Equal(t, 200, b.act(call, "participants/invite", body).status)
		n = b.expect("operations", "participants")[1]
		last := n.rows()[len(n.rows())-1].(map[string]any)
		msi := last["mediaStreams"].([]any)[0].(map[string]any)["sourceId"].(string)
		require.False(t, msis[msi], "%d: %s was given before", i, msi)
		msis[msi] = true
		ids, _ := call.Participants()
		require.True(t, call.Leave(ids[1]))
		b.expect("participants")
	}
	require.Equal(t, 400, b.act(call, "participants/invite", `{"participants":[`+strings.TrimSuffix(strings.Repeat(oneUser+",", 6), ",")+`]}`).status)
	b.finish(call)
}

// TestEnds: what the documents' list of end reasons says of who ends a call.
func TestEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		order   string
		end     func(b *graphBot, call *Call)
		subcode float64
	}{
		"the other of two":    {`"targets":[` + oneUser + `]`, func(_ *graphBot, c *Call) { c.HangUp() }, 4521},
		"all others":          {theMeeting, func(_ *graphBot, c *Call) { c.HangUp() }, 5002},
		"the bot":             {theMeeting, func(b *graphBot, c *Call) { b.do("DELETE", v1Calls+"/"+c.ID(), "") }, 5001},
		"the bot was removed": {theMeeting, func(_ *graphBot, c *Call) { ids, _ := c.Participants(); c.Leave(ids[1]) }, 5300},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newGraphBot(t, &Server{})
			call := b.create(serviceHosted, tt.order)
			if tt.order == theMeeting {
				b.expect("participants")
			}
			tt.end(b, call)
			n := b.expect("terminating", "terminated")[1]
			info := n.data()["resultInfo"].(map[string]any)
			require.Equal(t, []any{200.0, tt.subcode}, []any{info["code"], info["subcode"]})
			log := wait(t, call)
			require.Zero(t, log.EventsDropped)
			require.True(t, log.Ended)
		})
	}
}

// TestRefusedCall: nobody answers.
func TestRefusedCall(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee {
		return Callee{Refuse: &Result{Code: 480, SubCode: 10037, Message: "no endpoints"}}
	}})
	r := b.do("POST", v1Calls, b.order(serviceHosted, `"targets":[`+oneUser+`]`))
	require.Equal(t, 201, r.status)
	n := b.expect("terminated")[0]
	require.Equal(t, map[string]any{"@odata.type": "#microsoft.graph.resultInfo", "code": 480.0, "subcode": 10037.0, "message": "no endpoints"}, n.data()["resultInfo"])
}

// TestEncryptedSource: without one of five permissions the caller is not told.
func TestEncryptedSource(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"", RoleMeetings, RoleAccessMedia, RoleInitiate, RoleInitiateGroup, "Calls.JoinGroupCalls.All", "Calls.JoinGroupCallsasGuest.All"} {
		for _, policy := range []string{"", "Test Policy"} {
			b := newGraphBot(t, &Server{Apps: []GraphApp{{Roles: []string{role}}}})
			call, n := b.ring(GraphRing{Script: quietScript(1), Policy: policy})
			shown := strings.HasPrefix(role, "Calls.")
			got := b.do("GET", v1Calls+"/"+call.ID(), "")
			for _, source := range []map[string]any{n.data()["source"].(map[string]any), got.sub("source")} {
				identity := source["identity"].(map[string]any)
				require.Equal(t, shown, identity["user"] != nil, "%s %v", role, identity)
				require.Equal(t, !shown, identity["encrypted"] != nil, role)
			}
			call.HangUp()
			wait(t, call)
		}
	}
}

// TestTransfers: blind, consultative, failed, and of a group's participant.
func TestTransfers(t *testing.T) {
	t.Parallel()
	faults := []Fault{{Kind: FailTransfer}}
	b := newGraphBot(t, &Server{OnCreate: func(d Dialled) Callee {
		script := quietScript(1)
		if strings.HasSuffix(d.Targets[0], "dead") {
			script.Faults = faults
		}
		return Callee{Script: script}
	}})
	two := func() *Call { return b.create(serviceHosted, `"targets":[`+oneUser+`]`) }
	dead := func() *Call {
		return b.create(serviceHosted, `"targets":[{"identity":{"user":{"id":"00000000-0000-0000-0000-00000000dead"}}}]`)
	}
	target := func(replaces string) string {
		return `{"transferTarget":{"endpointType":"default",` + replaces + oneUser[1:] + `,` + theContext + `}`
	}
	reason := func(n note) []any {
		info := n.data()["resultInfo"].(map[string]any)
		return []any{info["code"], info["subcode"], n.data()["terminationReason"]}
	}

	call := two()
	require.Equal(t, 202, b.act(call, "transfer", target("")).status)
	require.Equal(t, []any{0.0, 7015.0, nil}, reason(b.expect("transferring", "transferAccepted", "terminating", "terminated")[3]))

	call = two()
	other := two()
	require.Equal(t, 202, b.act(call, "transfer", target(`"replacesCallId":"`+strings.ToUpper(other.ID())+`",`)).status)
	b.expect("transferring")
	var first, second *Log
	require.Eventually(t, func() bool { first, second = call.Log(), other.Log(); return first.Ended && second.Ended }, deadline, time.Millisecond)
	ends := map[string]note{}
	for range 5 { // of both calls, in the order of each
		n := receive(t, b.notes)
		if n.kind() == "terminated" {
			ends[n.str("resourceUrl")] = n
		}
	}
	require.Equal(t, []any{0.0, 7015.0, "AppTransferred"}, reason(ends["/communications/calls/"+call.ID()]))
	require.Equal(t, []any{0.0, 7015.0, nil}, reason(ends["/communications/calls/"+other.ID()]))

	for subcode, replaces := range map[float64]string{7000: "", 7700: `"replacesCallId":"` + two().ID() + `",`} {
		call = dead()
		require.Equal(t, 202, b.act(call, "transfer", target(replaces)).status)
		n := b.expect("transferring", "established")[1]
		require.Equal(t, []any{500.0, subcode, nil}, reason(n))
		require.Equal(t, "established", b.do("GET", v1Calls+"/"+call.ID(), "").body["state"])
		b.finish(call)
	}
	for body, field := range map[string]string{
		`{}`: "transferTarget.identity", `{"transferTarget":{"identity":{}}}`: "transferTarget.identity",
		target(`"replacesCallId":"` + uuid.NewString() + `",`):                                  "transferTarget.replacesCallId",
		`{"clientContext":"` + strings.Repeat("x", 257) + `","transferTarget":` + oneUser + `}`: "clientContext",
	} {
		call = two()
		r := b.act(call, "transfer", body)
		require.Equal(t, 400, r.status)
		require.True(t, strings.HasPrefix(r.says(), field), r.says())
		b.finish(call)
	}
}

func TestGroupTransfer(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: quietScript(2)} }})
	call, _ := b.meet(serviceHosted, "")
	ids, _ := call.Participants()
	body := `{"transferTarget":` + oneUser + `,"transferee":{"participantId":%q}}`
	require.Contains(t, b.act(call, "transfer", `{"transferTarget":`+oneUser+`}`).says(), "transferee.participantId")
	require.Contains(t, b.act(call, "transfer", fmt.Sprintf(body, "nobody")).says(), "transferee.participantId")
	require.Equal(t, 202, b.act(call, "transfer", fmt.Sprintf(body, ids[0])).status)
	n := b.expect("transferring", "transferAccepted", "established", "participants")[3]
	require.Len(t, n.rows(), 2)
	b.finish(call)
}

// TestReplacedCall: an invitation with replacesCallId takes the first alone, and
// ends the call that it replaces.
func TestReplacedCall(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call, _ := b.meet(serviceHosted, "")
	other := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	body := `{"participants":[{"replacesCallId":"` + other.ID() + `",` + oneUser[1:] + `,` + oneUser + `]}`
	require.Equal(t, 200, b.act(call, "participants/invite", body).status)
	require.NoError(t, other.Wait(context.Background()))
	kinds := map[string]note{}
	for range 4 {
		n := receive(t, b.notes)
		kinds[n.kind()] = n
	}
	require.Len(t, kinds["participants"].rows(), 3, "only one was invited")
	require.Equal(t, "/communications/calls/"+other.ID(), kinds["terminated"].str("resourceUrl"))
	require.Equal(t, http.StatusBadRequest, b.act(call, "participants/invite", body).status, "it is gone")
	b.finish(call)
}
