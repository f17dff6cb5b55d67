package rtc

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/transport/v4/packetio"
	"github.com/pion/webrtc/v4"
)

// Sources of one peer. A browser has one, and another after some restarts; each
// costs memory for as long as the session lasts.
const (
	maxSources  = 16
	maxReported = 64 // that its reports are of
)

// api is Pion set up for one peer: with the codec that was chosen, and with our
// queues for its buffers.
func (s *Server) api(p *peer) (*webrtc.API, error) {
	var media webrtc.MediaEngine
	for _, c := range p.offer.parameters() {
		if err := media.RegisterCodec(c, webrtc.RTPCodecTypeAudio); err != nil {
			return nil, unacceptable("a=rtpmap", err.Error(), "each payload type once")
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
	e.DisableActiveTCP(true) // or an offer could have us dial whom it names
	e.SetLite(s.cfg.Lite)
	e.SetIncludeLoopbackCandidate(s.udpAddr.Addr().IsLoopback() || s.udpAddr.Addr().IsUnspecified())
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(s.silentFor, s.cfg.Grace, keepAlive)
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

// current returns the certificate, and makes another before it expires: peers
// that stand keep theirs.
func (s *Server) current() (webrtc.Certificate, error) {
	const ahead = 7 * 24 * time.Hour // of the month that Pion gives them
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.certificates) > 0 && time.Until(s.certificates[0].Expires()) > ahead {
		return s.certificates[0], nil
	}
	c, err := webrtc.GenerateCertificate(s.key)
	if err != nil {
		return webrtc.Certificate{}, fmt.Errorf("rtc: %w", err)
	}
	s.certificates = []webrtc.Certificate{*c}
	return *c, nil
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

// buffer gives Pion what it buffers a source's packets in. A peer that has ever
// more sources, or reports of ever more, is cut off.
func (p *peer) buffer(kind packetio.BufferPacketType, _ uint32) io.ReadWriteCloser {
	count, most, put := &p.sources, int32(maxSources), p.in.put
	if kind == packetio.RTCPBufferPacket {
		count, most, put = &p.reported, maxReported, p.hear
	}
	if count.Add(1) > most {
		p.end(errSources)
		put = func(int64, []byte) {}
	}
	return newStream(put)
}
