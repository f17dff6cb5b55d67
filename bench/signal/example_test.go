package signal_test

import (
	"fmt"
	"slices"

	"github.com/mixminus/mixminus/bench/signal"
)

// What became of a recording on its way?
func Example() {
	sent := signal.Speech(signal.Allison)
	received := slices.Concat(signal.Silence(1234), sent[:100000], sent[100320:])

	at, score := signal.Align(sent, received)
	fmt.Printf("found at %d, score over 0.5: %v\n", at, score > 0.5)
	fmt.Println(signal.Compare(received, sent, at))
	// Output:
	// found at 1234, score over 0.5: true
	// 320 samples missing at 100000; 61512 not in their place
}
