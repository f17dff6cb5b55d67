package record_test

import (
	"fmt"
	"log"
	"os"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/record"
)

// A recorder takes part in a call by its leg alone: who brings the audio into
// it, here the example itself, is no concern of it.
func Example() {
	dir, err := os.MkdirTemp("", "recordings")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if _, err := record.Recover(dir); err != nil { // what a killed process left
		log.Fatal(err)
	}
	rec, err := record.New(record.Config{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer rec.Close()

	e := engine.New(engine.Config{})
	defer e.Close()
	leg, err := e.NewLeg(engine.LegConfig{Channels: engine.Unmixed})
	if err != nil {
		log.Fatal(err)
	}
	recording, err := rec.Attach(leg, record.Meta{CallID: "4f0a", Cloud: "acs", Direction: "incoming"})
	if err != nil {
		log.Fatal(err)
	}
	recording.SetName("8:acs:alice", "Alice")

	call(leg, "8:acs:alice", "8:acs:bob")

	res := recording.Wait()
	for _, t := range res.Tracks {
		fmt.Printf("%s: %s, %v, %d samples missing\n", t.File, t.Label(), pcm.Duration(t.Samples), t.Missing)
	}
	// Output:
	// 01-8_acs_alice.wav: 8:acs:alice, 1s, 0 samples missing
	// 02-8_acs_bob.wav: 8:acs:bob, 1s, 0 samples missing
	// mixed.wav: mixed, 1s, 0 samples missing
}

// call is a transport's work: a second of everybody, then the end.
func call(leg *engine.Leg, speakers ...string) {
	port, err := leg.Attach(nil)
	if err != nil {
		log.Fatal(err)
	}
	arrival := engine.Now()
	for _, id := range speakers {
		r, err := port.Render([]byte(id), arrival)
		if err != nil {
			log.Fatal(err)
		}
		r.Append(make([]int16, pcm.SampleRate), engine.Chunk{Arrival: arrival})
	}
	leg.Close()
	port.Detach(engine.Now())
}
