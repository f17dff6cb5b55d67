package phone

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pion/rtcp"
)

// isControl tells reports from media on the same port (RFC 5761, section 4).
func isControl(b []byte) bool { return len(b) >= 2 && b[1] >= 192 && b[1] <= 223 }

// reception is what a receiver reports of a stream.
type reception struct {
	heard         bool
	base, highest int64 // extended sequence numbers
	received      int64
	// At the last report.
	expectedBefore, receivedBefore int64

	timed   bool
	transit int32
	jitter  float64 // in timestamp units

	lastSR   uint32
	lastSRAt int64
}

// extend gives a sequence number the cycles that bring it nearest to highest.
func extend(highest int64, sequence uint16) int64 {
	return highest + int64(int16(sequence-uint16(highest)))
}

func (r *reception) count(sequence uint16) {
	if !r.heard {
		r.heard = true
		r.base = int64(sequence)
		r.highest = r.base
	}
	r.highest = max(r.highest, extend(r.highest, sequence))
	r.received++
}

// time updates the jitter (RFC 3550, appendix A.8). Events are not timed: all
// packets of one have the same timestamp.
func (r *reception) time(at int64, timestamp uint32, clockRate int) {
	transit := int32(units(at, clockRate) - timestamp)
	if r.timed {
		d := float64(transit - r.transit)
		r.jitter += (max(d, -d) - r.jitter) / 16
	}
	r.transit, r.timed = transit, true
}

// units converts ns to timestamp units.
func units(ns int64, clockRate int) uint32 {
	rate := int64(clockRate)
	return uint32(ns/1e9*rate + ns%1e9*rate/1e9)
}

// block is the reception report (RFC 3550, section 6.4.1 and appendix A.3).
func (r *reception) block(ssrc uint32, now int64) rtcp.ReceptionReport {
	expected := r.highest - r.base + 1
	lost := max(-1<<23, min(1<<23-1, expected-r.received))
	b := rtcp.ReceptionReport{
		SSRC: ssrc, TotalLost: uint32(lost) & 0xffffff, LastSequenceNumber: uint32(r.highest),
		Jitter: uint32(r.jitter), LastSenderReport: r.lastSR,
	}
	due, came := expected-r.expectedBefore, r.received-r.receivedBefore
	if due > 0 && due > came {
		b.FractionLost = uint8(min(255, (due-came)*256/due))
	}
	r.expectedBefore, r.receivedBefore = expected, r.received
	if r.lastSR != 0 {
		b.Delay = units(now-r.lastSRAt, 1<<16)
	}
	return b
}

// ntp is the wall clock at a time since the phone was opened (RFC 3550,
// section 4): read once, so that it does not jump in a call.
func (p *Phone) ntp(at int64) uint64 {
	const since1900 = 2208988800
	t := p.began.UnixNano() + at
	return uint64(t/1e9+since1900)<<32 | uint64(t%1e9)<<32/1e9
}

// report sends an SR, or an RR before anything was sent, with what was heard
// (RFC 3550, section 6.4).
func (p *Phone) report(more ...rtcp.Packet) {
	now := p.now()
	var packet rtcp.Packet
	p.mu.Lock()
	blocks := p.blocks(now)
	if len(p.sent) == 0 {
		packet = &rtcp.ReceiverReport{SSRC: p.cfg.SSRC, Reports: blocks}
	} else {
		sr := &rtcp.SenderReport{
			SSRC: p.cfg.SSRC, NTPTime: p.ntp(now), RTPTime: p.cfg.Timestamp + units(now-p.zero, p.clockRate),
			PacketCount: uint32(len(p.sent)), OctetCount: p.octets, Reports: blocks,
		}
		packet = sr
		if len(p.asked) >= maxAsked {
			p.asked = p.asked[1:]
		}
		p.asked = append(p.asked, uint32(sr.NTPTime>>16))
	}
	p.mu.Unlock()
	name := fmt.Sprintf("phone-%08x", p.cfg.SSRC)
	raw, err := rtcp.Marshal(append([]rtcp.Packet{packet, rtcp.NewCNAMESourceDescription(p.cfg.SSRC, name)}, more...))
	if err != nil {
		p.sendErrors++
		return
	}
	p.reportsSent++
	p.control.Send(now, raw)
}

// goodbye sends a BYE, behind the report that opens every packet of reports
// (RFC 3550, section 6.1).
func (p *Phone) goodbye() {
	p.report(&rtcp.Goodbye{Sources: []uint32{p.cfg.SSRC}, Reason: "hung up"})
}

const (
	maxBlocks = 31  // in one report
	maxAsked  = 256 // sender reports that may be answered
)

// blocks must be called with mu held.
func (p *Phone) blocks(now int64) (out []rtcp.ReceptionReport) {
	for _, ssrc := range slices.Sorted(maps.Keys(p.receptions)) {
		if r := p.receptions[ssrc]; r.heard && len(out) < maxBlocks {
			out = append(out, r.block(ssrc, now))
		}
	}
	return out
}

// takeControl writes down what a packet of reports says.
func (p *Phone) takeControl(now int64, b []byte) {
	packets, err := rtcp.Unmarshal(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.n.unreadable++
		return
	}
	switch packets[0].(type) {
	case *rtcp.SenderReport, *rtcp.ReceiverReport:
	default:
		p.n.incompound++
	}
	for _, packet := range packets {
		r := Report{At: time.Duration(now)}
		switch packet := packet.(type) {
		case *rtcp.SenderReport:
			r.Kind, r.SSRC, r.Packets, r.Octets = "SR", packet.SSRC, packet.PacketCount, packet.OctetCount
			r.NTP, r.Timestamp = packet.NTPTime, packet.RTPTime
			r.About = p.about(now, packet.Reports)
			p.answer(now, packet)
		case *rtcp.ReceiverReport:
			r.Kind, r.SSRC = "RR", packet.SSRC
			r.About = p.about(now, packet.Reports)
		case *rtcp.Goodbye:
			r.Kind, r.Reason = "BYE", packet.Reason
			if len(packet.Sources) > 0 {
				r.SSRC = packet.Sources[0]
			}
		default:
			continue
		}
		if len(p.reports) >= maxReports {
			p.n.omitted++
			continue
		}
		p.reports = append(p.reports, r)
	}
}

// answer remembers a sender report for the next report of the phone. It may
// come before the first packet.
func (p *Phone) answer(now int64, sr *rtcp.SenderReport) {
	r := p.receptions[sr.SSRC]
	if r == nil && len(p.receptions) < maxStreams {
		r = &reception{}
		p.receptions[sr.SSRC] = r
	}
	if r != nil {
		r.lastSR, r.lastSRAt = uint32(sr.NTPTime>>16), now
	}
}

// about finds what is said of the phone's own stream, and computes the round
// trip (RFC 3550, section 6.4.1).
func (p *Phone) about(now int64, blocks []rtcp.ReceptionReport) *About {
	i := slices.IndexFunc(blocks, func(b rtcp.ReceptionReport) bool { return b.SSRC == p.cfg.SSRC })
	if i < 0 {
		return nil
	}
	b := blocks[i]
	a := &About{
		FractionLost: float64(b.FractionLost) / 256, Lost: int(int32(b.TotalLost<<8) >> 8),
		HighestSequence: b.LastSequenceNumber, JitterMS: float64(b.Jitter) * 1000 / float64(p.clockRate),
	}
	switch {
	case b.LastSenderReport == 0:
	case !slices.Contains(p.asked, b.LastSenderReport):
		a.Stranger = true
	default:
		passed := int32(uint32(p.ntp(now)>>16) - b.LastSenderReport - b.Delay)
		// The units are 15 µs, so that no time at all may come out as less.
		a.RoundTrip = time.Duration(max(passed, 0)) * time.Second / (1 << 16)
		a.Measured = true
	}
	return a
}

// sortReports orders by time: the two sockets have readers of their own.
func sortReports(reports []Report) {
	slices.SortStableFunc(reports, func(a, b Report) int { return cmp.Compare(a.At, b.At) })
}
