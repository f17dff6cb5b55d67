package cloud

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// TestWHIPMedia: the mix goes to the bot, and the bot is heard.
func TestWHIPMedia(t *testing.T) {
	const slots = 100
	// One after the other: a race detector makes Opus slow.
	for _, name := range []string{"", "opus", "PCMU"} {
		t.Run("codec "+name, func(t *testing.T) {
			script := Script{HangUp: Never, MediaCodec: name, Speakers: []Speaker{
				{Voice: "june", Length: slots, Silence: SilenceOmitted}, {Voice: "carlo", Start: 20, Length: slots - 20},
			}}
			w := newWHIPBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: script} }})
			w.say = signal.Speech(signal.Allison)[:slots*320]
			w.channels = "unmixed"
			call := w.create(w.whipBlob(), theMeeting)
			s := receive(t, w.opened)
			passes(t, call, slots)
			require.NoError(t, call.DTMF("5"))
			passes(t, call, slots/2)
			r := w.do("DELETE", v1Calls+"/"+call.ID(), "")
			require.Equal(t, 204, r.status, r.str())
			log := wait(t, call)
			gone := receive(t, s.deleted)

			require.Equal(t, "1b69b141-7f1a-4033-9c34-202737190a20", s.header.Get("x-ms-call-connection-id"))
			require.Equal(t, "14778cc4-f54c-43c7-989f-9092e34ef784", s.header.Get("x-mixminus-render"))
			require.Equal(t, "a5dcfc9b-5a54-48ef-86f5-1fdd8508741a", s.header.Get("x-mixminus-source"))
			require.Contains(t, s.header.Get("Authorization"), "Bearer ")
			require.Equal(t, gone.Get("x-mixminus-render"), s.header.Get("x-mixminus-render"))
			require.Contains(t, gone.Get("Authorization"), "Bearer ")
			want := "G722"
			if name != "" {
				want = name
			}
			require.Equal(t, []string{want, "webrtc", "mixed", "unmixed"}, []string{log.Codec, log.Transport, log.Media, log.MediaAsked})
			require.Equal(t, want, s.codec.Name)
			require.Equal(t, 1, strings.Count(s.offer, "m=audio"))
			require.Contains(t, s.offer, "a=sendrecv")
			require.Equal(t, []uint8{5}, s.pressed())
			require.Zero(t, log.RTP.Lost+log.RTP.Late+log.RTP.Malformed)
			require.Len(t, log.Connections, 1)

			mix := log.ExpectedMix()
			requireAlike(t, mix[:slots*320], s.ear())
			// When it is heard is the machine's doing; what, is the emulator's.
			requireAlike(t, w.say, log.Playout.PCM)
			require.NotEmpty(t, log.Playout.Heard())
		})
	}
}

// TestWHIPRefused: a bot that takes no media ends the call.
func TestWHIPRefused(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(*whipBot){
		"403":       func(w *whipBot) { w.status = 403 },
		"200":       func(w *whipBot) { w.status = 200 },
		"no answer": func(w *whipBot) { w.deaf = true },
		"half-open": func(*whipBot) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := quietScript(1)
			if name == "half-open" {
				script.Faults = []Fault{{Kind: HalfOpen}}
			}
			w := newWHIPBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: script} }})
			refuse(w)
			call := w.create(w.whipBlob(), `"targets":[`+oneUser+`]`)
			info := w.expect("terminating", "terminated")[1].data()["resultInfo"].(map[string]any)
			require.Equal(t, 7112.0, info["subcode"])
			log := wait(t, call)
			require.Empty(t, log.Connections)
			if name == "half-open" {
				s := receive(t, w.opened)
				receive(t, s.deleted)
				require.False(t, isClosed(s.up))
			}
		})
	}
}

// TestWHIPDialledAgain: after what breaks the connection, by whoever, there is
// another.
func TestWHIPDialledAgain(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(*Call, *whipSession){
		"reconnect":      func(c *Call, _ *whipSession) { _ = c.Inject(Fault{Kind: Reconnect, Slot: c.slotNow() + 5, Slots: 10}) },
		"disconnect":     func(c *Call, _ *whipSession) { _ = c.Inject(Fault{Kind: Disconnect, Slot: c.slotNow() + 5, Slots: 10}) },
		"the bot leaves": func(_ *Call, s *whipSession) { _ = s.pc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWHIPBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: talkers(1, Never)} }})
			call := w.create(w.whipBlob(), `"targets":[`+oneUser+`]`)
			first := receive(t, w.opened)
			passes(t, call, 10)
			breaks(call, first)
			second := receive(t, w.opened)
			passes(t, call, 50)
			require.Eventually(t, func() bool { return second.packets() > 25 }, deadline, time.Millisecond)
			log := w.finish(call)
			require.Len(t, log.Connections, 2)
			require.Equal(t, name != "reconnect", len(first.deleted) == 1)
			require.NotEmpty(t, log.Mix.Dropped)
		})
	}
}

// TestBlobOfWHIP: http is taken where it is insecure to do so.
func TestBlobOfWHIP(t *testing.T) {
	t.Parallel()
	for uri, secure := range map[string]bool{"https://bot/x": true, "http://bot/x": false, "ftp://bot/x": false} {
		blob := strings.Replace(sampleBlob, "net.tcp://bot.contoso.com:18732/MediaProcessor", uri, 1)
		_, err := readBlob(blob, false)
		require.Equal(t, secure, err == nil, "%s: %v", uri, err)
		_, err = readBlob(blob, true)
		require.Equal(t, uri != "ftp://bot/x", err == nil, "%s: %v", uri, err)
	}
	_, err := ParseScript([]byte(`{"speakers":[],"media_codec":"L16"}`))
	require.ErrorContains(t, err, `media_codec: "L16"`)
	require.ErrorContains(t, (&Server{MediaCodec: "speex"}).Start(t.Context()), `media_codec: "speex"`)
}
