package resample_test

import (
	"fmt"

	"github.com/mixminus/mixminus/codec/resample"
)

// 20 ms of 24 kHz become 20 ms of 16 kHz; the end comes with Flush.
func Example() {
	r, err := resample.New(24000, 16000)
	if err != nil {
		fmt.Println(err)
		return
	}
	in, out := make([]int16, 480), make([]int16, 320)
	fmt.Println(r.Process(out, in), "samples, the first of them", r.Delay(), "late")
	fmt.Println(r.Flush(out), "more")
	// Output:
	// 320 samples, the first of them 23 late
	// 23 more
}
