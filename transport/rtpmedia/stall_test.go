package rtpmedia

import (
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// Whoever pulls may stand still for a while, and then make up for it with the
// times at which it should have pulled. What came meanwhile is no backlog, even
// where the delay is nearly the longest.
func TestStallIsNoBacklog(t *testing.T) {
	const stall = 200 * ms
	c := l16(t)
	in, err := NewInbound(InboundConfig{Codec: c, PayloadType: 96, Jitter: JitterConfig{
		Min: 300 * time.Millisecond, Max: 320 * time.Millisecond,
	}})
	require.NoError(t, err)
	said, enc, payload := numbered(250), c.NewEncoder(), make([]byte, 640)
	var heard []int16
	due, begun := 1000*ms, 1000*ms
	for i := range 250 {
		now := begun + int64(i)*frameNanos
		p := Packet{PayloadType: 96, SSRC: 7, Seq: uint16(i), Timestamp: uint32(i * 320)}
		p.Payload = payload[:enc.Encode(payload, said[i*320:][:320])]
		in.Push(now, &p)
		if phase := now % (1000 * ms); phase < stall && i > 50 {
			continue
		}
		for ; due <= now; due += frameNanos {
			var f [pcm.FrameSamples]int16
			in.Pull(due, &f)
			heard = append(heard, f[:]...)
		}
	}
	s := in.Stats()
	require.Zero(t, s.Jitter.Discarded+s.Jitter.Missing+s.Jitter.Late+s.Concealed+s.Grows+s.Shrinks, "%+v", s)
	require.Equal(t, said[:len(heard)-15*320], heard[15*320:])
}
