package rtpmedia

import (
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// Packets of two lengths, as of a sender that cuts what it reads from a file
// (2,048 samples, at once) by 320: six of these and a short one. Their turns
// come at different places of a frame, over and over, which is no reason to
// change the delay over and over.
func TestPacketsOfTwoLengths(t *testing.T) {
	c := l16(t)
	in, err := NewInbound(InboundConfig{Codec: c, PayloadType: 96})
	require.NoError(t, err)
	const read = 2048
	said, enc, payload := speech(30), c.NewEncoder(), make([]byte, 640)
	var heard []int16
	p := Packet{PayloadType: 96, SSRC: 7}
	now := 1000 * ms
	for from := 0; from+read <= len(said); from += read {
		for at := 1000*ms + int64(from)*62500; now < at; now += frameNanos {
			var f [pcm.FrameSamples]int16
			in.Pull(now, &f)
			heard = append(heard, f[:]...)
		}
		for x := said[from : from+read]; len(x) > 0; {
			n := min(pcm.FrameSamples, len(x))
			p.Payload = payload[:enc.Encode(payload, x[:n])]
			in.Push(now, &p)
			p.Seq, p.Timestamp, x = p.Seq+1, p.Timestamp+uint32(n), x[n:]
		}
	}
	s := in.Stats()
	t.Logf("grown %d times, shrunk %d times; %v", s.Grows, s.Shrinks, signal.Liken(said, heard))
	require.Zero(t, s.Jitter.Missing+s.Jitter.Late)
	require.LessOrEqual(t, s.Grows+s.Shrinks, int64(5))
}

// A length that is not sent any more does not count for ever.
func TestGrainForgets(t *testing.T) {
	g := newGrain()
	require.Equal(t, 320, g.of)
	g.add(960)
	require.Equal(t, 320, g.of)
	g.add(128)
	require.Equal(t, 64, g.of)
	for range 2 * grainAge {
		g.add(480)
	}
	require.Equal(t, 160, g.of)
}
