package rtpmedia

import (
	"encoding/binary"
	"errors"
)

// ErrCompound: what comes is no RTCP, or a compound that pads another part than
// its last (RFC 3550, appendix A.2). A compound should begin with a report; but
// many begin with something else, reduced in size (RFC 5506), whether or not that
// was agreed on: baresip says BYE so.
var ErrCompound = errors.New("rtpmedia: not a valid compound of reports")

// Packet types of RTCP (RFC 3550, section 12.1).
const (
	typeSR   = 200
	typeRR   = 201
	typeSDES = 202
	typeBYE  = 203
	typeXR   = 207 // the highest that is in use (RFC 3611)

	itemCNAME = 1

	blockSize = 24
	maxBlocks = 31
	maxText   = 255
)

// Report is a compound RTCP packet (RFC 3550, section 6):
//
//	SR  ssrc, NTP time 64, RTP time 32, packets 32, octets 32, blocks
//	RR  ssrc, blocks                                instead, of who sends nothing
//	SDES ssrc, CNAME
//	BYE ssrc ..., reason
type Report struct {
	// SSRC of who reports.
	SSRC uint32
	// HasSender: it is a sender report, and Sender holds what that says.
	HasSender bool
	Sender    SenderInfo
	// Blocks tell how streams were received, those of all reports in the
	// compound.
	Blocks []ReportBlock
	// CNAME of the reporter, at most 255 bytes. Parse makes it an alias.
	CNAME []byte
	// Bye lists the sources that leave.
	Bye []uint32
	// Others counts parts that are well formed and not understood: feedback,
	// application data, extended reports, reports of other sources' sending.
	Others int
}

// SenderInfo is what a sender tells of its own stream.
type SenderInfo struct {
	// NTP is the wall clock in seconds since 1900, 32.32 bits, at the time of
	// the report; RTP the same time on the stream's clock.
	NTP uint64
	RTP uint32
	// Packets and Octets of payload sent so far.
	Packets, Octets uint32
}

// ReportBlock is what a receiver tells of a stream (RFC 3550, section 6.4.1).
type ReportBlock struct {
	SSRC uint32
	// Fraction of packets lost since the last report, in 1/256.
	Fraction uint8
	// Lost packets in all; 24 bits, negative if duplicates outweigh losses.
	Lost int32
	// Highest sequence number received, extended by its wraps.
	Highest uint32
	// Jitter in ticks of the stream's clock.
	Jitter uint32
	// LastSR is the middle of the NTP time of the last sender report, Delay
	// the time since it came, in 1/65536 s. Both 0 if none came.
	LastSR, Delay uint32
}

// Parse reads a compound. On an error r holds nothing that may be used. It
// never panics, and does not allocate once Blocks and Bye have grown.
func (r *Report) Parse(b []byte) error {
	*r = Report{Blocks: r.Blocks[:0], Bye: r.Bye[:0]}
	for first := true; first || len(b) > 0; first = false {
		if len(b) < 4 {
			return ErrShort
		}
		if b[0]>>6 != 2 {
			return ErrVersion
		}
		n := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < n {
			return ErrShort
		}
		part, rest := b[:n], b[n:]
		if first && (part[1] < typeSR || part[1] > typeXR) {
			return ErrCompound
		}
		if first && n >= 8 {
			r.SSRC = binary.BigEndian.Uint32(part[4:])
		}
		if part[0]&0x20 != 0 {
			pad := int(part[n-1])
			switch {
			case len(rest) > 0 || first:
				return ErrCompound
			case pad == 0 || pad%4 != 0 || pad > n-4:
				return ErrPadding
			}
			part = part[:n-pad]
		}
		if err := r.part(part, first); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// part reads one packet of the compound.
func (r *Report) part(b []byte, first bool) error {
	count, body := int(b[0]&0x1f), b[4:]
	switch b[1] {
	case typeSR:
		if len(body) < 24 {
			return ErrShort
		}
		if first {
			r.HasSender = true
			r.Sender = SenderInfo{
				NTP: binary.BigEndian.Uint64(body[4:]), RTP: binary.BigEndian.Uint32(body[12:]),
				Packets: binary.BigEndian.Uint32(body[16:]), Octets: binary.BigEndian.Uint32(body[20:]),
			}
		} else {
			r.Others++
		}
		return r.blocks(body[24:], count)
	case typeRR:
		if len(body) < 4 {
			return ErrShort
		}
		return r.blocks(body[4:], count)
	case typeSDES:
		return r.descriptions(body, count)
	case typeBYE:
		if len(body) < 4*count {
			return ErrShort
		}
		for i := range count {
			r.Bye = append(r.Bye, binary.BigEndian.Uint32(body[4*i:]))
		}
	default:
		r.Others++
	}
	return nil
}

func (r *Report) blocks(b []byte, count int) error {
	if len(b) < blockSize*count {
		return ErrShort
	}
	for ; count > 0; count-- {
		r.Blocks = append(r.Blocks, ReportBlock{
			SSRC: binary.BigEndian.Uint32(b), Fraction: b[4],
			Lost:    int32(binary.BigEndian.Uint32(b[4:])<<8) >> 8,
			Highest: binary.BigEndian.Uint32(b[8:]), Jitter: binary.BigEndian.Uint32(b[12:]),
			LastSR: binary.BigEndian.Uint32(b[16:]), Delay: binary.BigEndian.Uint32(b[20:]),
		})
		b = b[blockSize:]
	}
	return nil
}

// descriptions reads the chunks of an SDES packet: a source, then items of
// type, length and text, up to a zero, filled up to a word.
func (r *Report) descriptions(b []byte, count int) error {
	for ; count > 0; count-- {
		if len(b) < 4 {
			return ErrShort
		}
		ssrc := binary.BigEndian.Uint32(b)
		at := 4
		for at < len(b) && b[at] != 0 {
			if len(b) < at+2 || len(b) < at+2+int(b[at+1]) {
				return ErrShort
			}
			text := b[at+2 : at+2+int(b[at+1])]
			if b[at] == itemCNAME && ssrc == r.SSRC {
				r.CNAME = text
			}
			at += 2 + len(text)
		}
		if at >= len(b) {
			return ErrShort // no zero
		}
		b = b[min(at&^3+4, len(b)):]
	}
	return nil
}

// Append appends the compound to dst. A CNAME is required on the wire; an
// empty one is written as such.
func (r *Report) Append(dst []byte) []byte {
	blocks := r.Blocks
	n := min(len(blocks), maxBlocks)
	if r.HasSender {
		dst = appendHeader(dst, n, typeSR, 6+6*n)
		dst = binary.BigEndian.AppendUint32(dst, r.SSRC)
		dst = binary.BigEndian.AppendUint64(dst, r.Sender.NTP)
		dst = binary.BigEndian.AppendUint32(dst, r.Sender.RTP)
		dst = binary.BigEndian.AppendUint32(dst, r.Sender.Packets)
		dst = binary.BigEndian.AppendUint32(dst, r.Sender.Octets)
	} else {
		dst = appendHeader(dst, n, typeRR, 1+6*n)
		dst = binary.BigEndian.AppendUint32(dst, r.SSRC)
	}
	dst = appendBlocks(dst, blocks[:n])
	for blocks = blocks[n:]; len(blocks) > 0; blocks = blocks[n:] {
		n = min(len(blocks), maxBlocks)
		dst = appendHeader(dst, n, typeRR, 1+6*n)
		dst = binary.BigEndian.AppendUint32(dst, r.SSRC)
		dst = appendBlocks(dst, blocks[:n])
	}
	text := r.CNAME[:min(len(r.CNAME), maxText)]
	fill := 4 - (2+len(text))%4 // at least one zero
	dst = appendHeader(dst, 1, typeSDES, 1+(2+len(text)+fill)/4)
	dst = binary.BigEndian.AppendUint32(dst, r.SSRC)
	dst = append(append(dst, itemCNAME, byte(len(text))), text...)
	dst = append(dst, make([]byte, fill)...)
	if bye := r.Bye[:min(len(r.Bye), maxBlocks)]; len(bye) > 0 {
		dst = appendHeader(dst, len(bye), typeBYE, len(bye))
		for _, ssrc := range bye {
			dst = binary.BigEndian.AppendUint32(dst, ssrc)
		}
	}
	return dst
}

func appendHeader(dst []byte, count int, kind byte, words int) []byte {
	return binary.BigEndian.AppendUint16(append(dst, byte(2<<6|count), kind), uint16(words))
}

func appendBlocks(dst []byte, blocks []ReportBlock) []byte {
	for _, k := range blocks {
		lost := uint32(max(-1<<23, min(1<<23-1, k.Lost)))
		dst = binary.BigEndian.AppendUint32(dst, k.SSRC)
		dst = binary.BigEndian.AppendUint32(dst, uint32(k.Fraction)<<24|lost&0xffffff)
		dst = binary.BigEndian.AppendUint32(dst, k.Highest)
		dst = binary.BigEndian.AppendUint32(dst, k.Jitter)
		dst = binary.BigEndian.AppendUint32(dst, k.LastSR)
		dst = binary.BigEndian.AppendUint32(dst, k.Delay)
	}
	return dst
}

// NTP converts nanoseconds since 1970 to a report's wall clock (RFC 3550,
// section 4).
func NTP(unix int64) uint64 {
	const from1900 = 2208988800
	seconds, nanos := unix/1e9, unix%1e9
	return uint64(seconds+from1900)<<32 | uint64(nanos)<<32/1e9
}

// middle is the part of an NTP time that reports carry back: 16.16 bits.
func middle(ntp uint64) uint32 { return uint32(ntp >> 16) }

// RoundTrip returns the time in nanoseconds that a report of ours and the
// answer to it were under way, given when that answer came (NTP) and the block
// in it. ok is false if it answers no report of ours, or tells of a time that
// cannot be: a negative one, or more than a minute.
func (k *ReportBlock) RoundTrip(now uint64) (nanos int64, ok bool) {
	if k.LastSR == 0 {
		return 0, false
	}
	t := middle(now) - k.LastSR - k.Delay
	switch {
	case -t <= 1<<16/1000: // two clocks of one machine, read in the other order
		return 0, true
	case t > 60<<16:
		return 0, false
	}
	return int64(uint64(t) * 1e9 >> 16), true
}

// ReporterOf returns the SSRC of who sent a compound, without reading it all.
func ReporterOf(b []byte) (ssrc uint32, ok bool) {
	if len(b) < 8 || b[0]>>6 != 2 || b[1] < typeSR || b[1] > typeXR {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[4:]), true
}
