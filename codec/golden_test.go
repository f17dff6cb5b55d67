package codec

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Packets by libopus, and what its opus_decode (1.3.1) makes of them at 16 kHz
// in mono. The speech-like part of Opus, SILK, is arithmetic of whole numbers
// and must be the same to the bit; CELT is floating point, which every machine
// rounds in its own way.
func TestLibopusGolden(t *testing.T) {
	for name, least := range map[string]float64{
		"silk":   math.Inf(1),
		"celt":   80,
		"hybrid": 80,
	} {
		t.Run(name, func(t *testing.T) {
			file, err := os.ReadFile(filepath.Join("testdata", name+".opus"))
			require.NoError(t, err)
			raw, err := os.ReadFile(filepath.Join("testdata", name+".pcm"))
			require.NoError(t, err)
			coded, err := oggPackets(file)
			require.NoError(t, err)
			got, want := decodeOpus(t, coded[2:]), samples(raw)
			require.Len(t, got, len(want))
			t.Logf("%s: %.1f dB", name, snr(got, want))
			require.GreaterOrEqual(t, snr(got, want), least)
		})
	}
}
