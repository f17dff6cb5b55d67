package rtc

import (
	"context"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

const wait = 20 * time.Second

// TestEchoToPion: a client of Pion's own hears what it says.
func TestEchoToPion(t *testing.T) {
	e := engine.New(engine.Config{})
	defer e.Close()
	fixed := rtpmedia.JitterConfig{Min: 300 * time.Millisecond, Max: 300 * time.Millisecond}
	s, err := New(Config{Engine: e, BaseURL: "http://x/whip", Jitter: fixed})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	leg, err := e.NewLeg(engine.LegConfig{OnRender: func(r *engine.Render) {
		r.Handle(func(f *pcm.Frame) { r.Leg().Source().TryWrite(f.Samples[:]) })
	}})
	require.NoError(t, err)
	ep, err := s.Open(leg, transport.Stream{Bidirectional: true})
	require.NoError(t, err)

	var media webrtc.MediaEngine
	require.NoError(t, media.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/PCMU", ClockRate: 8000}, PayloadType: 0,
	}, webrtc.RTPCodecTypeAudio))
	var se webrtc.SettingEngine
	se.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(se))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	defer pc.Close()
	tr, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: "audio/PCMU", ClockRate: 8000}, "a", "b")
	require.NoError(t, err)
	_, err = pc.AddTrack(tr)
	require.NoError(t, err)
	up := make(chan struct{})
	pc.OnConnectionStateChange(func(st webrtc.PeerConnectionState) {
		if st == webrtc.PeerConnectionStateConnected {
			close(up)
		}
	})
	heard := make(chan []int16, 1000)
	pc.OnTrack(func(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		c, _ := codec.ByName("PCMU", 8000)
		for {
			p, _, err := r.ReadRTP()
			if err != nil {
				return
			}
			x := make([]int16, 160)
			c.NewDecoder().Decode(x, p.Payload)
			heard <- x
		}
	})
	offer, err := pc.CreateOffer(nil)
	require.NoError(t, err)
	g := webrtc.GatheringCompletePromise(pc)
	require.NoError(t, pc.SetLocalDescription(offer))
	<-g
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	_, answer, err := ep.(*endpoint).session(ctx, pc.LocalDescription().SDP)
	require.NoError(t, err)
	require.NoError(t, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
	select {
	case <-up:
	case <-ctx.Done():
		t.Fatal("not connected")
	}
	voice := signal.Speech(signal.Allison)
	c, _ := codec.ByName("PCMU", 8000)
	enc := c.NewEncoder()
	at := time.Now()
	for i := range 150 {
		x := make([]int16, 160)
		for j := range x {
			x[j] = voice[(i*160+j)*2]
		}
		b := make([]byte, 160)
		enc.Encode(b, x)
		require.NoError(t, tr.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(i), Timestamp: uint32(160 * i)}, Payload: b}))
		at = at.Add(20 * time.Millisecond)
		time.Sleep(time.Until(at))
	}
	var got []int16
	for len(got) < 140*160 {
		select {
		case x := <-heard:
			got = append(got, x...)
		case <-ctx.Done():
			t.Fatalf("%d samples", len(got))
		}
	}
	said := make([]int16, 150*160)
	for i := range said {
		said[i] = voice[2*i]
	}
	place, score := signal.Align(said, got)
	t.Logf("%d samples, at %d, score %.3f; %+v", len(got), place, score, ep.Stats().RTP)
	require.Greater(t, score, 0.95) // coded twice
}
