package cloud

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec/resample"
)

func TestMediaThatCannotBeConnected(t *testing.T) {
	t.Parallel()
	for status, details := range map[int]string{
		404: "initialWebSocketConnectionFailed", 401: "authenticationFailure", 403: "forbidden", 400: "badRequest", 429: "tooManyRequests",
	} {
		b := newBot(t, &Server{})
		b.refuse = func(r *http.Request) int {
			if r.URL.Path == "/media" {
				return status
			}
			return 0
		}
		call := b.take(pair(5), "unmixed", "")
		log := wait(t, call)
		events := b.expect("CallConnected", "ParticipantsUpdated", "MediaStreamingFailed", "CallDisconnected")
		require.Equal(t, map[string]any{
			"code": 400.0, "subCode": 8581.0,
			"message": "Action failed, Transport url is not valid or web socket server is not operational.",
		}, events[2].Data["resultInformation"])
		require.Equal(t, map[string]any{
			"contentType": "Audio", "mediaStreamingStatus": "mediaStreamingFailed", "mediaStreamingStatusDetails": details,
		}, events[2].Data["mediaStreamingUpdate"])
		require.Equal(t, []Span{{0, 5, ByNoMedia}}, log.Speakers[0].Stream.Dropped)
		require.Empty(t, log.Connections)
	}
}

// A socket that is lost and refused from then on is given up in time.
func TestRedialsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	upgrades := 0
	b.refuse = func(r *http.Request) int {
		if r.URL.Path != "/media" {
			return 0
		}
		if upgrades++; upgrades > 1 {
			return 401
		}
		return 0
	}
	call := b.take(pair(30, Fault{Kind: Reconnect, Slot: 3, Slots: 2}), "mixed", "")
	log := wait(t, call)
	events := b.expect("CallConnected", "ParticipantsUpdated", "MediaStreamingStarted", "MediaStreamingFailed", "CallDisconnected")
	require.Equal(t, 8603.0, events[3].Data["resultInformation"].(map[string]any)["subCode"])
	require.Equal(t, 2, upgrades)
	require.Equal(t, []Span{{3, 27, ByReconnect}}, log.Mix.Dropped)
	b.socket().wait(t)
}

func TestStartAndStopStreaming(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	call, incoming := b.ring(Script{HangUp: Never, Speakers: pair(1000).Speakers})
	media := strings.Replace(b.mediaJSON("unmixed", ""), `"startMediaStreaming":true`, `"startMediaStreaming":false`, 1)
	status, v, _ := b.do("POST", "/calling/callConnections:answer"+v2026, `{"incomingCallContext":"`+incoming+`","callbackUri":"`+b.http.URL+`/callbacks",`+media+`}`)
	require.Equal(t, 200, status)
	require.Equal(t, "inactive", v["mediaStreamingSubscription"].(map[string]any)["state"])
	path := "/calling/callConnections/" + call.ID()
	b.expect("CallConnected", "ParticipantsUpdated")
	state := func() any {
		_, v, _ := b.do("GET", path+v2026, "")
		return v["mediaStreamingSubscription"].(map[string]any)["state"]
	}
	require.Empty(t, b.sockets)
	status, v, _ = b.do("POST", path+":stopMediaStreaming"+v2026, "")
	require.Equal(t, 400, status, v)

	for range 2 {
		status, v, _ = b.do("POST", path+":startMediaStreaming"+v2026, `{"operationContext":"go","operationCallbackUri":"`+b.http.URL+`/callbacks"}`)
		require.Equal(t, 202, status, v)
		require.Nil(t, v)
		e := b.expect("MediaStreamingStarted")[0]
		require.Equal(t, "go", e.Data["operationContext"])
		require.Equal(t, "subscriptionStarted", e.Data["mediaStreamingUpdate"].(map[string]any)["mediaStreamingStatusDetails"])
		require.Equal(t, "active", state())
		status, _, _ = b.do("POST", path+":startMediaStreaming"+v2026, `{}`)
		require.Equal(t, 400, status, "started already")

		status, _, _ = b.do("POST", path+":stopMediaStreaming"+v2026, `{"operationContext":"stop"}`)
		require.Equal(t, 202, status)
		e = b.expect("MediaStreamingStopped")[0]
		require.Equal(t, "stop", e.Data["operationContext"])
		require.Equal(t, map[string]any{
			"contentType": "Audio", "mediaStreamingStatus": "mediaStreamingStopped", "mediaStreamingStatusDetails": "subscriptionStopped",
		}, e.Data["mediaStreamingUpdate"])
		require.Equal(t, "inactive", state())
		require.ErrorContains(t, b.socket().wait(t).err, "1000")
	}
	call.HangUp()
	log := wait(t, call)
	require.Len(t, log.Connections, 2)
	for _, d := range log.Speakers[0].Stream.Dropped {
		require.Equal(t, ByNotStreaming, d.Cause)
	}
	status, _, _ = b.do("POST", path+":startMediaStreaming"+v2026, `{}`)
	require.Equal(t, 404, status)
}

func TestStreamingNeedsOptionsAndAConnectedCall(t *testing.T) {
	t.Parallel()
	// The callee lets it ring for two seconds.
	b := newBot(t, &Server{Speed: 1, OnCreate: func(Dialled) Callee { return Callee{Script: listener(), Ring: 2 * time.Second} }})
	status, v, _ := b.do("POST", "/calling/callConnections"+v2026, `{"targets":[{"rawId":"4:+1"}],"callbackUri":"`+b.http.URL+`/callbacks"}`)
	require.Equal(t, 201, status)
	path := "/calling/callConnections/" + v["callConnectionId"].(string) + ":startMediaStreaming" + v2026
	_, v, _ = b.do("POST", path, "")
	require.Equal(t, "8501", v["error"].(map[string]any)["code"], "not established")
	b.expect("CallConnected")
	status, v, _ = b.do("POST", path, "")
	require.Equal(t, 400, status)
	require.Equal(t, "8585", v["error"].(map[string]any)["code"])
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	script := Script{Speakers: []Speaker{{Keys: []Key{{3, "1"}, {5, "#"}}}, {Keys: []Key{{5, "A"}}}}, HangUp: 25}
	call := b.take(script, "mixed", `,"enableDtmfTones":true`)
	require.NoError(t, call.DTMF("9"))
	for _, bad := range []string{"", "10", "E", "é"} {
		require.ErrorContains(t, call.DTMF(bad), "tone")
	}
	s := b.socket()
	log := wait(t, call)
	var tones []any
	for _, m := range s.wait(t).messages {
		if m.Kind == "DtmfData" {
			require.Len(t, m.Dtmf, 1, "data, and nothing else")
			tones = append(tones, m.Dtmf["data"])
		}
	}
	require.ElementsMatch(t, []any{"9", "1", "#", "A"}, tones)
	require.Len(t, log.Keys, 4)

	// A bot that did not ask hears no keys.
	log = wait(t, b.take(script, "mixed", ""))
	require.Empty(t, log.Keys)
	for _, m := range b.socket().wait(t).messages {
		require.NotEqual(t, "DtmfData", m.Kind)
	}
}

func TestMixedSilence(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policies []Silence
		sent     int
	}{
		{[]Silence{SilenceOmitted, SilenceOmitted}, 5}, {[]Silence{SilenceOmitted, SilenceSent}, 10},
	} {
		script := Script{HangUp: 10}
		for i, p := range tt.policies {
			script.Speakers = append(script.Speakers, Speaker{PCM: signal.Noise(5*320, uint64(i), -20), Start: 3, Silence: p})
		}
		s, log := heard(t, script, "mixed")
		require.Len(t, s.frames(""), tt.sent)
		require.Equal(t, log.ExpectedMix(), timeline(t, s.frames(""), log.Start, 10))
		require.Equal(t, tt.sent, log.Mix.Sent)
	}
}

func Test24kHz(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{JitterBuffer: -1})
	sine := signal.Sine(50*480, 440, -12)
	b.onSocket = func(s *socket) { s.say(sine) }
	script := Script{HangUp: 30, Speakers: []Speaker{
		{ID: "8:acs:a", PCM: signal.Chirp(20*320, 300, 3000), Start: 5, Silence: SilenceOmitted},
		{ID: "8:acs:b", PCM: signal.Noise(30*320, 1, -20)},
	}}
	call := b.take(script, "unmixed", `,"audioFormat":"Pcm24KMono","enableBidirectional":true`)
	s := b.socket()
	log := wait(t, call)
	s.wait(t)
	require.Equal(t, map[string]any{
		"subscriptionId": call.subscriptionID, "encoding": "PCM", "sampleRate": 24000.0, "channels": 1.0, "length": 960.0,
	}, s.messages[0].Metadata)
	require.Equal(t, 24000, log.SampleRate)
	for i, sp := range log.Speakers {
		r, err := resample.New(16000, 24000)
		require.NoError(t, err)
		require.Equal(t, r.Delay(), log.WireDelay)
		want := make([]int16, 30*480)
		r.Process(want, sp.Expected(30))
		got := make([]int16, 30*480)
		for _, f := range s.frames(sp.RawID) {
			require.Len(t, f.samples(), 480)
			require.Less(t, len(f.text), 2048)
			slot := int(f.Audio.Timestamp.Sub(log.Start).Milliseconds() / 20)
			copy(got[slot*480:], f.samples())
		}
		require.Equal(t, want, got, "speaker %d", i)
	}
	// The bot's second, minus nothing, is a second at 16 kHz too.
	require.Equal(t, int64(50*320), log.Playout.Total)
	r, err := resample.New(24000, 16000)
	require.NoError(t, err)
	want := make([]int16, 50*320)
	r.Process(want, sine)
	require.Equal(t, want, []int16(log.Playout.PCM))
}

func TestWhatTheBotMustNotSend(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	texts := []string{`{`, `{"kind":"Video"}`, `{"kind":"AudioData"}`, `{"kind":"AudioData","audioData":{"data":"?"}}`, `{"kind":"AudioData","audioData":{"data":"AQ=="}}`}
	b.onSocket = func(s *socket) {
		for _, text := range texts {
			_ = s.ws.WriteMessage(websocket.TextMessage, []byte(text))
		}
		_ = s.ws.WriteMessage(websocket.BinaryMessage, []byte{1, 2})
		s.say([]int16{1})
	}
	script := listener()
	script.HangUp = 10
	log := wait(t, b.take(script, "mixed", `,"enableBidirectional":true`))
	require.Equal(t, map[string]int{badJSON: 1, badKind: 1, badAudio: 1, badBase64: 1, badSamples: 1, badBinary: 1}, log.Bad)
	require.Equal(t, int64(1), log.Playout.Total, "and the call goes on")
	log = wait(t, b.take(script, "mixed", ""))
	require.Equal(t, 1, log.Bad[badOneWay])
	require.Zero(t, log.Playout.Total)
}

// Speakers' ids go out as they are, whatever is in them.
func TestOddIDs(t *testing.T) {
	t.Parallel()
	ids := []string{"../../etc", "a\"b\\c\n\x01", "8:acs:é🎤", strings.Repeat("x", 10000)}
	script := Script{HangUp: 3}
	for i, id := range ids {
		script.Speakers = append(script.Speakers, Speaker{ID: id, PCM: signal.Noise(3*320, uint64(i), -20)})
	}
	s, log := heard(t, script, "unmixed")
	for i, id := range ids {
		require.Equal(t, log.Speakers[i].Expected(3), timeline(t, s.frames(id), log.Start, 3))
	}
}
