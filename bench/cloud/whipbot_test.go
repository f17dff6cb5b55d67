package cloud

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
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

func (s *whipSession) pressed() []uint8 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
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

// requireAlike judges what no clock lies between by correlation and continuity:
// codecs lose something.
func requireAlike(t *testing.T, ref, got []int16) {
	t.Helper()
	l := signal.Liken(ref, got)
	require.Greater(t, l.Blocks, 3, "%v", l)
	require.Greater(t, l.Score, 0.9, "%v", l)
	require.GreaterOrEqual(t, l.Share(), 0.7, "%v", l)
	require.Less(t, l.Silence, 16000/10, "%v", l)
}

// requireSame judges what comes over a clock, in a buffer that runs dry where
// the machine is busy: that costs the block in which it does.
func requireSame(t *testing.T, ref, got []int16) {
	t.Helper()
	l := signal.Liken(ref, got)
	require.Greater(t, l.Blocks, 3, "%v", l)
	require.Greater(t, l.Share(), 0.3, "%v", l)
	require.Less(t, l.Silence, 16000/2, "%v", l)
}
