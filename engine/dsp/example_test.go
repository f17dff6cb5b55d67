package dsp_test

import (
	"fmt"

	"github.com/mixminus/mixminus/engine/dsp"
)

func ExampleMeasure() {
	square := []int16{16384, -16384, 16384, -16384}
	level := dsp.Measure(square)
	fmt.Printf("RMS %.1f dBFS, peak %.1f dBFS\n", level.RMS, level.Peak)
	// Output: RMS -6.0 dBFS, peak -6.0 dBFS
}
