package rtpmedia

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// A schedule is a list of pushes and pulls, four bytes each: what to do, by how
// much the sequence number departs from the next, and the timestamp, and how
// much time passes before.
func schedule(steps ...[4]byte) (b []byte) {
	for _, s := range steps {
		b = append(b, s[:]...)
	}
	return b
}

// Whatever comes, in whatever order, whenever: each packet is counted once,
// what is played is played once and in order, memory is bounded, and every
// tick of time is accounted for.
func FuzzJitter(f *testing.F) {
	f.Add(schedule([4]byte{0, 0, 0, 0}, [4]byte{1, 0, 0, 20}, [4]byte{0, 0, 0, 0}, [4]byte{1, 0, 0, 20}))
	f.Add(schedule([4]byte{0, 0, 0, 0}, [4]byte{1, 0, 0, 100}, [4]byte{0, 3, 0, 0}, [4]byte{1, 0, 0, 20}, [4]byte{1, 0, 0, 20}, [4]byte{0, 253, 0, 0}))
	f.Add(schedule([4]byte{0, 0, 0, 0}, [4]byte{2, 0, 0, 0}, [4]byte{2, 0, 0, 0}, [4]byte{1, 0, 0, 255}, [4]byte{3, 5, 9, 1}, [4]byte{4, 5, 9, 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := NewInbound(InboundConfig{Codec: quick, PayloadType: 96, EventType: 101, Jitter: JitterConfig{Max: 200 * time.Millisecond}})
		require.NoError(t, err)
		now, seq, ts, ssrc := int64(1e9), uint16(65500), uint32(1<<32-3000), uint32(1)
		var frame [pcm.FrameSamples]int16
		pulls, pushes := int64(0), int64(0)
		for ; len(b) >= 4; b = b[4:] {
			now += int64(b[3]) * ms
			p := Packet{PayloadType: 96, SSRC: ssrc, Payload: make([]byte, 160)}
			p.Seq = seq + uint16(int16(int8(b[1])))*(1+uint16(b[0]>>5)*100)
			p.Timestamp = ts + uint32(int32(int8(b[2])))*(1+uint32(b[0]>>5)*3000)
			switch b[0] & 7 {
			case 1, 5:
				in.Pull(now, &frame)
				pulls++
				continue
			case 2:
				ssrc++
				p.SSRC = ssrc
			case 3:
				p.PayloadType = 101
			case 4:
				p.PayloadType = 13
			}
			in.Push(now, &p)
			pushes++
			seq++
			ts += 320
		}
		s := in.Stats()
		j := s.Jitter
		require.Equal(t, pushes, j.Received)
		require.Equal(t, j.Received, j.Played+j.Control+j.Late+j.Duplicate+j.Discarded+j.Buffered, "%+v", j)
		require.LessOrEqual(t, len(in.jitter.free), slots+2)
		require.GreaterOrEqual(t, j.Owed, int64(0))
		made := (pulls*pcm.FrameSamples + int64(in.have())) * 62500
		require.Equal(t, made, j.Played*frameNanos+j.Concealed+j.Unsent+j.Stretched+j.Waited+j.Owed+(s.Grown-s.Shrunk)*62500, "%+v", s)
	})
}

// The same for the buffer alone: what Pop gives to be played rises, but for
// restarts.
func FuzzJitterOrder(f *testing.F) {
	f.Add(schedule([4]byte{0, 0, 0, 0}, [4]byte{1, 0, 0, 100}, [4]byte{0, 3, 0, 0}, [4]byte{1, 0, 0, 20}, [4]byte{0, 253, 0, 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		j := NewJitter(8000, JitterConfig{})
		now, last, restarts := int64(1e9), int64(-1), int64(0)
		seq := int64(40_000)
		for ; len(b) >= 4; b = b[4:] {
			now += int64(b[3]) * ms
			if b[0]&1 == 0 {
				at := seq + int64(int8(b[1]))
				p := Packet{Seq: uint16(at), Timestamp: uint32(at * 160), Payload: binary.BigEndian.AppendUint64(nil, uint64(at))}
				j.Push(now, &p, Audio)
				seq++
				continue
			}
			it := j.Pop(now, 160)
			if r := j.Stats().Restarts; r != restarts {
				restarts, last = r, -1
			}
			if it.Kind == Play {
				j.Advance(160)
				at := int64(binary.BigEndian.Uint64(it.Payload))
				require.Greater(t, at, last)
				last = at
			} else {
				require.Positive(t, it.Ticks)
				require.LessOrEqual(t, it.Ticks, 160)
			}
		}
	})
}
