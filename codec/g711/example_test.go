package g711_test

import (
	"fmt"

	"github.com/mixminus/mixminus/codec/g711"
)

func Example() {
	code, pcm := make([]byte, 3), make([]int16, 3)
	g711.EncodeUlaw(code, []int16{0, 1000, -20000})
	n := g711.DecodeUlaw(pcm, code)
	fmt.Printf("% x %d\n", code, pcm[:n])

	g711.EncodeAlaw(code, []int16{0, 1000, -20000})
	n = g711.DecodeAlaw(pcm, code)
	fmt.Printf("% x %d\n", code, pcm[:n])
	// Output:
	// ff ce 0c [0 988 -19836]
	// d5 fa 26 [8 1008 -19968]
}
