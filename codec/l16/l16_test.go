package l16

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// all holds every sample value there is, and one more so that its length is
// not a multiple of four.
func all() []int16 {
	s := make([]int16, 1<<16+1)
	for i := range s {
		s[i] = int16(i)
	}
	return s
}

func TestEveryValueBothOrders(t *testing.T) {
	in := all()
	for _, c := range []struct {
		name   string
		order  binary.ByteOrder
		encode func([]byte, []int16) int
		decode func([]int16, []byte) int
	}{
		{"LE", binary.LittleEndian, EncodeLE, DecodeLE},
		{"BE", binary.BigEndian, EncodeBE, DecodeBE},
	} {
		t.Run(c.name, func(t *testing.T) {
			wire := make([]byte, 2*len(in))
			require.Equal(t, len(wire), c.encode(wire, in))
			for i, s := range in {
				if got := c.order.Uint16(wire[2*i:]); got != uint16(s) {
					t.Fatalf("sample %d: wire holds %#04x, want %#04x", i, got, uint16(s))
				}
			}
			out := make([]int16, len(in))
			require.Equal(t, len(in), c.decode(out, wire))
			require.Equal(t, in, out)
		})
	}
}

func TestKnownBytes(t *testing.T) {
	samples := []int16{1, -2, math.MaxInt16, math.MinInt16, 0x1234}
	be := []byte{0, 1, 0xff, 0xfe, 0x7f, 0xff, 0x80, 0, 0x12, 0x34}
	le := []byte{1, 0, 0xfe, 0xff, 0xff, 0x7f, 0, 0x80, 0x34, 0x12}

	got := make([]byte, len(be))
	EncodeBE(got, samples)
	require.Equal(t, be, got)
	require.Equal(t, append([]byte("x"), le...), AppendLE([]byte("x"), samples))
	require.Equal(t, le, BytesLE(samples))
}

func TestLengthsThatDoNotFit(t *testing.T) {
	for _, c := range []struct{ dst, src, want int }{
		{0, 0, 0}, {0, 4, 0}, {4, 0, 0}, {4, 1, 0}, {4, 7, 3}, {3, 8, 3}, {9, 8, 4},
	} {
		for _, decode := range []func([]int16, []byte) int{DecodeBE, DecodeLE} {
			dst := make([]int16, c.dst)
			src := make([]byte, c.src)
			for i := range src {
				src[i] = 0x55
			}
			require.Equal(t, c.want, decode(dst, src), "decode %+v", c)
			for i, s := range dst {
				require.Equal(t, i < c.want, s == 0x5555, "decode %+v, sample %d", c, i)
			}
		}
	}
	for _, encode := range []func([]byte, []int16) int{EncodeBE, EncodeLE} {
		dst := []byte{9, 9, 9, 9, 9}
		require.Equal(t, 4, encode(dst, []int16{0, 0, 0}))
		require.Equal(t, []byte{0, 0, 0, 0, 9}, dst)
		require.Equal(t, 2, encode(dst, []int16{1}))
		require.Zero(t, encode(nil, []int16{1}))
		require.Zero(t, encode(dst[:1], []int16{1}))
	}
}

func TestNativeBytesAlias(t *testing.T) {
	s := []int16{0, 0, 0}
	b := NativeBytes(s[:2])
	require.Len(t, b, 4)
	require.Equal(t, 4, cap(b), "no way to reach the third sample")
	copy(b, []byte{0x34, 0x12, 0xfe, 0xff})
	FixLE(s[:2])
	require.Equal(t, []int16{0x1234, -2, 0}, s)
	require.Empty(t, NativeBytes(nil))
}

// The branch that a little-endian machine never takes.
func TestSwapInPlace(t *testing.T) {
	for n := range 13 {
		s, want := make([]int16, n), make([]int16, n)
		for i := range s {
			s[i] = int16(i*259 + 7)
			want[i] = int16(uint16(s[i])>>8 | uint16(s[i])<<8)
		}
		b := NativeBytes(s)
		swap(b, b)
		require.Equal(t, want, s)
	}
}

func TestNoAllocation(t *testing.T) {
	if !littleEndian() {
		t.Skip("BytesLE copies on this machine")
	}
	s, b, room := make([]int16, 320), make([]byte, 640), make([]byte, 0, 640)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		DecodeBE(s, b)
		EncodeBE(b, s)
		DecodeLE(s, b)
		EncodeLE(b, s)
		AppendLE(room, s)
		BytesLE(s)
		FixLE(s)
	}))
}

func BenchmarkFrame(b *testing.B) {
	s, w := make([]int16, 320), make([]byte, 640)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"DecodeBE", func() { DecodeBE(s, w) }},
		{"EncodeBE", func() { EncodeBE(w, s) }},
		{"DecodeLE", func() { DecodeLE(s, w) }},
		{"AppendLE", func() { AppendLE(w[:0], s) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(640)
			for b.Loop() {
				c.f()
			}
		})
	}
}
