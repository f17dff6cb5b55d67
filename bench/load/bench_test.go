package load

import (
	"math/rand/v2"
	"testing"
	"time"
)

// What the generator adds to each frame besides its two system calls: letter
// makes the message (timestamp, mark, base64, masking), heard finds the mark in
// its echo and counts it. Beside what a server does with a frame this must be
// little.
func BenchmarkGenerator(b *testing.B) {
	c, err := newClip(1, 16000)
	if err != nil {
		b.Fatal(err)
	}
	l := newLetter(c, 0, "", time.Now(), 1)
	b.Run("letter", func(b *testing.B) {
		b.ReportAllocs()
		for seq := uint32(0); b.Loop(); seq++ {
			l.fill(mark{seq: seq % markSeqs})
		}
	})
	b.Run("heard", func(b *testing.B) {
		b.ReportAllocs()
		cfg, err := Config{URL: "ws://h"}.withDefaults()
		if err != nil {
			b.Fatal(err)
		}
		r := &runner{cfg: cfg, clip: c, clock: newClock()}
		w := newACSWire(r, 0, 0)
		call := &call{run: r, wire: w, tally: newTally(), echo: true, expect: []*stream{{}}}
		r.end.Store(1 << 62)
		l.fill(mark{})
		echo := appendServer(nil, string(l.text), rand.New(rand.NewPCG(8, 8)))
		for b.Loop() {
			if err := w.heard(call, echo, 1e9); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tone", func(b *testing.B) {
		b.ReportAllocs()
		var sound [tones][toneFrame]int16
		for k := range sound {
			sound[k] = toneOf(uint32(k))
		}
		r := toneReader{tries: toneTries, at: toneFrame}
		var got uint32
		found := func(seq uint32) { got = seq }
		for seq := uint32(0); b.Loop(); seq++ {
			if r.read(sound[seq%tones][:], seq*toneFrame, int64(frameTime)*int64(seq+1), 0, found); got != seq {
				b.Fatal(got, seq)
			}
		}
	})
}
