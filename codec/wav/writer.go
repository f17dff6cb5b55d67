package wav

import (
	"fmt"
	"io"

	"github.com/mixminus/mixminus/codec/l16"
)

// A Writer writes one file. It is not safe for concurrent use.
//
// An error of WriteAt leaves the file as it was described last. After one of
// Patch, Claim or Close the header may be torn, until one of them succeeds. The
// header claims no sample that was not written, unless Claim was told to.
type Writer struct {
	w       io.WriterAt
	rate    int
	end     int64  // samples from the start to the last one written
	claimed int64  // samples that the header in the file claims
	buf     []byte // for the header
}

// NewWriter writes the header of an empty file to w. The rate is in Hz.
func NewWriter(w io.WriterAt, rate int) (*Writer, error) {
	if err := checkRate(int64(rate)); err != nil {
		return nil, err
	}
	f := &Writer{w: w, rate: rate, buf: make([]byte, 0, HeaderSize)}
	if err := f.writeHeader(0); err != nil {
		return nil, err
	}
	return f, nil
}

// WriteAt writes samples to position pos, counted in samples from the start of
// the recording. Positions may be skipped, and be written later; what is never
// written reads as silence. The header does not claim the new samples before
// Patch.
//
// On error, what was written before it counts as written.
func (f *Writer) WriteAt(pos int64, samples []int16) error {
	if pos < 0 || pos > maxSamples-int64(len(samples)) {
		return fmt.Errorf("wav: %d samples at position %d: want a position from 0 to %d", len(samples), pos, int64(maxSamples))
	}
	if len(samples) == 0 {
		return nil
	}
	n, err := f.w.WriteAt(l16.BytesLE(samples), HeaderSize+pos*l16.BytesPerSample)
	if whole := int64(n / l16.BytesPerSample); whole > 0 {
		f.end = max(f.end, pos+whole)
	}
	if err != nil {
		return fmt.Errorf("wav: %d samples at position %d: %w", len(samples), pos, err)
	}
	return nil
}

// Patch lets the header claim all samples written so far, in one write. Whoever
// records calls it at least once a second: what the header does not claim is
// lost to other tools if the process is killed, until Repair. It does not
// force anything to disk.
func (f *Writer) Patch() error {
	return f.Claim(f.end)
}

// Claim is Patch for a caller who knows better how many samples there are, as who
// makes the file shorter or longer. Patch and Close claim all that was written
// again: such a caller has no use for them.
func (f *Writer) Claim(samples int64) error {
	if samples < 0 || samples > maxSamples {
		return fmt.Errorf("wav: header of %d samples: want 0 to %d", samples, int64(maxSamples))
	}
	if f.claimed == samples {
		return nil
	}
	return f.writeHeader(samples)
}

// Close patches the header for the last time. It does not close what lies
// below. The Writer remains usable if it fails.
func (f *Writer) Close() error { return f.Patch() }

// Samples returns the length of the recording: the position after the last
// sample written, holes included.
func (f *Writer) Samples() int64 { return f.end }

func (f *Writer) writeHeader(samples int64) error {
	f.buf = appendHeader(f.buf[:0], f.rate, samples)
	f.claimed = -1 // nobody knows, if this fails
	if _, err := f.w.WriteAt(f.buf, 0); err != nil {
		return fmt.Errorf("wav: header of %d samples: %w", samples, err)
	}
	f.claimed = samples
	return nil
}
