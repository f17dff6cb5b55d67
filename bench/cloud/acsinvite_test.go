package cloud

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// invitees answer, decline or do not pick up, by their ids.
func invitees(a Added) Callee {
	switch a.RawID {
	case "8:acs:shy":
		return Callee{Refuse: &Result{}}
	case "8:acs:busy":
		return Callee{Refuse: &Result{486, 8539, "busy"}}
	case "8:acs:away":
		return Callee{Ring: time.Hour}
	case "8:acs:slow":
		return Callee{Ring: 20 * time.Second} // 2 s at the tests' speed
	}
	return Callee{Script: Script{Speakers: []Speaker{{Name: "Max", PCM: signal.Noise(10*320, 5, -20), Loops: Forever}}}}
}

func TestAddParticipants(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := newBot(t, &Server{OnCreate: talker(), OnAdd: invitees, Speed: 100})
			c := b.dial(version, "")
			for id, want := range map[string][]int{
				"8:acs:more": {200, 0}, "8:acs:shy": {603, 8538}, "8:acs:busy": {486, 8539}, "8:acs:away": {480, 8541},
			} {
				body := `{"participantToAdd":{"communicationUser":{"id":"` + id + `"}},"invitationTimeoutInSeconds":5,"operationContext":"add"}`
				if version == version2022 {
					body = `{"participantsToAdd":[{"communicationUser":{"id":"` + id + `"}}],"invitationTimeoutInSeconds":5,"operationContext":"add"}`
				}
				status, v := b.op(c, version, "/participants:add", body)
				require.Equal(t, 202, status, v)
				require.Equal(t, "add", v["operationContext"])
				invitation, ok := v["invitationId"]
				require.Equal(t, version >= version2024, ok, invitation)
				row, _ := v["participant"].(map[string]any)
				name := "AddParticipant"
				if version == version2022 {
					row, name = v["participants"].([]any)[0].(map[string]any), "AddParticipants"
				}
				require.Equal(t, id, row["identifier"].(map[string]any)["rawId"])
				_, ok = row["isOnHold"]
				require.Equal(t, version >= version2025, ok)
				name += map[bool]string{true: "Succeeded", false: "Failed"}[want[0] == 200]
				e := b.expect(name)[0]
				code, sub := result(e)
				require.Equal(t, want, []int{code, sub}, id)
				who, _ := e.Data["participant"].(map[string]any)
				if version == version2022 {
					who = e.Data["participants"].([]any)[0].(map[string]any)
				}
				require.Equal(t, id, who["rawId"])
				if want[0] == 200 {
					require.Len(t, b.expect("ParticipantsUpdated")[0].Data["participants"], 3)
				}
			}
			c.HangUp()
			wait(t, c)
		})
	}
}

// Who was added is heard, and counts in the log; who leaves, is not any more.
func TestAddedParticipantIsHeard(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker(), OnAdd: invitees})
	c := b.dial(version2026, ","+b.mediaJSON("unmixed", `,"audioFormat":"pcm24KMono"`))
	b.until("MediaStreamingStarted")
	status, v := b.op(c, version2026, "/participants:add", `{"participantToAdd":{"communicationUser":{"id":"8:acs:more"}}}`)
	require.Equal(t, 202, status, v)
	b.expect("AddParticipantSucceeded", "ParticipantsUpdated")
	require.Eventually(t, func() bool { return c.Log().Speakers[1].Stream.Sent > 10 }, deadline, 5*time.Millisecond)
	status, v = b.op(c, version2026, "/participants:mute", `{"targetParticipants":[{"communicationUser":{"id":"8:acs:more"}}],"operationContext":"hush"}`)
	require.Equal(t, 200, status)
	require.Equal(t, map[string]any{"operationContext": "hush"}, v)
	rows := b.expect("ParticipantsUpdated")[0].Data["participants"].([]any)
	require.Equal(t, true, rows[2].(map[string]any)["isMuted"])
	require.True(t, c.SetMuted("8:acs:more", false), "only they can undo it")
	require.False(t, c.SetMuted("8:acs:nobody", false))
	b.expect("ParticipantsUpdated")
	require.True(t, c.Depart("8:acs:more"))
	require.False(t, c.Depart("8:acs:more"))
	require.Len(t, b.expect("ParticipantsUpdated")[0].Data["participants"], 2)
	status, _ = b.op(c, version2026, "/participants:remove", `{"participantToRemove":{"communicationUser":{"id":"8:acs:more"}},"operationContext":"r"}`)
	require.Equal(t, 202, status)
	code, sub := result(b.expect("RemoveParticipantFailed")[0])
	require.Equal(t, []int{404, 8522}, []int{code, sub})
	status, _ = b.op(c, version2026, "/participants:remove", `{"participantToRemove":`+callee+`}`)
	require.Equal(t, 202, status)
	b.expect("RemoveParticipantSucceeded", "ParticipantsUpdated", "CallDisconnected")
	log := wait(t, c)
	more := log.Speakers[1]
	require.NotZero(t, more.Left)
	require.Equal(t, "Max", more.Name)
	b.socket().wait(t)
	said := more.Expected(log.Slots)
	require.True(t, silentSamples(said[more.Left*320:]))
	require.False(t, silentSamples(said[:more.Left*320]))
}

func TestCancelAddParticipant(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker(), OnAdd: invitees})
	c := b.dial(version2026, "")
	invite := func(id string) string {
		status, v := b.op(c, version2026, "/participants:add", `{"participantToAdd":{"communicationUser":{"id":"`+id+`"}}}`)
		require.Equal(t, 202, status)
		return v["invitationId"].(string)
	}
	slow := invite("8:acs:slow")
	status, v := b.op(c, version2026, "/participants:cancelAddParticipant", `{"invitationId":"`+slow+`","operationContext":"no"}`)
	require.Equal(t, 202, status)
	require.Equal(t, map[string]any{"invitationId": slow, "operationContext": "no"}, v)
	require.Equal(t, slow, b.expect("CancelAddParticipantSucceeded")[0].Data["invitationId"])
	quick := invite("8:acs:more")
	b.expect("AddParticipantSucceeded", "ParticipantsUpdated")
	for _, id := range []string{quick, slow} {
		status, _ = b.op(c, version2026, "/participants:cancelAddParticipant", `{"invitationId":"`+id+`"}`)
		require.Equal(t, 202, status)
		e := b.expect("CancelAddParticipantFailed")[0]
		_, sub := result(e)
		require.Equal(t, 8585, sub)
	}
	require.NoError(t, c.Inject(Fault{Kind: FailOperation, Operation: "addParticipant", Result: &Result{500, 9001, "x"}}))
	invite("8:acs:third")
	_, sub := result(b.expect("AddParticipantFailed")[0])
	require.Equal(t, 9001, sub)
	c.HangUp()
	wait(t, c)
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		target  string
		version string
		fault   Fault
		want    []int // empty: accepted
	}{
		{"8:acs:more", version2026, Fault{}, nil},
		{"8:acs:more", version2023, Fault{}, nil},
		{"8:acs:more", version2022, Fault{}, nil},
		{"8:acs:shy", version2026, Fault{}, []int{603, 8538}},
		{"8:acs:away", version2026, Fault{}, []int{480, 8541}},
		{"8:acs:more", version2026, Fault{Kind: FailTransfer}, []int{500, 7000}},
		{"8:acs:more", version2024, Fault{Kind: FailOperation, Operation: "transferToParticipant"}, []int{500, 9999}},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			t.Parallel()
			b := newBot(t, &Server{OnCreate: talker(), OnAdd: invitees, Speed: 200})
			c := b.dial(tt.version, "")
			if tt.fault.Kind != "" {
				require.NoError(t, c.Inject(tt.fault))
			}
			status, v := b.op(c, tt.version, ":transferToParticipant", `{"targetParticipant":{"communicationUser":{"id":"`+tt.target+`"}},"operationContext":"t"}`)
			require.Equal(t, 202, status, v)
			require.Equal(t, "t", v["operationContext"])
			if tt.want != nil {
				code, sub := result(b.expect("CallTransferFailed")[0])
				require.Equal(t, tt.want, []int{code, sub})
				_, v, _ := b.do("GET", connections+"/"+c.ID()+v2026, "")
				require.Equal(t, "connected", v["callConnectionState"])
				c.HangUp()
			} else {
				e := b.expect("CallTransferAccepted")[0]
				if tt.version >= version2024 {
					require.Equal(t, tt.target, e.Data["transferTarget"].(map[string]any)["rawId"])
					require.Equal(t, "8:acs:callee", e.Data["transferee"].(map[string]any)["rawId"])
				} else {
					require.NotContains(t, e.Data, "transferTarget")
				}
				b.expect("CallDisconnected")
				require.Equal(t, resultTransferred, wait(t, c).Result)
			}
		})
	}
}

// One of several is handed over; the call goes on.
func TestTransferOfOneOfSeveral(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker(Speaker{}, Speaker{ID: "4:+1425"}), OnAdd: func(Added) Callee { return Callee{Ring: time.Second} }})
	c := b.dial(version2026, "")
	status, _ := b.op(c, version2026, ":transferToParticipant", `{"targetParticipant":{"communicationUser":{"id":"8:acs:x"}}}`)
	require.Equal(t, 400, status)
	transfer := `{"targetParticipant":{"communicationUser":{"id":"8:acs:x"}},"transferee":{"phoneNumber":{"value":"+1425"}}}`
	status, _ = b.op(c, version2026, ":transferToParticipant", transfer)
	require.Equal(t, 202, status)
	_, v, _ := b.do("GET", connections+"/"+c.ID()+v2026, "")
	require.Equal(t, "transferring", v["callConnectionState"])
	status, v = b.op(c, version2026, ":transferToParticipant", transfer)
	require.Equal(t, 409, status)
	require.Equal(t, "8607", v["error"].(map[string]any)["code"])
	b.expect("CallTransferAccepted", "ParticipantsUpdated")
	_, v, _ = b.do("GET", connections+"/"+c.ID()+v2026, "")
	require.Equal(t, "connected", v["callConnectionState"])
	c.HangUp()
	wait(t, c)
}

func TestMoveParticipants(t *testing.T) {
	t.Parallel()
	clip := signal.Noise(400*320, 1, -20)
	from := true
	b := newBot(t, &Server{OnCreate: func(Dialled) Callee {
		if from {
			return talker(Speaker{PCM: clip}, Speaker{ID: "4:+1425"})(Dialled{})
		}
		return talker(Speaker{ID: "8:acs:other"})(Dialled{})
	}})
	one := b.dial(version2026, "")
	from = false
	two := b.dial(version2026, "")
	status, v := b.op(two, version2026, "/participants:moveHere", `{"targetParticipants":[`+callee+`,{"rawId":"4:+9"}],"fromCall":"`+one.ID()+`","operationContext":"m"}`)
	require.Equal(t, 202, status, v)
	require.Equal(t, one.ID(), v["fromCall"])
	require.Len(t, v["participants"], 2)
	e := b.until("MoveParticipantSucceeded")
	require.Equal(t, one.ID(), e.Data["fromCall"])
	require.Equal(t, two.ID(), e.Data["callConnectionId"])
	require.Equal(t, "8:acs:callee", e.Data["participant"].(map[string]any)["rawId"])
	_, sub := result(b.until("MoveParticipantFailed"))
	require.Equal(t, 8522, sub)
	require.Eventually(t, func() bool { return two.Log().Slots > 30 }, deadline, 5*time.Millisecond)
	one.HangUp()
	two.HangUp()
	before, after := wait(t, one), wait(t, two)
	left := before.Speakers[0].Left
	require.NotZero(t, left)
	moved := after.Speakers[1]
	require.Equal(t, "8:acs:callee", moved.RawID)
	require.Equal(t, PCM(clip[left*320:]), moved.Clip, "goes on where it was")
}

func TestParticipantPages(t *testing.T) {
	t.Parallel()
	var people []Speaker
	for i := range 7 {
		people = append(people, Speaker{ID: fmt.Sprintf("8:acs:p%d", i)})
	}
	b := newBot(t, &Server{OnCreate: talker(people...), PageLength: 3})
	c := b.dial(version2026, "")
	for _, version := range versions {
		list, pages := map[bool]string{true: "values", false: "value"}[version == version2022], 0
		var ids []any
		for next := connections + "/" + c.ID() + "/participants?api-version=" + version; next != ""; pages++ {
			status, v, _ := b.do("GET", next, "")
			require.Equal(t, 200, status, v)
			for _, row := range v[list].([]any) {
				ids = append(ids, row.(map[string]any)["identifier"].(map[string]any)["rawId"])
			}
			link, _ := v["nextLink"].(string)
			next = strings.TrimPrefix(link, b.srv.URL())
		}
		require.Equal(t, 3, pages)
		require.Len(t, ids, 8)
		require.Equal(t, "8:acs:bot", ids[0])
	}
	status, _, _ := b.do("GET", connections+"/"+c.ID()+"/participants"+v2026+"&$skip=x", "")
	require.Equal(t, 400, status)
	status, v, _ := b.do("GET", connections+"/"+c.ID()+"/participants/8%3Aacs%3Ap3"+v2022, "")
	require.Equal(t, 200, status)
	require.Equal(t, map[string]any{
		"identifier": map[string]any{"kind": "communicationUser", "rawId": "8:acs:p3", "communicationUser": map[string]any{"id": "8:acs:p3"}}, "isMuted": false,
	}, v)
	status, _, _ = b.do("GET", connections+"/"+c.ID()+"/participants/4%3A%2B1"+v2026, "")
	require.Equal(t, 404, status)
	c.HangUp()
	wait(t, c)
}

func TestConnect(t *testing.T) {
	t.Parallel()
	var dialled []Dialled
	b := newBot(t, &Server{OnCreate: func(d Dialled) Callee {
		dialled = append(dialled, d)
		if d.Meeting == "closed" {
			return Callee{Refuse: &Result{403, 8560, "locked"}}
		}
		return talker(Speaker{ID: "8:acs:ann", PCM: signal.Noise(320, 1, -20), Loops: Forever})(d)
	}})
	group := uuid.NewString()
	join := func(locator string) (int, map[string]any) {
		status, v, _ := b.do("POST", connections+":connect"+v2026, `{"callLocator":`+locator+`,"callbackUri":"`+b.http.URL+`/callbacks","operationContext":"join"}`)
		return status, v
	}
	status, v := join(`{"kind":"groupCallLocator","groupCallId":"` + group + `"}`)
	require.Equal(t, 200, status, v)
	b.expect("CallConnected", "ParticipantsUpdated")
	require.Equal(t, "group", dialled[0].Kind)
	require.Equal(t, group, dialled[0].Meeting)
	one := b.srv.Call(v["callConnectionId"].(string))
	server := v["serverCallId"].(string)
	for _, locator := range []string{`{"groupCallId":"` + strings.ToUpper(group) + `"}`, `{"kind":"serverCallLocator","serverCallId":"` + server + `"}`} {
		status, v = join(locator)
		require.Equal(t, 200, status, v)
		require.Equal(t, server, v["serverCallId"], "the same call")
		require.NotEqual(t, one.ID(), v["callConnectionId"], "another leg of it")
		rows := b.expect("CallConnected", "ParticipantsUpdated")[1].Data["participants"].([]any)
		require.Equal(t, "8:acs:ann", rows[0].(map[string]any)["identifier"].(map[string]any)["rawId"])
		b.srv.Call(v["callConnectionId"].(string)).HangUp()
		b.expect("CallDisconnected")
	}
	require.Len(t, dialled, 1)
	status, v = join(`{"kind":"roomCallLocator","roomId":"closed"}`)
	require.Equal(t, 200, status, v)
	code, sub := result(b.expect("ConnectFailed", "CallDisconnected")[0])
	require.Equal(t, []int{403, 8560}, []int{code, sub})
	for locator, want := range map[string]int{
		`{"kind":"serverCallLocator","serverCallId":"nope"}`: 404, `{"kind":"serverCallLocator"}`: 400, `{"kind":"x","roomId":"y"}`: 400,
		`{}`: 400, `null`: 400, `{"groupCallId":"x"}`: 400, `{"roomId":"x","serverCallId":"y"}`: 400,
	} {
		status, v = join(locator)
		require.Equal(t, want, status, "%s: %v", locator, v)
	}
	one.HangUp()
	wait(t, one)
}
