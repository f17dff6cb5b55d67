package cloud

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
)

// whipBot is a bot's media endpoint that speaks WHIP, made of Pion alone.
type whipBot struct {
	*graphBot
	opened chan *whipSession

	mu       sync.Mutex
	status   int  // instead of an answer
	deaf     bool // no answer at all
	channels string
	say      []int16 // as soon as it is connected
}

// whipSession is one of its connections.
type whipSession struct {
	header  http.Header
	offer   string
	pc      *webrtc.PeerConnection
	track   *webrtc.TrackLocalStaticSample
	codec   codec.Codec
	up      chan struct{}
	deleted chan http.Header

	mu     sync.Mutex
	heard  [][]byte
	events []uint8
}

func newWHIPBot(t *testing.T, srv *Server) *whipBot {
	t.Helper()
	w := &whipBot{graphBot: newGraphBot(t, srv), opened: make(chan *whipSession, 8)}
	w.graphBot.whip = w.serve
	return w
}

// whipBlob is a media session configuration for the bot's WHIP endpoint.
func (w *whipBot) whipBlob() string {
	return strings.Replace(w.blob(), w.media(), w.http.URL+"/whip", 1)
}

func (w *whipBot) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	status, deaf, channels, say := w.status, w.deaf, w.channels, w.say
	w.mu.Unlock()
	offer, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		return
	case deaf:
		<-r.Context().Done()
		return
	case status != 0:
		rw.WriteHeader(status)
		return
	}
	s := &whipSession{header: r.Header, offer: string(offer), up: make(chan struct{}), deleted: make(chan http.Header, 1)}
	path := fmt.Sprintf("/whip/%p", s)
	w.graphBot.mu.Lock()
	w.graphBot.sessions[path] = func(r *http.Request) {
		s.deleted <- r.Header
		go s.pc.Close()
	}
	w.graphBot.mu.Unlock()
	answer, err := s.answer(say)
	if err != nil {
		rw.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.t.Cleanup(func() { _ = s.pc.GracefulClose() })
	rw.Header().Set("Location", path)
	rw.Header().Set("Content-Type", "application/sdp")
	if channels != "" {
		rw.Header().Set(channelsHeader, channels)
	}
	rw.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(rw, answer)
	w.opened <- s
}

// loopbackAPI is Pion for connections within this machine.
func loopbackAPI(more func(*webrtc.SettingEngine)) *webrtc.API {
	var m webrtc.MediaEngine
	if err := m.RegisterDefaultCodecs(); err != nil {
		panic(err)
	}
	for clock, pt := range map[uint32]webrtc.PayloadType{8000: 101, 48000: 102} {
		err := m.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: clock, SDPFmtpLine: "0-15"}, PayloadType: pt,
		}, webrtc.RTPCodecTypeAudio)
		if err != nil {
			panic(err)
		}
	}
	var e webrtc.SettingEngine
	e.LoggerFactory = rtcSilent{}
	e.SetIncludeLoopbackCandidate(true)
	e.SetIPFilter(net.IP.IsLoopback)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	if more != nil {
		more(&e)
	}
	return webrtc.NewAPI(webrtc.WithMediaEngine(&m), webrtc.WithSettingEngine(e))
}

func (s *whipSession) answer(say []int16) (string, error) {
	var err error
	if s.pc, err = loopbackAPI(nil).NewPeerConnection(webrtc.Configuration{}); err != nil {
		return "", err
	}
	s.codec = offered(s.offer)
	s.track, err = webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{
		MimeType: "audio/" + s.codec.Name, ClockRate: uint32(s.codec.ClockRate), Channels: uint16(s.codec.Channels / 2 * 2),
	}, "audio", "bot")
	if err != nil {
		return "", err
	}
	s.pc.OnTrack(s.hear)
	payloads := encoded(s.codec, say)
	s.pc.OnConnectionStateChange(func(st webrtc.PeerConnectionState) {
		if st == webrtc.PeerConnectionStateConnected {
			close(s.up)
			speak(s.track, payloads)
		}
	})
	if err := s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: s.offer}); err != nil {
		return "", err
	}
	if _, err := s.pc.AddTrack(s.track); err != nil {
		return "", err
	}
	d, err := s.pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(s.pc)
	if err := s.pc.SetLocalDescription(d); err != nil {
		return "", err
	}
	<-gathered
	return s.pc.LocalDescription().SDP, nil
}

// offered is the first codec of an offer.
func offered(sdp string) codec.Codec {
	for _, line := range strings.Split(sdp, "\r\n") {
		rest, ok := strings.CutPrefix(line, "a=rtpmap:")
		if !ok {
			continue
		}
		for _, c := range codec.All() {
			if strings.HasSuffix(rest, " "+c.RTPMap()) {
				return c
			}
		}
	}
	return codec.Codec{}
}

// speak sends samples at their pace. They are coded before, and what is heard
// is decoded behind: a machine with a race detector has no time for it between.
func speak(track *webrtc.TrackLocalStaticSample, payloads [][]byte) {
	begin := time.Now()
	for i, p := range payloads {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * 20 * time.Millisecond)))
		if track.WriteSample(media.Sample{Data: p, Duration: 20 * time.Millisecond}) != nil {
			return
		}
	}
}

func encoded(c codec.Codec, samples []int16) (payloads [][]byte) {
	enc, step := c.NewEncoder(), c.SampleRate/50
	if c.SampleRate != 16000 {
		r := mustResample(16000, c.SampleRate)
		out := make([]int16, r.Size(len(samples)))
		samples = out[:r.Process(out, samples)]
	}
	for i := 0; (i+1)*step <= len(samples); i++ {
		payload := make([]byte, 1500)
		payloads = append(payloads, payload[:enc.Encode(payload, samples[i*step:(i+1)*step])])
	}
	return payloads
}

func decoded(c codec.Codec, payloads [][]byte) (samples []int16) {
	dec, pcm := c.NewDecoder(), make([]int16, 5760)
	for _, p := range payloads {
		samples = append(samples, pcm[:dec.Decode(pcm, p)]...)
	}
	if c.SampleRate == 16000 {
		return samples
	}
	r := mustResample(c.SampleRate, 16000)
	out := make([]int16, r.Size(len(samples)))
	return out[:r.Process(out, samples)]
}

// hear keeps a track as it comes.
func (s *whipSession) hear(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		s.mu.Lock()
		if strings.HasSuffix(track.Codec().MimeType, "telephone-event") {
			s.event(p)
		} else {
			s.heard = append(s.heard, p.Payload)
		}
		s.mu.Unlock()
	}
}

func (s *whipSession) packets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.heard)
}

func (s *whipSession) event(p *rtp.Packet) {
	if p.Marker {
		s.events = append(s.events, p.Payload[0])
	}
}

// ear is what was heard until now, at 16 kHz.
func (s *whipSession) ear() []int16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return decoded(s.codec, s.heard)
}

// requireAlike judges by correlation and continuity, for codecs lose something.
func requireAlike(t *testing.T, ref, got []int16) {
	t.Helper()
	l := signal.Liken(ref, got)
	require.Greater(t, l.Blocks, 3, "%v", l)
	require.GreaterOrEqual(t, l.Share(), 0.8, "%v", l)
	require.Less(t, l.Silence, 16000/4, "%v", l)
}

// TestWHIPMedia: the mix goes to the bot, and the bot is heard.
func TestWHIPMedia(t *testing.T) {
	t.Parallel()
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
			require.Equal(t, []uint8{5}, s.events)
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
