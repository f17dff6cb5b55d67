package rtpio

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpleg"
	"github.com/mixminus/mixminus/transport/rtpmedia"
)

const (
	// kept packets of a caller: of 20 ms, more than it takes until a stream may
	// come from another address (rebinds).
	kept = 32
	// perSource callers at one address, refused ones aside.
	perSource = 8
	// A caller of whom one packet came is forgotten after a second of silence,
	// one that rings or was refused after five; one that said BYE after a
	// second in any case, when what the network delayed has come.
	oneHit     = 1e9
	hangsUp    = 5e9
	stragglers = 1e9
	nearly     = 8 // how far apart the sequence numbers of its first packets may be
	sweepGap   = 250e6
	// usualEvent is the type by which nearly everybody sends telephone events.
	usualEvent = 101
)

// caller is a stream that nobody announced.
type caller struct {
	id      string // once it rings
	from    netip.AddrPort
	ssrc    uint32
	terms   terms
	seq     uint16
	first   int64 // when it came
	last    int64
	until   int64 // it is forgotten then, whatever it does; 0: never
	rings   bool  // the app was told
	refused bool
	was     bool       // a leg, and is refused since
	packets []datagram // the last of them, copied
	hold    *source
}

// callers are those that are known of a shared port. They live on its loop.
type callers struct {
	port  *port
	all   []*caller // the oldest first, at most Config.MaxSenders
	were  []*caller // legs, and are refused; at most Config.MaxLegs
	swept int64
}

// take takes a packet of nobody's.
func (cs *callers) take(s *source, d *datagram) {
	p, pkt := cs.port, &cs.port.loop.packet
	cfg := &p.loop.server.cfg
	fresh := 0
	if s != nil {
		for _, k := range s.callers {
			if k.ssrc == pkt.SSRC {
				cs.more(k, d, pkt)
				return
			}
			if !k.refused {
				fresh++
			}
		}
	}
	t, ok := cfg.suppose(pkt.PayloadType)
	if !ok || len(pkt.Payload) == 0 || !cs.welcome(s, d.from) || fresh >= perSource ||
		len(cs.all) >= cfg.MaxSenders && !cs.evict() {
		p.strangers.Add(1)
		return
	}
	k := cs.add(&caller{from: d.from, ssrc: pkt.SSRC, terms: t, seq: pkt.Seq, first: d.arrival, last: d.arrival})
	k.keep(d)
}

// welcome reports whether another may come from a source: as a leg, or as what
// goes on with one.
func (cs *callers) welcome(s *source, from netip.AddrPort) bool {
	p := cs.port
	switch cfg := &p.loop.server.cfg; {
	case from == p.rtp.local():
		return false // we would talk to ourselves
	case s != nil && len(s.conns) > 0:
		return true
	default:
		if c := p.streams[p.loop.packet.SSRC]; c != nil && c.remote.Addr() == from.Addr() {
			return true
		}
		return cfg.OnSender != nil && p.legs < cfg.MaxLegs
	}
}

// add makes a caller known.
func (cs *callers) add(k *caller) *caller {
	s := cs.port.sources[k.from]
	if s == nil {
		s = &source{}
		cs.port.sources[k.from] = s
	}
	k.hold = s
	s.callers = append(s.callers, k)
	if k.was {
		cs.were = append(cs.were, k)
	} else {
		cs.all = append(cs.all, k)
	}
	return k
}

// more takes a further packet of a caller. Two that belong together are a
// stream: the going on of a leg, or a new one.
func (cs *callers) more(k *caller, d *datagram, pkt *rtpmedia.Packet) {
	step := int16(pkt.Seq - k.seq)
	k.seq, k.last = pkt.Seq, max(k.last, d.arrival)
	if k.refused {
		cs.port.strangers.Add(1)
		return
	}
	k.keep(d)
	if k.rings || step == 0 || step > nearly || step < -nearly {
		return
	}
	switch c, wait := cs.port.heir(k, d.arrival); {
	case wait:
	case c != nil:
		cs.forget(k)
		if c.remote != k.from {
			cs.port.move(c, k.from)
		}
		cs.flow(k, c)
	default:
		cs.ring(k)
	}
}

// ring tells the app of a caller. Should it be slow to listen, the next packet
// tries again.
func (cs *callers) ring(k *caller) {
	p := cs.port
	cfg := &p.loop.server.cfg
	if cfg.OnSender == nil || p.legs >= cfg.MaxLegs {
		p.strangers.Add(1)
		return
	}
	k.id = senderID(k.from, k.ssrc)
	who := transport.Sender{
		ID: k.id, Addr: k.from, SSRC: k.ssrc, PayloadType: k.terms.receive.Audio, Codec: k.terms.codec.RTPMap(),
	}
	k.rings = p.loop.server.told.try(func() { cfg.OnSender(who) }, cfg.MaxSenders)
}

func senderID(from netip.AddrPort, ssrc uint32) string { return fmt.Sprintf("%v/%08x", from, ssrc) }

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
		if err := c.take(d.arrival, &pkt); err != nil {
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
	if k.was {
		cs.were = without(cs.were, k)
	} else {
		cs.all = without(cs.all, k)
	}
	k.hold.callers = without(k.hold.callers, k)
	cs.port.tidy(k.from, k.hold)
}

// evict makes room for another: the oldest of whom the app was not told goes.
// Those that it refused stay, or else they would ring again at once.
func (cs *callers) evict() bool {
	for _, k := range cs.all {
		if !k.rings && !k.refused {
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
	for _, list := range []*[]*caller{&cs.all, &cs.were} {
		for i := 0; i < len(*list); {
			if k := (*list)[i]; k.spent(now) {
				cs.forget(k) // the next one is at i now
				continue
			}
			i++
		}
	}
}

// spent reports whether a caller is to be forgotten.
func (k *caller) spent(now int64) bool {
	patience := int64(oneHit)
	if k.rings || k.refused {
		patience = hangsUp
	}
	return now-k.last > patience || k.until != 0 && now > k.until
}

// find returns the caller that rings by that name.
func (cs *callers) find(id string) *caller {
	for _, k := range cs.all {
		if k.rings && k.id == id {
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
	if limit := p.loop.server.cfg.MaxLegs; p.legs >= limit {
		return fmt.Errorf("rtpio: %w: %d at %v", engine.ErrTooManyLegs, limit, p.rtp.local())
	}
	if err := e.claim(); err != nil {
		return err
	}
	c := newGuest(p, e, k)
	if err := c.begin(now); err != nil {
		e.release()
		return err
	}
	p.admit(k, c)
	p.loop.add(c)
	return nil
}

// newGuest is a conn of the shared port for a caller.
func newGuest(p *port, e *endpoint, k *caller) *conn {
	return &conn{
		loop: p.loop, ep: e, terms: k.terms, done: make(chan struct{}), remote: k.from, latched: true, source: k.from,
		ssrc: k.ssrc, reports: reportsOf(k.from, false),
	}
}

// admit gives a leg the stream of a caller, and what came of it.
func (p *port) admit(k *caller, c *conn) {
	p.callers.forget(k)
	p.join(c)
	p.callers.flow(k, c)
}

func (p *port) refuse(stream string) {
	if k := p.callers.find(stream); k != nil {
		k.rings, k.refused, k.packets = false, true, nil
	}
}

// shun ignores the stream of a leg that ended, lest it ring at once: until it has
// been silent for a while, or for so long at most.
func (cs *callers) shun(c *conn, now, atMost int64) {
	if len(cs.were) >= cs.port.loop.server.cfg.MaxLegs {
		cs.forget(cs.were[0])
	}
	k := &caller{from: c.remote, ssrc: c.ssrc, terms: c.terms, first: now, last: now, refused: true, was: true}
	if atMost > 0 {
		k.until = now + atMost
	}
	cs.add(k)
}
