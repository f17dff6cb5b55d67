package rtc

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

// TestPublish: a peer that only sends (WHIP). It is heard, and told nothing.
func TestPublish(t *testing.T) {
	r := newRig(t, nil)
	exactly(t, func() string {
		leg, ep := r.open(engine.LegConfig{}, both)
		tap := leg.Tap(1000)
		c := newClient(t, clientConfig{codecs: []string{"G722/8000"}, direction: webrtc.RTPTransceiverDirectionSendonly, events: true})
		c.connect(ep.url)
		require.Contains(t, c.answer, "a=recvonly")
		said := signal.Speech(signal.Carlo)[:2*signal.SampleRate]
		c.say(append(append([]int16(nil), said...), make([]int16, signal.SampleRate/2)...))
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		var heard []int16
		for f := new(pcm.Frame); len(heard) < len(said)+signal.SampleRate/4; {
			require.NoError(t, tap.Read(ctx, f))
			heard = append(heard, f.Samples[:]...)
		}
		require.Zero(t, c.count())
		require.ErrorContains(t, r.Press(ep.url, '1', time.Second), "nothing is sent")
		require.Zero(t, ep.Stats().RTP.Sent)
		soon(t, "reports of what came", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, p := range c.reports {
				if rr, ok := p.(*rtcp.ReceiverReport); ok && len(rr.Reports) == 1 {
					return rr.Reports[0].TotalLost == 0
				}
			}
			return false
		})
		if is := signal.Liken(said, heard); is.Score < 0.98 || is.Silence > 0 {
			return is.String()
		}
		return ""
	})
}

// TestPlay: a peer that only hears (WHEP).
func TestPlay(t *testing.T) {
	r := newRig(t, nil)
	exactly(t, func() string {
		leg, ep := r.open(engine.LegConfig{}, both)
		c := newClient(t, clientConfig{codecs: []string{"G722/8000"}, direction: webrtc.RTPTransceiverDirectionRecvonly})
		c.connect(ep.url)
		require.Contains(t, c.answer, "a=sendonly")
		said := signal.Speech(signal.June)[:2*signal.SampleRate]
		_, err := leg.Source().Write(t.Context(), said)
		require.NoError(t, err)
		soon(t, "all is heard", func() bool { return c.count() >= 100 })
		if is := signal.Liken(said, c.heard()); is.Score < 0.98 || is.Silence > 0 {
			return is.String()
		}
		return ""
	})

	// At an address at which nothing is said, there is nothing to play, and who
	// would do both is heard only.
	_, deaf := r.open(engine.LegConfig{}, transport.Stream{})
	c := newClient(t, clientConfig{})
	res, body := c.do("POST", deaf.url, sdpType, strings.ReplaceAll(browser, "a=sendrecv", "a=recvonly"))
	require.Equal(t, 406, res.StatusCode, body)
	res, body = c.do("POST", deaf.url, sdpType, browser)
	require.Equal(t, 201, res.StatusCode)
	require.Contains(t, body, "a=recvonly")
}

// TestKeys: telephone events, both ways.
func TestKeys(t *testing.T) {
	for _, name := range []string{"PCMU/8000", "opus/48000/2"} {
		t.Run(strings.Split(name, "/")[0], func(t *testing.T) {
			r := newRig(t, nil)
			keys := make(chan string, 10)
			_, ep := r.open(engine.LegConfig{OnDTMF: func(key byte, from string) { keys <- string(key) + from }}, both)
			require.ErrorIs(t, r.Press(ep.url, '1', time.Second), ErrUnknown)
			c := newClient(t, clientConfig{codecs: []string{name}, events: true})
			c.connect(ep.url)
			c.say(make([]int16, c.codec.SampleRate/2))
			for i, end := range []byte{0, 0, 0x80, 0x80, 0x80} {
				c.send(&rtp.Packet{
					Header:  rtp.Header{Version: 2, SequenceNumber: 25 + uint16(i), Timestamp: uint32(c.codec.ClockRate / 2), PayloadType: 101},
					Payload: []byte{5, end | 10, 3, 32 + byte(i)},
				})
			}
			select {
			case key := <-keys:
				require.Equal(t, "5", key)
			case <-time.After(wait):
				require.Fail(t, "no key")
			}
			soon(t, "it is counted", func() bool { return ep.Stats().RTP.Keys == 1 })
			require.NoError(t, r.Press(ep.url, '#', 100*time.Millisecond))
			require.Error(t, r.Press(ep.url, 'x', time.Second))
			soon(t, "the key is heard", func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				for _, p := range c.packets {
					if p.PayloadType == 101 && p.Payload[0] == 11 && p.Payload[1]&0x80 != 0 {
						return true
					}
				}
				return false
			})
		})
	}
}

// TestMute: a peer that goes on sending silence, and one that stops.
func TestMute(t *testing.T) {
	r := newRig(t, nil)
	leg, ep := r.open(engine.LegConfig{}, both)
	tap := leg.Tap(1000)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	var f pcm.Frame
	c := newClient(t, clientConfig{direction: webrtc.RTPTransceiverDirectionSendonly})
	c.connect(ep.url)
	speech := at(8000, signal.Speech(signal.Allison)[:2*signal.SampleRate])
	c.say(speech[:8000])
	c.sayFrom(50, make([]int16, 8000)) // muted
	time.Sleep(time.Second)            // as DTX has it: the timestamps go on, the numbers do not
	c.sayFrom(100, speech[8000:])
	c.sayFrom(150, make([]int16, 8000))
	quiet := 0
	for frames := 0; frames < 200; frames++ {
		require.NoError(t, tap.Read(ctx, &f))
		if signal.Level(f.Samples[:]) < -70 {
			quiet++
		}
	}
	require.Greater(t, quiet, 60)
	require.Zero(t, ep.Stats().RTP.Lost)
	require.NoError(t, leg.Err())
	require.True(t, ep.Stats().Connected)
}

// TestReports: both sides learn what the network does.
func TestReports(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Jitter = rtpmedia.JitterConfig{} })
	_, ep := r.open(echo, both)
	c := newClient(t, clientConfig{})
	c.connect(ep.url)
	said := make(chan struct{})
	go func() {
		defer close(said)
		c.say(at(8000, signal.Speech(signal.Allison)[:10*signal.SampleRate]))
	}()
	soon(t, "a report of ours", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, p := range c.reports {
			if sr, ok := p.(*rtcp.SenderReport); ok && len(sr.Reports) == 1 && sr.PacketCount > 0 {
				return sr.Reports[0].TotalLost == 0 && sr.Reports[0].LastSequenceNumber > 0
			}
		}
		return false
	})
	<-said
	soon(t, "a report of the client's", func() bool {
		s := ep.Stats().RTP
		return s.RoundTrip > 0 && s.PeerJitter > 0
	})
	t.Logf("%+v", ep.Stats().RTP)
	require.Zero(t, ep.Stats().BadMessages["malformed_report"])
}

// TestOpusTerms: what the peer takes of opus is what it is sent.
func TestOpusTerms(t *testing.T) {
	for fmtp, want := range map[string]terms{
		"minptime=10;useinbandfec=1": {fec: true}, "usedtx=1": {dtx: true}, "useinbandfec=0; usedtx=1": {dtx: true},
		"useinbandfec=1;usedtx=1": {fec: true, dtx: true}, "": {}, "xuseinbandfec=1": {}, "useinbandfec=10": {}, "UseDTX = 1": {dtx: true},
	} {
		o, err := readOffer(change("minptime=10;useinbandfec=1", fmtp), defaultCodecs())
		require.NoError(t, err)
		require.Equal(t, [2]bool{want.fec, want.dtx}, [2]bool{o.fec, o.dtx}, fmtp)
	}
	r := newRig(t, nil)
	leg, ep := r.open(engine.LegConfig{}, both)
	c := newClient(t, clientConfig{codecs: []string{"opus/48000/2"}, fmtp: "usedtx=1"})
	c.connect(ep.url)
	_, err := leg.Source().Write(t.Context(), make([]int16, 3*pcm.SampleRate))
	require.NoError(t, err)
	soon(t, "sparse packets", func() bool { return c.count() > 5 })
	before := c.count()
	time.Sleep(2 * time.Second)
	require.Less(t, c.count()-before, 60) // of 100
}

// TestBye: a source that leaves may come back, as a browser's does whose track is
// taken and given back.
func TestBye(t *testing.T) {
	r := newRig(t, nil)
	_, ep := r.open(echo, both)
	c := newClient(t, clientConfig{})
	c.connect(ep.url)
	c.hears()
	ssrc := uint32(c.pc.GetSenders()[0].GetParameters().Encodings[0].SSRC)
	require.NoError(t, c.pc.WriteRTCP([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: ssrc}, &rtcp.Goodbye{Sources: []uint32{ssrc}}}))
	time.Sleep(time.Second)
	c.hears()
	require.Empty(t, r.ends)
}
