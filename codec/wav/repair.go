package wav

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/mixminus/mixminus/codec/l16"
)

// File is what Repair works on; *os.File is one.
type File interface {
	io.ReaderAt
	io.WriterAt
}

// Repair lets the header of a file claim all data that is there. It is for
// files that a Writer began and did not close, because it was killed: f is one
// of size bytes. It returns the samples that the file holds now, and how many
// of them the header had not claimed; that is negative if the file is shorter
// than its header said. A header that is right is not written to.
//
// Files that no Writer wrote are refused with a *FormatError and left alone:
// what follows their data need not be audio.
func Repair(f File, size int64) (samples, added int64, err error) {
	if size < HeaderSize {
		return 0, 0, &FormatError{"file", fmt.Sprintf("of %d bytes", size), fmt.Sprintf("at least %d", HeaderSize)}
	}
	old := make([]byte, HeaderSize)
	if _, err := f.ReadAt(old, 0); err != nil {
		return 0, 0, fmt.Errorf("wav: repair: header: %w", err)
	}
	rate, claimed, err := parseOwn(old)
	if err != nil {
		return 0, 0, err
	}
	samples = (size - HeaderSize) / l16.BytesPerSample
	header := appendHeader(make([]byte, 0, HeaderSize), rate, samples)
	if bytes.Equal(old, header) {
		return samples, 0, nil
	}
	if _, err := f.WriteAt(header, 0); err != nil {
		return claimed, 0, fmt.Errorf("wav: repair: header of %d samples: %w", samples, err)
	}
	return samples, samples - claimed, nil
}

// parseOwn returns what a header that a Writer wrote says. It is one if
// writing the same again gives the same bytes.
func parseOwn(b []byte) (rate int, samples int64, err error) {
	le := binary.LittleEndian
	hz, data := le.Uint32(b[48+12:]), uint64(le.Uint32(b[dataField+4:]))
	if string(b[:4]) == "RF64" {
		data = le.Uint64(b[20+8:])
	}
	samples = int64(data / l16.BytesPerSample)
	if checkRate(int64(hz)) != nil || samples > maxSamples ||
		!bytes.Equal(b, appendHeader(make([]byte, 0, HeaderSize), int(hz), samples)) {
		return 0, 0, &FormatError{"header", fmt.Sprintf("%q...", b[:16]), "one that this package wrote"}
	}
	return int(hz), samples, nil
}
