package mix_test

import (
	"fmt"

	"github.com/mixminus/mixminus/engine/mix"
)

// Three members of a room: each hears the others, and one of them is loud
// enough to clip the mix of all.
func ExampleSum_MixMinus() {
	members := []mix.Samples{{1000}, {500}, {32000}}

	var sum mix.Sum
	for i := range members {
		sum.Add(&members[i])
	}
	var out mix.Samples
	sum.Mix(&out)
	fmt.Println("all:", out[0])
	for i := range members {
		sum.MixMinus(&out, &members[i])
		fmt.Printf("without %d: %d\n", i, out[0])
	}
	// Output:
	// all: 32767
	// without 0: 32500
	// without 1: 32767
	// without 2: 1500
}
