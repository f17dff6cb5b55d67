package rtpmedia

import (
	"testing"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// Encoders are made when something is said, decoders when something is heard:
// those of opus are most of the memory of a leg.
func TestMadeWhenNeeded(t *testing.T) {
	c := codecOf(t, "opus", 48000)
	var encoders, decoders int
	newEncoder, newDecoder := c.NewEncoder, c.NewDecoder
	c.NewEncoder = func() codec.Encoder { encoders++; return newEncoder() }
	c.NewDecoder = func() codec.Decoder { decoders++; return newDecoder() }
	o, err := NewOutbound(OutboundConfig{Codec: c, PayloadType: 111, EventType: 110})
	require.NoError(t, err)
	in, err := NewInbound(InboundConfig{Codec: c, PayloadType: 111, EventType: 110})
	require.NoError(t, err)
	require.NoError(t, o.Press('1', 60*ms))

	var said, heard [pcm.FrameSamples]int16
	now := int64(1e9)
	turn := func(frame *[pcm.FrameSamples]int16) {
		var p Packet
		if b, ok := o.Next(now, nil, frame); ok {
			require.NoError(t, p.Parse(b))
			in.Push(now, &p)
		}
		in.Pull(now, &heard)
		now += frameNanos
	}
	for range 50 {
		turn(nil)
	}
	require.Positive(t, o.Stats().Events)
	require.Zero(t, encoders+decoders, "for silence and keys")
	for range 50 {
		turn(&said)
	}
	require.Equal(t, 1, encoders)
	require.Equal(t, 1, decoders)
	require.True(t, in.heard)
}
