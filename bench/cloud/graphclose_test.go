package cloud

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// TestCloseAmidEverything: calls in every state, requests and notifications
// under way, and the server closes; TestMain looks for what is left over.
func TestCloseAmidEverything(t *testing.T) {
	t.Parallel()
	first := []Fault{{Kind: MediaFirst}}
	b := newGraphBot(t, &Server{OnCreate: func(d Dialled) Callee {
		script := quietScript(2)
		if d.Kind == kindGroup {
			script.Faults = first
			return Callee{Script: script, Ring: time.Hour}
		}
		return Callee{Script: script, Lobby: d.APIVersion == "beta"}
	}})
	lobby := b.do("POST", "/beta/communications/calls", b.order(b.blob(), theMeeting))
	require.Equal(t, 201, lobby.status)
	b.expect("establishing", "established", "participants")
	media := b.create(b.blob(), `"targets":[`+oneUser+`]`)
	passes(t, media, 2)
	call, _ := b.meet(serviceHosted, "")
	long := b.prompt("long.wav", waveFile(16000, 1, signal.Noise(5*16000, 1, -20)))
	b.play(call, long)
	b.play(call, long)
	require.Equal(t, 200, b.act(call, "recordResponse", `{}`).status)
	ids, _ := call.Participants()
	require.Equal(t, 202, b.act(call, "transfer", `{"transferTarget":`+oneUser+`,"transferee":{"participantId":"`+ids[0]+`"}}`).status)

	b.ring(GraphRing{Script: quietScript(1)})
	var waiting sync.WaitGroup
	statuses := make(chan int, 2)
	// A response that waits for media, of a call that rings for an hour, and
	// one that comes late.
	require.NoError(t, b.srv.Break(RequestFault{Operation: "keepAlive", Delay: time.Hour}))
	for _, r := range []struct{ path, body string }{
		{v1Calls, b.order(b.blob(), `"targets":[`+oneUser+`,`+oneUser+`]`)}, {v1Calls + "/" + call.ID() + "/keepAlive", ""},
	} {
		waiting.Go(func() {
			req, err := http.NewRequest("POST", b.srv.URL()+r.path, strings.NewReader(r.body))
			if err != nil {
				return
			}
			req.Header.Set("Content-Type", "application/json")
			if resp, err := plainClient.Do(req); err == nil {
				resp.Body.Close()
				statuses <- resp.StatusCode
			}
		})
	}
	require.Eventually(t, func() bool { return len(b.srv.Calls()) == 5 }, deadline, time.Millisecond)
	closed := make(chan error)
	go func() { closed <- b.srv.Close() }()
	require.NoError(t, receive(t, closed))
	waiting.Wait()
	for _, c := range b.srv.Calls() {
		require.True(t, c.Log().Ended, c.ID())
	}
	_, err := b.srv.RingGraph(context.Background(), GraphRing{Script: quietScript(1)})
	require.Error(t, err)
}

// TestOneAnswerCounts: of many that come at once; and so of rejections and
// redirections beside them.
func TestOneAnswerCounts(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	for range 10 {
		call, _ := b.ring(GraphRing{Script: quietScript(1)})
		statuses := make(chan int, 12)
		var all sync.WaitGroup
		for i := range 12 {
			action, body := "answer", b.acceptance(serviceHosted, fmt.Sprintf(`,"participantCapacity":%d`, i+1))
			switch i % 4 {
			case 1:
				action, body = "reject", `{"reason":"none"}`
			case 2:
				action, body = "redirect", `{"targets":[`+oneUser+`]}`
			}
			all.Go(func() { statuses <- b.act(call, action, body).status })
		}
		all.Wait()
		close(statuses)
		won := 0
		for status := range statuses {
			if status == 202 {
				won++
			} else {
				require.Contains(t, []int{400, 404}, status)
			}
		}
		require.Equal(t, 1, won)
		call.HangUp()
		log := wait(t, call)
		kinds, _ := b.kindsOf(log)
		if len(kinds) > 1 {
			require.Equal(t, "terminated", kinds[len(kinds)-1])
		}
	}
}

// TestManyAtOnce: all operations of a call beside its audio, its people and its
// end. What each does is proven elsewhere; the race detector reads along.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: talkers(3, Never)} }})
	b.channels = "unmixed"
	beep := b.prompt("beep.wav", waveFile(16000, 1, signal.Sine(320, 440, -12)))
	app, _ := b.meet(b.blob(), `,"callOptions":{"isDeltaRosterEnabled":true,"isContentSharingNotificationEnabled":true}`)
	service, _ := b.meet(serviceHosted, "")
	stop := make(chan struct{})
	var drain sync.WaitGroup
	drain.Go(func() {
		for {
			select {
			case <-b.notes:
			case <-stop:
				return
			}
		}
	})
	var all sync.WaitGroup
	for _, call := range []*Call{app, service} {
		ids, _ := call.Participants()
		for _, r := range []struct{ method, path, body string }{
			{"GET", "", ""}, {"POST", "/keepAlive", ""}, {"POST", "/mute", ""}, {"POST", "/unmute", ""}, {"GET", "/participants", ""},
			{"POST", "/participants/invite", `{"participants":[` + oneUser + `]}`}, {"POST", "/participants/" + ids[0] + "/startHoldMusic", ""},
			{"POST", "/participants/" + ids[0] + "/stopHoldMusic", ""}, {"POST", "/participants/" + ids[1] + "/mute", ""}, {"DELETE", "/participants/" + ids[2], ""},
			{"POST", "/playPrompt", `{"prompts":[` + beep + `]}`}, {"POST", "/recordResponse", `{"bargeInAllowed":true}`}, {"POST", "/cancelMediaProcessing", ""},
			{"POST", "/subscribeToTone", ""}, {"POST", "/updateRecordingStatus", `{"status":"recording"}`}, {"POST", "/addLargeGalleryView", ""},
			{"POST", "/sendDtmfTones", `{"tones":["a"]}`}, {"GET", "/contentSharingSessions", ""}, {"POST", "/changeScreenSharingRole", `{"role":"sharer"}`},
		} {
			all.Go(func() {
				for range 3 {
					b.do(r.method, v1Calls+"/"+call.ID()+r.path, r.body)
				}
			})
		}
		all.Go(func() {
			for i := range 10 {
				call.Mute(ids[1], i%2 == 0)
				call.Hold(i%2 == 0)
				call.ShareContent(i%2 == 0)
				_ = call.DTMF("1") // full when it is
				_ = call.Log()
			}
		})
	}
	all.Wait()
	for _, call := range []*Call{app, service} {
		call.Hold(false)
		require.Equal(t, 204, b.do("DELETE", v1Calls+"/"+call.ID(), "").status)
		log := wait(t, call)
		require.Equal(t, "call:terminated", log.Events[len(log.Events)-1].Type)
	}
	close(stop)
	drain.Wait()
}

// TestBounds: what a call remembers does not grow for ever.
func TestBounds(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call := b.create(`{"@odata.type":"#microsoft.graph.appHostedMediaConfig","blob":`+string(marshal(sampleBlob))+`}`, `"targets":[`+oneUser+`]`)
	g := graphOf(call)
	firstID := g.begin("commsOperation", "", "completed").id
	for range maxOperations {
		g.begin("commsOperation", "", "completed")
	}
	require.Len(t, g.operations.byID, maxOperations)
	require.Equal(t, 404, b.do("GET", v1Calls+"/"+call.ID()+"/operations/"+firstID, "").status)
	keys := `{"tones":[` + repeat(`"a"`, maxKeys) + `]}`
	for range 3 {
		require.Equal(t, 200, b.act(call, "sendDtmfTones", keys).status)
		b.expect("operations")
	}
	require.Equal(t, 400, b.act(call, "sendDtmfTones", `{"tones":[`+repeat(`"a"`, maxKeys+1)+`]}`).status)
	for range maxMembers + 5 {
		call.ShareContent(true)
	}
	require.Len(t, b.do("GET", v1Calls+"/"+call.ID()+"/contentSharingSessions", "").body["value"], maxMembers)
	require.Len(t, b.finish(call).SentTones, maxKeys)

	for range maxRecordings + 1 {
		location, _ := b.srv.keepRecording(b.srv.URL(), &take{channels: 1})
		require.NotEmpty(t, location)
	}
	require.Len(t, b.srv.recordings.byID, maxRecordings)
}
