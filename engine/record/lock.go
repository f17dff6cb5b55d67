package record

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// A recorder holds a file in its folder locked as long as its process lives,
// and its manifests name that file: so Recover, in whatever process, leaves
// recordings alone that go on. The kernel lets go of the lock with the
// process, however that ends.
const (
	lockPrefix = ".recorder-"
	lockSuffix = ".lock"
)

// lockFile is a recorder's. The zero value locks nothing.
type lockFile struct {
	dir string // "" locks nothing

	// Guarded by mu.
	mu   sync.Mutex
	base string // "" until it is taken
	file *os.File
}

// take takes the lock unless it is held. A recorder that cannot lock still
// records.
func (l *lockFile) take() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir == "" || l.base != "" || os.MkdirAll(l.dir, dirMode) != nil {
		return
	}
	var id [8]byte
	rand.Read(id[:]) // never fails
	base := lockPrefix + hex.EncodeToString(id[:]) + lockSuffix
	tmp := filepath.Join(l.dir, base+tmpSuffix)
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return
	}
	// It gets its name when it is locked: nobody finds it before.
	if !tryLock(f) || os.Rename(tmp, filepath.Join(l.dir, base)) != nil {
		f.Close()
		os.Remove(tmp)
		return
	}
	l.base, l.file = base, f
}

// name returns the name of the file in the recorder's folder, "" if there is
// none.
func (l *lockFile) name() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base
}

// release removes the file and lets go of it.
func (l *lockFile) release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := os.Remove(filepath.Join(l.dir, l.base))
	if cerr := l.file.Close(); err == nil {
		err = cerr
	}
	l.file = nil
	return err
}

func isLock(base string) bool {
	return strings.HasPrefix(base, lockPrefix) && strings.HasSuffix(base, lockSuffix) &&
		base == filepath.Base(base)
}

// locked reports whether a living recorder holds the lock file.
func locked(dir, base string) bool {
	if !isLock(base) {
		return false
	}
	f, err := os.OpenFile(filepath.Join(dir, base), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return !tryLock(f)
}
