package rtpmedia_test

import (
	"fmt"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/transport/rtpmedia"
)

// A second of call through a network that loses each tenth packet. The loop is
// the clock; a driver calls Next and Pull at these times, and Push when a
// packet comes.
func Example() {
	g722, _ := codec.ByName("G722", 8000)
	out, err := rtpmedia.NewOutbound(rtpmedia.OutboundConfig{Codec: g722, PayloadType: 9, SSRC: 1})
	if err != nil {
		panic(err)
	}
	in, err := rtpmedia.NewInbound(rtpmedia.InboundConfig{Codec: g722, PayloadType: 9})
	if err != nil {
		panic(err)
	}
	var said, heard [320]int16
	buf := make([]byte, 0, 1500)
	for i := range 50 {
		now := int64(i+1) * 20e6 // ns
		wire, ok := out.Next(now, buf, &said)
		var p rtpmedia.Packet
		if ok && i%10 != 5 && p.Parse(wire) == nil {
			in.Push(now, &p)
		}
		in.Pull(now, &heard)
	}
	s := in.Stats().Jitter
	fmt.Printf("played %d, missing %d, concealed %d ms, delay %d ms\n", s.Played, s.Missing, s.Concealed/1e6, s.Delay/1e6)
	// Output: played 42, missing 5, concealed 100 ms, delay 60 ms
}

// A key is held for 100 ms, sent in place of audio, and told once.
func ExampleOutbound_Press() {
	l16, _ := codec.ByName("L16", 16000)
	out, _ := rtpmedia.NewOutbound(rtpmedia.OutboundConfig{Codec: l16, PayloadType: 96, EventType: 101})
	in, _ := rtpmedia.NewInbound(rtpmedia.InboundConfig{Codec: l16, PayloadType: 96, EventType: 101})
	if err := out.Press('5', 100e6); err != nil {
		panic(err)
	}
	for now := int64(1e9); now < 2e9; now += 20e6 {
		wire, ok := out.Next(now, nil, nil)
		if !ok {
			continue
		}
		var p rtpmedia.Packet
		if p.Parse(wire) == nil {
			if key, pressed := in.Push(now, &p); pressed {
				fmt.Printf("%c after %d packets\n", key, out.Stats().Events)
			}
		}
	}
	fmt.Println(out.Stats().Events, "packets")
	// Output:
	// 5 after 1 packets
	// 7 packets
}
