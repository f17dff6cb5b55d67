package cloud

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// play posts playPrompt and returns the operation's id.
func (b *graphBot) play(call *Call, prompts ...string) string {
	b.t.Helper()
	text := ""
	for i, p := range prompts {
		if i > 0 {
			text += ","
		}
		text += p
	}
	r := b.act(call, "playPrompt", `{`+theContext+`,"prompts":[`+text+`]}`)
	require.Equal(b.t, 200, r.status, r.str())
	return b.checkOperation(call, r, "playPromptOperation", r.body["status"].(string))
}

// TestPromptsAreHeard, sample by sample, one operation after the other.
func TestPromptsAreHeard(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	one, two, three := signal.Noise(1600, 1, -20), signal.Noise(2400, 2, -20), signal.Noise(803, 3, -20)
	p1, p2, p3 := b.prompt("1.wav", waveFile(16000, 1, one)), b.prompt("2.wav", waveFile(16000, 1, two)), b.prompt("3.wav", waveFile(16000, 1, three))
	began := time.Now()
	first := b.play(call, p1, p2)
	second := b.play(call, p3)
	notes := b.expect("operations", "operations")
	b.checkCompletion(call, notes[0], first, "playPromptOperation", "completed", 200, 0)
	b.checkCompletion(call, notes[1], second, "playPromptOperation", "completed", 200, 0)
	require.GreaterOrEqual(t, notes[0].arrival.Sub(began), 250*time.Millisecond, "it lasts as long as it sounds")
	log := b.finish(call)
	require.Zero(t, log.Playout.Total, "the bot itself said nothing")
	require.Len(t, log.Prompts, 3)
	heard, end := log.HeardPrompts(""), int64(0)
	for i, want := range [][]int16{one, two, three} {
		p := log.Prompts[i]
		require.Equal(t, []string{"file", b.http.URL + "/" + strconv.Itoa(i+1) + ".wav"}, []string{p.Kind, p.Source})
		require.Equal(t, want, []int16(p.PCM))
		require.Equal(t, int64(len(want)), p.Samples, "all of it")
		require.GreaterOrEqual(t, p.At, end, "one at a time")
		require.Equal(t, want, heard[p.At:p.At+p.Samples])
		require.Equal(t, make([]int16, p.At-end), heard[end:p.At], "and nothing else")
		end = p.At + p.Samples
	}
	require.Len(t, heard, int(end))
}

// TestPromptsThatCannotBePlayed end their operation, and not the call.
func TestPromptsThatCannotBePlayed(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	sine := signal.Sine(320, 440, -12)
	for name, file := range map[string][]byte{
		"stereo.wav": waveFile(16000, 2, sine), "8k.wav": waveFile(8000, 1, sine), "44k.wav": waveFile(44100, 1, sine), "text.wav": []byte("beep"),
	} {
		id := b.play(call, b.prompt(name, file))
		b.checkCompletion(call, b.expect("operations")[0], id, "playPromptOperation", "failed", 500, 8519)
	}
	for i, uri := range []string{b.http.URL + "/none.wav", "http://127.0.0.1:1/x.wav"} {
		id := b.play(call, `{"mediaInfo":{"uri":"`+uri+`"}}`)
		b.checkCompletion(call, b.expect("operations")[0], id, "playPromptOperation", "failed", 500, 8519)
		require.Less(t, i, 2)
	}
	good := b.prompt("good.wav", waveFile(16000, 1, sine))
	for body, field := range map[string]string{
		`{}`: "prompts", `{"prompts":[{}]}`: "prompts[0].mediaInfo.uri", `{"prompts":[{"mediaInfo":{"uri":"ftp://x"}}]}`: "prompts[0].mediaInfo.uri",
		`{"prompts":[` + repeat(good, 21) + `]}`: "prompts: 21",
	} {
		r := b.act(call, "playPrompt", body)
		require.Equal(t, 400, r.status)
		require.Contains(t, r.says(), field)
	}
	second := b.play(call, good, b.prompt("text2.wav", []byte("beep")))
	b.checkCompletion(call, b.expect("operations")[0], second, "playPromptOperation", "failed", 500, 8519)
	log := b.finish(call)
	require.Zero(t, log.Playout.Total)
	require.Len(t, log.Prompts, 1, "what can be played is, up to what cannot")
	require.Equal(t, sine, []int16(log.Prompts[0].PCM))

	app := b.create(b.blob(), `"targets":[`+oneUser+`]`)
	for _, action := range []string{"playPrompt", "recordResponse"} {
		require.Equal(t, 400, b.act(app, action, `{"prompts":[`+good+`]}`).status, "service-hosted media only")
	}
	b.finish(app)
}

func repeat(item string, n int) string {
	out := item
	for range n - 1 {
		out += "," + item
	}
	return out
}

// TestCancelMediaProcessing ends what plays and what waits, cuts what is heard,
// and leaves the subscription to tones.
func TestCancelMediaProcessing(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	sound := signal.Noise(5*16000, 1, -20)
	long := b.prompt("long.wav", waveFile(16000, 1, sound))
	require.Equal(t, 200, b.act(call, "subscribeToTone", "").status)
	ids := map[string]string{}
	for range 3 {
		ids[b.play(call, long)] = "playPromptOperation"
	}
	r := b.act(call, "recordResponse", `{`+theContext+`}`)
	require.Equal(t, 200, r.status, r.str())
	ids[b.checkOperation(call, r, "recordOperation", "running")] = "recordOperation"
	require.Eventually(t, func() bool { return len(call.Log().HeardPrompts("")) > 0 }, deadline, time.Millisecond)
	r = b.act(call, "cancelMediaProcessing", `{`+theContext+`}`)
	require.Equal(t, []any{200, "completed"}, []any{r.status, r.body["status"]})
	for range 4 {
		n := b.expect("operations")[0]
		for id, kind := range ids {
			if n.data()["@odata.type"] != "#microsoft.graph."+kind || graphKey(n.str("resourceUrl")) != graphKey("/communications/calls/"+call.ID()+"/operations/"+id) {
				continue
			}
			d := b.checkCompletion(call, n, id, kind, "failed", 400, 8508)
			require.Equal(t, "operationCanceled", d["completionReason"])
			require.Equal(t, "Action failed, the operation was cancelled.", d["resultInfo"].(map[string]any)["message"])
			if kind == "recordOperation" {
				require.Equal(t, []any{"", ""}, []any{d["recordingLocation"], d["recordingAccessToken"]})
			}
			delete(ids, id)
		}
	}
	require.Empty(t, ids)
	require.NoError(t, call.DTMF("7"))
	b.expect("tone")
	log := b.finish(call)
	require.Len(t, log.Prompts, 1, "nothing of those that waited")
	require.Positive(t, log.Prompts[0].Samples)
	require.Less(t, log.Prompts[0].Samples, int64(len(sound)), "it was cut")
	require.Equal(t, sound[:log.Prompts[0].Samples], log.HeardPrompts("")[log.Prompts[0].At:])
}

// TestOperationsOfACallThatEnds: whatever runs, nothing is told behind the end,
// and nothing is lost that was to be told.
func TestOperationsOfACallThatEnds(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	long := b.prompt("long.wav", waveFile(16000, 1, signal.Noise(5*16000, 1, -20)))
	for i := range 20 {
		call := b.take(GraphRing{Script: quietScript(2), Meeting: true}, serviceHosted, "")
		b.expect("participants")
		b.play(call, long)
		b.play(call, long)
		require.Equal(t, 200, b.act(call, "participants/invite", `{"participants":[`+oneUser+`]}`).status)
		ids, _ := call.Participants()
		go call.Mute(ids[0], true)
		if i%2 == 0 {
			call.HangUp()
		} else {
			require.Equal(t, 204, b.do("DELETE", v1Calls+"/"+call.ID(), "").status)
		}
		log := wait(t, call)
		require.Zero(t, log.EventsDropped)
		last := log.Events[len(log.Events)-2:]
		require.Equal(t, []string{"call:terminating", "call:terminated"}, []string{last[0].Type, last[1].Type})
		for range len(log.Events) - 3 { // but for the first three, which were taken
			receive(t, b.notes)
		}
		call.Mute(ids[0], false)
		call.ShareContent(true)
		call.Hold(true)
		require.False(t, call.Leave("x"))
		require.Empty(t, b.notes)
	}
}

// download fetches a recording with a token.
func (b *graphBot) download(location, token string) (int, []byte, http.Header) {
	b.t.Helper()
	req, err := http.NewRequest("GET", location, nil)
	require.NoError(b.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := plainClient.Do(req)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return resp.StatusCode, text, resp.Header
}

// TestRecordResponse: why each recording ends, and that it is what was said.
func TestRecordResponse(t *testing.T) {
	t.Parallel()
	talks := Speaker{PCM: signal.Noise(50*320, 1, -20), Loops: Forever}
	short := Speaker{PCM: signal.Noise(90*320, 2, -20), Start: 5}
	beeps := signal.Noise(1600, 3, -20)
	for name, tt := range map[string]struct {
		speakers []Speaker
		body     string
		key      string
		status   string
		code     float64
		subcode  float64
		reason   string
		samples  int // exactly; 0: as may be
	}{
		"longest":         {[]Speaker{talks, short}, `"playBeep":false,"maxRecordDurationInSeconds":1`, "", "completed", 200, 8515, "maxRecordDurationReached", 16000},
		"stop tone":       {[]Speaker{talks}, `"playBeep":false,"stopTones":["#","1","*"]`, "#", "completed", 200, 8514, "stopToneDetected", 0},
		"silence":         {[]Speaker{short}, `"playBeep":false,"maxSilenceTimeoutInSeconds":1`, "", "completed", 200, 8516, "maxSilenceTimeout", 0},
		"initial silence": {[]Speaker{{}}, `"playBeep":false,"initialSilenceTimeoutInSeconds":1`, "", "failed", 400, 8510, "initialSilenceTimeout", 16000},
		"after a prompt":  {[]Speaker{talks}, `"prompts":[%s],"maxRecordDurationInSeconds":1`, "", "completed", 200, 8515, "maxRecordDurationReached", 16000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: Script{HangUp: Never, Speakers: tt.speakers}} }})
			call := b.create(serviceHosted, theMeeting)
			b.expect("participants")
			body := tt.body
			if name == "after a prompt" {
				body = fmt.Sprintf(body, b.prompt("please.wav", waveFile(16000, 1, beeps)))
			}
			r := b.act(call, "recordResponse", `{`+theContext+`,`+body+`}`)
			require.Equal(t, 200, r.status, r.str())
			id := b.checkOperation(call, r, "recordOperation", "running")
			if tt.key != "" {
				passes(t, call, 10)
				require.NoError(t, call.DTMF("2"))
				require.NoError(t, call.DTMF(tt.key))
			}
			d := b.checkCompletion(call, b.expect("operations")[0], id, "recordOperation", tt.status, tt.code, tt.subcode)
			require.Equal(t, tt.reason, d["completionReason"])
			location, token := d["recordingLocation"].(string), d["recordingAccessToken"].(string)
			for _, wrong := range []string{"", "x", b.token} {
				status, _, _ := b.download(location, wrong)
				require.Equal(t, 401, status)
			}
			status, _, _ := b.download(location+"x", token)
			require.Equal(t, 404, status)
			status, file, header := b.download(location, token)
			require.Equal(t, []any{200, "application/octet-stream"}, []any{status, header.Get("Content-Type")})
			log := b.finish(call)

			got := samplesOf(file[44:])
			require.Equal(t, waveFile(16000, 1, got), file)
			if tt.samples > 0 {
				require.Len(t, got, tt.samples)
			}
			require.Zero(t, len(got)%320)
			said := log.ExpectedMix()
			found := false
			for from := 0; from+len(got) <= len(said) && !found; from += 320 {
				found = slices.Equal(said[from:from+len(got)], got)
			}
			require.True(t, found, "what the speakers said, exactly")
			if name == "after a prompt" {
				require.Len(t, log.Prompts, 2, "the prompt, and a beep")
				require.Equal(t, beeps, []int16(log.Prompts[0].PCM))
				require.Equal(t, []any{"beep", beep()}, []any{log.Prompts[1].Kind, []int16(log.Prompts[1].PCM)})
				require.GreaterOrEqual(t, log.Prompts[1].At, log.Prompts[0].At+int64(len(beeps)))
			} else {
				require.Empty(t, log.Prompts)
			}
			require.Zero(t, log.Playout.Total)
		})
	}
}

// TestRecordingBargesIn: a recording that may barge in ends what plays, behind its own
// response.
func TestRecordingBargesIn(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	prompt := b.play(call, b.prompt("long.wav", waveFile(16000, 1, signal.Noise(5*16000, 1, -20))))
	require.Eventually(t, func() bool { return len(call.Log().HeardPrompts("")) > 0 }, deadline, time.Millisecond)
	r := b.act(call, "recordResponse", `{`+theContext+`,"bargeInAllowed":true,"playBeep":false,"stopTones":["1"]}`)
	require.Equal(t, 200, r.status)
	b.checkCompletion(call, b.expect("operations")[0], prompt, "playPromptOperation", "failed", 400, 8508)
	passes(t, call, 3)
	require.NoError(t, call.DTMF("1"))
	b.checkCompletion(call, b.expect("operations")[0], r.id(), "recordOperation", "completed", 200, 8514)
	for body, field := range map[string]string{
		`{"maxRecordDurationInSeconds":121}`: "maxRecordDurationInSeconds", `{"maxSilenceTimeoutInSeconds":0}`: "maxSilenceTimeoutInSeconds",
		`{"initialSilenceTimeoutInSeconds":-1}`: "initialSilenceTimeoutInSeconds", `{"stopTones":1}`: "stopTones",
		`{"prompts":[{"mediaInfo":{"uri":"https://a/b"}},{"mediaInfo":{"uri":"https://a/b"}}]}`: "prompts",
	} {
		bad := b.act(call, "recordResponse", body)
		require.Equal(t, 400, bad.status)
		require.Contains(t, bad.says(), field)
	}
	var told map[string]any
	require.NoError(t, json.Unmarshal(r.text, &told))
	require.Nil(t, told["recordingLocation"], "not before it is there")
	b.finish(call)
}
