package g722

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	lib "github.com/gotranspile/g722"
	"github.com/stretchr/testify/require"
)

func tone(n int, hz float64) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/16000))
	}
	return pcm
}

// delay of the two quadrature mirror filters together, in samples.
const delay = 22

func TestRoundTripKeepsTone(t *testing.T) {
	for _, hz := range []float64{300, 1000, 3000, 6000} {
		in := tone(16000, hz)
		code := make([]byte, len(in)/2)
		require.Equal(t, len(code), NewEncoder().Encode(code, in))
		out := make([]int16, len(in))
		require.Equal(t, len(out), NewDecoder().Decode(out, code))

		var signal, noise float64
		for i := 1600; i < len(out)-delay; i++ { // after the step size has adapted
			s, e := float64(in[i]), float64(out[i+delay])-float64(in[i])
			signal, noise = signal+s*s, noise+e*e
		}
		snr := 10 * math.Log10(signal/noise)
		require.Greater(t, snr, 15.0, "%v Hz", hz)
	}
}

func TestChunksMakeNoDifference(t *testing.T) {
	in := tone(3200, 440)
	whole := make([]byte, 1600)
	NewEncoder().Encode(whole, in)

	e, chunked := NewEncoder(), make([]byte, 0, 1600)
	var buf [160]byte
	for i, size := 0, 2; i < len(in); i, size = i+size, size%318+2 {
		end := min(i+size, len(in))
		chunked = append(chunked, buf[:e.Encode(buf[:], in[i:end])]...)
	}
	require.Equal(t, whole, chunked)

	wholePCM := make([]int16, 3200)
	NewDecoder().Decode(wholePCM, whole)
	d, pcm := NewDecoder(), make([]int16, 3200)
	n := 0
	for i, size := 0, 1; i < len(whole); i, size = i+size, size%159+1 {
		n += d.Decode(pcm[n:], whole[i:min(i+size, len(whole))])
	}
	require.Equal(t, wholePCM, pcm[:n])
}

func TestLengthsThatDoNotFit(t *testing.T) {
	require.Equal(t, 0, NewDecoder().Decode(nil, []byte{1}))
	require.Equal(t, 0, NewDecoder().Decode(make([]int16, 1), []byte{1}))
	require.Equal(t, 2, NewDecoder().Decode(make([]int16, 3), []byte{1, 2, 3}))
	require.Equal(t, 0, NewEncoder().Encode(nil, []int16{1, 2}))
	require.Equal(t, 0, NewEncoder().Encode(make([]byte, 1), []int16{1}))
	require.Equal(t, 1, NewEncoder().Encode(make([]byte, 9), []int16{1, 2, 3}))
}

// noise is the same on every machine.
func noise(n int, seed uint64) []byte {
	r, b := rand.New(rand.NewPCG(seed, 2)), make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Whatever the bytes, the library decodes them as we do, but for what it lets
// wrap around.
func TestDecoderIsTheLibrarysButClips(t *testing.T) {
	code := noise(1<<17, 1)
	want, got := make([]int16, 1<<18), make([]int16, 1<<18)
	lib.NewDecoder(lib.Rate64000, 0).Decode(want, code)
	require.Equal(t, len(got), NewDecoder().Decode(got, code))
	clipped := 0
	for i, s := range got {
		switch {
		case s == want[i]:
		case s == math.MaxInt16 && want[i] < 0, s == math.MinInt16 && want[i] > 0:
			clipped++
		default:
			t.Fatalf("sample %d: got %d, want %d", i, s, want[i])
		}
	}
	require.Positive(t, clipped)
	require.Less(t, clipped, len(got)/4)
}

// A sweep of squares, which are whole numbers everywhere, there and back, as
// it was when ffmpeg agreed.
func TestGolden(t *testing.T) {
	in := make([]int16, 16000)
	for i, phase := 0, 0; i < len(in); i++ {
		phase += 50 + i/3
		in[i] = 12000
		if phase/8000%2 == 1 {
			in[i] = -12000
		}
	}
	code, out := make([]byte, 8000), make([]int16, 16000)
	NewEncoder().Encode(code, in)
	NewDecoder().Decode(out, code)
	require.Equal(t, "637ad4f82945e356bd2ab1d030e69404b92afec050a6dcdceb2cc49f723502b1", sum(t, code))
	require.Equal(t, "5e7e1a25901bd32e7dcb82b8c25d3326f731becf53a5d99c4e0354333f952d0c", sum(t, out))
	out = make([]int16, 20000)
	NewDecoder().Decode(out, noise(10000, 7))
	require.Equal(t, "4b4ab652916ab9449b546d2e4283ee2b7d67c0fa10b1a3bee38cbb8c787617ec", sum(t, out))
}

func sum(t *testing.T, data any) string {
	h := sha256.New()
	require.NoError(t, binary.Write(h, binary.BigEndian, data))
	return fmt.Sprintf("%x", h.Sum(nil))
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(nil), uint16(0), uint8(0))
	f.Add(noise(160, 3), uint16(320), uint8(7))
	f.Add([]byte{0xff, 0, 0xff, 0, 0x3f, 0xc0}, uint16(11), uint8(2))
	f.Fuzz(func(t *testing.T, code []byte, room uint16, cut uint8) {
		whole := make([]int16, room)
		n := NewDecoder().Decode(whole, code)
		require.Equal(t, min(2*len(code), int(room)/2*2), n)

		d, pieces := NewDecoder(), make([]int16, room)
		k := min(int(cut), len(code))
		m := d.Decode(pieces, code[:k])
		m += d.Decode(pieces[m:], code[k:])
		require.Equal(t, n, m)
		require.Equal(t, whole, pieces)
	})
}

func TestNoAllocation(t *testing.T) {
	d, e := NewDecoder(), NewEncoder()
	code, pcm := make([]byte, 160), make([]int16, 320)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		e.Encode(code, pcm)
		d.Decode(pcm, code)
	}))
}

// Ours beside the library's: 20 ms.
func BenchmarkFrame(b *testing.B) {
	code, pcm := make([]byte, 160), tone(320, 440)
	NewEncoder().Encode(code, pcm)
	d, e, theirs := NewDecoder(), NewEncoder(), lib.NewDecoder(lib.Rate64000, 0)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"decode/ours", func() { d.Decode(pcm, code) }},
		{"decode/library", func() { theirs.Decode(pcm, code) }},
		{"encode", func() { e.Encode(code, pcm) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.f()
			}
		})
	}
}
