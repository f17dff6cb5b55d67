package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/metrics"
	"github.com/mixminus/mixminus/session/rtp"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpio"
	"github.com/spf13/pflag"
)

// rtpFlags are serve's of plain RTP.
type rtpFlags struct {
	listen, ports, public string
	codecs                []string
	idle                  time.Duration
	given                 func(name string) bool
}

// codecNames are those of the table, in the order in which they are preferred.
func codecNames() (names []string) {
	for _, c := range codec.All() {
		names = append(names, c.Name)
	}
	return names
}

func (f *rtpFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.listen, "rtp", "", "UDP address that takes RTP of whoever sends there, and makes a call of each stream; empty leaves RTP out")
	fl.StringSliceVar(&f.codecs, "rtp-codec", codecNames(), "codecs in the order of preference; the first that has no payload type of its own is meant by senders who use a dynamic one unannounced")
	fl.StringVar(&f.ports, "rtp-ports", "", "MIN-MAX: UDP ports of calls made by SDP (default: whichever are free)")
	fl.DurationVar(&f.idle, "rtp-idle", 30*time.Second, "how long a stream may be silent before its call ends")
	fl.StringVar(&f.public, "rtp-public", "", "IP address that SDP tells (default: that of --rtp)")
	f.given = fl.Changed
}

// rtpConfig wires RTP.
type rtpConfig struct {
	listen string // UDP address of unannounced senders
	codecs []string
	// minPort and maxPort bound the sockets of calls made by SDP; 0 and 0: any.
	minPort, maxPort uint16
	idle             time.Duration
	public           netip.Addr // in SDP; not valid: that of listen
	engine           *engine.Engine
	log              *slog.Logger
	// open makes what carries the streams and calls the cloud's hooks.
	open func(rtpConfig, *rtp.Cloud) (rtpMedia, error)
}

// rtpMedia carries the streams until it is closed.
type rtpMedia interface {
	rtp.Streams
	// Addr is where unannounced senders are heard.
	Addr() net.Addr
	Totals() *transport.Totals
	Close() error
}

// newRTPMedia listens for RTP, and tells the cloud of senders (Ring) and of
// streams that ended (Ended).
func newRTPMedia(c rtpConfig, cloud *rtp.Cloud) (rtpMedia, error) {
	addr, err := net.ResolveUDPAddr("udp", c.listen)
	if err != nil {
		return nil, fmt.Errorf("--rtp %q: %w", c.listen, err)
	}
	listen := addr.AddrPort()
	if !listen.Addr().IsValid() { // ":5004"
		listen = netip.AddrPortFrom(netip.IPv6Unspecified(), listen.Port())
	}
	s, err := rtpio.New(rtpio.Config{
		Engine: c.engine, Listen: netip.AddrPortFrom(listen.Addr().Unmap(), listen.Port()), Codecs: c.table(),
		MinPort: c.minPort, MaxPort: c.maxPort, Public: c.public, Idle: c.idle, Logger: c.log,
		OnSender: cloud.Ring,
		OnEnd: func(url string, err error) {
			if errors.Is(err, rtpio.ErrIdle) {
				err = nil // who falls silent has hung up
			}
			cloud.Ended(url, err)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("--rtp %s: %w; is another serve running?", c.listen, err)
	}
	return rtpServer{s}, nil
}

// rtpServer is rtpio.Server with an address as those of listeners are.
type rtpServer struct{ *rtpio.Server }

func (s rtpServer) Addr() net.Addr { return net.UDPAddrFromAddrPort(s.Server.Addr()) }

// table is the codecs in the order of preference.
func (c *rtpConfig) table() (table []codec.Codec) {
	for _, name := range c.codecs {
		for _, x := range codec.All() {
			if strings.EqualFold(x.Name, name) {
				table = append(table, x)
			}
		}
	}
	return table
}

// config turns the flags into what RTP is wired from, nil if it is left out.
func (f *rtpFlags) config(log *slog.Logger) (*rtpConfig, error) {
	if f.listen == "" {
		for _, name := range []string{"rtp-codec", "rtp-ports", "rtp-idle", "rtp-public"} {
			if f.given(name) {
				return nil, fmt.Errorf("--%s: is for --rtp, which is not given", name)
			}
		}
		return nil, nil
	}
	c := &rtpConfig{listen: f.listen, codecs: f.codecs, idle: f.idle, log: log, open: newRTPMedia}
	if _, err := net.ResolveUDPAddr("udp", f.listen); err != nil {
		return nil, fmt.Errorf("--rtp %q: %w: want an address such as 127.0.0.1:4000", f.listen, err)
	}
	if err := checkCodecs(f.codecs); err != nil {
		return nil, err
	}
	if f.idle <= 0 {
		return nil, fmt.Errorf("--rtp-idle %v: want more than 0", f.idle)
	}
	var err error
	if c.minPort, c.maxPort, err = portRange(f.ports); err != nil {
		return nil, err
	}
	if f.public != "" {
		if c.public, err = netip.ParseAddr(f.public); err != nil || c.public.IsUnspecified() {
			return nil, fmt.Errorf("--rtp-public %q: want an IP address that peers can reach", f.public)
		}
	}
	return c, nil
}

func checkCodecs(names []string) error {
	known := codecNames()
	for _, name := range names {
		if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			return fmt.Errorf("--rtp-codec %q: want some of %s", name, strings.Join(known, ", "))
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("--rtp-codec: want some of %s", strings.Join(known, ", "))
	}
	return nil
}

// portRange reads MIN-MAX; empty is any port.
func portRange(s string) (lowest, highest uint16, err error) {
	if s == "" {
		return 0, 0, nil
	}
	first, last, _ := strings.Cut(s, "-")
	low, err1 := strconv.ParseUint(first, 10, 16)
	high, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil || low == 0 || high < low {
		return 0, 0, fmt.Errorf("--rtp-ports %q: want MIN-MAX, such as 20000-20999", s)
	}
	return uint16(low), uint16(high), nil
}

// wireRTP makes the cloud. What carries its calls is opened with the manager
// that takes them, for streams may come at once.
func wireRTP(cfg rtpConfig, e *engine.Engine, token string) (w wiredCloud, err error) {
	w = wiredCloud{paths: []string{rtpPath, rtpPath + "/"}}
	cfg.engine = e
	cloud, err := rtp.New(rtp.Config{Path: rtpPath, Token: token, Logger: cfg.log})
	if err != nil {
		return w, err
	}
	w.client = cloud
	var media rtpMedia
	w.webhook = func(calls *session.Manager) (http.Handler, error) {
		opened, err := cfg.open(cfg, cloud)
		if err != nil {
			return nil, err
		}
		media = opened
		cloud.Connect(media, calls)
		return cloud, nil
	}
	w.address = func() string { return media.Addr().String() }
	w.carried = func() metrics.Transport { return metrics.Transport{Name: "rtp", Totals: media.Totals()} }
	w.shut = func(context.Context) error {
		if media == nil {
			return nil
		}
		return media.Close()
	}
	return w, nil
}
