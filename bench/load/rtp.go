package load

import (
	"cmp"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"strings"

	"github.com/mixminus/mixminus/codec/g711"
)

// rtpCodec is how a frame looks in a packet.
type rtpCodec struct {
	payloadType byte
	step        uint32 // of the timestamp
	tones       bool   // else marks in samples
}

// rtpCodecs are those that codec=NAME in a URL may name.
var rtpCodecs = map[string]rtpCodec{
	"PCMU": {0, toneFrame, true},
	"PCMA": {8, toneFrame, true},
	"L16":  {97, 320, false}, // dynamic; not 101, which is telephone events
}

// rtpCodecOf finds one of those that can be had; the first is the default.
func rtpCodecOf(name string, among ...string) (rtpCodec, error) {
	name = strings.ToUpper(cmp.Or(name, among[0]))
	if !slices.Contains(among, name) {
		last := len(among) - 1
		return rtpCodec{}, errConfig("URL: codec %q: want %s or %s", name, strings.Join(among[:last], ", "), among[last])
	}
	return rtpCodecs[name], nil
}

// rtpWire is RTP (RFC 3550): plain from a sender that nobody announced, or what
// a peer of WebRTC encrypts.
type rtpWire struct {
	// Static.
	codec rtpCodec
	clip  *clip
	from  int            // frame of the clip that frame 0 is
	sound [tones][]byte  // payloads, of codecs with tones
	table *[1 << 8]int16 // of G.711
	start uint16         // sequence number of frame 0
	stamp uint32         // and its timestamp

	packet []byte // owned by the writer

	// Owned by the reader.
	c     *call
	now   int64
	tones toneReader
	marks markReader
	found func(mark)
	tone  func(seq uint32)
}

const rtpHeader = 12

func newRTPWire(r *runner, n int) *rtpWire {
	w := &rtpWire{codec: r.cfg.codec, clip: r.clip, from: n * 37, start: uint16(rand.Uint32()), stamp: rand.Uint32()}
	w.packet = make([]byte, rtpHeader, rtpHeader+640)
	w.packet[0] = 2 << 6
	binary.BigEndian.PutUint32(w.packet[8:], rand.Uint32())
	w.marks.frameBytes = r.clip.bytes
	w.found = func(m mark) { w.c.back(m, w.now) }
	w.tone = func(seq uint32) { w.c.back(mark{seq: seq}, w.now) }
	if !w.codec.tones {
		return w
	}
	encode, decode := g711.EncodeUlaw, g711.DecodeUlaw
	if w.codec.payloadType == 8 {
		encode, decode = g711.EncodeAlaw, g711.DecodeAlaw
	}
	for k := range w.sound {
		samples := toneOf(uint32(k))
		w.sound[k] = make([]byte, toneFrame)
		encode(w.sound[k], samples[:])
	}
	w.table = new([1 << 8]int16)
	for i := range w.table {
		decode(w.table[i:i+1], []byte{byte(i)})
	}
	return w
}

func (w *rtpWire) frame(m mark) []byte {
	p := w.packet[:rtpHeader]
	p[1] = w.codec.payloadType
	if m.seq == 0 {
		p[1] |= 0x80 // the marker of a beginning (RFC 3551, section 4.1)
	}
	binary.BigEndian.PutUint16(p[2:], w.start+uint16(m.seq))
	binary.BigEndian.PutUint32(p[4:], w.stamp+m.seq*w.codec.step)
	if w.codec.tones {
		return append(p, w.sound[m.seq%tones]...)
	}
	at := (w.from + int(m.seq)) % w.clip.frames * w.clip.bytes
	p = append(p, w.clip.pcm[at:at+w.clip.bytes]...)
	body := p[rtpHeader:]
	m.put(body)
	swap(body)
	return p
}

// swap turns L16 of one byte order into the other.
func swap(b []byte) {
	for i := 0; i+1 < len(b); i += 2 {
		b[i], b[i+1] = b[i+1], b[i]
	}
}

// bye is a report without anything in it, and the end (RFC 3550, section 6.6).
func (w *rtpWire) bye() []byte {
	ssrc := w.packet[8:rtpHeader]
	b := append([]byte{2 << 6, 201, 0, 1}, ssrc...)
	return append(append(b, 2<<6|1, 203, 0, 1), ssrc...)
}

// isReport tells RTCP from RTP on one port (RFC 5761, section 4).
func isReport(b []byte) bool { return b[1] >= 192 && b[1] < 224 }

// heard takes one packet.
func (w *rtpWire) heard(c *call, b []byte, now int64) error {
	if len(b) < rtpHeader || b[0]>>6 != 2 || isReport(b) {
		c.tally.other++
		return nil
	}
	size := rtpHeader + 4*int(b[0]&0x0f)
	if b[0]&0x30 != 0 || len(b) < size || b[1]&0x7f != w.codec.payloadType {
		c.tally.other++
		return nil
	}
	w.c, w.now = c, now
	payload := b[size:]
	if !w.codec.tones {
		swap(payload)
		c.tally.altered += int64(w.marks.samples(payload, w.found))
		return nil
	}
	if len(payload) != toneFrame {
		c.tally.altered += int64(len(payload))
		return nil
	}
	var s [toneFrame]int16
	for i, v := range payload {
		s[i] = w.table[v]
	}
	if !w.tones.read(s[:], binary.BigEndian.Uint32(b[4:]), now, c.first, w.tone) {
		c.tally.altered += toneFrame
	}
	return nil
}

// dialRTP opens the socket of call n.
func dialRTP(ctx context.Context, cfg *Config, n int) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	if ip := clientAddr(cfg.url.Host, n); ip != nil && canSpread {
		d.LocalAddr = &net.UDPAddr{IP: ip.IP}
	}
	return d.DialContext(ctx, "udp", cfg.url.Host)
}
