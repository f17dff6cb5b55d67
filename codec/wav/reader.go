package wav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mixminus/mixminus/codec/l16"
)

// A Reader reads one file or stream. It is not safe for concurrent use.
//
// It takes what other tools write: chunks of any kind before the data, fmt
// chunks of any length, WAVE_FORMAT_EXTENSIBLE, RF64 and BW64, and sizes that
// are wrong because the writer could not seek back or was killed. A data size
// of 0 or 0xFFFFFFFF is taken for unknown, and the data goes on to the end of
// the stream.
//
// It allocates nothing by the sizes it reads.
type Reader struct {
	r         io.Reader
	rate      int
	declared  int64 // samples; -1: unknown
	remaining int64 // samples that the header lets us read; -1: to the end
	err       error
}

// NewReader reads the header from r, up to the first sample. A file that is
// not a WAVE, or not 16 bit PCM mono, is refused with a *FormatError; one that
// ends before its data, with an error that wraps io.ErrUnexpectedEOF.
func NewReader(r io.Reader) (*Reader, error) {
	h := header{r: r}
	if err := h.read(); err != nil {
		return nil, err
	}
	return &Reader{r: r, rate: h.rate, declared: h.samples, remaining: h.samples}, nil
}

// SampleRate returns the sample rate in Hz, 1 to MaxRate.
func (f *Reader) SampleRate() int { return f.rate }

// Samples returns how many samples the header declares, -1 if it does not
// know. There may be fewer: see Truncated.
func (f *Reader) Samples() int64 { return f.declared }

// Read fills dst and returns how many samples it read: fewer only at the end
// of the data or with an error, none and io.EOF after the end. The content of
// dst behind them is undefined.
func (f *Reader) Read(dst []int16) (int, error) {
	if f.remaining >= 0 && int64(len(dst)) > f.remaining {
		dst = dst[:f.remaining]
	}
	if f.err == nil && f.remaining == 0 {
		f.err = io.EOF
	}
	if f.err != nil || len(dst) == 0 {
		return 0, f.err
	}
	n, err := io.ReadFull(f.r, l16.NativeBytes(dst))
	n /= l16.BytesPerSample
	l16.FixLE(dst[:n])
	if f.remaining > 0 {
		f.remaining -= int64(n)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	if f.err = err; n > 0 {
		err = nil
	}
	return n, err
}

// Truncated reports, once Read has returned io.EOF, whether the header had
// declared more samples than there were.
func (f *Reader) Truncated() bool { return f.err == io.EOF && f.remaining > 0 }

// ReadAll returns the samples that were not read yet, at no error: for files
// that are known to fit memory.
func (f *Reader) ReadAll() (samples []int16, err error) {
	const chunk = 4096
	for {
		samples = slices.Grow(samples, chunk)
		n, err := f.Read(samples[len(samples):cap(samples)])
		samples = samples[:len(samples)+n]
		switch {
		case err == io.EOF:
			return samples, nil
		case err != nil:
			return samples, err
		}
	}
}

// header parses everything before the first sample.
type header struct {
	r       io.Reader
	pos     int64 // bytes read
	riff    uint64
	long    bool   // RF64: sizes of 0xFFFFFFFF stand in the ds64 chunk
	data    uint64 // data size of the ds64 chunk
	rate    int    // 0 before the fmt chunk
	samples int64
}

func (h *header) read() error {
	var b [12]byte
	if err := h.fill(b[:], "RIFF header"); err != nil {
		return err
	}
	switch id := string(b[:4]); id {
	case "RIFF":
	case "RF64", "BW64":
		h.long = true
	default:
		return &FormatError{"file", fmt.Sprintf("begins with %q", id), `"RIFF", "RF64" or "BW64"`}
	}
	h.riff = uint64(binary.LittleEndian.Uint32(b[4:]))
	if form := string(b[8:]); form != "WAVE" {
		return &FormatError{"RIFF form", fmt.Sprintf("%q", form), `"WAVE"`}
	}
	for {
		if err := h.fill(b[:8], "chunk header"); err != nil {
			return err
		}
		id, size := string(b[:4]), binary.LittleEndian.Uint32(b[4:])
		if id == "data" {
			return h.dataChunk(size)
		}
		if err := h.chunk(id, size); err != nil {
			return err
		}
	}
}

// chunk reads or skips one chunk before the data.
func (h *header) chunk(id string, size uint32) error {
	end := h.pos + int64(size) + int64(size&1) // chunks are padded to even length
	var err error
	switch {
	case id == "fmt ":
		err = h.fmtChunk(size)
	case id == "ds64" && h.long:
		err = h.ds64Chunk(size)
	}
	if err != nil {
		return err
	}
	n, err := io.CopyN(io.Discard, h.r, end-h.pos)
	h.pos += n
	if err != nil {
		return h.short(err, fmt.Sprintf("%q chunk of %d bytes", id, size))
	}
	return nil
}

// guid is the SubFormat of WAVE_FORMAT_EXTENSIBLE behind its first two bytes,
// which are the format tag.
const guid = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"

func (h *header) fmtChunk(size uint32) error {
	if size < fmtSize {
		return &FormatError{"fmt chunk", fmt.Sprintf("of %d bytes", size), "at least 16"}
	}
	var b [40]byte
	n := min(size, uint32(len(b)))
	if err := h.fill(b[:n], "fmt chunk"); err != nil {
		return err
	}
	le := binary.LittleEndian
	tag := le.Uint16(b[0:])
	if tag == tagExtensible {
		if n < 40 {
			return &FormatError{"extensible fmt chunk", fmt.Sprintf("of %d bytes", size), "at least 40"}
		}
		if string(b[26:40]) != guid {
			return &FormatError{"subformat", fmt.Sprintf("%x", b[24:40]), "one that begins with a format tag"}
		}
		tag = le.Uint16(b[24:])
	}
	if tag != tagPCM {
		return &FormatError{"format tag", tagName(tag), "0x0001 (PCM)"}
	}
	for _, f := range []struct {
		field     string
		got, want uint16
	}{
		{"channels", le.Uint16(b[2:]), 1},
		{"bit depth", le.Uint16(b[14:]), bitDepth},
		{"block align", le.Uint16(b[12:]), l16.BytesPerSample},
	} {
		if f.got != f.want {
			return &FormatError{f.field, fmt.Sprint(f.got), fmt.Sprint(f.want)}
		}
	}
	rate := le.Uint32(b[4:])
	h.rate = int(rate)
	return checkRate(int64(rate))
}

// tagName names the format tags that one meets in the wild (RFC 2361).
func tagName(tag uint16) string {
	names := map[uint16]string{
		0x0002: "ADPCM", 0x0003: "IEEE float", 0x0006: "A-law", 0x0007: "µ-law",
		0x0011: "IMA ADPCM", 0x0031: "GSM 6.10", 0x0055: "MP3",
	}
	name, ok := names[tag]
	if !ok {
		name = "unknown"
	}
	return fmt.Sprintf("%#04x (%s)", tag, name)
}

func (h *header) ds64Chunk(size uint32) error {
	if size < ds64Size {
		return &FormatError{"ds64 chunk", fmt.Sprintf("of %d bytes", size), "at least 28"}
	}
	var b [ds64Size]byte
	if err := h.fill(b[:], "ds64 chunk"); err != nil {
		return err
	}
	h.riff = binary.LittleEndian.Uint64(b[0:])
	h.data = binary.LittleEndian.Uint64(b[8:])
	return nil
}

func (h *header) dataChunk(size uint32) error {
	if h.rate == 0 {
		return &FormatError{"data chunk", "without fmt chunk", "a fmt chunk before it"}
	}
	bytes := uint64(size)
	if size == unknown && h.long {
		bytes = h.data
	}
	// An empty recording that was finished, with other chunks behind it.
	finished := h.riff != unknown && h.riff+8 > uint64(h.pos)
	switch {
	case bytes == 0 && finished:
		h.samples = 0
	case bytes == 0, bytes == unknown && !h.long, bytes/l16.BytesPerSample > maxSamples:
		h.samples = -1
	default:
		h.samples = int64(bytes / l16.BytesPerSample)
	}
	return nil
}

func (h *header) fill(b []byte, what string) error {
	n, err := io.ReadFull(h.r, b)
	h.pos += int64(n)
	if err != nil {
		return h.short(err, what)
	}
	return nil
}

func (h *header) short(err error, what string) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("wav: %s, after %d bytes: %w", what, h.pos, err)
}
