package record

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/engine/pcm"
)

// ErrNoManifest: a folder holds files and no manifest, so it is not a
// recording of ours.
var ErrNoManifest = errors.New("record: folder without manifest.json")

// Recovered is what Recover found in one folder.
type Recovered struct {
	// Result as Recording.Wait would have returned it. State is
	// StateRecovered, or StateFailed when a file is damaged, which its
	// Track's Error tells.
	Result
	// Foreign are files in the folder that the manifest does not list. They
	// are left alone.
	Foreign []string
	// Err tells why the folder was left as it is; only Folder is set then.
	Err error
}

// LogValue is short: a manifest holds the rest.
func (r Recovered) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("folder", r.Folder)}
	if r.Err != nil {
		return slog.GroupValue(append(attrs, slog.Any("error", r.Err))...)
	}
	attrs = append(attrs, slog.String("state", string(r.State)),
		slog.Int("tracks", len(r.Tracks)), slog.Int64("missing", r.Missing()))
	if len(r.Foreign) > 0 {
		attrs = append(attrs, slog.Int("foreign", len(r.Foreign)))
	}
	return slog.GroupValue(attrs...)
}

// Recover completes the recordings below dir whose process ended before they
// were complete: it repairs the headers of their files, reads off the files
// how long they are and where the zeros are behind the last manifest, sums
// the tracks again, and marks the manifests as recovered. Recordings that go
// on, in this process or another, are left alone, and so is what is complete
// already: Recover may be called at any time and again.
//
// It reports one entry for each folder that it completed or could not. The
// error is of dir itself; a dir that does not exist has nothing to recover.
func Recover(dir string) ([]Recovered, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []Recovered
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		r, err := recoverFolder(dir, path)
		if err != nil {
			found = append(found, Recovered{Result: Result{Folder: path}, Err: err})
		} else if r != nil {
			found = append(found, *r)
		}
	}
	removeStaleLocks(dir, entries)
	return found, nil
}

// removeStaleLocks removes the lock files of recorders that are gone.
func removeStaleLocks(dir string, entries []fs.DirEntry) {
	for _, e := range entries {
		if isLock(e.Name()) && e.Type().IsRegular() && !locked(dir, e.Name()) {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// recoverFolder returns nil for a folder in which there is nothing to do.
func recoverFolder(dir, path string) (*Recovered, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(files, func(e fs.DirEntry) bool { return e.Name() == manifestName }) {
		if !slices.ContainsFunc(files, func(e fs.DirEntry) bool { return e.Name() != manifestName+tmpSuffix }) {
			return nil, nil // killed, or still to write it: nothing was recorded
		}
		return nil, ErrNoManifest
	}
	m, err := readManifest(root, manifestName)
	if err != nil {
		return nil, fmt.Errorf("record: %s: %w", filepath.Join(path, manifestName), err)
	}
	if m.State != StateRecording || locked(dir, m.Lock) {
		return nil, nil
	}
	r := &recovery{root: root, m: m}
	defer r.close()
	if err := r.run(); err != nil {
		return nil, err
	}
	m.setPaths(path)
	out := &Recovered{Result: Result{
		Folder: path, Manifest: filepath.Join(path, manifestName),
		State: m.State, Start: m.Start, Tracks: m.Tracks,
	}}
	out.Foreign = r.sweepUp(files)
	return out, nil
}

// recovery completes one folder.
type recovery struct {
	root   *os.Root
	m      *Manifest
	listed []string     // file names in the manifest as it was
	tracks []*fileTrack // those that could be opened, but the sum
	mix    *fileTrack
}

func (r *recovery) close() {
	for _, t := range r.tracks {
		t.wave.close()
	}
	if r.mix != nil {
		r.mix.wave.close()
	}
}

func (r *recovery) run() error {
	opened := make(map[string]*fileTrack)
	listed := r.m.Tracks
	r.m.Tracks = nil
	r.m.State = StateRecovered
	for _, info := range listed {
		r.listed = append(r.listed, info.File)
		t, err := r.open(&info)
		var damage *damageError
		switch {
		case err == nil:
			opened[info.File] = t
		case errors.Is(err, fs.ErrNotExist) && info.Samples == 0:
			continue // killed before the file was made
		case errors.As(err, &damage):
			r.broken(&info, err)
		default:
			return err // may pass: another time
		}
		r.m.Tracks = append(r.m.Tracks, info)
	}
	if err := r.resum(); err != nil {
		return err
	}
	var end int64
	for i := range r.m.Tracks {
		info := &r.m.Tracks[i]
		t := opened[info.File]
		if t == nil {
			continue
		}
		t.describe(info)
		if err := t.wave.setEnd(t.end); err != nil {
			return err
		}
		sum, err := t.wave.sum()
		if err != nil {
			return err
		}
		info.SHA256 = sum
		end = max(end, t.end)
	}
	r.m.End = r.m.Start.Add(pcm.Duration(end))
	r.m.Lock = ""
	return r.m.write(rootFS{r.root}, ".", false)
}

// broken says of a track that its file cannot be read: all that was known of
// it is lost.
func (r *recovery) broken(info *Track, err error) {
	var gaps gapMap
	gaps.add(0, info.Samples, Lost, Disk)
	r.m.State = StateFailed
	info.Error = err.Error()
	info.Samples, info.Missing = 0, gaps.missing()
	info.Gaps, info.GapsOmitted, info.Lost = append([]Gap{}, gaps.list...), 0, gaps.lost
}

// damageError is a fault that the file has, not one of reading it.
type damageError struct{ err error }

func (e *damageError) Error() string { return e.err.Error() }
func (e *damageError) Unwrap() error { return e.err }

// open opens the file of a track and accounts for what it holds behind the
// last manifest. The sum of the tracks is begun anew.
func (r *recovery) open(info *Track) (*fileTrack, error) {
	t := &fileTrack{kind: info.Kind, file: info.File}
	if info.Kind == KindMixed {
		if r.mix != nil {
			return nil, &damageError{errors.New("record: a second sum of the tracks")}
		}
		f, err := rootFS{r.root}.Create(info.File)
		if err != nil {
			return nil, err
		}
		if t.wave, err = newWave(f); err != nil {
			f.Close()
			return nil, err
		}
		r.mix = t
		return t, nil
	}
	var err error
	if t.wave, err = r.openWave(info.File); err != nil {
		return nil, err
	}
	r.tracks = append(r.tracks, t)
	t.bot = info.Kind == KindBot
	t.restore(info)
	return t, t.readGaps(info.Samples)
}

func (r *recovery) openWave(name string) (*wave, error) {
	st, err := r.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &damageError{err}
	}
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &damageError{fmt.Errorf("record: %s is not a regular file", name)}
	}
	f, err := r.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	w, err := openWave(f, st.Size())
	if err != nil {
		f.Close()
		var format *wav.FormatError
		if errors.As(err, &format) {
			err = &damageError{err}
		}
		return nil, err
	}
	return w, nil
}

// restore takes over what the manifest knew.
func (t *fileTrack) restore(info *Track) {
	for _, g := range info.Gaps {
		t.gaps.add(g.At, g.Samples, g.Kind, g.Reason)
	}
	t.gaps.omitted += info.GapsOmitted
	t.gaps.lost = info.Lost // of more gaps than are listed
	t.audio, t.first, t.end = true, info.First, t.wave.samples
	if t.end >= info.Samples {
		return
	}
	if t.bot { // flushed since
		t.gaps.clip(t.end)
		return
	}
	t.gaps.add(t.end, info.Samples-t.end, Lost, Disk)
}

// readGaps finds zeros of a frame or more behind the samples that the last
// manifest knew.
func (t *fileTrack) readGaps(known int64) error {
	from := max(known, t.first)
	sc := newScratch()
	zeros := from // where the run of zeros at hand began
	flush := func(at int64) {
		if at-zeros >= pcm.FrameSamples {
			t.gaps.add(zeros, at-zeros, DTX, Unconfirmed)
		}
	}
	for at := from; at < t.end; {
		in := sc.in[:min(runSamples, t.end-at)]
		if err := t.wave.read(at, in, sc.raw); err != nil {
			return err
		}
		for i, v := range in {
			if v != 0 {
				flush(at + int64(i))
				zeros = at + int64(i) + 1
			}
		}
		at += int64(len(in))
	}
	flush(t.end)
	return nil
}

// describe fills in what is known of the track.
func (t *fileTrack) describe(info *Track) {
	info.First, info.Samples = t.first, t.end
	info.Missing, info.Lost = t.gaps.missing(), t.gaps.lost
	info.Gaps, info.GapsOmitted = slices.Clone(t.gaps.list), t.gaps.omitted
	if info.Gaps == nil {
		info.Gaps = []Gap{}
	}
}

// resum writes the sum of the tracks anew.
func (r *recovery) resum() error {
	if r.mix == nil {
		return nil
	}
	var end int64
	for _, t := range r.tracks {
		end = max(end, t.end)
	}
	m := mixdown{out: *r.mix, to: end, todo: []span{{0, end}}}
	if err := m.settle(r.tracks, newScratch()); err != nil {
		return err
	}
	r.mix.end = end
	return nil
}

// sweepUp removes what the recorder left unfinished, and returns the names of
// what is not the recorder's.
func (r *recovery) sweepUp(files []fs.DirEntry) (foreign []string) {
	ours := map[string]bool{manifestName: true, manifestName + tmpSuffix: true}
	for _, name := range r.listed {
		ours[name] = true
	}
	for _, e := range files {
		name := e.Name()
		switch {
		case strings.HasSuffix(name, tmpSuffix) && ours[strings.TrimSuffix(name, tmpSuffix)]:
			r.root.Remove(name)
		case !ours[name]:
			foreign = append(foreign, name)
		}
	}
	return foreign
}

// rootFS is a folder that nothing leads out of.
type rootFS struct{ root *os.Root }

func (f rootFS) Mkdir(name string) error { return f.root.Mkdir(name, dirMode) }

func (f rootFS) Create(name string) (File, error) {
	return f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
}

func (f rootFS) Rename(oldName, newName string) error { return f.root.Rename(oldName, newName) }
