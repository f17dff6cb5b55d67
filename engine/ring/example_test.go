package ring_test

import (
	"fmt"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/ring"
)

func Example() {
	w, r := ring.New(16)

	go func() { // the producer
		defer w.Close()
		for seq := range uint32(3) {
			if f := w.Slot(); f != nil {
				*f = pcm.Frame{Seq: seq}
				w.Commit()
			}
		}
	}()

	for { // the consumer
		f := r.Peek()
		if f == nil {
			bell := r.Bell()
			if f = r.Peek(); f == nil {
				if r.Closed() {
					break
				}
				<-bell
				continue
			}
		}
		fmt.Println("frame", f.Seq)
		r.Release()
	}
	fmt.Println("dropped", w.Dropped(), "skipped", r.Skipped())
	// Output:
	// frame 0
	// frame 1
	// frame 2
	// dropped 0 skipped 0
}
