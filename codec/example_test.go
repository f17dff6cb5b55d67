package codec_test

import (
	"fmt"

	"github.com/mixminus/mixminus/codec"
)

// What came of an rtpmap line: a decoder, and what it can do about a payload
// that is lost.
func ExampleByName() {
	c, ok := codec.ByName("OPUS", 48000)
	fmt.Println(c.RTPMap(), ok, c.SampleRate)

	payload := make([]byte, 4000)
	payload = payload[:c.NewEncoder().Encode(payload, make([]int16, c.SampleRate/50))]

	dec := c.NewDecoder()
	pcm := make([]int16, c.Samples(payload))
	fmt.Println(dec.Decode(pcm, payload))
	n := 0
	if d, ok := dec.(codec.FECDecoder); ok { // payload is the one after the lost one
		n = d.DecodeFEC(pcm, payload)
	}
	if d, ok := dec.(codec.Concealer); ok && n == 0 {
		n = d.Conceal(pcm)
	}
	fmt.Println(n)
	// Output:
	// opus/48000/2 true 16000
	// 320
	// 320
}
