package cloud

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Times of a WebRTC connection. Whoever is silent for rtcSilence counts as
// disconnected, and after rtcLost more as gone.
const (
	rtcSilence   = 5 * time.Second
	rtcLost      = 5 * time.Second
	rtcKeepAlive = time.Second
)

// maxSDP bounds what is offered or answered, in bytes.
const maxSDP = 64 << 10

// mediaCodecs are those of WebRTC, by their names in SDP.
var mediaCodecs = []string{"opus", "G722", "PCMU", "PCMA"}

// defaultMediaCodec is the one through which speech is best compared.
const defaultMediaCodec = "G722"

func checkMediaCodec(name string) error {
	if name == "" || slices.ContainsFunc(mediaCodecs, func(c string) bool { return strings.EqualFold(c, name) }) {
		return nil
	}
	return fmt.Errorf("media_codec: %q: want one of %v", name, mediaCodecs)
}

// codecNamed finds a codec of WebRTC by its name and clock.
func codecNamed(name string, clock uint32) (codec.Codec, bool) {
	name = strings.TrimPrefix(strings.ToLower(name), "audio/")
	if name == "l16" {
		return codec.Codec{}, false
	}
	return codec.ByName(name, int(clock))
}

// rtcCodecs describes codecs to Pion, with the events of their clocks.
func rtcCodecs(names ...string) (all []webrtc.RTPCodecParameters) {
	dynamic := map[string]webrtc.PayloadType{"opus": 111}
	events := map[uint32]webrtc.PayloadType{48000: 110, 8000: 126}
	for _, c := range codec.All() {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, c.Name) }) {
			continue
		}
		p := webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/" + c.Name, ClockRate: uint32(c.ClockRate)},
			PayloadType:        webrtc.PayloadType(c.PayloadType),
		}
		if pt, ok := dynamic[c.Name]; ok {
			p.PayloadType, p.Channels, p.SDPFmtpLine = pt, uint16(c.Channels), "minptime=10;useinbandfec=1"
		}
		all = append(all, p)
		if pt, ok := events[p.ClockRate]; ok {
			delete(events, p.ClockRate)
			all = append(all, webrtc.RTPCodecParameters{
				RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: p.ClockRate, SDPFmtpLine: "0-15"},
				PayloadType:        pt,
			})
		}
	}
	return all
}

// rtcSettings are what peers differ in.
type rtcSettings struct {
	mux          ice.UDPMux
	codecs       []webrtc.RTPCodecParameters
	quiet, after time.Duration // until disconnected, and until gone from then on
	// track returns what a track's packets are given to. up is called when the
	// connection stands, and down when it is lost by the other side's doing:
	// at most once each. None may block.
	track func(*rtpIn) func(*rtp.Packet)
	up    func()
	down  func(error)
}

// rtcPeer is one end of a WebRTC connection with an audio stream each way.
type rtcPeer struct {
	// Static after construction.
	pc    *webrtc.PeerConnection
	out   *rtcTrack
	set   rtcSettings
	ready chan struct{} // closed when the connection stands
	gone  chan struct{} // closed when it does not any more, or never will

	once    struct{ up, down sync.Once }
	reading sync.WaitGroup

	// Guarded by mu.
	mu     sync.Mutex
	why    error
	closed bool // nothing more is read
}

// Why a peer is gone.
var (
	errRTCLost   = errors.New("the connection was lost")
	errRTCClosed = errors.New("the connection was closed by the peer")
	errHungUp    = errors.New("hung up")
)

func newRTCPeer(set rtcSettings) (*rtcPeer, error) {
	var media webrtc.MediaEngine
	for _, c := range set.codecs {
		if err := media.RegisterCodec(c, webrtc.RTPCodecTypeAudio); err != nil {
			return nil, err
		}
	}
	var e webrtc.SettingEngine
	e.LoggerFactory = rtcSilent{}
	e.SetICEUDPMux(set.mux)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(set.quiet, set.after, rtcKeepAlive)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(e),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	pc, err := api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle})
	if err != nil {
		return nil, err
	}
	p := &rtcPeer{pc: pc, out: &rtcTrack{}, set: set, ready: make(chan struct{}), gone: make(chan struct{})}
	pc.OnConnectionStateChange(p.turned)
	pc.OnTrack(p.read)
	return p, nil
}

// turned follows the connection. Pion calls it on a goroutine of its own.
func (p *rtcPeer) turned(state webrtc.PeerConnectionState) {
	switch state {
	case webrtc.PeerConnectionStateConnected:
		p.once.up.Do(func() {
			close(p.ready)
			p.set.up()
		})
	case webrtc.PeerConnectionStateFailed:
		p.lose(errRTCLost)
	case webrtc.PeerConnectionStateClosed:
		p.lose(errRTCClosed)
	}
}

// lose notes that the connection is over; the first reason counts.
func (p *rtcPeer) lose(why error) {
	first := false
	p.once.down.Do(func() {
		first = true
		p.mu.Lock()
		p.why = why
		p.mu.Unlock()
		close(p.gone)
	})
	if first && why != errHungUp {
		p.set.down(why)
	}
}

func (p *rtcPeer) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// close ends the connection, and returns when nothing more comes of it.
func (p *rtcPeer) close() {
	p.lose(errHungUp)
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	// What cannot be said to a peer that has gone is lost.
	_ = p.pc.GracefulClose()
	p.reading.Wait()
}

// read takes a track's packets. Pion calls it on a goroutine of its own.
func (p *rtcPeer) read(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.reading.Add(1)
	p.mu.Unlock()
	defer p.reading.Done()
	payloads := map[uint8]payloadType{}
	for _, c := range receiver.GetParameters().Codecs {
		if known, ok := codecNamed(c.MimeType, c.ClockRate); ok {
			payloads[uint8(c.PayloadType)] = payloadType{codec: known}
		} else if strings.EqualFold(c.MimeType, "audio/telephone-event") {
			payloads[uint8(c.PayloadType)] = payloadType{event: true}
		}
	}
	take := p.set.track(newRTPIn(payloads))
	for {
		packet, _, err := track.ReadRTP()
		switch {
		case errors.Is(err, webrtc.ErrCodecNotFound):
			continue // of a payload type that was not agreed on
		case err != nil:
			return
		}
		take(packet)
	}
}

// local completes our description: candidates are told with it.
func (p *rtcPeer) local(ctx context.Context, d webrtc.SessionDescription) (string, error) {
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(d); err != nil {
		return "", err
	}
	select {
	case <-gathered:
		return p.pc.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// offer makes an offer of one stream, sendrecv.
func (p *rtcPeer) offer(ctx context.Context) (string, error) {
	if _, err := p.pc.AddTransceiverFromTrack(p.out); err != nil {
		return "", err
	}
	d, err := p.pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	return p.local(ctx, d)
}

// answer takes an offer.
func (p *rtcPeer) answer(ctx context.Context, offer string) (string, error) {
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	if _, err := p.pc.AddTrack(p.out); err != nil {
		return "", err
	}
	d, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	return p.local(ctx, d)
}

// rtcTrack is what a peer is sent: packets with their own payload types, which
// Pion's own tracks would write over.
type rtcTrack struct {
	bound atomic.Pointer[boundTrack]
}

type boundTrack struct {
	writer webrtc.TrackLocalWriter
	ssrc   uint32
	codec  codec.Codec
	pt     uint8
	event  uint8
	events bool
}

// Bind implements webrtc.TrackLocal: the first codec that the peer wants is
// sent.
func (t *rtcTrack) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	b := &boundTrack{writer: ctx.WriteStream(), ssrc: uint32(ctx.SSRC())}
	var chosen *webrtc.RTPCodecParameters
	agreed := ctx.CodecParameters()
	for i := range agreed {
		if known, ok := codecNamed(agreed[i].MimeType, agreed[i].ClockRate); ok {
			chosen, b.codec, b.pt = &agreed[i], known, uint8(agreed[i].PayloadType)
			break
		}
	}
	if chosen == nil {
		return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
	}
	for _, c := range agreed {
		if strings.EqualFold(c.MimeType, "audio/telephone-event") && c.ClockRate == chosen.ClockRate {
			b.event, b.events = uint8(c.PayloadType), true
		}
	}
	t.bound.Store(b)
	return *chosen, nil
}

// Unbind implements webrtc.TrackLocal.
func (t *rtcTrack) Unbind(webrtc.TrackLocalContext) error {
	t.bound.Store(nil)
	return nil
}

// ID implements webrtc.TrackLocal.
func (t *rtcTrack) ID() string { return "audio" }

// RID implements webrtc.TrackLocal.
func (t *rtcTrack) RID() string { return "" }

// StreamID implements webrtc.TrackLocal.
func (t *rtcTrack) StreamID() string { return "emulator" }

// Kind implements webrtc.TrackLocal.
func (t *rtcTrack) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }

// sender makes the packets of what was agreed on, nil if nothing was.
func (t *rtcTrack) sender() *rtpOut {
	b := t.bound.Load()
	if b == nil {
		return nil
	}
	o := newRTPOut(b.codec, b.pt)
	o.eventPT, o.events = b.event, b.events
	return o
}

// send sends packets.
func (t *rtcTrack) send(packets []*rtp.Packet) error {
	for _, p := range packets {
		b := t.bound.Load()
		if b == nil {
			return errRTCLost
		}
		p.SSRC = b.ssrc
		if _, err := b.writer.WriteRTP(&p.Header, p.Payload); err != nil {
			return err
		}
	}
	return nil
}

// rtcSilent is a logger of Pion's that says nothing: what a peer does wrong is
// told by what becomes of its call.
type rtcSilent struct{}

func (rtcSilent) Trace(string)          {}
func (rtcSilent) Tracef(string, ...any) {}
func (rtcSilent) Debug(string)          {}
func (rtcSilent) Debugf(string, ...any) {}
func (rtcSilent) Info(string)           {}
func (rtcSilent) Infof(string, ...any)  {}
func (rtcSilent) Warn(string)           {}
func (rtcSilent) Warnf(string, ...any)  {}
func (rtcSilent) Error(string)          {}
func (rtcSilent) Errorf(string, ...any) {}

// NewLogger implements logging.LoggerFactory.
func (rtcSilent) NewLogger(string) logging.LeveledLogger { return rtcSilent{} }
