package g722_test

import (
	"fmt"

	"github.com/mixminus/mixminus/codec/g722"
)

// 20 ms: 320 samples are 160 bytes.
func Example() {
	pcm, payload := make([]int16, 320), make([]byte, 160)
	fmt.Println(g722.NewEncoder().Encode(payload, pcm), "bytes")
	fmt.Println(g722.NewDecoder().Decode(pcm, payload), "samples")
	// Output:
	// 160 bytes
	// 320 samples
}
