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
	// strict lets nobody in but the described address.
	strict bool
}

const (
	// rebinds is how long a source must have been silent before the same stream
	// may come from another address: that of a phone whose NAT forgot it.
	rebinds = 500e6
	// controlTurns are the turns between two looks for reports.
	controlTurns = 8
)

// conn is a leg and its peer. It lives on its loop.
type conn struct {
	// Static after construction.
	loop  *loop
	ep    *endpoint
	terms terms
	own   *pair // sockets of its own; nil: the shared port's
	done  chan struct{}

	media   *rtpleg.Media
	remote  netip.AddrPort // where to send, and who may; zero until known
	reports netip.AddrPort // the same of reports
	latched bool           // remote is where packets really come from
	ssrc    uint32         // of the peer's stream, once latched
	heard   int64          // when the peer's last report came
	bye     bool           // the peer said it
	drain   bool           // the app did
	quiet   bool           // the peer is not expected to send
	fault   error          // of a handler, while packets were taken
	turns   int
	over    bool
}

// silent returns how long before at the last packet came.
func (c *conn) silent(at int64) int64 { return int64(c.media.Silent(at)) }

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
	c.media, c.heard = m, now
	e.carried(c, m)
	if fn := e.stream.OnUp; fn != nil {
		fn() // it can be sent to; whether anything comes is the idle time's matter
	}
	return nil
}

// take takes a packet of the peer.
func (c *conn) take(arrival int64, from netip.AddrPort, p *rtpmedia.Packet) error {
	c.ep.in.Add(1)
	if p.SSRC != c.ssrc {
		c.loop.renamed(c, p.SSRC)
	}
	return c.media.Take(arrival, p)
}

// known reports whether a payload type is one of the leg's.
func (c *conn) known(payloadType uint8) bool {
	t := &c.terms.receive
	return payloadType == t.Audio || payloadType == t.Noise || payloadType == 13 || t.Event != 0 && payloadType == t.Event
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
	select {
	case <-c.ep.leg.Done():
		c.finish(now, unix, errLegClosed)
		return false
	default:
	}
	err := c.fault
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

// spent reports whether the leg is to end, and why.
func (c *conn) spent(now int64) (err error, over bool) {
	switch {
	case c.bye || c.drain:
		return nil, c.media.End(now)
	case c.quiet:
		return nil, false
	}
	idle := int64(c.loop.server.cfg.Idle)
	if now-c.heard > idle && int64(c.media.Silent(now)) > idle {
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
	c.terms.mux, c.reports, c.heard = onMedia, from, arrival
	if c.media.TakeControl(arrival, unix, b) && c.ep.unannounced {
		c.bye = true // of others, whoever described the session ends it
	}
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
		if !c.bye && !errors.Is(err, ErrIdle) {
			c.loop.port.callers.shun(c, now)
		}
	}
	if errors.Is(err, engine.ErrPanic) {
		c.loop.server.log.Error("handler panicked", "leg", c.ep.leg.ID(), "panic", err)
	}
	c.ep.ended(c, err)
	close(c.done)
}
