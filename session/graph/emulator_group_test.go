package graph_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/stretchr/testify/require"
)

// Parties of the tests.
const (
	annID  = "112f7296-5fa4-42ca-bae8-6a692b15d4b8"
	bobID  = "98da8a1a-1b87-452c-a713-65d3f10b5555"
	phone  = "+14255550100"
	phone2 = "+14255550101"
)

func userSet(id string) graph.IdentitySet { return graph.IdentitySet{User: &graph.Identity{ID: id}} }

func phoneSet(number string) graph.IdentitySet {
	return graph.IdentitySet{Phone: &graph.Identity{ID: number}}
}

func invitee(set graph.IdentitySet) graph.InvitationParticipantInfo {
	return graph.InvitationParticipantInfo{ODataType: "#microsoft.graph.invitationParticipantInfo", Identity: &set}
}

// invite is the create request of a call to those.
func invite(t *testing.T, instance string, targets ...graph.IdentitySet) json.RawMessage {
	t.Helper()
	body, err := graph.Invite(targets, "", instance)
	require.NoError(t, err)
	return body
}

// talkers is a script of two who talk until the bot hangs up.
func talkers() cloud.Script {
	s := talker()
	return cloud.Script{HangUp: cloud.Never, Speakers: append(s.Speakers, cloud.Speaker{Name: "Bob", PCM: noise(16000, 7), Loops: cloud.Forever})}
}

// takes has the emulator take what the bot creates with that script.
func takes(script cloud.Script) func(cloud.Dialled) cloud.Callee {
	return func(cloud.Dialled) cloud.Callee { return cloud.Callee{Script: script} }
}

// done waits for an operation that should succeed.
func (h *host) done(op *graph.Operation, err error) graph.CommsOperation {
	h.t.Helper()
	require.NoError(h.t, err)
	end, err := op.Wait(h.limit())
	require.NoError(h.t, err)
	require.EqualValues(h.t, "completed", end.Status)
	return end
}

// refusedBy is the status of an error that must be the service's.
func refusedBy(t *testing.T, err error) int {
	t.Helper()
	var refused *session.Error
	require.ErrorAs(t, err, &refused)
	return refused.Status
}

// row waits until the manager's roster has a row for which ok holds.
func (h *host) row(call *session.Call, what string, ok func(session.Participant) bool) session.Participant {
	h.t.Helper()
	var found session.Participant
	eventually(h.t, what, func() bool {
		i := slices.IndexFunc(call.Participants(), ok)
		if i >= 0 {
			found = call.Participants()[i]
		}
		return i >= 0
	})
	return found
}

func (h *host) rows(call *session.Call, n int) []session.Participant {
	h.t.Helper()
	eventually(h.t, "rows in the roster", func() bool { return len(call.Participants()) == n })
	return call.Participants()
}

func called(name string) func(session.Participant) bool {
	return func(p session.Participant) bool { return p.Name == name }
}

func is(id string) func(session.Participant) bool {
	return func(p session.Participant) bool { return p.ID == id }
}

// TestGroupCall: everything that is done to the participants of a call with
// others, and to the bot among them, in both versions.
func TestGroupCall(t *testing.T) {
	t.Parallel()
	for _, v := range bothVersions {
		t.Run(v, func(t *testing.T) {
			h := newHost(t, &cloud.Server{OnCreate: takes(talkers())}, wiring{client: version(v)})
			call, there := h.dial(invite(t, "", userSet(annID), userSet(bobID)), session.Options{Channels: engine.Unmixed, Bidirectional: true})
			require.Equal(t, "group", there.Log().Kind)
			h.rows(call, 3)
			ctx, id, me := h.limit(), call.CallID(), call.Connection().SelfID

			self := func(muted bool) func(session.Participant) bool {
				return func(p session.Participant) bool { return p.ID == me && p.Muted == muted }
			}
			require.Equal(t, "m", h.done(h.client.Mute(ctx, id, "m")).ClientContext)
			h.row(call, "the bot is muted", self(true))
			h.done(h.client.Unmute(ctx, id, ""))
			h.row(call, "the bot is not muted", self(false))

			ann, bob := h.row(call, "Ann", called("Ann")), h.row(call, "Bob", called("Bob"))
			h.done(h.client.MuteParticipant(ctx, id, ann.ID, ""))
			h.row(call, "Ann is muted", func(p session.Participant) bool { return p.ID == ann.ID && p.Muted })
			h.done(h.client.MuteAll(ctx, id, []string{ann.ID, bob.ID}, ""))
			h.row(call, "Bob is muted", func(p session.Participant) bool { return p.ID == bob.ID && p.Muted })
			h.done(h.client.ConfigureMixer(ctx, id, []graph.MixerLevel{{
				Participant: ann.ID, Exclusive: true, Ducking: &graph.Ducking{RampActive: 50, RampInactive: 50, LowerLevel: 10, UpperLevel: 50},
				SourceLevels: []graph.AudioSourceLevel{{Participant: bob.ID, Level: 50}},
			}}, ""))

			h.groupRoster(call, ann, bob)
			h.routing(id, ann.ID, bob.ID)
			h.holdMusic(id, ann.ID, bob.ID)

			require.NoError(t, h.client.LogDeviceQuality(ctx, map[string]any{
				"@odata.type": "#microsoft.graph.teleconferenceDeviceQuality", "callChainId": call.Connection().GroupID,
				"participantId": me, "mediaLegId": "2", "deviceName": "TestAgent", "mediaQualityList": []any{},
			}))
			require.Equal(t, 400, refusedBy(t, h.client.LogDeviceQuality(ctx, map[string]any{})))

			require.NoError(t, h.client.DeleteParticipant(ctx, id, bob.ID))
			eventually(t, "Bob is out", func() bool { return !slices.ContainsFunc(call.Participants(), is(bob.ID)) })
			_, err := h.client.GetParticipant(ctx, id, bob.ID)
			require.Equal(t, 404, refusedBy(t, err))
			require.NoError(t, call.HangUp(ctx, false))
			require.NoError(t, h.over(call))
			require.Equal(t, 404, refusedBy(t, h.client.KeepAlive(ctx, id)))
			require.Zero(t, h.webhook.Stats().BadItems)
		})
	}
}

// groupRoster: what changes rows, and reads them.
func (h *host) groupRoster(call *session.Call, ann, bob session.Participant) {
	t, ctx, id, me := h.t, h.limit(), call.CallID(), call.Connection().SelfID
	all, err := h.client.ListParticipants(ctx, id)
	require.NoError(t, err)
	require.ElementsMatch(t, call.Participants(), graph.Rows(all))
	one, err := h.client.GetParticipant(ctx, id, ann.ID)
	require.NoError(t, err)
	require.Equal(t, ann.SpeakerID, one.AudioSourceID())

	require.NoError(t, h.client.ChangeScreenSharingRole(ctx, id, "sharer"))
	screen := func() graph.Enum {
		p, err := h.client.GetParticipant(ctx, id, me)
		require.NoError(t, err)
		for _, s := range p.MediaStreams {
			if s.Label == "applicationsharing-video" {
				return s.Direction
			}
		}
		return ""
	}
	eventually(t, "the bot shares", func() bool { return screen() == "sendOnly" })
	require.NoError(t, h.client.ChangeScreenSharingRole(ctx, id, "viewer"))
	eventually(t, "the bot sees", func() bool { return screen() == "" })

	for _, status := range []string{graph.Recording, graph.RecordingFailed, graph.NotRecording} {
		h.done(h.client.UpdateRecordingStatus(ctx, id, status, ""))
		h.row(call, status, func(p session.Participant) bool { return p.ID == me && p.Recording == status })
	}

	end := h.done(h.client.InviteParticipants(ctx, id, []graph.InvitationParticipantInfo{invitee(userSet(testGuest))}, "come"))
	require.Equal(t, "come", end.ClientContext)
	require.Len(t, end.Participants, 1)
	carol := h.row(call, "the invited", func(p session.Participant) bool { return p.RawID == "8:orgid:"+testGuest })
	require.NoError(t, h.client.DeleteParticipant(ctx, id, carol.ID))

	h.done(h.client.AddLargeGalleryView(ctx, id, ""))
	var view graph.Participant
	eventually(t, "the gallery", func() bool {
		all, err := h.client.ListParticipants(ctx, id)
		require.NoError(t, err)
		i := slices.IndexFunc(all, func(p graph.Participant) bool { return p.Metadata != "" })
		if i >= 0 {
			view = all[i]
		}
		return i >= 0
	})
	require.Equal(t, "LargeGallery-V2", view.Info.Identity.Application.ApplicationType)
	require.True(t, json.Valid([]byte(view.Metadata)))
}

const testGuest = "bf5aae9a-d11d-47a8-93b1-782504c95555"

// routing: audio routing groups are made, read, changed and ended.
func (h *host) routing(id, ann, bob string) {
	t, ctx := h.t, h.limit()
	want := graph.AudioRoutingGroup{ODataType: "#microsoft.graph.audioRoutingGroup", ID: "oneToOne", RoutingMode: "oneToOne", Sources: []string{ann}, Receivers: []string{bob}}
	got, err := h.client.CreateAudioRoutingGroup(ctx, id, want)
	require.NoError(t, err)
	require.Equal(t, want.Receivers, got.Receivers)
	want.Sources, want.Receivers = want.Receivers, want.Sources
	_, err = h.client.UpdateAudioRoutingGroup(ctx, id, "oneToOne", want)
	require.NoError(t, err)
	got, err = h.client.AudioRoutingGroup(ctx, id, "oneToOne")
	require.NoError(t, err)
	require.Equal(t, []string{bob}, got.Sources)
	_, err = h.client.CreateAudioRoutingGroup(ctx, id, graph.AudioRoutingGroup{ID: "multicast", RoutingMode: "multicast", Sources: []string{ann}, Receivers: []string{bob, ann}})
	require.NoError(t, err)
	all, err := h.client.AudioRoutingGroups(ctx, id)
	require.NoError(t, err)
	require.Len(t, all, 2)
	for _, name := range []string{"oneToOne", "multicast"} {
		require.NoError(t, h.client.DeleteAudioRoutingGroup(ctx, id, name))
	}
	_, err = h.client.AudioRoutingGroup(ctx, id, "oneToOne")
	require.Equal(t, 404, refusedBy(t, err))
}

// holdMusic: one participant at a time.
func (h *host) holdMusic(id, ann, bob string) {
	t, ctx := h.t, h.limit()
	h.done(h.client.StartHoldMusic(ctx, id, ann, graph.Prompt{URI: h.http.URL + "/hold.wav"}, ""))
	_, err := h.client.StartHoldMusic(ctx, id, bob, graph.Prompt{}, "")
	require.Equal(t, 400, refusedBy(t, err))
	h.done(h.client.StopHoldMusic(ctx, id, ann, ""))
	h.done(h.client.StartHoldMusic(ctx, id, bob, graph.Prompt{}, ""))
	h.done(h.client.StopHoldMusic(ctx, id, bob, ""))
}

// TestContentSharing: of a call that was created and of one that was answered
// it is told in two shapes, and only if it was asked for.
func TestContentSharing(t *testing.T) {
	t.Parallel()
	for _, incoming := range []bool{false, true} {
		for _, wanted := range []bool{true, false} {
			h := newHost(t, &cloud.Server{OnCreate: takes(talker())}, wiring{})
			told := make(chan session.Notice, 16)
			h.onCall = func(c *session.Call) {
				c.OnNotice(func(n session.Notice) {
					if n.Kind == session.EventContentSharing {
						told <- n
					}
				})
			}
			options := `{"@odata.type":"#microsoft.graph.outgoingCallOptions","isContentSharingNotificationEnabled":true}`
			var call *session.Call
			var there *cloud.Call
			switch {
			case !incoming:
				var body map[string]json.RawMessage
				require.NoError(t, json.Unmarshal(invite(t, "", userSet(annID)), &body))
				if wanted {
					body["callOptions"] = json.RawMessage(options)
				}
				request, err := json.Marshal(body)
				require.NoError(t, err)
				call, there = h.dial(request, session.Options{ServiceHosted: true})
			default:
				var ring *session.IncomingCall
				ring, there = h.ring(cloud.GraphRing{Script: talker()})
				o := session.Options{ServiceHosted: true}
				if wanted {
					o.Answer = json.RawMessage(`{"callOptions":` + options + `}`)
				}
				call = h.answer(ring, o)
			}
			there.ShareContent(true)
			ctx := h.limit()
			var sessions []graph.ContentSharingSession
			eventually(t, "somebody shares", func() (ok bool) {
				var err error
				sessions, err = h.client.ContentSharingSessions(ctx, call.CallID())
				require.NoError(t, err)
				return len(sessions) == 1
			})
			one, err := h.client.ContentSharingSession(ctx, call.CallID(), sessions[0].ID)
			require.NoError(t, err)
			require.Equal(t, sessions[0].ID, one.ID)
			there.ShareContent(false)
			if wanted {
				require.Equal(t, "created:contentsharingsessions", next(h, told).Type)
				require.Equal(t, "deleted:contentsharingsessions", next(h, told).Type)
			}
			require.NoError(t, call.HangUp(ctx, false))
			require.NoError(t, h.over(call))
			require.Empty(t, told)
		}
	}
}
