package opus_test

import (
	"fmt"

	"github.com/mixminus/mixminus/codec/opus"
)

// Of three packets the second is lost. The third tells what it can of it.
func Example() {
	enc, err := opus.NewEncoder(opus.EncoderConfig{Bitrate: 32000, FEC: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	var packets [3][]byte
	pcm := make([]int16, 320) // 20 ms
	for i := range packets {
		buf := make([]byte, opus.MaxPacket)
		packets[i] = buf[:enc.Encode(buf, pcm)]
	}

	dec := opus.NewDecoder()
	fmt.Println(opus.Samples(packets[0]), dec.Decode(pcm, packets[0]))
	if dec.DecodeFEC(pcm, packets[2]) == 0 { // silence is not worth a copy
		fmt.Println(dec.Conceal(pcm))
	}
	fmt.Println(dec.Decode(pcm, packets[2]))
	// Output:
	// 320 320
	// 320
	// 320
}
