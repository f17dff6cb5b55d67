package cloud

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// TestPersonCallsBot: the person is the caller, and hanging up is theirs.
func TestPersonCallsBot(t *testing.T) {
	b := newBot(t, &Server{Speed: 1})
	b.echo("")
	g := come(t, b.srv, "/v1/people?cloud=acs&name=Ann")
	in := receive(t, b.incoming)
	require.Equal(t, "Ann", in["callerDisplayName"])
	g.eventually("calling")
	require.Equal(t, "ringing", g.live().State)
	status, body, _ := b.do("POST", "/calling/callConnections:answer?api-version=2026-03-12",
		`{"incomingCallContext":"`+in["incomingCallContext"].(string)+`","callbackUri":"`+b.http.URL+`/callbacks",`+
			b.mediaJSON("mixed", `,"enableBidirectional":true`)+`}`)
	require.Equal(t, 200, status, body)
	b.socket()
	g.eventually("in")
	said := signal.Speech(signal.Allison)[:100*320]
	g.speak(said)
	call := b.srv.Call(g.call)
	passes(t, call, 20)
	requireSame(t, said, g.ear())
	require.NoError(t, g.pc.Close())
	require.Equal(t, resultByOthers, wait(t, call).Result)

	// Who gives up while it rings ends the call too.
	g = come(t, b.srv, "/v1/people?cloud=acs")
	require.Equal(t, 204, g.ask("DELETE", "", ""))
	require.True(t, wait(t, b.srv.Call(g.call)).Ended)
}

// TestPersonIsCalled: calls of the bot, and people whom it adds, ring for a
// person, who answers, declines or is not there.
func TestPersonIsCalled(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{Speed: 1})
	admin := b.srv.AdminURL()
	require.Equal(t, 204, adminDo(t, admin+"/v1/callee", "PUT", `{"person":true}`, nil))
	ring := func() (r ringing) {
		require.Eventually(t, func() bool {
			var all []ringing
			adminDo(t, admin+"/v1/ringing", "GET", "", &all)
			if len(all) == 1 {
				r = all[0]
			}
			return len(all) == 1
		}, deadline, 5*time.Millisecond)
		return r
	}
	call, _ := b.place("mixed")
	r := ring()
	require.Equal(t, []string{call.ID(), "acs", "createCall", "8:acs:callee", "8:acs:bot", "Reminder call"},
		[]string{r.Call, r.Cloud, r.Operation, r.To, r.From, r.Context})
	g := come(t, b.srv, "/v1/ringing/"+r.ID+"?name=Bob")
	s := b.socket()
	g.eventually("in")
	require.Equal(t, call.ID(), g.call)
	require.Equal(t, "8:acs:callee", g.view().ID)
	said := signal.Speech(signal.June)[:50*320]
	go s.say(said)
	require.Eventually(t, func() bool { return signal.Level(g.ear()) > -60 }, deadline, 20*time.Millisecond)

	require.Equal(t, 204, adminDo(t, admin+"/v1/invitee", "PUT", `{"answer":"person"}`, nil))
	add := func() {
		status, body, _ := b.do("POST", "/calling/callConnections/"+call.ID()+"/participants:add?api-version=2022-04-07-preview",
			`{"participantsToAdd":[{"kind":"communicationUser","communicationUser":{"id":"8:acs:carol"}}],"operationContext":"add"}`)
		require.Equal(t, 202, status, body)
	}
	add()
	r = ring()
	require.Equal(t, []string{"addParticipant", "8:acs:carol", "add"}, []string{r.Operation, r.To, r.Context})
	require.Equal(t, 204, adminDo(t, admin+"/v1/ringing/"+r.ID, "DELETE", "", nil))
	require.Eventually(t, func() bool {
		return strings.HasSuffix(receive(t, b.callbacks).name(), "AddParticipantsFailed")
	}, deadline, time.Millisecond)
	add()
	carol := come(t, b.srv, "/v1/ringing/"+ring().ID+"?name=Carol")
	carol.eventually("in")
	require.Len(t, carol.live().People, 2)

	call.HangUp()
	wait(t, call)
	require.Equal(t, 204, adminDo(t, admin+"/v1/callee", "PUT", `{"person":true,"ring":"50ms"}`, nil))
	call, _ = b.place("mixed")
	require.Equal(t, resultUnavailable, wait(t, call).Result)
}

// TestLiveEvents: who watches is told of what changes, and of the end.
func TestLiveEvents(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	call := b.take(quietCall(), "mixed", "")
	b.socket()
	resp, err := plainClient.Get(b.srv.AdminURL() + "/v1/calls/" + call.ID() + "/live/events")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	all, err := plainClient.Get(b.srv.AdminURL() + "/v1/live/events")
	require.NoError(t, err)
	defer all.Body.Close()
	lines := bufio.NewScanner(all.Body)
	require.True(t, lines.Scan())
	require.Equal(t, "event: state", lines.Text())
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), call.ID())

	text := `{"raw_id":"x","text":"hel","key":"1"}`
	require.Equal(t, 204, adminDo(t, b.srv.AdminURL()+"/v1/calls/"+call.ID()+"/transcripts", "POST", text, nil))
	text = `{"raw_id":"x","text":"hello","final":true,"key":"1"}`
	require.Equal(t, 204, adminDo(t, b.srv.AdminURL()+"/v1/calls/"+call.ID()+"/transcripts", "POST", text, nil))
	passes(t, call, 10)
	go func() {
		time.Sleep(200 * time.Millisecond)
		call.HangUp()
	}()
	seen := map[string]string{}
	name := ""
	lines = bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			name = n
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			seen[name] = data
		}
	}
	require.Contains(t, seen["levels"], `"levels":{`)
	var last liveCall
	require.NoError(t, json.Unmarshal([]byte(seen["end"]), &last))
	require.True(t, last.Ended)
	require.Equal(t, []liveTranscript{{Slot: last.Transcripts[0].Slot, RawID: "x", Text: "hello", Final: true, Key: "1"}}, last.Transcripts)
}

// TestPersonInMeeting: a meeting's lobby keeps out who waits in it, and the bot
// is told of who comes, by MSI.
func TestPersonInMeeting(t *testing.T) {
	b := newGraphBot(t, &Server{})
	b.channels = "unmixed"
	call, _ := b.meet(b.blob(), "")
	s := receive(t, b.sockets)
	g := come(t, b.srv, "/v1/calls/"+call.ID()+"/people?name=Ann&lobby=true")
	rows := b.expect("participants")[0].rows()
	row := rows[len(rows)-1].(map[string]any)
	require.Equal(t, true, row["isInLobby"])
	g.eventually("lobby")
	require.Equal(t, 409, g.ask("POST", "/keys", `{"keys":"1"}`))
	said := signal.Speech(signal.June)[:50*320]
	g.speak(said)
	passes(t, call, 10)
	before := len(g.ear())

	require.Equal(t, 204, g.ask("POST", "/admit", ""))
	rows = b.expect("participants")[0].rows()
	row = rows[len(rows)-1].(map[string]any)
	require.Equal(t, false, row["isInLobby"])
	require.Equal(t, g.view().ID, row["id"])
	msi := row["mediaStreams"].([]any)[0].(map[string]any)["sourceId"].(string)
	require.Equal(t, 204, g.ask("POST", "/keys", `{"keys":"7"}`))
	g.speak(said)
	require.Equal(t, 204, g.ask("POST", "/mute", `{"on":true}`))
	rows = b.expect("participants")[0].rows()
	require.Equal(t, true, rows[len(rows)-1].(map[string]any)["isMuted"])
	s.say(said)
	passes(t, call, 60)
	require.Greater(t, signal.Level(g.ear()[before:]), -50.0)
	require.Equal(t, 204, g.ask("DELETE", "", ""))
	require.Len(t, b.expect("participants")[0].rows(), 2)
	log := b.finish(call)
	s.wait(t)
	var got []int16
	for _, f := range s.frames(msi) {
		got = append(got, f.samples()...)
	}
	requireSame(t, said, got)
	require.NotEmpty(t, log.Speakers[1].Stream.Dropped)
	require.Equal(t, "7", log.Keys[0].Tone)
}

// TestPersonAtGraph calls the bot, is called by it, and both are calls of two.
func TestPersonAtGraph(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{Speed: 1, OnCreate: func(Dialled) Callee { return Callee{Person: true} }})
	g := come(t, b.srv, "/v1/people?cloud=graph&name=Ann")
	receive(t, b.rings)
	call := b.srv.Call(g.call)
	require.Equal(t, 202, b.act(call, "answer", b.acceptance(b.blob(), "")).status)
	b.expect("establishing", "established")
	s := receive(t, b.sockets)
	g.eventually("in")
	require.Equal(t, 204, g.ask("POST", "/mute", `{"on":true}`))
	require.True(t, g.view().Muted)
	require.True(t, g.live().Participants[0].Muted)
	s.say(signal.Speech(signal.June)[:50*320])
	require.Eventually(t, func() bool { return signal.Level(g.ear()) > -60 }, deadline, 20*time.Millisecond)
	// No roster has the bot of a call of two; who watches sees it all the same.
	require.Eventually(t, func() bool {
		bot := g.live().Participants[1]
		return bot.Bot && bot.ID == "bot" && bot.Level > -60
	}, deadline, time.Millisecond)
	require.Equal(t, 204, g.ask("DELETE", "", ""))
	require.Equal(t, graphOtherLeft, wait(t, call).Result)
	b.expect("terminating", "terminated")

	r := b.do("POST", v1Calls, b.order(b.blob(), `"targets":[`+oneUser+`]`))
	require.Equal(t, 201, r.status, r.str())
	require.Eventually(t, func() bool { return len(b.srv.people.rung()) == 1 }, deadline, time.Millisecond)
	g = come(t, b.srv, "/v1/ringing/"+b.srv.people.rung()[0].ID)
	b.expect("establishing", "established")
	g.eventually("in")
	// Somebody else makes it a call of many.
	come(t, b.srv, "/v1/calls/"+g.call+"/people?name=Bob")
	require.Len(t, b.expect("participants")[0].rows(), 3)
	require.Equal(t, "group", g.live().Kind)
}
