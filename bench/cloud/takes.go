package cloud

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mixminus/mixminus/engine/pcm"
)

// waveHeader is the length of a WAV file's header, in bytes.
const waveHeader = 44

// maxTake bounds what is kept of a recording, in slots: four hours. More is
// counted, and lost.
const maxTake = 4 * 3600 * 50

// take is a WAV file that grows: 16 bit PCM at 16 kHz, of any number of
// channels. It is written to a folder or, without one, kept in memory. It is
// not safe for concurrent use.
type take struct {
	channels int
	slots    int
	lost     int // slots that did not fit, or could not be written
	path     string
	file     *os.File // nil once closed, and in memory
	data     []byte   // without the header; nil where there is a file
	err      error    // of the first write that failed
}

// newTake begins a file of that name in a folder, which must be there.
func newTake(folder, name string, channels int) (*take, error) {
	t := &take{channels: channels}
	if folder == "" {
		return t, nil
	}
	t.path = filepath.Join(folder, name)
	file, err := os.OpenFile(t.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cloud: recording: %w", err)
	}
	t.file = file
	_, t.err = file.Write(waveHead(0, channels))
	return t, nil
}

// write adds a slot: pcm.FrameSamples of each channel, nil for silence.
func (t *take) write(channels [][]int16) {
	if t.slots >= maxTake || t.err != nil {
		t.lost++
		return
	}
	block := make([]byte, 0, 2*pcm.FrameSamples*t.channels)
	for i := range pcm.FrameSamples {
		for c := range t.channels {
			var s int16
			if channels[c] != nil {
				s = channels[c][i]
			}
			block = binary.LittleEndian.AppendUint16(block, uint16(s))
		}
	}
	if t.path == "" {
		t.data = append(t.data, block...)
	} else if _, t.err = t.file.Write(block); t.err != nil {
		t.lost++
		return
	}
	t.slots++
}

func (t *take) bytes() int { return 2 * pcm.FrameSamples * t.channels * t.slots }

// close completes the file. It may be called more than once.
func (t *take) close() error {
	if t.file == nil {
		return t.err
	}
	_, err := t.file.WriteAt(waveHead(t.bytes(), t.channels), 0)
	err = errors.Join(t.err, err, t.file.Close())
	t.file, t.err = nil, err
	return err
}

// wave returns the whole file, once it is closed.
func (t *take) wave() ([]byte, error) {
	if t.path != "" {
		return os.ReadFile(t.path)
	}
	return append(waveHead(len(t.data), t.channels), t.data...), nil
}

// remove deletes the file.
func (t *take) remove() error {
	t.data = nil
	if t.path == "" {
		return nil
	}
	return os.Remove(t.path)
}

// waveHead is the header of a file with so many bytes of data.
func waveHead(data, channels int) []byte {
	h := append(make([]byte, 0, waveHeader), "RIFF"...)
	h = binary.LittleEndian.AppendUint32(h, uint32(waveHeader-8+data))
	h = append(h, "WAVEfmt "...)
	h = binary.LittleEndian.AppendUint32(h, 16)
	h = binary.LittleEndian.AppendUint16(h, 1) // PCM
	h = binary.LittleEndian.AppendUint16(h, uint16(channels))
	h = binary.LittleEndian.AppendUint32(h, pcm.SampleRate)
	h = binary.LittleEndian.AppendUint32(h, uint32(2*pcm.SampleRate*channels))
	h = binary.LittleEndian.AppendUint16(h, uint16(2*channels))
	h = binary.LittleEndian.AppendUint16(h, 16)
	h = append(h, "data"...)
	return binary.LittleEndian.AppendUint32(h, uint32(data))
}
