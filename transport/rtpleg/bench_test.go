package rtpleg

import (
	"testing"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// BenchmarkMedia is 20 ms of a leg whose handler answers what it hears: a packet
// in, a packet out. streams is the floor, the same two streams with nothing
// between: a packet pushed and pulled, and the frame sent. in, out and source
// are its parts.
func BenchmarkMedia(b *testing.B) {
	for _, c := range []codec.Codec{codecOf(b, "PCMU", 8000), codecOf(b, "G722", 8000), l16(b)} {
		b.Run(c.Name+"/leg", func(b *testing.B) { benchmarkLeg(b, c, 0) })
		b.Run(c.Name+"/leg with a tap", func(b *testing.B) { benchmarkLeg(b, c, 1) })
		b.Run(c.Name+"/streams", func(b *testing.B) { benchmarkStreams(b, c, true, true) })
		b.Run(c.Name+"/in", func(b *testing.B) { benchmarkStreams(b, c, true, false) })
		b.Run(c.Name+"/out", func(b *testing.B) { benchmarkStreams(b, c, false, true) })
	}
	b.Run("source", benchmarkSource)
}

// feed is the peer's packets.
type feed struct {
	p    rtpmedia.Packet
	step uint32
}

func newFeed(b *testing.B, c codec.Codec) *feed {
	out, err := rtpmedia.NewOutbound(rtpmedia.OutboundConfig{Codec: c, PayloadType: types.Audio})
	require.NoError(b, err)
	x := speech(51)[50*pcm.FrameSamples:]
	wire, ok := out.Next(1, nil, (*samples)(x))
	require.True(b, ok)
	f := &feed{step: uint32(c.ClockRate / 50)}
	require.NoError(b, f.p.Parse(wire))
	return f
}

func (f *feed) next() *rtpmedia.Packet {
	f.p.Seq++
	f.p.Timestamp += f.step
	return &f.p
}

func benchmarkLeg(b *testing.B, c codec.Codec, taps int) {
	b.ReportAllocs()
	l := newLeg(b, engine.LegConfig{})
	source, n := l.Source(), 0
	l.OnRender(func(r *engine.Render) {
		r.Handle(func(f *pcm.Frame) {
			// The source's model of what the peer plays runs by the clock: a
			// flush of nothing, now and then, sets it back.
			if n++; n%16 == 0 {
				source.Flush()
			}
			if k, err := source.TryWrite(f.Samples[:]); k != pcm.FrameSamples || err != nil {
				panic("refused")
			}
		})
	})
	var tap *engine.Tap
	for range taps {
		tap = l.Tap(8)
	}
	m, err := New(Config{Leg: l, Codec: c, Receive: types, Send: types})
	require.NoError(b, err)
	defer m.Close()
	f, now, wire, sent := newFeed(b, c), engine.Now(), make([]byte, 0, 1500), 0
	for b.Loop() {
		if m.Take(now, f.next()) != nil || m.Turn(now) != nil {
			b.Fatal()
		}
		for ok := true; ok; {
			if _, ok = m.Next(now, wire); ok {
				sent++
			}
		}
		if tap != nil {
			tap.SkipTo(0)
		}
		now += slotNanos
	}
	m.publish()
	s := m.Stats()
	require.Zero(b, s.Flushed+s.Refused+s.In.Jitter.Missing+s.In.Jitter.Late)
	require.InDelta(b, s.In.Jitter.Received, sent, 5)
}

func benchmarkStreams(b *testing.B, c codec.Codec, receive, send bool) {
	b.ReportAllocs()
	in, err := rtpmedia.NewInbound(rtpmedia.InboundConfig{Codec: c, PayloadType: types.Audio, EventType: types.Event})
	require.NoError(b, err)
	out, err := rtpmedia.NewOutbound(rtpmedia.OutboundConfig{Codec: c, PayloadType: types.Audio, EventType: types.Event})
	require.NoError(b, err)
	f, now, wire := newFeed(b, c), int64(1e9), make([]byte, 0, 1500)
	x := samples(speech(51)[50*pcm.FrameSamples:])
	for b.Loop() {
		if receive {
			in.Push(now, f.next())
			in.Pull(now, &x)
		}
		if send {
			if _, ok := out.Next(now, wire, &x); !ok {
				b.Fatal()
			}
		}
		now += slotNanos
	}
}

// benchmarkSource is a frame through the source context and the Media's queue.
func benchmarkSource(b *testing.B) {
	b.ReportAllocs()
	l := newLeg(b, engine.LegConfig{})
	m, err := New(Config{Leg: l, Codec: l16(b), Receive: types, Send: types})
	require.NoError(b, err)
	defer m.Close()
	var x samples
	n := 0
	for b.Loop() {
		if n++; n%16 == 0 {
			l.Source().Flush()
		}
		if k, err := l.Source().TryWrite(x[:]); k != pcm.FrameSamples || err != nil {
			b.Fatal()
		}
		if m.queue.peek() == nil {
			b.Fatal()
		}
		m.queue.release()
	}
}

// BenchmarkIdle is 20 ms of a leg in which nobody speaks.
func BenchmarkIdle(b *testing.B) {
	b.ReportAllocs()
	m, err := New(Config{Leg: newLeg(b, engine.LegConfig{}), Codec: l16(b), Receive: types, Send: types})
	require.NoError(b, err)
	defer m.Close()
	now := engine.Now()
	for b.Loop() {
		if m.Turn(now) != nil {
			b.Fatal()
		}
		if _, ok := m.Next(now, nil); ok {
			b.Fatal()
		}
		now += slotNanos
	}
}

// BenchmarkNew is what a leg takes: bytes and allocations, once.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	l, c := newLeg(b, engine.LegConfig{}), l16(b)
	for b.Loop() {
		m, err := New(Config{Leg: l, Codec: c, Receive: types, Send: types})
		if err != nil {
			b.Fatal(err)
		}
		m.Close()
	}
}
