package acsws

import (
	"bytes"
	"encoding/binary"
)

// scanAudio reads b into m if b is a KindAudioData in the cloud's own
// spelling, and reports whether it was. The known shape is:
//
//	{"kind":"AudioData","audioData":{
//	  "timestamp":"…","participantRawID":"…","data":"…","silent":false}}
//
// with the keys in any order, any of them but kind, audioData and data left
// out, none twice, any JSON white space, and strings of ASCII without control
// characters and escapes. Everything else, valid or not, is not recognised: it costs
// time, not correctness, since parseAny decides then. After false m holds
// nothing that may be used.
func scanAudio(b []byte, m *Message) bool {
	const kind, body = 1, 2
	s := scanner{b: b}
	if !s.lit('{') {
		return false
	}
	for seen := 0; ; {
		var bit int
		var ok bool
		switch s.initial() {
		case 'k':
			bit, ok = kind, s.key(`"kind"`) && string(s.word()) == "AudioData"
		case 'a':
			bit, ok = body, s.key(`"audioData"`) && s.audio(m)
		}
		if !ok || seen&bit != 0 {
			return false
		}
		seen |= bit
		switch s.next() {
		case ',':
		case '}':
			if s.space(); s.i != len(s.b) || seen != kind|body {
				return false
			}
			m.Kind = KindAudioData
			return true
		default:
			return false
		}
	}
}

// scanUsual is scanAudio for the message to the letter as the cloud writes it,
// with these keys in this order and no white space: a fifth of the time that a
// frame takes to its tap is saved. It takes nothing that scanAudio would not.
func scanUsual(b []byte, m *Message) bool {
	s := scanner{b: b}
	if !s.skip(`{"kind":"AudioData","audioData":{"timestamp":`) || !s.timestamp(m) {
		return false
	}
	if s.skip(`,"participantRawID":`) && !s.str(&m.Speaker) {
		return false
	}
	if !s.skip(`,"data":`) || !s.str(&m.Data) || !s.skip(`,"silent":`) || !s.boolean(&m.Silent) {
		return false
	}
	m.Kind = KindAudioData
	return string(s.b[s.i:]) == "}}"
}

// scanner reads JSON tokens of the known shape. Its methods skip white space
// before a token and return nil, 0 or false on anything else.
type scanner struct {
	b []byte
	i int // next byte to read
}

// audio reads the object of the audioData key.
func (s *scanner) audio(m *Message) bool {
	const timestamp, speaker, data, silent = 1, 2, 4, 8
	if !s.lit('{') {
		return false
	}
	for seen := 0; ; {
		var bit int
		var ok bool
		switch s.initial() {
		case 't':
			bit, ok = timestamp, s.key(`"timestamp"`) && s.timestamp(m)
		case 'p':
			bit, ok = speaker, s.key(`"participantRawID"`) && s.str(&m.Speaker)
		case 'd':
			bit, ok = data, s.key(`"data"`) && s.str(&m.Data)
		case 's':
			bit, ok = silent, s.key(`"silent"`) && s.boolean(&m.Silent)
		}
		if !ok || seen&bit != 0 {
			return false
		}
		seen |= bit
		switch s.next() {
		case ',':
		case '}':
			return seen&data != 0
		default:
			return false
		}
	}
}

// timestamp reads a string into m's timestamp.
func (s *scanner) timestamp(m *Message) bool {
	start := s.i
	v := s.word()
	if v == nil {
		return false
	}
	if m.Timestamp, m.HasTimestamp = parseUTC(v); m.HasTimestamp {
		return true
	}
	s.i = start
	if !s.str(&v) { // the same text again, now checked byte by byte
		return false
	}
	m.Timestamp, m.HasTimestamp = parseTimestamp(v)
	return true
}

// space skips JSON white space (RFC 8259 section 2).
func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// next skips white space and takes one byte, 0 at the end.
func (s *scanner) next() byte {
	if s.i < len(s.b) && s.b[s.i] > ' ' { // as nearly always
		s.i++
		return s.b[s.i-1]
	}
	s.space()
	if s.i >= len(s.b) {
		return 0
	}
	s.i++
	return s.b[s.i-1]
}

// lit takes the byte c behind white space.
func (s *scanner) lit(c byte) bool { return s.next() == c }

// initial returns the first letter of the key that comes next.
func (s *scanner) initial() byte {
	s.space()
	if s.i+1 >= len(s.b) {
		return 0
	}
	return s.b[s.i+1]
}

// skip takes text, if that is what comes next, to the letter.
func (s *scanner) skip(text string) bool {
	if rest := s.b[s.i:]; len(rest) < len(text) || string(rest[:len(text)]) != text {
		return false
	}
	s.i += len(text)
	return true
}

// key takes the quoted key and its colon.
func (s *scanner) key(quoted string) bool {
	rest := s.b[s.i:]
	if len(rest) < len(quoted) || string(rest[:len(quoted)]) != quoted {
		return false
	}
	s.i += len(quoted)
	return s.lit(':')
}

// word takes a string up to the next quote. The bytes are not checked: the
// caller must compare them with what it knows. A string that was cut at an
// escaped quote ends in a backslash, so it equals nothing known.
func (s *scanner) word() []byte {
	if !s.lit('"') {
		return nil
	}
	rest := s.b[s.i:]
	n := bytes.IndexByte(rest, '"')
	if n < 0 {
		return nil
	}
	s.i += n + 1
	return rest[:n:n]
}

// str takes a string of ASCII without control characters and escapes: one
// whose text is its bytes.
func (s *scanner) str(p *[]byte) bool {
	*p = s.word()
	return *p != nil && isText(*p) && bytes.IndexByte(*p, '\\') < 0
}

// isText reports whether every byte is 0x20 to 0x7f: what JSON takes in a
// string as it is (RFC 8259 section 7), so far as that is ASCII. It looks at
// 32 bytes at a time in plain registers: the vector code of segmentio/asm
// mixes SSE with AVX whose upper halves are in use, which costs some Intel
// machines 100 ns each time, more than the rest of a message.
func isText(b []byte) bool {
	const high, blank = 0x8080808080808080, 0x2020202020202020
	var bad uint64 // its high bits are set by bytes below 0x20 or above 0x7f
	for ; len(b) >= 32; b = b[32:] {
		w := binary.NativeEndian.Uint64(b)
		x := binary.NativeEndian.Uint64(b[8:16])
		y := binary.NativeEndian.Uint64(b[16:24])
		z := binary.NativeEndian.Uint64(b[24:32])
		// A byte below 0x20 borrows; what it borrows from may then be told
		// wrong, but only when there is a bad one anyway.
		bad |= w | (w - blank) | x | (x - blank) | y | (y - blank) | z | (z - blank)
	}
	for ; len(b) >= 8; b = b[8:] {
		w := binary.NativeEndian.Uint64(b)
		bad |= w | (w - blank)
	}
	for _, c := range b {
		bad |= uint64(c) | (uint64(c) - 0x20)
	}
	return bad&high == 0
}

// boolean takes true or false.
func (s *scanner) boolean(p *bool) bool {
	s.space()
	switch rest := s.b[s.i:]; {
	case len(rest) >= 4 && string(rest[:4]) == "true":
		*p, s.i = true, s.i+4
		return true
	case len(rest) >= 5 && string(rest[:5]) == "false":
		*p, s.i = false, s.i+5
		return true
	}
	return false
}
