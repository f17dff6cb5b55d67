package opus

import (
	"cmp"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/stretchr/testify/require"
)

// delay of encoder and decoder together: TestDelay.
const delay = 104

const frame = SampleRate / 50

// speech is three seconds: the race detector makes coding slow.
func speech(v signal.Voice) []int16 { return signal.Speech(v)[:150*frame] }

func newEncoder(t testing.TB, cfg EncoderConfig) *Encoder {
	t.Helper()
	e, err := NewEncoder(cfg)
	require.NoError(t, err)
	return e
}

// encode makes packets of size samples. Where nothing need be sent, the packet
// is nil.
func encode(t testing.TB, e *Encoder, pcm []int16, size int) (packets [][]byte) {
	t.Helper()
	for ; len(pcm) >= size; pcm = pcm[size:] {
		buf := make([]byte, MaxPacket)
		if n := e.Encode(buf, pcm[:size]); n > 0 {
			packets = append(packets, buf[:n])
		} else {
			packets = append(packets, nil)
		}
	}
	return packets
}

// decode decodes packets of size samples; missing ones are concealed.
func decode(t testing.TB, d *Decoder, packets [][]byte, size int) []int16 {
	t.Helper()
	pcm := make([]int16, size*len(packets))
	for i, p := range packets {
		dst := pcm[i*size : (i+1)*size]
		if p == nil {
			require.Equal(t, size, d.Conceal(dst))
			continue
		}
		require.Equal(t, size, Samples(p))
		require.Equal(t, size, d.Decode(dst, p))
	}
	require.Zero(t, d.Faults())
	return pcm
}

// snr compares got with want, which it lags by the delay.
func snr(got, want []int16) float64 {
	var s, n float64
	for i := 0; i+delay < len(got) && i < len(want); i++ {
		x, e := float64(want[i]), float64(got[i+delay])-float64(want[i])
		s, n = s+x*x, n+e*e
	}
	return 10 * math.Log10(s/n)
}

// Any Opus at these rates is far from its input as a waveform, so the bounds
// are a little below what libopus reaches.
func TestSpeech(t *testing.T) {
	for _, c := range []struct {
		voice signal.Voice
		cfg   EncoderConfig
		size  int
		want  float64
	}{
		{signal.June, EncoderConfig{}, frame, 7},
		{signal.Carlo, EncoderConfig{}, frame, 7},
		{signal.Allison, EncoderConfig{}, frame / 2, 5},
		{signal.Allison, EncoderConfig{}, frame * 2, 7},
		{signal.Allison, EncoderConfig{}, frame * 3, 7},
		{signal.Allison, EncoderConfig{Bitrate: 64000, Complexity: 10}, frame, 8},
		{signal.Allison, EncoderConfig{Bitrate: 12000, Complexity: Fastest}, frame, 3},
	} {
		t.Run(fmt.Sprintf("%v %+v %d", c.voice, c.cfg, c.size), func(t *testing.T) {
			pcm := speech(c.voice)
			packets := encode(t, newEncoder(t, c.cfg), pcm, c.size)
			bits := 0
			for _, p := range packets {
				bits += 8 * len(p)
			}
			bitrate := float64(bits) * SampleRate / float64(len(packets)*c.size)
			asked := float64(cmp.Or(c.cfg.Bitrate, defaultBitrate))
			require.InDelta(t, asked, bitrate, 0.35*asked)
			require.Greater(t, snr(decode(t, NewDecoder(), packets, c.size), pcm), c.want)
		})
	}
}

func TestDelay(t *testing.T) {
	e := newEncoder(t, EncoderConfig{Bitrate: 64000})
	require.Equal(t, delay, e.Delay())
	pcm := speech(signal.June)
	out := decode(t, NewDecoder(), encode(t, e, pcm, frame), frame)
	at, score := signal.Align(pcm[3200:6400], out)
	require.Greater(t, score, 0.9)
	require.InDelta(t, 3200+delay, at, 1)
}

// The decoder takes what has been coded at any rate, of any number of
// channels, in any mode; what it does with each is libopus's business. Here:
// that the length is right for each first byte there is.
func TestSamples(t *testing.T) {
	want := func(toc byte) int { // RFC 6716, table 2, in 2.5 ms
		switch config := toc >> 3; {
		case config < 12:
			return []int{4, 8, 16, 24}[config%4]
		case config < 16:
			return []int{4, 8}[config%2]
		default:
			return []int{1, 2, 4, 8}[config%4]
		}
	}
	dst := make([]int16, MaxSamples)
	for toc := range 256 {
		n := 40 * want(byte(toc))
		switch toc & 3 {
		case 0:
			require.Equal(t, n, Samples([]byte{byte(toc)}))
			require.Equal(t, n, NewDecoder().Decode(dst, []byte{byte(toc), 1, 2, 3}))
		case 1, 2:
			require.Equal(t, 2*n, Samples([]byte{byte(toc)}))
			require.Equal(t, 2*n, NewDecoder().Decode(dst, []byte{byte(toc), 1, 2}))
		case 3:
			require.Zero(t, Samples([]byte{byte(toc)}))
			for count := range 256 {
				got := Samples([]byte{byte(toc), byte(count)})
				if total := count % 64 * n; total <= MaxSamples {
					require.Equal(t, total, got)
				} else {
					require.Zero(t, got)
				}
			}
		}
	}
	require.Zero(t, Samples(nil))
}

func TestBadInput(t *testing.T) {
	d, dst := NewDecoder(), make([]int16, MaxSamples)
	good := encode(t, newEncoder(t, EncoderConfig{}), speech(signal.June)[:frame], frame)[0]
	for name, p := range map[string][]byte{
		"nothing":        nil,
		"empty":          {},
		"no frames":      {0x0b, 0},
		"over 120 ms":    {0x0b, 13},
		"odd halves":     {0x09, 1, 2, 3},
		"count, no data": {0x0b},
		"padding lies":   {0x0b, 0x41, 255, 255},
		"too long":       append([]byte{0x0b, 1}, make([]byte, MaxPacket)...),
	} {
		t.Run(name, func(t *testing.T) {
			require.Zero(t, d.Decode(dst, p))
			require.Zero(t, d.DecodeFEC(dst, p))
		})
	}
	require.Zero(t, d.Decode(dst[:frame-1], good), "dst too short")
	require.Equal(t, frame, d.Decode(dst[:frame], good))
	require.Zero(t, d.Faults())

	e := newEncoder(t, EncoderConfig{})
	buf := make([]byte, MaxPacket)
	for _, n := range []int{0, 1, 40, 80, 159, 161, 319, 321, 480, 1280, MaxSamples, MaxSamples + 1} {
		require.Zero(t, e.Encode(buf, make([]int16, n)), "%d samples", n)
	}
	require.Zero(t, e.Encode(nil, make([]int16, frame)))
	require.Positive(t, e.Encode(buf, make([]int16, frame)))
	noise := signal.Noise(frame, 1, -6)
	for room := range 200 {
		require.LessOrEqual(t, e.Encode(buf[:room], noise), room)
	}
}

func TestConfigRefuses(t *testing.T) {
	for want, cfg := range map[string]EncoderConfig{
		"opus: Bitrate 5999 bit/s: want 6000 to 510000":     {Bitrate: 5999},
		"opus: Bitrate 510001 bit/s":                        {Bitrate: 510001},
		"opus: Complexity 11: want Fastest (-1) or 1 to 10": {Complexity: 11},
		"opus: Complexity -2":                               {Complexity: -2},
		"opus: Loss 101 %: want 0 to 100":                   {Loss: 101},
		"opus: Loss -1 %":                                   {Loss: -1, FEC: true},
	} {
		_, err := NewEncoder(cfg)
		require.ErrorContains(t, err, want)
	}
	e := newEncoder(t, EncoderConfig{})
	require.ErrorContains(t, e.SetBitrate(0), "Bitrate 0")
	require.ErrorContains(t, e.SetLoss(200), "Loss 200")
}

func TestSetBitrate(t *testing.T) {
	e := newEncoder(t, EncoderConfig{})
	size := func(bitrate int) (n int) {
		require.NoError(t, e.SetBitrate(bitrate))
		for _, p := range encode(t, e, speech(signal.Carlo), frame) {
			n += len(p)
		}
		return n
	}
	require.Greater(t, size(48000), 3*size(8000))
}

// Streams share nothing: to be run with the race detector.
func TestStreamsSideBySide(t *testing.T) {
	pcm := speech(signal.Carlo)[:50*frame]
	want := encode(t, newEncoder(t, EncoderConfig{}), pcm, frame)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			e, _ := NewEncoder(EncoderConfig{})
			d := NewDecoder()
			buf, dst := make([]byte, MaxPacket), make([]int16, frame)
			for i, w := range want {
				n := e.Encode(buf, pcm[i*frame:(i+1)*frame])
				if string(buf[:n]) != string(w) {
					t.Errorf("packet %d differs", i)
					return
				}
				d.Decode(dst, buf[:n])
			}
		})
	}
	wg.Wait()
}

// allocations returns those of f per frame of speech, given to it with the
// packet of it.
func allocations(t *testing.T, packets [][]byte, f func(i int, p []byte)) float64 {
	i := 0
	return testing.AllocsPerRun(len(packets)-1, func() {
		f(i, packets[i])
		i++
	})
}

func TestNoAllocation(t *testing.T) {
	pcm := speech(signal.June)
	for _, cfg := range []EncoderConfig{{}, {DTX: true}, {Bitrate: 64000, Complexity: 10}} {
		t.Run(fmt.Sprintf("%+v", cfg), func(t *testing.T) {
			packets := encode(t, newEncoder(t, cfg), pcm, frame)
			e, d := newEncoder(t, cfg), NewDecoder()
			buf, dst := make([]byte, MaxPacket), make([]int16, frame)
			require.Zero(t, allocations(t, packets, func(i int, p []byte) {
				e.Encode(buf, pcm[i*frame:(i+1)*frame])
				d.Decode(dst, p)
			}))
		})
	}
}

// Those of the module below, which it should not get more of.
func TestAllocationOfLoss(t *testing.T) {
	pcm := speech(signal.June)
	cfg := EncoderConfig{FEC: true}
	packets := encode(t, newEncoder(t, cfg), pcm, frame)
	e, buf, dst := newEncoder(t, cfg), make([]byte, MaxPacket), make([]int16, frame)
	require.LessOrEqual(t, allocations(t, packets, func(i int, _ []byte) {
		e.Encode(buf, pcm[i*frame:(i+1)*frame])
	}), 6.0)

	for name, repair := range map[string]func(d *Decoder, p []byte){
		"Conceal":   func(d *Decoder, _ []byte) { d.Conceal(dst) },
		"DecodeFEC": func(d *Decoder, p []byte) { d.DecodeFEC(dst, p) },
	} {
		d := NewDecoder()
		require.LessOrEqual(t, allocations(t, packets, func(i int, p []byte) {
			repair(d, p)
			d.Decode(dst, p)
		}), 4.0, name)
	}
}

func BenchmarkFrame(b *testing.B) {
	pcm := signal.Speech(signal.June)
	for _, c := range []int{Fastest, 5, 9} {
		b.Run(fmt.Sprintf("encode/complexity %d", max(c, 0)), func(b *testing.B) {
			e, buf := newEncoder(b, EncoderConfig{Complexity: c}), make([]byte, MaxPacket)
			b.ReportAllocs()
			for i := 0; b.Loop(); i = (i + frame) % len(pcm) {
				e.Encode(buf, pcm[i:i+frame])
			}
		})
	}
	packets := encode(b, newEncoder(b, EncoderConfig{FEC: true}), pcm, frame)
	for _, c := range []struct {
		name string
		f    func(d *Decoder, dst []int16, p []byte)
	}{
		{"decode", func(d *Decoder, dst []int16, p []byte) { d.Decode(dst, p) }},
		{"decode and FEC", func(d *Decoder, dst []int16, p []byte) { d.DecodeFEC(dst, p); d.Decode(dst, p) }},
		{"decode and conceal", func(d *Decoder, dst []int16, p []byte) { d.Conceal(dst); d.Decode(dst, p) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			d, dst := NewDecoder(), make([]int16, frame)
			b.ReportAllocs()
			for i := 0; b.Loop(); i = (i + 1) % len(packets) {
				c.f(d, dst, packets[i])
			}
		})
	}
}
