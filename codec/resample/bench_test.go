package resample

import (
	"fmt"
	"testing"
)

// BenchmarkFrame is 20 ms. go/ is what a processor without vectors does.
func BenchmarkFrame(b *testing.B) {
	for _, p := range pairs {
		src, dst := sine(p.from/50, p.from, 440), make([]int16, p.to/50)
		for _, c := range []struct {
			prefix string
			r      *Resampler
		}{{"", create(b, p.from, p.to)}, {"go/", portable(create(b, p.from, p.to))}} {
			b.Run(fmt.Sprintf("%s%dto%d", c.prefix, p.from, p.to), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.r.Process(dst, src)
				}
			})
		}
	}
}

// BenchmarkNew tells what a Resampler takes: bytes and allocations, once.
func BenchmarkNew(b *testing.B) {
	for _, p := range pairs {
		b.Run(fmt.Sprintf("%dto%d", p.from, p.to), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				create(b, p.from, p.to)
			}
		})
	}
}
