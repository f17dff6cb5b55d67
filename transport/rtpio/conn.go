package rtpio

import (
	"errors"
	"net/netip"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport/rtpleg"
	"github.com/mixminus/mixminus/transport/rtpmedia"
)

// terms are what both sides agreed on, or what is supposed of a sender that
// nobody described.
type terms struct {
	codec         codec.Codec
	receive, send rtpleg.Types
	mute, deaf    bool
	// mux: reports share the port of the media.
	mux bool
	// strict hears only the described address, and sends to nowhere else.
	strict bool
}

const (
	// rebinds is how long a source must have been silent before the same stream
	// may come from another address: that of a phone whose NAT forgot it.
	rebinds = 500e6
	// restarts is the same of another stream from the same source: of a sender
	// that was restarted, and not one of several that was not heard for a
	// packet or two.
	restarts = 100e6
	// controlTurns are the turns between two looks for reports.
	controlTurns = 8
	// generosity is how many bytes are sent for one that came, to who may be
	// the victim of a sender that lied about its address (RFC 9000, section
	// 8.1, of the same trouble, has 3; but phones are silent while they listen).
	generosity = 10
)

// conn is a leg and its peer. It lives on its loop.
type conn struct {
	// Static after construction.
	loop      *loop
	ep        *endpoint
	own       *pair      // sockets of its own; nil: the shared port's, where nobody is announced
	described netip.Addr // of the peer, if somebody said so
	done      chan struct{}

	terms   terms
	media   *rtpleg.Media
	remote  netip.AddrPort // where to send; zero until known
	reports netip.AddrPort // the same of reports
	latched bool           // it is known where packets really come from:
	source  netip.AddrPort
	ssrc    uint32 // of the peer's stream, once latched
	came    int64  // when the peer's last packet did
	heard   int64  // and its last report
	credit  int64  // bytes that may be sent to who is not proved
	proved  bool   // the peer told how it hears us: it is where it says
	bye     bool   // the peer said it
	drain   bool   // the app did
	quiet   bool   // the peer is not expected to send
	fault   error  // of a handler, while packets were taken
	turns   int
	over    bool
}

// begin attaches the leg.
func (c *conn) begin(now int64) error {
	e := c.ep
	m, err := rtpleg.New(rtpleg.Config{
		Leg: e.leg, Speaker: e.speaker(c.remote), Codec: c.terms.codec, Receive: c.terms.receive, Send: c.terms.send,
		Mute: c.terms.mute || !e.stream.Bidirectional, Deaf: c.terms.deaf, Jitter: e.server.cfg.Jitter, Scratch: &c.loop.scratch, CNAME: e.server.name,
	})
	if err != nil {
		return err
	}
	c.media, c.came, c.heard = m, now, now
	e.carried(c, m)
	if fn := e.stream.OnUp; fn != nil {
		fn() // it can be sent to; whether anything comes is the idle time's matter
	}
	return nil
}

// take takes a packet of the peer.
func (c *conn) take(arrival int64, p *rtpmedia.Packet) error {
	c.ep.in.Add(1)
	c.came = max(c.came, arrival)
	c.credit += generosity * int64(len(p.Payload)+rtpHeader)
	if p.SSRC != c.ssrc {
		c.loop.renamed(c, p.SSRC)
	}
	return c.media.Take(arrival, p)
}

// known reports whether a payload type is one of the leg's.
func (c *conn) known(payloadType uint8) bool {
	t := &c.terms.receive
	return payloadType == t.Audio || payloadType == typeNoise ||
		payloadType != 0 && (payloadType == t.Noise || payloadType == t.Event)
}

// turn is the leg's, which was due at at; false if it is over.
func (c *conn) turn(at, now, unix int64) bool {
	if c.over {
		return false
	}
	if c.own != nil {
		if err := c.own.read(c, now, unix); err != nil {
			c.finish(now, unix, err)
			return false
		}
	}
	err := c.fault
	if err == nil {
		err = c.legEnd()
	}
	if err == nil {
		err = c.media.Turn(at)
	}
	if err != nil {
		c.finish(now, unix, err)
		return false
	}
	if err, over := c.spent(now); over {
		c.finish(now, unix, err)
		return false
	}
	c.send(at, now, unix)
	c.turns++
	return true
}

// legEnd returns why the leg is closed, nil if it is not. A panic elsewhere, as
// in OnMark, closes it too.
func (c *conn) legEnd() error {
	select {
	case <-c.ep.leg.Done():
		if err := c.ep.leg.Err(); err != nil {
			return err
		}
		return errLegClosed
	default:
		return nil
	}
}

// spent reports whether the leg is to end, and why.
func (c *conn) spent(now int64) (err error, over bool) {
	switch {
	case c.bye || c.drain:
		return nil, c.media.End(now)
	case c.quiet:
		return nil, false
	}
	idle := int64(c.loop.server.cfg.Idle)
	if now-c.heard > idle && now-c.came > idle {
		return ErrIdle, true
	}
	return nil, false
}

// send sends what is due at at.
func (c *conn) send(at, now, unix int64) {
	if !c.remote.IsValid() {
		return
	}
	for {
		var b []byte
		var ok bool
		if c.own != nil {
			b, ok = c.media.Next(at, c.loop.wire[:0])
		} else {
			b, ok = c.media.Next(at, c.loop.tx.buffer())
		}
		if !ok {
			break
		}
		if !c.may(len(b)) {
			c.ep.withheld.Add(1)
			continue
		}
		c.ep.out.Add(1)
		if c.own != nil {
			c.own.rtp.send(b, c.remote)
			continue
		}
		c.loop.tx.add(b, c.remote)
		if c.loop.tx.full() {
			c.loop.port.rtp.flush(c.loop.tx)
		}
	}
	if c.turns%controlTurns == 0 && c.reports.IsValid() {
		if b, ok := c.media.Report(now, unix, c.loop.wire[:0]); ok {
			c.sendReport(b)
		}
	}
}

// may reports whether n bytes may be sent. Whoever is not announced proves by
// nothing that it is where its packets say: a few of them, with the address of
// somebody else, would have us send to that one until the leg is idle. So it
// gets no more than a multiple of what came, until a report tells of our own
// stream, whose SSRC only its receiver knows.
func (c *conn) may(n int) bool {
	if c.own != nil || c.proved {
		return true
	}
	if c.credit <= 0 {
		return false
	}
	c.credit -= int64(n)
	return true
}

func (c *conn) sendReport(b []byte) {
	switch {
	case c.own != nil:
		c.own.control(c.terms.mux).send(b, c.reports)
	default:
		c.loop.port.control(c.terms.mux).send(b, c.reports)
	}
}

// control takes a report of the peer, which came on the port of the media or on
// that of reports.
func (c *conn) control(arrival, unix int64, from netip.AddrPort, b []byte, onMedia bool) {
	c.terms.mux, c.reports, c.heard = onMedia, from, max(c.heard, arrival)
	c.credit += generosity * int64(len(b))
	if c.media.TakeControl(arrival, unix, b) && (c.own == nil || c.terms.strict) {
		c.bye = true // of others, whoever described the session ends it
	}
	c.proved = c.proved || c.media.Answered()
}

// finish ends the leg, for a reason: nil is good order.
func (c *conn) finish(now, unix int64, err error) {
	if c.over {
		return
	}
	c.over = true
	c.media.Close()
	if c.reports.IsValid() && !c.bye {
		c.sendReport(c.media.Bye(now, unix, c.loop.wire[:0]))
	}
	if c.own != nil {
		c.own.close()
	} else {
		c.loop.port.forget(c)
		switch {
		case c.bye:
			c.loop.port.callers.shun(c, now, stragglers)
		case !errors.Is(err, ErrIdle):
			c.loop.port.callers.shun(c, now, 0)
		}
	}
	if errors.Is(err, engine.ErrPanic) {
		c.loop.server.log.Error("handler panicked", "leg", c.ep.leg.ID(), "panic", err)
	}
	c.ep.ended(c, err)
	close(c.done)
}
