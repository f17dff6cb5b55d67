package codec

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLookup(t *testing.T) {
	for _, c := range []struct {
		name  string
		clock int
		want  string
	}{
		{"L16", 16000, "L16"}, {"l16", 16000, "L16"}, {"G722", 8000, "G722"}, {"g722", 8000, "G722"},
		{"G722", 16000, ""}, // its sample rate is not its clock
		{"L16", 44100, ""}, {"opus", 48000, ""}, {"", 0, ""},
	} {
		got, ok := ByName(c.name, c.clock)
		require.Equal(t, c.want, got.Name, "%s/%d", c.name, c.clock)
		require.Equal(t, c.want != "", ok)
	}

	got, ok := ByPayloadType(9)
	require.True(t, ok)
	require.Equal(t, "G722", got.Name)
	require.Equal(t, 16000, got.SampleRate)
	for _, pt := range []int{Dynamic, 0, 8, 10, 11, 96, 128} {
		_, ok := ByPayloadType(pt)
		require.False(t, ok, "payload type %d", pt)
	}
}

// Every row: 20 ms there and back.
func TestRoundTrip(t *testing.T) {
	for _, c := range All() {
		t.Run(c.Name, func(t *testing.T) {
			pcm := make([]int16, c.SampleRate/50)
			for i := range pcm {
				pcm[i] = int16(9000 * math.Sin(float64(i)/5))
			}
			enc, dec := c.NewEncoder(), c.NewDecoder()
			code, out := make([]byte, 2*len(pcm)), make([]int16, len(pcm))
			var n int
			for range 10 { // adaptive codecs take a moment
				n = enc.Encode(code, pcm)
				require.Equal(t, len(pcm), dec.Decode(out, code[:n]))
			}
			var in, dot, power float64
			for i := 22; i < len(pcm); i++ { // the delay of G.722 is 22
				d := out[i]
				if c.Name == "L16" {
					d = out[i-22]
				}
				x, y := float64(pcm[i-22]), float64(d)
				in, dot, power = in+x*x, dot+x*y, power+y*y
			}
			require.Greater(t, dot/math.Sqrt(in*power), 0.99)
			if c.Name == "L16" {
				require.Equal(t, pcm, out)
				require.Equal(t, byte(uint16(pcm[1])>>8), code[2], "network byte order")
			}
		})
	}
}
