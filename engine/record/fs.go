package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// FS is what the recorder asks of a file system, so that tests and embedders
// can put theirs in. Names are paths as os takes them. Its methods are called
// from several goroutines, those of one File from one at a time.
type FS interface {
	// Mkdir makes a new folder, and its parents if need be; it fails with
	// fs.ErrExist if the folder is there.
	Mkdir(name string) error
	// Create makes a file, or empties the one that is there, for reading
	// and writing.
	Create(name string) (File, error)
	// Rename replaces newName at once or not at all.
	Rename(oldName, newName string) error
}

// opener is an FS that can open a file that is there for reading and writing.
type opener interface {
	Open(name string) (File, error)
}

// File is an open file of an FS. *os.File is one.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
}

// osFS is the operating system's.
type osFS struct{}

const (
	dirMode  = 0o750
	fileMode = 0o640
)

func (osFS) Mkdir(name string) error {
	err := os.Mkdir(name, dirMode)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), dirMode); err != nil {
		return err
	}
	return os.Mkdir(name, dirMode)
}

func (osFS) Create(name string) (File, error) {
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
}

func (osFS) Open(name string) (File, error) { return os.OpenFile(name, os.O_RDWR, fileMode) }

func (osFS) Rename(oldName, newName string) error { return os.Rename(oldName, newName) }

// maxFolders is how many calls of one reduced name a folder takes, maxTaken
// how many such names are remembered.
const (
	maxFolders = 1 << 20
	maxTaken   = 1 << 10
)

// folders makes the folders of calls below dir. The names of different calls
// may be reduced to the same one, and calls may be recorded twice.
type folders struct {
	// Static after construction.
	fsys FS
	dir  string

	// Guarded by mu.
	mu    sync.Mutex
	taken map[string]int // numbers up to which a name is known to be taken
}

func (d *folders) make(callID string) (string, error) {
	name := folderName(callID, 1)
	d.mu.Lock()
	first := d.taken[name] + 1
	d.mu.Unlock()
	for n := first; n <= maxFolders; n++ {
		path := filepath.Join(d.dir, folderName(callID, n))
		err := d.fsys.Mkdir(path)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if n > 1 && err == nil {
			d.note(name, n)
		}
		return path, err
	}
	return "", fmt.Errorf("record: %d folders named %q", maxFolders, name)
}

// note keeps numbers that need not be tried again.
func (d *folders) note(name string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.taken == nil || len(d.taken) >= maxTaken {
		d.taken = make(map[string]int)
	}
	d.taken[name] = max(d.taken[name], n)
}

// replaceFile writes a file so that at every moment its name stands for the
// old content or the new one, whole.
func replaceFile(fsys FS, name string, data []byte, sync bool) error {
	f, err := fsys.Create(name + tmpSuffix)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return fsys.Rename(name+tmpSuffix, name)
}
