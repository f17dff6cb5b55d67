package load

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/transport/v4/packetio"
	"github.com/pion/webrtc/v4"
)

// Times of a connection. Whoever says nothing for peerSilence, not even to ICE,
// is disconnected, and lost after peerLost more.
const (
	peerSilence   = 2 * time.Second
	peerLost      = 3 * time.Second
	peerKeepAlive = time.Second
)

// maxSources bounds the streams that a server may send in a call.
const maxSources = 16

// Why a connection is over.
var (
	errPeerLost   = errors.New("the connection was lost: the server is silent")
	errPeerClosed = errors.New("the connection was closed by the server")
	errSources    = fmt.Errorf("the server sends more than %d streams: want 1", maxSources)
)

// peers are what the calls of a run over WebRTC share.
type peers struct {
	whip         *whip
	codec        rtpCodec
	echo         Echo
	clock        *clock
	certificates []webrtc.Certificate // one, for making them is work
}

func newPeers(cfg *Config, c *clock) (*peers, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	certificate, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return &peers{whip: newWHIP(cfg), codec: cfg.codec, echo: cfg.Echo, clock: c, certificates: []webrtc.Certificate{*certificate}}, nil
}

// close lets go of what the calls left.
func (s *peers) close() {
	if s != nil {
		s.whip.client.CloseIdleConnections()
	}
}

// A peer is one call's connection, and its pipe.
type peer struct {
	// Static after dial.
	shared  *peers
	port    *port
	pc      *webrtc.PeerConnection
	session string        // that DELETE ends
	ready   chan struct{} // closed when the connection stands
	gone    chan struct{} // closed when it does not any more, or never will

	header rtp.Header // owned by the worker's writer

	writer  atomic.Pointer[boundTrack] // nil until it was agreed on
	call    atomic.Pointer[call]       // nil until it joins
	sources atomic.Int32
	up      sync.Once

	// Guarded by mu.
	mu  sync.Mutex
	why error // why it is gone
}

var _ pipe = (*peer)(nil)

// dial offers call n, and returns when it is connected.
func (s *peers) dial(ctx context.Context, n int) (_ *peer, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	p := &peer{shared: s, ready: make(chan struct{}), gone: make(chan struct{})}
	if p.port, err = openPort(s.whip.url, n, s.clock); err != nil {
		return nil, fmt.Errorf("port: %w", err)
	}
	if err = p.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("peer: %w", err), p.port.Close())
	}
	if err = p.connect(ctx); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// open prepares the connection.
func (p *peer) open() error {
	name := "audio/PCMU"
	if p.shared.codec.payloadType == 8 {
		name = "audio/PCMA"
	}
	var media webrtc.MediaEngine
	err := media.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: name, ClockRate: toneRate},
		PayloadType:        webrtc.PayloadType(p.shared.codec.payloadType),
	}, webrtc.RTPCodecTypeAudio)
	if err != nil {
		return err
	}
	var e webrtc.SettingEngine
	e.LoggerFactory = silence{}
	e.BufferFactory = p.source
	e.SetFireOnTrackBeforeFirstRTP(true)
	e.DisableSRTPReplayProtection(true) // what comes twice is counted, not hidden
	e.SetICEUDPMux(p.port)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(peerSilence, peerLost, peerKeepAlive)
	p.pc, err = webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(e),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{})).NewPeerConnection(webrtc.Configuration{Certificates: p.shared.certificates})
	if err != nil {
		return err
	}
	p.pc.OnConnectionStateChange(p.turned)
	return nil
}

// connect offers, takes the answer, and waits for the connection.
func (p *peer) connect(ctx context.Context) error {
	offer, err := p.offer(ctx)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	answer := ""
	if answer, p.session, err = p.shared.whip.post(ctx, offer); err != nil {
		return err
	}
	if err := checkAnswer(answer, p.shared.echo); err != nil {
		return err
	}
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if p.writer.Load() == nil {
		return errors.New("answer: the codec of the offer is not in it")
	}
	select {
	case <-p.ready:
		return nil
	case <-p.gone:
		return p.reason()
	case <-ctx.Done():
		return fmt.Errorf("answered, but not connected by ICE and DTLS: %w", ctx.Err())
	}
}

// offer makes an offer of one stream, sendrecv, with all candidates.
func (p *peer) offer(ctx context.Context) (string, error) {
	if _, err := p.pc.AddTransceiverFromTrack((*track)(p)); err != nil {
		return "", err
	}
	d, err := p.pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
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

// turned follows the connection. Pion calls it on goroutines of its own.
func (p *peer) turned(state webrtc.PeerConnectionState) {
	switch state {
	case webrtc.PeerConnectionStateConnected:
		p.up.Do(func() { close(p.ready) })
	case webrtc.PeerConnectionStateFailed:
		p.lose(errPeerLost)
	case webrtc.PeerConnectionStateClosed:
		p.lose(errPeerClosed)
	}
}

// lose notes that the connection is over; the first reason counts.
func (p *peer) lose(why error) {
	p.mu.Lock()
	if p.why == nil {
		p.why = why
		close(p.gone)
	}
	p.mu.Unlock()
	if c := p.call.Load(); c != nil {
		c.fail(p.reason())
	}
}

func (p *peer) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// join has what comes from now on given to c.
func (p *peer) join(c *call) {
	p.call.Store(c)
	if why := p.reason(); why != nil {
		c.fail(why)
	}
}

// silent reports whether the server said nothing of late: then it has gone,
// though not for long enough to be sure.
func (p *peer) silent() bool { return p.pc.ConnectionState() == webrtc.PeerConnectionStateDisconnected }

// write sends a packet, encrypted. What cannot be sent is lost; why is told by
// the connection's state.
func (p *peer) write(b []byte) (int, error) {
	w := p.writer.Load()
	if w == nil || len(b) < rtpHeader || isReport(b) { // the goodbye here is DELETE
		return len(b), nil
	}
	h := &p.header
	h.Version, h.Marker, h.PayloadType, h.SSRC = 2, b[1]&0x80 != 0, b[1]&0x7f, w.ssrc
	h.SequenceNumber, h.Timestamp = binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])
	_, _ = w.to.WriteRTP(h, b[rtpHeader:])
	return len(b), nil
}

// source gives Pion what it buffers a stream in.
func (p *peer) source(kind packetio.BufferPacketType, _ uint32) io.ReadWriteCloser {
	if kind == packetio.RTCPBufferPacket {
		return newSource(func([]byte) {})
	}
	if p.sources.Add(1) > maxSources {
		p.lose(errSources)
		return newSource(func([]byte) {})
	}
	return newSource(p.heard)
}

// heard takes a decrypted packet, on the goroutine of Pion's that decrypts.
func (p *peer) heard(b []byte) {
	c := p.call.Load()
	if c == nil {
		return // it came before the call began
	}
	now := p.shared.clock.now()
	at := now
	if len(b) >= rtpHeader {
		at = p.port.arrival(binary.BigEndian.Uint16(b[2:]), now)
	}
	c.tally.mu.Lock()
	defer c.tally.mu.Unlock()
	record(c.tally.own, now-at)
	record(c.tally.late, now-at)
	if err := c.wire.heard(c, b, at); err != nil {
		c.fail(err)
	}
}

// close says goodbye, and returns when nothing more comes.
func (p *peer) close() {
	p.shared.whip.end(p.session)
	_ = p.pc.GracefulClose() // what cannot be said to a server that has gone is lost
	_ = p.port.Close()
}

// track is what a peer sends: packets that are numbered already.
type track peer

// boundTrack is where its packets go.
type boundTrack struct {
	to   webrtc.TrackLocalWriter
	ssrc uint32
}

var _ webrtc.TrackLocal = (*track)(nil)

// Bind implements webrtc.TrackLocal.
func (t *track) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, c := range ctx.CodecParameters() {
		if c.PayloadType == webrtc.PayloadType(t.shared.codec.payloadType) {
			t.writer.Store(&boundTrack{ctx.WriteStream(), uint32(ctx.SSRC())})
			return c, nil
		}
	}
	return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
}

// Unbind implements webrtc.TrackLocal.
func (t *track) Unbind(webrtc.TrackLocalContext) error {
	t.writer.Store(nil)
	return nil
}

// ID implements webrtc.TrackLocal.
func (t *track) ID() string { return "audio" }

// RID implements webrtc.TrackLocal.
func (t *track) RID() string { return "" }

// StreamID implements webrtc.TrackLocal.
func (t *track) StreamID() string { return "load" }

// Kind implements webrtc.TrackLocal.
func (t *track) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }
