package bench_test

import (
	"fmt"
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpleg"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// rtpCodecs are the cheapest ones, so that the rest shows.
var rtpCodecs = []string{"PCMU", "L16"}

// BenchmarkRTP takes 20 ms of a leg over RTP, without a socket: in from the bytes
// of a packet to a tap, and out of there; out from a source to the bytes of a
// packet; echo both, by a handler. With legs=1000 as many have their turn one
// after the other, so that none finds its memory in the nearest cache, as in
// life.
func BenchmarkRTP(b *testing.B) {
	for _, way := range rtpWays {
		b.Run(way.name, func(b *testing.B) { benchRTP(b, way.step, way.hook) })
	}
}

var rtpWays = []struct {
	name string
	step func(*rtpLeg)
	hook func(*rtpLeg)
}{
	{"in", (*rtpLeg).in, func(l *rtpLeg) { l.tap = l.leg.Tap(8) }},
	{"out", (*rtpLeg).outward, func(*rtpLeg) {}},
	{"echo", (*rtpLeg).echo, func(l *rtpLeg) {
		l.leg.OnRender(func(r *engine.Render) {
			r.Handle(func(f *pcm.Frame) { l.say(f.Samples[:]) })
		})
	}},
}

// TestRTPAllocations: nothing is allocated on the way of a frame.
func TestRTPAllocations(t *testing.T) {
	for _, name := range rtpCodecs {
		for _, way := range rtpWays {
			l := rtpLegs(t, name, 1, way.hook)[0]
			step := func() {
				way.step(l)
				l.now += int64(pcm.FrameDuration)
			}
			for range 100 {
				step()
			}
			require.Zero(t, testing.AllocsPerRun(1000, step), "%s %s", name, way.name)
			if way.name == "in" {
				require.EqualValues(t, l.packet.Seq, l.media.Stats().In.Jitter.Received+1)
			} else {
				require.InDelta(t, 1100, l.sent, 5)
			}
		}
	}
}

func (l *rtpLeg) in() {
	l.take()
	l.turn()
	if l.tap.Peek() != nil {
		l.tap.Release()
	}
}

func (l *rtpLeg) outward() {
	frame := noise()
	l.say(frame[:])
	l.next()
}

func (l *rtpLeg) echo() {
	l.take()
	l.turn()
	l.next()
}

// say flushes now and then, as BenchmarkOutbound does, what is all sent: a source
// runs no more than 400 ms ahead of the time.
func (l *rtpLeg) say(samples []int16) {
	if l.said++; l.said%flushEvery == 0 {
		l.leg.Source().Flush()
	}
	_, _ = l.leg.Source().TryWrite(samples)
}

func benchRTP(b *testing.B, step func(*rtpLeg), hook func(*rtpLeg)) {
	for _, name := range rtpCodecs {
		for _, n := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%s/legs=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				legs := rtpLegs(b, name, n, hook)
				for range 100 { // makes room, and fills the jitter buffers
					for _, l := range legs {
						step(l)
						l.now += int64(pcm.FrameDuration)
					}
				}
				i := 0
				for b.Loop() {
					l := legs[i]
					step(l)
					l.now += int64(pcm.FrameDuration)
					if i++; i == len(legs) {
						i = 0
					}
				}
				require.Zero(b, legs[0].media.Stats().In.Concealed)
			})
		}
	}
}

// rtpLeg is a leg that is carried by hand, in a time of its own.
type rtpLeg struct {
	leg    *engine.Leg
	media  *rtpleg.Media
	tap    *engine.Tap
	now    int64
	said   int
	packet rtpmedia.Packet
	wires  [][]byte // what comes, one after the other
	step   uint32   // of their timestamps
	out    []byte
	sent   int
}

func rtpLegs(tb testing.TB, name string, n int, hook func(*rtpLeg)) []*rtpLeg {
	c := rtpCodec(tb, name)
	eng := engine.New(engine.Config{})
	tb.Cleanup(func() { eng.Close() })
	wires := rtpWires(tb, c)
	legs, scratch := make([]*rtpLeg, n), &rtpmedia.Scratch{}
	for i := range legs {
		leg, err := eng.NewLeg(engine.LegConfig{})
		require.NoError(tb, err)
		types := rtpleg.Types{Audio: 96}
		media, err := rtpleg.New(rtpleg.Config{Leg: leg, Codec: c, Receive: types, Send: types, Scratch: scratch, CNAME: "bench"})
		require.NoError(tb, err)
		legs[i] = &rtpLeg{
			leg: leg, media: media, now: engine.Now(), wires: wires, step: uint32(c.ClockRate / 50), out: make([]byte, 0, 1500),
		}
		hook(legs[i])
	}
	return legs
}

func rtpCodec(tb testing.TB, name string) codec.Codec {
	for _, c := range codec.All() {
		if c.Name == name {
			return c
		}
	}
	require.Fail(tb, name)
	return codec.Codec{}
}

// rtpWires are packets of speech, without their numbers.
func rtpWires(tb testing.TB, c codec.Codec) (wires [][]byte) {
	down, err := resample.New(pcm.SampleRate, c.SampleRate)
	require.NoError(tb, err)
	voice, raw, payload := signal.Speech(signal.June), make([]int16, pcm.FrameSamples), make([]byte, pcm.FrameBytes)
	encoder := c.NewEncoder()
	for i := range 50 {
		x := raw[:down.Process(raw, voice[i*pcm.FrameSamples:][:pcm.FrameSamples])]
		p := rtpmedia.Packet{PayloadType: 96, SSRC: 1, Payload: payload[:encoder.Encode(payload, x)]}
		wires = append(wires, p.Append(nil))
	}
	return wires
}

// take gives the leg its next packet.
func (l *rtpLeg) take() {
	p := &l.packet
	seq, ts := p.Seq+1, p.Timestamp+l.step
	if p.Parse(l.wires[int(seq)%len(l.wires)]) != nil {
		panic("wire")
	}
	p.Seq, p.Timestamp = seq, ts
	if err := l.media.Take(l.now, p); err != nil {
		panic(err)
	}
}

func (l *rtpLeg) turn() {
	if err := l.media.Turn(l.now); err != nil {
		panic(err)
	}
}

// next sends what is due.
func (l *rtpLeg) next() {
	for {
		b, ok := l.media.Next(l.now, l.out[:0])
		if !ok {
			return
		}
		l.out = b
		l.sent++
	}
}
