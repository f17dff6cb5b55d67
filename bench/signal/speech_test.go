package signal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const frame = 320

func TestSpeechIsContinuousTalk(t *testing.T) {
	for _, v := range Voices() {
		t.Run(v.String(), func(t *testing.T) {
			pcm := Speech(v)
			require.InDelta(t, 10, float64(len(pcm))/SampleRate, 1.5, "seconds")
			require.Zero(t, len(pcm)%frame, "whole frames")
			require.InDelta(t, -14, Level(pcm), 4, "dBFS")

			quiet, longest := 0, 0
			for i := 0; i < len(pcm); i += frame {
				quiet++
				if Level(pcm[i:i+frame]) > -45 {
					quiet = 0
				}
				longest = max(longest, quiet)
			}
			require.LessOrEqual(t, longest, 10, "20 ms frames of pause")

			require.Less(t, Level(pcm[:16]), -40.0, "begins near zero")
			require.Less(t, Level(pcm[len(pcm)-16:]), -40.0, "ends near zero")
		})
	}
}

func TestSpeechIsShared(t *testing.T) {
	require.Same(t, &Speech(June)[0], &Speech(June)[0])
	require.Zero(t, testing.AllocsPerRun(10, func() { Speech(June) }))
}

func TestUnknownVoice(t *testing.T) {
	require.Nil(t, Speech(-1))
	require.Nil(t, Speech(Voice(len(Voices()))))
	require.Equal(t, "Voice(7)", Voice(7).String())
	require.Equal(t, "carlo", Carlo.String())
}
