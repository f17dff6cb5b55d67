package cloud

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// files serves WAV files by path, and counts the requests.
func files(t *testing.T, waves map[string][]byte) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		wave, ok := waves[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(wave)
	}))
	t.Cleanup(srv.Close)
	return srv, &n
}

func acsWave(samples []int16) []byte {
	return append(waveHead(2*len(samples), 1), PCM(samples).bytes()...)
}

func fileSource(uri string) string { return `{"kind":"file","file":{"uri":"` + uri + `"}}` }

func TestPlayIsHeard(t *testing.T) {
	t.Parallel()
	first, second := signal.Noise(7*320+100, 1, -20), signal.Noise(3*320, 2, -20)
	web, _ := files(t, map[string][]byte{"/1.wav": acsWave(first), "/2.wav": acsWave(second)})
	b := newBot(t, &Server{OnCreate: talker()})
	c := b.dial(version2026, "")
	status, v := b.op(c, version2026, ":play", `{"playSources":[`+fileSource(web.URL+"/1.wav")+`,`+fileSource(web.URL+"/2.wav")+`],"operationContext":"hello"}`)
	require.Equal(t, 202, status, v)
	require.Nil(t, v)
	for _, e := range b.expect("PlayStarted", "PlayCompleted") {
		require.Equal(t, "hello", e.Data["operationContext"])
		code, sub := result(e)
		require.Equal(t, []int{200, 0}, []int{code, sub})
	}
	log := c.Log()
	require.Len(t, log.Prompts, 2)
	require.Equal(t, PCM(first), log.Prompts[0].PCM)
	require.Equal(t, PCM(second), log.Prompts[1].PCM)
	require.Equal(t, "file", log.Prompts[0].Kind)
	require.Equal(t, web.URL+"/1.wav", log.Prompts[0].Source)
	require.Zero(t, log.Prompts[0].At%320)
	require.Equal(t, log.Prompts[0].At+8*320, log.Prompts[1].At, "from the next slot on")
	heard := log.HeardPrompts("")
	require.Equal(t, first, heard[log.Prompts[0].At:][:len(first)])
	require.Len(t, heard, int(log.Prompts[1].At)+len(second))
	require.Empty(t, log.Playout.Played, "the bot itself said nothing")
	c.HangUp()
	wait(t, c)
}

// A text is spoken in tones that last as long as it is.
func TestToneSpeech(t *testing.T) {
	require.Len(t, ToneSpeech("Hello, 1"), 8*3*320)
	require.Equal(t, ToneSpeech("a"), ToneSpeech("A"))
	require.NotEqual(t, ToneSpeech("a"), ToneSpeech("b"))
	require.Equal(t, make([]int16, 3*320), ToneSpeech(" "))
	require.Equal(t, "Hi there", spokenText(promptSource{kind: "ssml", text: `<speak version="1.0"><voice name="x">Hi <b>there</b></voice></speak>`}))
	require.Equal(t, "unfinished", spokenText(promptSource{kind: "ssml", text: `<speak>unfinished`}))
	require.Empty(t, signal.Clicks(ToneSpeech("aaaa")), "no clicks")

	b := newBot(t, &Server{OnCreate: talker()})
	c := b.dial(version2024, "")
	status, v := b.op(c, version2024, ":play", `{"playSources":[{"kind":"text","text":{"text":"yes"}},{"kind":"ssml","ssml":{"ssmlText":"<speak>no</speak>"}}]}`)
	require.Equal(t, 202, status, v)
	b.expect("PlayCompleted") // that version has no PlayStarted
	log := c.Log()
	require.Equal(t, PCM(ToneSpeech("yes")), log.Prompts[0].PCM)
	require.Equal(t, PCM(ToneSpeech("no")), log.Prompts[1].PCM)
	require.Equal(t, "yes", log.Prompts[0].Source)
	c.HangUp()
	wait(t, c)
}

func TestPlayLoopsUntilItIsCancelled(t *testing.T) {
	t.Parallel()
	clip := signal.Noise(2*320, 1, -20)
	web, _ := files(t, map[string][]byte{"/1.wav": acsWave(clip)})
	b := newBot(t, &Server{OnCreate: talker()})
	c := b.dial(version2026, "")
	play := `{"playSources":[` + fileSource(web.URL+"/1.wav") + `],"playOptions":{"loop":true},"operationContext":"%s"%s}`
	status, v := b.op(c, version2026, ":play", fmt.Sprintf(play, "one", ""))
	require.Equal(t, 202, status, v)
	b.expect("PlayStarted")
	require.Eventually(t, func() bool { return len(c.Log().Prompts) > 3 }, deadline, 5*time.Millisecond)
	status, v = b.op(c, version2026, ":play", fmt.Sprintf(play, "two", ""))
	require.Equal(t, 202, status, v)
	status, v = b.op(c, version2026, ":play", fmt.Sprintf(play, "three", `,"interruptCallMediaOperation":true`))
	require.Equal(t, 202, status, v)
	contexts := []any{}
	for _, e := range b.expect("PlayCanceled", "PlayCanceled", "PlayStarted") {
		contexts = append(contexts, e.Data["operationContext"])
	}
	require.Equal(t, []any{"one", "two", "three"}, contexts)
	status, v = b.op(c, version2026, ":cancelAllMediaOperations", "")
	require.Equal(t, 202, status, v)
	e := b.expect("PlayCanceled")[0]
	code, sub := result(e)
	require.Equal(t, []int{400, 8508}, []int{code, sub})
	log := c.Log()
	for i, p := range log.Prompts[:len(log.Prompts)-1] {
		require.Equal(t, PCM(clip[:p.Samples]), p.PCM)
		require.LessOrEqual(t, p.At+p.Samples, log.Prompts[i+1].At, "one at a time")
	}
	c.HangUp()
	wait(t, c)
	require.Len(t, c.Log().Prompts, len(log.Prompts), "it has stopped")
}

func TestPlayFailures(t *testing.T) {
	t.Parallel()
	stereo := append(waveHead(8, 2), make([]byte, 8)...)
	good := acsWave(signal.Noise(320, 1, -20))
	fast := acsWave(nil)
	fast[24], fast[25] = 0x44, 0xac // 44,100 Hz
	web, requests := files(t, map[string][]byte{"/good.wav": good, "/stereo.wav": stereo, "/fast.wav": fast, "/text": []byte("hello")})
	b := newBot(t, &Server{OnCreate: talker()})
	for _, version := range []string{version2022, version2023, version2026} {
		c := b.dial(version, "")
		for name, want := range map[string]int{"/none.wav": 8536, "/stereo.wav": 8535, "/fast.wav": 8535, "/text": 8535} {
			body := `{"playSources":[` + fileSource(web.URL+"/good.wav") + `,` + fileSource(web.URL+name) + `]}`
			if version == version2022 {
				body = `{"playSourceInfo":{"sourceType":"File","fileSource":{"uri":"` + web.URL + name + `"}}}`
			}
			status, v := b.op(c, version, ":play", body)
			require.Equal(t, 202, status, v)
			e := b.expect("PlayFailed")[0]
			code, sub := result(e)
			require.Equal(t, []int{400, want}, []int{code, sub}, name)
			if version == version2026 {
				require.Equal(t, 1.0, e.Data["failedPlaySourceIndex"])
			} else {
				require.NotContains(t, e.Data, "failedPlaySourceIndex")
			}
		}
		require.Empty(t, c.Log().Prompts, "nothing is heard of what cannot be played whole")
		c.HangUp()
		wait(t, c)
		b.expect("CallDisconnected")
	}
	// By script, and with a cache.
	c := b.dial(version2026, "")
	require.NoError(t, c.Inject(Fault{Kind: FailOperation, Operation: "play", Result: &Result{500, 8572, "gone"}}))
	before := requests.Load()
	cached := `{"playSources":[{"kind":"file","playSourceCacheId":"c","file":{"uri":"` + web.URL + `/good.wav"}}]}`
	status, _ := b.op(c, version2026, ":play", cached)
	require.Equal(t, 202, status)
	code, sub := result(b.until("PlayFailed"))
	require.Equal(t, []int{500, 8572}, []int{code, sub})
	for range 3 {
		status, _ = b.op(c, version2026, ":play", cached)
		require.Equal(t, 202, status)
		b.until("PlayCompleted")
	}
	require.LessOrEqual(t, requests.Load()-before, int32(1))
	c.HangUp()
	wait(t, c)
}

// Every participant has a leg, which does one thing at a time.
func TestLegsOfParticipants(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker(Speaker{}, Speaker{ID: "4:+1425"})})
	c := b.dial(version2026, "")
	const phone = `{"phoneNumber":{"value":"+1425"}}`
	text := `"playSources":[{"kind":"text","text":{"text":"%s"}}]`
	status, v := b.op(c, version2026, ":play", `{`+fmt.Sprintf(text, "only for you")+`,"playTo":[`+phone+`]}`)
	require.Equal(t, 202, status, v)
	for _, tt := range []struct{ action, body string }{
		{":play", `{` + fmt.Sprintf(text, "x") + `,"playTo":[` + phone + `]}`},
		{":sendDtmfTones", `{"tones":["one"],"targetParticipant":` + phone + `}`},
		{":startContinuousDtmfRecognition", `{"targetParticipant":` + phone + `}`},
		{":recognize", `{"recognizeInputType":"dtmf","recognizeOptions":{"targetParticipant":` + phone + `}}`},
	} {
		status, v = b.op(c, version2026, tt.action, tt.body)
		require.Equal(t, 412, status, tt.action)
		require.Equal(t, "8583", v["error"].(map[string]any)["code"])
	}
	status, v = b.op(c, version2026, ":play", `{`+fmt.Sprintf(text, "all")+`,"operationContext":"all"}`)
	require.Equal(t, 202, status, v, "beside")
	require.Equal(t, "all", b.until("PlayCompleted").Data["operationContext"], "the shorter one")
	b.until("PlayCompleted")
	log := c.Log()
	require.True(t, slices.ContainsFunc(log.Prompts, func(p PromptLog) bool { return slices.Equal(p.To, []string{"4:+1425"}) }))
	both := log.HeardPrompts("4:+1425")
	require.Greater(t, len(both), len(log.HeardPrompts("8:acs:callee")))

	status, v = b.op(c, version2026, ":recognize", `{"recognizeInputType":"dtmf","recognizeOptions":{}}`)
	require.Equal(t, 400, status, v, "of several, one must be named")

	status, v = b.op(c, version2026, ":sendDtmfTones", `{"tones":["one","Pound"],"targetParticipant":`+phone+`,"operationContext":"keys"}`)
	require.Equal(t, 202, status, v)
	require.Equal(t, "keys", v["operationContext"])
	require.Equal(t, "keys", b.until("SendDtmfTonesCompleted").Data["operationContext"])
	require.Equal(t, []string{"1", "#"}, c.Log().SentTones)
	c.HangUp()
	wait(t, c)
}

func TestContinuousTones(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker(Speaker{}, Speaker{ID: "4:+1425"})})
	c := b.dial(version2024, "")
	start := `{"targetParticipant":{"phoneNumber":{"value":"+1425"}},"operationContext":"tones"}`
	status, v := b.op(c, version2024, ":startContinuousDtmfRecognition", start)
	require.Equal(t, 200, status, v)
	require.NoError(t, c.DTMF("9"), "of the other speaker")
	require.NoError(t, c.Press("4:+1425", "7"))
	require.NoError(t, c.Press("4:+1425", "d"))
	require.Error(t, c.Press("4:+1", "1"))
	require.Error(t, c.Press("4:+1425", "x"))
	for i, tone := range []string{"seven", "d"} {
		e := b.expect("ContinuousDtmfRecognitionToneReceived")[0]
		require.Equal(t, tone, e.Data["tone"])
		require.Equal(t, float64(i+1), e.Data["sequenceId"])
		require.Equal(t, "tones", e.Data["operationContext"])
	}
	status, v = b.op(c, version2024, ":stopContinuousDtmfRecognition", strings.Replace(start, "tones", "enough", 1))
	require.Equal(t, 200, status, v)
	require.Equal(t, "enough", b.expect("ContinuousDtmfRecognitionStopped")[0].Data["operationContext"])

	require.NoError(t, c.Inject(Fault{Kind: FailOperation, Operation: "startContinuousDtmfRecognition"}))
	status, _ = b.op(c, version2024, ":startContinuousDtmfRecognition", start)
	require.Equal(t, 200, status)
	b.expect("ContinuousDtmfRecognitionToneFailed")
	status, _ = b.op(c, version2024, ":startContinuousDtmfRecognition", start)
	require.Equal(t, 200, status)
	c.HangUp()
	b.expect("ContinuousDtmfRecognitionStopped", "CallDisconnected")
	wait(t, c)
}

func TestHold(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker(Speaker{PCM: signal.Noise(320, 1, -20), Loops: Forever})})
	c := b.dial(version2026, ","+b.mediaJSON("unmixed", ""))
	b.until("MediaStreamingStarted")
	held := func() any {
		_, v, _ := b.do("GET", connections+"/"+c.ID()+"/participants/8:acs:callee"+v2026, "")
		return v["isOnHold"]
	}
	status, v := b.op(c, version2026, ":hold", `{"targetParticipant":`+callee+`,"playSourceInfo":{"kind":"text","text":{"text":"la la "}}}`)
	require.Equal(t, 200, status, v)
	rows := b.expect("ParticipantsUpdated")[0].Data["participants"].([]any)
	require.Equal(t, true, rows[1].(map[string]any)["isOnHold"])
	require.Equal(t, true, held())
	status, _ = b.op(c, version2026, ":hold", `{"targetParticipant":`+callee+`}`)
	require.Equal(t, 400, status)
	require.Eventually(t, func() bool { return len(c.Log().Prompts) > 1 }, deadline, 5*time.Millisecond, "the music goes on")
	status, _ = b.op(c, version2026, ":unhold", `{"targetParticipant":`+callee+`}`)
	require.Equal(t, 200, status)
	b.expect("ParticipantsUpdated")
	require.Equal(t, false, held())
	sent := c.Log().Speakers[0].Stream.Sent
	require.Eventually(t, func() bool { return c.Log().Speakers[0].Stream.Sent > sent }, deadline, 5*time.Millisecond, "and is heard again")

	// Music that cannot be played is no hold.
	status, _ = b.op(c, version2026, ":hold", `{"targetParticipant":`+callee+`,"operationContext":"h","playSourceInfo":`+fileSource(b.http.URL+"/none.wav")+`}`)
	require.Equal(t, 200, status)
	e := b.until("HoldFailed")
	require.Equal(t, "h", e.Data["operationContext"])
	_, sub := result(e)
	require.Equal(t, 8536, sub)
	require.Equal(t, false, held())
	c.HangUp()
	log := wait(t, c)
	muted := 0
	for _, d := range log.Speakers[0].Stream.Dropped {
		if d.Cause == ByMute {
			muted += d.Slots
		}
	}
	require.NotZero(t, muted, "nothing is heard of who is on hold")
}

// The events of operations come twice, late, in another order, with a wrong
// token or not at all, as those of calls do.
func TestEventFaultsOfOperations(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker()})
	c := b.dial(version2026, "")
	for _, f := range []Fault{
		{Kind: DropEvent, Event: "PlayStarted"}, {Kind: DuplicateEvent, Event: "PlayCompleted"},
		{Kind: DelayEvent, Event: "AddParticipantSucceeded"}, {Kind: BadEventToken, Event: "RemoveParticipantSucceeded", Token: FlawExpired},
		{Kind: LateEvent, Event: "RemoveParticipantSucceeded", Slots: 10},
	} {
		require.NoError(t, c.Inject(f))
	}
	status, _ := b.op(c, version2026, ":play", `{"playSources":[{"kind":"text","text":{"text":"a"}}]}`)
	require.Equal(t, 202, status)
	twice := b.expect("PlayCompleted", "PlayCompleted")
	require.Equal(t, twice[0].ID, twice[1].ID)
	status, _ = b.op(c, version2026, "/participants:add", `{"participantToAdd":{"communicationUser":{"id":"8:acs:more"}}}`)
	require.Equal(t, 202, status)
	b.expect("ParticipantsUpdated", "AddParticipantSucceeded")
	before := time.Now()
	status, _ = b.op(c, version2026, "/participants:remove", `{"participantToRemove":{"communicationUser":{"id":"8:acs:more"}}}`)
	require.Equal(t, 202, status)
	e := b.expect("RemoveParticipantSucceeded", "ParticipantsUpdated")
	require.GreaterOrEqual(t, e[0].arrival.Sub(before), 200*time.Millisecond)
	_, err := verifyToken(t, b.srv, e[0].auth)
	require.ErrorContains(t, err, "expired")
	_, err = verifyToken(t, b.srv, e[1].auth)
	require.NoError(t, err)
	c.HangUp()
	require.Equal(t, 1, wait(t, c).EventsDropped)
}

// operationCallbackUri takes the events of one operation elsewhere, in the
// versions that know it.
func TestOperationCallback(t *testing.T) {
	t.Parallel()
	other := make(chan string, 10)
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		other <- string(text)
	}))
	defer web.Close()
	b := newBot(t, &Server{OnCreate: talker()})
	for _, version := range []string{version2023, version2024, version2026} {
		kind := `"kind":"file","file":{"uri":"` + web.URL + `/none.wav"}`
		c := b.dial(version, "")
		status, v := b.op(c, version, ":play", `{"playSources":[{`+kind+`}],"operationCallbackUri":"`+web.URL+`/cb"}`)
		require.Equal(t, 202, status, v)
		if version == version2023 {
			b.expect("PlayFailed")
		} else {
			require.Empty(t, receive(t, other), "the file's request")
			require.Contains(t, receive(t, other), "PlayFailed")
		}
		c.HangUp()
		b.expect("CallDisconnected")
		wait(t, c)
		for len(other) > 0 {
			<-other
		}
	}
}
