package netem_test

import (
	"fmt"
	"time"

	"github.com/mixminus/mixminus/bench/netem"
)

// Ten packets through a network that loses one in five of them.
func Example() {
	link := netem.New(netem.Config{Seed: 1, Loss: 0.2, Delay: 40 * time.Millisecond})
	for i := range 10 {
		link.Send(int64(i)*20e6, []byte{byte(i)})
	}
	for {
		packet, at, ok := link.Receive(1e9)
		if !ok {
			break
		}
		fmt.Printf("%d at %d ms; ", packet[0], at/1e6)
	}
	fmt.Println("lost", link.Stats().Lost)
	// Output: 0 at 40 ms; 1 at 60 ms; 2 at 80 ms; 3 at 100 ms; 4 at 120 ms; 5 at 140 ms; 7 at 180 ms; 8 at 200 ms; 9 at 220 ms; lost 1
}
