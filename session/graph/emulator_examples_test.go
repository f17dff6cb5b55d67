package graph_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"sync/atomic"
	"testing"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/stretchr/testify/require"
)

// The application and the tenant of the documents' examples.
const (
	exampleApp    = "2891555a-92ff-42e6-80fa-6e1300c6b5c6"
	exampleTenant = "aa67bd4c-8475-432d-bd41-39f255720e0a"
)

// example is a request of the documents as it stands there, but for what they
// leave open: the blob, and addresses, which are to be this host's.
func (h *host) example(name string) json.RawMessage {
	h.t.Helper()
	text, err := os.ReadFile("../blob/testdata/audio-2018.json")
	require.NoError(h.t, err)
	blob, err := json.Marshal(string(bytes.TrimSpace(text)))
	require.NoError(h.t, err)
	body := seed(h.t, name)
	for old, new := range map[string]string{
		`"<Media Session Configuration>"`: string(blob), `"<Media Session Configuration Blob>"`: string(blob),
		`"https://bot.contoso.com/callback"`:  `"` + h.http.URL + h.webhook.CallbackPath() + `"`,
		`"https://bot.contoso.com/api/calls"`: `"` + h.http.URL + h.webhook.CallbackPath() + `"`,
		`"callbackUri-value"`:                 `"` + h.http.URL + h.webhook.CallbackPath() + `"`,
	} {
		body = bytes.ReplaceAll(body, []byte(old), []byte(new))
	}
	return body
}

// heardOf checks that all that the emulator told was accepted and understood.
func (h *host) heardOf(there *cloud.Call, atLeast int) {
	h.t.Helper()
	require.NoError(h.t, there.Wait(h.limit()))
	events := there.Log().Events
	require.GreaterOrEqual(h.t, len(events), atLeast)
	for _, e := range events {
		require.Equal(h.t, http.StatusAccepted, e.Status, e.Type)
	}
	stats := h.webhook.Stats()
	require.Empty(h.t, stats.Bad)
	require.Empty(h.t, stats.Unauthorized)
	require.Zero(h.t, stats.BadItems)
	require.Zero(h.t, stats.Other, "nothing of it is unknown")
}

// TestCreateExamples: the eight examples of "Create call", sent as they are.
func TestCreateExamples(t *testing.T) {
	t.Parallel()
	for _, profile := range []cloud.Profile{cloud.ProfileDocs, cloud.ProfileReal} {
		t.Run(string(profile), func(t *testing.T) {
			dialled := make(chan cloud.Dialled, 1)
			var lobby atomic.Bool
			h := newHost(t, &cloud.Server{
				Apps: []cloud.GraphApp{{ID: exampleApp, TenantID: exampleTenant}}, Profile: profile,
				OnCreate: func(d cloud.Dialled) cloud.Callee {
					dialled <- d
					return cloud.Callee{Script: talkers(), Lobby: lobby.Load()}
				},
			}, wiring{client: version(graph.Beta)})
			h.createExamples(dialled, &lobby)
		})
	}
}

func (h *host) createExamples(dialled <-chan cloud.Dialled, lobby *atomic.Bool) {
	t := h.t
	const bot, other, guest = "28:" + exampleApp, "28:dd3885da-f9ab-486b-bfae-85de3d445555", "8:teamsvisitor:d7a3b999-17ac-4bca-9e77-e6a730d2ec2e"
	const scheduled, channel = "19:meeting_Win6Ydo4wsMijFjZS00ZGVjLTk5MGUtOTRjNWY2NmNkYTFm@thread.v2", "19:cbee7c1c860e465f8258e3cebf7bee0d@thread.skype"
	for _, c := range []struct {
		name, kind, source, meeting string
		rows                        int // in the roster, with the bot
	}{
		{"create-ex1", "peer-to-peer", bot, "", 0},
		{"create-ex2", "peer-to-peer", bot, "", 0},
		{"create-ex3", "group", other, "", 3},
		{"create-ex4", "group", other, "", 3},
		{"create-ex5", "meeting", bot, scheduled, 3},
		{"create-ex6", "meeting", bot, scheduled, 3},
		{"create-ex7", "meeting", bot, channel, 3},
		{"create-ex8", "meeting", guest, channel, 3},
	} {
		lobby.Store(c.source == guest)
		// The media that the examples ask for are not this host's.
		call, there := h.dial(h.example(c.name+"-request"), session.Options{ServiceHosted: true})
		d := next(h, dialled)
		require.Equal(t, c.kind, d.Kind, c.name)
		require.Equal(t, "beta", d.APIVersion)
		require.Equal(t, c.meeting, d.Meeting, c.name)
		conn := call.Connection()
		require.Equal(t, c.source, conn.Source.RawID, c.name)
		require.NotEmpty(t, conn.SelfID)
		for i, target := range conn.Targets {
			require.Equal(t, d.Targets[i], target.RawID)
		}
		if c.source == guest { // the documents' roster of the lobby: itself alone
			require.True(t, h.rows(call, 1)[0].InLobby)
			require.True(t, call.InLobby())
			there.Admit()
		}
		rows := h.rows(call, c.rows)
		if c.rows > 0 {
			require.Equal(t, c.source, h.row(call, "the bot", is(conn.SelfID)).RawID)
			for _, p := range rows {
				require.NotEmpty(t, p.SpeakerID)
			}
		}
		require.NoError(t, call.HangUp(h.limit(), false))
		require.NoError(t, h.over(call))
		h.heardOf(there, 4)
	}
}

// TestAnswerExamples: those of both pages of "call: answer", sent as they are.
func TestAnswerExamples(t *testing.T) {
	t.Parallel()
	for page, v := range map[string]string{"v1": graph.V1, "beta": graph.Beta} {
		h := newHost(t, &cloud.Server{}, wiring{client: version(v)})
		for _, name := range []string{"ex1-request", "ex2-request", "request"} {
			t.Run(page+"/"+name, func(t *testing.T) {
				ring, there := h.ring(cloud.GraphRing{Script: talker()})
				shared := make(chan session.Notice, 8)
				h.onCall = func(c *session.Call) {
					c.OnNotice(func(n session.Notice) {
						if n.Kind == session.EventContentSharing {
							shared <- n
						}
					})
				}
				call := h.answer(ring, session.Options{ServiceHosted: true, Answer: h.example("answer-" + page + "-" + name)})
				require.Equal(t, v, there.Log().APIVersion)
				if name == "request" { // which asks for it in its callOptions
					there.ShareContent(true)
					there.ShareContent(false)
					require.Equal(t, "created:contentsharingsessions", next(h, shared).Type)
					require.Equal(t, "deleted:contentsharingsessions", next(h, shared).Type)
				}
				require.NoError(t, call.HangUp(h.limit(), false))
				require.NoError(t, h.over(call))
				h.heardOf(there, 4)
			})
		}
	}
}

// TestJoinByLink: a meeting's join link, its id with a passcode, and its token
// are what a bot has of a meeting.
func TestJoinByLink(t *testing.T) {
	t.Parallel()
	h := newHost(t, &cloud.Server{Apps: []cloud.GraphApp{{TenantID: exampleTenant}}, OnCreate: takes(talkers())}, wiring{})
	const link = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_abc%40thread.v2/0?context=%7b%22Tid%22%3a%22" + exampleTenant + "%22%2c%22Oid%22%3a%22" + annID + "%22%7d"
	meeting, err := graph.ParseJoinURL(link)
	require.NoError(t, err)
	for _, m := range []graph.Meeting{
		meeting,
		{MeetingInfo: graph.MeetingInfo{ODataType: "#microsoft.graph.joinMeetingIdMeetingInfo", JoinMeetingID: "1234567", Passcode: "psw123"}},
		{MeetingInfo: graph.MeetingInfo{ODataType: "#microsoft.graph.tokenMeetingInfo", Token: "token"}},
	} {
		for _, guest := range []string{"", "Guest"} {
			id := ""
			if guest != "" {
				id = bobID
			}
			body, err := m.Join(guest, id)
			require.NoError(t, err)
			call, there := h.dial(body, session.Options{ServiceHosted: true})
			require.Equal(t, "meeting", there.Log().Kind)
			h.rows(call, 3)
			require.NoError(t, call.HangUp(h.limit(), false))
			require.NoError(t, h.over(call))
		}
	}
}
