package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/guard"
	listening "github.com/mixminus/mixminus/session/listen"
	"github.com/mixminus/mixminus/session/offer"
	"github.com/mixminus/mixminus/session/rtp"
	"github.com/mixminus/mixminus/transport/rtc"
	"github.com/mixminus/mixminus/transport/rtpio"
	"github.com/spf13/pflag"
)

// Paths of WebRTC: where peers offer calls, where sessions are, and where people
// listen in.
const (
	webrtcPath = "/" + rtp.WebRTC
	whipPath   = "/whip"
	whepPath   = listening.DefaultPath
)

// webrtcFlags are serve's of WebRTC.
type webrtcFlags struct {
	listen, tcp                  string
	lite                         bool
	public, codecs, ice, origins []string
	given                        func(name string) bool
}

// webrtcCodecs are those of browsers (RFC 7874), in the order in which they sound
// best over bad networks.
var webrtcCodecs = []string{"opus", "G722", "PCMU", "PCMA"}

func (f *webrtcFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.listen, "webrtc", "", "UDP address, one for all peers of WebRTC, each of which is a call; empty leaves WebRTC out")
	fl.StringVar(&f.tcp, "webrtc-tcp", "", "TCP address for peers whose networks let no UDP through (ICE-TCP)")
	fl.StringSliceVar(&f.public, "webrtc-public", nil, "IP addresses that peers are told of, where those of this machine cannot be reached")
	fl.BoolVar(&f.lite, "webrtc-lite", false, "ICE-lite, for a host on a public address")
	fl.StringSliceVar(&f.codecs, "webrtc-codec", webrtcCodecs, "codecs in the order of preference")
	fl.StringSliceVar(&f.ice, "webrtc-ice", nil, "STUN and TURN servers that peers are told of, such as stun:stun.example.com:3478 or turn:user:secret@turn.example.com")
	fl.StringSliceVar(&f.origins, "webrtc-origin", nil, "origins whose pages may call and listen, such as https://app.example.com; with a token * is any")
	f.given = fl.Changed
}

// webrtcConfig wires WebRTC. What it does not say is said by the service.
type webrtcConfig struct {
	server  rtc.Config
	origins []string
}

// config turns the flags into what WebRTC is wired from, nil if it is left out.
func (f *webrtcFlags) config(token string, log *slog.Logger) (*webrtcConfig, error) {
	if f.listen == "" {
		for _, name := range []string{"webrtc-tcp", "webrtc-public", "webrtc-lite", "webrtc-codec", "webrtc-ice", "webrtc-origin"} {
			if f.given(name) {
				return nil, fmt.Errorf("--%s: is for --webrtc, which is not given", name)
			}
		}
		return nil, nil
	}
	if _, err := guard.New(token, f.origins...); err != nil {
		return nil, fmt.Errorf("--webrtc-origin: %w", err)
	}
	c := &webrtcConfig{origins: f.origins, server: rtc.Config{Lite: f.lite, Origins: f.origins, Logger: log}}
	var err error
	if c.server.UDP, err = listenAddress("webrtc", f.listen); err != nil {
		return nil, err
	}
	if f.tcp != "" {
		if c.server.TCP, err = listenAddress("webrtc-tcp", f.tcp); err != nil {
			return nil, err
		}
	}
	for _, text := range f.public {
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.IsUnspecified() {
			return nil, fmt.Errorf("--webrtc-public %q: want an IP address that peers can reach", text)
		}
		c.server.Public = append(c.server.Public, ip)
	}
	if c.server.Codecs, err = codecsOf("webrtc-codec", f.codecs, webrtcCodecs); err != nil {
		return nil, err
	}
	for _, text := range f.ice {
		c.server.ICEServers = append(c.server.ICEServers, iceServer(text))
	}
	return c, nil
}

// listenAddress reads an address to listen on; one without a host is any of this
// machine's.
func listenAddress(flag, text string) (at netip.AddrPort, err error) {
	addr, err := net.ResolveUDPAddr("udp", text)
	if err != nil {
		return at, fmt.Errorf("--%s %q: %w: want an address such as 127.0.0.1:5008", flag, text, err)
	}
	at = addr.AddrPort()
	if !at.Addr().IsValid() { // ":5008"
		return netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port()), nil
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// codecsOf looks names up in the table, of those that may be.
func codecsOf(flag string, names, known []string) (table []codec.Codec, err error) {
	for _, name := range names {
		found := len(table)
		for _, k := range known {
			if x, ok := codecNamed(k); ok && strings.EqualFold(k, name) {
				table = append(table, x)
			}
		}
		if len(table) == found {
			return nil, fmt.Errorf("--%s %q: want some of %s", flag, name, strings.Join(known, ", "))
		}
	}
	if len(table) == 0 {
		return nil, fmt.Errorf("--%s: want some of %s", flag, strings.Join(known, ", "))
	}
	return table, nil
}

func codecNamed(name string) (codec.Codec, bool) {
	for _, x := range codec.All() {
		if x.Name == name {
			return x, true
		}
	}
	return codec.Codec{}, false
}

// iceServer reads a URL that may hold a name and a secret, which those of RFC 7065
// cannot: turn:name:secret@host.
func iceServer(text string) rtc.ICEServer {
	scheme, rest, _ := strings.Cut(text, ":")
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return rtc.ICEServer{URL: text}
	}
	name, secret, _ := strings.Cut(rest[:at], ":")
	return rtc.ICEServer{URL: scheme + ":" + rest[at+1:], Username: name, Credential: secret}
}

// What media can decides how their calls come: rtp.Cloud finds out by these.
var (
	_ rtp.Streams = (*rtpio.Server)(nil)
	_ rtp.Media   = (*rtc.Server)(nil)
	_ offer.Media = (*rtc.Server)(nil)
)

// webrtcHost is what carries WebRTC and who is told of what it brings.
type webrtcHost struct {
	*rtc.Server
	origins []string
	cloud   *rtp.Cloud
	listen  *listening.Server // once there are calls
}

// openWebRTC opens the port. Nobody is served before there are addresses.
func openWebRTC(cfg webrtcConfig, e *engine.Engine, base string, verify func(*http.Request) error) (*webrtcHost, error) {
	w := &webrtcHost{origins: cfg.origins}
	c := cfg.server
	c.Engine, c.BaseURL, c.Verify = e, base+whipPath, verify
	c.OnEnd = func(url string, err error) { // of a call, or of a listener
		w.cloud.Ended(url, err)
		w.listen.Ended(url, err)
	}
	var err error
	if w.Server, err = rtc.New(c); err != nil {
		return nil, fmt.Errorf("--webrtc: %w; is another serve running?", err)
	}
	return w, nil
}

// wire makes the cloud of peers.
func (w *webrtcHost) wire(cfg serviceConfig) (c wiredCloud, err error) {
	w.cloud, err = rtp.New(rtp.Config{Name: rtp.WebRTC, Token: cfg.token, Origins: w.origins, Logger: cfg.log})
	if err != nil {
		return c, err
	}
	return wiredCloud{
		client: w.cloud,
		paths:  []string{webrtcPath, webrtcPath + "/"},
		webhook: func(calls *session.Manager) (http.Handler, error) {
			w.cloud.Connect(w.Server, calls)
			return w.cloud, nil
		},
	}, nil
}

// route serves sessions, and those who listen in.
func (w *webrtcHost) route(mux *http.ServeMux, cfg serviceConfig, e *engine.Engine, calls *session.Manager) (err error) {
	w.listen, err = listening.New(listening.Config{
		Manager: calls, Engine: e, Media: w.Server, Token: cfg.token, Origins: w.origins, Logger: cfg.log,
	})
	if err != nil {
		return err
	}
	mux.Handle(whepPath, w.listen)
	mux.Handle(whepPath+"/", w.listen)
	mux.Handle(whipPath+"/", w.Server)
	return nil
}

// close ends the listening and all sessions; calls are over.
func (w *webrtcHost) close() (err error) {
	if w.listen != nil {
		err = w.listen.Close()
	}
	return errors.Join(err, w.Server.Close())
}
