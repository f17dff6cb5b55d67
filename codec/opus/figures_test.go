package opus

import (
	"slices"
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
)

// all is half a minute of three voices.
func all() []int16 {
	return slices.Concat(signal.Speech(signal.Allison), signal.Speech(signal.June), signal.Speech(signal.Carlo))
}

// The figures of docs/CODECS.md:
//
//	go test -v -run Figures ./codec/opus
func TestFigures(t *testing.T) {
	if !testing.Verbose() {
		t.Skip("only prints; TestSpeech and TestLoss judge")
	}
	pcm := all()
	t.Log("bit/s asked | complexity | bit/s | SNR")
	for _, c := range []EncoderConfig{
		{Bitrate: 12000}, {Bitrate: 16000}, {Complexity: Fastest}, {}, {Complexity: 10},
		{Bitrate: 32000}, {Bitrate: 48000}, {Bitrate: 96000},
	} {
		packets := encode(t, newEncoder(t, c), pcm, frame)
		n := 0
		for _, p := range packets {
			n += len(p)
		}
		t.Logf("%d | %d | %d | %.1f dB", c.Bitrate, c.Complexity, 8*50*n/len(packets),
			snr(decode(t, NewDecoder(), packets, frame), pcm))
	}

	t.Log("loss at 32 kbit/s | SNR of silence, concealment, FEC | of the lost, FEC brings back")
	for _, percent := range []int{0, 1, 2, 5, 10, 20, 30} {
		packets := encode(t, newEncoder(t, EncoderConfig{Bitrate: 32000, FEC: percent > 0, Loss: percent}), pcm, frame)
		lost := losses(len(packets), float64(percent)/100)
		count := 0
		for _, l := range lost {
			if l {
				count++
			}
		}
		zeros, _ := lossy(t, packets, lost, silence)
		concealed, _ := lossy(t, packets, lost, conceal)
		repaired, n := lossy(t, packets, lost, fec)
		t.Logf("%d %% | %.1f %.1f %.1f dB | %d of %d", percent,
			snr(zeros, pcm), snr(concealed, pcm), snr(repaired, pcm), n, count)
	}
}
