package acs_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/stretchr/testify/require"
)

// people says how whom the bot adds take it.
func people(a cloud.Added) cloud.Callee {
	switch a.RawID {
	case "8:acs:declines":
		return cloud.Callee{Refuse: &cloud.Result{}}
	case "8:acs:sleeps":
		return cloud.Callee{Ring: 24 * time.Hour}
	}
	return cloud.Callee{}
}

// rawIDs of a roster, in no order.
func rawIDs(all []session.Participant) (ids []string) {
	for _, p := range all {
		ids = append(ids, p.RawID)
	}
	slices.Sort(ids)
	return ids
}

// row finds somebody in the roster as the call knows it.
func row(call *session.Call, rawID string) (session.Participant, bool) {
	all := call.Participants()
	i := slices.IndexFunc(all, func(p session.Participant) bool { return p.RawID == rawID })
	if i < 0 {
		return session.Participant{}, false
	}
	return all[i], true
}

// TestEmulatorParticipants lists, gets, adds and removes in both versions.
func TestEmulatorParticipants(t *testing.T) {
	t.Parallel()
	for _, version := range bothVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			p := newProduct(t, &cloud.Server{
				PageLength: 2, OnAdd: people,
				OnCreate: stays(cloud.Speaker{ID: "8:acs:one"}, cloud.Speaker{ID: "4:+14250000002"}, cloud.Speaker{ID: "8:acs:three"}),
			}, version, nil)
			call, _ := p.dial(acs.CallOptions{})
			id := call.CallID()
			everybody := []string{"4:+14250000002", botUser, callee, "8:acs:one", "8:acs:three"}
			roster, err := p.client.Participants(ctx, id)
			require.NoError(t, err)
			require.Equal(t, everybody, rawIDs(roster.Participants), "in three pages")
			for _, raw := range everybody {
				got, err := p.client.GetParticipant(ctx, id, raw)
				require.NoError(t, err)
				require.Equal(t, session.Participant{Identity: session.Identity{RawID: raw}}, got)
			}
			_, err = p.client.GetParticipant(ctx, id, "8:acs:nobody")
			refused(t, err, 404, 8522)
			eventually(t, "the roster of the events", func() bool { return slices.Equal(everybody, rawIDs(call.Participants())) })

			add := func(who string) (*acs.Operation, error) {
				in, err := p.client.AddParticipant(ctx, id, acs.AddParticipant{Party: who, CallerID: "+18440123456", Timeout: 2})
				if err != nil {
					return nil, err
				}
				require.Equal(t, version == acs.Version2026, in.ID != "")
				return in.Operation, nil
			}
			for _, who := range []string{"4:+14250000009", "8:acs:answers"} {
				e := done(t, p)(add(who))
				require.Equal(t, acs.AddParticipantSucceeded, e.Name)
				require.Equal(t, []string{who}, rawIDs(e.Participants))
			}
			eventually(t, "they are in the call", func() bool { return len(call.Participants()) == 7 })
			e := fails(t, p, acs.AddParticipantFailed, 603, 8538)(add("8:acs:declines"))
			require.Equal(t, []string{"8:acs:declines"}, rawIDs(e.Participants))
			fails(t, p, acs.AddParticipantFailed, 480, 8541)(add("8:acs:sleeps"))
			_, err = add(callee)
			refused(t, err, 400, 8523)

			e = done(t, p)(p.client.RemoveParticipant(ctx, id, "8:acs:one", acs.Tracking{}))
			eventually(t, "it is out of the call", func() bool { _, in := row(call, "8:acs:one"); return !in })
			if version == acs.Version2022 {
				require.Empty(t, e.Name, "no event tells")
				return
			}
			require.Equal(t, acs.RemoveParticipantSucceeded, e.Name)
			fails(t, p, acs.RemoveParticipantFailed, 404, 8522)(p.client.RemoveParticipant(ctx, id, "8:acs:one", acs.Tracking{}))
		})
	}
}

// TestEmulatorMuteAndHold: who is muted or on hold is told, and is not heard.
func TestEmulatorMuteAndHold(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProduct(t, &cloud.Server{OnCreate: stays(cloud.Speaker{ID: "8:acs:one"})}, acs.Version2026, nil)
	call, there := p.dial(acs.CallOptions{})
	id := call.CallID()
	require.NoError(t, p.client.MuteParticipant(ctx, id, callee, "m"))
	eventually(t, "the mute is told", func() bool { who, _ := row(call, callee); return who.Muted })
	got, err := p.client.GetParticipant(ctx, id, callee)
	require.NoError(t, err)
	require.True(t, got.Muted)
	require.True(t, there.SetMuted(callee, false))
	eventually(t, "they unmute themselves", func() bool { who, _ := row(call, callee); return !who.Muted })
	refused(t, p.client.MuteParticipant(ctx, id, "8:acs:nobody", ""), 404, 8522)

	music := noise(4*320, 1)
	require.NoError(t, p.client.Hold(ctx, id, acs.Hold{Party: "8:acs:one", Music: acs.PlaySource{File: p.file("music.wav", music)}}))
	eventually(t, "the hold is told", func() bool { who, _ := row(call, "8:acs:one"); return who.OnHold })
	eventually(t, "they hear the music again and again", func() bool { return len(there.Log().Prompts) > 2 })
	prompt := there.Log().Prompts[0]
	require.Equal(t, []string{"8:acs:one"}, prompt.To)
	require.Equal(t, music, []int16(prompt.PCM))
	refused(t, p.client.Hold(ctx, id, acs.Hold{Party: "8:acs:one"}), 400, 8585)
	require.NoError(t, p.client.Unhold(ctx, id, "8:acs:one", acs.Tracking{}))
	eventually(t, "the end of it too", func() bool { who, _ := row(call, "8:acs:one"); return !who.OnHold })

	failed := make(chan session.Notice, 1)
	call.OnNotice(func(n session.Notice) {
		if e, err := acs.EventOf(n); err == nil && e.Name == acs.HoldFailed {
			failed <- n
		}
	})
	require.NoError(t, p.client.Hold(ctx, id, acs.Hold{
		Party: callee, Music: acs.PlaySource{File: p.http.URL + "/files/none.wav"}, Tracking: acs.Tracking{OperationContext: "h"},
	}))
	n := next(p, failed)
	require.Equal(t, []any{"h", 400, 8536}, []any{n.OperationContext, n.Code, n.SubCode})
}

// TestEmulatorCancelAdd takes an invitation back: both operations end.
func TestEmulatorCancelAdd(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProduct(t, &cloud.Server{OnCreate: stays(), OnAdd: people, Speed: 1}, acs.Version2026, nil)
	call, _ := p.dial(acs.CallOptions{})
	id := call.CallID()
	in, err := p.client.AddParticipant(ctx, id, acs.AddParticipant{Party: "8:acs:sleeps"})
	require.NoError(t, err)
	e := done(t, p)(p.client.CancelAddParticipant(ctx, id, in.ID, acs.Tracking{}))
	require.Equal(t, []string{string(acs.CancelAddParticipantSucceeded), in.ID}, []string{string(e.Name), e.InvitationID})
	_, err = in.Wait(p.limit())
	var takenBack *session.Error
	require.ErrorAs(t, err, &takenBack)
	require.Equal(t, string(acs.CancelAddParticipantSucceeded), takenBack.Code)
	fails(t, p, acs.CancelAddParticipantFailed, 400, 8585)(p.client.CancelAddParticipant(ctx, id, in.ID, acs.Tracking{}))
	_, err = p.client.CancelAddParticipant(ctx, id, "none", acs.Tracking{})
	refused(t, err, 404, 8522)
	waiting, _ := p.client.Operations().Waiting()
	require.Zero(t, waiting)
}

// TestEmulatorMove takes some of one call into another.
func TestEmulatorMove(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	calls := 0
	p := newProduct(t, &cloud.Server{OnCreate: func(d cloud.Dialled) cloud.Callee {
		calls++
		return stays(cloud.Speaker{ID: fmt.Sprintf("8:acs:a%d", calls)}, cloud.Speaker{ID: fmt.Sprintf("8:acs:b%d", calls)})(d)
	}}, acs.Version2026, nil)
	from, _ := p.dial(acs.CallOptions{})
	to, _ := p.dial(acs.CallOptions{})
	all, err := p.client.MoveParticipants(ctx, to.CallID(), from.CallID(), []string{"8:acs:a1", "8:acs:nobody", "8:acs:b1"}, acs.Tracking{})
	require.NoError(t, err)
	require.Len(t, all, 3)
	e := done(t, p)(all[0], nil)
	require.Equal(t, from.CallID(), e.FromCall)
	require.Equal(t, []string{"8:acs:a1"}, rawIDs(e.Participants))
	fails(t, p, acs.MoveParticipantFailed, 404, 8522)(all[1], nil)
	done(t, p)(all[2], nil)
	eventually(t, "they are there", func() bool { _, in := row(to, "8:acs:b1"); return in && len(to.Participants()) == 6 })
	eventually(t, "and not here", func() bool { return len(from.Participants()) == 2 })
	_, err = p.client.MoveParticipants(ctx, to.CallID(), "none", []string{callee}, acs.Tracking{})
	refused(t, err, 404, 8522)
}

// TestEmulatorTransfer: one that is accepted ends the call for us, one that
// fails leaves it.
func TestEmulatorTransfer(t *testing.T) {
	t.Parallel()
	for _, version := range bothVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			p := newProduct(t, &cloud.Server{OnCreate: stays(), OnAdd: people}, version, nil)
			call, there := p.dial(acs.CallOptions{})
			id := call.CallID()
			transfer := func(to string) (*acs.Operation, error) {
				return p.client.Transfer(ctx, id, acs.Transfer{Target: to, CallerID: "+18440123456"})
			}
			fails(t, p, acs.CallTransferFailed, 603, 8538)(transfer("8:acs:declines"))
			got, err := p.client.Get(ctx, id)
			require.NoError(t, err)
			require.Equal(t, session.StateConnected, got.State)
			fails(t, p, acs.CallTransferFailed, 480, 8541)(transfer("8:acs:sleeps"))
			_, err = transfer("48:nothing")
			refused(t, err, 500, 500) // a quirk of the service
			e := done(t, p)(transfer("4:+14250000009"))
			require.Equal(t, acs.CallTransferAccepted, e.Name)
			if version == acs.Version2026 {
				require.Equal(t, []string{"4:+14250000009", callee}, []string{e.Target.RawID, e.Transferee.RawID})
			}
			next(p, call.Done())
			require.NoError(t, call.Err())
			require.True(t, there.Wait(p.limit()) == nil && there.Log().Ended)
		})
	}
}

// TestEmulatorConnect joins a call that stands, and a room.
func TestEmulatorConnect(t *testing.T) {
	t.Parallel()
	p := newProduct(t, &cloud.Server{OnCreate: stays()}, acs.Version2026, nil)
	first, _ := p.dial(acs.CallOptions{})
	for name, l := range map[string]acs.Locator{
		"server": {ServerCallID: first.Connection().GroupID}, "room": {RoomID: "99466898241024408"}, "group": {GroupCallID: "29228d3e-040e-4656-a70e-890ab4e173e5"},
	} {
		body, err := p.client.ConnectTo(l, acs.CallOptions{})
		require.NoError(t, err)
		call, err := p.manager.Create(p.limit(), "acs", body, session.Options{})
		require.NoError(t, err, name)
		require.NoError(t, call.Wait(p.limit(), session.StateConnected), name)
		require.NoError(t, p.emulator.Call(call.CallID()).Connected(p.limit()))
		if name == "server" {
			require.Equal(t, first.Connection().GroupID, call.Connection().GroupID)
		}
		require.NoError(t, call.HangUp(p.limit(), false))
	}
	body, err := p.client.ConnectTo(acs.Locator{ServerCallID: "none"}, acs.CallOptions{})
	require.NoError(t, err)
	_, err = p.manager.Create(p.limit(), "acs", body, session.Options{})
	refused(t, err, 404, 8522)
}
