package rtc

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/opus"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport/rtpleg"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/transport/v4/packetio"
	"github.com/pion/webrtc/v4"
)

// peer is one session: a PeerConnection and the media that it carries.
//
//	Pion's decryption -> queue -> turn -> rtpleg.Media -> leg
//	leg -> rtpleg.Media -> turn -> Pion's encryption
type peer struct {
	// Static after construction.
	server *Server
	ep     *endpoint
	pc     *webrtc.PeerConnection
	terms  terms
	offer  string
	out    *track        // nil: nothing is sent
	ssrc   uint32        // of what is sent
	done   chan struct{} // closed when the leg is free again

	in, control queue

	// Owned by the beat's goroutine, once started.
	leg     *rtpleg.Media
	beat    *engine.Beat
	packet  rtpmedia.Packet
	wire    []byte
	report  []byte // the last one, which Pion tells of once per source
	bye     bool
	pending error

	// Atomic.
	malformed atomic.Int64
	ending    atomic.Bool // no more is taken; what came plays out
	stop      atomic.Bool

	// Guarded by mu.
	mu      sync.Mutex
	etag    string
	started bool
	over    bool
	up      bool
	why     error
	timer   *time.Timer
}

// newPeer prepares a session for the leg of an endpoint.
func (s *Server) newPeer(e *endpoint, offer string, t terms) (*peer, error) {
	p := &peer{
		server: s, ep: e, terms: t, offer: offer, done: make(chan struct{}), etag: newTag(),
		wire: make([]byte, 0, 2048),
	}
	api, err := s.api(p)
	if err != nil {
		return nil, err
	}
	p.pc, err = api.NewPeerConnection(webrtc.Configuration{
		Certificates: []webrtc.Certificate{s.certificate}, BundlePolicy: webrtc.BundlePolicyMaxBundle,
	})
	if err != nil {
		return nil, fmt.Errorf("rtc: %w", err)
	}
	p.pc.OnConnectionStateChange(p.turned)
	return p, nil
}

func newTag() string { return `"` + rand.Text()[:16] + `"` }

// api is Pion set up for one peer: with the codec that was chosen, and with our
// queues for its buffers.
func (s *Server) api(p *peer) (*webrtc.API, error) {
	var media webrtc.MediaEngine
	for _, c := range p.terms.parameters() {
		if err := media.RegisterCodec(c, webrtc.RTPCodecTypeAudio); err != nil {
			return nil, fmt.Errorf("rtc: %w", err)
		}
	}
	var e webrtc.SettingEngine
	e.LoggerFactory = silence{}
	e.BufferFactory = p.buffer
	e.SetFireOnTrackBeforeFirstRTP(true)
	e.SetICEUDPMux(s.udp)
	networks := []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6}
	if s.tcp != nil {
		e.SetICETCPMux(s.tcp)
		networks = append(networks, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6)
	}
	e.SetNetworkTypes(networks)
	e.SetLite(s.cfg.Lite)
	e.SetIncludeLoopbackCandidate(s.udpAddr.Addr().IsLoopback() || s.udpAddr.Addr().IsUnspecified())
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(silentFor, s.cfg.Grace, keepAlive)
	if err := rewrite(&e, s.cfg.Public); err != nil {
		return nil, err
	}
	return webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(e),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{})), nil
}

// rewrite has public addresses told instead of this machine's.
func rewrite(e *webrtc.SettingEngine, public []netip.Addr) error {
	if len(public) == 0 {
		return nil
	}
	rule := webrtc.ICEAddressRewriteRule{AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteReplace}
	for _, a := range public {
		rule.External = append(rule.External, a.String())
	}
	if err := e.SetICEAddressRewriteRules(rule); err != nil {
		return fmt.Errorf("rtc: Config.Public: %w", err)
	}
	return nil
}

// parameters of what was chosen, as Pion wants them.
func (t *terms) parameters() []webrtc.RTPCodecParameters {
	c := t.codec
	main := webrtc.RTPCodecCapability{MimeType: "audio/" + c.Name, ClockRate: uint32(c.ClockRate)}
	if c.Channels > 1 {
		main.Channels = uint16(c.Channels)
	}
	if c.Name == "opus" {
		main.SDPFmtpLine = "minptime=10;useinbandfec=1"
	}
	list := []webrtc.RTPCodecParameters{{RTPCodecCapability: main, PayloadType: webrtc.PayloadType(t.types.Audio)}}
	if t.types.Event != 0 {
		list = append(list, webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: uint32(t.eventRate), SDPFmtpLine: "0-15"},
			PayloadType:        webrtc.PayloadType(t.types.Event),
		})
	}
	return list
}

// buffer gives Pion what it buffers a source's packets in.
func (p *peer) buffer(kind packetio.BufferPacketType, _ uint32) io.ReadWriteCloser {
	if kind == packetio.RTCPBufferPacket {
		return newStream(p.control.put)
	}
	return newStream(p.in.put)
}

// answer takes the offer and returns the answer, with all candidates.
func (p *peer) answer(ctx context.Context) (string, error) {
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: p.offer}); err != nil {
		return "", malformed("sdp", err.Error(), "an offer of WebRTC (RFC 8829)")
	}
	if p.terms.send {
		p.out = &track{codec: p.terms.parameters()[0]}
		sender, err := p.pc.AddTrack(p.out)
		if err != nil {
			return "", fmt.Errorf("rtc: %w", err)
		}
		p.ssrc = uint32(sender.GetParameters().Encodings[0].SSRC)
	}
	return p.describe(ctx)
}

// describe makes our description anew, at the first and after an ICE restart.
func (p *peer) describe(ctx context.Context) (string, error) {
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return "", unacceptable("sdp", err.Error(), "an offer that can be answered")
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(answer); err != nil {
		return "", unacceptable("sdp", err.Error(), "an offer that can be answered")
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	return p.pc.LocalDescription().SDP, nil
}

// turned follows the connection. Pion calls it on a goroutine of its own.
func (p *peer) turned(state webrtc.PeerConnectionState) {
	switch state {
	case webrtc.PeerConnectionStateConnected:
		p.connected()
	case webrtc.PeerConnectionStateDisconnected:
		p.tell(false, ErrLost)
	case webrtc.PeerConnectionStateFailed:
		p.end(ErrLost)
	case webrtc.PeerConnectionStateClosed:
		p.end(nil)
	}
}

// tell the app that the connection stands, or does not.
func (p *peer) tell(up bool, err error) {
	p.mu.Lock()
	told := p.up
	p.up = up
	p.mu.Unlock()
	switch st := &p.ep.stream; {
	case told == up:
	case up && st.OnUp != nil:
		st.OnUp()
	case !up && st.OnDown != nil:
		st.OnDown(err)
	}
}

// connected starts the media, once, and notes that a lost connection is back.
func (p *peer) connected() {
	p.mu.Lock()
	if p.over || p.started {
		over := p.over
		p.mu.Unlock()
		if !over {
			p.tell(true, nil)
		}
		return
	}
	p.started = true
	p.timer.Stop()
	p.mu.Unlock()
	p.server.connected(p)
	if err := p.start(); err != nil {
		p.mu.Lock()
		p.started = false
		p.mu.Unlock()
		p.end(err)
		return
	}
	p.tell(true, nil)
}

// start attaches the leg, for which an older session of the endpoint must have
// left it.
func (p *peer) start() error {
	if err := p.ep.takeOver(p); err != nil {
		return err
	}
	m, err := rtpleg.New(rtpleg.Config{
		Leg: p.ep.leg, Speaker: p.ep.speaker(), Codec: p.terms.carried(),
		Receive: p.terms.types, Send: p.terms.types,
		Mute: p.out == nil || !p.ep.stream.Bidirectional, Deaf: !p.terms.recv,
		Jitter: p.server.cfg.Jitter, CNAME: "mixminus", SSRC: p.ssrc,
	})
	if err != nil {
		return err
	}
	p.leg = m
	p.ep.media.Store(m)
	p.beat = p.server.cfg.Engine.NewBeat(nil, p.turn, func() { p.finish(engine.ErrClosed) })
	if err := p.beat.Start(); err != nil {
		m.Close()
		return err
	}
	return nil
}

// carried is the codec, with what the peer takes of opus.
func (t *terms) carried() codec.Codec {
	c := t.codec
	if c.Name != "opus" || !t.fec && !t.dtx {
		return c
	}
	c.NewEncoder = func() codec.Encoder {
		const expectedLoss = 10 // percent
		e, err := opus.NewEncoder(opus.EncoderConfig{FEC: t.fec, DTX: t.dtx, Loss: expectedLoss})
		if err != nil {
			panic(err) // these are valid
		}
		return e
	}
	return c
}

// turn is the peer's, which was due at at.
func (p *peer) turn(at int64) {
	p.drain()
	err := p.pending
	if err == nil {
		err = p.leg.Turn(at)
	}
	select {
	case <-p.ep.leg.Done():
		err = errors.Join(err, errLegClosed)
	default:
	}
	if err == nil && p.stop.Load() {
		p.finish(nil)
		return
	}
	if err == nil && (p.bye || p.ending.Load()) && p.leg.End(at) {
		p.finish(nil)
		return
	}
	if err != nil {
		p.finish(err)
		return
	}
	p.send(at)
}

// drain gives the media what came since the last turn.
func (p *peer) drain() {
	for d := p.in.next(); d != nil; d = p.in.next() {
		if p.packet.Parse(d.data) != nil {
			p.malformed.Add(1)
		} else if err := p.leg.Take(d.arrival, &p.packet); err != nil {
			p.pending = err
		}
		p.in.release()
	}
	for d := p.control.next(); d != nil; d = p.control.next() {
		if !bytes.Equal(p.report, d.data) {
			p.report = append(p.report[:0], d.data...)
			p.bye = p.leg.TakeControl(d.arrival, time.Now().UnixNano(), d.data) || p.bye
		}
		p.control.release()
	}
}

func (p *peer) send(at int64) {
	for p.out != nil {
		b, ok := p.leg.Next(at, p.wire[:0])
		if !ok {
			break
		}
		p.out.send(b)
	}
	if b, ok := p.leg.Report(at, time.Now().UnixNano(), p.wire[:0]); ok {
		p.sendReport(b)
	}
}

func (p *peer) sendReport(b []byte) { _ = p.pc.WriteRTCP([]rtcp.Packet{(*rtcp.RawPacket)(&b)}) }

// finish ends the media, on the beat's goroutine or when no turn will come any
// more.
func (p *peer) finish(err error) {
	p.beat.Stop()
	p.leg.Close()
	if !p.bye {
		p.sendReport(p.leg.Bye(engine.Now(), time.Now().UnixNano(), p.wire[:0]))
	}
	if errors.Is(err, engine.ErrPanic) {
		p.server.log.Error("handler panicked", "leg", p.ep.leg.ID(), "panic", err)
	}
	p.mu.Lock()
	p.started = false
	p.mu.Unlock()
	p.end(err)
}

// end ends the session, for a reason: nil is good order. Media that runs is
// stopped by its own goroutine, which comes back here.
func (p *peer) end(err error) {
	p.mu.Lock()
	if p.why == nil {
		p.why = err
	}
	switch {
	case p.over:
		p.mu.Unlock()
		return
	case p.started:
		p.mu.Unlock()
		p.stop.Store(true)
		return
	}
	p.over = true
	why := p.why
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.tell(false, why)
	close(p.done)
	p.server.leave(p)
	p.ep.left(p, why)
	p.server.wg.Go(func() { _ = p.pc.Close() }) // it waits for Pion's goroutines
}
