package rtpleg

import (
	"math/rand/v2"
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// speech returns so many frames of talk.
func speech(frames int) (x []int16) {
	for i := 0; len(x) < frames*pcm.FrameSamples; i++ {
		x = append(x, signal.Speech(signal.Voices()[i%len(signal.Voices())])...)
	}
	return x[:frames*pcm.FrameSamples]
}

// continuous checks that frames follow one another without a gap.
func continuous(t *testing.T, frames []pcm.Frame) {
	t.Helper()
	for i := range frames {
		f := &frames[i]
		require.EqualValues(t, i, f.Seq)
		require.Equal(t, frames[0].Position()+int64(i)*pcm.FrameSamples, f.Position(), "frame %d", i)
		require.False(t, f.Flags.Has(pcm.AfterGap) || f.Flags.Has(pcm.AfterDTX), "frame %d: %v", i, f.Flags)
		require.Zero(t, f.Lost)
	}
}

// What the peer says comes back to it sample for sample, 60 ms in each buffer
// and no more between.
func TestEchoIsExact(t *testing.T) {
	virtually(t, func(t *testing.T) {
		r := newRig(t, Config{Jitter: fixed})
		echo(r.leg)
		x := speech(500)
		for i := range 500 {
			answered := r.step((*samples)(x[i*pcm.FrameSamples:]))
			require.Equal(t, min(1, i/3), answered, "step %d", i)
			wait()
		}
		frames := r.taken()
		require.Len(t, frames, 497)
		continuous(t, frames)
		require.Zero(t, frames[0].Position())
		require.Equal(t, x[:497*pcm.FrameSamples], audioOf(frames))
		require.Equal(t, x[:494*pcm.FrameSamples], r.heard[6*pcm.FrameSamples:])
		require.Equal(t, rtpmedia.Frame{Voice: true, Begun: true}, r.frames[6])
		for i, p := range r.sent {
			require.Equal(t, r.sent[0].Seq+uint16(i), p.Seq)
			require.Equal(t, r.sent[0].Timestamp+uint32(i)*320, p.Timestamp)
			require.Equal(t, i == 0, p.Marker)
		}
		s := r.stats()
		require.Equal(t, engine.RenderStats{Frames: 497}, s)
		require.EqualValues(t, 497, r.leg.Stats().Source.Frames)
		require.Zero(t, r.leg.Stats().Source.Underruns)
		r.m.Close()
		require.EqualValues(t, 500, r.m.Stats().In.Jitter.Received)
		require.EqualValues(t, 497, r.m.Stats().Out.Packets)
		require.Zero(t, r.m.Stats().Queued+r.m.Stats().Refused+r.m.Stats().Flushed)
		require.Equal(t, "L16/16000", r.m.Codec())
		require.Equal(t, "RTP(96) -> Jitter(60..60 ms) -> L16/16000 -> PCM16K; PCM16K -> L16/16000 -> RTP(96)", r.m.String())
	})
}

// Through every codec it comes back all the same, with a delay that adapts.
func TestEchoOfCodecs(t *testing.T) {
	worst := map[string]float64{"L16": 0.999, "G722": 0.97, "PCMU": 0.95, "PCMA": 0.95, "opus": 0.8}
	for _, c := range codec.All() {
		t.Run(c.Name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				r := newRig(t, Config{Codec: c, Jitter: fixed})
				echo(r.leg)
				x := speech(250)
				for i := range 250 {
					r.step((*samples)(x[i*pcm.FrameSamples:]))
					wait()
				}
				at, _ := signal.Align(x[:32000], r.heard)
				require.InDelta(t, 6*320, at, 480)
				require.Greater(t, signal.Correlate(x[:64000], r.heard[at:at+64000]), worst[c.Name])
				continuous(t, r.taken())
				require.Len(t, r.sent, 247)
			})
		})
	}
}

// Turns that come a few ms early or late, as turns of a beat do, the first one
// too, hear one frame and send one packet each.
func TestTurnsAreOnTimeMoreOrLess(t *testing.T) {
	for _, first := range []int64{0, ms, 8 * ms, -8 * ms} {
		virtually(t, func(t *testing.T) {
			r := newRig(t, Config{Jitter: fixed})
			echo(r.leg)
			x, grid := speech(500), r.now
			rnd := rand.New(rand.NewPCG(1, 2))
			for i := range 500 {
				r.now = grid + first
				if i > 0 {
					r.now = grid + rnd.Int64N(2*ms)
				}
				r.say((*samples)(x[i*pcm.FrameSamples:]))
				frames, packets := r.tap.Len(), r.turn()
				if i > 5 {
					require.Equal(t, 1, packets, "step %d, first %d ns", i, first)
					require.Equal(t, 1, r.tap.Len()-frames, "step %d, first %d ns", i, first)
				}
				grid += slotNanos
				wait()
			}
			continuous(t, r.taken())
			require.Zero(t, r.stats().Concealed)
			require.Zero(t, r.m.Stats().Out.Skipped)
		})
	}
}

// Nothing is allocated, whatever happens to a packet on its way.
func TestNoAllocs(t *testing.T) {
	for _, c := range codec.All() {
		t.Run(c.Name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				r := newRig(t, Config{Codec: c})
				echo(r.leg)
				x, n := (*samples)(speech(51)[50*pcm.FrameSamples:]), 0
				wire := make([]byte, 0, 1500)
				var p rtpmedia.Packet
				step := func() {
					n++
					b, ok := r.out.Next(r.now, r.wire[:0], x)
					if !ok || p.Parse(b) != nil {
						panic("peer")
					}
					if n%7 != 0 && r.m.Take(r.now, &p) != nil { // every seventh is lost
						panic("take")
					}
					if r.m.Turn(r.now) != nil {
						panic("turn")
					}
					for ok = true; ok; {
						_, ok = r.m.Next(r.now, wire)
					}
					r.tap.SkipTo(0)
					r.now += slotNanos
					wait()
				}
				for range 400 {
					step()
				}
				require.Zero(t, testing.AllocsPerRun(1000, step))
				require.Positive(t, r.stats().Lost)
				require.Positive(t, r.m.Stats().Out.Packets)
			})
		})
	}
}
