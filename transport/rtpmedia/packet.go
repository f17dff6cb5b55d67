package rtpmedia

import (
	"encoding/binary"
	"errors"
)

// What can be wrong with a packet. They are values without details, so that a
// flood of bad packets costs nothing; drivers count them.
var (
	// ErrShort: the packet ends before what its header announces.
	ErrShort = errors.New("rtpmedia: packet is shorter than its header says")
	// ErrVersion: not version 2. STUN, DTLS and ZRTP on the same port are
	// told apart by this.
	ErrVersion = errors.New("rtpmedia: not version 2")
	// ErrPadding: the padding is zero or longer than what it pads.
	ErrPadding = errors.New("rtpmedia: padding lies about its length")
)

// Packet is an RTP packet (RFC 3550, section 5.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|V=2|P|X|  CC   |M|     PT      |       sequence number         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                           timestamp                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           synchronization source (SSRC) identifier            |
//	+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//	|            contributing source (CSRC) identifiers             |
//	|                             ....                              |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|      profile, if X is set     |  length of extension in words |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Packet struct {
	Marker      bool
	PayloadType uint8 // 7 bits
	Seq         uint16
	Timestamp   uint32
	SSRC        uint32

	// Contributing holds the CSRC list as it stands on the wire, four bytes
	// each, at most 15.
	Contributing []byte
	// HasExtension: a header extension is there, and may be empty.
	HasExtension bool
	// Profile says what the extension is (0xBEDE: RFC 8285).
	Profile uint16
	// Extension is its body, a whole number of words.
	Extension []byte
	// Payload without padding.
	Payload []byte
}

const (
	headerSize = 12
	maxCSRC    = 15
)

// Parse reads b, which p's slices then alias. On an error p holds nothing
// that may be used. It never panics.
func (p *Packet) Parse(b []byte) error {
	if len(b) < headerSize {
		return ErrShort
	}
	if b[0]>>6 != 2 {
		return ErrVersion
	}
	p.Marker, p.PayloadType = b[1]&0x80 != 0, b[1]&0x7f
	p.Seq = binary.BigEndian.Uint16(b[2:])
	p.Timestamp = binary.BigEndian.Uint32(b[4:])
	p.SSRC = binary.BigEndian.Uint32(b[8:])
	rest := b[headerSize:]
	n := 4 * int(b[0]&0x0f)
	if len(rest) < n {
		return ErrShort
	}
	p.Contributing, rest = rest[:n], rest[n:]
	p.HasExtension, p.Profile, p.Extension = b[0]&0x10 != 0, 0, nil
	if p.HasExtension {
		if len(rest) < 4 {
			return ErrShort
		}
		p.Profile = binary.BigEndian.Uint16(rest)
		n := 4 + 4*int(binary.BigEndian.Uint16(rest[2:]))
		if len(rest) < n {
			return ErrShort
		}
		p.Extension, rest = rest[4:n], rest[n:]
	}
	if b[0]&0x20 != 0 {
		if len(rest) == 0 {
			return ErrPadding
		}
		pad := int(rest[len(rest)-1])
		if pad == 0 || pad > len(rest) {
			return ErrPadding
		}
		rest = rest[:len(rest)-pad]
	}
	p.Payload = rest
	return nil
}

// Append appends the packet to dst, without padding. What does not fit its
// field is cut: a CSRC list to 15, list and extension to whole words.
func (p *Packet) Append(dst []byte) []byte {
	csrc := min(len(p.Contributing)/4, maxCSRC)
	first := byte(2<<6 | csrc)
	if p.HasExtension {
		first |= 0x10
	}
	second := p.PayloadType & 0x7f
	if p.Marker {
		second |= 0x80
	}
	dst = append(dst, first, second)
	dst = binary.BigEndian.AppendUint16(dst, p.Seq)
	dst = binary.BigEndian.AppendUint32(dst, p.Timestamp)
	dst = binary.BigEndian.AppendUint32(dst, p.SSRC)
	dst = append(dst, p.Contributing[:4*csrc]...)
	if p.HasExtension {
		words := min(len(p.Extension)/4, 1<<16-1)
		dst = binary.BigEndian.AppendUint16(dst, p.Profile)
		dst = binary.BigEndian.AppendUint16(dst, uint16(words))
		dst = append(dst, p.Extension[:4*words]...)
	}
	return append(dst, p.Payload...)
}

// CSRC returns the i-th contributing source. It panics beyond the list.
func (p *Packet) CSRC(i int) uint32 { return binary.BigEndian.Uint32(p.Contributing[4*i:]) }

// IsRTCP tells a report from a media packet on a port that carries both (RFC
// 5761, section 4), by the packet type in the second byte.
func IsRTCP(b []byte) bool { return len(b) >= 2 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223 }
