package rtc

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

// gate is a socket that can be shut: then nothing comes and nothing leaves.
type gate struct {
	net.PacketConn
	shut atomic.Bool
}

func (g *gate) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := g.PacketConn.ReadFrom(b)
		if err != nil || !g.shut.Load() {
			return n, from, err
		}
	}
}

func (g *gate) WriteTo(b []byte, to net.Addr) (int, error) {
	if g.shut.Load() {
		return len(b), nil
	}
	return g.PacketConn.WriteTo(b, to)
}

// clientConfig says what a client offers.
type clientConfig struct {
	codecs    []string // as an rtpmap names them; nil is PCMU
	direction webrtc.RTPTransceiverDirection
	events    bool // telephone events
	fmtp      string
	tcp       bool // and no UDP
	ipv6      bool
	trickle   bool // the offer has no candidates
	edit      func(offer string) string
	header    http.Header
	client    *http.Client
}

// client is a peer of Pion's own.
type client struct {
	t     testing.TB
	cfg   clientConfig
	pc    *webrtc.PeerConnection
	track *webrtc.TrackLocalStaticRTP
	codec codec.Codec
	gate  *gate

	answer, location, etag string
	links                  []string

	mu      sync.Mutex
	raw     webrtc.TrackLocalWriter
	states  []webrtc.PeerConnectionState
	packets []*rtp.Packet // heard
	reports []rtcp.Packet
}

var payloadTypes = map[string]webrtc.PayloadType{"PCMU/8000": 0, "PCMA/8000": 8, "G722/8000": 9, "opus/48000/2": 111}

func capability(name string) webrtc.RTPCodecCapability {
	x := strings.Split(name, "/")
	c := webrtc.RTPCodecCapability{MimeType: "audio/" + x[0], ClockRate: 8000}
	if x[0] == "opus" {
		c.ClockRate, c.Channels = 48000, 2
	}
	return c
}

// newClient makes a peer that has not offered yet. It is closed at the end.
func newClient(t testing.TB, cfg clientConfig) *client {
	t.Helper()
	if cfg.codecs == nil {
		cfg.codecs = []string{"PCMU/8000"}
	}
	if cfg.direction == webrtc.RTPTransceiverDirectionUnknown {
		cfg.direction = webrtc.RTPTransceiverDirectionSendrecv
	}
	if cfg.client == nil {
		cfg.client = http.DefaultClient
	}
	c := &client{t: t, cfg: cfg}
	var media webrtc.MediaEngine
	register := func(k webrtc.RTPCodecCapability, pt webrtc.PayloadType) {
		require.NoError(t, media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: k, PayloadType: pt}, webrtc.RTPCodecTypeAudio))
	}
	for _, name := range cfg.codecs {
		k := capability(name)
		k.SDPFmtpLine = cfg.fmtp
		register(k, payloadTypes[name])
	}
	first := capability(cfg.codecs[0])
	if cfg.events {
		register(webrtc.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: first.ClockRate}, 101)
	}
	c.codec, _ = codec.ByName(strings.TrimPrefix(first.MimeType, "audio/"), int(first.ClockRate))
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(c.settings()))
	var err error
	c.pc, err = api.NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	t.Cleanup(c.close)
	c.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		c.mu.Lock()
		c.states = append(c.states, s)
		c.mu.Unlock()
	})
	c.pc.OnTrack(c.hear)
	c.track, err = webrtc.NewTrackLocalStaticRTP(first, "audio", "client")
	require.NoError(t, err)
	if cfg.direction == webrtc.RTPTransceiverDirectionRecvonly {
		_, err = c.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, webrtc.RTPTransceiverInit{Direction: cfg.direction})
	} else {
		var tr *webrtc.RTPTransceiver
		tr, err = c.pc.AddTransceiverFromTrack(&tapped{c.track, c}, webrtc.RTPTransceiverInit{Direction: cfg.direction})
		require.NoError(t, err)
		go c.listen(tr.Sender())
	}
	require.NoError(t, err)
	return c
}

func (c *client) settings() webrtc.SettingEngine {
	var e webrtc.SettingEngine
	e.LoggerFactory = silence{}
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(5*time.Second, 40*time.Second, time.Second)
	at, network := "127.0.0.1:0", webrtc.NetworkTypeUDP4
	if c.cfg.ipv6 {
		at, network = "[::1]:0", webrtc.NetworkTypeUDP6
	}
	if c.cfg.tcp {
		e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
		return e
	}
	conn, err := net.ListenPacket("udp", at)
	require.NoError(c.t, err)
	c.gate = &gate{PacketConn: conn}
	mux := webrtc.NewICEUDPMux(silence{}, c.gate)
	c.t.Cleanup(func() { _ = mux.Close() })
	e.SetICEUDPMux(mux)
	e.SetNetworkTypes([]webrtc.NetworkType{network})
	return e
}

func (c *client) close() { _ = c.pc.GracefulClose() }

// hear keeps what comes.
func (c *client) hear(r *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	go c.listen(receiver)
	for {
		p, _, err := r.ReadRTP()
		if err != nil {
			return
		}
		c.mu.Lock()
		c.packets = append(c.packets, p)
		c.mu.Unlock()
	}
}

// listen keeps the reports that come.
func (c *client) listen(from interface {
	Read([]byte) (int, interceptor.Attributes, error)
}) {
	b := make([]byte, 1500)
	for {
		n, _, err := from.Read(b)
		if err != nil {
			return
		}
		p, err := rtcp.Unmarshal(append([]byte(nil), b[:n]...))
		if err != nil {
			continue
		}
		c.mu.Lock()
		c.reports = append(c.reports, p...)
		c.mu.Unlock()
	}
}

// offer makes an offer, with all candidates unless they are trickled.
func (c *client) offer() string {
	c.t.Helper()
	offer, err := c.pc.CreateOffer(nil)
	require.NoError(c.t, err)
	gathered := webrtc.GatheringCompletePromise(c.pc)
	require.NoError(c.t, c.pc.SetLocalDescription(offer))
	<-gathered
	text := c.pc.LocalDescription().SDP
	if c.cfg.trickle {
		text = without(text, "candidate", "end-of-candidates")
	}
	if c.cfg.edit != nil {
		text = c.cfg.edit(text)
	}
	return text
}

// without leaves out attributes.
func without(sdp string, keys ...string) string {
	var b strings.Builder
	for line := range strings.Lines(sdp) {
		key, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "a=")), ":")
		keep := true
		for _, k := range keys {
			keep = keep && key != k
		}
		if keep {
			b.WriteString(line)
		}
	}
	return b.String()
}

// do makes a request and returns the response and its body.
func (c *client) do(method, url, kind, body string, header ...string) (*http.Response, string) {
	c.t.Helper()
	return do(c.t, c.cfg.client, method, url, kind, body, c.cfg.header, header...)
}

func do(t testing.TB, with *http.Client, method, url, kind, body string, h http.Header, header ...string) (*http.Response, string) {
	t.Helper()
	q, err := http.NewRequest(method, url, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	q.Header = h.Clone()
	if q.Header == nil {
		q.Header = http.Header{}
	}
	if kind != "" {
		q.Header.Set("Content-Type", kind)
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Add(header[i], header[i+1])
	}
	r, err := with.Do(q)
	require.NoError(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r, string(text)
}

// post offers at an address and takes the answer.
func (c *client) post(url string) {
	c.t.Helper()
	r, body := c.do("POST", url, sdpType, c.offer())
	require.Equal(c.t, http.StatusCreated, r.StatusCode, body)
	at, err := r.Location()
	require.NoError(c.t, err)
	c.answer, c.location, c.etag, c.links = body, at.String(), r.Header.Get("ETag"), r.Header.Values("Link")
	require.NoError(c.t, c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: body}))
}

// connect posts, and waits until the connection stands.
func (c *client) connect(url string) {
	c.t.Helper()
	c.post(url)
	c.stands()
}

func (c *client) stands() {
	c.t.Helper()
	soon(c.t, "client connected", func() bool { return c.pc.ConnectionState() == webrtc.PeerConnectionStateConnected })
}

// say sends samples, in real time.
func (c *client) say(samples []int16) { c.sayFrom(0, samples) }

// sayFrom begins with a sequence number.
func (c *client) sayFrom(seq int, samples []int16) {
	c.t.Helper()
	n := c.codec.SampleRate / 50
	enc := c.codec.NewEncoder()
	var packets []*rtp.Packet
	b := make([]byte, 4000)
	for i := 0; (i+1)*n <= len(samples); i++ {
		size := enc.Encode(b, samples[i*n:(i+1)*n])
		packets = append(packets, &rtp.Packet{
			Header:  rtp.Header{Version: 2, Marker: i == 0, SequenceNumber: uint16(seq + i), Timestamp: uint32((seq + i) * c.codec.ClockRate / 50)},
			Payload: append([]byte(nil), b[:size]...),
		})
	}
	at := time.Now()
	for _, p := range packets {
		require.NoError(c.t, c.track.WriteRTP(p))
		at = at.Add(20 * time.Millisecond)
		time.Sleep(time.Until(at))
	}
}

// heard decodes what came so far, in order of its sequence numbers.
func (c *client) heard() (samples []int16) {
	c.mu.Lock()
	packets := append([]*rtp.Packet(nil), c.packets...)
	c.mu.Unlock()
	dec := c.codec.NewDecoder()
	buf := make([]int16, 2*c.codec.SampleRate)
	for _, p := range packets {
		if p.PayloadType == 101 {
			continue
		}
		n := dec.Decode(buf, p.Payload)
		samples = append(samples, buf[:n]...)
	}
	return samples
}

func (c *client) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.packets)
}

// send sends a packet as it is: a track of Pion's would give it the type of its
// codec.
func (c *client) send(p *rtp.Packet) {
	c.t.Helper()
	sender := c.pc.GetSenders()[0]
	p.SSRC = uint32(sender.GetParameters().Encodings[0].SSRC)
	c.mu.Lock()
	w := c.raw
	c.mu.Unlock()
	_, err := w.WriteRTP(&p.Header, p.Payload)
	require.NoError(c.t, err)
}

// tapped is a track that lets packets be sent as they are.
type tapped struct {
	*webrtc.TrackLocalStaticRTP
	c *client
}

func (t *tapped) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	t.c.mu.Lock()
	t.c.raw = ctx.WriteStream()
	t.c.mu.Unlock()
	return t.TrackLocalStaticRTP.Bind(ctx)
}
