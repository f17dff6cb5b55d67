package record

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/stretchr/testify/require"
)

// disk is a file system that can be told to fail and to stand still.
type disk struct {
	osFS

	mu    sync.Mutex
	full  bool          // no byte of audio is taken but the first odd few
	dead  bool          // nothing can be made
	tight bool          // new files get no room, those that are there keep theirs
	gate  chan struct{} // writes wait for it to be closed
}

func (d *disk) set(fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fn()
}

// stop lets writes wait until the function that it returns is called, or the
// test is over.
func (d *disk) stop(t *testing.T) (release func()) {
	gate := make(chan struct{})
	d.set(func() { d.gate = gate })
	release = sync.OnceFunc(func() {
		d.set(func() { d.gate = nil })
		close(gate)
	})
	t.Cleanup(release)
	return release
}

func (d *disk) Create(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, syscall.EACCES
	}
	f, err := d.osFS.Create(name)
	return &diskFile{f, d, d.tight}, err
}

func (d *disk) Open(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, syscall.EACCES
	}
	return d.osFS.Open(name)
}

type diskFile struct {
	File
	d     *disk
	tight bool
}

func (f *diskFile) WriteAt(b []byte, off int64) (int, error) {
	if f.tight {
		return 0, syscall.ENOSPC
	}
	f.d.mu.Lock()
	full, gate := f.d.full, f.d.gate
	f.d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if full && off > 0 && len(b) > 1 {
		n, err := f.File.WriteAt(b[:min(len(b)/2, 1001)], off)
		if err == nil {
			err = syscall.ENOSPC
		}
		return n, err
	}
	return f.File.WriteAt(b, off)
}

// withLosses checks the file of a speaker against what was sent: each sample
// is right, or a zero in a gap of the given reason. It returns how many are
// such zeros.
func withLosses(t testing.TB, want, got []int16, tr Track, reason Reason) (lost int64) {
	t.Helper()
	gone := make([]bool, len(want))
	for _, g := range tr.Gaps {
		if g.Kind == Lost {
			require.Equal(t, reason, g.Reason)
			lost += g.Samples
			for i := g.At; i < g.end(); i++ {
				gone[i] = true
			}
		}
	}
	require.Equal(t, len(want), len(got), "nothing shifts")
	for i := range want {
		if gone[i] && got[i] != 0 || !gone[i] && got[i] != want[i] {
			t.Fatalf("%s: sample %d is %d, was %d, lost %v", tr.File, i, got[i], want[i], gone[i])
		}
	}
	require.Equal(t, lost, tr.Missing)
	return lost
}

func TestDiskFull(t *testing.T) {
	d := &disk{}
	c := newCall(t, engine.Unmixed)
	rec := attach(t, newRecorder(t, Config{FS: d}), c.leg, Meta{})
	phase := func(from, to int64) {
		for slot := from; slot < to; slot++ {
			c.speak("a", slot)
			c.speak("b", slot)
			if slot%10 == 9 {
				until(t, "written", func() bool { return rec.Stats().Frames >= 2*slot })
			}
		}
		until(t, "written", func() bool { return rec.Stats().Frames == 2*to })
	}
	phase(0, 100)
	require.Empty(t, rec.Stats().Err)
	d.set(func() { d.full = true })
	phase(100, 200)
	until(t, "told", func() bool { return strings.Contains(rec.Stats().Err, "no space left") && rec.Stats().Lost[Disk] > 0 })
	d.set(func() { d.full = false })
	phase(200, 300)
	c.speak("late", 299)
	until(t, "well again", func() bool { return rec.Stats().Err == "" })
	c.hangUp()

	res := wait(t, rec)
	require.Equal(t, StateComplete, res.State)
	require.ErrorIs(t, res.Err, syscall.ENOSPC)
	got := check(t, res)
	var lost int64
	for _, id := range []string{"a", "b"} {
		n := withLosses(t, c.track(id), got[id], trackOf(t, res, id), Disk)
		require.Positive(t, n)
		require.Less(t, n, int64(101*320))
		lost += n
	}
	require.Equal(t, map[Reason]int64{Disk: lost}, rec.Stats().Lost)
	requireSame(t, c.track("late"), got["late"], "late")
	require.Zero(t, trackOf(t, res, "mixed").Missing, "the sum is made good")
}

func TestDiskFullToTheEnd(t *testing.T) {
	d := &disk{}
	c := newCall(t, engine.Unmixed)
	rec := attach(t, newRecorder(t, Config{FS: d}), c.leg, Meta{})
	for slot := range int64(200) {
		c.speak("a", slot)
		if slot == 100 {
			until(t, "written", func() bool { return rec.Stats().Frames == 101 })
			d.set(func() { d.full, d.tight = true, true })
		}
	}
	c.hangUp()
	res := wait(t, rec)
	require.ErrorIs(t, res.Err, syscall.ENOSPC)
	m, err := ReadManifest(res.Manifest)
	require.NoError(t, err, "the manifest has room of its own")
	require.Equal(t, StateComplete, m.State)
	require.Equal(t, res.Missing(), missingOf(m))
	require.Positive(t, missingOf(m))
	s := samplesOf(t, filepath.Join(res.Folder, "01-a.wav"))
	withLosses(t, c.track("a"), s, trackOf(t, res, "a"), Disk)
	require.Positive(t, trackOf(t, res, "mixed").Missing)
}

func missingOf(m *Manifest) (n int64) {
	for i := range m.Tracks {
		n += m.Tracks[i].Missing
	}
	return n
}

func TestFolderCannotBeMade(t *testing.T) {
	for _, comesBack := range []bool{true, false} {
		dir := filepath.Join(t.TempDir(), "rec")
		require.NoError(t, os.WriteFile(dir, nil, 0o600)) // in the way, whoever asks
		r := newRecorder(t, Config{Dir: dir})
		c := newCall(t, engine.Unmixed)
		rec := attach(t, r, c.leg, Meta{})
		for slot := range int64(100) {
			c.speak("a", slot)
		}
		until(t, "counted", func() bool { return rec.Stats().Lost[Disk] == 100*320 })
		require.NotEmpty(t, rec.Stats().Err)
		if comesBack {
			require.NoError(t, os.Remove(dir))
		}
		for slot := int64(100); slot < 150; slot++ {
			c.speak("a", slot)
		}
		c.hangUp()
		res := wait(t, rec)
		require.ErrorIs(t, res.Err, syscall.ENOTDIR)
		if !comesBack {
			require.Equal(t, StateFailed, res.State)
			require.Empty(t, res.Folder)
			require.Empty(t, res.Manifest)
			a := trackOf(t, res, "a")
			require.EqualValues(t, 150*320, a.Missing)
			require.Zero(t, a.Samples)
			require.NotEmpty(t, a.Error)
			require.EqualValues(t, 1, r.Stats().Failed)
			continue
		}
		got := check(t, res)
		require.EqualValues(t, 100*320, withLosses(t, c.track("a"), got["a"], trackOf(t, res, "a"), Disk))
	}
}

// TestLossIsToldOnce: as long as nothing can be made, audio is lost, also in
// the writes between two attempts: nobody is told that the recording goes on.
func TestLossIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	r := newRecorder(t, Config{FS: &disk{dead: true}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	r.retryAfter = time.Hour
	c := newCall(t, engine.Unmixed)
	rec := attach(t, r, c.leg, Meta{})
	for slot := range int64(20) {
		c.speak("a", slot)
		until(t, "counted", func() bool { return rec.Stats().Lost[Disk] == (slot+1)*320 })
	}
	require.NotEmpty(t, rec.Stats().Err)
	c.hangUp()
	require.ErrorIs(t, wait(t, rec).Err, syscall.EACCES)
	require.Equal(t, 1, strings.Count(log.String(), "recording loses audio"))
	require.NotContains(t, log.String(), "recording goes on")
}

func TestFilesCannotBeMade(t *testing.T) {
	d := &disk{dead: true}
	r := newRecorder(t, Config{FS: d})
	c := newCall(t, engine.Unmixed)
	rec := attach(t, r, c.leg, Meta{})
	for slot := range int64(50) {
		c.speak("a", slot)
	}
	until(t, "counted", func() bool { return rec.Stats().Lost[Disk] == 50*320 })
	d.set(func() { d.dead = false })
	for slot := int64(50); slot < 60; slot++ {
		c.speak("a", slot)
	}
	c.hangUp()
	res := wait(t, rec)
	got := check(t, res)
	require.EqualValues(t, 50*320, withLosses(t, c.track("a"), got["a"], trackOf(t, res, "a"), Disk))
	require.ErrorIs(t, res.Err, syscall.EACCES)
}

// TestManifestIsMadeGood: what a manifest should tell while it cannot be
// written, a later one tells.
func TestManifestIsMadeGood(t *testing.T) {
	d := &disk{}
	r := newRecorder(t, Config{FS: d})
	c := newCall(t, engine.Mixed)
	rec := attach(t, r, c.leg, Meta{})
	c.speak("", 0)
	until(t, "written", func() bool { return rec.Stats().Frames == 1 })
	d.set(func() { d.dead = true })
	rec.SetName("x", "X")
	until(t, "told", func() bool { return strings.Contains(rec.Stats().Err, "permission denied") })
	d.set(func() { d.dead = false })
	until(t, "made good", func() bool {
		m, err := ReadManifest(filepath.Join(r.cfg.Dir, "test", manifestName))
		return err == nil && len(m.Speakers) == 1
	})
	c.hangUp()
	require.Zero(t, wait(t, rec).Missing())
}

// TestSlowDisk: a disk that stands still stops no sweep; nothing is lost that
// the buffer holds.
func TestSlowDisk(t *testing.T) {
	d := &disk{}
	r := newRecorder(t, Config{FS: d})
	release := d.stop(t)
	c := newCall(t, engine.Unmixed)
	rec := attach(t, r, c.leg, Meta{})
	const slots = 8 * unmixedTap
	for slot := range int64(slots) {
		c.speak("a", slot)
		if slot%unmixedTap == unmixedTap-1 {
			until(t, "swept", func() bool { return r.Stats().Buffered == slot+1 })
		}
	}
	require.Zero(t, rec.Stats().Frames, "nothing is written yet")
	release()
	c.hangUp()
	res := wait(t, rec)
	require.Zero(t, res.Missing())
	requireSame(t, c.track("a"), check(t, res)["a"], "a")
	require.Zero(t, r.Stats().Stalls)
}

// flood brings slots of speakers from slot on, until cond, and returns the
// next slot.
func (c *call) flood(slot int64, cond func() bool, ids ...string) int64 {
	for end := time.Now().Add(deadline); !cond(); slot++ {
		for _, id := range ids {
			c.speak(id, slot)
		}
		if slot%64 == 0 && time.Now().After(end) {

			c.t.Fatal("flooded in vain")
		}
	}
	return slot
}

// TestOverrun: when the buffer and the ring are full, frames are lost where
// they belong, at the end as well, and counted.
func TestOverrun(t *testing.T) {
	d := &disk{}
	r := newRecorder(t, Config{FS: d, Buffer: 1, TapFrames: 64})
	release := d.stop(t)
	c := newCall(t, engine.Unmixed)
	rec := attach(t, r, c.leg, Meta{})
	dropped := func() uint64 { return c.leg.Stats().TapDropped }
	slot := c.flood(0, func() bool { return rec.Stats().Stalls > 0 }, "a", "b")
	slot = c.flood(slot, func() bool { return dropped() > 100 }, "a", "b")
	release()
	until(t, "drained", func() bool { return r.Stats().Buffered == 0 })
	c.speak("a", slot) // the gaps are known now
	c.speak("b", slot)
	slot++
	until(t, "told", func() bool { return rec.Stats().Lost[Overrun] > 0 })
	release = d.stop(t)
	before := dropped()
	c.flood(slot, func() bool { return dropped() > before+100 }, "a", "b")
	release()
	c.hangUp() // no frame follows this gap

	res := wait(t, rec)
	got := check(t, res)
	var lost int64
	for _, id := range []string{"a", "b"} {
		lost += withLosses(t, c.track(id), got[id], trackOf(t, res, id), Overrun)
	}
	require.EqualValues(t, dropped(), lost/320)
	require.Equal(t, map[Reason]int64{Overrun: lost}, r.Stats().Lost)
}

// TestOverrunOfAll: of a speaker of whom not one frame got through there is
// still a track that says so, however the recording ends.
func TestOverrunOfAll(t *testing.T) {
	for _, end := range []string{"hang up", "stop"} {
		t.Run(end, func(t *testing.T) {
			d := &disk{}
			r := newRecorder(t, Config{FS: d, Buffer: 1, TapFrames: 64})
			release := d.stop(t)
			c := newCall(t, engine.Unmixed)
			rec := attach(t, r, c.leg, Meta{})
			dropped := func() uint64 { return c.leg.Stats().TapDropped }
			slot := c.flood(0, func() bool { return rec.Stats().Stalls > 0 }, "a")
			before := dropped()
			slot = c.flood(slot, func() bool { return dropped() > before+100 }, "a")
			for i := range int64(10) {
				c.speak("b", slot+i)
			}
			lost := dropped()
			if end == "stop" {
				rec.Stop()
				c.speak("a", slot+20) // is no loss
			}
			release()
			c.hangUp()
			res := wait(t, rec)
			require.EqualValues(t, 10*320, trackOf(t, res, "b").Missing)
			require.EqualValues(t, lost*320, res.Missing())
			check(t, res)
		})
	}
}
