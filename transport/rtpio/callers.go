package rtpio

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpleg"
	"github.com/mixminus/mixminus/transport/rtpmedia"
)

const (
	// kept packets of a caller: half a second.
	kept = 25
	// perSource callers at one address.
	perSource = 8
	// A caller of whom one packet came is forgotten after a second of silence,
	// one that rings or was refused after five.
	oneHit   = 1e9
	hangsUp  = 5e9
	nearly   = 8 // how far apart the sequence numbers of its first packets may be
	sweepGap = 250e6
	// usualEvent is the type by which nearly everybody sends telephone events.
	usualEvent = 101
)

// caller is a stream that nobody announced.
type caller struct {
	id      string
	from    netip.AddrPort
	ssrc    uint32
	terms   terms
	seq     uint16
	first   int64 // when it came
	last    int64
	rings   bool // the app was told
	refused bool
	packets []datagram // the last of them, copied
	hold    *source
}

// callers are those that are known of a shared port. They live on its loop.
type callers struct {
	port  *port
	all   []*caller // the oldest first
	swept int64
}

// take takes a packet of nobody's.
func (cs *callers) take(s *source, d *datagram) {
	p, pkt := cs.port, &cs.port.loop.packet
	cfg := &p.loop.server.cfg
	if s != nil {
		for _, k := range s.callers {
			if k.ssrc == pkt.SSRC {
				cs.more(k, d, pkt)
				return
			}
		}
	}
	t, ok := cfg.suppose(pkt.PayloadType)
	if !ok || len(pkt.Payload) == 0 || cfg.OnSender == nil && (s == nil || len(s.conns) == 0) {
		p.strangers.Add(1)
		return
	}
	if p.legs >= cfg.MaxLegs || len(cs.all) >= cfg.MaxSenders && !cs.evict() || s != nil && len(s.callers) >= perSource {
		p.strangers.Add(1)
		return
	}
	k := cs.add(&caller{from: d.from, ssrc: pkt.SSRC, terms: t, seq: pkt.Seq, first: d.arrival, last: d.arrival})
	k.keep(d)
}

// add makes a caller known.
func (cs *callers) add(k *caller) *caller {
	s := cs.port.sources[k.from]
	if s == nil {
		s = &source{}
		cs.port.sources[k.from] = s
	}
	k.id, k.hold = senderID(k.from, k.ssrc), s
	s.callers = append(s.callers, k)
	cs.all = append(cs.all, k)
	return k
}

func senderID(from netip.AddrPort, ssrc uint32) string { return fmt.Sprintf("%v/%08x", from, ssrc) }

// more takes a further packet of a caller. Two that belong together are a
// stream: the going on of a leg whose sender was restarted, or a new one.
func (cs *callers) more(k *caller, d *datagram, pkt *rtpmedia.Packet) {
	p := cs.port
	step := int16(pkt.Seq - k.seq)
	k.seq, k.last = pkt.Seq, d.arrival
	if k.refused {
		p.strangers.Add(1)
		return
	}
	k.keep(d)
	if k.rings || step == 0 || step > nearly || step < -nearly {
		return
	}
	for _, c := range k.hold.conns {
		if c.silent(k.first) >= 0 && c.known(k.terms.receive.Audio) {
			cs.forget(k)
			cs.flow(k, c)
			return
		}
	}
	fn := p.loop.server.cfg.OnSender
	if fn == nil {
		p.strangers.Add(1)
		return
	}
	k.rings = true
	who := transport.Sender{
		ID: k.id, Addr: k.from, SSRC: k.ssrc, PayloadType: k.terms.receive.Audio, Codec: k.terms.codec.RTPMap(),
	}
	p.loop.server.told.tell(func() { fn(who) })
}

// keep keeps a copy of a packet, and forgets the oldest.
func (k *caller) keep(d *datagram) {
	if len(k.packets) == kept {
		copy(k.packets, k.packets[1:])
		k.packets = k.packets[:kept-1]
	}
	k.packets = append(k.packets, datagram{data: bytes.Clone(d.data), from: d.from, arrival: d.arrival})
}

// flow gives a leg what a caller sent.
func (cs *callers) flow(k *caller, c *conn) {
	var pkt rtpmedia.Packet
	for i := range k.packets {
		d := &k.packets[i]
		if pkt.Parse(d.data) != nil { // it was read before
			continue
		}
		if err := c.take(d.arrival, d.from, &pkt); err != nil {
			c.fault = err
		}
	}
}

// suppose returns what a payload type stands for, of somebody who described
// nothing.
func (c *Config) suppose(payloadType uint8) (terms, bool) {
	if payloadType == usualEvent {
		return terms{}, false
	}
	for _, x := range c.Codecs {
		if x.PayloadType == int(payloadType) || x.PayloadType == codec.Dynamic && payloadType >= 96 {
			types := rtpleg.Types{Audio: payloadType, Event: usualEvent}
			return terms{codec: x, receive: types, send: types}, true
		}
	}
	return terms{}, false
}

// forget forgets a caller.
func (cs *callers) forget(k *caller) {
	cs.all = without(cs.all, k)
	k.hold.callers = without(k.hold.callers, k)
	cs.port.tidy(k.from, k.hold)
}

// evict makes room for another: the oldest that does not ring goes, or was
// refused.
func (cs *callers) evict() bool {
	for _, k := range cs.all {
		if !k.rings {
			cs.forget(k)
			return true
		}
	}
	return false
}

// expire forgets those that are silent.
func (cs *callers) expire(now int64) {
	if now-cs.swept < sweepGap {
		return
	}
	cs.swept = now
	for i := 0; i < len(cs.all); {
		k := cs.all[i]
		patience := int64(oneHit)
		if k.rings || k.refused {
			patience = hangsUp
		}
		if now-k.last > patience {
			cs.forget(k)
			continue
		}
		i++
	}
}

// find returns the caller that rings by that name.
func (cs *callers) find(id string) *caller {
	for _, k := range cs.all {
		if k.id == id && k.rings {
			return k
		}
	}
	return nil
}

// letIn lets a caller into the leg of an endpoint.
func (p *port) letIn(e *endpoint, stream string, now int64) error {
	k := p.callers.find(stream)
	if k == nil {
		return fmt.Errorf("%w: sender %s has gone", ErrUnknown, stream)
	}
	if err := e.claim(); err != nil {
		return err
	}
	c := &conn{
		loop: p.loop, ep: e, terms: k.terms, done: make(chan struct{}), remote: k.from, latched: true, ssrc: k.ssrc,
		reports: reportsOf(k.from, false),
	}
	e.unannounced = true
	if err := c.begin(now); err != nil {
		e.release()
		return err
	}
	p.callers.forget(k)
	p.join(c)
	p.loop.add(c)
	p.callers.flow(k, c)
	return nil
}

func (p *port) refuse(stream string) {
	for _, k := range p.callers.all {
		if k.id == stream {
			k.refused, k.packets = true, nil
		}
	}
}

// shun ignores the stream of a leg that we ended, lest it ring at once: until it
// has been silent for a while.
func (cs *callers) shun(c *conn, now int64) {
	if len(cs.all) >= cs.port.loop.server.cfg.MaxSenders && !cs.evict() {
		return
	}
	cs.add(&caller{from: c.remote, ssrc: c.ssrc, terms: c.terms, first: now, last: now, refused: true})
}
