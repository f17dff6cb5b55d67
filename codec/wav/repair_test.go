package wav

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// killed returns a file of n samples whose header claims the first claimed.
func killed(t *testing.T, claimed, n int) *memFile {
	t.Helper()
	m := &memFile{}
	w := create(t, m)
	pcm := noise(n, 9)
	require.NoError(t, w.WriteAt(0, pcm[:claimed]))
	require.NoError(t, w.Patch())
	require.NoError(t, w.WriteAt(int64(claimed), pcm[claimed:]))
	m.seen = nil
	return m
}

func TestRepair(t *testing.T) {
	for _, c := range []struct {
		name           string
		claimed, there int
		more           int // bytes behind
		writes         int
	}{
		{"header lags behind", 320, 16000, 0, 1},
		{"killed before the first patch", 0, 16000, 0, 1},
		{"half a sample", 320, 960, 1, 1},
		{"in order", 960, 960, 0, 0},
		{"in order, half a sample", 960, 960, 1, 0},
		{"empty", 0, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := killed(t, c.claimed, c.there)
			m.b = append(m.b, make([]byte, c.more)...)
			samples, added, err := Repair(m, int64(len(m.b)))
			require.NoError(t, err)
			require.EqualValues(t, c.there, samples)
			require.EqualValues(t, c.there-c.claimed, added)
			require.Len(t, m.seen, c.writes)

			p, err := parse(m.b)
			require.NoError(t, err)
			require.EqualValues(t, 2*c.there, p.data)
			require.EqualValues(t, 16000, p.rate)
			if c.there > 0 {
				require.Equal(t, noise(c.there, 9), readAll(t, m.b))
			}

			samples, added, err = Repair(m, int64(len(m.b)))
			require.NoError(t, err)
			require.EqualValues(t, c.there, samples)
			require.Zero(t, added, "nothing left to do")
			require.Len(t, m.seen, c.writes)
		})
	}
}

func TestRepairShortenedFile(t *testing.T) {
	m := killed(t, 960, 960)
	m.b = m.b[:HeaderSize+2*100]
	samples, added, err := Repair(m, int64(len(m.b)))
	require.NoError(t, err)
	require.EqualValues(t, 100, samples)
	require.EqualValues(t, -860, added)
	require.Equal(t, noise(960, 9)[:100], readAll(t, m.b))
}

func TestRepairAcross4GiB(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long.wav")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	const n = 5 << 30 / 2 // 5 GiB
	w, err := NewWriter(f, 16000)
	require.NoError(t, err)
	require.NoError(t, w.WriteAt(1<<31-1000, pcm3)) // 4 GiB, nearly
	require.NoError(t, w.Patch())
	require.NoError(t, w.WriteAt(n-3, pcm3))

	claims := func() uint64 {
		h := make([]byte, HeaderSize)
		_, err := f.ReadAt(h, 0)
		require.NoError(t, err)
		p, err := parse(h)
		require.NoError(t, err)
		return p.data / 2
	}
	require.EqualValues(t, 1<<31-1000+3, claims())

	samples, added, err := Repair(f, HeaderSize+2*n) // short header becomes long
	require.NoError(t, err)
	require.EqualValues(t, n, samples)
	require.EqualValues(t, n-(1<<31-1000+3), added)
	require.EqualValues(t, n, claims())

	require.NoError(t, f.Truncate(HeaderSize+2*n+64000))
	samples, added, err = Repair(f, HeaderSize+2*n+64000) // long header grows
	require.NoError(t, err)
	require.EqualValues(t, n+32000, samples)
	require.EqualValues(t, 32000, added)
	require.EqualValues(t, n+32000, claims())
}

func TestRepairRefuses(t *testing.T) {
	wrong := func(at int, v byte) []byte {
		b := appendHeader(nil, 16000, 100)
		b[at] ^= v
		return b
	}
	for name, file := range map[string][]byte{
		"nothing":          nil,
		"header cut":       appendHeader(nil, 16000, 0)[:79],
		"zeros":            make([]byte, 500),
		"another's":        append(riff("RIFF", 0, plain, list, lie("data", 0, nil)), make([]byte, 80)...),
		"stereo":           wrong(58, 3),
		"no sample rate":   append(append(wrong(60, 0)[:60:60], 0, 0, 0, 0), wrong(60, 0)[64:]...),
		"another JUNK":     wrong(20, 1),
		"sizes disagree":   wrong(4, 1),
		"RF64 of nonsense": append([]byte("RF64"), bytes.Repeat([]byte{0xff}, 100)...),
	} {
		t.Run(name, func(t *testing.T) {
			m := &memFile{b: bytes.Clone(file)}
			_, _, err := Repair(m, int64(len(file)))
			var fe *FormatError
			require.ErrorAs(t, err, &fe)
			require.Equal(t, file, m.b, "left alone")
		})
	}
}

func TestRepairThatFails(t *testing.T) {
	m := killed(t, 0, 320)
	m.limit = 1
	_, _, err := Repair(m, int64(len(m.b)))
	require.ErrorIs(t, err, errDiskFull)

	_, _, err = Repair(&memFile{}, HeaderSize) // shorter than was said
	require.ErrorContains(t, err, "wav: repair: header")
}

func TestLengthOfHeader(t *testing.T) {
	for _, samples := range []int64{0, 1, math.MaxUint32, maxSamples} {
		require.Len(t, appendHeader(nil, 1, samples), HeaderSize)
	}
}
