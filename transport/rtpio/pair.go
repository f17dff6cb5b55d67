package rtpio

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/mixminus/mixminus/transport/rtpmedia"
)

// pair is the sockets of a leg's own: media, and reports on the next port.
type pair struct {
	rtp, rtcp *socket
}

// anyPort is how often a free pair is looked for where every port will do.
const anyPort = 50

// openPair opens a pair of the configured ports, the media's of which is even.
func (c *Config) openPair() (*pair, error) {
	at := c.bindTo()
	if c.MaxPort == 0 {
		for range anyPort {
			p, err := c.pairAt(at, 0)
			if err == nil {
				return p, nil
			}
			if !errors.Is(err, errOdd) {
				return nil, err
			}
		}
		return nil, fmt.Errorf("%w: no two in a row on %v", ErrNoPort, at)
	}
	low := max(2, int(c.MinPort+c.MinPort&1)) // 0 would be any port
	pairs := (int(c.MaxPort) - low + 1) / 2
	if pairs <= 0 {
		return nil, fmt.Errorf("%w: %d to %d holds no even port and the next", ErrNoPort, c.MinPort, c.MaxPort)
	}
	first := rand.IntN(pairs)
	var last error
	for i := range pairs {
		p, err := c.pairAt(at, uint16(low+2*((first+i)%pairs)))
		if err == nil {
			return p, nil
		}
		last = err
	}
	return nil, fmt.Errorf("%w: %d to %d: %w", ErrNoPort, c.MinPort, c.MaxPort, last)
}

// bindTo is where legs' own sockets listen.
func (c *Config) bindTo() netip.Addr {
	switch {
	case c.Listen.IsValid():
		return c.Listen.Addr()
	case c.Public.IsLoopback():
		return c.Public
	case c.Public.Is4():
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

var errOdd = errors.New("rtpio: no free port behind an even one")

func (c *Config) pairAt(at netip.Addr, media uint16) (*pair, error) {
	rtp, err := c.listen(netip.AddrPortFrom(at, media), ownBuffer, 0)
	if err != nil {
		return nil, err
	}
	own := rtp.local().Port()
	if own%2 == 0 {
		rtcp, err := c.listen(netip.AddrPortFrom(at, own+1), 0, 0)
		if err == nil {
			return &pair{rtp, rtcp}, nil
		}
	}
	rtp.close()
	return nil, errOdd
}

func (o *pair) close() {
	o.rtp.close()
	o.rtcp.close()
}

// control is the socket from which reports are sent.
func (o *pair) control(mux bool) *socket {
	if mux {
		return o.rtp
	}
	return o.rtcp
}

// read takes what has come for a leg. An error is a handler's panic.
func (o *pair) read(c *conn, now, unix int64) error {
	l := c.loop
	for range bursts {
		o.rtp.recv(l.rx1, now, unix)
		for i := range l.rx1.packets {
			d := &l.rx1.packets[i]
			if err := c.arrived(d, d.unix(now, unix)); err != nil {
				return err
			}
		}
		if !l.rx1.more() {
			break
		}
	}
	if c.turns%controlTurns == 0 {
		o.rtcp.recv(l.rx1, now, unix)
		for i := range l.rx1.packets {
			d := &l.rx1.packets[i]
			c.reported(d, d.unix(now, unix), false)
		}
	}
	return nil
}

// arrived takes a datagram of the media port, that came at unix.
func (c *conn) arrived(d *datagram, unix int64) error {
	if rtpmedia.IsRTCP(d.data) {
		c.reported(d, unix, true)
		return nil
	}
	p := &c.loop.packet
	if p.Parse(d.data) != nil {
		c.ep.malformed.Add(1)
		return nil
	}
	if !c.admits(d, p) {
		c.ep.strangers.Add(1)
		return nil
	}
	return c.take(d.arrival, p)
}

// admits is symmetric RTP (RFC 4961): the first who sends what was agreed on is
// the peer, wherever that is, since many do not know their own address. Others
// are strangers from then on, with two exceptions (moves).
func (c *conn) admits(d *datagram, p *rtpmedia.Packet) bool {
	switch {
	case c.latched && d.from == c.source:
		return true
	case !c.known(p.PayloadType),
		c.terms.strict && d.from.Addr() != c.described,
		c.latched && !c.moves(d, p):
		return false
	}
	c.latched, c.source = true, d.from
	if !c.terms.strict && d.from != c.remote {
		c.remote = d.from
		c.reports = reportsOf(d.from, c.terms.mux)
	}
	return true
}

// moves reports whether the peer may be at another place than it was: the same
// stream, when the peer has fallen silent, as behind a NAT that forgot it. And
// who is at the described address is the peer, even if somebody who tries all
// ports was faster (RTP Bleed).
func (c *conn) moves(d *datagram, p *rtpmedia.Packet) bool {
	if p.SSRC == c.ssrc && d.arrival-c.came >= rebinds {
		return true
	}
	return d.from.Addr() == c.described && c.source.Addr() != c.described
}

// reported takes a report, if it is the peer's.
func (c *conn) reported(d *datagram, unix int64, onMedia bool) {
	if d.from.Addr() != c.remote.Addr() && d.from != c.reports {
		c.ep.strangers.Add(1)
		return
	}
	if _, ok := rtpmedia.ReporterOf(d.data); !ok {
		c.ep.malformed.Add(1)
		return
	}
	c.control(d.arrival, unix, d.from, d.data, onMedia)
}

// reportsOf is where the reports of a peer go that has told nothing of it.
func reportsOf(media netip.AddrPort, mux bool) netip.AddrPort {
	if mux || !media.IsValid() || media.Port() == 65535 {
		return media
	}
	return netip.AddrPortFrom(media.Addr(), media.Port()+1)
}
