package cloud

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// join brings one more participant.
func (b *graphBot) join(call *Call, who Speaker) (JoinDecision, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return call.Join(ctx, who)
}

// decides sets what is responded to whoever joins.
func (b *graphBot) decides(decision string) {
	b.answerNotes(func(n note, w http.ResponseWriter) bool {
		if n.data()["@odata.type"] != "#microsoft.graph.participantJoiningNotification" {
			return false
		}
		_, _ = w.Write([]byte(decision)) // a peer that has gone is the test's to notice
		return true
	})
}

// TestPolicySample rings as the third example of both answer pages does.
func TestPolicySample(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"answer-v1", "answer-beta"} {
		b := newGraphBot(t, &Server{Apps: []GraphApp{answerApp()}})
		call, n := b.ring(GraphRing{Script: Script{HangUp: Never, Speakers: []Speaker{{ID: byTeams}}}, Policy: "Test Policy"})
		token := n.data()["meetingInfo"].(map[string]any)["token"].(string)
		require.Len(t, strings.Split(token, "."), 3, "a signed token")
		n.data()["meetingInfo"].(map[string]any)["token"] = "join token"
		likeSeed(t, page+"-ex3-incoming", n.envelope)
		incoming := n.data()["incomingContext"].(map[string]any)
		require.Equal(t, incoming["sourceParticipantId"], incoming["observedParticipantId"])
		require.Equal(t, 202, b.act(call, "answer", b.acceptance(serviceHosted, `,"participantCapacity":200`)).status)
		b.expect("establishing", "established", "participants")
		require.Equal(t, 200, b.act(call, "updateRecordingStatus", `{`+theContext+`,"status":"recording"}`).status)
		b.expect("participants")
		log := b.finish(call)
		require.Equal(t, []string{kindPolicy, "recording"}, []string{log.Kind, log.RecordingStatus})
		require.GreaterOrEqual(t, log.RecordedFrom, int64(0))
	}
}

// TestParticipantCapacity: joiners are told to the call until it handles as many
// as it said, and the bot's response decides.
func TestParticipantCapacity(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	b.decides(`{"@odata.type":"#microsoft.graph.acceptJoinResponse"}`)
	ring := GraphRing{Script: quietScript(1), Policy: "Group"}
	call := b.take(ring, serviceHosted, `,"participantCapacity":3`)
	require.Len(t, b.expect("participants")[0].rows(), 2)
	joining := func(d JoinDecision, err error) JoinDecision {
		t.Helper()
		require.NoError(t, err)
		n := receive(t, b.notes)
		require.Equal(t, "#microsoft.graph.participantJoiningNotification", n.data()["@odata.type"])
		require.Equal(t, "/callback", n.path, "the call's own callbackUri")
		told := n.data()["call"].(map[string]any)
		require.Equal(t, call.ID(), told["id"])
		require.NotEmpty(t, told["source"].(map[string]any)["identity"].(map[string]any)["user"])
		return d
	}

	d := joining(b.join(call, Speaker{Name: "Second"}))
	require.Equal(t, JoinDecision{Status: 200, Accepted: true}, d)
	require.Len(t, b.expect("participants")[0].rows(), 3)

	b.decides(`{"@odata.type":"#microsoft.graph.rejectJoinResponse","reason":"busy"}`)
	require.Equal(t, JoinDecision{Status: 200, Reason: "busy"}, joining(b.join(call, Speaker{})))

	// Whoever is sent to another bot rings there.
	b.decides(`{"@odata.type":"#microsoft.graph.inviteNewBotResponse","inviteUri":"` + b.http.URL + `/other"}`)
	d = joining(b.join(call, Speaker{ID: byTeams}))
	require.Equal(t, b.http.URL+"/other", d.InviteURI)
	n := receive(t, b.rings)
	require.Equal(t, "/other", n.path)
	require.Equal(t, "Group", n.data()["applicationMetadata"].(map[string]any)["botData"].(map[string]any)["policyIdentifier"])
	require.Equal(t, d.Call.ID(), n.data()["id"])
	require.Equal(t, 202, b.act(d.Call, "answer", b.acceptance(serviceHosted, "")).status)
	b.expect("establishing", "established", "participants")
	_, err := b.join(d.Call, Speaker{})
	require.ErrorIs(t, err, ErrFull, "no participantCapacity: each joiner rings anew")
	b.finish(d.Call)

	for _, bad := range []string{"", "{}", "[]", `{"@odata.type":"#microsoft.graph.call"}`} {
		b.decides(bad)
		d = joining(b.join(call, Speaker{}))
		require.False(t, d.Accepted)
		require.NotEmpty(t, d.Reason)
	}
	b.decides(`{"@odata.type":"microsoft.graph.AcceptJoinResponse"}`)
	joining(b.join(call, Speaker{Name: "Third"}))
	require.Len(t, b.expect("participants")[0].rows(), 4)
	_, err = b.join(call, Speaker{})
	require.ErrorIs(t, err, ErrFull)

	// A second call of the policy is rung beside it.
	second := b.take(ring, serviceHosted, `,"participantCapacity":1`)
	b.expect("participants")
	_, err = b.join(second, Speaker{})
	require.ErrorIs(t, err, ErrFull)
	b.finish(second)

	// One leaves, and there is room again.
	ids, _ := call.Participants()
	require.False(t, call.Left("nobody"))
	require.False(t, call.Left(ids[1]), "the bot itself")
	require.True(t, call.Left(ids[2]))
	left := receive(t, b.notes)
	require.Equal(t, "#microsoft.graph.participantLeftNotification", left.data()["@odata.type"])
	require.Equal(t, ids[2], left.data()["participantId"])
	require.NotEmpty(t, left.data()["call"].(map[string]any)["resultInfo"])
	require.Len(t, b.expect("participants")[0].rows(), 3)
	joining(b.join(call, Speaker{Name: "Fourth"}))
	b.expect("participants")
	b.finish(call)
	_, err = b.join(call, Speaker{})
	require.ErrorIs(t, err, ErrFull)

	plain := b.take(GraphRing{Script: quietScript(1)}, serviceHosted, "")
	_, err = b.join(plain, Speaker{})
	require.ErrorContains(t, err, "policy")
}

// TestJoinedSpeakerIsHeard: audio of who joins later begins at the slot in which
// the decision was told, under an MSI of its own.
func TestJoinedSpeakerIsHeard(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	b.channels = "unmixed"
	b.decides(`{"@odata.type":"#microsoft.graph.acceptJoinResponse"}`)
	call := b.take(GraphRing{Script: Script{HangUp: Never, Speakers: []Speaker{{PCM: signal.Noise(20*320, 1, -20)}}}, Policy: "p"}, b.blob(), `,"participantCapacity":2`)
	s := receive(t, b.sockets)
	_, err := b.join(call, Speaker{PCM: signal.Noise(10*320, 2, -20), Name: "Late"})
	require.NoError(t, err)
	passes(t, call, 25)
	call.HangUp()
	log := wait(t, call)
	s.wait(t)
	require.Len(t, log.Speakers, 2)
	for i := range log.Speakers {
		sp := &log.Speakers[i]
		require.Equal(t, sp.Expected(log.Slots), timeline(t, s.frames(sp.StreamID), log.Start, log.Slots), sp.StreamID)
	}
	require.NotEqual(t, log.Speakers[0].StreamID, log.Speakers[1].StreamID)
}

// TestJoinOfACallThatEnds: whoever waits for a decision does not wait for ever.
func TestJoinOfACallThatEnds(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	asked, ended := make(chan struct{}, 1), make(chan struct{})
	b.answerNotes(func(n note, w http.ResponseWriter) bool {
		if n.data()["@odata.type"] == "#microsoft.graph.participantJoiningNotification" {
			asked <- struct{}{}
			<-ended
		}
		return false
	})
	call := b.take(GraphRing{Script: quietScript(1), Policy: "p"}, serviceHosted, `,"participantCapacity":9`)
	failed := make(chan error, 1)
	go func() {
		d, err := b.join(call, Speaker{})
		if err == nil && d.Accepted {
			err = context.Canceled
		}
		failed <- err
	}()
	receive(t, asked)
	call.HangUp()
	close(ended)
	require.NoError(t, receive(t, failed), "the bot's empty response came before the end: not accepted")
	wait(t, call)
}

// TestJoinThatIsGivenUp takes no place.
func TestJoinThatIsGivenUp(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	asked, late := make(chan struct{}, 1), make(chan struct{})
	b.answerNotes(func(n note, w http.ResponseWriter) bool {
		if n.data()["@odata.type"] != "#microsoft.graph.participantJoiningNotification" {
			return false
		}
		asked <- struct{}{}
		<-late
		return false
	})
	call := b.take(GraphRing{Script: quietScript(1), Policy: "p"}, serviceHosted, `,"participantCapacity":2`)
	b.expect("participants")
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := call.Join(ctx, Speaker{})
		failed <- err
	}()
	receive(t, asked)
	cancel()
	require.ErrorIs(t, receive(t, failed), context.Canceled)
	close(late)
	receive(t, b.notes)
	b.decides(`{"@odata.type":"#microsoft.graph.acceptJoinResponse"}`)
	d, err := b.join(call, Speaker{})
	require.NoError(t, err)
	require.True(t, d.Accepted)
	_, err = b.join(call, Speaker{})
	require.ErrorIs(t, err, ErrFull)
}

// TestRedirectedRing: 302 and 307 send a call on, once.
func TestRedirectedRing(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	sends := func(status int, to string, there int) {
		b.answerNotes(func(n note, w http.ResponseWriter) bool {
			if n.path == "/elsewhere" {
				w.WriteHeader(there)
				return true
			}
			if n.kind() != "incoming" {
				return false
			}
			if to != "" {
				w.Header().Set("Location", to)
			}
			w.WriteHeader(status)
			return true
		})
	}
	for _, status := range []int{302, 307} {
		for _, to := range []string{b.http.URL + "/elsewhere", "/elsewhere"} {
			sends(status, to, 202)
			call, err := b.srv.RingGraph(ctx, GraphRing{Script: quietScript(1)})
			require.NoError(t, err)
			require.Equal(t, "/calls", receive(t, b.rings).path)
			require.Equal(t, "/elsewhere", receive(t, b.rings).path)
			call.HangUp()
			wait(t, call)
			b.expect("deleted")
		}
	}
	sends(302, "/elsewhere", 500)
	_, err := b.srv.RingGraph(ctx, GraphRing{Script: quietScript(1)})
	require.ErrorIs(t, err, ErrRedirected)
	sends(302, "ftp://x", 202)
	_, err = b.srv.RingGraph(ctx, GraphRing{Script: quietScript(1)})
	require.ErrorContains(t, err, "Location")
	sends(302, "", 202)
	_, err = b.srv.RingGraph(ctx, GraphRing{Script: quietScript(1)})
	require.ErrorContains(t, err, "Location")
	sends(401, "", 202)
	_, err = b.srv.RingGraph(ctx, GraphRing{Script: quietScript(1)})
	require.ErrorContains(t, err, "401")
	require.Eventually(t, func() bool {
		for _, c := range b.srv.Calls() {
			if !c.Log().Ended {
				return false
			}
		}
		return true
	}, deadline, time.Millisecond, "calls that reached nobody have ended")

	for name, r := range map[string]GraphRing{
		"not registered": {App: "x"}, "instance": {Instance: true}, "version": {APIVersion: "v2"}, "script": {Script: Script{HangUp: -7}},
	} {
		_, err = b.srv.RingGraph(ctx, r)
		require.ErrorContains(t, err, name)
	}
}
