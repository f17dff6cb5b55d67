package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// ManifestVersion is the version of the manifest's format, FORMAT.md.
const ManifestVersion = 1

// State says how far a recording is.
type State string

const (
	// Recording: not ended, or its process was killed.
	StateRecording State = "recording"
	// Complete: all that the gap maps do not tell of is in the files.
	StateComplete State = "complete"
	// Recovered: the process was killed; Recover completed the manifest.
	StateRecovered State = "recovered"
	// Failed: a file is not there, or not as the manifest says; the
	// tracks' Error tells which.
	StateFailed State = "failed"
)

// TrackKind says whose audio a file holds.
type TrackKind string

const (
	KindSpeaker TrackKind = "speaker"  // one speaker of an unmixed call
	KindMixedIn TrackKind = "mixed-in" // what a mixed call sent
	KindBot     TrackKind = "bot"      // what the bot said
	KindMixed   TrackKind = "mixed"    // clamp(sum of the other tracks)
)

// Manifest is what manifest.json says of a recording. FORMAT.md is its
// description.
type Manifest struct {
	Version int   `json:"version"`
	State   State `json:"state"`
	Call    Meta  `json:"call"`
	// Start is the UTC of sample 0 of every track.
	Start time.Time `json:"start"`
	// End is when the recording was completed.
	End        time.Time `json:"end,omitzero"`
	SampleRate int       `json:"sample_rate"`
	Speakers   []Speaker `json:"speakers"`
	Tracks     []Track   `json:"tracks"`
	// Lock names the file beside the folders that the recorder holds locked
	// while it lives; "" if it could not.
	Lock string `json:"lock,omitempty"`
}

// Speaker is one voice of the call.
type Speaker struct {
	// ID is the cloud's identifier, whole.
	ID string `json:"id"`
	// Name is what the session layer knows of it.
	Name string `json:"name,omitempty"`
}

// Track is one file of a recording.
type Track struct {
	// File is the name in the folder, Path the whole path: the recorder's
	// folder joined with it.
	File string    `json:"file"`
	Path string    `json:"-"`
	Kind TrackKind `json:"kind"`
	// Speaker is the cloud's identifier; "" unless Kind is KindSpeaker.
	Speaker string `json:"speaker,omitempty"`
	Name    string `json:"name,omitempty"`
	// First is the first sample of audio; what lies before it is silence of
	// a speaker who was not there yet.
	First int64 `json:"first"`
	// Samples in the file, from the call's sample 0 on.
	Samples int64 `json:"samples"`
	// Missing samples: the sum of Lost.
	Missing int64 `json:"missing"`
	// Lost samples by reason.
	Lost map[Reason]int64 `json:"lost,omitempty"`
	// Gaps in order; GapsOmitted more are in no list.
	Gaps        []Gap `json:"gaps"`
	GapsOmitted int64 `json:"gaps_omitted,omitempty"`
	// SHA256 of the whole file, in hexadecimal; "" until it is complete.
	SHA256 string `json:"sha256,omitempty"`
	// Error tells what is wrong with the file.
	Error string `json:"error,omitempty"`
}

// Label names whose audio the track is: the speaker's id, or the kind.
func (t Track) Label() string {
	if t.Kind == KindSpeaker {
		return t.Speaker
	}
	return string(t.Kind)
}

// maxManifest bounds a manifest that is read, in bytes.
const maxManifest = 256 << 20

// ReadManifest reads a manifest.json and sets the paths of its tracks. It
// refuses manifests of another version and file names that are not plain.
func ReadManifest(path string) (*Manifest, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	m, err := readManifest(root, filepath.Base(path))
	if err != nil {
		return nil, fmt.Errorf("record: %s: %w", path, err)
	}
	m.setPaths(filepath.Dir(path))
	return m, nil
}

func readManifest(root *os.Root, name string) (*Manifest, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, err
	}
	return parseManifest(data)
}

func parseManifest(data []byte) (*Manifest, error) {
	if len(data) > maxManifest {
		return nil, fmt.Errorf("longer than %d bytes", maxManifest)
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, err
	}
	if m.Version != ManifestVersion {
		return nil, fmt.Errorf("version is %d, want %d", m.Version, ManifestVersion)
	}
	seen := make(map[string]bool, len(m.Tracks))
	for i := range m.Tracks {
		if err := checkTrack(&m.Tracks[i], seen); err != nil {
			return nil, fmt.Errorf("tracks[%d]: %w", i, err)
		}
	}
	return m, nil
}

// checkTrack refuses what the recorder never writes: a name that leads out of
// the folder, two tracks in one file, a negative number.
func checkTrack(t *Track, seen map[string]bool) error {
	switch {
	case t.File == "" || t.File != filepath.Base(t.File) || !filepath.IsLocal(t.File) || filepath.Ext(t.File) != ".wav":
		return fmt.Errorf("file is %q, want the plain name of a .wav file", t.File)
	case seen[t.File]:
		return fmt.Errorf("file is %q, which is an earlier track's", t.File)
	case t.First < 0 || t.Samples < 0 || t.Missing < 0:
		return fmt.Errorf("first %d, samples %d, missing %d: want 0 or more", t.First, t.Samples, t.Missing)
	}
	seen[t.File] = true
	for j, g := range t.Gaps {
		if g.At < 0 || g.Samples < 0 || g.end() < 0 {
			return fmt.Errorf("gaps[%d]: at %d, samples %d: want 0 or more, and their sum", j, g.At, g.Samples)
		}
	}
	return nil
}

func (m *Manifest) setPaths(folder string) {
	for i := range m.Tracks {
		m.Tracks[i].Path = filepath.Join(folder, m.Tracks[i].File)
	}
}

// write replaces the manifest of a folder.
func (m *Manifest) write(fsys FS, folder string, sync bool) error {
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if pad := manifestRoom - len(data); pad > 0 && m.State == StateRecording {
		data = append(data, bytes.Repeat([]byte{' '}, pad)...)
	}
	name := filepath.Join(folder, manifestName)
	if err = replaceFile(fsys, name, data, sync); err == nil {
		return nil
	}
	if o, ok := fsys.(opener); ok && overwrite(o, name, data) == nil {
		return nil
	}
	return err
}

// manifestRoom is what the manifest of a recording that goes on takes on the
// disk, padded with white space: a disk that is full then has room for what
// has to be told of that.
const manifestRoom = 16 << 10

// overwrite puts a manifest in the place of the one that is there, where there
// is no room for a second. It is not atomic.
func overwrite(fsys opener, name string, data []byte) error {
	if len(data) > manifestRoom {
		return errors.New("record: manifest is larger than its room")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	pad := bytes.Repeat([]byte{' '}, manifestRoom-len(data))
	if _, err = f.WriteAt(append(data, pad...), 0); err == nil {
		err = f.Truncate(int64(len(data)))
	}
	return errors.Join(err, f.Close())
}
