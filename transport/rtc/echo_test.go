package rtc

import (
	"fmt"
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
	// Coded twice, for which opus was not made.
	for name, want := range map[string]float64{"PCMU/8000": 0.95, "PCMA/8000": 0.95, "G722/8000": 0.98, "opus/48000/2": 0.6} {
		t.Run(strings.Split(name, "/")[0], func(t *testing.T) {
			r := newRig(t, nil)
			exactly(t, func() string {
				_, ep := r.open(echo, both)
				c := newClient(t, clientConfig{codecs: []string{name}})
				c.connect(ep.url)
				rate := c.codec.SampleRate
				said := at(rate, signal.Speech(signal.Allison)[:4*signal.SampleRate])
				c.say(append(append([]int16(nil), said...), make([]int16, rate)...))
				soon(t, "the echo", func() bool { return c.count() >= 245 })
				is, stats := like(rate, said, c.heard()), ep.Stats()
				require.Zero(t, stats.RTP.Lost)
				c.close()
				require.Equal(t, ended{ep.url, nil}, r.end())
				require.False(t, ep.Stats().Connected)
				if len(stats.BadMessages) > 0 || is.Wander > signal.SampleRate/100 || is.Silence > 0 || is.Score < want {
					return fmt.Sprintf("%v; %+v %v", is, stats.RTP, stats.BadMessages)
				}
				return ""
			})
		})
	}
}
