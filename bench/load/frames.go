package load

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// maxMessage bounds what a server may send at once, in bytes.
const maxMessage = 1 << 20

// A deframer cuts what a server sends into messages. What belongs to a frame
// that is not whole yet waits for the next read.
type deframer struct {
	carry []byte // the beginning of a frame
	parts []byte // fragments of a message
	op    byte   // of the message that parts are of

	message func(op byte, payload []byte) // text, binary or control; payload is valid during the call
}

// feed takes what was read.
func (d *deframer) feed(b []byte) error {
	if len(d.carry) > 0 {
		d.carry = append(d.carry, b...)
		b = d.carry
	}
	for {
		head, size, err := frameSize(b)
		if err != nil {
			return err
		}
		if size == 0 || len(b) < size {
			break
		}
		if err := d.frame(b[0], b[head:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	d.carry = append(d.carry[:0], b...) // moves towards the front if b is the rest of carry
	return nil
}

// frameSize returns how long the frame at the front of b is, and how much of
// that its header; 0 if the header is not whole.
func frameSize(b []byte) (head, size int, err error) {
	if len(b) < 2 {
		return 0, 0, nil
	}
	if b[1]&0x80 != 0 || b[0]&0x70 != 0 {
		return 0, 0, fmt.Errorf("a frame of bits %#02x %#02x: masked, or of an extension that was not agreed on", b[0], b[1])
	}
	n := uint64(b[1] & 0x7f)
	head = 2
	switch n {
	case 126:
		if head = 4; len(b) < head {
			return 0, 0, nil
		}
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if head = 10; len(b) < head {
			return 0, 0, nil
		}
		n = binary.BigEndian.Uint64(b[2:])
	}
	if n > maxMessage {
		return 0, 0, fmt.Errorf("a frame of %d bytes: want at most %d", n, maxMessage)
	}
	return head, head + int(n), nil
}

func (d *deframer) frame(first byte, payload []byte) error {
	op, last := first&0x0f, first&0x80 != 0
	switch {
	case op >= opClose:
		d.message(op, payload)
	case op != opContinuation && last:
		d.message(op, payload)
	default:
		if op != opContinuation {
			d.op, d.parts = op, d.parts[:0]
		}
		if len(d.parts)+len(payload) > maxMessage {
			return fmt.Errorf("a message of more than %d bytes", maxMessage)
		}
		if d.parts = append(d.parts, payload...); last {
			d.message(d.op, d.parts)
		}
	}
	return nil
}

// audioIn returns the base64 of a message's audio in any of the spellings that
// bots use (docs/EMULATOR.md); false if it holds none. It looks for the one
// key whose value is a string, for bots differ in case, order and white space.
func audioIn(text []byte) ([]byte, bool) {
	for {
		i := bytes.Index(text, []byte(`ata"`))
		if i < 1 {
			return nil, false
		}
		key := text[i-1]
		text = bytes.TrimLeft(text[i+4:], " \t\r\n")
		if (key != 'd' && key != 'D') || len(text) == 0 || text[0] != ':' {
			continue
		}
		value := bytes.TrimLeft(text[1:], " \t\r\n")
		if len(value) == 0 || value[0] != '"' {
			continue
		}
		end := bytes.IndexByte(value[1:], '"')
		if end < 0 {
			return nil, false
		}
		return value[1 : 1+end], true
	}
}

// A reader of marks finds them in a stream of audio, however the server cut
// it. Nearly always it gets frames as they were sent.
type markReader struct {
	frameBytes int
	pcm        []byte // samples that no mark was found in yet
}

// read looks through one message's audio and tells of each marked frame. What
// has no mark is counted as altered, in samples.
func (r *markReader) read(data []byte, found func(mark)) (altered int) {
	if len(r.pcm) == 0 && decodedLen(data) == r.frameBytes {
		var head [markBytes]byte
		if _, err := base64.StdEncoding.Decode(head[:], data[:markChars]); err == nil {
			if m, ok := markOf(head[:]); ok {
				found(m)
				return 0
			}
		}
	}
	at := len(r.pcm)
	r.pcm = append(r.pcm, make([]byte, base64.StdEncoding.DecodedLen(len(data)))...)
	n, err := base64.StdEncoding.Decode(r.pcm[at:], data)
	if err != nil {
		r.pcm = r.pcm[:0]
		return at/2 + len(data)*3/8
	}
	r.pcm = r.pcm[:at+n]
	return r.scan(found)
}

// samples looks through audio that is not in base64.
func (r *markReader) samples(pcm []byte, found func(mark)) (altered int) {
	r.pcm = append(r.pcm, pcm...)
	return r.scan(found)
}

// decodedLen is how many bytes base64 holds.
func decodedLen(data []byte) int {
	n := len(data) / 4 * 3
	for i := len(data) - 1; i >= max(0, len(data)-2) && data[i] == '='; i-- {
		n--
	}
	return n
}

// scan takes whole frames off the front of pcm.
func (r *markReader) scan(found func(mark)) (altered int) {
	b := r.pcm
	for len(b) >= r.frameBytes {
		if m, ok := markOf(b); ok {
			found(m)
			b = b[r.frameBytes:]
			continue
		}
		b = b[2:] // a sample further on
		altered++
	}
	r.pcm = append(r.pcm[:0], b...)
	return altered
}
