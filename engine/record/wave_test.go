package record

import (
	"encoding/binary"
	"io"
	"path/filepath"
	"testing"

	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/engine"
	"github.com/stretchr/testify/require"
)

// strictFile asks at every step that the header claims no more than there is.
type strictFile struct {
	File
	t     *testing.T
	stuck *bool // headers cannot be written, unless nil
}

func (f strictFile) ok() {
	var size [4]byte
	_, err := f.ReadAt(size[:], wav.HeaderSize-4)
	require.NoError(f.t, err)
	if n := int64(binary.LittleEndian.Uint32(size[:])); n > 0 {
		_, err = f.ReadAt(size[:1], wav.HeaderSize+n-1)
		require.NoError(f.t, err, "the header claims %d bytes", n)
	}
}

func (f strictFile) WriteAt(b []byte, off int64) (int, error) {
	defer f.ok()
	if off == 0 && f.stuck != nil && *f.stuck {
		return 0, io.ErrShortWrite
	}
	return f.File.WriteAt(b, off)
}

func (f strictFile) Truncate(size int64) error {
	defer f.ok()
	return f.File.Truncate(size)
}

func TestWaveNeverClaimsTooMuch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.wav")
	f, err := osFS{}.Create(path)
	require.NoError(t, err)
	w, err := newWave(strictFile{File: f, t: t})
	require.NoError(t, err)
	defer w.close()
	for _, step := range []struct{ write, end int64 }{
		{0, 3}, {2, 5}, {10, 13}, {20, 40}, {30, 33}, {33, 36}, {0, 3}, {100, 0},
	} {
		n, err := w.write(step.write, []int16{1, 2, 3})
		require.NoError(t, err)
		require.Equal(t, 3, n)
		if step.end < w.samples {
			require.NoError(t, w.truncate(step.end))
		}
		require.NoError(t, w.setEnd(step.end))
		require.Equal(t, step.end, int64(len(samplesOf(t, path))))
	}
}

// TestWaveClaimsAgain what it could not claim before, before it takes samples
// away.
func TestWaveClaimsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.wav")
	f, err := osFS{}.Create(path)
	require.NoError(t, err)
	stuck := false
	w, err := newWave(strictFile{f, t, &stuck})
	require.NoError(t, err)
	defer w.close()
	_, err = w.write(0, make([]int16, 20))
	require.NoError(t, err)
	require.NoError(t, w.setEnd(20))
	stuck = true
	require.ErrorIs(t, w.truncate(18), io.ErrShortWrite)
	require.ErrorIs(t, w.setEnd(20), io.ErrShortWrite, "the header may be torn")
	stuck = false
	require.NoError(t, w.truncate(10))
	require.NoError(t, w.setEnd(10))
	require.Len(t, samplesOf(t, path), 10)
	stuck = true
	require.ErrorIs(t, w.claim(9), io.ErrShortWrite)
	stuck = false
	require.NoError(t, w.setEnd(30), "nor before it adds silence")
	require.Len(t, samplesOf(t, path), 30)
}

// TestSumFollowsWhatComesLate: what changes in a track below the end of the
// sum is in the sum at once: late audio, speech of the bot, and its flush.
func TestSumFollowsWhatComesLate(t *testing.T) {
	c := newCall(t, engine.Unmixed)
	c.connect(heard{})
	r := newRecorder(t, Config{})
	rec := attach(t, r, c.leg, Meta{})
	folder := filepath.Join(r.cfg.Dir, "test")
	summed := func() []int16 { return samplesOf(t, filepath.Join(folder, mixedName)) }
	sum := func() []int16 {
		var all [][]int16
		for _, name := range []string{"01-a.wav", "02-late.wav", botName} {
			all = append(all, samplesOf(t, filepath.Join(folder, name)))
		}
		return clampSum(all...)
	}
	written := func(n int64) {
		t.Helper()
		until(t, "written", func() bool { return rec.Stats().Frames >= n })
	}
	c.speak("a", 0)
	c.speak("late", 0)
	for slot := int64(1); slot < 500; slot++ {
		c.speak("a", slot)
	}
	written(501)
	n := len(summed())
	require.Greater(t, n, 400*320)
	require.LessOrEqual(t, n, 500*320-holdBack)
	for slot := int64(1); slot < 100; slot++ {
		c.speak("late", slot)
	}
	_, err := c.leg.Source().Write(t.Context(), c.track("a")[:6400])
	require.NoError(t, err)
	written(501 + 99 + 20)
	require.Equal(t, n, len(summed()))
	requireSame(t, sum()[:n], summed(), "with what came late")
	bot := len(samplesOf(t, filepath.Join(folder, botName)))
	c.leg.Source().Flush()
	written(501 + 99 + 20 + 1)
	require.Less(t, len(samplesOf(t, filepath.Join(folder, botName))), bot)
	requireSame(t, sum()[:n], summed(), "without what was flushed")
	c.hangUp()
	check(t, wait(t, rec))
}
