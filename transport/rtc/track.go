package rtc

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// track is what a peer is sent: packets that are made elsewhere, events among
// them, which Pion's own tracks would renumber.
type track struct {
	codec  webrtc.RTPCodecParameters
	writer atomic.Pointer[webrtc.TrackLocalWriter] // nil until it is connected

	// Owned by the beat's goroutine.
	header rtp.Header
}

var _ webrtc.TrackLocal = (*track)(nil)

// Bind implements webrtc.TrackLocal.
func (t *track) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	w := ctx.WriteStream()
	t.writer.Store(&w)
	return t.codec, nil
}

// Unbind implements webrtc.TrackLocal.
func (t *track) Unbind(webrtc.TrackLocalContext) error {
	t.writer.Store(nil)
	return nil
}

// ID implements webrtc.TrackLocal.
func (t *track) ID() string { return "audio" }

// RID implements webrtc.TrackLocal.
func (t *track) RID() string { return "" }

// StreamID implements webrtc.TrackLocal.
func (t *track) StreamID() string { return "mixminus" }

// Kind implements webrtc.TrackLocal.
func (t *track) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }

// send encrypts and sends a packet that rtpmedia made: one without sources,
// extension or padding. False if it could not be sent.
func (t *track) send(b []byte) bool {
	w := t.writer.Load()
	if w == nil {
		return false
	}
	const size = 12
	h := &t.header
	h.Version, h.Marker, h.PayloadType = 2, b[1]&0x80 != 0, b[1]&0x7f
	h.SequenceNumber = binary.BigEndian.Uint16(b[2:])
	h.Timestamp = binary.BigEndian.Uint32(b[4:])
	h.SSRC = binary.BigEndian.Uint32(b[8:])
	_, err := (*w).WriteRTP(h, b[size:])
	return err == nil
}
