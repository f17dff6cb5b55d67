package phone

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/pion/rtp"
)

// talkLoop plays the script on an absolute schedule, and then writes the log.
func (p *Phone) talkLoop() {
	defer close(p.done)
	p.play()
	p.drain()
	if p.cfg.Bye && p.asleep(0, nil) {
		p.goodbye()
		p.drain()
	}
	// Slot by slot: a machine that stands still for a while must not take the
	// time in which the rest could still be read.
	for range Slots(p.cfg.Linger) {
		if !p.asleep(p.now()+int64(Slot), nil) {
			break
		}
	}
	p.shut()
	p.log, p.err = p.write()
	if p.err != nil {
		p.err = fmt.Errorf("phone: %w", p.err)
	}
}

// asleep waits until a time, and reports whether it came: the call was neither
// broken off nor cut before.
func (p *Phone) asleep(at int64, cut <-chan struct{}) bool {
	select {
	case <-p.quit:
		return false
	case <-cut:
		return false
	default:
	}
	wait := at - p.now()
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(time.Duration(wait))
	defer timer.Stop()
	select {
	case <-p.quit:
		return false
	case <-cut:
		return false
	case <-timer.C:
		return true
	}
}

// play sends the slots when they are due. The packets of the next one are made
// beforehand, so that coding them delays none.
func (p *Phone) play() {
	slots := Slots(p.cfg.Duration)
	due, ready := p.zero, p.speaker.packets(0)
	for p.slots < slots {
		if at, ok := p.underWay(); ok && at < due {
			if !p.asleep(at, p.hung) {
				return
			}
			p.deliver()
			continue
		}
		if !p.asleep(due, p.hung) {
			return
		}
		p.talk(due, ready)
		p.slots++
		due += int64(Slot)
		if p.slots < slots {
			ready = p.speaker.packets(p.slots)
		}
	}
}

// drain waits for what is under way.
func (p *Phone) drain() {
	for {
		at, ok := p.underWay()
		if !ok || !p.asleep(at, nil) {
			return
		}
		p.deliver()
	}
}

// talk puts the packets of a slot on the link, but for those that the script
// keeps back.
func (p *Phone) talk(due int64, packets []rtp.Packet) {
	now := p.now()
	p.late = max(p.late, now-due)
	if now-due > int64(Slot) {
		p.lateSlots++
	}
	for _, packet := range packets {
		raw, err := packet.Marshal()
		if err != nil {
			p.sendErrors++
			continue
		}
		s := Sent{
			Slot: p.slots, Sequence: packet.SequenceNumber, Timestamp: packet.Timestamp,
			PayloadType: packet.PayloadType, Marker: packet.Marker, Size: len(packet.Payload), Left: -1,
		}
		p.octets += uint32(s.Size)
		switch {
		case p.drop[len(p.sent)]:
			s.Kept = ByScript
		case !p.media.Send(now, raw):
			s.Kept = ByNet
		}
		p.sent = append(p.sent, s)
	}
	if every := Slots(p.cfg.ReportEvery); every > 0 && p.slots > 0 && p.slots%every == 0 {
		p.report()
	}
	p.deliver()
}

// underWay returns when the next packet leaves the network.
func (p *Phone) underWay() (at int64, ok bool) {
	at, ok = p.media.Next()
	if other, more := p.control.Next(); more && (!ok || other < at) {
		return other, true
	}
	return at, ok
}

// deliver sends what has passed the network.
func (p *Phone) deliver() {
	now := p.now()
	for {
		raw, _, ok := p.media.Receive(now)
		if !ok {
			break
		}
		if _, err := p.rtp.WriteToUDPAddrPort(raw, p.target); err != nil {
			p.sendErrors++
			continue
		}
		s := p.sentAs(binary.BigEndian.Uint16(raw[2:]))
		s.Copies++
		if s.Copies == 1 {
			s.Left = time.Duration(now - p.zero)
		}
	}
	for {
		raw, _, ok := p.control.Receive(now)
		if !ok {
			return
		}
		if _, err := p.rtcp.WriteToUDPAddrPort(raw, p.targetRTCP); err != nil {
			p.sendErrors++
		}
	}
}

// sentAs finds a packet in the log: there are never 65536 under way.
func (p *Phone) sentAs(sequence uint16) *Sent {
	last := len(p.sent) - 1
	return &p.sent[last-int(p.sent[last].Sequence-sequence)]
}
