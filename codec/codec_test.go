package codec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec/opus"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/stretchr/testify/require"
)

func TestLookup(t *testing.T) {
	for _, c := range []struct {
		name  string
		clock int
		want  string
	}{
		{"PCMU", 8000, "PCMU"}, {"pcma", 8000, "PCMA"},
		{"L16", 16000, "L16"}, {"l16", 16000, "L16"}, {"G722", 8000, "G722"}, {"g722", 8000, "G722"},
		{"opus", 48000, "opus"}, {"OPUS", 48000, "opus"},
		{"G722", 16000, ""}, {"opus", 16000, ""}, // their sample rate is not their clock
		{"L16", 44100, ""}, {"PCMU", 16000, ""}, {"telephone-event", 8000, ""}, {"", 0, ""},
	} {
		got, ok := ByName(c.name, c.clock)
		require.Equal(t, c.want, got.Name, "%s/%d", c.name, c.clock)
		require.Equal(t, c.want != "", ok)
	}

	for pt, want := range map[int]string{0: "PCMU", 8: "PCMA", 9: "G722"} {
		got, ok := ByPayloadType(pt)
		require.True(t, ok)
		require.Equal(t, want, got.Name)
	}
	for _, pt := range []int{Dynamic, 1, 3, 10, 11, 13, 18, 96, 128} {
		_, ok := ByPayloadType(pt)
		require.False(t, ok, "payload type %d", pt)
	}

	var maps []string
	for _, c := range All() {
		maps = append(maps, fmt.Sprint(c.RTPMap(), " ", c.SampleRate))
	}
	require.Equal(t, []string{"PCMU/8000 8000", "PCMA/8000 8000", "G722/8000 16000", "L16/16000 16000", "opus/48000/2 16000"}, maps)
}

func TestWhoConceals(t *testing.T) {
	for _, c := range All() {
		d := c.NewDecoder()
		_, conceals := d.(Concealer)
		_, fec := d.(FECDecoder)
		require.Equal(t, c.Name == "opus", conceals)
		require.Equal(t, c.Name == "opus", fec)
	}
}

// delays in samples, from PCM to PCM.
var delays = map[string]int{"G722": 22, "opus": 104}

// at brings 16 kHz to the rate of a codec.
func at(t testing.TB, c Codec, pcm []int16) []int16 {
	r, err := resample.New(signal.SampleRate, c.SampleRate)
	require.NoError(t, err)
	out := make([]int16, r.Size(len(pcm)))
	r.Process(out, pcm)
	return out
}

// through codes pcm in frames of 20 ms, there and back, and takes the delay
// off. It also returns the payload, to be counted.
func through(t testing.TB, c Codec, pcm []int16) (out []int16, payload []byte) {
	t.Helper()
	enc, dec := c.NewEncoder(), c.NewDecoder()
	size := c.SampleRate / 50
	code, frame := make([]byte, opus.MaxPacket), make([]int16, size)
	for i := 0; i+size <= len(pcm); i += size {
		n := enc.Encode(code, pcm[i:i+size])
		require.Equal(t, size, c.Samples(code[:n]))
		require.Equal(t, size, dec.Decode(frame, code[:n]))
		out, payload = append(out, frame...), append(payload, code[:n]...)
	}
	return out[delays[c.Name]:], payload
}

// snr of got against as much of want, in dB.
func snr(got, want []int16) float64 {
	var signal, noise float64
	for i, y := range got {
		x := float64(want[i])
		signal, noise = signal+x*x, noise+(float64(y)-x)*(float64(y)-x)
	}
	return 10 * math.Log10(signal/noise)
}

func TestSpeechThroughEach(t *testing.T) {
	least := map[string]float64{"PCMU": 36, "PCMA": 36, "G722": 20, "L16": math.Inf(1), "opus": 6.5}
	for _, c := range All() {
		for _, v := range signal.Voices() {
			t.Run(fmt.Sprint(c.Name, " ", v), func(t *testing.T) {
				pcm := at(t, c, signal.Speech(v)[:2*signal.SampleRate])
				out, _ := through(t, c, pcm)
				require.GreaterOrEqual(t, snr(out, pcm), least[c.Name])
			})
		}
	}
}

func TestNetworkByteOrder(t *testing.T) {
	c, _ := ByName("L16", 16000)
	code := make([]byte, 2)
	require.Equal(t, 2, c.NewEncoder().Encode(code, []int16{0x1234}))
	require.Equal(t, []byte{0x12, 0x34}, code)
}

// What Samples says is what Decode makes, of whatever bytes.
func TestAnyBytes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, c := range All() {
		dec, dst := c.NewDecoder(), make([]int16, opus.MaxSamples)
		for range 300 {
			payload := make([]byte, rnd.IntN(200))
			for i := range payload {
				payload[i] = byte(rnd.Uint32())
			}
			n := c.Samples(payload)
			if got := dec.Decode(dst, payload); got != n {
				require.Equal(t, "opus", c.Name)
				require.Zero(t, got, "malformed")
			}
			require.LessOrEqual(t, dec.Decode(dst[:min(n, 7)], payload), 7)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	for _, c := range All() {
		enc, dec := c.NewEncoder(), c.NewDecoder()
		pcm := at(t, c, signal.Speech(signal.June)[:signal.SampleRate])
		code, frame, i := make([]byte, opus.MaxPacket), make([]int16, c.SampleRate/50), 0
		require.Zero(t, testing.AllocsPerRun(45, func() {
			n := enc.Encode(code, pcm[i:i+len(frame)])
			if c.Samples(code[:n]) != dec.Decode(frame, code[:n]) {
				t.Error("samples")
			}
			i += len(frame)
		}), c.Name)
	}
}

// FuzzDecoders gives the same bytes to every decoder of the table.
func FuzzDecoders(f *testing.F) {
	for _, c := range All() {
		code := make([]byte, opus.MaxPacket)
		n := c.NewEncoder().Encode(code, at(f, c, signal.Speech(signal.Carlo)[3200:3520]))
		f.Add(code[:n], uint16(n), uint16(c.SampleRate/50))
	}
	f.Add([]byte{}, uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, payload []byte, cut, room uint16) {
		k := min(int(cut), len(payload))
		for _, c := range All() {
			dec, dst := c.NewDecoder(), make([]int16, room)
			for _, p := range [][]byte{payload[:k], payload[k:]} {
				n := dec.Decode(dst, p)
				require.LessOrEqual(t, n, min(len(dst), c.Samples(p)))
				if d, ok := dec.(Concealer); ok {
					require.LessOrEqual(t, d.Conceal(dst[:min(len(dst), 320)]), 320)
				}
			}
			if d, ok := dec.(*opus.Decoder); ok {
				require.Zero(t, d.Faults())
			}
		}
	})
}
