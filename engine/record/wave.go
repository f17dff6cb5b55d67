package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/engine/pcm"
)

const sampleBytes = 2

// wave is an open WAV file that grows, has holes, and may become shorter
// again. It is not safe for concurrent use.
type wave struct {
	file    File
	w       *wav.Writer // nil: it was found, and no samples are written any more
	samples int64       // in the file
	claimed int64       // by the header
}

// createWave makes an empty file. Its name never stands for less than a whole
// WAV file.
func createWave(fsys FS, name string) (*wave, error) {
	f, err := fsys.Create(name + tmpSuffix)
	if err != nil {
		return nil, err
	}
	w, err := newWave(f)
	if err == nil {
		err = fsys.Rename(name+tmpSuffix, name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

// newWave begins a WAV file in an empty one.
func newWave(f File) (*wave, error) {
	w := &wave{file: f}
	var err error
	w.w, err = wav.NewWriter(w.file, pcm.SampleRate)
	return w, err
}

// openWave opens a file of size bytes that a recorder left, for reading, and
// repairs its header.
func openWave(f File, size int64) (*wave, error) {
	samples, _, err := wav.Repair(f, size)
	if err != nil {
		return nil, err
	}
	w := &wave{file: f, samples: samples, claimed: samples}
	if wav.HeaderSize+samples*sampleBytes != size { // half a sample
		err = w.truncate(samples)
	}
	return w, err
}

// write puts samples at a position and returns how many of them the file
// holds.
func (w *wave) write(at int64, samples []int16) (n int, err error) {
	n = len(samples)
	if err = w.w.WriteAt(at, samples); err != nil {
		n = w.kept(at, samples)
	}
	if n > 0 {
		w.samples = max(w.samples, at+int64(n))
	}
	return n, err
}

// kept reads back how many samples of a failed write are in the file, because
// os.File does not tell, and wipes what is there of a torn one.
func (w *wave) kept(at int64, samples []int16) (n int) {
	off := wav.HeaderSize + at*sampleBytes
	b := make([]byte, len(samples)*sampleBytes)
	k, err := w.file.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	b = b[:k]
	for n < k/sampleBytes && int16(binary.LittleEndian.Uint16(b[n*sampleBytes:])) == samples[n] {
		n++
	}
	torn := bytes.TrimRight(b[n*sampleBytes:], "\x00")
	clear(torn)
	w.file.WriteAt(torn, off+int64(n*sampleBytes)) // takes no space
	return n
}

// read reads samples from a position on, by way of buf, which takes the bytes
// of dst. Behind the end of the file there is silence.
func (w *wave) read(at int64, dst []int16, buf []byte) error {
	b := buf[:len(dst)*sampleBytes]
	n, err := w.file.ReadAt(b, wav.HeaderSize+at*sampleBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	clear(b[n:])
	for i := range dst {
		dst[i] = int16(binary.LittleEndian.Uint16(b[i*sampleBytes:]))
	}
	return nil
}

// truncate makes the file end behind the given number of samples: what lies
// behind is gone, what was not there is silence. The header never claims more
// than there is.
func (w *wave) truncate(samples int64) error {
	if samples < w.claimed || w.claimed < 0 {
		if err := w.claim(min(samples, w.samples)); err != nil {
			return err
		}
	}
	if err := w.file.Truncate(wav.HeaderSize + samples*sampleBytes); err != nil {
		return err
	}
	w.samples = samples
	return nil
}

// setEnd makes the file and its header end behind the given number of samples.
func (w *wave) setEnd(samples int64) error {
	if w.samples != samples {
		if err := w.truncate(samples); err != nil {
			return err
		}
	}
	return w.claim(samples)
}

func (w *wave) claim(samples int64) error {
	if w.claimed == samples {
		return nil
	}
	w.claimed = -1 // nobody knows, if this fails
	var err error
	if w.w != nil {
		err = w.w.Claim(samples)
	} else {
		_, _, err = wav.Repair(w.file, wav.HeaderSize+samples*sampleBytes)
	}
	if err != nil {
		return fmt.Errorf("record: header of %d samples: %w", samples, err)
	}
	w.claimed = samples
	return nil
}

// sum returns the SHA-256 of the whole file in hexadecimal.
func (w *wave) sum() (string, error) {
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(w.file, 0, wav.HeaderSize+w.samples*sampleBytes))
	if err == nil && n != wav.HeaderSize+w.samples*sampleBytes {
		err = fmt.Errorf("record: file of %d bytes, want %d", n, wav.HeaderSize+w.samples*sampleBytes)
	}
	return hex.EncodeToString(h.Sum(nil)), err
}

func (w *wave) close() error { return w.file.Close() }
