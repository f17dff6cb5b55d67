package rtc

import (
	"strings"
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/stretchr/testify/require"
)

// at returns speech as a codec of that rate is given it.
func at(rate int, speech []int16) []int16 {
	if rate == signal.SampleRate {
		return speech
	}
	half := make([]int16, len(speech)/2)
	for i := range half {
		half[i] = int16((int(speech[2*i]) + int(speech[2*i+1])) / 2)
	}
	return half
}

// like compares what was said with what came, both at a rate.
func like(rate int, said, got []int16) signal.Likeness {
	if rate == signal.SampleRate {
		return signal.Liken(said, got)
	}
	return signal.Liken(twice(said), twice(got))
}

func twice(x []int16) []int16 {
	y := make([]int16, 2*len(x))
	for i := range y {
		y[i] = x[i/2]
	}
	return y
}

// TestEcho: a client hears what it says, in every codec, whole and in order.
func TestEcho(t *testing.T) {
	for _, name := range []string{"PCMU/8000", "PCMA/8000", "G722/8000", "opus/48000/2"} {
		t.Run(strings.Split(name, "/")[0], func(t *testing.T) {
			r := newRig(t, nil)
			_, ep := r.open(echo, both)
			c := newClient(t, clientConfig{codecs: []string{name}, fmtp: map[bool]string{true: "minptime=10;useinbandfec=1"}[strings.HasPrefix(name, "opus")]})
			c.connect(ep.url)
			rate := c.codec.SampleRate
			said := at(rate, signal.Speech(signal.Allison)[:4*signal.SampleRate])
			c.say(append(append([]int16(nil), said...), make([]int16, rate)...))
			kept := ep.Stats().RTP.Concealed == 0 // the machine kept time
			soon(t, "the echo", func() bool { return c.count() >= 245 })
			is := like(rate, said, c.heard())
			t.Logf("%v; %+v", is, ep.Stats().RTP)
			if kept {
				require.Greater(t, is.Score, 0.6) // coded twice
				require.Less(t, is.Wander, signal.SampleRate/100)
				require.Zero(t, is.Silence)
				if name != "opus/48000/2" {
					require.Greater(t, is.Score, 0.95)
					require.Equal(t, is.Blocks, is.Alike)
				}
			}
			require.Zero(t, ep.Stats().RTP.Lost)
			require.Empty(t, ep.Stats().BadMessages)

			c.close()
			require.Equal(t, ended{ep.url, nil}, r.end())
			require.False(t, ep.Stats().Connected)
			soon(t, "no peers", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.peers) == 0 && len(r.pending) == 0 })
		})
	}
}
