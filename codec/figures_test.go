package codec

import (
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
)

// The figures of docs/CODECS.md:
//
//	go test -v -run Figures ./codec
func TestFigures(t *testing.T) {
	if !testing.Verbose() {
		t.Skip("only prints; TestSpeechThroughEach judges")
	}
	t.Log("codec | kbit/s | delay ms | SNR of speech: allison, june, carlo | SNR of 1 kHz at -10 dBFS")
	for _, c := range All() {
		var of []float64
		var bytes, samples int
		for _, v := range signal.Voices() {
			pcm := at(t, c, signal.Speech(v))
			out, payload := through(t, c, pcm)
			of, bytes, samples = append(of, snr(out, pcm)), bytes+len(payload), samples+len(pcm)
		}
		tone := at(t, c, signal.Sine(2*signal.SampleRate, 1000, -10))
		out, _ := through(t, c, tone)
		settled := c.SampleRate / 2
		t.Logf("%s | %.1f | %.1f | %.1f | %.1f", c.RTPMap(),
			float64(8*bytes*c.SampleRate)/float64(1000*samples), 1e3*float64(delays[c.Name])/float64(c.SampleRate),
			of, snr(out[settled:], tone[settled:]))
	}
}
