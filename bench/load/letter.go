package load

import (
	"encoding/binary"
	"fmt"
	"time"
)

const stampForm = "2006-01-02T15:04:05.000Z"

// A letter is the message in which one speaker's frames go out: JSON text as
// the cloud writes it, whose timestamp and samples change in place, and the
// WebSocket frame around it.
type letter struct {
	frame []byte // header, masking key, masked text
	mask  uint64 // the key, twice
	text  []byte
	stamp []byte // where the timestamp is in text
	data  []byte // and the samples

	clip   *clip
	from   int // frame of the clip that frame 0 is
	zero   time.Time
	second int64 // of stamp
}

// newLetter makes one for a speaker; an empty id is a mixed stream. zero is
// the time of frame 0. key is the masking key: one for the whole connection,
// which saves drawing a new one for each frame. What the key is for (RFC 6455
// section 10.3), a load generator's peer need not fear.
func newLetter(c *clip, from int, id string, zero time.Time, key uint32) *letter {
	l := &letter{clip: c, from: from, zero: zero.UTC(), second: -1, mask: uint64(key)<<32 | uint64(key)}
	head := `{"kind":"AudioData","audioData":{"timestamp":"`
	middle := `","data":"`
	if id != "" {
		middle = fmt.Sprintf(`","participantRawID":%q,"data":"`, id)
	}
	l.text = fmt.Appendf(nil, `%s%s%s`, head, stampForm, middle)
	at := len(l.text)
	l.text = append(l.text, make([]byte, c.chars)...)
	l.text = append(l.text, `","silent":false}}`...)
	l.stamp = l.text[len(head):][:len(stampForm)]
	l.data = l.text[at:][:c.chars]
	l.frame = appendHeader(nil, opText, len(l.text), key)
	l.frame = append(l.frame, l.text...)
	return l
}

// fill makes the letter that of frame m.seq, and returns its bytes, which are
// valid until the next.
func (l *letter) fill(m mark) []byte {
	ms := l.zero.UnixMilli() + int64(m.seq)*frameTime.Milliseconds()
	if s := ms / 1000; s != l.second {
		l.second = s
		var b [64]byte // AppendFormat writes beyond what it returns
		copy(l.stamp, time.UnixMilli(ms).UTC().AppendFormat(b[:0], stampForm))
	}
	ms %= 1000
	l.stamp[20], l.stamp[21], l.stamp[22] = '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10)
	l.clip.encode(l.data, l.from+int(m.seq), m)
	maskInto(l.frame[len(l.frame)-len(l.text):], l.text, l.mask)
	return l.frame
}

// Opcodes (RFC 6455 section 5.2).
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// appendHeader opens a client's frame of n bytes of payload.
func appendHeader(b []byte, op byte, n int, key uint32) []byte {
	switch {
	case n < 126:
		b = append(b, 0x80|op, 0x80|byte(n))
	case n < 1<<16:
		b = append(b, 0x80|op, 0x80|126, byte(n>>8), byte(n))
	default:
		b = append(b, 0x80|op, 0x80|127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return binary.LittleEndian.AppendUint32(b, key)
}

// maskInto writes src, masked, to dst of the same length.
func maskInto(dst, src []byte, mask uint64) {
	n := len(src) &^ 7
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(src[i:])^mask)
	}
	for i := n; i < len(src); i++ {
		dst[i] = src[i] ^ byte(mask>>(8*(i&7)))
	}
}

// control returns a control frame, payload of at most 125 bytes.
func control(op byte, payload []byte, key uint32) []byte {
	b := appendHeader(nil, op, len(payload), key)
	at := len(b)
	b = append(b, payload...)
	maskInto(b[at:], payload, uint64(key)<<32|uint64(key))
	return b
}
