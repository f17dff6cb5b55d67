package wav

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/codec/l16"
)

func create(t testing.TB, m *memFile) *Writer {
	t.Helper()
	w, err := NewWriter(m, 16000)
	require.NoError(t, err)
	return w
}

func TestWrittenBytes(t *testing.T) {
	var m memFile
	w := create(t, &m)
	require.NoError(t, w.WriteAt(0, []int16{1, -2, 0x1234}))
	require.NoError(t, w.Close())
	want := strings.Join([]string{
		"52494646", "4e000000", "57415645", // RIFF, 78, WAVE
		"4a554e4b", "1c000000", strings.Repeat("00", 28), // JUNK, 28
		"666d7420", "10000000", "0100", "0100", "803e0000", "007d0000", "0200", "1000", // fmt
		"64617461", "06000000", "0100", "feff", "3412", // data
	}, "")
	require.Equal(t, want, hex.EncodeToString(m.b))
}

func TestHolesAndOrder(t *testing.T) {
	var m memFile
	w := create(t, &m)
	a, b, c := noise(320, 1), noise(320, 2), noise(100, 3)
	require.NoError(t, w.WriteAt(1000, a))
	require.NoError(t, w.WriteAt(5000, b))
	require.NoError(t, w.WriteAt(0, c))
	require.NoError(t, w.WriteAt(9999, nil))
	require.NoError(t, w.Close())
	require.EqualValues(t, 5320, w.Samples())

	want := make([]int16, 5320)
	copy(want, c)
	copy(want[1000:], a)
	copy(want[5000:], b)
	require.Equal(t, want, readAll(t, m.b))
	for _, s := range m.seen {
		require.LessOrEqual(t, s.n, int64(640), "holes are not written")
	}
}

// Whenever the process is killed, the file is whole: its header claims what
// has been written, never more, and at most what came since the last Patch is
// not in it.
func TestKilledAtAnyMoment(t *testing.T) {
	var m memFile
	var w *Writer
	pcm := noise(16000, 4)
	patched, moments := uint64(0), 0
	m.after = func(int64, int) {
		moments++
		p, err := parse(m.b)
		require.NoError(t, err)
		require.GreaterOrEqual(t, p.data, patched)
		require.LessOrEqual(t, p.data, uint64(len(m.b)-p.from))
		got := readAll(t, m.b)
		require.GreaterOrEqual(t, len(got), int(p.data/2))
		require.Equal(t, pcm[:len(got)], got)
	}
	w = create(t, &m)
	for i := 0; i < len(pcm); i += 320 {
		require.NoError(t, w.WriteAt(int64(i), pcm[i:i+320]))
		if i%3200 == 0 {
			require.NoError(t, w.Patch())
			patched = uint64(2 * (i + 320))
		}
	}
	require.NoError(t, w.Close())
	require.Equal(t, 1+50+5+1, moments)
}

func TestPatchOnlyWhenNeeded(t *testing.T) {
	var m memFile
	w := create(t, &m)
	require.NoError(t, w.Patch())
	require.Len(t, m.seen, 1)
	require.NoError(t, w.WriteAt(0, []int16{1}))
	require.NoError(t, w.Patch())
	require.NoError(t, w.Patch())
	require.NoError(t, w.WriteAt(0, []int16{2}))
	require.NoError(t, w.Close())
	require.Len(t, m.seen, 4)
}

func TestClaim(t *testing.T) {
	var m memFile
	w := create(t, &m)
	require.NoError(t, w.WriteAt(0, noise(640, 5)))
	claimed := func() uint64 {
		p, err := parse(m.b)
		require.NoError(t, err)
		return p.data
	}
	for _, n := range []int64{320, 640, 0, 100} {
		require.NoError(t, w.Claim(n))
		require.EqualValues(t, 2*n, claimed())
	}
	for _, n := range []int64{-1, maxSamples + 1} {
		require.ErrorContains(t, w.Claim(n), fmt.Sprintf("wav: header of %d samples", n))
	}
	m.limit = 1
	require.ErrorIs(t, w.Claim(640), errDiskFull)
	m.limit = 0
	require.NoError(t, w.Claim(100), "what is there now nobody knows")
	require.EqualValues(t, 200, claimed())
	require.NoError(t, w.Close())
	require.EqualValues(t, 1280, claimed())
}

func TestDiskFull(t *testing.T) {
	m := memFile{limit: HeaderSize + 2*500 + 1}
	w := create(t, &m)
	pcm := noise(640, 5)
	require.NoError(t, w.WriteAt(0, pcm[:320]))
	err := w.WriteAt(320, pcm[320:])
	require.ErrorIs(t, err, errDiskFull)
	require.ErrorContains(t, err, "wav: 320 samples at position 320")
	require.ErrorIs(t, w.WriteAt(320+9000, pcm[320:]), errDiskFull)
	require.NoError(t, w.Patch())
	p, perr := parse(m.b)
	require.NoError(t, perr)
	require.EqualValues(t, 1000, p.data, "whole samples that fit")

	m.limit = 0 // there is space again
	require.NoError(t, w.WriteAt(320, pcm[320:]))
	require.NoError(t, w.Close())
	require.Equal(t, pcm, readAll(t, m.b))
}

func TestHeaderThatCannotBeWritten(t *testing.T) {
	_, err := NewWriter(&memFile{limit: 1}, 16000)
	require.ErrorIs(t, err, errDiskFull)

	var m memFile
	w := create(t, &m)
	require.NoError(t, w.WriteAt(0, []int16{1, 2}))
	m.limit = 1
	require.ErrorIs(t, w.Patch(), errDiskFull)
	m.limit = 0
	require.NoError(t, w.Patch(), "tried again")
	p, err := parse(m.b)
	require.NoError(t, err)
	require.EqualValues(t, 4, p.data)
}

func TestWriterRefuses(t *testing.T) {
	for _, rate := range []int{0, -1, MaxRate + 1} {
		_, err := NewWriter(&memFile{}, rate)
		var fe *FormatError
		require.ErrorAs(t, err, &fe)
		require.Equal(t, "sample rate", fe.Field)
	}
	w := create(t, &memFile{})
	for _, pos := range []int64{-1, math.MinInt64, maxSamples, math.MaxInt64} {
		require.ErrorContains(t, w.WriteAt(pos, []int16{1}), "position")
	}
	require.Zero(t, w.Samples())
}

// headerOnly keeps the header and forgets the data.
type headerOnly struct{ header []byte }

func (h *headerOnly) WriteAt(p []byte, off int64) (int, error) {
	if off == 0 {
		h.header = bytes.Clone(p)
	}
	return len(p), nil
}

func TestPast4GiB(t *testing.T) {
	const last = (math.MaxUint32 - 1 - (HeaderSize - 8)) / 2 // fits a short header
	for _, c := range []struct {
		samples int64
		chunks  string
	}{
		{last - 1, "JUNK fmt  data"},
		{last, "JUNK fmt  data"},
		{last + 1, "ds64 fmt  data"},
		{last + 1000, "ds64 fmt  data"},
		{1 << 40, "ds64 fmt  data"},
		{maxSamples, "ds64 fmt  data"},
	} {
		var h headerOnly
		w, err := NewWriter(&h, 48000)
		require.NoError(t, err)
		require.NoError(t, w.WriteAt(c.samples-1, []int16{1}))
		require.NoError(t, w.Close())

		require.Len(t, h.header, HeaderSize)
		p, err := parse(h.header)
		require.NoError(t, err, "%d samples", c.samples)
		require.Equal(t, c.chunks, strings.Join(p.chunks, " "))
		require.Equal(t, 2*uint64(c.samples), p.data)
		require.EqualValues(t, 48000, p.rate)
		require.Equal(t, HeaderSize, p.from)
		if c.chunks[:4] == "ds64" {
			require.Equal(t, "RF64\xff\xff\xff\xff", string(h.header[:8]))
			require.EqualValues(t, math.MaxUint32, binary.LittleEndian.Uint32(h.header[76:]))
		}

		r, err := NewReader(bytes.NewReader(h.header))
		require.NoError(t, err)
		require.Equal(t, c.samples, r.Samples())
	}
}

func TestNoAllocation(t *testing.T) {
	if !bytes.Equal(l16.BytesLE([]int16{1}), l16.NativeBytes([]int16{1})) {
		t.Skip("samples are copied on big-endian machines")
	}
	m := &nowhere{}
	w, err := NewWriter(m, 16000)
	require.NoError(t, err)
	pcm, pos := make([]int16, 320), int64(0)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = w.WriteAt(pos, pcm)
		_ = w.Patch()
		pos += 320
	}))
}

type nowhere struct{}

func (*nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// A second at a time, as the recorder writes, against the bare system call.
func BenchmarkWriteSecond(b *testing.B) {
	second := noise(16000, 1)
	file := func(b *testing.B) *os.File {
		f, err := os.Create(filepath.Join(b.TempDir(), "b.wav"))
		require.NoError(b, err)
		b.Cleanup(func() { f.Close() })
		b.ReportAllocs()
		return f
	}
	b.Run("Writer", func(b *testing.B) {
		w, err := NewWriter(file(b), 16000)
		require.NoError(b, err)
		for i := int64(0); b.Loop(); i++ {
			_ = w.WriteAt(i%100*16000, second)
			f := w.end
			w.end++ // or Patch would find nothing to do
			_ = w.Patch()
			w.end = f
		}
	})
	b.Run("floor", func(b *testing.B) {
		f := file(b)
		bytes := l16.BytesLE(second)
		for i := int64(0); b.Loop(); i++ {
			_, _ = f.WriteAt(bytes, i%100*32000)
		}
	})
}
