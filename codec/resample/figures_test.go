package resample

import (
	"fmt"
	"math"
	"testing"
)

// The figures of docs/CODECS.md:
//
//	go test -v -run Figures ./codec/resample
func TestFigures(t *testing.T) {
	if !testing.Verbose() {
		t.Skip("only prints; TestAliases, TestPassband and TestSineIsIdealAndInItsPlace judge")
	}
	t.Log("from to | delay samples, ms | SNR of 1 kHz | level at 0.42 | loudest alias from 0.53, at")
	each(t, func(t *testing.T, from, to int) {
		r := create(t, from, to)
		lower := min(from, to)
		edge := int(0.42 * float64(lower))
		got := run(t, from, to, sine(from/2, from, float64(edge)))
		passed := db(power(got[to/100:len(got)-to/100]) / (amplitude * amplitude / 2))

		aliases := "none"
		if from > to {
			worst, at := math.Inf(-1), 0
			for hz := to * 53 / 100; hz < from/2; hz += 100 {
				if a := alias(t, from, to, float64(hz)); a > worst {
					worst, at = a, hz
				}
			}
			aliases = fmt.Sprintf("%.1f dB, %d Hz", worst, at)
		}
		t.Logf("%d %d | %d, %.2f | %.1f dB | %.2f dB | %s", from, to,
			r.Delay(), 1e3*float64(r.Delay())/float64(to),
			snr(run(t, from, to, sine(from, from, 1000)), to, 1000), passed, aliases)
	})
}
