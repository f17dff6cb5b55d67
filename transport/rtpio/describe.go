package rtpio

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpleg"
)

// Answer agrees on what an offer (SDP, RFC 3264) offers, opens a port for the
// leg at url, and returns the answer. Errors are ErrUnknown, ErrTaken, ErrNoPort
// and *SDPError.
func (s *Server) Answer(url string, offer []byte) (answer []byte, err error) {
	remote, err := parseSDP(offer)
	if err != nil {
		return nil, err
	}
	err = s.connect(url, func(p *pair) (terms, peer, error) {
		l := s.local(p)
		if own, ok := remote.seenFrom(); ok && s.cfg.anywhere {
			l.addr = netip.AddrPortFrom(own, l.addr.Port())
		}
		a, b, err := answerTo(remote, l)
		answer = b
		return a.terms(), a.peer(), err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// seenFrom returns the address of this machine from which packets to the peer's
// audio leave. Nothing is sent.
func (r *remoteSDP) seenFrom() (netip.Addr, bool) {
	for _, s := range r.streams {
		if s.audio == nil || !s.audio.addr.IsValid() || s.audio.hold {
			continue
		}
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.audio.addr))
		if err != nil {
			continue
		}
		defer c.Close()
		return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), true
	}
	return netip.Addr{}, false
}

// Offer opens a port for the leg at url and returns what is to be offered (SDP).
// Accept is to follow. Errors are ErrUnknown, ErrTaken and ErrNoPort.
func (s *Server) Offer(url string) (offer []byte, err error) {
	e, err := s.endpoint(url)
	if err != nil {
		return nil, err
	}
	if err := e.claim(); err != nil {
		return nil, err
	}
	p, err := s.cfg.openPair()
	if err != nil {
		e.release()
		return nil, err
	}
	l := s.local(p)
	if !e.wait(&offered{pair: p, local: l}) {
		p.close()
		return nil, engine.ErrClosed
	}
	return offerOf(l), nil
}

// Accept takes the answer to what Offer returned. A wrong one may be followed by
// another: errors are ErrUnknown if nothing was offered, and *SDPError.
func (s *Server) Accept(url string, answer []byte) error {
	e, err := s.endpoint(url)
	if err != nil {
		return err
	}
	remote, err := parseSDP(answer)
	if err != nil {
		return err
	}
	o := e.waiting()
	if o == nil {
		return fmt.Errorf("%w: nothing was offered", ErrUnknown)
	}
	a, err := settle(o.local, remote)
	if err != nil {
		if !e.wait(o) {
			o.pair.close()
		}
		return err
	}
	return s.start(e, o.pair, a.terms(), a.peer())
}

// Dial opens a port for the leg at url, and sends to a receiver that was told
// beforehand what comes. What comes back from its address is heard.
func (s *Server) Dial(url string, to transport.Target) error {
	t, err := s.cfg.target(to)
	if err != nil {
		return err
	}
	at := plainAddr(to.Addr)
	return s.connect(url, func(*pair) (terms, peer, error) {
		return t, peer{media: at, reports: reportsOf(at, false), quiet: true}, nil
	})
}

// target returns what a receiver was told.
func (c *Config) target(to transport.Target) (terms, error) {
	if !to.Addr.IsValid() || to.Addr.Port() == 0 || to.Addr.Addr().IsUnspecified() || to.Addr.Addr().IsMulticast() {
		return terms{}, fmt.Errorf("rtpio: Target.Addr = %v: want an address and a port of one receiver", to.Addr)
	}
	if from := c.bindTo().Unmap(); from.Is4() && !to.Addr.Addr().Unmap().Is4() ||
		from.Is6() && !from.IsUnspecified() && to.Addr.Addr().Unmap().Is4() {
		return terms{}, fmt.Errorf("rtpio: Target.Addr = %v: cannot be reached from %v, where packets are sent from", to.Addr, from)
	}
	name, rate, hasRate := strings.Cut(to.Codec, "/")
	rate, _, _ = strings.Cut(rate, "/") // of "opus/48000/2"
	for _, x := range c.Codecs {
		if !strings.EqualFold(x.Name, name) || hasRate && strconv.Itoa(x.ClockRate) != rate {
			continue
		}
		types := rtpleg.Types{Audio: to.PayloadType, Event: to.EventType}
		switch {
		case to.PayloadType == 0 && x.PayloadType != codec.Dynamic:
			types.Audio = uint8(x.PayloadType)
		case to.PayloadType == 0:
			types.Audio = 96
		}
		if types.Audio > 127 || types.Event > 127 || types.Event != 0 && types.Audio == types.Event {
			return terms{}, fmt.Errorf("rtpio: Target: PayloadType = %d, EventType = %d, want two numbers up to 127", to.PayloadType, to.EventType)
		}
		return terms{codec: x, receive: types, send: types, strict: true}, nil
	}
	return terms{}, fmt.Errorf("rtpio: Target.Codec = %q: want one of %s", to.Codec, c.names())
}

// names of the codecs.
func (c *Config) names() string {
	names := make([]string, len(c.Codecs))
	for i, x := range c.Codecs {
		names[i] = x.RTPMap()
	}
	return strings.Join(names, ", ")
}

// peer is who is at the other end, as far as that is known.
type peer struct {
	media, reports netip.AddrPort
	// quiet: it is not expected to send.
	quiet bool
}

// local describes our end.
func (s *Server) local(p *pair) local {
	return local{
		addr:   netip.AddrPortFrom(s.cfg.Public, p.rtp.local().Port()),
		codecs: s.cfg.Codecs, mux: true, sessionID: s.sessions.Add(1), version: 1,
	}
}

func (a *agreed) peer() peer {
	return peer{media: a.remote, reports: a.remoteRTCP, quiet: !a.recv}
}

func (a *agreed) terms() terms {
	return terms{
		codec:   a.codec.Agreed(a.fec, a.dtx),
		receive: rtpleg.Types{Audio: a.payloadType, Event: a.eventType, Noise: a.noiseType},
		send:    rtpleg.Types{Audio: a.sendType, Event: a.sendEventType, Noise: a.noiseType},
		mute:    !a.send, deaf: !a.recv, mux: a.mux,
	}
}

// connect opens a pair for the leg at url and starts what agree says.
func (s *Server) connect(url string, agree func(*pair) (terms, peer, error)) error {
	e, err := s.endpoint(url)
	if err != nil {
		return err
	}
	if err := e.claim(); err != nil {
		return err
	}
	p, err := s.cfg.openPair()
	if err != nil {
		e.release()
		return err
	}
	t, who, err := agree(p)
	if err != nil {
		p.close()
		e.release()
		return err
	}
	return s.start(e, p, t, who)
}

// start puts a leg on a loop. The claim is the caller's.
func (s *Server) start(e *endpoint, p *pair, t terms, who peer) error {
	l := s.aLoop()
	c := &conn{
		loop: l, ep: e, terms: t, own: p, done: make(chan struct{}),
		remote: who.media, reports: who.reports, quiet: who.quiet, described: who.media.Addr(),
	}
	err := l.ask(func() error {
		if err := c.begin(engine.Now()); err != nil {
			return err
		}
		l.add(c)
		return nil
	})
	if err != nil {
		p.close()
		e.release()
	}
	return err
}
