package cloud

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// talkers are n people who talk all the time, each differently.
func talkers(n, slots int) Script {
	script := Script{HangUp: slots}
	for i := range n {
		script.Speakers = append(script.Speakers, Speaker{PCM: signal.Noise(50*320, uint64(i+1), -20), Loops: Forever})
	}
	return script
}

// slotNow is the slot that is being played.
func (c *Call) slotNow() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.media.slots
}

// passes waits until that many slots of a call have passed.
func passes(t *testing.T, call *Call, slots int) {
	t.Helper()
	goal := call.slotNow() + slots
	require.Eventually(t, func() bool { return call.slotNow() >= goal }, deadline, time.Millisecond)
}

// TestMediaController: who reads the blob dials its address, and names its
// contexts.
func TestMediaController(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, channels, media string
	}{
		{"the peer says nothing", "", "mixed"}, {"mixed", "mixed", "mixed"}, {"unmixed", "unmixed", "unmixed"}, {"another word", "both", "mixed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := startGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: talkers(3, Never)} }}, true)
			b.channels = tt.channels
			said := signal.Sine(3200, 440, -12)
			b.onSocket = func(s *socket) { s.say(said) }
			call, roster := b.meet(b.blob(), "")
			s := receive(t, b.sockets)
			require.NoError(t, call.DTMF("5"))
			require.Eventually(t, func() bool {
				log := call.Log()
				return len(log.Keys) == 1 && log.Playout.Total == int64(len(said)) && log.Slots > 20
			}, deadline, time.Millisecond)
			log := b.finish(call)
			s.wait(t)
			require.Equal(t, "1b69b141-7f1a-4033-9c34-202737190a20", s.header.Get("x-ms-call-connection-id"))
			require.Equal(t, "14778cc4-f54c-43c7-989f-9092e34ef784", s.header.Get("x-mixminus-render"))
			require.Equal(t, "a5dcfc9b-5a54-48ef-86f5-1fdd8508741a", s.header.Get("x-mixminus-source"))
			claims, err := b.verifyCallback(note{header: s.header})
			require.NoError(t, err)
			require.Equal(t, b.srv.GraphApps()[0].TenantID, claims["tid"])
			require.Equal(t, tt.media, log.Media)
			require.Equal(t, said, []int16(log.Playout.PCM))
			require.Equal(t, "AudioMetadata", s.messages[0].Kind)
			require.Len(t, log.Keys, 1, "keys come on the socket")
			if tt.media == "mixed" {
				require.Empty(t, log.Speakers[0].Stream)
				require.Equal(t, log.ExpectedMix(), timeline(t, s.frames(""), log.Start, log.Slots))
				return
			}
			for i := range log.Speakers {
				sp := &log.Speakers[i]
				row := roster.rows()[i].(map[string]any)["mediaStreams"].([]any)[0].(map[string]any)
				require.Equal(t, row["sourceId"], sp.StreamID, "the roster's MSI names the stream")
				require.Equal(t, sp.Expected(log.Slots), timeline(t, s.frames(sp.StreamID), log.Start, log.Slots), sp.StreamID)
			}
		})
	}
}

func TestReceiveOnlyBlob(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: talkers(1, 10)} }})
	b.onSocket = func(s *socket) { s.say([]int16{1}) }
	call := b.create(strings.Replace(b.blob(), `[\"a5dcfc9b-5a54-48ef-86f5-1fdd8508741a\"]`, `[null]`, 1), `"targets":[`+oneUser+`]`)
	s := receive(t, b.sockets)
	log := wait(t, call)
	require.Empty(t, s.header.Values("x-mixminus-source"))
	require.False(t, log.Bidirectional)
	require.Equal(t, 1, log.Bad[badOneWay])
}

// TestMediaThatGraphCannotConnect ends the call.
func TestMediaThatGraphCannotConnect(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 404, 500} {
		b := newGraphBot(t, &Server{})
		b.refuse = status
		call := b.create(b.blob(), `"targets":[`+oneUser+`]`)
		n := b.expect("terminating", "terminated")[1]
		info := n.data()["resultInfo"].(map[string]any)
		require.Equal(t, []any{500.0, 7112.0, "MediaControllerConversationAddParticipantFailed"}, []any{info["code"], info["subcode"], info["message"]})
		require.Empty(t, wait(t, call).Connections)
	}
}

// TestMediaThatGraphLoses, and cannot connect any more, ends the call.
func TestMediaThatGraphLoses(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call := b.create(b.blob(), `"targets":[`+oneUser+`]`)
	s := receive(t, b.sockets)
	b.mu.Lock()
	b.refuse = 401
	b.mu.Unlock()
	require.NoError(t, s.ws.NetConn().Close())
	n := b.expect("terminating", "terminated")[1]
	info := n.data()["resultInfo"].(map[string]any)
	require.Equal(t, []any{410.0, 301005.0}, []any{info["code"], info["subcode"]})
	wait(t, call)
}

// TestMicrosoftsOwnMedia: an mpUri of net.tcp is not dialled; the call stands
// without media.
func TestMicrosoftsOwnMedia(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: talkers(1, 10)} }})
	call := b.create(`{"@odata.type":"#microsoft.graph.appHostedMediaConfig","blob":`+string(marshal(sampleBlob))+`}`, `"targets":[`+oneUser+`]`)
	b.expect("terminating", "terminated")
	log := wait(t, call)
	require.Equal(t, []any{"", 10}, []any{log.Media, log.Slots})
	require.Empty(t, b.sockets)
}

// TestWhatComesBeforeGraphsResponse: the response of create or answer comes
// late; whether media and notifications wait for it is the script's choice.
func TestWhatComesBeforeGraphsResponse(t *testing.T) {
	t.Parallel()
	const delay = 300 * time.Millisecond
	for name, tt := range map[string]struct {
		faults       []Fault
		media, notes bool // come early
	}{
		"in order":        {nil, false, false},
		"media first":     {[]Fault{{Kind: MediaFirst}}, true, false},
		"everything else": {[]Fault{{Kind: MediaFirst}, {Kind: EventsFirst}}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := talkers(1, Never)
			script.Faults = tt.faults
			b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: script} }})
			for _, operation := range []string{"graphCreate", "graphAnswer"} {
				call, _ := b.ring(GraphRing{Script: script})
				require.NoError(t, b.srv.Break(RequestFault{Operation: operation, Delay: delay}))
				soonest := time.Now().Add(delay)
				if operation == "graphAnswer" {
					require.Equal(t, 202, b.act(call, "answer", b.acceptance(b.blob(), "")).status)
				} else {
					call.HangUp()
					b.expect("deleted")
					soonest = time.Now().Add(delay)
					r := b.do("POST", v1Calls, b.order(b.blob(), `"targets":[`+oneUser+`]`))
					require.Equal(t, 201, r.status)
					call = b.srv.Call(r.id())
				}
				for _, n := range b.expect("establishing", "established") {
					require.Equal(t, tt.notes, n.arrival.Before(soonest), n.kind())
				}
				require.Equal(t, tt.media, receive(t, b.sockets).opened.Before(soonest))
				b.finish(call)
			}
		})
	}
}

// TestResponsesComeFirst: what a response announces is told behind it.
func TestResponsesComeFirst(t *testing.T) {
	t.Parallel()
	const delay = 200 * time.Millisecond
	for operation, tt := range map[string]struct{ action, body, note string }{
		"graphReject":   {"reject", `{"reason":"busy"}`, "deleted"},
		"graphRedirect": {"redirect", `{"targets":[` + oneUser + `]}`, "terminated"},
		"graphDelete":   {"", "", "terminating"},
		"mute":          {"mute", "", "participants"},
		"playPrompt":    {"playPrompt", `{"prompts":[{"mediaInfo":{"uri":"http://127.0.0.1:1/x.wav"}}]}`, "operations"},
		"graphTransfer": {"transfer", `{"transferTarget":` + oneUser + `,"transferee":{"participantId":"%s"}}`, "transferring"},
	} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			b := newGraphBot(t, &Server{})
			call, _ := b.ring(GraphRing{Script: quietScript(2), Meeting: true})
			if tt.note != "deleted" && tt.note != "terminated" {
				require.Equal(t, 202, b.act(call, "answer", b.acceptance(serviceHosted, "")).status)
				b.expect("establishing", "established", "participants")
				ids, _ := call.Participants()
				tt.body = strings.Replace(tt.body, "%s", ids[0], 1)
			}
			require.NoError(t, b.srv.Break(RequestFault{Operation: operation, Delay: delay}))
			soonest := time.Now().Add(delay)
			if tt.action == "" {
				require.Equal(t, 204, b.do("DELETE", v1Calls+"/"+call.ID(), "").status)
			} else {
				r := b.act(call, tt.action, tt.body)
				require.Equal(t, 2, r.status/100, r.str())
			}
			n := b.expect(tt.note)[0]
			require.False(t, n.arrival.Before(soonest), "%v early", soonest.Sub(n.arrival))
		})
	}
}

// TestWhoIsHeard: whoever is muted, on hold or gone, and all while the bot is on
// hold, is not heard, as the log says slot by slot.
func TestWhoIsHeard(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: talkers(4, Never)} }})
	b.channels = "unmixed"
	call, _ := b.meet(b.blob(), "")
	s := receive(t, b.sockets)
	ids, _ := call.Participants()
	hold := func(id string, action string) int {
		return b.act(call, "participants/"+id+"/"+action, "").status
	}
	passes(t, call, 3)
	require.True(t, call.Mute(ids[0], true))
	require.Equal(t, 202, hold(ids[1], "startHoldMusic"))
	require.Equal(t, 400, hold(ids[0], "startHoldMusic"), "one at a time")
	require.Equal(t, 400, hold(ids[0], "stopHoldMusic"), "is not on hold")
	b.expect("participants", "operations")
	passes(t, call, 3)
	require.True(t, call.Mute(ids[1], true))
	require.Equal(t, 202, hold(ids[1], "stopHoldMusic"), "and stays mute")
	b.expect("participants", "operations")
	passes(t, call, 3)
	require.True(t, call.Mute(ids[1], false))
	require.True(t, call.Leave(ids[2]))
	require.False(t, call.Leave(ids[2]))
	require.Len(t, b.expect("participants", "participants")[1].rows(), 4)
	passes(t, call, 3)
	call.Hold(true)
	call.Hold(true)
	require.Equal(t, "hold", b.do("GET", v1Calls+"/"+call.ID(), "").body["state"])
	s.say([]int16{1, 2, 3})
	require.Eventually(t, func() bool { return call.Log().Bad[badMuted] == 1 }, deadline, time.Millisecond, "on hold nothing flows either way")
	passes(t, call, 3)
	call.Hold(false)
	b.expect("hold", "established")
	passes(t, call, 3)
	require.Equal(t, 200, b.act(call, "mute", "").status)
	b.expect("participants")
	s.say([]int16{1, 2, 3})
	require.Eventually(t, func() bool { return call.Log().Bad[badMuted] == 2 }, deadline, time.Millisecond)
	log := b.finish(call)
	s.wait(t)
	require.Zero(t, log.Playout.Total)
	for i := range log.Speakers {
		sp := &log.Speakers[i]
		want := sp.Expected(log.Slots)
		mute := 0
		for _, span := range sp.Stream.Dropped {
			require.Equal(t, ByMute, span.Cause)
			clear(want[span.Slot*320 : (span.Slot+span.Slots)*320])
			mute += span.Slots
		}
		gone := 0
		if i == 2 { // who has left has no audio to be kept from the bot
			require.Greater(t, sp.Left, 9)
			gone = log.Slots - sp.Left
			require.Equal(t, []Span{{Slot: sp.Left, Slots: gone}}, sp.Stream.NotSent)
			require.Empty(t, sp.Stream.Dropped)
			require.GreaterOrEqual(t, gone, 8)
		} else {
			require.Zero(t, sp.Left)
			require.Empty(t, sp.Stream.NotSent)
			require.GreaterOrEqual(t, mute, []int{9, 6, 0, 3}[i])
		}
		require.Equal(t, want, timeline(t, s.frames(sp.StreamID), log.Start, log.Slots), "speaker %d", i)
		require.Len(t, s.frames(sp.StreamID), log.Slots-mute-gone)
		require.Less(t, mute+gone, log.Slots)
	}
}

// TestMixWithoutTheMuted: in a mixed call every frame is the sum of those who
// are heard.
func TestMixWithoutTheMuted(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: talkers(2, Never)} }})
	call, _ := b.meet(b.blob(), "")
	s := receive(t, b.sockets)
	ids, _ := call.Participants()
	passes(t, call, 3)
	require.True(t, call.Mute(ids[0], true))
	b.expect("participants")
	passes(t, call, 3)
	log := b.finish(call)
	s.wait(t)
	got := timeline(t, s.frames(""), log.Start, log.Slots)
	require.Equal(t, log.ExpectedMix(), got)
	require.Len(t, log.Speakers[0].Muted, 1)
	require.Empty(t, log.Speakers[1].Muted)
	from := log.Speakers[0].Muted[0].Slot
	require.Greater(t, from, 2)
	require.Equal(t, log.Slots, from+log.Speakers[0].Muted[0].Slots)
	require.Equal(t, log.Speakers[1].Expected(log.Slots)[from*320:], got[from*320:])
}

// TestTones: each key that is pressed is told to a bot that subscribed.
func TestTones(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	require.NoError(t, call.DTMF("9"))
	require.Eventually(t, func() bool { call.mu.Lock(); defer call.mu.Unlock(); return len(call.keys) == 0 }, deadline, time.Millisecond)
	require.Equal(t, 200, b.act(call, "subscribeToTone", `{`+theContext+`}`).status)
	for i, key := range []string{"1", "0", "*", "#", "A", "d"} {
		require.NoError(t, call.DTMF(key))
		n := b.expect("tone")[0]
		require.Equal(t, "/communications/calls/"+call.ID(), n.str("resourceUrl"))
		require.Equal(t, map[string]any{"@odata.type": "#microsoft.graph.call", "state": "established", "toneInfo": map[string]any{
			"@odata.type": "#microsoft.graph.toneInfo", "sequenceId": float64(i + 1), "tone": []string{"tone1", "tone0", "star", "pound", "a", "d"}[i],
		}}, n.data())
	}
	b.finish(call)

	app := b.create(b.blob(), `"targets":[`+oneUser+`]`)
	require.Equal(t, 400, b.act(app, "subscribeToTone", `{}`).status, "service-hosted media only")
	for body, field := range map[string]string{`{"tones":[]}`: "tones", `{"tones":["tone1","e"]}`: "tones[1]", `{"tones":["a"],"delayBetweenTonesMs":-1}`: "delayBetweenTonesMs"} {
		require.True(t, strings.HasPrefix(b.act(app, "sendDtmfTones", body).says(), field), body)
	}
	require.Equal(t, 200, b.act(app, "sendDtmfTones", `{"tones":["tone1","pound"]}`).status)
	b.expect("operations")
	require.Equal(t, []string{"1", "#"}, b.finish(app).SentTones)
}

// TestDeltaRoster: only what changed, with numbers that order it.
func TestDeltaRoster(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: quietScript(3)} }})
	call, n := b.meet(serviceHosted, `,"callOptions":{"@odata.type":"#microsoft.graph.outgoingCallOptions","isDeltaRosterEnabled":true}`)
	ids, _ := call.Participants()
	sequence := 0.0
	delta := func(n note, rows int) []map[string]any {
		t.Helper()
		require.Equal(t, "/communications/calls/"+call.ID()+"/participants", n.str("resourceUrl"))
		require.Equal(t, "#microsoft.graph.deltaParticipants", n.data()["@odata.type"])
		number := n.data()["sequenceNumber"].(float64)
		require.Equal(t, sequence+1, number)
		sequence = number
		var out []map[string]any
		for _, row := range n.data()["participants"].([]any) {
			out = append(out, row.(map[string]any))
			require.Equal(t, number, out[len(out)-1]["rosterSequenceNumber"])
		}
		require.Len(t, out, rows)
		return out
	}
	delta(n, 4)
	call.Mute(ids[1], true)
	rows := delta(b.expect("participants")[0], 1)
	require.Equal(t, []any{ids[1], true}, []any{rows[0]["id"], rows[0]["isMuted"]})
	call.Leave(ids[0])
	rows = delta(b.expect("participants")[0], 1)
	require.Equal(t, ids[0], rows[0]["id"])
	require.Equal(t, "Participant has left the meeting call.", rows[0]["removedState"].(map[string]any)["reason"])
	require.Equal(t, 200, b.act(call, "mute", "").status)
	delta(b.expect("participants")[0], 1)

	// However many change it at once, the numbers come in order.
	done := make(chan struct{})
	for i := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for j := range 8 {
				call.Mute(ids[1+i%2], j%2 == 0)
			}
		}()
	}
	for range 4 {
		receive(t, done)
	}
	for range 32 {
		delta(b.expect("participants")[0], 1)
	}
	list := b.do("GET", v1Calls+"/"+call.ID()+"/participants", "")
	var values []map[string]any
	require.NoError(t, json.Unmarshal(marshal(list.body["value"]), &values))
	require.Len(t, values, 3)
	b.finish(call)
}
