package wav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// memFile is a file in memory that can break.
type memFile struct {
	b     []byte
	limit int                      // bytes that fit; 0: any
	after func(off int64, n int)   // called after each write
	seen  []struct{ off, n int64 } // writes
}

var errDiskFull = errors.New("disk full")

func (m *memFile) WriteAt(p []byte, off int64) (int, error) {
	n := len(p)
	if m.limit > 0 {
		n = max(0, min(n, m.limit-int(off)))
	}
	if end := int(off) + n; n > 0 && end > len(m.b) {
		m.b = append(m.b, make([]byte, end-len(m.b))...)
	}
	if n > 0 {
		copy(m.b[off:], p[:n])
	}
	m.seen = append(m.seen, struct{ off, n int64 }{off, int64(n)})
	if m.after != nil {
		m.after(off, n)
	}
	if n < len(p) {
		return n, errDiskFull
	}
	return n, nil
}

func (m *memFile) ReadAt(p []byte, off int64) (int, error) {
	if n := copy(p, m.b[min(int(off), len(m.b)):]); n < len(p) {
		return n, errors.New("short")
	}
	return len(p), nil
}

// parsed is what an independent look at a file finds in it.
type parsed struct {
	chunks []string
	rate   uint32
	data   uint64 // size that is claimed
	from   int    // where the data begins
	riff   uint64
}

// parse walks the chunks by the book: RIFF and EBU Tech 3306. It knows
// nothing of the package's own code, and fails on every irregularity.
func parse(b []byte) (p parsed, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("ends early: %v", r)
		}
	}()
	u16 := func(at int) uint16 { return binary.LittleEndian.Uint16(b[at:]) }
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	long := string(b[:4]) == "RF64"
	if !long && string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return p, fmt.Errorf("begins with %q", b[:12])
	}
	p.riff = uint64(u32(4))
	var longData uint64
	for at := 12; ; {
		id, size := string(b[at:at+4]), int(u32(at+4))
		p.chunks = append(p.chunks, id)
		body := at + 8
		switch id {
		case "ds64":
			if p.riff, longData = u64(body), u64(body+8); u64(body+16)*2 != longData {
				return p, fmt.Errorf("ds64: %d samples in %d bytes", u64(body+16), longData)
			}
		case "fmt ":
			got := []any{size, u16(body), u16(body + 2), u32(body + 8), u16(body + 12), u16(body + 14)}
			want := []any{16, uint16(1), uint16(1), u32(body+4) * 2, uint16(2), uint16(16)}
			if !slices.Equal(got, want) {
				return p, fmt.Errorf("fmt: %v, want %v", got, want)
			}
			p.rate = u32(body + 4)
		case "data":
			p.data, p.from = uint64(size), body
			if size == 0xFFFFFFFF && long {
				p.data = longData
			}
			if p.riff != uint64(body)-8+p.data {
				return p, fmt.Errorf("RIFF size %d, data of %d at %d", p.riff, p.data, body)
			}
			return p, nil
		}
		at = body + size + size%2
	}
}

func noise(n int, seed uint64) []int16 {
	r := rand.New(rand.NewPCG(seed, 0))
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(r.Uint32())
	}
	return pcm
}
