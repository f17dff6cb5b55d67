package rtpleg

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// A schedule is a list of steps, four bytes each: what happens, two that say
// what to it, and the ms that pass before.
func schedule(steps ...[4]byte) (b []byte) {
	for _, s := range steps {
		b = append(b, s[:]...)
	}
	return b
}

func times(n int, steps ...[4]byte) (b []byte) {
	for range n {
		b = append(b, schedule(steps...)...)
	}
	return b
}

// What happens in a fuzzed schedule.
const (
	fuzzPacket = iota
	fuzzTurn
	fuzzFrame
	fuzzFlush
	fuzzOdd // another payload type, source or length
	fuzzWire
	fuzzControl
	fuzzPress
	fuzzReport
	fuzzSleep // seconds
	fuzzEnd
	fuzzReconnect
	fuzzSteps
)

// fuzzed runs a schedule.
type fuzzed struct {
	*rig
	seq          uint16
	ts, ssrc     uint32
	p            rtpmedia.Packet
	taken, asked int64 // packets and reports that the Media was given
	ended        bool
	accepted     int64 // frames
	said         int64 // packets that the Media sent
	lastSeq      uint16
}

func (z *fuzzed) step(op, a, b byte) {
	z.p = rtpmedia.Packet{PayloadType: 96, SSRC: z.ssrc, Payload: make([]byte, 640),
		Seq: z.seq + uint16(int16(int8(a)))*(1+uint16(op>>5)*100), Timestamp: z.ts + uint32(int32(int8(b)))*320}
	switch op % fuzzSteps {
	case fuzzPacket:
		z.take()
	case fuzzOdd:
		z.odd(a, b)
	case fuzzTurn:
		z.turns()
	case fuzzFrame:
		if (*outlet)(z.m).SendFrame(new(samples)) {
			z.accepted++
		}
	case fuzzFlush:
		(*outlet)(z.m).SendFlush()
	case fuzzWire:
		if z.p.Parse([]byte{a, b, op, a, b, op, a, b, op, a, b, op, a, b, op}) == nil {
			z.take()
		}
	case fuzzControl:
		z.controls(a, b)
	case fuzzPress:
		_ = z.m.Press(a, time.Duration(b)*time.Millisecond)
	case fuzzReport:
		z.m.Report(z.now, unix+z.now, nil)
	case fuzzSleep:
		z.now += int64(a) * 100 * ms
	case fuzzEnd:
		z.ended = true
		z.m.End(z.now)
	case fuzzReconnect:
		z.check()
		z.m.Close()
		require.NoError(z.t, z.m.Turn(z.now))
		z.connect(z.m.cfg)
		z.fresh()
	}
}

func (z *fuzzed) fresh() {
	z.taken, z.asked, z.accepted, z.said, z.ended = 0, 0, 0, 0, false
	z.begun = z.now
}

func (z *fuzzed) take() {
	if !z.ended {
		z.taken++
		z.seq++
		z.ts += 320
	}
	require.NoError(z.t, z.m.Take(z.now, &z.p))
}

func (z *fuzzed) odd(a, b byte) {
	switch a % 4 {
	case 0:
		z.ssrc += uint32(b)
		z.p.SSRC = z.ssrc
	case 1:
		z.p.PayloadType = b
	case 2:
		z.p.Payload = z.p.Payload[:b]
	case 3:
		z.p.PayloadType, z.p.Payload = 101, []byte{b % 16, 10, 0, 160}
	}
	z.take()
}

func (z *fuzzed) controls(a, b byte) {
	z.asked++
	k := rtpmedia.Report{SSRC: z.ssrc, HasSender: a&1 != 0, Sender: rtpmedia.SenderInfo{NTP: uint64(z.now), RTP: z.ts}}
	k.Blocks = []rtpmedia.ReportBlock{{SSRC: z.m.out.SSRC(), Lost: int32(a), Jitter: uint32(b) << 24, LastSR: uint32(z.now), Delay: uint32(b)}}
	if a&2 != 0 {
		k.Bye = []uint32{z.ssrc + uint32(b&1)}
	}
	wire := k.Append(nil)
	z.m.TakeControl(z.now, unix+z.now, wire[:min(len(wire), 8+int(b))])
}

func (z *fuzzed) turns() {
	require.NoError(z.t, z.m.Turn(z.now))
	for {
		b, ok := z.m.Next(z.now, z.wire[:0])
		if !ok {
			return
		}
		require.NoError(z.t, z.p.Parse(b))
		require.True(z.t, z.said == 0 || z.p.Seq == z.lastSeq+1)
		z.lastSeq = z.p.Seq
		z.said++
	}
}

// check compares what was counted with what happened to this Media.
func (z *fuzzed) check() {
	z.m.publish()
	s := z.m.Stats()
	j := s.In.Jitter
	require.Equal(z.t, z.taken, s.Flooded+s.In.WrongType+j.Received, "%+v", s)
	require.Equal(z.t, j.Received, j.Played+j.Control+j.Late+j.Duplicate+j.Discarded+j.Buffered, "%+v", j)
	require.LessOrEqual(z.t, j.Found, j.Late)
	require.GreaterOrEqual(z.t, j.Owed, int64(0))
	require.Equal(z.t, z.asked, s.ReportsFlooded+s.Control.Reports+s.Control.Malformed)
	require.Equal(z.t, z.said, s.Out.Packets)
	used := z.accepted - s.Queued - s.Flushed
	require.GreaterOrEqual(z.t, used, s.Out.Packets-s.Out.Events)
	require.GreaterOrEqual(z.t, s.Out.Packets+s.Out.Silent, used)
	require.LessOrEqual(z.t, s.Out.Packets+s.Out.Silent+s.Out.Skipped, (z.now-z.begun)/slotNanos+2)
}

// Whatever comes, however late its turns are: nothing panics, frames follow one
// another in time and not faster, and all is counted.
func FuzzMedia(f *testing.F) {
	talk := times(20, [4]byte{fuzzPacket, 0, 0, 20}, [4]byte{fuzzFrame}, [4]byte{fuzzTurn})
	rest := times(600, [4]byte{fuzzTurn, 0, 0, 20})
	f.Add(talk)
	f.Add(append(append(append([]byte(nil), talk...), rest...), talk...))
	f.Add(append(append(append([]byte(nil), talk...), schedule([4]byte{fuzzReconnect, 0, 0, 200})...), talk...))
	f.Add(append(append(append([]byte(nil), talk...), schedule([4]byte{fuzzSleep, 50, 0, 0}, [4]byte{fuzzFlush}, [4]byte{fuzzPress, '1', 100})...), talk...))
	f.Add(append(append([]byte(nil), talk...), schedule([4]byte{fuzzControl, 3, 200, 1}, [4]byte{fuzzReport}, [4]byte{fuzzOdd, 0, 1, 0}, [4]byte{fuzzOdd, 3, 1, 0}, [4]byte{fuzzEnd}, [4]byte{fuzzTurn, 0, 0, 20})...))
	f.Fuzz(fuzz)
}

// Random schedules that are longer than those a fuzzer finds: talk with all that
// happens to it, now and then.
func TestRandomSchedules(t *testing.T) {
	for seed := range uint64(150) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		odd := 2 + rnd.IntN(100) // one step in so many
		var b []byte
		for range 1500 {
			s := [4]byte{byte(rnd.IntN(3)), 0, 0, byte(rnd.IntN(14))}
			if rnd.IntN(odd) == 0 {
				s = [4]byte{byte(rnd.IntN(256)), byte(rnd.IntN(256)), byte(rnd.IntN(256)), byte(rnd.IntN(256))}
				if s[0]%fuzzSteps == fuzzEnd {
					s[0] = fuzzReconnect
				}
			}
			b = append(b, s[:]...)
		}
		fuzz(t, b)
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}
}

func fuzz(t *testing.T, b []byte) {
	r := newTappedRig(t, 64, Config{Leg: newLeg(t, engine.LegConfig{Channels: engine.Channels(len(b) % 2)}), Speaker: "a"})
	z := &fuzzed{rig: r, seq: 65000, ts: 1<<32 - 9600, ssrc: 9}
	first, frames, last := int64(-1), int64(0), pcm.Frame{}
	for ; len(b) >= 4; b = b[4:] {
		z.now += int64(b[3]) * ms
		z.step(b[0], b[1], b[2])
		var x pcm.Frame
		for r.tap.TryRead(&x) {
			if first < 0 {
				first = x.Arrival
			}
			require.EqualValues(t, frames, x.Seq)
			require.True(t, frames == 0 || x.Position() >= last.Position()+320, "%d after %d", x.Position(), last.Position())
			require.LessOrEqual(t, x.Position()/320, (z.now-first)/slotNanos+2+skipped, "ahead of time")
			frames, last = frames+1, x
		}
	}
	z.check()
	r.m.Close()
	if renders := r.leg.Stats().Renders; len(renders) > 0 {
		s := renders[0]
		require.Equal(t, frames, s.Frames)
		slots := last.Position()/320 + 1
		require.LessOrEqual(t, s.Frames+s.DTX, slots)
		require.LessOrEqual(t, slots, s.Frames+s.DTX+s.Lost, "Lost holds what the network lost too")
	}
}
