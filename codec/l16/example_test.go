package l16_test

import (
	"encoding/base64"
	"fmt"

	"github.com/mixminus/mixminus/codec/l16"
)

// Base64 of little-endian PCM is decoded straight into samples.
func ExampleFixLE() {
	samples := make([]int16, 3)
	n, err := base64.StdEncoding.Decode(l16.NativeBytes(samples), []byte("AQD+/wCA"))
	l16.FixLE(samples)
	fmt.Println(samples, n, err)
	// Output: [1 -2 -32768] 6 <nil>
}
