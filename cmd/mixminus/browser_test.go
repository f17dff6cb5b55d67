package main

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

// browser is a WebRTC peer of Pion's own: it offers by HTTP, speaks PCMU, and
// keeps what it hears, at 8 kHz. telephone events are counted.
type browser struct {
	t        *testing.T
	pc       *webrtc.PeerConnection
	track    *webrtc.TrackLocalStaticRTP
	location string
	gone     chan struct{} // the other side hung up, or is lost
	talking  sync.WaitGroup
	quiet    chan struct{}
	once     sync.Once // of close

	mu     sync.Mutex
	heard  []int16
	events int
}

const eventType = 101

// offering makes a peer, which has not offered yet.
func offering(t *testing.T, d webrtc.RTPTransceiverDirection) *browser {
	t.Helper()
	var media webrtc.MediaEngine
	for _, c := range []webrtc.RTPCodecParameters{
		{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/PCMU", ClockRate: 8000}},
		{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: 8000}, PayloadType: eventType},
	} {
		require.NoError(t, media.RegisterCodec(c, webrtc.RTPCodecTypeAudio))
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	b := &browser{t: t, gone: make(chan struct{}), quiet: make(chan struct{})}
	var err error
	b.pc, err = webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	t.Cleanup(b.close)
	var once sync.Once
	b.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s > webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(b.gone) })
		}
	})
	b.pc.OnTrack(b.listen)
	b.track, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: "audio/PCMU", ClockRate: 8000}, "audio", "browser")
	require.NoError(t, err)
	if d == webrtc.RTPTransceiverDirectionRecvonly {
		_, err = b.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, webrtc.RTPTransceiverInit{Direction: d})
	} else {
		_, err = b.pc.AddTransceiverFromTrack(b.track, webrtc.RTPTransceiverInit{Direction: d})
	}
	require.NoError(t, err)
	return b
}

// post offers at an address and returns the response and its body.
func (b *browser) post(at string, header ...http.Header) (*http.Response, string) {
	b.t.Helper()
	offer, err := b.pc.CreateOffer(nil)
	require.NoError(b.t, err)
	gathered := webrtc.GatheringCompletePromise(b.pc)
	require.NoError(b.t, b.pc.SetLocalDescription(offer))
	<-gathered
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, at, strings.NewReader(b.pc.LocalDescription().SDP))
	require.NoError(b.t, err)
	for _, h := range header {
		req.Header = h
	}
	req.Header.Set("Content-Type", "application/sdp")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return resp, string(body)
}

// dial offers at an address and takes the answer.
func dial(t *testing.T, at string, d webrtc.RTPTransceiverDirection, header ...http.Header) *browser {
	t.Helper()
	b := offering(t, d)
	resp, answer := b.post(at, header...)
	require.Equal(t, 201, resp.StatusCode, answer)
	base, err := url.Parse(at)
	require.NoError(t, err)
	session, err := base.Parse(resp.Header.Get("Location"))
	require.NoError(t, err)
	b.location = session.String()
	require.NoError(t, b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
	return b
}

// says speaks a voice of 16 kHz over and over, at half the rate.
func (b *browser) says(voice []int16) {
	c, _ := codec.ByName("PCMU", 8000)
	enc, payload, frame := c.NewEncoder(), make([]byte, 160), make([]int16, 160)
	b.talking.Go(func() {
		at := time.Now()
		for n := 0; ; n++ {
			for i := range frame {
				frame[i] = voice[2*(n*160+i)%len(voice)]
			}
			enc.Encode(payload, frame)
			_ = b.track.WriteRTP(&rtp.Packet{
				Header:  rtp.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: uint32(160 * n)},
				Payload: payload,
			})
			at = at.Add(tick)
			select {
			case <-b.quiet:
				return
			case <-time.After(time.Until(at)):
			}
		}
	})
}

// listen keeps what comes.
func (b *browser) listen(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	c, _ := codec.ByName("PCMU", 8000)
	dec := c.NewDecoder()
	for {
		p, _, err := r.ReadRTP()
		if err != nil {
			return
		}
		b.mu.Lock()
		if p.PayloadType == eventType {
			b.events++
		} else {
			samples := make([]int16, len(p.Payload))
			dec.Decode(samples, p.Payload)
			b.heard = append(b.heard, samples...)
		}
		b.mu.Unlock()
	}
}

// hears waits until a voice of 16 kHz is heard well lately: one word of it is
// enough, for on a busy machine words are late, and cut.
func (b *browser) hears(voice []int16) {
	b.t.Helper()
	const word, most = 2400, 5 * 8000 // at 8 kHz: 300 ms, 5 s
	var words [][]int16
	for at := 0; at+2*word <= len(voice) && len(words) < 10; at += 2 * word {
		ref := make([]int16, word)
		for i := range ref {
			ref[i] = voice[at+2*i]
		}
		if signal.Level(ref) > -30 {
			words = append(words, ref)
		}
	}
	require.NotEmpty(b.t, words)
	require.Eventually(b.t, func() bool {
		b.mu.Lock()
		heard := append([]int16(nil), b.heard[max(0, len(b.heard)-most):]...)
		b.mu.Unlock()
		return len(heard) > most/4 && slices.ContainsFunc(words, func(ref []int16) bool {
			_, score := signal.Align(ref, heard)
			return score > 0.85
		})
	}, 3*patience, 250*time.Millisecond)
}

func (b *browser) pressed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.events
}

// leave is the DELETE at the end.
func (b *browser) leave() {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodDelete, b.location, nil)
	require.NoError(b.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	require.NoError(b.t, resp.Body.Close())
	require.Equal(b.t, 200, resp.StatusCode)
}

func (b *browser) close() {
	b.once.Do(func() {
		close(b.quiet)
		b.talking.Wait()
		_ = b.pc.GracefulClose()
	})
}
