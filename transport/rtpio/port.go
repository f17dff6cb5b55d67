package rtpio

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/mixminus/mixminus/transport/rtpmedia"
)

// Kernel buffers. A shared port's hold what a thousand phones send in 50 ms,
// should the loop be late by that.
const (
	sharedBuffer = 4 << 20
	ownBuffer    = 128 << 10
)

// port is the shared port: a socket for media and, where the next port is free,
// one for reports. It lives on its loop.
type port struct {
	// Static after construction.
	loop    *loop
	rtp     *socket
	reports *socket // nil: only beside the media

	// Owned by the loop.
	sources map[netip.AddrPort]*source
	streams map[uint32]*conn // by SSRC; of two with the same, the last
	legs    int
	callers callers

	watching  chan struct{} // holds one: the loop stands still, somebody is to look for it
	unwatched chan struct{} // closed when nobody does any more

	// Atomic.
	strangers, malformed, strayReports atomic.Int64
	nLegs, nCallers                    atomic.Int64 // as of the last turn
}

// rtpHeader is the least that a packet has before its payload, in bytes.
const rtpHeader = 12

// source is an address from which somebody sends: mostly one stream.
type source struct {
	conns   []*conn
	callers []*caller
}

func openPort(l *loop, at netip.AddrPort) (*port, error) {
	listen := l.server.cfg.listen
	rtp, err := listen(at, sharedBuffer, sharedBuffer)
	if err != nil {
		return nil, fmt.Errorf("rtpio: Config.Listen = %v: %w", at, err)
	}
	p := &port{
		loop: l, rtp: rtp, sources: make(map[netip.AddrPort]*source), streams: make(map[uint32]*conn),
		watching: make(chan struct{}, 1), unwatched: make(chan struct{}),
	}
	p.callers.port = p
	if local := rtp.local(); local.Port() < 65535 {
		// If somebody else has it, reports come beside the media or not at all.
		if s, err := listen(netip.AddrPortFrom(local.Addr(), local.Port()+1), 0, 0); err == nil {
			p.reports = s
		}
	}
	l.port = p
	p.watch()
	go p.watchLoop()
	return p, nil
}

// watch asks for a look at the socket while the loop stands still.
func (p *port) watch() {
	select {
	case p.watching <- struct{}{}:
	default:
	}
}

// watchLoop starts the loop when something comes.
func (p *port) watchLoop() {
	defer close(p.unwatched)
	for range p.watching {
		if p.rtp.wait() != nil || !p.loop.post(func() {}) {
			return
		}
	}
}

func (p *port) close() {
	p.rtp.close()
	if p.reports != nil {
		p.reports.close()
	}
	close(p.watching)
}

// control is the socket from which reports are sent.
func (p *port) control(mux bool) *socket {
	if mux || p.reports == nil {
		return p.rtp
	}
	return p.reports
}

// read takes what has come; false if nothing has.
func (p *port) read(now, unix int64) (any bool) {
	l := p.loop
	p.callers.expire(now) // before any of them is heard again, after a rest of the loop
	for range bursts {
		n := p.rtp.recv(l.rx, now, unix)
		for i := range l.rx.packets {
			d := &l.rx.packets[i]
			if rtpmedia.IsRTCP(d.data) {
				p.takeReport(d, d.unix(now, unix), true)
				continue
			}
			p.take(d)
		}
		any = any || n > 0
		if !l.rx.more() {
			break
		}
	}
	if p.reports != nil {
		p.reports.recv(l.rx1, now, unix)
		for i := range l.rx1.packets {
			d := &l.rx1.packets[i]
			p.takeReport(d, d.unix(now, unix), false)
		}
	}
	p.nLegs.Store(int64(p.legs))
	p.nCallers.Store(int64(len(p.callers.all)))
	return any
}

// take takes a packet of media.
func (p *port) take(d *datagram) {
	pkt := &p.loop.packet
	if pkt.Parse(d.data) != nil || d.from.Port() == 0 {
		p.malformed.Add(1)
		return
	}
	if c := p.streams[pkt.SSRC]; c != nil && c.remote == d.from {
		p.pass(c, d)
		return
	}
	s := p.sources[d.from]
	if s != nil {
		for _, c := range s.conns {
			if c.ssrc == pkt.SSRC {
				p.pass(c, d)
				return
			}
		}
	}
	p.callers.take(s, d)
}

// heir returns the leg whose stream goes on as a caller's: the same stream from
// another port of its address, as of a phone whose NAT forgot it, or another one
// from the same source, as of a sender that was restarted. Nothing may have come
// of the leg's since the caller's began; wait says that this is so, but not yet
// for long enough to tell. A source of several streams begins another, for
// nobody knows which of them it would be.
func (p *port) heir(k *caller, now int64) (c *conn, wait bool) {
	patience := int64(rebinds)
	c = p.streams[k.ssrc]
	if c == nil || c.remote.Addr() != k.from.Addr() {
		if len(k.hold.conns) != 1 {
			return nil, false
		}
		c, patience = k.hold.conns[0], int64(restarts)
	}
	switch {
	case c.bye || c.drain || c.came > k.first || !c.known(k.terms.receive.Audio):
		return nil, false
	case now-c.came < patience:
		return nil, true
	}
	return c, false
}

// pass gives a leg its packet. A handler that panics ends its own leg only.
func (p *port) pass(c *conn, d *datagram) {
	if err := c.take(d.arrival, &p.loop.packet); err != nil {
		c.fault = err
	}
}

// takeReport takes a compound of a leg's peer.
func (p *port) takeReport(d *datagram, unix int64, onMedia bool) {
	ssrc, ok := rtpmedia.ReporterOf(d.data)
	if !ok {
		p.malformed.Add(1)
		return
	}
	c := p.reporter(ssrc, d.from, onMedia)
	if c == nil {
		p.strayReports.Add(1)
		return
	}
	c.control(d.arrival, unix, d.from, d.data, onMedia)
}

// reporter returns the leg of whose peer a report is, nil if there is none: the
// one that has that SSRC and whose media come from there, or from the port
// before; or from the same address; or is the only one from there, whatever its
// SSRC. Two phones behind one address may well have the same SSRC.
func (p *port) reporter(ssrc uint32, from netip.AddrPort, onMedia bool) *conn {
	c := p.streams[ssrc]
	if c != nil && c.reports == from {
		return c
	}
	media := from
	if !onMedia && from.Port() > 0 {
		media = netip.AddrPortFrom(from.Addr(), from.Port()-1)
	}
	s := p.sources[media]
	if s != nil {
		for _, o := range s.conns {
			if o.ssrc == ssrc {
				return o
			}
		}
	}
	switch {
	case c != nil && c.remote.Addr() == from.Addr():
		return c
	case s != nil && len(s.conns) == 1:
		return s.conns[0]
	}
	return nil
}

// join makes c the leg of a stream from a source.
func (p *port) join(c *conn) {
	s := p.sources[c.remote]
	if s == nil {
		s = &source{}
		p.sources[c.remote] = s
	}
	s.conns = append(s.conns, c)
	p.streams[c.ssrc] = c
	p.legs++
}

// forget undoes join.
func (p *port) forget(c *conn) {
	s := p.sources[c.remote]
	s.conns = without(s.conns, c)
	p.legs--
	p.unlist(c)
	p.tidy(c.remote, s)
}

// unlist takes the SSRC from c, and gives it to another leg that has the same.
func (p *port) unlist(c *conn) {
	if p.streams[c.ssrc] != c {
		return
	}
	delete(p.streams, c.ssrc)
	if p.legs == len(p.streams) {
		return // each of the others has one of its own
	}
	for _, s := range p.sources {
		for _, o := range s.conns {
			if o != c && o.ssrc == c.ssrc {
				p.streams[c.ssrc] = o
				return
			}
		}
	}
}

// tidy forgets a source from which nobody is known any more.
func (p *port) tidy(at netip.AddrPort, s *source) {
	if len(s.conns) == 0 && len(s.callers) == 0 {
		delete(p.sources, at)
	}
}

// move follows a stream to another address.
func (p *port) move(c *conn, to netip.AddrPort) {
	p.forget(c)
	c.remote, c.source = to, to
	c.reports = reportsOf(to, c.terms.mux)
	p.join(c)
}

// renamed notes that a leg's stream bears another SSRC.
func (l *loop) renamed(c *conn, ssrc uint32) {
	if c.own == nil {
		l.port.unlist(c)
		l.port.streams[ssrc] = c
	}
	c.ssrc = ssrc
}

func without[T comparable](list []T, x T) []T {
	left := list[:0]
	for _, y := range list {
		if y != x {
			left = append(left, y)
		}
	}
	clear(list[len(left):])
	return left
}
