package g711

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	zaf "github.com/zaf/g711"
)

var laws = []struct {
	name   string
	decode func([]int16, []byte) int
	encode func([]byte, []int16) int

	// The definition.
	decodeOne func(byte) int16
	encodeOne func(int16) byte

	// Its functions on slices, to measure by.
	decodeSlice func([]byte) []byte
	encodeSlice func([]byte) []byte

	// SHA-256 of all codes decoded, and of all samples encoded.
	samples, codes string

	silence byte // the code of 0
}{
	{
		name: "A-law", decode: DecodeAlaw, encode: EncodeAlaw,
		decodeOne: zaf.DecodeAlawFrame, encodeOne: zaf.EncodeAlawFrame,
		decodeSlice: zaf.DecodeAlaw, encodeSlice: zaf.EncodeAlaw,
		silence: 0xd5,
		samples: "fe39f4f3aa953077a8d65b535c6232ce76ceb6eba8cd20360148f5b2d43a9520",
		codes:   "38488f6fd710f4686360edc4d38639f96c491595ef93f8eb8d62d5e07ca6ce7b",
	},
	{
		name: "µ-law", decode: DecodeUlaw, encode: EncodeUlaw,
		decodeOne: zaf.DecodeUlawFrame, encodeOne: zaf.EncodeUlawFrame,
		decodeSlice: zaf.DecodeUlaw, encodeSlice: zaf.EncodeUlaw,
		silence: 0xff,
		samples: "080f35de1bab772bcd7b3e293041aa9014b51e7b6d4e98844885ba106ec0dee9",
		codes:   "90c29de505fb68e766118303bd552a16005dcf810873698bee1d8f3b247ce28c",
	},
}

// allCodes and allSamples hold every value there is, in order: -32768 comes
// first.
func allCodes() []byte {
	codes := make([]byte, 256)
	for i := range codes {
		codes[i] = byte(i)
	}
	return codes
}

func allSamples() []int16 {
	samples := make([]int16, 1<<16)
	for i := range samples {
		samples[i] = int16(i + math.MinInt16)
	}
	return samples
}

func TestEveryValueIsByDefinition(t *testing.T) {
	for _, law := range laws {
		t.Run(law.name, func(t *testing.T) {
			codes, pcm := allCodes(), make([]int16, 256)
			require.Equal(t, 256, law.decode(pcm, codes))
			for i, code := range codes {
				require.Equal(t, law.decodeOne(code), pcm[i], "code %#02x", code)
			}

			samples, out := allSamples(), make([]byte, 1<<16)
			require.Equal(t, 1<<16, law.encode(out, samples))
			for i, s := range samples {
				if want := law.encodeOne(s); out[i] != want {
					t.Fatalf("sample %d: got %#02x, want %#02x", s, out[i], want)
				}
			}
		})
	}
}

// The definition is another module's: this is what it was when we took it.
func TestGolden(t *testing.T) {
	for _, law := range laws {
		t.Run(law.name, func(t *testing.T) {
			pcm := make([]int16, 256)
			law.decode(pcm, allCodes())
			h := sha256.New()
			require.NoError(t, binary.Write(h, binary.BigEndian, pcm))
			require.Equal(t, law.samples, fmt.Sprintf("%x", h.Sum(nil)))

			codes := make([]byte, 1<<16)
			law.encode(codes, allSamples())
			require.Equal(t, law.codes, fmt.Sprintf("%x", sha256.Sum256(codes)))
		})
	}
}

// A sample by itself is looked up, many at once are computed.
func TestOneByOneIsTheSame(t *testing.T) {
	for _, law := range laws {
		codes, samples := allCodes(), allSamples()
		pcm, one := make([]int16, len(codes)), make([]int16, len(codes))
		law.decode(pcm, codes)
		for i := range codes {
			law.decode(one[i:], codes[i:i+1])
		}
		require.Equal(t, pcm, one)

		out, single := make([]byte, len(samples)), make([]byte, len(samples))
		law.encode(out, samples)
		for i := range samples {
			law.encode(single[i:], samples[i:i+1])
		}
		require.Equal(t, out, single)
	}
}

// Any length, from any place, and nothing behind it.
func TestEveryLength(t *testing.T) {
	samples := allSamples()[100:] // all that are loud
	for _, law := range laws {
		for n := range 100 {
			codes, pcm := make([]byte, n+20), make([]int16, n+20)
			require.Equal(t, n, law.encode(codes[:n], samples[n:]))
			require.Equal(t, n, law.decode(pcm[1:n+1], codes[:n]))
			for i := range n {
				require.Equal(t, law.encodeOne(samples[n+i]), codes[i])
				require.Equal(t, law.decodeOne(codes[i]), pcm[1+i])
			}
			require.Equal(t, make([]byte, 20), codes[n:])
			require.Equal(t, make([]int16, 19), pcm[n+1:])
			require.Zero(t, pcm[0])
		}
	}
}

// What comes out of a decoder goes through another hop unharmed. Only µ-law
// has two zeros.
func TestCodesSurvive(t *testing.T) {
	for _, law := range laws {
		t.Run(law.name, func(t *testing.T) {
			pcm, again := make([]int16, 256), make([]byte, 256)
			law.decode(pcm, allCodes())
			law.encode(again, pcm)
			for code, got := range again {
				if pcm[code] == 0 {
					require.Equal(t, law.silence, got)
					continue
				}
				require.Equal(t, byte(code), got, "%d", pcm[code])
			}
			silence := []byte{0}
			law.encode(silence, []int16{0})
			require.Equal(t, law.silence, silence[0])
		})
	}
}

// The error is half a step: 1/32 of the sample, or a few units near zero; and
// what is louder than the loudest code becomes that.
func TestStaysNearAndInOrder(t *testing.T) {
	for _, law := range laws {
		t.Run(law.name, func(t *testing.T) {
			samples := allSamples()
			codes, pcm := make([]byte, len(samples)), make([]int16, len(samples))
			law.encode(codes, samples)
			law.decode(pcm, codes)
			for i, s := range samples {
				abs := math.Abs(float64(s))
				if abs < 32500 && math.Abs(float64(s)-float64(pcm[i])) > abs/31+8 {
					t.Fatalf("%d became %d", s, pcm[i])
				}
				if i > 0 && pcm[i] < pcm[i-1] {
					t.Fatalf("%d became %d, but %d became %d", s, pcm[i], samples[i-1], pcm[i-1])
				}
			}
		})
	}
}

func TestLengthsThatDoNotFit(t *testing.T) {
	for _, law := range laws {
		for _, c := range []struct{ dst, src, want int }{{0, 0, 0}, {0, 3, 0}, {3, 0, 0}, {2, 3, 2}, {3, 2, 2}} {
			pcm := make([]int16, 4)
			require.Equal(t, c.want, law.decode(pcm[:c.dst], make([]byte, c.src)))
			codes := []byte{1, 1, 1, 1}
			require.Equal(t, c.want, law.encode(codes[:c.dst], make([]int16, c.src)))
			for i := range 4 {
				require.Equal(t, i < c.want, pcm[i] != 0)
				require.Equal(t, i < c.want, codes[i] != 1)
			}
		}
	}
}

func TestNoAllocation(t *testing.T) {
	codes, pcm := make([]byte, 160), make([]int16, 160)
	for _, law := range laws {
		require.Zero(t, testing.AllocsPerRun(100, func() {
			law.encode(codes, pcm)
			law.decode(pcm, codes)
		}))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(nil), 0)
	f.Add(allCodes(), 256)
	f.Add([]byte{0xff, 0x7f, 0xd5}, 2)
	f.Fuzz(func(t *testing.T, src []byte, room int) {
		room &= 0xfff
		for _, law := range laws {
			dst := make([]int16, room)
			n := law.decode(dst, src)
			require.Equal(t, min(room, len(src)), n)
			for i := range n {
				require.Equal(t, law.decodeOne(src[i]), dst[i])
			}
		}
	})
}

// Ours beside the definition's functions on slices: 20 ms, 160 samples.
func BenchmarkFrame(b *testing.B) {
	codes, pcm, bytes := make([]byte, 160), make([]int16, 160), make([]byte, 320)
	for i := range pcm {
		pcm[i] = int16(12000 * math.Sin(float64(i)/3))
		binary.LittleEndian.PutUint16(bytes[2*i:], uint16(pcm[i]))
	}
	EncodeUlaw(codes, pcm)
	for _, law := range laws {
		for _, c := range []struct {
			name string
			f    func()
		}{
			{"encode/ours", func() { law.encode(codes, pcm) }},
			{"encode/zaf", func() { law.encodeSlice(bytes) }},
			{"decode/ours", func() { law.decode(pcm, codes) }},
			{"decode/zaf", func() { law.decodeSlice(codes) }},
		} {
			b.Run(law.name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.f()
				}
			})
		}
	}
}
