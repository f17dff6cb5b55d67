package rtpmedia

import (
	"container/heap"
	"testing"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// BenchmarkJitter is a packet put in and taken out, 160 bytes each 20 ms at a
// depth of three packets; swapped has every other pair in the wrong order.
// heap is what one writes first, a heap of copies, and has no playout clock;
// copy is the floor.
func BenchmarkJitter(b *testing.B) {
	payload := make([]byte, 160)
	for name, swap := range map[string]uint16{"in order": 0, "swapped": 1} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			j := NewJitter(8000, JitterConfig{})
			now, n := int64(1e9), uint16(0)
			for b.Loop() {
				seq := n ^ swap
				j.Push(now, &Packet{Seq: seq, Timestamp: uint32(seq) * 160, SSRC: 1, Payload: payload}, Audio)
				if j.Pop(now, 160).Kind == Play {
					j.Advance(160)
				}
				n++
				now += frameNanos
			}
			s := j.Stats()
			require.Zero(b, s.Missing+s.Late)
			require.Equal(b, s.Received-s.Buffered, s.Played)
		})
		b.Run("heap/"+name, func(b *testing.B) {
			b.ReportAllocs()
			var h packets16
			n := uint16(0)
			for range 4 {
				heap.Push(&h, copied{n ^ swap, append([]byte(nil), payload...)})
				n++
			}
			for b.Loop() {
				heap.Push(&h, copied{n ^ swap, append([]byte(nil), payload...)})
				n++
				heap.Pop(&h)
			}
		})
	}
	b.Run("copy", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 160)
		for b.Loop() {
			copy(dst, payload)
		}
	})
}

type copied struct {
	seq     uint16
	payload []byte
}

type packets16 []copied

func (h packets16) Len() int           { return len(h) }
func (h packets16) Less(i, j int) bool { return int16(h[i].seq-h[j].seq) < 0 }
func (h packets16) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *packets16) Push(x any)        { *h = append(*h, x.(copied)) }
func (h *packets16) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// quick is a codec that costs nothing, with the packets of G.711.
var quick = codec.Codec{
	Name: "quick", ClockRate: 16000, SampleRate: 16000,
	NewDecoder: func() codec.Decoder { return quickCodec{} },
	NewEncoder: func() codec.Encoder { return quickCodec{} },
}

type quickCodec struct{}

func (quickCodec) Decode(dst []int16, src []byte) int { return min(len(dst), 2*len(src)) }
func (quickCodec) Encode(dst []byte, src []int16) int { return len(src) / 2 }

// BenchmarkInbound is the bytes of a packet to a frame: parse, push, pull.
func BenchmarkInbound(b *testing.B) {
	for _, c := range append([]codec.Codec{quick}, codec.All()...) {
		b.Run(c.Name, func(b *testing.B) {
			b.ReportAllocs()
			wire, step := wireOf(b, c)
			in, err := NewInbound(InboundConfig{Codec: c, PayloadType: 96})
			require.NoError(b, err)
			var p Packet
			var f [pcm.FrameSamples]int16
			now, ts := int64(1e9), uint32(0)
			for b.Loop() {
				if p.Parse(wire) != nil {
					b.Fatal()
				}
				p.Seq, p.Timestamp = uint16(ts/step), ts
				in.Push(now, &p)
				in.Pull(now, &f)
				now, ts = now+frameNanos, ts+step
			}
		})
	}
}

func wireOf(b *testing.B, c codec.Codec) (wire []byte, step uint32) {
	out, err := NewOutbound(OutboundConfig{Codec: c, PayloadType: 96})
	require.NoError(b, err)
	wire, ok := out.Next(1, nil, (*[pcm.FrameSamples]int16)(speech(1)))
	require.True(b, ok)
	return wire, out.step()
}

// BenchmarkOutbound is a frame to the bytes of a packet.
func BenchmarkOutbound(b *testing.B) {
	for _, c := range append([]codec.Codec{quick}, codec.All()...) {
		b.Run(c.Name, func(b *testing.B) {
			b.ReportAllocs()
			out, err := NewOutbound(OutboundConfig{Codec: c, PayloadType: 96})
			require.NoError(b, err)
			f := (*[pcm.FrameSamples]int16)(speech(1))
			buf := make([]byte, 0, 1500)
			now := int64(1e9)
			for b.Loop() {
				if _, ok := out.Next(now, buf[:0], f); !ok {
					b.Fatal()
				}
				now += frameNanos
			}
		})
	}
}

// BenchmarkConceal is a lost packet, with the next one there and without.
func BenchmarkConceal(b *testing.B) {
	x := speech(1)
	var f [pcm.FrameSamples]int16
	c := NewConcealer(pcm.SampleRate)
	c.Good(x[:8000])
	b.Run("fill", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Fill(f[:])
			c.Good(x[8320:8640])
		}
	})
	b.Run("bridge", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Bridge(f[:], x[8320:8640])
			c.Good(x[8320:8640])
		}
	})
}

// BenchmarkNew tells what a stream takes: bytes and allocations, once.
func BenchmarkNew(b *testing.B) {
	b.Run("inbound", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := NewInbound(InboundConfig{Codec: quick}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("outbound", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := NewOutbound(OutboundConfig{Codec: quick}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
